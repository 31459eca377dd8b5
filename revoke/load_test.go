package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// token is an entry that lives for an hour.
func token(id string) revoke.Entry {
	return revoke.Entry{Kind: revoke.Token, ID: id, Expires: noon.Add(time.Hour)}
}

// add puts n tokens called name0, name1, … into the store.
func add(t testing.TB, s *store, name string, n int) {
	t.Helper()
	for i := range n {
		_, err := s.Add(context.Background(), token(fmt.Sprint(name, i)))
		must(t, err)
	}
}

// wantTokens fails unless all of them are refused.
func wantTokens(t testing.TB, l *revoke.List, name string, n int) {
	t.Helper()
	for i := range n {
		if got := verdictOf(l.Check(revoke.Claim{Token: fmt.Sprint(name, i)})); got != revoked {
			t.Fatalf("Check(%s%d) = %v, want revoked", name, i, got)
		}
	}
}

// TestLoad: a list reads everything that there is, whatever the number of pages, and what is new from then on.
func TestLoad(t *testing.T) {
	for _, n := range []int{0, 1, revoke.PageSize - 1, revoke.PageSize, revoke.PageSize + 1, 3*revoke.PageSize + 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s, c := &store{}, newClock()
			add(t, s, "a", n)
			l := loaded(t, s, c)
			wantTokens(t, l, "a", n)
			if l.Len() != n || l.Last() != int64(n) {
				t.Errorf("Len() = %d, Last() = %d, want %d", l.Len(), l.Last(), n)
			}
			add(t, s, "b", n)
			want(t, l, revoke.Claim{Token: "b0"}, good) // nobody has told it
			load(t, l)
			wantTokens(t, l, "b", n)
		})
	}
}

// TestLoadReadsLittle: a look at a feed in which nothing has happened is one call.
func TestLoadReadsLittle(t *testing.T) {
	s, c := &store{}, newClock()
	add(t, s, "a", 10)
	l := loaded(t, s, c)
	for range 3 {
		reads := s.reads
		load(t, l)
		if got := s.reads - reads; got != 1 {
			t.Errorf("Load() reads %d times, want 1", got)
		}
	}
}

// TestStalenessCountsFromTheStart: what is written while the feed is read may be missing, so that the list is as old as the reading.
func TestStalenessCountsFromTheStart(t *testing.T) {
	s, c := &store{}, newClock()
	l := newList(s, c)
	s.onSince = func(int64) { c.add(3 * time.Second) }
	load(t, l)
	if got := l.Staleness(); got != 3*time.Second {
		t.Errorf("Staleness() = %v, want 3s", got)
	}
}

// TestLoadFails: nothing becomes fresher by a reading that fails, even half way, and what it has brought counts.
func TestLoadFails(t *testing.T) {
	s, c := &store{}, newClock()
	add(t, s, "a", 2*revoke.PageSize)
	l := newList(s, c)
	s.onSince = func(after int64) {
		if after > 0 {
			s.down = true
		}
	}
	if err := l.Load(t.Context()); !errors.Is(err, errStore) {
		t.Fatalf("Load() = %v, want errStore", err)
	}
	want(t, l, revoke.Claim{Token: "good"}, stale)
	wantTokens(t, l, "a", revoke.PageSize)
	s.onSince, s.down = nil, false
	load(t, l)
	want(t, l, revoke.Claim{Token: "good"}, good)
	wantTokens(t, l, "a", 2*revoke.PageSize)

	s.down = true
	c.add(6 * time.Second)
	if err := l.Load(t.Context()); !errors.Is(err, errStore) || !strings.HasPrefix(err.Error(), "revoke: ") {
		t.Fatalf("Load() = %v, want errStore with the package's name", err)
	}
	want(t, l, revoke.Claim{Token: "good"}, stale)
}

