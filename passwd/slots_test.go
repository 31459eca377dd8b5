package passwd

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// TestQueueKeepsItsOrder, and one who needs several slots is not overtaken by those who need one.
func TestQueueKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(3, 10)
		first, err := s.acquire(t.Context(), 2)
		if err != nil {
			t.Fatalf("acquire = %v", err)
		}
		order := make(chan int, 10)
		leave := make(chan struct{})
		for i, need := range []int{3, 1, 2, 1} { // one slot is free, and nobody may have it
			go func() {
				release, err := s.acquire(t.Context(), need)
				if err != nil {
					t.Errorf("acquire(%d) = %v", need, err)
					return
				}
				order <- i
				<-leave
				release()
			}()
			synctest.Wait()
		}
		if taken, waiting := s.load(); taken != 2 || waiting != 4 || len(order) != 0 {
			t.Errorf("load() = %d, %d and %d served, want 2 taken, 4 waiting, none served", taken, waiting, len(order))
		}
		first()
		synctest.Wait()
		served := func() (now []int) {
			for len(order) > 0 {
				now = append(now, <-order)
			}
			slices.Sort(now)
			return now
		}
		if now := served(); !slices.Equal(now, []int{0}) {
			t.Errorf("served %v, want the first only: it takes all slots", now)
		}
		for i, want := range [][]int{{1, 2}, {3}, nil, nil} {
			leave <- struct{}{}
			synctest.Wait()
			if now := served(); !slices.Equal(now, want) {
				t.Errorf("served %v when %d have gone, want %v", now, i+1, want)
			}
		}
	})
}

func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2, 2)
		first, _ := s.acquire(t.Context(), 1)
		ctx, cancel := context.WithCancel(t.Context())
		gone, served := make(chan error, 1), make(chan func(), 1)
		go func() {
			_, err := s.acquire(ctx, 2)
			gone <- err
		}()
		synctest.Wait()
		go func() {
			release, err := s.acquire(t.Context(), 1)
			if err != nil {
				t.Errorf("acquire = %v", err)
			}
			served <- release
		}()
		synctest.Wait()
		if _, err := s.acquire(t.Context(), 1); !errors.Is(err, ErrBusy) {
			t.Errorf("acquire with a full queue = %v, want ErrBusy", err)
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) || errors.Is(err, ErrBusy) {
			t.Errorf("acquire of one who gave up = %v, want canceled", err)
		}
		second := <-served // the slot that only the one in front did not suffice for
		if taken, waiting := s.load(); taken != 2 || waiting != 0 {
			t.Errorf("load() = %d, %d, want both taken and nobody waiting", taken, waiting)
		}
		first()
		second()
		second() // twice does no harm
		if taken, waiting := s.load(); taken != 0 || waiting != 0 {
			t.Errorf("load() = %d, %d, want nothing", taken, waiting)
		}
	})
}

// TestServedAndGoneAtOnce: slots that are handed to one who has just given up come back.
func TestServedAndGoneAtOnce(t *testing.T) {
	s := newSlots(1, 2)
	first, _ := s.acquire(t.Context(), 1)
	gone, err := s.enter(1)
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.enter(1)
	if err != nil {
		t.Fatal(err)
	}
	first() // the slot is gone's now
	s.leave(gone)
	select {
	case <-next.ready:
	default:
		t.Error("the slot of one who gave up is lost")
	}
}

func TestNobodyWaits(t *testing.T) {
	s := newSlots(1, 0)
	release, err := s.acquire(t.Context(), 5) // more than there are: all of them
	if err != nil {
		t.Fatalf("acquire = %v", err)
	}
	if _, err := s.acquire(t.Context(), 1); !errors.Is(err, ErrBusy) {
		t.Errorf("acquire without a queue = %v, want ErrBusy", err)
	}
	release()
	if _, err := s.acquire(t.Context(), 0); err != nil {
		t.Errorf("acquire of a free slot = %v", err)
	}
	if taken, _ := s.load(); taken != 1 {
		t.Errorf("%d slots taken by one who says that he needs none, want 1", taken)
	}
}

// TestSlotsAreNeitherLostNorMade, in any order of coming, going and giving up.
func TestSlotsAreNeitherLostNorMade(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.IntRange(1, 4).Draw(r, "size")
		s := newSlots(size, 5)
		var have []int
		var waiting []*ticket
		settle := func() { // who has been served moves on
			waiting = slices.DeleteFunc(waiting, func(t *ticket) bool {
				select {
				case <-t.ready:
					have = append(have, t.need)
					return true
				default:
					return false
				}
			})
		}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch rapid.IntRange(0, 2).Draw(r, "step") {
			case 0:
				need := rapid.IntRange(1, size).Draw(r, "need")
				if t, err := s.enter(need); err == nil && t == nil {
					have = append(have, need)
				} else if err == nil {
					waiting = append(waiting, t)
				}
			case 1:
				if len(have) > 0 {
					s.release(have[0])
					have = have[1:]
				}
			case 2:
				if len(waiting) > 0 {
					i := rapid.IntRange(0, len(waiting)-1).Draw(r, "who")
					s.leave(waiting[i])
					waiting = slices.Delete(waiting, i, i+1)
				}
			}
			settle()
			sum := 0
			for _, n := range have {
				sum += n
			}
			if taken, queued := s.load(); taken != sum || sum > size || queued != len(waiting) || queued > 5 {
				r.Fatalf("%d slots of %d are taken and %d wait; handed out are %d, and %d tickets wait", taken, size, queued, sum, len(waiting))
			}
			if len(waiting) > 0 && s.free >= waiting[0].need {
				r.Fatalf("%d slots are free, and one who needs %d waits", s.free, waiting[0].need)
			}
		}
	})
}
