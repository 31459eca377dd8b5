package passwd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
)

// cheap are costs for tests, which make many hashes.
var cheap = Config{Params: Params{Memory: 64, Time: 1, Threads: 1}, InsecureParams: true}

// newHasher returns a Hasher of c, and the memory that each piece of its work took, in KiB.
func newHasher(t testing.TB, c Config) (*Hasher, *ledger) {
	t.Helper()
	h, err := New(c)
	if err != nil {
		t.Fatalf("New(%+v) = %v", c, err)
	}
	l := &ledger{}
	h.observe = l.enter
	return h, l
}

// A ledger writes down what work is done.
type ledger struct {
	mu        sync.Mutex
	all       []int // the memory of each piece of work
	now, most int   // the memory of what is worked at at once
	running   int
	crowd     int           // the most that ran at once
	gate      chan struct{} // each piece of work takes one value from it, if it is not nil
}

func (l *ledger) enter(memory int) {
	l.mu.Lock()
	l.now += memory
	l.most = max(l.most, l.now)
	gate := l.gate
	if memory < 0 {
		l.running--
		l.mu.Unlock()
		return
	}
	l.all = append(l.all, memory)
	l.running++
	l.crowd = max(l.crowd, l.running)
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// work returns what has been done, and forgets it.
func (l *ledger) work() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := l.all
	l.all = nil
	return done
}

func mustHash(t testing.TB, h *Hasher, password string) string {
	t.Helper()
	hash, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatalf("Hash = %v", err)
	}
	return hash
}

