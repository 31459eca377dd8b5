package revoke_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// TestCheck: after these revocations, this is what counts.
func TestCheck(t *testing.T) {
	c := newClock()
	l := loaded(t, &store{}, c)
	later := noon.Add(time.Hour)
	must(t, l.Revoke(t.Context(),
		revoke.Entry{Kind: revoke.Token, ID: "t1", Expires: later},
		revoke.Entry{Kind: revoke.Session, ID: "s1", Expires: later},
		revoke.Entry{Kind: revoke.Key, ID: "k1"},
		revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: noon},
		revoke.Entry{Kind: revoke.Token, ID: "\x00\xff", Expires: later},
	))
	after, before := noon, noon.Add(-time.Millisecond)
	for _, tt := range []struct {
		name  string
		claim revoke.Claim
		want  verdict
	}{
		{"its token", revoke.Claim{Token: "t1", Issued: after}, revoked},
		{"its token, and nothing else is known", revoke.Claim{Token: "t1"}, revoked},
		{"its session", revoke.Claim{Token: "t2", Session: "s1", Subject: "bob", Key: "k2", Issued: after}, revoked},
		{"its key", revoke.Claim{Token: "t2", Session: "s2", Key: "k1", Issued: after}, revoked},
		{"bytes that are no text", revoke.Claim{Token: "\x00\xff", Issued: after}, revoked},
		{"its subject, before", revoke.Claim{Subject: "jack", Issued: before}, revoked},
		{"its subject, long before", revoke.Claim{Subject: "jack", Issued: time.Unix(1, 0)}, revoked},
		{"its subject, before 1970", revoke.Claim{Subject: "jack", Issued: time.Unix(-1, 0)}, revoked},
		{"its subject, without a time", revoke.Claim{Subject: "jack"}, revoked},
		{"its subject, at that time", revoke.Claim{Subject: "jack", Issued: after}, good},
		{"its subject, afterwards", revoke.Claim{Subject: "jack", Issued: after.Add(time.Hour)}, good},
		{"another subject", revoke.Claim{Subject: "bob", Issued: before}, good},
		{"another subject, without a time", revoke.Claim{Subject: "bob"}, good},
		{"a subject that looks alike", revoke.Claim{Subject: "Jack", Issued: before}, good},
		{"a subject with a space", revoke.Claim{Subject: "jack ", Issued: before}, good},
		{"a token called like the session", revoke.Claim{Token: "s1", Issued: after}, good},
		{"a session called like the token", revoke.Claim{Session: "t1", Issued: after}, good},
		{"a subject called like the key", revoke.Claim{Subject: "k1"}, good},
		{"a key called like the subject", revoke.Claim{Key: "jack"}, good},
		{"a prefix of the token", revoke.Claim{Token: "t", Issued: after}, good},
		{"an empty claim", revoke.Claim{}, good},
	} {
		t.Run(tt.name, func(t *testing.T) { want(t, l, tt.claim, tt.want) })
	}
}

// TestRevokeAll: everything that was issued before counts no more, whoever has it, and what says no time was issued before.
func TestRevokeAll(t *testing.T) {
	c := newClock()
	l := loaded(t, &store{}, c)
	must(t, l.Revoke(t.Context(), revoke.Entry{Kind: revoke.All, Before: noon}))
	want(t, l, revoke.Claim{Token: "x", Issued: noon.Add(-time.Second)}, revoked)
	want(t, l, revoke.Claim{Subject: "jack", Issued: noon.Add(-time.Second)}, revoked)
	want(t, l, revoke.Claim{Token: "x"}, revoked)
	want(t, l, revoke.Claim{}, revoked)
	want(t, l, revoke.Claim{Token: "x", Issued: noon}, good)
	c.add(2 * 365 * 24 * time.Hour) // it is one number, and never forgotten
	l.Sweep()
	load(t, l)
	want(t, l, revoke.Claim{Token: "x", Issued: noon.Add(-time.Second)}, revoked)
}

// TestLaterTimeWins: revoking more, or in another order, never makes valid again what was revoked.
func TestLaterTimeWins(t *testing.T) {
	early, late := noon.Add(-time.Hour), noon
	for _, kind := range []revoke.Kind{revoke.Subject, revoke.All} {
		for _, order := range [][2]time.Time{{early, late}, {late, early}} {
			l := loaded(t, &store{}, newClock())
			id := map[revoke.Kind]string{revoke.Subject: "jack"}[kind]
			for _, before := range order {
				must(t, l.Revoke(t.Context(), revoke.Entry{Kind: kind, ID: id, Before: before}))
			}
			want(t, l, revoke.Claim{Subject: "jack", Issued: late.Add(-time.Millisecond)}, revoked)
			want(t, l, revoke.Claim{Subject: "jack", Issued: late}, good)
		}
	}
}

