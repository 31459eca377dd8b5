package explain

import (
	"encoding/binary"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/guard"
)

// A Ring remembers the last denials. Its memory is bounded: an entry takes at most about 1 KiB, whatever the client sent, and is allocated when
// it comes. It is safe for concurrent use.
type Ring struct {
	size int

	mu    sync.Mutex
	slots []entry        // grows to size, then the oldest is overwritten
	next  int            // the slot to overwrite
	byID  map[string]int // id → slot
}

// An entry is a report packed into one string, so that 10,000 of them are 10,000 allocations and not a million.
type entry struct{ id, packed string }

// NewRing returns a ring of n denials. A ring of 0 or less remembers nothing.
func NewRing(n int) *Ring { return &Ring{size: max(n, 0), byID: map[string]int{}} }

// Add remembers the denial of request id at the time at, answered with status. Texts are cut: what a client chose cannot fill the memory. Requests
// that were let through, those without an id, and those that no guard has judged (v is nil) are not remembered. Add keeps nothing of v.
func (r *Ring) Add(id string, at time.Time, v *guard.Verdict, status int) {
	if v != nil {
		r.AddReport(id, at, NewReport(v, status))
	}
}

// AddReport is Add for a report, say one that [Report.For] has given the path of a request that could not be judged.
func (r *Ring) AddReport(id string, at time.Time, report Report) {
	if r.size == 0 || id == "" || report.Decision != Deny {
		return
	}
	if !at.IsZero() {
		report.Time = at.UTC().Format(time.RFC3339)
	}
	packed := pack(report)
	id = string([]byte(cut(id, maxID))) // a copy: the id may be a piece of something large

	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(entry{id, packed})
}

// put must be called with the lock held.
func (r *Ring) put(e entry) {
	if slot, ok := r.byID[e.id]; ok {
		r.slots[slot] = e
		return
	}
	if len(r.slots) < r.size {
		r.slots = append(r.slots, e)
		r.byID[e.id] = len(r.slots) - 1
		return
	}
	delete(r.byID, r.slots[r.next].id)
	r.slots[r.next], r.byID[e.id] = e, r.next
	r.next = (r.next + 1) % r.size
}

// Get returns the report of the denial of request id, and whether it is still remembered.
func (r *Ring) Get(id string) (Report, bool) {
	r.mu.Lock()
	slot, ok := r.byID[cut(id, maxID)]
	var e entry
	if ok {
		e = r.slots[slot]
	}
	r.mu.Unlock()
	if !ok {
		return Report{}, false
	}
	report := unpack(e.packed)
	report.RequestID = e.id
	return report, true
}

// The limits of an entry, in bytes. maxEntry holds even if every text is as long as it may be: the last ones are then cut further.
const (
	maxEntry = 960
	maxID    = 64
	maxPath  = 256
	maxName  = 64
	maxText  = 128
	maxList  = 8  // roles, scopes
	maxSteps = 12 // a request meets about eight stages
)

// pack puts report into one string of at most maxEntry bytes. What matters most comes first, so that what is cut is cut at the end.
func pack(report Report) string {
	p := packer{buffer: make([]byte, 0, maxEntry)}
	p.text(report.Time, 32)
	p.text(report.Method, 32)
	p.text(report.Path, maxPath)
	p.text(report.Host, maxName)
	p.text(report.Code, 32)
	p.text(strconv.Itoa(report.Status), 8)
	p.text(report.Principal.Subject, maxName)
	p.text(report.Principal.Kind, 16)
	p.text(report.Carrier, maxName)
	p.text(report.Token, maxName)
	p.text(report.Rule, maxName)
	p.text(report.Requirement, maxText)
	own := report.Detail
	if own == catalogued(report.Code) {
		own = "" // it need not be kept
	}
	p.text(own, maxText)
	steps := min(len(report.Steps), maxSteps)
	p.text(strconv.Itoa(steps), 2)
	for _, s := range report.Steps[:steps] {
		p.text(s.Stage, 16)
		p.text(s.Subject, 32)
		p.text(s.Outcome, maxName)
		p.text(s.Error, maxText)
	}
	p.list(report.Principal.Roles)
	p.list(report.Principal.Scopes)
	return string(p.buffer)
}

// unpack is the reverse of pack.
func unpack(packed string) Report {
	u := unpacker{packed}
	r := Report{Decision: Deny, Steps: []StepReport{}}
	r.Time, r.Method, r.Path, r.Host, r.Code = u.text(), u.text(), u.text(), u.text(), u.text()
	r.Status = u.number()
	r.Principal.Subject, r.Principal.Kind = u.text(), u.text()
	r.Carrier, r.Token, r.Rule, r.Requirement = u.text(), u.text(), u.text(), u.text()
	if r.Detail = u.text(); r.Detail == "" {
		r.Detail = catalogued(r.Code)
	}
	for range u.number() {
		step := StepReport{Stage: u.text(), Subject: u.text(), Outcome: u.text(), Error: u.text()}
		if step.Stage == "" {
			break // the rest was cut
		}
		r.Steps = append(r.Steps, step)
	}
	r.Principal.Roles, r.Principal.Scopes = u.list(), u.list()
	return r
}

// A packer writes texts with their length before them.
type packer struct{ buffer []byte }

// text writes s, cut to limit bytes and to what is left.
func (p *packer) text(s string, limit int) {
	left := cap(p.buffer) - len(p.buffer) - 2 // a length below 16 Ki takes two bytes at most
	if left < 0 {
		return
	}
	s = cut(s, min(limit, left))
	p.buffer = append(binary.AppendUvarint(p.buffer, uint64(len(s))), s...)
}

func (p *packer) list(texts []string) {
	texts = texts[:min(len(texts), maxList)]
	p.text(strconv.Itoa(len(texts)), 2)
	for _, s := range texts {
		p.text(s, 32)
	}
}

// An unpacker reads what a packer wrote. At the end of the text everything is empty.
type unpacker struct{ rest string }

func (u *unpacker) text() string {
	length, n := binary.Uvarint([]byte(u.rest[:min(len(u.rest), 2)]))
	if n <= 0 || int(length) > len(u.rest)-n {
		u.rest = ""
		return ""
	}
	s := u.rest[n : n+int(length)]
	u.rest = u.rest[n+int(length):]
	return s
}

func (u *unpacker) number() int {
	n, _ := strconv.Atoi(u.text())
	return n
}

func (u *unpacker) list() []string {
	var list []string
	for range u.number() {
		if s := u.text(); s != "" {
			list = append(list, s)
		}
	}
	return list
}
