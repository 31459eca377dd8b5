package memory

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/token"
)

// faults says where the indexes of s do not agree with one another.
func (s *SessionStore) faults() (found []string) {
	if len(s.byID) != len(s.byKey) || len(s.queue) != len(s.byKey) {
		found = append(found, fmt.Sprintf("%d keys, %d ids, %d in the queue", len(s.byKey), len(s.byID), len(s.queue)))
	}
	for key, e := range s.byKey {
		if e.Key != key || s.byID[e.ID] != e || s.bySubject[e.Subject][key] != e || e.place >= len(s.queue) || s.queue[e.place] != e {
			found = append(found, fmt.Sprintf("%x is not in every index under its own names", key[:2]))
		}
	}
	listed := 0
	for subject, of := range s.bySubject {
		if listed += len(of); len(of) == 0 {
			found = append(found, fmt.Sprintf("%q has no sessions, and takes memory", subject))
		}
	}
	if listed != len(s.byKey) {
		found = append(found, fmt.Sprintf("%d keys, %d in lists", len(s.byKey), listed))
	}
	for i := 1; i < len(s.queue); i++ {
		if s.queue.Less(i, (i-1)/2) {
			found = append(found, "the queue is no heap")
		}
	}
	return found
}

// TestIndexes: whatever is called, every index has every record and nothing else, and an empty store takes no memory.
func TestIndexes(t *testing.T) {
	start := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		s, ctx := Sessions(), context.Background()
		small := rapid.IntRange(0, 5)
		at := func(name string) time.Time { return start.Add(time.Duration(small.Draw(t, name)) * time.Minute) }
		key := func(name string) session.Key { return session.Key{byte(small.Draw(t, name))} } // 0: none
		subject := rapid.SampledFrom([]string{"anna", "bert", ""})
		record := func() session.Record {
			return session.Record{Key: session.Key{byte(1 + small.Draw(t, "key"))}, ID: fmt.Sprint(small.Draw(t, "id")), Subject: subject.Draw(t, "subject"),
				Created: at("created"), Seen: at("seen"), Deadline: at("deadline"), Version: int64(1 + small.Draw(t, "version")/3)}
		}
		known := func(err error) {
			if err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrExists) && !errors.Is(err, session.ErrConflict) {
				t.Fatalf("%v is none of the errors that are named", err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"Create":  func(*rapid.T) { known(s.Create(ctx, record(), key("replaces"))) },
			"Update":  func(*rapid.T) { known(s.Update(ctx, record())) },
			"Touch":   func(*rapid.T) { known(s.Touch(ctx, key("key"), at("seen"), at("deadline"))) },
			"Delete":  func(*rapid.T) { known(s.Delete(ctx, key("key"))) },
			"Prune":   func(*rapid.T) { _, err := s.Prune(ctx, at("before"), small.Draw(t, "limit")); known(err) },
			"DeleteA": func(*rapid.T) { _, err := s.DeleteAll(ctx, subject.Draw(t, "subject"), key("except")); known(err) },
			"": func(t *rapid.T) {
				if faults := s.faults(); len(faults) > 0 {
					t.Fatal(faults)
				}
			},
		})
		for _, of := range []string{"anna", "bert", ""} {
			_, err := s.DeleteAll(ctx, of, session.Key{})
			known(err)
		}
		if len(s.byKey)+len(s.byID)+len(s.bySubject)+len(s.queue) > 0 {
			t.Fatalf("after all are deleted: %d, %d, %d, %d entries, want none", len(s.byKey), len(s.byID), len(s.bySubject), len(s.queue))
		}
	})
}

// TestCancelledWhileWaiting: who gives up while others write has written nothing when their turn comes.
func TestCancelledWhileWaiting(t *testing.T) {
	s := Sessions()
	rec := session.Record{Key: session.Key{1}, ID: "id", Subject: "anna", Version: 1}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	s.mu.Lock()
	go func() { result <- s.Create(ctx, rec, session.Key{}) }()
	cancel()
	s.mu.Unlock()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Create, cancelled while it waited = %v, want an error that wraps %q", err, context.Canceled)
	}
	if len(s.byKey) > 0 {
		t.Error("Create, cancelled while it waited, has added the record")
	}
}

// TestPruneIsBounded: as many as are asked for, the longest overdue first, so that no batch holds the lock for long.
func TestPruneIsBounded(t *testing.T) {
	s, now := Sessions(), time.Now()
	for i := range 20 {
		rec := session.Record{Key: session.Key{byte(i)}, ID: fmt.Sprint(i), Deadline: now.Add(-time.Duration(i) * time.Second), Version: 1}
		if err := s.Create(t.Context(), rec, session.Key{}); err != nil {
			t.Fatal(err)
		}
	}
	for left := 20; left > 0; left -= 5 {
		if n, err := s.Prune(t.Context(), now.Add(time.Second), 5); n != 5 || err != nil {
			t.Fatalf("Prune(5) = %d, %v, want 5, nil", n, err)
		}
		for i := range left - 5 {
			if s.byKey[session.Key{byte(i)}] == nil {
				t.Errorf("with %d left, the one that is overdue for %d s is gone", left-5, i)
			}
		}
	}
	for _, limit := range []int{5, 0, -1} {
		if n, err := s.Prune(t.Context(), now.Add(time.Hour), limit); n != 0 || err != nil {
			t.Errorf("Prune(%d) of nothing = %d, %v, want 0, nil", limit, n, err)
		}
	}
}