// TestLaterExpiryWins: an entry is kept until the last of its revocations has expired.
func TestLaterExpiryWins(t *testing.T) {
	for _, order := range [][2]time.Duration{{time.Minute, time.Hour}, {time.Hour, time.Minute}} {
		c := newClock()
		l := loaded(t, &store{}, c)
		for _, d := range order {
			must(t, l.RevokeToken(t.Context(), "t", noon.Add(d)))
			must(t, l.Revoke(t.Context(), revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: noon, Expires: noon.Add(d)}))
		}
		c.add(30 * time.Minute)
		l.Sweep()
		load(t, l)
		want(t, l, revoke.Claim{Token: "t"}, revoked)
		want(t, l, revoke.Claim{Subject: "jack"}, revoked)
	}
}

// TestEachLimitCountsByItself: of two revocations of a subject one may reach further, and the other be kept for longer. Neither takes anything from the other.
func TestEachLimitCountsByItself(t *testing.T) {
	long := revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: noon.Add(-time.Hour), Expires: noon.Add(time.Hour)}
	late := revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: noon, Expires: noon.Add(time.Minute)}
	for _, order := range [][]revoke.Entry{{long, late}, {late, long}} {
		c := newClock()
		l := loaded(t, &store{}, c)
		for _, e := range order {
			must(t, l.Revoke(t.Context(), e))
		}
		c.add(30 * time.Minute)
		l.Sweep()
		load(t, l)
		want(t, l, revoke.Claim{Subject: "jack", Issued: noon.Add(-time.Second)}, revoked)
	}
}

// TestForgetting: what has expired is forgotten, not sooner, and a moment later than it expires.
func TestForgetting(t *testing.T) {
	c := newClock()
	l := loaded(t, &store{}, c)
	must(t, l.RevokeToken(t.Context(), "short", noon.Add(time.Minute)))
	must(t, l.RevokeSession(t.Context(), "long", noon.Add(time.Hour)))
	must(t, l.RevokeKey(t.Context(), "key"))
	must(t, l.RevokeSubject(t.Context(), "jack"))
	for _, step := range []struct {
		after time.Duration
		left  int
	}{
		{0, 4}, {time.Minute, 4}, {time.Minute + revoke.Keep, 4}, {time.Minute + revoke.Keep + 2*time.Second, 3},
		{time.Hour, 3}, {time.Hour + revoke.Keep + 2*time.Second, 2},
		{revoke.DefaultLongest, 2}, {revoke.DefaultLongest + time.Hour, 0},
	} {
		c.add(noon.Add(step.after).Sub(c.Now()))
		l.Sweep()
		if got := l.Len(); got != step.left {
			t.Errorf("Len() after %v = %d, want %d", step.after, got, step.left)
		}
	}
}

// TestStale: what is known to be revoked is refused as such however old the list is, and nothing else is accepted past the bound.
func TestStale(t *testing.T) {
	c := newClock()
	l := loaded(t, &store{}, c)
	must(t, l.RevokeToken(t.Context(), "t", noon.Add(time.Hour)))
	for _, step := range []struct {
		age  time.Duration
		want verdict
	}{
		{0, good}, {time.Second, good}, {5 * time.Second, good}, {5*time.Second + 1, stale}, {time.Minute, stale}, {1000 * time.Hour, stale},
	} {
		c.add(noon.Add(step.age).Sub(c.Now()))
		want(t, l, revoke.Claim{Token: "good"}, step.want)
		want(t, l, revoke.Claim{Token: "t"}, revoked)
		if got := l.Staleness(); got != step.age {
			t.Errorf("Staleness() = %v, want %v", got, step.age)
		}
		var s *gatehouse.StaleError
		if errors.As(l.Check(revoke.Claim{}), &s) && s.Age != step.age {
			t.Errorf("the error's Age = %v, want %v", s.Age, step.age)
		}
	}
	load(t, l)
	want(t, l, revoke.Claim{Token: "good"}, good)
}

