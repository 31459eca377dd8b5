package passwd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-auth/gatehouse"
)

// The errors of a [Hasher]. That a password is wrong is gatehouse.ErrLogin; these are what else can be. Only a password that is too long is somebody's
// own fault: the other errors wrap neither gatehouse.ErrAnonymous nor gatehouse.ErrCredential, so that a guard never says "wrong password": it answers 503 if a carrier returns
// them, and 503 (ErrBusy) or 500 if a handler does.
var (
	// ErrBusy wraps gatehouse.ErrUnavailable: so many passwords are being checked that this one is not even put into the queue. The caller may try again in a
	// second.
	ErrBusy = fmt.Errorf("passwd: too many passwords are being checked at once: %w", gatehouse.ErrUnavailable)
	// ErrFormat: the stored hash is of no known format, is damaged, or asks for more work than a hash may. Nothing of it stands in the message. It was
	// not compared, and no password will help: whoever runs the system must see it in the log.
	ErrFormat = errors.New("passwd: the stored hash cannot be checked")
	// ErrLength: the password is empty or longer than [MaxBytes]. [Hasher.Verify] wraps gatehouse.ErrLogin as well, since no account can have such a password.
	ErrLength = fmt.Errorf("passwd: the password is empty or longer than %d bytes", MaxBytes)
)

// MaxBytes is the length in bytes over which a password is refused before any work.
const MaxBytes = 1 << 10

// What new hashes have, in bytes.
const (
	saltLength = 16
	tagLength  = 32
)

const (
	maxPepperID   = 8
	minPepperSize = 32
	queuePerSlot  = 16
)

// A Config says how a [Hasher] works. The zero Config is good.
type Config struct {
	// Params are the costs of new hashes. What is zero in it has its default, see [DefaultParams].
	Params Params
	// InsecureParams lets Params be cheaper than a password hash has to be. It is for tests, which make many.
	InsecureParams bool
	// Parallel is how many hashes are worked at at once: their memory is Parallel × Params.Memory. A hash of another system that needs more memory or more
	// threads than Params counts for several. Zero means the number of processors that Go uses.
	Parallel int
	// Queue is how many callers may wait for their turn; who comes then gets ErrBusy. Zero means 16 for each of Parallel, negative that nobody waits.
	Queue int
	// Peppers are keys that are not in the database: without them stolen hashes cannot even be tried. The first is for new hashes, the others are for
	// hashes that exist, which are made anew as their owners log in. A pepper that is lost locks everybody out. None: hashes without pepper.
	Peppers []Pepper
}

// A Pepper is a secret key that is mixed into passwords before they are hashed (HMAC-SHA-256).
type Pepper struct {
	// ID stands in each hash that is made with the pepper: 1 to 8 letters and digits.
	ID string
	// Secret has at least 32 bytes, and should be random.
	Secret gatehouse.Secret
}

// A Hasher makes and verifies password hashes, a few at a time. It is safe for concurrent use.
type Hasher struct {
	params  Params
	peppers []Pepper
	slots   *slots
	dummy   stored
	// observe is told how much memory in KiB work is going to take, and, as a negative number, that it has been done. For tests.
	observe func(memory int)
}

// New returns a Hasher. The error says what is wrong with c.
func New(c Config) (*Hasher, error) {
	c.Params = c.Params.orDefault()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("passwd: %w", err)
	}
	if c.Parallel == 0 {
		c.Parallel = runtime.GOMAXPROCS(0)
	}
	if c.Queue == 0 {
		c.Queue = queuePerSlot * c.Parallel
	}
	h := &Hasher{params: c.Params, peppers: c.Peppers, slots: newSlots(c.Parallel, max(c.Queue, 0)), observe: func(int) {}}
	// The hash of nobody's password: whoever is not known costs what a new account costs. Nobody has searched for a password that fits, and a match would
	// count for nothing.
	dummy, err := parse(h.encode(random(saltLength), random(tagLength)), h.peppers)
	if err != nil {
		return nil, fmt.Errorf("passwd: a new hash cannot be read: %w", err)
	}
	h.dummy = dummy
	return h, nil
}

