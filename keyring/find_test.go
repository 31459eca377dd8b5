package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

func TestFindAsksTheStoreOnceASecond(t *testing.T) {
	clock, store := newClock(), newStore()
	r := newRing(t, store, clock, keyring.Config{})
	known := signerOf(t, r).ID()
	asks := func(what string, want int, kids ...string) {
		t.Helper()
		before, _ := store.counts()
		for _, kid := range kids {
			if k, err := r.Find(t.Context(), kid); kid != known && (!errors.Is(err, keyring.ErrUnknownKey) || k != nil) {
				t.Errorf("Find(%.20q) = %v, %v, want ErrUnknownKey", kid, k, err)
			}
		}
		if after, _ := store.counts(); after-before != want {
			t.Errorf("%s: the store was asked %d times, want %d", what, after-before, want)
		}
	}
	asks("the known key", 0, known, known, known)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint("unknown ", i)
	}
	asks("a thousand unknown keys", 1, many...)
	clock.move(999 * time.Millisecond)
	asks("not a second later", 0, many...)
	clock.move(time.Millisecond)
	asks("a second later", 1, many...)
	clock.move(-time.Hour)
	asks("when the clock went back", 1, many...)
	clock.move(2 * time.Hour)
	asks("ids that no key can have", 0, "", strings.Repeat("x", 256), strings.Repeat("x", 1<<20))
	asks("the longest id", 1, strings.Repeat("x", 255))
	if err := r.Retire(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	clock.move(time.Hour)
	before, _ := store.counts()
	if verifies(t, r, known) {
		t.Error("a retired key verifies")
	}
	if after, _ := store.counts(); after != before {
		t.Error("a key that was retired for good has caused a look into the store")
	}
}

func TestFindFindsWhatOthersHaveMade(t *testing.T) {
	clock, store := newClock(), newStore()
	one, two := newRing(t, store, clock, keyring.Config{}), newRing(t, store, clock, keyring.Config{})
	first := must(one.Rotate(t.Context())).ID
	if !verifies(t, two, first) {
		t.Error("a key that another process has made is not found")
	}
	clock.move(keyring.DefaultPublish)
	second := must(one.Rotate(t.Context())).ID
	if !verifies(t, two, second) {
		t.Error("another one, later, is not found")
	}
}

// TestManyWaitForOneLook: whoever asks while the store is being asked waits for that answer.
func TestManyWaitForOneLook(t *testing.T) {
	clock, inner := newClock(), newStore()
	store := &slowStore{ringStore: inner, asked: make(chan struct{}, 100), answer: make(chan struct{})}
	close(store.answer)
	r := newRing(t, store, clock, keyring.Config{})
	other := newRing(t, inner, clock, keyring.Config{})
	for len(store.asked) > 0 {
		<-store.asked
	}
	store.answer = make(chan struct{})
	id := must(other.Rotate(t.Context())).ID
	results := make(chan error, 50)
	for range cap(results) {
		go func() {
			_, err := r.Find(t.Context(), id)
			results <- err
		}()
	}
	<-store.asked
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Find(impatient, "unknown"); err == nil {
		t.Error("Find with a context that is over = nil, want an error")
	}
	close(store.answer)
	for range cap(results) {
		if err := <-results; err != nil {
			t.Errorf("Find(a new key) = %v, want nil", err)
		}
	}
	if len(store.asked) != 0 {
		t.Errorf("fifty who asked at a time have caused %d looks more, want none", len(store.asked))
	}
}

// slowStore says when it is asked and answers when it is told to.
type slowStore struct {
	*ringStore
	asked  chan struct{}
	answer chan struct{}
}

func (s *slowStore) Load(ctx context.Context, ring string) ([]keyring.Record, int64, error) {
	s.asked <- struct{}{}
	<-s.answer
	return s.ringStore.Load(ctx, ring)
}

// TestTheLookDoesNotEndWithWhoCausedIt: a client that goes away must not leave the others without an answer.
func TestTheLookDoesNotEndWithWhoCausedIt(t *testing.T) {
	clock, inner := newClock(), newStore()
	store := &slowStore{ringStore: inner, asked: make(chan struct{}, 100), answer: make(chan struct{})}
	close(store.answer)
	r := newRing(t, store, clock, keyring.Config{})
	<-store.asked
	store.answer = make(chan struct{})
	id := must(newRing(t, inner, clock, keyring.Config{}).Rotate(t.Context())).ID
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := r.Find(ctx, id)
		gone <- err
	}()
	<-store.asked
	cancel()
	if err := <-gone; err == nil {
		t.Error("Find of a client that went away = nil, want an error")
	}
	patient := make(chan error, 1)
	go func() {
		_, err := r.Find(t.Context(), id)
		patient <- err
	}()
	close(store.answer)
	if err := <-patient; err != nil {
		t.Errorf("Find of the next client = %v, want nil", err)
	}
}

// TestUnknownOrNotToBeSaid: when the store is away for long, an unknown key may be one that is merely new.
func TestUnknownOrNotToBeSaid(t *testing.T) {
	clock, store := newClock(), newStore()
	r := newRing(t, store, clock, keyring.Config{})
	known := signerOf(t, r).ID()
	store.fail(errors.New("away"), nil)
	for _, test := range []struct {
		after time.Duration
		want  error
	}{{2 * time.Second, keyring.ErrUnknownKey}, {8 * time.Second, keyring.ErrUnknownKey}, {500 * time.Millisecond, gatehouse.ErrUnavailable}, {time.Second, gatehouse.ErrUnavailable}, {time.Hour, gatehouse.ErrUnavailable}} {
		clock.move(test.after)
		for range 3 {
			k, err := r.Find(t.Context(), "unknown")
			if !errors.Is(err, test.want) || k != nil || errors.Is(err, gatehouse.ErrCredential) != (test.want == keyring.ErrUnknownKey) {
				t.Errorf("Find(unknown) %v later = %v, %v, want %v", test.after, k, err, test.want)
			}
		}
		if !verifies(t, r, known) {
			t.Error("a known key is not found while the store is away")
		}
	}
	store.fail(nil, nil)
	clock.move(time.Second)
	if _, err := r.Find(t.Context(), "unknown"); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("Find(unknown) when the store is back = %v, want ErrUnknownKey", err)
	}
}

func TestParallelUse(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Rotate: time.Minute, Lifetime: time.Minute, Algorithm: keyring.HS256}
	rings := []*keyring.Ring{newRing(t, store, clock, c), newRing(t, store, clock, c)}
	var group sync.WaitGroup
	for _, r := range rings {
		for worker := range 4 {
			group.Go(func() {
				for i := range 50 {
					clock.move(time.Second)
					k, err := r.Signer()
					if err != nil {
						t.Errorf("Signer() = %v, want nil", err)
						return
					}
					found, err := rings[i%2].Find(t.Context(), k.ID())
					if err == nil && found.Verify([]byte("input"), sign(t, k, "input")) != nil {
						t.Errorf("%v does not verify what it has signed", k)
					}
					if worker == 0 && i%10 == 0 {
						r.Rotate(t.Context())
					}
					r.Load(t.Context())
					r.All()
					r.Keys()
				}
			})
		}
	}
	group.Wait()
}