// TestFeedsThatLie: a feed that cannot be understood makes a list stale, and never has it skip something.
func TestFeedsThatLie(t *testing.T) {
	entry := func(seq int64, kind revoke.Kind, id string) revoke.Entry {
		return revoke.Entry{Seq: seq, Kind: kind, ID: id, Expires: noon.Add(time.Hour)}
	}
	for name, page := range map[string]revoke.Page{
		"a kind from the future": {Last: 4, Entries: []revoke.Entry{entry(4, "client", "x")}},
		"no kind":                {Last: 4, Entries: []revoke.Entry{entry(4, "", "x")}},
		"a short print":          {Last: 4, Entries: []revoke.Entry{entry(4, "token#", "x")}},
		"a long print":           {Last: 4, Entries: []revoke.Entry{entry(4, "token#", strings.Repeat("x", 17))}},
		"backwards":              {Last: 5, Entries: []revoke.Entry{entry(5, revoke.Token, "x"), entry(4, revoke.Token, "y")}},
		"one twice":              {Last: 5, Entries: []revoke.Entry{entry(5, revoke.Token, "x"), entry(5, revoke.Token, "y")}},
		"more than the last":     {Last: 4, Entries: []revoke.Entry{entry(5, revoke.Token, "x")}},
		"number nought":          {Last: 4, Entries: []revoke.Entry{entry(0, revoke.Token, "x")}},
		"a negative number":      {Last: 4, Entries: []revoke.Entry{entry(-1, revoke.Token, "x")}},
		"no id":                  {Last: 4, Entries: []revoke.Entry{entry(4, revoke.Session, "")}},
		"a subject, not when":    {Last: 4, Entries: []revoke.Entry{entry(4, revoke.Subject, "jack")}},
		"a print, not when":      {Last: 4, Entries: []revoke.Entry{entry(4, "subject#", "0123456789abcdef")}},
		"all, not when":          {Last: 4, Entries: []revoke.Entry{entry(4, revoke.All, "")}},
		"a print of everything":  {Last: 4, Entries: []revoke.Entry{entry(4, "all#", "0123456789abcdef")}},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := &store{}, newClock()
			add(t, s, "a", 3)
			l := newList(s, c)
			s.forge = func(p revoke.Page) revoke.Page { return page }
			if err := l.Load(t.Context()); !errors.Is(err, revoke.ErrInvalid) {
				t.Errorf("Load() = %v, want ErrInvalid", err)
			}
			want(t, l, revoke.Claim{Token: "good"}, stale)
			s.forge = nil
			load(t, l)
			wantTokens(t, l, "a", 3)
			want(t, l, revoke.Claim{Token: "good"}, good)
		})
	}
}

// TestPagesThatAreNotOneLook: a store that reads its entries before its counter cannot have the list skip what came in between.
func TestPagesThatAreNotOneLook(t *testing.T) {
	s, c := &store{}, newClock()
	add(t, s, "a", 3)
	l := loaded(t, s, c)
	add(t, s, "b", 1)
	s.forge = func(p revoke.Page) revoke.Page { p.Entries = p.Entries[:1]; return p } // the new one is not there yet, but counted
	load(t, l)
	s.forge = nil
	load(t, l)
	wantTokens(t, l, "b", 1)
}

// TestStoreGivesLessThanAsked: a page that is not full is not the last one, at the first reading and at those that follow.
func TestStoreGivesLessThanAsked(t *testing.T) {
	for _, n := range []int{1, 2, 7} {
		s, c := &store{}, newClock()
		add(t, s, "a", 50)
		s.forge = func(p revoke.Page) revoke.Page { p.Entries = p.Entries[:min(n, len(p.Entries))]; return p }
		l := loaded(t, s, c)
		wantTokens(t, l, "a", 50)
		add(t, s, "b", 50)
		load(t, l)
		wantTokens(t, l, "b", 50)
	}
}

// TestRestart: a process that begins again refuses everything until it has read everything, and then what was revoked.
func TestRestart(t *testing.T) {
	s, c := &store{}, newClock()
	l := loaded(t, s, c)
	must(t, l.RevokeSession(t.Context(), "s", noon.Add(time.Hour)))
	must(t, l.RevokeSubject(t.Context(), "jack"))
	must(t, l.RevokeKey(t.Context(), "k"))
	must(t, l.RevokeToken(t.Context(), "t", noon.Add(time.Hour)))
	claims := []revoke.Claim{{Session: "s"}, {Subject: "jack", Issued: noon}, {Key: "k"}, {Token: "t"}}
	again := newList(s, c)
	for _, claim := range claims {
		want(t, again, claim, stale)
	}
	load(t, again)
	for _, claim := range claims {
		want(t, again, claim, revoked)
	}
	want(t, again, revoke.Claim{Session: "s2", Subject: "bob", Key: "k2", Token: "t2"}, good)
}