// outcome is what Verify says, in one word.
func outcome(r Result, err error) string {
	switch {
	case err == nil && r.Rehash:
		return "rehash"
	case err == nil:
		return "right"
	case errors.Is(err, ErrLength) && errors.Is(err, gatehouse.ErrLogin):
		return "wrong length"
	case errors.Is(err, gatehouse.ErrLogin):
		return "wrong"
	case errors.Is(err, gatehouse.ErrCredential), errors.Is(err, gatehouse.ErrAnonymous):
		return "the wrong kind of error"
	case errors.Is(err, ErrFormat):
		return "format"
	case errors.Is(err, ErrBusy):
		return "busy"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return err.Error()
}

func TestHashIsAPHCString(t *testing.T) {
	h, _ := newHasher(t, Config{})
	hash := mustHash(t, h, "correct horse battery staple")
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") || len(hash) != len("$argon2id$v=19$m=19456,t=2,p=1$")+22+1+43 {
		t.Errorf("Hash = %q, want argon2id with the default parameters, a salt of 16 and a hash of 32 bytes", hash)
	}
	if again := mustHash(t, h, "correct horse battery staple"); again == hash {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	if got := outcome(h.Verify(t.Context(), hash, "correct horse battery staple")); got != "right" {
		t.Errorf("Verify of a hash just made = %s, want right", got)
	}
}

func TestPasswordsAreTakenAsTheyCome(t *testing.T) {
	h, _ := newHasher(t, cheap)
	for password, others := range map[string][]string{
		"Correct horse":           {"correct horse", "Correct horse ", " Correct horse", "Correct  horse", "Correct horse\x00", "Correct\x00horse", "Correct horse\n", "Correct hors", "C", ""},
		strings.Repeat("x", 72):   {strings.Repeat("x", 71), strings.Repeat("x", 73)},
		strings.Repeat("x", 73):   {strings.Repeat("x", 72), strings.Repeat("x", 72) + "y", strings.Repeat("x", 74)},
		strings.Repeat("🔑", 128):  {strings.Repeat("🔑", 127), strings.Repeat("🔑", 129)},
		strings.Repeat("x", 1024): {strings.Repeat("x", 1023), strings.Repeat("x", 1023) + "y"},
		"a\x00b":                  {"a", "a\x00", "a\x00c", "ab"},
		"pässwörd":                {"passwörd", "password", "PÄSSWÖRD"},
		"ﬁsh":                     {"fish"}, // a ligature is not its letters: that would be NFKC
		"\xff\xfe latin":          {"\xff latin", "\uFFFD\uFFFD latin"},
		" ":                       {"", "  ", "\t", "\u00a0"},
	} {
		hash := mustHash(t, h, password)
		if got := outcome(h.Verify(t.Context(), hash, password)); got != "right" {
			t.Errorf("Verify(hash of %q, the same) = %s, want right", password, got)
		}
		for _, other := range others {
			if got := outcome(h.Verify(t.Context(), hash, other)); got != "wrong" {
				t.Errorf("Verify(hash of %q, %q) = %s, want wrong", password, other, got)
			}
		}
	}
}

func TestNormalisation(t *testing.T) {
	const composed, apart = "caf\u00e9 cr\u00e8me", "cafe\u0301 cre\u0300me"
	h, work := newHasher(t, cheap)
	for _, password := range []string{composed, apart} {
		hash := mustHash(t, h, password)
		for _, typed := range []string{composed, apart} {
			if got := outcome(h.Verify(t.Context(), hash, typed)); got != "right" {
				t.Errorf("Verify(hash of %+q, %+q) = %s, want right", password, typed, got)
			}
		}
	}
	// Another system has hashed what came.
	foreign := encodeArgon(cheap.Params, "", []byte("0123456789abcdef"), argonTag(cheap.Params, apart, "0123456789abcdef"))
	if got, err := h.Verify(t.Context(), foreign, apart); err != nil || !got.Rehash || got.Reason != "its password was not normalised" {
		t.Errorf("Verify(hash of the raw password) = %+v, %v, want that the hash is made anew", got, err)
	}
	renewed, err := h.Login(t.Context(), foreign, apart)
	if err != nil || outcome(h.Verify(t.Context(), renewed, composed)) != "right" {
		t.Errorf("Login(hash of the raw password) = %q, %v, want a hash that both spellings fit", renewed, err)
	}
	// Who guesses learns nothing from the second spelling: it is tried for everybody.
	work.work()
	for _, hash := range []string{"", mustHash(t, h, "another one")} {
		work.work()
		if got := outcome(h.Verify(t.Context(), hash, apart)); got != "wrong" {
			t.Errorf("Verify(%q) = %s, want wrong", hash, got)
		}
		if done := work.work(); !slices.Equal(done, []int{64, 64}) {
			t.Errorf("a wrong password that is not normal costs %v, want two hashes", done)
		}
	}
}

func TestLength(t *testing.T) {
	h, work := newHasher(t, cheap)
	hash := mustHash(t, h, "right")
	work.work()
	for _, password := range []string{"", strings.Repeat("x", 1025), strings.Repeat("x", 1<<22)} {
		if _, err := h.Hash(t.Context(), password); !errors.Is(err, ErrLength) || errors.Is(err, gatehouse.ErrLogin) {
			t.Errorf("Hash(%d bytes) = %v, want ErrLength", len(password), err)
		}
	}
	for _, stored := range []string{hash, "", "nonsense"} {
		if got := outcome(h.Verify(t.Context(), stored, strings.Repeat("x", 1025))); got != "wrong length" {
			t.Errorf("Verify(%.9q, 1025 bytes) = %s, want wrong length, whoever it is", stored, got)
		}
	}
	if done := work.work(); done != nil {
		t.Errorf("passwords of impossible lengths cost %v, want nothing", done)
	}
}

// TestUnknownUser: nobody, somebody without a password, and a wrong password are the same error after the same work.
func TestUnknownUser(t *testing.T) {
	config := cheap
	config.Params = Params{Memory: 128, Time: 3, Threads: 1}
	h, work := newHasher(t, config)
	if h.dummy.match == nil || h.dummy.own.params != h.params || h.dummy.own.tag != tagLength || h.dummy.own.salt != saltLength {
		t.Fatalf("the dummy is %+v, want a hash of the live parameters", h.dummy)
	}
	hash := mustHash(t, h, "right")
	work.work()
	_, wrong := h.Verify(t.Context(), hash, "guess")
	want := work.work()
	if wrong == nil || !slices.Equal(want, []int{128}) {
		t.Fatalf("a wrong password = %v after the work %v, want an error after one hash of 128 KiB", wrong, want)
	}
	for _, stored := range []string{"", "!", "*", "!!", "!$6$saltstring$locked", "*LK*", "!iegTq3ZnLh0YZTVEIcTmHQMbNt7cUPyYlbgrRCZr"} {
		for _, password := range []string{"guess", "", "!", stored} {
			result, err := h.Verify(t.Context(), stored, password)
			if err == nil || err.Error() != wrong.Error() || !errors.Is(err, gatehouse.ErrLogin) || result.Rehash || result.Reason != "" {
				t.Errorf("Verify(%q, %q) = %+v, %v, want exactly what a wrong password gives: %v", stored, password, result, err, wrong)
			}
			if done := work.work(); !slices.Equal(done, want) {
				t.Errorf("Verify(%q, %q) costs %v, a wrong password %v", stored, password, done, want)
			}
			if renewed, err := h.Login(t.Context(), stored, password); renewed != "" || !errors.Is(err, gatehouse.ErrLogin) {
				t.Errorf("Login(%q, %q) = %q, %v, want no hash and ErrLogin", stored, password, renewed, err)
			}
			work.work()
		}
	}
}

// TestADummyThatFits: a password that fits the dummy lets nobody in (as "hunter2" did elsewhere).
func TestADummyThatFits(t *testing.T) {
	h, _ := newHasher(t, cheap)
	h.dummy.match = func(string) (bool, error) { return true, nil }
	for _, stored := range []string{"", "!", "*"} {
		if got := outcome(h.Verify(t.Context(), stored, "hunter2")); got != "wrong" {
			t.Errorf("Verify(%q, what fits the dummy) = %s, want wrong", stored, got)
		}
	}
}

// TestAnEmptyPasswordIsWrong, even for a hash of the empty password that another system has made.
func TestAnEmptyPasswordIsWrong(t *testing.T) {
	h, _ := newHasher(t, cheap)
	empty := encodeArgon(cheap.Params, "", []byte("0123456789abcdef"), argonTag(cheap.Params, "", "0123456789abcdef"))
	for _, stored := range []string{empty, "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"} {
		if s, err := parse(stored, nil); err != nil {
			t.Errorf("parse(%q) = %v", stored, err)
		} else if ok, err := s.match(""); !ok || err != nil {
			t.Errorf("%q is not a hash of the empty password: this test sees nothing", stored)
		}
		if got := outcome(h.Verify(t.Context(), stored, "")); got != "wrong" {
			t.Errorf("Verify(hash of the empty password, \"\") = %s, want wrong", got)
		}
	}
}

func TestRehash(t *testing.T) {
	const password = "correct horse"
	at := func(m, t uint32, p uint8) Config {
		return Config{Params: Params{Memory: m, Time: t, Threads: p}, InsecureParams: true}
	}
	for _, test := range []struct {
		old, now Config
		want     string
	}{
		{at(64, 1, 1), at(64, 1, 1), "right"},
		{at(64, 1, 1), at(128, 1, 1), "rehash"},
		{at(64, 1, 1), at(64, 2, 1), "rehash"},
		{at(128, 1, 1), at(64, 2, 1), "rehash"},
		{at(128, 2, 1), at(64, 1, 1), "right"}, // parameters that were lowered make no work
		{at(64, 1, 4), at(64, 1, 1), "right"},
		{at(64, 1, 1), at(64, 1, 4), "right"},
	} {
		old, _ := newHasher(t, test.old)
		now, work := newHasher(t, test.now)
		hash := mustHash(t, old, password)
		got, err := now.Verify(t.Context(), hash, password)
		if done := work.work(); len(done) != 1 {
			t.Errorf("Verify costs %v, want one hash: only Login makes a new one", done)
		}
		if outcome(got, err) != test.want || got.Rehash != (got.Reason != "") {
			t.Errorf("a hash of %s where new ones are %s = %+v, %v, want %s", old.params, now.params, got, err, test.want)
		}
		renewed, err := now.Login(t.Context(), hash, password)
		if err != nil || (renewed != "") != got.Rehash {
			t.Errorf("Login with a hash of %s where new ones are %s = %q, %v", old.params, now.params, renewed, err)
		}
		if renewed != "" && outcome(now.Verify(t.Context(), renewed, password)) != "right" {
			t.Errorf("the renewed hash %q is not right, or to be made anew again", renewed)
		}
		if renewed, err := now.Login(t.Context(), hash, password+"!"); renewed != "" || !errors.Is(err, gatehouse.ErrLogin) {
			t.Errorf("Login with a wrong password = %q, %v, want no hash and ErrLogin", renewed, err)
		}
	}
}

func TestShortSaltsAndHashesAreRenewed(t *testing.T) {
	h, _ := newHasher(t, cheap)
	for _, test := range []struct {
		salt string
		tag  int
		want string
	}{{"0123456789abcdef", 32, "right"}, {"0123456789abcde", 32, "rehash"}, {"0123456789abcdef", 31, "rehash"}, {"0123456789abcdef", 64, "right"}} {
		hash := encodeArgon(cheap.Params, "", []byte(test.salt), argonTagOf(cheap.Params, "pw", test.salt, test.tag))
		if got := outcome(h.Verify(t.Context(), hash, "pw")); got != test.want {
			t.Errorf("Verify(salt of %d, hash of %d bytes) = %s, want %s", len(test.salt), test.tag, got, test.want)
		}
	}
}

// TestArgon2iIsRenewed, also if it cost as much.
func TestArgon2iIsRenewed(t *testing.T) {
	h, _ := newHasher(t, cheap)
	const salt = "0123456789abcdef"
	tag := argon2.Key([]byte("pw"), []byte(salt), cheap.Params.Time, cheap.Params.Memory, cheap.Params.Threads, tagLength)
	hash := strings.Replace(encodeArgon(cheap.Params, "", []byte(salt), tag), "argon2id", "argon2i", 1)
	if got, err := h.Verify(t.Context(), hash, "pw"); err != nil || got.Reason != "it is argon2i, new hashes are argon2id" {
		t.Errorf("Verify(argon2i) = %+v, %v, want that it is made anew", got, err)
	}
	if got := outcome(h.Verify(t.Context(), strings.Replace(hash, "argon2i$", "argon2id$", 1), "pw")); got != "wrong" {
		t.Errorf("Verify(argon2i that says it is argon2id) = %s, want wrong", got)
	}
}

func TestPepper(t *testing.T) {
	key := func(id, fill string) Pepper { return Pepper{id, gatehouse.NewSecret(strings.Repeat(fill, 32))} }
	with := func(peppers ...Pepper) *Hasher {
		c := cheap
		c.Peppers = peppers
		h, _ := newHasher(t, c)
		return h
	}
	none, one, turned, two := with(), with(key("k1", "a")), with(key("k2", "b"), key("k1", "a")), with(key("k2", "b"))
	other := with(key("k1", "x"))
	plain, old := mustHash(t, none, "pw"), mustHash(t, one, "pw")
	if !strings.Contains(old, ",keyid=azE$") || strings.Contains(old, strings.Repeat("a", 32)) {
		t.Errorf("Hash = %q, want the pepper's ID in it and nothing of its secret", old)
	}
	for _, test := range []struct {
		name string
		h    *Hasher
		hash string
		want string
	}{
		{"made with it", one, old, "right"},
		{"made before there was one", one, plain, "rehash"},
		{"made with one that was turned", turned, old, "rehash"},
		{"made with one that is gone", two, old, "format"},
		{"made with one, and there is none now", none, old, "format"},
		{"the same ID, another secret", other, old, "wrong"},
		{"without its ID", one, strings.Replace(old, ",keyid=azE", "", 1), "wrong"},
		{"an ID for a hash that has none", one, strings.Replace(plain, ",p=1", ",p=1,keyid=azE", 1), "wrong"},
	} {
		if got := outcome(test.h.Verify(t.Context(), test.hash, "pw")); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if got := outcome(test.h.Verify(t.Context(), test.hash, "pW")); test.want != "format" && got != "wrong" {
			t.Errorf("%s, and a wrong password: %s, want wrong", test.name, got)
		}
	}
	if one.dummy.own.pepper != "k1" {
		t.Error("the dummy has no pepper: an unknown user costs less")
	}
	if info, err := one.Inspect(old); err != nil || info.Format != "argon2id" {
		t.Errorf("Inspect = %+v, %v, want argon2id", info, err)
	}
	if _, err := Inspect(old); !errors.Is(err, ErrFormat) {
		t.Errorf("Inspect without the pepper = %v, want ErrFormat", err)
	}
}

func TestNewRefuses(t *testing.T) {
	long := gatehouse.NewSecret(strings.Repeat("s", 32))
	params := func(m, t uint32, p uint8) Config { return Config{Params: Params{m, t, p}} }
	insecure := func(m, t uint32, p uint8) Config { return Config{Params: Params{m, t, p}, InsecureParams: true} }
	for _, test := range []struct {
		c    Config
		want string // of the error; "" none
	}{
		{Config{}, ""},
		{params(47104, 1, 1), ""}, {params(19456, 2, 1), ""}, {params(12288, 3, 1), ""}, {params(9216, 4, 1), ""}, {params(7168, 5, 1), ""}, {params(65536, 3, 4), ""},
		{params(19456, 1, 1), "less than a password hash has to cost"},
		{params(7167, 6, 1), "less than a password hash has to cost"},
		{params(64, 1, 1), "less than a password hash has to cost"},
		{params(8, 64, 1), "less than a password hash has to cost"},
		{insecure(64, 1, 1), ""},
		{insecure(7, 1, 1), "7 KiB of memory"},
		{insecure(8, 1, 2), "8 KiB of memory, and not 16"},
		{params(262145, 1, 1), "262145 KiB of memory"},
		{params(262144, 5, 1), "5 passes over 262144 KiB"},
		{params(19456, 65, 1), "65 passes"},
		{params(19456, 2, 17), "17 threads"},
		{Config{Parallel: -1}, "a negative Parallel"},
		{Config{Queue: -1}, ""},
		{Config{Peppers: []Pepper{{"k1", long}}}, ""},
		{Config{Peppers: []Pepper{{"", long}}}, `the ID "" of a pepper`},
		{Config{Peppers: []Pepper{{"k,1", long}}}, `the ID "k,1" of a pepper`},
		{Config{Peppers: []Pepper{{"k12345678", long}}}, `the ID "k12345678" of a pepper`},
		{Config{Peppers: []Pepper{{"k1", long}, {"k1", long}}}, `two peppers have the ID "k1"`},
		{Config{Peppers: []Pepper{{"k1", gatehouse.NewSecret("short")}}}, `the pepper "k1" has less than 32 bytes`},
		{Config{Peppers: []Pepper{{"k1", gatehouse.Secret{}}}}, `the pepper "k1" has less than 32 bytes`},
	} {
		_, err := New(test.c)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("New(%+v) = %v, want %q", test.c, err, test.want)
		}
	}
	h, err := New(Config{Params: Params{Time: 4}})
	if err != nil || h.Params() != (Params{19456, 4, 1}) {
		t.Errorf("New with four passes has %v, %v, want the default for what is not said", h.Params(), err)
	}
}

