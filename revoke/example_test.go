package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// A program makes one list, reads it once before it takes requests, and keeps it fresh. The same lines run on SQLite and PostgreSQL when another store stands here.
func ExampleNew() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop() // when the server ends
	list := revoke.New(memory.Revocations(), revoke.Config{})
	if err := list.Load(ctx); err != nil {
		fmt.Println(err) // what was revoked is not known: do not begin
	}
	go list.Run(ctx)
	fmt.Println(list.Bound(), list.Len())
	// Output: 5s 0
}

// What a verifier asks before it accepts a token, once its signature is good. There are three answers, and one of them is not known.
func ExampleList_Check() {
	ctx := context.Background()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	list := revoke.New(memory.Revocations(), revoke.Config{Now: func() time.Time { return now }})
	ask := func(c revoke.Claim) {
		var stale *gatehouse.StaleError
		switch err := list.Check(c); {
		case err == nil:
			fmt.Println("accepted")
		case errors.Is(err, revoke.ErrRevoked):
			fmt.Println("401, revoked")
		case errors.As(err, &stale):
			fmt.Println("503, not known")
		}
	}
	ask(revoke.Claim{Token: "t1"})
	fmt.Println(list.Load(ctx), list.RevokeToken(ctx, "t1", now.Add(time.Hour)))
	ask(revoke.Claim{Token: "t1"})
	ask(revoke.Claim{Token: "t2"})
	now = now.Add(time.Minute) // and nobody has read the feed
	ask(revoke.Claim{Token: "t1"})
	ask(revoke.Claim{Token: "t2"})
	// Output:
	// 503, not known
	// <nil> <nil>
	// 401, revoked
	// accepted
	// 401, revoked
	// 503, not known
}

// A log-out: whatever was minted for the session ends, on every node. The log-out is acknowledged when this has returned nil, and not before.
func ExampleList_RevokeSession() {
	ctx := context.Background()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := revoke.Config{Now: func() time.Time { return now }}
	store := memory.Revocations()
	here, there := revoke.New(store, c), revoke.New(store, c)
	expires := now.Add(30 * 24 * time.Hour) // when the session would have ended by itself
	if err := here.RevokeSession(ctx, "session-1", expires); err != nil {
		fmt.Println("not logged out:", err)
	}
	fmt.Println(there.Load(ctx)) // what Run does each second, and when a bell rings
	fmt.Println(there.Check(revoke.Claim{Session: "session-1"}))
	fmt.Println(there.Check(revoke.Claim{Session: "session-2"}))
	// Output:
	// <nil>
	// bad credential: revoked
	// <nil>
}

// A changed password, or a lost laptop: everything that was issued to somebody until now ends. What is minted afterwards, even in the same second, counts.
func ExampleList_RevokeSubject() {
	ctx := context.Background()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	list := revoke.New(memory.Revocations(), revoke.Config{Now: func() time.Time { return now }})
	before := list.IssuedAt("jack", now)
	fmt.Println(list.Load(ctx), list.RevokeSubject(ctx, "jack"))
	after := list.IssuedAt("jack", now)
	fmt.Println(list.Check(revoke.Claim{Subject: "jack", Issued: before}))
	fmt.Println(list.Check(revoke.Claim{Subject: "jack", Issued: after}))
	fmt.Println(list.Check(revoke.Claim{Subject: "amy", Issued: before}))
	// Output:
	// <nil> <nil>
	// bad credential: revoked
	// <nil>
	// <nil>
}

// A key that has leaked: nothing that it has signed counts any more.
func ExampleList_RevokeKey() {
	ctx := context.Background()
	list := revoke.New(memory.Revocations(), revoke.Config{})
	fmt.Println(list.Load(ctx), list.RevokeKey(ctx, "2026-03-a"))
	fmt.Println(list.Check(revoke.Claim{Key: "2026-03-a", Token: "t1"}))
	// Output:
	// <nil> <nil>
	// bad credential: revoked
}

// A program without access to the store follows the feed of one that has it. Who may read the feed is checked in front of it: here by a name and a password.
func ExampleFollow() {
	ctx, stop := context.WithCancel(context.Background())
	gate := revoke.New(memory.Revocations(), revoke.Config{})
	feed := revoke.NewFeed(gate)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "films" || password != "a long secret" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		feed.ServeHTTP(w, r)
	}))
	defer server.Close()
	defer feed.Close() // first, or the server would wait for the streams
	defer stop()
	fmt.Println(gate.Load(ctx))
	go gate.Run(ctx)

	list, err := revoke.Follow(revoke.FollowConfig{
		URL:       server.URL,
		Authorize: func(r *http.Request) error { r.SetBasicAuth("films", "a long secret"); return nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	go list.Run(ctx)
	fmt.Println(gate.RevokeToken(ctx, "t1", time.Now().Add(time.Hour)))
	fmt.Println(list.Load(ctx)) // waits until everything has been heard
	for !errors.Is(list.Check(revoke.Claim{Token: "t1"}), revoke.ErrRevoked) {
		// a moment later
	}
	fmt.Println(list.Check(revoke.Claim{Token: "t1"}))
	fmt.Println(list.RevokeToken(ctx, "t2", time.Now()))
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// bad credential: revoked
	// revoke: this list only follows: revoke where its store is
}

// The binary serves its feed at /oauth/revocations. A program of one's own needs a guard in front of it, and closes it before its server shuts down.
func ExampleNewFeed() {
	list := revoke.New(memory.Revocations(), revoke.Config{})
	feed := revoke.NewFeed(list)
	mux := http.NewServeMux()
	mux.Handle("GET /oauth/revocations", feed) // behind the guard: it names tokens, sessions and subjects
	server := &http.Server{Handler: mux}
	server.RegisterOnShutdown(feed.Close)
	fmt.Println(server.Shutdown(context.Background()))
	// Output: <nil>
}