// TestLostFeeds: whatever a restored backup or a failover does to the feed, running lists accept nothing of what they knew, and the others and the next
// process know it too.
func TestLostFeeds(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, s *store, b backup){
		"shorter":                func(t *testing.T, s *store, b backup) { s.restore(b) },
		"empty":                  func(t *testing.T, s *store, b backup) { s.restore(backup{}) },
		"shorter, as long again": func(t *testing.T, s *store, b backup) { s.restore(b); add(t, s, "new", 5) },
		"shorter, longer by one": func(t *testing.T, s *store, b backup) { s.restore(b); add(t, s, "new", 6) },
		"shorter, much longer":   func(t *testing.T, s *store, b backup) { s.restore(b); add(t, s, "new", 3*revoke.PageSize) },
		"empty, much longer":     func(t *testing.T, s *store, b backup) { s.restore(backup{}); add(t, s, "new", 2*revoke.PageSize) },
		"lost in the middle": func(t *testing.T, s *store, b backup) {
			s.entries = append(s.entries[:2:2], s.entries[4:]...)
			s.entries = s.entries[:len(s.entries)-1]
		},
		"the same but for the last": func(t *testing.T, s *store, b backup) { s.entries[len(s.entries)-1].ID = "new0" },
	} {
		t.Run(name, func(t *testing.T) {
			s, c := &store{}, newClock()
			add(t, s, "old", 5)
			b := s.backup()
			add(t, s, "lost", 5)
			must(t, loaded(t, s, c).Revoke(t.Context(), revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: noon},
				revoke.Entry{Kind: revoke.Session, ID: "s"}, revoke.Entry{Kind: revoke.Key, ID: "k"}, revoke.Entry{Kind: revoke.All, Before: noon.Add(-time.Hour)},
				token("last")))
			l := loaded(t, s, c)
			lose(t, s, b)
			load(t, l)
			other := loaded(t, s, c) // it was not running
			for who, l := range map[string]*revoke.List{"the one that was running": l, "another one": other} {
				t.Run(who, func(t *testing.T) {
					wantTokens(t, l, "old", 5)
					wantTokens(t, l, "lost", 5)
					n := 0
					for _, e := range s.entries {
						if strings.HasPrefix(e.ID, "new") {
							n++
						}
					}
					wantTokens(t, l, "new", n)
					for _, claim := range []revoke.Claim{{Subject: "jack", Issued: noon.Add(-1)}, {Session: "s"}, {Key: "k"}, {Token: "last"}, {Issued: noon.Add(-2 * time.Hour)}} {
						want(t, l, claim, revoked)
					}
					want(t, l, revoke.Claim{Subject: "jack", Issued: noon}, good)
					if l.Last() != s.last {
						t.Errorf("Last() = %d, want %d", l.Last(), s.last)
					}
				})
			}
			size := s.size()
			load(t, l)
			load(t, other)
			if got := s.size(); got != size {
				t.Errorf("the store grows to %d entries from %d, though nothing is missing", got, size)
			}
		})
	}
}

// TestOthersOfALostFeed: a list that was behind when the feed was lost, and finds it longer than it was, misses nothing that another one has put back or revoked.
func TestOthersOfALostFeed(t *testing.T) {
	s, c := &store{}, newClock()
	add(t, s, "a", 5)
	b := s.backup()
	add(t, s, "b", 5)
	behind := loaded(t, s, c)
	add(t, s, "c", 5)
	ahead := loaded(t, s, c)
	s.restore(b)
	load(t, ahead)
	must(t, ahead.RevokeToken(t.Context(), "d0", noon.Add(time.Hour)))
	load(t, behind)
	for _, l := range []*revoke.List{ahead, behind, loaded(t, s, c)} {
		wantTokens(t, l, "a", 5)
		wantTokens(t, l, "b", 5)
		wantTokens(t, l, "c", 5)
		wantTokens(t, l, "d", 1)
	}
}

// TestPutBackIsInterrupted: a list that could not put everything back is not fresh, and goes on with it, however long the feed is by then.
func TestPutBackIsInterrupted(t *testing.T) {
	s, c := &store{}, newClock()
	const n = 2*revoke.PageSize + 5
	add(t, s, "a", n)
	l := loaded(t, s, c)
	s.restore(backup{})
	calls := 0
	s.onAdd = func([]revoke.Entry) error {
		if calls++; calls == 2 {
			return errStore
		}
		return nil
	}
	c.add(10 * time.Second)
	if err := l.Load(t.Context()); !errors.Is(err, errStore) {
		t.Fatalf("Load() = %v, want errStore", err)
	}
	want(t, l, revoke.Claim{}, stale)
	s.onAdd = nil
	add(t, s, "b", n)
	load(t, l)
	want(t, l, revoke.Claim{}, good)
	other := loaded(t, s, c)
	wantTokens(t, other, "a", n)
	wantTokens(t, other, "b", n)
	if got := s.size(); got != 2*n+1 {
		t.Errorf("the store has %d entries, want %d and a seam: what was there must not be put back", got, 2*n)
	}
}

