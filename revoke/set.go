package revoke

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// shards is how many parts a set has, so that whoever changes or sweeps one part keeps nobody waiting at the others.
const shards = 64

// A print stands for an id: the first half of its SHA-256. Who could find two ids with one print could have a good token refused, never a revoked one accepted.
type print [16]byte

// printOf returns the print of id without keeping anything on the heap for ids of usual lengths.
func printOf(id string) print {
	var buffer [128]byte
	text := append(buffer[:0], id...)
	sum := sha256.Sum256(text)
	return print(sum[:16])
}

// A mark is what is known of one id.
type mark[M any] interface {
	merge(M) M // of two marks the stricter: nothing that was revoked becomes good again by revoking more
	expired(now second) bool
}

// A second is a time in whole seconds since 1970, in the 32 bits that last until 2106 and halve the memory of a set.
type second uint32

// secondOf returns the first whole second that is not before t.
func secondOf(t time.Time) second {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return second(min(max(s, 0), 1<<32-1))
}

// An until is the mark of an id that is revoked: when it may be forgotten.
type until second

func (u until) merge(v until) until     { return max(u, v) }
func (u until) expired(now second) bool { return second(u) < now }

// A cutoff is the mark of a subject: what was issued before, in milliseconds since 1970, is revoked.
type cutoff struct {
	before  int64
	expires second
}

func (c cutoff) merge(d cutoff) cutoff {
	return cutoff{max(c.before, d.before), max(c.expires, d.expires)}
}
func (c cutoff) expired(now second) bool { return c.expires < now }

// A set holds marks by the prints of ids. It is safe for concurrent use. The zero set is empty.
type set[M mark[M]] struct {
	count atomic.Int64
	parts [shards]struct {
		sync.RWMutex
		marks map[print]M
		most  int // how many there have been since the map was made: maps do not shrink
	}
}

// add puts a mark on p.
func (s *set[M]) add(p print, m M) {
	part := &s.parts[p[0]%shards]
	part.Lock()
	defer part.Unlock()
	if part.marks == nil {
		part.marks = map[print]M{}
	}
	if old, ok := part.marks[p]; ok {
		m = old.merge(m)
	} else {
		s.count.Add(1)
	}
	part.marks[p] = m
	part.most = max(part.most, len(part.marks))
}

// get returns the mark on id.
func (s *set[M]) get(id string) (m M, ok bool) {
	if id == "" || s.count.Load() == 0 {
		return m, false
	}
	p := printOf(id)
	part := &s.parts[p[0]%shards]
	part.RLock()
	m, ok = part.marks[p]
	part.RUnlock()
	return m, ok
}

// sweep forgets the marks that have expired, one part after the other.
func (s *set[M]) sweep(now second) {
	for i := range s.parts {
		part := &s.parts[i]
		part.Lock()
		for p, m := range part.marks {
			if m.expired(now) {
				delete(part.marks, p)
				s.count.Add(-1)
			}
		}
		if len(part.marks) < part.most/2 {
			smaller := make(map[print]M, len(part.marks))
			for p, m := range part.marks {
				smaller[p] = m
			}
			part.marks, part.most = smaller, len(smaller)
		}
		part.Unlock()
	}
}

// size returns how many marks there are.
func (s *set[M]) size() int { return int(s.count.Load()) }

// each calls f for every mark, one part after the other, with that part held: f must not come back.
func (s *set[M]) each(f func(print, M)) {
	for i := range s.parts {
		s.parts[i].RLock()
		for p, m := range s.parts[i].marks {
			f(p, m)
		}
		s.parts[i].RUnlock()
	}
}
