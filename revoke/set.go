package revoke

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// shards is how many parts a set has, so that whoever changes or sweeps one part keeps nobody waiting at the others.
const shards = 64

// A print stands for an id: the first half of its SHA-256. Who could find two ids with one print could have a good token refused, never a revoked one accepted.
// It is no keyed hash, because a list puts back what a store has lost: every process must know an id by the same print.
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
	merge(M) M       // of two marks the stricter: nothing that was revoked becomes good again by revoking more
	expires() second // when it may be forgotten
	before() int64   // what was issued before, in milliseconds since 1970, is revoked; 0 where time does not matter
	covers(M) bool   // whether everything that the other one says is said by this one
}

// A second is a time in whole seconds since 1970, in the 32 bits that last until 2106 and halve the memory of a set.
type second uint32

// secondOf returns the first whole second that is not before t. A zero t, which no entry should have, is never.
func secondOf(t time.Time) second {
	if t.IsZero() {
		return 1<<32 - 1
	}
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return second(min(max(s, 0), 1<<32-1))
}

// An until is the mark of an id that is revoked: when it may be forgotten.
type until second

func (u until) merge(v until) until { return max(u, v) }
func (u until) expires() second     { return second(u) }
func (until) before() int64         { return 0 }
func (u until) covers(v until) bool { return u >= v }

// A cutoff is the mark of a subject: 4 bytes of when it may be forgotten, and 6 of the time in milliseconds before which everything is revoked. Bytes, because numbers
// would be aligned, which costs 6 bytes more for each subject.
type cutoff [10]byte

func cutoffOf(before int64, expires second) cutoff {
	var c cutoff
	binary.BigEndian.PutUint32(c[:4], uint32(expires))
	ms := uint64(min(max(before, 0), 1<<48-1)) // until the year 10889
	binary.BigEndian.PutUint16(c[4:6], uint16(ms>>32))
	binary.BigEndian.PutUint32(c[6:], uint32(ms))
	return c
}

func (c cutoff) expires() second { return second(binary.BigEndian.Uint32(c[:4])) }

func (c cutoff) before() int64 {
	return int64(binary.BigEndian.Uint16(c[4:6]))<<32 | int64(binary.BigEndian.Uint32(c[6:]))
}

func (c cutoff) merge(d cutoff) cutoff {
	return cutoffOf(max(c.before(), d.before()), max(c.expires(), d.expires()))
}

func (c cutoff) covers(d cutoff) bool { return c.before() >= d.before() && c.expires() >= d.expires() }

// A set holds marks by the prints of ids. It is safe for concurrent use. The zero set is empty.
type set[M mark[M]] struct {
	count atomic.Int64
	parts [shards]part[M]
}

type part[M mark[M]] struct {
	sync.RWMutex
	marks map[print]M
	most  int // how many there have been since the map was made: maps do not shrink
}

func (s *set[M]) part(p print) *part[M] { return &s.parts[p[0]%shards] }

// add puts a mark on p, and reports whether it says something new.
func (s *set[M]) add(p print, m M) (news bool) {
	part := s.part(p)
	part.Lock()
	defer part.Unlock()
	if part.marks == nil {
		part.marks = map[print]M{}
	}
	old, ok := part.marks[p]
	if ok && old.covers(m) {
		return false
	}
	if ok {
		m = old.merge(m)
	} else {
		s.count.Add(1)
	}
	part.marks[p] = m
	part.most = max(part.most, len(part.marks))
	return true
}

// get returns the mark on id.
func (s *set[M]) get(id string) (m M, ok bool) {
	if id == "" || s.count.Load() == 0 {
		return m, false
	}
	return s.find(printOf(id))
}

func (s *set[M]) find(p print) (m M, ok bool) {
	part := s.part(p)
	part.RLock()
	m, ok = part.marks[p]
	part.RUnlock()
	return m, ok
}

// sweep forgets the marks that have expired, one part after the other.
func (s *set[M]) sweep(now second) {
	for i := range s.parts {
		s.count.Add(-s.parts[i].sweep(now))
	}
}

// sweep returns how many marks there were to forget, and gives back the memory if that was most of them.
func (p *part[M]) sweep(now second) (gone int64) {
	p.Lock()
	defer p.Unlock()
	for id, m := range p.marks {
		if m.expires() < now {
			delete(p.marks, id)
			gone++
		}
	}
	if len(p.marks) < p.most/2 {
		smaller := make(map[print]M, len(p.marks))
		for id, m := range p.marks {
			smaller[id] = m
		}
		p.marks, p.most = smaller, len(smaller)
	}
	return gone
}

// size returns how many marks there are.
func (s *set[M]) size() int { return int(s.count.Load()) }

// all yields the marks. It copies one part after the other, so that nobody waits for who looks at them.
func (s *set[M]) all() iter.Seq2[print, M] {
	return func(yield func(print, M) bool) {
		for i := range s.parts {
			for _, pair := range s.parts[i].copied() {
				if !yield(pair.print, pair.mark) {
					return
				}
			}
		}
	}
}

type pair[M any] struct {
	print print
	mark  M
}

func (p *part[M]) copied() []pair[M] {
	p.RLock()
	defer p.RUnlock()
	pairs := make([]pair[M], 0, len(p.marks))
	for id, m := range p.marks {
		pairs = append(pairs, pair[M]{id, m})
	}
	return pairs
}