// readOnly is a source that is no store.
type readOnly struct{ revoke.Source }

// TestLostFeedOfAReader: whoever cannot write keeps what it knows.
func TestLostFeedOfAReader(t *testing.T) {
	s, c := &store{}, newClock()
	add(t, s, "a", 5)
	l := loaded(t, readOnly{s}, c)
	s.restore(backup{})
	add(t, s, "b", 1)
	load(t, l)
	wantTokens(t, l, "a", 5)
	wantTokens(t, l, "b", 1)
	if s.size() != 1 {
		t.Errorf("the store has %d entries, want 1", s.size())
	}
	if err := l.RevokeToken(t.Context(), "t", noon); !errors.Is(err, revoke.ErrReadOnly) {
		t.Errorf("RevokeToken() = %v, want ErrReadOnly", err)
	}
	if err := l.RevokeSubject(t.Context(), "jack"); !errors.Is(err, revoke.ErrReadOnly) {
		t.Errorf("RevokeSubject() = %v, want ErrReadOnly", err)
	}
	if n, err := l.Prune(t.Context()); n != 0 || err != nil {
		t.Errorf("Prune() = %d, %v, want 0, nil", n, err)
	}
}

// TestPruned: that entries expire and are removed is no loss, and costs no reading of everything at each look.
func TestPruned(t *testing.T) {
	for _, other := range []bool{false, true} { // whether something else lives
		var l logs
		s, c := &store{}, newClock()
		if other {
			_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Key, ID: "k", Expires: noon.AddDate(1, 0, 0)})
			must(t, err)
		}
		add(t, s, "a", 20)
		list := revoke.New(s, revoke.Config{Now: c.Now, Logger: slog.New(&l)})
		load(t, list)
		reads := s.reads
		for range 300 { // ten hours
			c.add(2 * time.Minute)
			if _, err := list.Prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			load(t, list)
			load(t, list)
		}
		if got := s.reads - reads; got > 610 {
			t.Errorf("600 looks read %d times, want hardly more than once each", got)
		}
		if n := s.size(); n > 1 {
			t.Errorf("the store has %d entries", n)
		}
		if l.String() != "" {
			t.Errorf("it says %v, want nothing", &l)
		}
		add(t, s, "b", 1)
		load(t, list)
		wantTokens(t, list, "b", 1)
	}
}

// TestLostBehindThePruned: a loss is noticed even if the entry at which the list stood has expired.
func TestLostBehindThePruned(t *testing.T) {
	s, c := &store{}, newClock()
	add(t, s, "a", 5)
	b := s.backup()
	add(t, s, "b", 5)
	l := loaded(t, s, c)
	c.add(2 * time.Hour)
	_, err := l.Prune(t.Context())
	must(t, err)
	load(t, l)
	s.restore(backup{last: b.last})
	for i := range 5 {
		_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint("c", i), Expires: c.Now().Add(time.Hour)})
		must(t, err)
	}
	load(t, l)
	wantTokens(t, l, "c", 5)
}

// TestExchangedBehindThePruned: a feed that is another one, and has nothing at the place at which the list stood, is noticed by what stands where other things stood. What it lacks is
// put back.
func TestExchangedBehindThePruned(t *testing.T) {
	s, c := &store{}, newClock()
	add(t, s, "short", 9)
	_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Key, ID: "long", Expires: noon.AddDate(1, 0, 0)})
	must(t, err)
	add(t, s, "last", 1)
	l := loaded(t, s, c)
	c.add(2 * time.Hour)
	s.restore(backup{})
	for i := range 12 {
		if i == 10 { // where "last" stood there is nothing
			s.last++
			continue
		}
		_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint("new", i), Expires: c.Now().Add(time.Hour)})
		must(t, err)
	}
	load(t, l)
	for _, l := range []*revoke.List{l, loaded(t, s, c)} {
		wantTokens(t, l, "new", 10)
		want(t, l, revoke.Claim{Token: "new11"}, revoked)
		want(t, l, revoke.Claim{Key: "long"}, revoked)
	}
}

