package passwd

import (
	"errors"
	"fmt"
)

// Params are the costs of argon2id (RFC 9106).
type Params struct {
	// Memory is in KiB. Zero means 19456 (19 MiB).
	Memory uint32
	// Time is the number of passes over the memory. Zero means 2.
	Time uint32
	// Threads is the number of lanes, which run in parallel. Zero means 1: a server has other requests for its other processors.
	Threads uint8
}

// DefaultParams returns what new hashes cost unless a [Config] says otherwise: 19 MiB, two passes, one lane. That is what OWASP's Password Storage Cheat
// Sheet asks for at least, and some 30 ms of a processor; more is better where there is room for it, see [Calibrate].
func DefaultParams() Params { return Params{Memory: 19456, Time: 2, Threads: 1} }

// String returns the parameters as they stand in a hash.
func (p Params) String() string { return fmt.Sprintf("m=%d,t=%d,p=%d", p.Memory, p.Time, p.Threads) }

// The bounds of a hash that somebody else has made. They are judged before any work: what is over a bound is refused with [ErrFormat], and never
// tried. Each allows about two seconds of one processor, and twice what the systems around us use.
const (
	maxHash    = 512       // bytes of a whole hash
	minSalt    = 8         // bytes
	maxSalt    = 64        // bytes
	minTag     = 16        // bytes: a hash of one byte is right for every 256th password
	maxTag     = 64        // bytes
	maxMemory  = 256 << 10 // KiB, of argon2 and of scrypt
	maxPasses  = 64        // of argon2
	maxArgon   = 1 << 20   // KiB × passes
	maxThreads = 16        // of argon2 and of scrypt
	maxScrypt  = 1 << 21   // N × r × p
	maxBlock   = 32        // r of scrypt
	maxPBKDF2  = 5_000_000 // iterations × blocks of the output
	maxBcrypt  = 15        // 2^15 rounds
	minRounds  = 1000      // of SHA-crypt: its specification has no fewer
	maxRounds  = 1_000_000 // of SHA-crypt
	floorCost  = 35_840    // KiB × passes: the least of the settings of OWASP
	floorMem   = 7168      // KiB: the same
)

// check says what is wrong with parameters that somebody has chosen or that stand in a hash.
func (p Params) check() error {
	switch {
	case p.Time < 1 || p.Time > maxPasses:
		return fmt.Errorf("%d passes, and not 1 to %d", p.Time, maxPasses)
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("%d threads, and not 1 to %d", p.Threads, maxThreads)
	case p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory:
		return fmt.Errorf("%d KiB of memory, and not %d to %d", p.Memory, 8*uint32(p.Threads), maxMemory)
	case uint64(p.Memory)*uint64(p.Time) > maxArgon:
		return fmt.Errorf("%d passes over %d KiB, and not at most %d KiB in all", p.Time, p.Memory, maxArgon)
	}
	return nil
}

// errWeakParams is for parameters that are below what is worth storing.
var errWeakParams = errors.New("less than a password hash has to cost: 7168 KiB, and memory × passes of 35840 KiB")

// strong says whether new hashes may have the parameters.
func (p Params) strong() error {
	if p.Memory < floorMem || uint64(p.Memory)*uint64(p.Time) < floorCost {
		return errWeakParams
	}
	return nil
}

// orDefault replaces what is zero.
func (p Params) orDefault() Params {
	d := DefaultParams()
	if p.Memory == 0 {
		p.Memory = d.Memory
	}
	if p.Time == 0 {
		p.Time = d.Time
	}
	if p.Threads == 0 {
		p.Threads = d.Threads
	}
	return p
}
