package gatehousetest

import (
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// TestClockMovesWhenItIsTold, and only then.
func TestClockMovesWhenItIsTold(t *testing.T) {
	c := NewClock(noon)
	if first, second := c.Now(), c.Now(); first != noon || second != noon {
		t.Errorf("Now() = %v, then %v, want %v both times", first, second, noon)
	}
	for _, tt := range []struct {
		name string
		move func()
		want time.Time
	}{
		{"Advance(1h)", func() { c.Advance(time.Hour) }, noon.Add(time.Hour)},
		{"Advance(-2h)", func() { c.Advance(-2 * time.Hour) }, noon.Add(-time.Hour)},
		{"Advance(0)", func() { c.Advance(0) }, noon.Add(-time.Hour)},
		{"Set(noon)", func() { c.Set(noon) }, noon},
		{"Set(yesterday)", func() { c.Set(noon.AddDate(0, 0, -1)) }, noon.AddDate(0, 0, -1)},
	} {
		if tt.move(); c.Now() != tt.want {
			t.Errorf("%s: Now() = %v, want %v", tt.name, c.Now(), tt.want)
		}
	}
	if got := c.Advance(time.Minute); got != c.Now() {
		t.Errorf("Advance(1m) = %v, want what Now says, %v", got, c.Now())
	}
}

// TestClockBeginsInThePresent if nobody says otherwise, with a precision that every store has.
func TestClockBeginsInThePresent(t *testing.T) {
	before := time.Now()
	got := NewClock(time.Time{}).Now()
	if got.Before(before.Add(-time.Second)) || got.After(time.Now()) || got.Nanosecond() != 0 {
		t.Errorf("NewClock(zero).Now() = %v, want the present in whole seconds", got)
	}
}

// TestClockIsSafeForConcurrentUse is for the race detector, and counts.
func TestClockIsSafeForConcurrentUse(t *testing.T) {
	c := NewClock(noon)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			c.Advance(time.Second)
			c.Now()
		})
	}
	group.Wait()
	if got, want := c.Now(), noon.Add(50*time.Second); got != want {
		t.Errorf("after 50 times Advance(1s) Now() = %v, want %v", got, want)
	}
}
