package keyring

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// Signer returns the key that signs now. The error wraps gatehouse.ErrUnavailable if the ring was never loaded, or if its lifetime was raised and that could not yet be saved; it wraps [ErrForm] if the
// ring is static and cannot sign.
func (r *Ring) Signer() (*Key, error) {
	if r.static != nil {
		if !r.static[0].CanSign() {
			return nil, fmt.Errorf("%w: the key ring %q only verifies: its first key is public", ErrForm, r.c.Name)
		}
		return r.static[0], nil
	}
	s := r.now.Load()
	if s == nil {
		return nil, r.notLoaded()
	}
	i := r.signs(s, r.clock())
	if i < 0 {
		return nil, r.notLoaded()
	}
	if s.order[i].Lifetime < r.c.Lifetime {
		return nil, fmt.Errorf("%w: the key ring %q could not yet save for how long things are signed", gatehouse.ErrUnavailable, r.c.Name)
	}
	return s.keys[s.order[i].ID], nil
}

// signs returns the place in s.order of the key that signs, or -1 if there is none. It is the one whose turn it is. If a clock has gone back that may be one that retired before it was written down
// for how long this ring signs: then it is the first one after it of which that is known, and whose turn had come already.
func (r *Ring) signs(s *snapshot, now time.Time) int {
	old, latest := r.latest.Load(), now.UnixMilli()
	for old < latest && !r.latest.CompareAndSwap(old, latest) {
		old = r.latest.Load()
	}
	latest = max(latest, old)
	due := signer(s.order, now)
	for i := max(due, 0); i < len(s.order); i++ {
		if t := s.order[i]; t.Lifetime >= r.c.Lifetime && !t.settled() && !t.over(now) && (i == due || t.Active.UnixMilli() <= latest) {
			return i
		}
	}
	return due
}

// Find returns the key of this id, if it verifies now: it may be next, active or retired. A key that the ring knows costs no I/O. For another one the store is read, once a second at most and once for all who ask
// at a time. The error wraps [ErrUnknownKey] if there is no such key, and gatehouse.ErrUnavailable if that cannot be said because the store
// has not been readable for 10 seconds, or the ring was never loaded.
func (r *Ring) Find(ctx context.Context, kid string) (*Key, error) {
	if k, known := r.lookUp(kid); known {
		if k == nil {
			return nil, ErrUnknownKey
		}
		return k, nil
	}
	if r.static != nil || kid == "" || len(kid) > maxID {
		return nil, ErrUnknownKey
	}
	return r.findAfterReload(ctx, kid)
}

// lookUp returns the key of this id, nil if it is gone, and whether the store need not be asked.
func (r *Ring) lookUp(kid string) (*Key, bool) {
	if r.static != nil {
		i := slices.IndexFunc(r.static, func(k *Key) bool { return k.id == kid })
		if i < 0 {
			return nil, false
		}
		return r.static[i], true
	}
	s := r.now.Load()
	if s == nil {
		return nil, false
	}
	k, known := s.keys[kid]
	if k == nil {
		return nil, known
	}
	if s.order[s.place[kid]].over(r.clock()) {
		return nil, false // unless its lifetime was raised by somebody else
	}
	return k, true
}

// All returns the keys that verify now: the one that signs first, then those that will, then those that did, the latest first.
func (r *Ring) All() []*Key {
	if r.static != nil {
		return slices.Clone(r.static)
	}
	s := r.now.Load()
	if s == nil {
		return nil
	}
	now := r.clock()
	active := r.signs(s, now)
	var first, next, retired []*Key
	for i, t := range s.order {
		switch stateOf(s.order, i, active, now) {
		case Active:
			first = append(first, s.keys[t.ID])
		case Next:
			next = append(next, s.keys[t.ID])
		case Retired:
			retired = append(retired, s.keys[t.ID])
		}
	}
	slices.Reverse(retired)
	return slices.Concat(first, next, retired)
}

// Info is what may be told about a key. Times that are not known, or never come, are zero.
type Info struct {
	ID        string    `json:"id"`
	Algorithm Algorithm `json:"algorithm"`
	State     State     `json:"state"`
	Created   time.Time `json:"created,omitzero"` // when it was made and published
	Active    time.Time `json:"active,omitzero"`  // from when on it signs
	Retires   time.Time `json:"retires,omitzero"` // when another one takes over
	Gone      time.Time `json:"gone,omitzero"`    // from when on it counts for nothing
}

// String returns the line of a list: the id, the algorithm, the state, and when that changes.
func (i Info) String() string {
	line := fmt.Sprintf("%s %s %s", i.ID, i.Algorithm, i.State)
	for _, change := range []struct {
		word string
		at   time.Time
		in   []State
	}{{"signs from", i.Active, []State{Next}}, {"since", i.Active, []State{Active}}, {"until", i.Retires, []State{Active}}, {"verifies until", i.Gone, []State{Retired}}, {"since", i.Gone, []State{Gone}}} {
		if !change.at.IsZero() && slices.Contains(change.in, i.State) {
			line += " " + change.word + " " + change.at.UTC().Format(time.RFC3339)
		}
	}
	return line
}