// TestNeverLoaded: before the first reading nothing is accepted, and what was revoked here is refused.
func TestNeverLoaded(t *testing.T) {
	l := newList(&store{}, newClock())
	want(t, l, revoke.Claim{Token: "good"}, stale)
	if got := l.Staleness(); got != revoke.Unknown {
		t.Errorf("Staleness() = %v, want the longest there is", got)
	}
	must(t, l.RevokeToken(t.Context(), "t", noon.Add(time.Hour)))
	want(t, l, revoke.Claim{Token: "good"}, stale)
	want(t, l, revoke.Claim{Token: "t"}, revoked)
	if l.Last() != 0 {
		t.Errorf("Last() = %d, want 0", l.Last())
	}
}

// TestClockIsSetBack: a list does not look younger when the clock goes back.
func TestClockIsSetBack(t *testing.T) {
	for _, back := range []time.Duration{time.Second, 4 * time.Second, time.Minute, time.Hour} {
		c, s := newClock(), &store{}
		l := loaded(t, s, c)
		c.add(4 * time.Second)
		load(t, l)
		s.set(func(s *store) { s.down = true })
		c.add(4 * time.Second)
		if err := l.Load(t.Context()); !errors.Is(err, errStore) {
			t.Fatalf("Load() = %v, want errStore", err)
		}
		c.add(-back)
		if err := l.Load(t.Context()); !errors.Is(err, errStore) {
			t.Fatalf("Load() = %v, want errStore", err)
		}
		want(t, l, revoke.Claim{}, stale)
		s.set(func(s *store) { s.down = false })
		load(t, l)
		want(t, l, revoke.Claim{}, good)
	}
}

// TestClockBeforeTheReading: a reading that began in the future is of no known age, even before the next look.
func TestClockBeforeTheReading(t *testing.T) {
	c := newClock()
	l := loaded(t, &store{}, c)
	c.add(-time.Millisecond)
	want(t, l, revoke.Claim{}, stale)
	c.add(-time.Hour)
	want(t, l, revoke.Claim{}, stale)
}

// TestClockIsSetForward: everything is refused until the next look.
func TestClockIsSetForward(t *testing.T) {
	c := newClock()
	l := loaded(t, &store{}, c)
	c.add(time.Hour)
	want(t, l, revoke.Claim{}, stale)
	load(t, l)
	want(t, l, revoke.Claim{}, good)
}

// TestIssuedAt: what is made after a revocation counts, and nothing that was made before does.
func TestIssuedAt(t *testing.T) {
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	for _, tt := range []struct {
		name   string
		before time.Time
		now    int
		want   int
	}{
		{"nothing was revoked", time.Time{}, 700, 0},
		{"long ago", at(-10_000), 700, 0},
		{"at the beginning of this second", at(0), 700, 0},
		{"in this second", at(500), 700, 1000},
		{"a millisecond ago", at(700), 700, 1000},
		{"by a clock that is ahead", at(3200), 700, 4000},
		{"to the second", at(3000), 700, 3000},
		{"as far ahead as may be", at(15_700), 700, 16_000},
		{"further", at(15_701), 700, 0},
		{"for years", at(0).AddDate(10, 0, 0), 700, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := loaded(t, &store{}, newClock())
			if !tt.before.IsZero() {
				must(t, l.Revoke(t.Context(), revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: tt.before}))
			}
			if got := l.IssuedAt("jack", at(tt.now)); !got.Equal(at(tt.want)) {
				t.Errorf("IssuedAt(jack, %v) = %v, want %v", at(tt.now), got, at(tt.want))
			}
			if got := l.IssuedAt("bob", at(tt.now)); !got.Equal(at(0)) {
				t.Errorf("IssuedAt(bob, %v) = %v, want %v", at(tt.now), got, at(0))
			}
		})
	}
}