// TestWorkIsBounded: at most Parallel hashes at once, at most Parallel × their memory, the queue as long as it may be, and all are answered in the end.
func TestWorkIsBounded(t *testing.T) {
	outdated, _ := newHasher(t, Config{Params: Params{Memory: 32, Time: 1, Threads: 1}, InsecureParams: true})
	old := mustHash(t, outdated, "right")
	for name, ask := range map[string]func(context.Context, *Hasher) error{
		"verify":  func(ctx context.Context, h *Hasher) error { _, err := h.Verify(ctx, old, "wrong"); return err },
		"unknown": func(ctx context.Context, h *Hasher) error { _, err := h.Verify(ctx, "", "guess"); return err },
		"hash":    func(ctx context.Context, h *Hasher) error { _, err := h.Hash(ctx, "new"); return err },
		"renew":   func(ctx context.Context, h *Hasher) error { _, err := h.Login(ctx, old, "right"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { bounded(t, func(h *Hasher) error { return ask(t.Context(), h) }) })
		})
	}
}

// bounded asks 20 times at once.
func bounded(t *testing.T, ask func(*Hasher) error) {
	c := cheap
	c.Parallel, c.Queue = 3, 10
	h, work := newHasher(t, c)
	work.gate = make(chan struct{})
	answers := make(chan error, 20)
	for range 20 {
		go func() { answers <- ask(h) }()
	}
	synctest.Wait()
	if taken, waiting := h.Load(); taken != 3 || waiting != 10 || len(answers) != 7 || work.running != 3 {
		t.Errorf("Load() = %d, %d with %d answered and %d at work, want 3 at work, 10 waiting, 7 sent away", taken, waiting, len(answers), work.running)
	}
	close(work.gate)
	busy := 0
	for range 20 {
		if err := <-answers; errors.Is(err, ErrBusy) {
			busy++
		} else if err != nil && !errors.Is(err, gatehouse.ErrLogin) {
			t.Errorf("an answer is %v", err)
		}
	}
	if busy != 7 {
		t.Errorf("%d were sent away, want 7", busy)
	}
	if work.crowd != 3 || work.most > 3*64 {
		t.Errorf("%d hashes and %d KiB at once, want 3 and at most 192", work.crowd, work.most)
	}
	synctest.Wait()
	if taken, waiting := h.Load(); taken != 0 || waiting != 0 {
		t.Errorf("Load() = %d, %d after the end, want nothing", taken, waiting)
	}
}