// TestShorterAndNothingToCompare: a feed that has become shorter is another one, even if the entry at which the list stood has just been removed.
func TestShorterAndNothingToCompare(t *testing.T) {
	s, c := &store{}, newClock()
	for i, life := range []time.Duration{time.Hour, time.Minute, 30 * time.Second} {
		_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint("old", i), Expires: noon.Add(life)})
		must(t, err)
	}
	l := loaded(t, s, c)
	for _, after := range []time.Duration{5*time.Minute + 31*time.Second, 6*time.Minute + time.Second} { // the last one goes, and then the one before it
		c.add(noon.Add(after).Sub(c.Now()))
		if after > 6*time.Minute {
			s.restore(backup{})
			add(t, s, "new", 1)
		} else if n, err := l.Prune(t.Context()); n != 1 || err != nil {
			t.Fatalf("Prune() = %d, %v, want 1, nil", n, err)
		}
		load(t, l)
	}
	wantTokens(t, l, "new", 1)
}

// TestLostBeforeItWasRead: what was acknowledged is missed even if no list has read it when it is lost, however the feed has grown since, and is put back.
func TestLostBeforeItWasRead(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, s *store, b backup){
		"shorter":   func(t *testing.T, s *store, b backup) { s.restore(b) },
		"as long":   func(t *testing.T, s *store, b backup) { s.restore(b); add(t, s, "new", 1) },
		"longer":    func(t *testing.T, s *store, b backup) { s.restore(b); add(t, s, "new", 5) },
		"exchanged": func(t *testing.T, s *store, b backup) { s.restore(backup{}); add(t, s, "new", 5) },
	} {
		for _, before := range []int{0, 3} {
			s, c := &store{}, newClock()
			add(t, s, "old", before)
			l := loaded(t, s, c)
			b := s.backup()
			must(t, l.RevokeToken(t.Context(), "short", noon.Add(time.Minute)))
			lose(t, s, b)
			load(t, l)
			other := loaded(t, s, c)
			want(t, other, revoke.Claim{Token: "short"}, revoked)
			wantTokens(t, other, "old", before)
			if t.Failed() {
				t.Fatalf("that was a feed that was %s, with %d before", name, before)
			}
		}
	}
}

// reading is a store in which a list reads before it hears that what it has added is there.
type reading struct {
	*store
	list *revoke.List
}

func (r *reading) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	seq, err := r.store.Add(ctx, entries...)
	if err := r.list.Load(ctx); err != nil {
		return 0, err
	}
	return seq, err
}

// TestReadBeforeItWasPromised: an entry that is read before its writer knows its place is no loss.
func TestReadBeforeItWasPromised(t *testing.T) {
	var log logs
	c, s := newClock(), &reading{store: &store{}}
	s.list = revoke.New(s, revoke.Config{Now: c.Now, Logger: slog.New(&log)})
	for i := range 5 {
		must(t, s.list.RevokeToken(t.Context(), fmt.Sprint("a", i), noon.Add(time.Hour)))
		load(t, s.list)
	}
	if s.size() != 5 || log.String() != "" {
		t.Errorf("the store has %d entries, want 5, and it says\n%v", s.size(), &log)
	}
}

// TestReadAgainAfterItWasForgotten: an entry that the list has forgotten and the store still has is no news.
func TestReadAgainAfterItWasForgotten(t *testing.T) {
	var log logs
	s, c := &store{}, newClock()
	for i := range 5 {
		_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint(i), Expires: noon.Add(time.Minute)})
		must(t, err)
	}
	l := revoke.New(s, revoke.Config{Now: c.Now, Logger: slog.New(&log)})
	load(t, l)
	c.add(10 * time.Minute)
	l.Sweep()
	s.set(func(s *store) { s.entries = s.entries[:4] }) // a batch was removed
	load(t, l)
	if log.String() != "" || s.size() != 4 {
		t.Errorf("the store has %d entries, want 4, and it says\n%v", s.size(), &log)
	}
}

// TestPutBackOnlyWhatLives: what the list is about to forget is not put back.
func TestPutBackOnlyWhatLives(t *testing.T) {
	s, c := &store{}, newClock()
	for i, life := range []time.Duration{time.Minute, time.Hour} {
		_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint(i), Expires: noon.Add(life)})
		must(t, err)
	}
	l := loaded(t, s, c)
	c.add(10 * time.Minute)
	s.restore(backup{})
	load(t, l)
	if s.size() != 2 {
		t.Errorf("the store has %d entries, want one and a seam", s.size())
	}
	want(t, loaded(t, s, c), revoke.Claim{Token: "1"}, revoked)
}

