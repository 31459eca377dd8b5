// Package limit keeps a budget of refused requests for every client address.
//
//	l := limit.New(limit.Config{Budget: 20, Per: time.Minute})
//	if after, blocked := l.Blocked(addr); blocked { … 429, Retry-After … }
//	… judge the request …
//	l.Refused(addr) // only if it was refused
//
// An address may be refused Budget times at once; the budget then comes back evenly, one request every Per/Budget. Until
// the next one is back the address is blocked, so that guessing stops before anything is looked up. Requests that are
// granted cost nothing. A limiter never blocks for longer than Per/Budget after the last refusal that it was told of.
//
// Memory is allocated once and never grows: a table of small buckets, chosen by a hash with a secret seed. In a full
// bucket the least indebted address gives way, but never one that is blocked (CVE-2024-21662: a flood of other keys made
// a limiter forget). When all addresses of a bucket are blocked, a new one is not counted: the limiter would rather
// miss an address than lock one out or let one go.
//
// The algorithm is GCRA: one integer for each address, the time at which its debt is paid.
package limit

import (
	"hash/maphash"
	"math/bits"
	"net/netip"
	"sync"
	"time"
)

// DefaultMaxKeys is the number of addresses that are remembered if Config does not say.
const DefaultMaxKeys = 65536

const (
	ways      = 8       // addresses in a bucket, all looked at
	maxShards = 64      // locks
	longest   = 1 << 60 // nanoseconds, 36 years: what Config.Per can mean, so that no sum overflows
	epoch     = 1 << 61 // the limiter's own time at New, so that a clock may go back and stay positive
)

// Config says how many refusals an address has.
type Config struct {
	// Budget is the number of refused requests an address may have at once. Zero or less turns the limiter off.
	Budget int
	// Per is the time in which a whole budget comes back. Zero or less means one minute.
	Per time.Duration
	// MaxKeys bounds the addresses that are remembered at once, at 16 bytes each. Zero or less means
	// [DefaultMaxKeys]; it is rounded up to eight times a power of two.
	MaxKeys int
	// Now is the clock; nil means time.Now. It may jump either way: a jump forward forgives, a jump back prolongs
	// no block.
	Now func() time.Time
}

// A Limiter counts refused requests by address. All methods may be called at the same time, and on a nil Limiter, which
// never blocks.
type Limiter struct {
	now    func() time.Time
	start  time.Time
	step   int64 // nanoseconds until one request of the budget is back
	window int64 // the debt of an address without any budget left
	seed   maphash.Seed
	mask   uint64 // of bucket numbers
	shards []shard
}

// A shard is some of the buckets behind one lock.
type shard struct {
	mu      sync.Mutex
	buckets []bucket
	_       [64]byte // locks of two shards must not share a cache line
}

type bucket [ways]debt

// A debt is what is known of one address. One that is paid is as good as an empty place.
type debt struct {
	key  uint64
	paid int64 // the limiter's time at which nothing is owed any more
}

// New returns a limiter in which nobody is blocked.
func New(c Config) *Limiter {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Per <= 0 {
		c.Per = time.Minute
	}
	if c.MaxKeys <= 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	l := &Limiter{now: c.Now, start: c.Now()}
	if c.Budget > 0 {
		per := min(int64(c.Per), longest)
		l.step = max(1, per/int64(c.Budget))
		l.window = l.step * min(int64(c.Budget), per) // at most per
		l.allocate(c.MaxKeys)
	}
	return l
}

func (l *Limiter) allocate(keys int) {
	buckets := ceilPower((keys + ways - 1) / ways)
	shards := min(maxShards, buckets)
	l.seed, l.mask, l.shards = maphash.MakeSeed(), uint64(buckets-1), make([]shard, shards)
	for i := range l.shards {
		l.shards[i].buckets = make([]bucket, buckets/shards)
	}
}

func ceilPower(n int) int { return 1 << bits.Len(uint(max(1, n)-1)) }

// Blocked reports whether addr has used up its budget, and after what time, more than zero, it will have one request
// again. It spends nothing. An address that is not valid (a peer on a Unix socket) is never blocked.
func (l *Limiter) Blocked(addr netip.Addr) (retryAfter time.Duration, blocked bool) {
	key, ok := l.key(addr)
	if !ok {
		return 0, false
	}
	now := l.time()
	s, b := l.bucket(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := b.find(key, now)
	if d == nil {
		return 0, false
	}
	d.paid = min(d.paid, now+l.window) // more only after the clock went back
	wait := d.paid - (now + l.window - l.step)
	return time.Duration(max(0, wait)), wait > 0
}

// Refused spends one request of addr's budget. A request that is refused because its address is blocked must not be told:
// being blocked would last for ever. Refusals beyond the budget, told by requests that were under way, are forgotten.
func (l *Limiter) Refused(addr netip.Addr) {
	key, ok := l.key(addr)
	if !ok {
		return
	}
	now := l.time()
	s, b := l.bucket(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := b.find(key, now)
	if d == nil {
		d = b.place(now+l.window-l.step, now+l.window)
	}
	if d == nil {
		return
	}
	if d.key != key || d.paid < now {
		*d = debt{key: key, paid: now}
	}
	d.paid = min(d.paid+l.step, now+l.window)
}

// Len returns how many addresses have used some of their budget. It looks at the whole table: for metrics and tests.
func (l *Limiter) Len() int {
	if l == nil || l.step == 0 {
		return 0
	}
	n, now := 0, l.time()
	for i := range l.shards {
		n += l.shards[i].count(now)
	}
	return n
}

func (s *shard) count(now int64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.buckets {
		for _, d := range s.buckets[i] {
			if d.paid > now {
				n++
			}
		}
	}
	return n
}

// find returns the unpaid debt of key, or nil.
func (b *bucket) find(key uint64, now int64) *debt {
	for i := range b {
		if b[i].key == key && b[i].paid > now {
			return &b[i]
		}
	}
	return nil
}

// place returns where a new address may stand: the place of the smallest debt. It is nil if even that lies beyond
// blocked, the paid time from which on an address is blocked. No debt is greater than most, unless the clock went back.
func (b *bucket) place(blocked, most int64) *debt {
	least := &b[0]
	for i := range b {
		b[i].paid = min(b[i].paid, most)
		if b[i].paid < least.paid {
			least = &b[i]
		}
	}
	if least.paid > blocked {
		return nil
	}
	return least
}

func (l *Limiter) bucket(key uint64) (*shard, *bucket) {
	n := maphash.Comparable(l.seed, key) & l.mask
	shards := uint64(len(l.shards))
	s := &l.shards[n%shards]
	return s, &s.buckets[n/shards]
}

// time returns the limiter's time in nanoseconds. Clocks with a monotonic reading cannot go back.
func (l *Limiter) time() int64 {
	since := int64(l.now().Sub(l.start))
	return epoch + min(max(since, 1-epoch), epoch)
}

// key folds addr into what is counted: an IPv4 address, also one mapped into IPv6, or a /64 of IPv6, since whoever has
// one address there has them all. The zone is ignored.
func (l *Limiter) key(addr netip.Addr) (key uint64, ok bool) {
	if l == nil || l.step == 0 || !addr.IsValid() {
		return 0, false
	}
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		return ipv4 | uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3]), true
	}
	b := addr.As16()
	for _, c := range b[:8] {
		key = key<<8 | uint64(c)
	}
	return key, true
}

// ipv4 marks the key of an IPv4 address. As an IPv6 prefix it would be multicast with all flags and scopes set, which
// never sends anything.
const ipv4 = 0xffffffff << 32