// TestForeignMemoryCounts: a hash of another system that needs more memory takes the place of several.
func TestForeignMemoryCounts(t *testing.T) {
	big, _ := newHasher(t, Config{Params: Params{Memory: 64 * 3, Time: 1, Threads: 1}, InsecureParams: true})
	huge, _ := newHasher(t, Config{Params: Params{Memory: 64 * 40, Time: 1, Threads: 1}, InsecureParams: true})
	wide, _ := newHasher(t, Config{Params: Params{Memory: 64, Time: 1, Threads: 2}, InsecureParams: true})
	for _, test := range []struct {
		name string
		hash string
		want int // how many of them are worked at at once
	}{
		{"as live", "", 4}, {"three times the memory", mustHash(t, big, "pw"), 1}, {"more than all memory", mustHash(t, huge, "pw"), 1}, {"two lanes", mustHash(t, wide, "pw"), 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := cheap
			c.Parallel = 4
			h, work := newHasher(t, c)
			work.gate = make(chan struct{})
			var all sync.WaitGroup
			for range 6 {
				all.Go(func() {
					if got := outcome(h.Verify(t.Context(), test.hash, "guess")); got != "wrong" {
						t.Errorf("%s: %s, want wrong", test.name, got)
					}
				})
			}
			synctest.Wait()
			close(work.gate)
			all.Wait()
			if work.crowd != test.want {
				t.Errorf("%s: %d at once, want %d", test.name, work.crowd, test.want)
			}
		})
	}
}