// TestRevokedTwiceInASecond: what was issued between two revocations is refused after the second, though it says that it is from the next second.
func TestRevokedTwiceInASecond(t *testing.T) {
	for name, revokeIt := range map[string]func(l *revoke.List) error{
		"subject": func(l *revoke.List) error { return l.RevokeSubject(t.Context(), "jack") },
		"all":     func(l *revoke.List) error { return l.RevokeAll(t.Context()) },
		"both": func(l *revoke.List) error {
			return errors.Join(l.RevokeSubject(t.Context(), "jack"), l.RevokeAll(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newClock(), &store{}
			one, two := loaded(t, s, c), loaded(t, s, c)
			var old []time.Time
			for i := range 6 {
				l := []*revoke.List{one, two}[i%2] // they do not tell each other
				old = append(old, l.IssuedAt("jack", c.Now()))
				c.add(time.Millisecond)
				must(t, revokeIt(l))
				for _, issued := range old {
					want(t, l, revoke.Claim{Subject: "jack", Issued: issued}, revoked)
				}
				want(t, l, revoke.Claim{Subject: "jack", Issued: l.IssuedAt("jack", c.Now())}, good)
				c.add(time.Millisecond)
			}
		})
	}
}

// differing returns two lists on one store: one with a clock of its own, which is ahead by so much.
func differing(t *testing.T, ahead time.Duration) (one, other *revoke.List, pass func(time.Duration), clocks [2]*clock) {
	t.Helper()
	s := &store{}
	clocks = [2]*clock{newClock(), newClock()}
	clocks[1].add(ahead)
	one, other = loaded(t, s, clocks[0]), loaded(t, s, clocks[1])
	return one, other, func(d time.Duration) {
		clocks[0].add(d)
		clocks[1].add(d)
		load(t, one)
		load(t, other)
	}, clocks
}

// TestRevokeSubjectByClocksThatDiffer: of what a node has issued whose clock is ahead, what is as old as the clocks are apart is refused, and what is younger when the subject is revoked again. Who
// signs in again counts at once on both, by a clock that is behind too.
func TestRevokeSubjectByClocksThatDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{-14 * time.Second, -2 * time.Second, 0, 20 * time.Millisecond, 2 * time.Second, 10 * time.Second, 14 * time.Second} {
		t.Run(ahead.String(), func(t *testing.T) {
			one, other, pass, clocks := differing(t, ahead)
			check := func(issued time.Time, v verdict) {
				t.Helper()
				for _, l := range []*revoke.List{one, other} {
					want(t, l, revoke.Claim{Subject: "jack", Issued: issued}, v)
				}
			}
			pass(700 * time.Millisecond)
			old := other.IssuedAt("jack", clocks[1].Now())
			pass(max(ahead, 0) + time.Millisecond)
			young := other.IssuedAt("jack", clocks[1].Now())
			pass(time.Millisecond)
			must(t, one.RevokeSubject(t.Context(), "jack"))
			pass(0)
			check(old, revoked)
			if ahead >= time.Second {
				check(young, good) // nothing tells it from what is issued now
			}
			for i, l := range []*revoke.List{one, other} {
				again := l.IssuedAt("jack", clocks[i].Now())
				check(again, good)
				if early := again.Sub(clocks[i].Now()); early > 16*time.Second {
					t.Errorf("who signs in again gets what was issued in %v", early)
				}
			}
			pass(max(ahead, 0))
			must(t, one.RevokeSubject(t.Context(), "jack"))
			pass(0)
			check(old, revoked)
			check(young, revoked)
			check(one.IssuedAt("jack", clocks[0].Now()), good)
		})
	}
}

// TestRevokeSubjectAhead: who knows how far clocks may be apart revokes until as much later, and spares nothing. Who signs in again gets what was issued then, on whichever node.
func TestRevokeSubjectAhead(t *testing.T) {
	const ahead = 10 * time.Second
	one, other, pass, clocks := differing(t, ahead)
	pass(700 * time.Millisecond)
	issued := other.IssuedAt("jack", clocks[1].Now())
	pass(time.Millisecond)
	must(t, one.Revoke(t.Context(), revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: clocks[0].Now().Add(ahead)}))
	pass(0)
	for i, l := range []*revoke.List{one, other} {
		again := l.IssuedAt("jack", clocks[i].Now())
		for _, asked := range []*revoke.List{one, other} {
			want(t, asked, revoke.Claim{Subject: "jack", Issued: issued}, revoked)
			want(t, asked, revoke.Claim{Subject: "jack", Issued: again}, good)
		}
		if early := again.Sub(clocks[0].Now()); early > ahead+time.Second {
			t.Errorf("who signs in again gets what is issued in %v, want %v at most", early, ahead+time.Second)
		}
	}
}

// TestRevokeSubjectBlind: if it cannot be read what others have revoked, the time is late enough for whatever they can have issued.
func TestRevokeSubjectBlind(t *testing.T) {
	c, s := newClock(), &store{}
	c.add(100 * time.Millisecond)
	one, two := loaded(t, s, c), loaded(t, s, c)
	must(t, one.RevokeSubject(t.Context(), "jack"))
	issued := one.IssuedAt("jack", c.Now())
	s.set(func(s *store) {
		s.forge = func(revoke.Page) revoke.Page {
			return revoke.Page{Last: 5, Entries: []revoke.Entry{{Kind: "?", Seq: 1}}}
		}
	})
	must(t, two.RevokeSubject(t.Context(), "jack"))
	want(t, two, revoke.Claim{Subject: "jack", Issued: issued}, revoked)
}

