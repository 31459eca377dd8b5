package sqldb

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// endless is a call that does nothing until its context ends.
func endless(begun chan<- bool) func(context.Context) error {
	return func(ctx context.Context) error {
		begun <- true
		<-ctx.Done()
		return errBroken
	}
}

func TestLong(t *testing.T) {
	var long Long
	if err := long.Do(t.Context(), func(context.Context) error { return errBroken }); !errors.Is(err, errBroken) {
		t.Errorf("Do = %v, want the function's error", err)
	}
	begun, done := make(chan bool), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- long.Do(ctx, endless(begun)) }()
	<-begun
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, errBroken) {
		t.Errorf("Do whose context ends = %v, want an error that wraps context.Canceled and the function's", err)
	}
	for range 3 {
		go func() { done <- long.Do(t.Context(), endless(begun)) }()
		<-begun
	}
	over := make(chan bool)
	for range 2 {
		go func() { long.Close(); over <- true }()
	}
	for range 3 {
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Do that is closed = %v, want an error that wraps ErrClosed", err)
		}
	}
	<-over
	<-over
	if err := long.Do(t.Context(), endless(nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("Do after Close = %v, want an error that wraps ErrClosed", err)
	}
}

// TestLongCloseWaits: what uses the database is done with it when Close returns.
func TestLongCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var long Long
		finish, closed := make(chan bool), make(chan bool, 1)
		go func() {
			_ = long.Do(t.Context(), func(ctx context.Context) error {
				<-ctx.Done()
				<-finish
				return nil
			})
		}()
		synctest.Wait()
		go func() { long.Close(); closed <- true }()
		synctest.Wait()
		if len(closed) > 0 {
			t.Error("Close returns while a call is under way")
		}
		finish <- true
		<-closed
	})
	(&Long{}).Close()
}