// faults says where the indexes of s do not agree with one another.
func (s *TokenStore) faults() (found []string) {
	listed, members := 0, 0
	for subject, of := range s.bySubject {
		if listed += len(of); len(of) == 0 {
			found = append(found, fmt.Sprintf("%q has no tokens, and takes memory", subject))
		}
	}
	for id, f := range s.families {
		if members += len(f.records); f.id != id || f.place >= len(s.overdue) || s.overdue[f.place] != f || f.ended && len(f.records) > 0 {
			found = append(found, fmt.Sprintf("the family %q is not in its queue, or has ended and has tokens", id))
		}
		for key, e := range f.records {
			if s.byKey[key] != e || e.Family != id || e.Expires.After(f.expires) {
				found = append(found, fmt.Sprintf("the family %q has a token that is another's, or that it will not outlive", id))
			}
		}
	}
	for key, e := range s.byKey {
		if f := s.families[e.Family]; e.Family != "" && (f == nil || f.records[key] != e) {
			found = append(found, fmt.Sprintf("%x is not in its family", key[:2]))
		} else if e.Family != "" {
			members--
		}
		if e.Key != key || s.bySubject[e.Subject][key] != e || e.place >= len(s.queue) || s.queue[e.place] != e {
			found = append(found, fmt.Sprintf("%x is not in every index under its own names", key[:2]))
		}
	}
	if listed != len(s.byKey) || len(s.queue) != len(s.byKey) || members != 0 || len(s.overdue) != len(s.families) {
		found = append(found, fmt.Sprintf("%d keys, %d in lists, %d in the queue, %d too many in families", len(s.byKey), listed, len(s.queue), members))
	}
	for i := 1; i < max(len(s.queue), len(s.overdue)); i++ {
		if i < len(s.queue) && s.queue.Less(i, (i-1)/2) || i < len(s.overdue) && s.overdue.Less(i, (i-1)/2) {
			found = append(found, "a queue is no heap")
		}
	}
	return found
}

// TestTokenIndexes: whatever is called, every index has every token and nothing else, and a store in which all has expired takes no memory.
func TestTokenIndexes(t *testing.T) {
	start := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		s, ctx := Tokens(), context.Background()
		small := rapid.IntRange(0, 5)
		at := func(name string) time.Time { return start.Add(time.Duration(small.Draw(t, name)) * time.Minute) }
		key := func(name string) token.Key { return token.Key{byte(small.Draw(t, name))} }
		subject, family := rapid.SampledFrom([]string{"anna", "bert", ""}), rapid.SampledFrom([]string{"", "", "one", "two", "three"})
		record := func() token.Record {
			return token.Record{Key: key("key"), Subject: subject.Draw(t, "subject"), Family: family.Draw(t, "family"), Purpose: "refresh", Expires: at("expires"), Left: small.Draw(t, "left") - 1}
		}
		known := func(err error) {
			if err != nil && !errors.Is(err, token.ErrNotFound) && !errors.Is(err, token.ErrExists) && !errors.Is(err, token.ErrSpent) {
				t.Fatalf("%v is none of the errors that are named", err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"Create": func(*rapid.T) { known(s.Create(ctx, record())) },
			"Use":    func(*rapid.T) { _, err := s.Use(ctx, key("key")); known(err) },
			"Rotate": func(*rapid.T) { _, err := s.Rotate(ctx, key("from"), at("used"), nil, record()); known(err) },
			"Delete": func(*rapid.T) { known(s.Delete(ctx, key("key"), family.Draw(t, "family"))) },
			"DeleteS": func(*rapid.T) {
				_, err := s.DeleteSubject(ctx, subject.Draw(t, "subject"), rapid.SampledFrom([]string{"refresh", "other"}).Draw(t, "purpose"))
				known(err)
			},
			"Prune": func(*rapid.T) { _, err := s.Prune(ctx, at("before"), small.Draw(t, "limit")); known(err) },
			"": func(t *rapid.T) {
				if faults := s.faults(); len(faults) > 0 {
					t.Fatal(faults)
				}
			},
		})
		if _, err := token.Prune(ctx, s, start.Add(time.Hour)); err != nil || len(s.byKey)+len(s.bySubject)+len(s.families)+len(s.queue)+len(s.overdue) > 0 {
			t.Fatalf("after all has expired and Prune = %v: %d, %d, %d, %d, %d entries, want none", err, len(s.byKey), len(s.bySubject), len(s.families), len(s.queue), len(s.overdue))
		}
	})
}
