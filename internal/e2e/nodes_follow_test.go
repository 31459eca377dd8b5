package e2e

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	core "github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// follows is a Go program that verifies tokens without a store, and follows node 0 to know what was revoked, wherever that listens after a restart.
func (f *fleet) follows(t *testing.T) *revoke.List {
	t.Helper()
	var at atomic.Pointer[gate]
	at.Store(f.nodes[0])
	f.restarted = at.Store
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at.Load().addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	list, err := revoke.Follow(revoke.FollowConfig{URL: "http://localhost/oauth/revocations", Transport: transport, Logger: slog.New(slog.DiscardHandler),
		Authorize: func(r *http.Request) error { r.Header.Set(byOperator[0], byOperator[1]); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan struct{})
	go func() { defer close(running); list.Run(t.Context()) }()
	t.Cleanup(func() { <-running })
	ctx, cancel := context.WithTimeout(t.Context(), calm)
	defer cancel()
	if err := list.Load(ctx); err != nil {
		t.Fatal(err)
	}
	return list
}

// A claimed is a token, and what a verifier asks about it.
type claimed struct {
	text  string
	claim revoke.Claim
}

func (w *works) claim(t *testing.T, who string) claimed {
	t.Helper()
	made := w.mint(t, who)
	c := made.Claims
	return claimed{made.Text.Reveal(), revoke.Claim{Token: c.ID, Session: c.Session, Subject: c.Subject, Key: c.Key, Issued: c.IssuedAt}}
}

// TestFollowingTheFeed: a program that follows a node refuses what is revoked there, before and after it began. When the node is gone it accepts nothing past the bound, and still knows
// what was revoked; when the node is back, it goes on.
func TestFollowingTheFeed(t *testing.T) {
	needFleet(t)
	t.Parallel()
	f := beginFleet(t, onSQLite(t), 1)
	w := f.beside(t)
	before, good := w.claim(t, "before"), w.claim(t, "good")
	f.mustRevoke(t, 0, before.text)
	acknowledged := time.Now()
	list := f.follows(t)
	revokedAfter(t, list, before.claim, acknowledged)
	wantChecks := func(when string, want error) {
		t.Helper()
		if err := list.Check(good.claim); !errors.Is(err, want) {
			t.Errorf("%s: Check of a good token = %v, want %v", when, err, want)
		}
		if err := list.Check(before.claim); !errors.Is(err, revoke.ErrRevoked) {
			t.Errorf("%s: Check of what was revoked = %v, want %v", when, err, revoke.ErrRevoked)
		}
	}
	wantChecks("once it has heard everything", nil)
	var times []time.Duration
	for i := range 100 {
		c := w.claim(t, "subject"+strconv.Itoa(i))
		if err := list.Check(c.claim); err != nil {
			t.Fatalf("Check of a good token = %v, want nil", err)
		}
		f.mustRevoke(t, 0, c.text)
		times = append(times, revokedAfter(t, list, c.claim, time.Now()))
	}
	figure(t, "revocations reach a program that follows the feed: %s", percentiles(times))
	wantChecks("after all these", nil)
	f.kill(t, 0)
	var stale *core.StaleError
	until(t, "nothing is accepted any more", func() bool { return errors.As(list.Check(good.claim), &stale) })
	if stale.Age <= bound {
		t.Errorf("it is stale at an age of %v, want more than %v", stale.Age, bound)
	}
	wantChecks("without the feed", core.ErrUnavailable)
	f.restart(t, 0)
	until(t, "the program has heard everything again", func() bool { return list.Check(good.claim) == nil })
	f.mustRevoke(t, 0, good.text)
	revokedAfter(t, list, good.claim, time.Now())
}

// revokedAfter waits until a list knows that something was revoked, and returns how long that took.
func revokedAfter(t *testing.T, list *revoke.List, c revoke.Claim, acknowledged time.Time) time.Duration {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !errors.Is(list.Check(c), revoke.ErrRevoked) {
		if time.Since(acknowledged) > bound {
			t.Fatalf("the list does not know %v after the acknowledgement what was revoked", bound)
		}
		<-tick.C
	}
	return time.Since(acknowledged)
}