func TestContext(t *testing.T) {
	h, work := newHasher(t, cheap)
	hash := mustHash(t, h, "right")
	work.work()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := outcome(h.Verify(ctx, hash, "right")); got != "canceled" {
		t.Errorf("Verify with a context that has ended = %s, want canceled", got)
	}
	if _, err := h.Hash(ctx, "right"); !errors.Is(err, context.Canceled) {
		t.Errorf("Hash with a context that has ended = %v, want canceled", err)
	}
	if done := work.work(); done != nil {
		t.Errorf("nobody waits for it, and it cost %v", done)
	}
}

// TestAFailingMatcherDenies: what could not be compared is neither right nor wrong.
func TestAFailingMatcherDenies(t *testing.T) {
	h, _ := newHasher(t, cheap)
	broken := errors.New("out of order")
	for _, ok := range []bool{true, false} {
		s := h.dummy
		s.match = func(string) (bool, error) { return ok, broken }
		if reason, err := h.compare(s, "pw"); !errors.Is(err, broken) || errors.Is(err, gatehouse.ErrCredential) || reason != "" {
			t.Errorf("a matcher that fails (and says %v) = %q, %v, want its error", ok, reason, err)
		}
	}
}

// TestErrors: what is nobody's fault wraps nothing that the guard answers with 401.
func TestErrors(t *testing.T) {
	for _, err := range []error{ErrBusy, ErrFormat, ErrLength, fmt.Errorf("x: %w", ErrBusy)} {
		if errors.Is(err, gatehouse.ErrCredential) || errors.Is(err, gatehouse.ErrAnonymous) || errors.Is(err, gatehouse.ErrForbidden) {
			t.Errorf("%v wraps an error of the caller", err)
		}
	}
}