// TestEmptyFeedThatGrowsAnew: a list that has found everything removed, at whatever place, reads all that comes when the places begin anew.
func TestEmptyFeedThatGrowsAnew(t *testing.T) {
	s, c := &store{last: 2}, newClock()
	l := loaded(t, s, c)
	s.restore(backup{})
	s.forge = func(p revoke.Page) revoke.Page { p.Entries = p.Entries[:min(1, len(p.Entries))]; return p }
	add(t, s, "new", 2)
	load(t, l)
	wantTokens(t, l, "new", 2)
}

// TestPutBackHangs: a store that takes nothing back for ever holds nobody up for longer than the bound.
func TestPutBackHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		add(t, s, "a", 5)
		h := &hangingAdd{store: s}
		l := revoke.New(h, revoke.Config{Logger: slog.New(slog.DiscardHandler)})
		start(t, l)
		synctest.Wait()
		s.restore(backup{})
		h.hang.Store(true)
		time.Sleep(20 * time.Second)
		want(t, l, revoke.Claim{}, stale)
		h.hang.Store(false)
		time.Sleep(6 * time.Second)
		want(t, l, revoke.Claim{}, good)
		if s.size() != 6 {
			t.Errorf("the store has %d entries, want 5 and a seam", s.size())
		}
	})
}

// hangingAdd is a store that takes nothing, and says nothing, until its context ends.
type hangingAdd struct {
	*store
	hang atomic.Bool
}

func (h *hangingAdd) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	if h.hang.Load() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return h.store.Add(ctx, entries...)
}

// TestPutBackAfterAJump: what seems to have expired only because a clock was set forward is put back as well.
func TestPutBackAfterAJump(t *testing.T) {
	s, c := &store{}, newClock()
	_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: "t", Expires: noon.Add(time.Minute)})
	must(t, err)
	l := loaded(t, s, c)
	s.restore(backup{})
	c.add(2 * time.Minute)
	load(t, l)
	c.add(-2 * time.Minute)
	want(t, loaded(t, s, c), revoke.Claim{Token: "t"}, revoked)
}

// TestFeedThatShrinksFromItsEnd is read from the beginning once in a minute, and not whenever the entry at its end has gone.
func TestFeedThatShrinksFromItsEnd(t *testing.T) {
	s, c := &store{}, newClock()
	const n = 100
	for i := range n {
		_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint(i), Expires: noon.Add(time.Duration(n-i) * 10 * time.Second)})
		must(t, err)
	}
	l := loaded(t, s, c)
	whole := 0
	s.onSince = func(after int64) {
		if after == 0 {
			whole++
		}
	}
	for range n {
		c.add(10 * time.Second)
		_, err := l.Prune(t.Context())
		must(t, err)
		load(t, l)
	}
	if s.size() == n || whole > n/6+1 {
		t.Errorf("of %d entries %d are left, and the feed was read from the beginning %d times, want once in a minute at most", n, s.size(), whole)
	}
}

// TestPrune: what has expired is removed from the store, a moment later, and nothing else.
func TestPrune(t *testing.T) {
	s, c := &store{}, newClock()
	l := loaded(t, s, c)
	for i := range 2*revoke.PageSize + 3 {
		_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint(i), Expires: noon.Add(time.Minute)})
		must(t, err)
	}
	add(t, s, "long", 2)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{time.Minute, 0}, {time.Minute + revoke.Keep, 0}, {time.Minute + revoke.Keep + 1, 2*revoke.PageSize + 3}, {time.Hour, 0}} {
		c.add(noon.Add(step.after).Sub(c.Now()))
		if n, err := l.Prune(t.Context()); n != step.want || err != nil {
			t.Errorf("Prune() after %v = %d, %v, want %d, nil", step.after, n, err, step.want)
		}
	}
	s.down = true
	if n, err := l.Prune(t.Context()); n != 0 || !errors.Is(err, errStore) {
		t.Errorf("Prune() = %d, %v, want 0, errStore", n, err)
	}
}

// TestLoadsTakeTurns: one that waits for another gives up with its context.
func TestLoadsTakeTurns(t *testing.T) {
	s, c := &store{}, newClock()
	l := newList(s, c)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.onSince = func(int64) { entered <- struct{}{}; <-leave }
	first := make(chan error)
	go func() { first <- l.Load(t.Context()) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Load() = %v, want context.Canceled", err)
	}
	close(leave)
	must(t, <-first)
}