func (c Config) check() error {
	if c.Parallel < 0 {
		return errors.New("the Config has a negative Parallel")
	}
	if err := c.Params.check(); err != nil {
		return fmt.Errorf("the Params cannot be: %w", err)
	}
	if err := c.Params.strong(); err != nil && !c.InsecureParams {
		return fmt.Errorf("%s is %w", c.Params, err)
	}
	seen := map[string]bool{}
	for _, p := range c.Peppers {
		if err := p.check(); err != nil {
			return err
		}
		if seen[p.ID] {
			return fmt.Errorf("two peppers have the ID %q", p.ID)
		}
		seen[p.ID] = true
	}
	return nil
}

func (p Pepper) check() error {
	odd := func(c rune) bool { return !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') }
	switch {
	case p.ID == "" || len(p.ID) > maxPepperID || strings.ContainsFunc(p.ID, odd):
		return fmt.Errorf("the ID %q of a pepper is not 1 to %d letters and digits", p.ID, maxPepperID)
	case len(p.Secret.Reveal()) < minPepperSize:
		return fmt.Errorf("the pepper %q has less than %d bytes", p.ID, minPepperSize)
	}
	return nil
}

// Params returns the costs of new hashes.
func (h *Hasher) Params() Params { return h.params }

// Load returns how many slots of Config.Parallel are taken, and how many callers wait: for metrics.
func (h *Hasher) Load() (taken, waiting int) { return h.slots.load() }

// Hash returns the hash of a new password, to be stored. Ask [Policy.Check] first whether the password is worth it. The error is ErrLength, or ErrBusy,
// or wraps ctx's if ctx ends while the call waits for its turn; once it is being worked at, a hash is made to its end.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if password == "" || len(password) > MaxBytes {
		return "", ErrLength
	}
	release, err := h.slots.acquire(ctx, 1)
	if err != nil {
		return "", err
	}
	defer release()
	return h.hash(password), nil
}

// A Result is what [Hasher.Verify] knows of a hash whose password was right.
type Result struct {
	// Rehash: the hash should be replaced by a new one, since it is of another system or cost less than new ones. [Hasher.Login] does it.
	Rehash bool
	// Reason says why, for people.
	Reason string
}

// Verify says whether password is that of a stored hash: nil means that it is, and an error that wraps gatehouse.ErrLogin that it is not. Any other
// error (ErrBusy, ErrFormat, ctx's) means that it was not found out, and must not be answered as a wrong password.
//
// For a user who is not known, or has no password, give the empty hash: the answer is the same error after the same work, which is that of a new
// hash. So is that of hashes that begin with "!" or "*", as other systems write "has no password".
func (h *Hasher) Verify(ctx context.Context, hash, password string) (Result, error) {
	result, _, err := h.verify(ctx, hash, password, false)
	return result, err
}

// Login is [Hasher.Verify], and makes the new hash if there should be one: renewed is what to store in the place of hash, or "" if there is nothing to
// store. Replace the hash only if it is still the one that was verified, or a change of the password in between would be undone.
func (h *Hasher) Login(ctx context.Context, hash, password string) (renewed string, err error) {
	_, renewed, err = h.verify(ctx, hash, password, true)
	return renewed, err
}

func (h *Hasher) verify(ctx context.Context, hash, password string, renew bool) (Result, string, error) {
	if len(password) > MaxBytes {
		return Result{}, "", fmt.Errorf("%w: %w", gatehouse.ErrLogin, ErrLength)
	}
	s, known := h.dummy, !unset(hash) && password != ""
	if !unset(hash) {
		var err error
		if s, err = parse(hash, h.peppers); err != nil {
			return Result{}, "", err
		}
	}
	release, err := h.slots.acquire(ctx, h.need(s))
	if err != nil {
		return Result{}, "", err
	}
	defer release()
	reason, err := h.compare(s, password)
	if err != nil {
		return Result{}, "", err
	}
	if !known {
		return Result{}, "", gatehouse.ErrLogin
	}
	result := Result{reason != "", reason}
	if !result.Rehash || !renew {
		return result, "", nil
	}
	return result, h.hash(password), nil
}