// Keys tells about all keys of the ring, in the order in which they sign, those that are gone and remembered included.
func (r *Ring) Keys() []Info {
	if r.static != nil {
		return r.staticInfos()
	}
	s := r.now.Load()
	if s == nil {
		return nil
	}
	now := r.clock()
	return s.infos(r.signs(s, now), now)
}

func (r *Ring) staticInfos() []Info {
	infos := make([]Info, len(r.static))
	for i, k := range r.static {
		infos[i] = Info{ID: k.id, Algorithm: k.algorithm, State: Retired}
	}
	if r.static[0].CanSign() {
		infos[0].State = Active
	}
	return infos
}

// infos tells about all keys, of which the one at place active signs.
func (s *snapshot) infos(active int, now time.Time) []Info {
	var infos []Info
	for i, t := range s.order {
		infos = append(infos, Info{ID: t.ID, Algorithm: t.Algorithm, State: stateOf(s.order, i, active, now), Created: t.Created, Active: t.Active, Retires: t.retires, Gone: t.gone})
	}
	for _, rec := range s.recs {
		if rec.revoked() {
			infos = append(infos, Info{ID: rec.ID, Algorithm: rec.Algorithm, State: Gone, Created: rec.Created, Active: rec.Active, Gone: rec.Gone})
		}
	}
	slices.SortStableFunc(infos, func(a, b Info) int { return a.Active.Compare(b.Active) })
	return infos
}

// info returns what there is to tell about one key.
func (r *Ring) info(id string) Info {
	for _, info := range r.Keys() {
		if info.ID == id {
			return info
		}
	}
	return Info{ID: id, State: Gone}
}

// Rotate makes a new key, which is published now and signs after Publish, and returns what there is to tell about it. If there is one already that signs no later, it is that one: of several
// who rotate at a time, one does.
func (r *Ring) Rotate(ctx context.Context) (Info, error) {
	var at int
	return r.administer(ctx, nil, func(p *planner) error {
		at = p.next()
		return nil
	}, func(recs []Record) string { return recs[at].ID })
}

// Retire ends a key at once and for ever, as when it has become known to others: nothing that it has signed is accepted any more. If it was the one that signs, a new key signs from now on. Other processes follow when they load
// the ring. A key that is gone already stays so, without an error; the error wraps [ErrUnknownKey] if the ring has no such key.
func (r *Ring) Retire(ctx context.Context, kid string) error {
	_, err := r.administer(ctx, nil, func(p *planner) error { return p.retire(kid) }, func([]Record) string { return kid })
	return err
}

// Import makes k, a private key or secret from elsewhere, the key that signs from now on; the others verify what they have signed. A key that was retired for good is refused.
func (r *Ring) Import(ctx context.Context, k *Key) (Info, error) {
	if r.static == nil {
		if err := r.c.importable(k); err != nil {
			return Info{}, fmt.Errorf("the key ring %q: %w", r.c.Name, err)
		}
	}
	return r.administer(ctx, []*Key{k}, func(p *planner) error {
		_, err := p.join(k)
		return err
	}, func([]Record) string { return k.id })
}

// administer makes a change on demand and tells about the key that name finds afterwards.
func (r *Ring) administer(ctx context.Context, imports []*Key, act func(*planner) error, name func([]Record) string) (Info, error) {
	if r.static != nil {
		return Info{}, fmt.Errorf("the key ring %q: %w", r.c.Name, ErrStatic)
	}
	var info Info
	err := r.change(ctx, imports, act, func() { info = r.info(name(r.now.Load().recs)) })
	return info, err
}

// Seal encrypts plaintext with the key that signs, and authenticates data, which [Ring.Open] must be given again. The text is base64url, and names the key. The error is that of
// [Ring.Signer], or wraps [ErrForm] if the ring is not for A256GCM.
func (r *Ring) Seal(plaintext, data []byte) (string, error) {
	k, err := r.Signer()
	if err != nil {
		return "", err
	}
	head := append([]byte{byte(len(k.id))}, k.id...)
	sealed, err := k.Seal(plaintext, bound(head, data))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(head, sealed...)), nil
}

// Open returns what was sealed with a key of the ring and this data. Only the key that the text names is tried, and only if the ring knows it: nothing is read from the store. The error wraps [ErrSignature] or [ErrUnknownKey] if
// the text was not sealed by this ring, or changed, or its key is gone.
func (r *Ring) Open(text string, data []byte) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) == 0 || len(raw) < 1+int(raw[0]) || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, ErrSignature
	}
	head := raw[:1+int(raw[0])]
	k, _ := r.lookUp(string(head[1:]))
	if k == nil {
		if r.static == nil && r.now.Load() == nil {
			return nil, r.notLoaded()
		}
		return nil, ErrUnknownKey
	}
	return k.Open(raw[len(head):], bound(head, data))
}

// bound returns what is authenticated beside the plaintext. The head has its length in front, so no two pairs give the same.
func bound(head, data []byte) []byte { return slices.Concat(head, data) }