// TestSessionRevoked: package session asks in its own words.
func TestSessionRevoked(t *testing.T) {
	c := newClock()
	l := loaded(t, &store{}, c)
	must(t, l.RevokeSessions(t.Context(), noon.Add(time.Hour), "s1", "s2"))
	must(t, l.RevokeSubject(t.Context(), "jack"))
	for _, tt := range []struct {
		sid, subject string
		began        time.Time
		want         verdict
	}{
		{"s1", "bob", noon, revoked}, {"s2", "", noon, revoked}, {"s3", "jack", noon, revoked}, {"s3", "jack", time.Time{}, revoked},
		{"s3", "jack", noon.Add(2 * time.Millisecond), good}, {"s3", "bob", noon, good},
	} {
		if got := verdictOf(l.SessionRevoked(tt.sid, tt.subject, tt.began)); got != tt.want {
			t.Errorf("SessionRevoked(%q, %q, %v) = %v, want %v", tt.sid, tt.subject, tt.began, got, tt.want)
		}
	}
	c.add(time.Minute)
	if got := verdictOf(l.SessionRevoked("s3", "bob", noon)); got != stale {
		t.Errorf("SessionRevoked of a list that is old = %v, want stale", got)
	}
}

// TestNone: whoever chooses it can revoke nothing, and knows it.
func TestNone(t *testing.T) {
	if err := revoke.None.Check(revoke.Claim{Token: "t"}); err != nil {
		t.Errorf("None.Check() = %v, want nil", err)
	}
	if got := revoke.None.IssuedAt("jack", noon.Add(999*time.Millisecond)); !got.Equal(noon) {
		t.Errorf("None.IssuedAt() = %v, want %v", got, noon)
	}
}

// TestNothingIsAllocated: a check costs no memory, whatever it finds, for ids of usual lengths.
func TestNothingIsAllocated(t *testing.T) {
	l := loaded(t, &store{}, newClock())
	id := func(kind string) string { return kind + strings.Repeat("x", 36) }
	must(t, l.Revoke(t.Context(), revoke.Entry{Kind: revoke.Token, ID: id("t")}, revoke.Entry{Kind: revoke.Session, ID: id("s")},
		revoke.Entry{Kind: revoke.Key, ID: id("k")}, revoke.Entry{Kind: revoke.Subject, ID: id("u"), Before: noon}))
	for _, claim := range []revoke.Claim{
		{Token: id("T"), Session: id("S"), Subject: id("U"), Key: id("K"), Issued: noon}, {Token: id("t")}, {Subject: id("u"), Issued: noon}, {Subject: id("u")}, {},
	} {
		if n := testing.AllocsPerRun(100, func() { _ = l.Check(claim) }); n != 0 {
			t.Errorf("Check(%+v) allocates %v times, want 0", claim, n)
		}
	}
}

// TestNew: what can never work is a mistake of the program.
func TestNew(t *testing.T) {
	for name, f := range map[string]func(){
		"no source":             func() { revoke.New(nil, revoke.Config{}) },
		"poll as long as bound": func() { revoke.New(&store{}, revoke.Config{Bound: time.Second, Poll: time.Second}) },
		"poll longer":           func() { revoke.New(&store{}, revoke.Config{Poll: time.Minute}) },
		"negative poll":         func() { revoke.New(&store{}, revoke.Config{Poll: -1}) },
		"negative bound":        func() { revoke.New(&store{}, revoke.Config{Bound: -time.Second}) },
		"a bound of nothing":    func() { revoke.New(&store{}, revoke.Config{Bound: 1}) },
		"negative life":         func() { revoke.New(&store{}, revoke.Config{Longest: -1}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if value := recover(); value == nil || !strings.HasPrefix(fmt.Sprint(value), "revoke.New: ") {
					t.Errorf("New panicked with %v, want a sentence of revoke.New", value)
				}
			}()
			f()
		})
	}
	l := revoke.New(&store{}, revoke.Config{})
	if l.Bound() != revoke.DefaultBound || l.Staleness() != time.Duration(math.MaxInt64) {
		t.Errorf("New: Bound() = %v, Staleness() = %v, want %v and the longest there is", l.Bound(), l.Staleness(), revoke.DefaultBound)
	}
	if l := revoke.New(&store{}, revoke.Config{Bound: time.Second}); l.Bound() != time.Second { // Poll follows
		t.Errorf("Bound() = %v, want 1s", l.Bound())
	}
}