// compare does the work. The error is gatehouse.ErrLogin if the password is wrong; reason says why the hash is out of date.
func (h *Hasher) compare(s stored, password string) (reason string, err error) {
	for _, spelling := range spellings(password) {
		ok, err := h.work(s, spelling)
		if err != nil {
			return "", err
		}
		if !ok {
			continue
		}
		if reason = s.outdated(h.params, h.pepper().ID); reason == "" && !norm.NFC.IsNormalString(spelling) {
			reason = "its password was not normalised"
		}
		return reason, nil
	}
	return "", gatehouse.ErrLogin
}

// work runs the matcher of s.
func (h *Hasher) work(s stored, password string) (bool, error) {
	h.observe(int(s.memory))
	defer h.observe(-int(s.memory))
	return s.match(password)
}

// hash makes a new hash. The caller has a slot.
func (h *Hasher) hash(password string) string {
	h.observe(int(h.params.Memory))
	defer h.observe(-int(h.params.Memory))
	salt, p := random(saltLength), h.params
	return h.encode(salt, argon2.IDKey(h.pepper().season(normal(password)), salt, p.Time, p.Memory, p.Threads, tagLength))
}

func (h *Hasher) encode(salt, tag []byte) string {
	return encodeArgon(h.params, h.pepper().ID, salt, tag)
}

// pepper returns the one for new hashes, or the zero Pepper.
func (h *Hasher) pepper() Pepper {
	if len(h.peppers) == 0 {
		return Pepper{}
	}
	return h.peppers[0]
}

// need is how many slots verifying s takes.
func (h *Hasher) need(s stored) int {
	memory := (s.memory + h.params.Memory - 1) / h.params.Memory
	threads := (uint32(s.threads) + uint32(h.params.Threads) - 1) / uint32(h.params.Threads)
	return int(max(memory, threads))
}

// normal is how a password is hashed: an "é" is the same whether a keyboard sends it as one character or as two (Unicode NFC). Nothing else is
// changed: not case, not spaces.
func normal(password string) string { return norm.NFC.String(password) }

// spellings are what a password may have been hashed as: as we do, and as it came, which is what other systems do. For a known and for an unknown user
// they are equally many.
func spellings(password string) []string {
	if norm.NFC.IsNormalString(password) {
		return []string{password}
	}
	return []string{normal(password), password}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// An Info is what can be said of a hash without its password.
type Info struct {
	// Format is for example "argon2id", "bcrypt", "scrypt", "pbkdf2-sha256", "sha256_crypt".
	Format string
	// Cost is for example "m=19456,t=2,p=1", "cost=12", "ln=16,r=8,p=1", "i=600000", "rounds=535000".
	Cost string
}

// Inspect says what a hash is, without any work: for an import, which should refuse what could never be verified. The error wraps ErrFormat. A hash with
// a pepper is one that only a Hasher with that pepper can inspect: see [Hasher.Inspect].
func Inspect(hash string) (Info, error) {
	return inspect(hash, nil)
}

// Inspect is the function of the same name, with the Hasher's peppers.
func (h *Hasher) Inspect(hash string) (Info, error) {
	return inspect(hash, h.peppers)
}

func inspect(hash string, peppers []Pepper) (Info, error) {
	if unset(hash) {
		return Info{}, malformed("it says that there is no password")
	}
	s, err := parse(hash, peppers)
	if err != nil {
		return Info{}, err
	}
	return Info{s.format, s.cost}, nil
}