// TestAPanicGivesTheSlotBack: a fault in one log-in does not stop all others.
func TestAPanicGivesTheSlotBack(t *testing.T) {
	c := cheap
	c.Parallel = 1
	h, _ := newHasher(t, c)
	func() {
		defer func() { recover() }()
		h.dummy.match = func(string) (bool, error) { panic("a fault") }
		h.Verify(t.Context(), "", "pw")
	}()
	if taken, _ := h.Load(); taken != 0 {
		t.Errorf("%d slots are taken after a panic, want none", taken)
	}
}

// TestNoOtherPasswordVerifies: whatever is done to a password, it is another one, unless it is the same after normalisation.
func TestNoOtherPasswordVerifies(t *testing.T) {
	h, _ := newHasher(t, cheap)
	rapid.Check(t, func(r *rapid.T) {
		password := rapid.OneOf(rapid.StringN(1, 128, 512), rapid.StringMatching(`[a-c ]{1,8}`)).Draw(r, "password")
		hash := mustHash(t, h, password)
		if got := outcome(h.Verify(t.Context(), hash, password)); got != "right" {
			r.Fatalf("Verify(hash of %q, the same) = %s", password, got)
		}
		other := mutation(r, password)
		if normal(other) == normal(password) {
			return
		}
		if got := outcome(h.Verify(t.Context(), hash, other)); got != "wrong" {
			r.Fatalf("Verify(hash of %q, %q) = %s, want wrong", password, other, got)
		}
	})
}

// mutation makes another password of one.
func mutation(r *rapid.T, password string) string {
	at := rapid.IntRange(0, len(password)-1).Draw(r, "at")
	all := []string{
		password + " ", " " + password, password + "\x00", password + "\x00" + password, password[:at], password[at:], password[:at] + password[at+1:],
		password[:at] + "\x00" + password[at:], strings.ToUpper(password), strings.ToLower(password), strings.TrimSpace(password) + "x", password + password,
		rapid.StringN(0, 64, 256).Draw(r, "another"),
	}
	return rapid.SampledFrom(all).Draw(r, "mutation")
}
