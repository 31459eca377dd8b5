package memory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A table of sessions whose records are in memory. Another store is another line.
func ExampleSessions() {
	ctx := context.Background()
	sessions := session.New(memory.Sessions(), session.Config{Idle: 12 * time.Hour})

	phone, laptop := new(session.Session), new(session.Session)
	for _, s := range []*session.Session{phone, laptop} {
		if err := sessions.Start(ctx, s, gatehouse.Identity{Value: "anna"}, session.Options{}); err != nil {
			fmt.Println(err)
		}
	}
	ended, err := sessions.EndAll(ctx, "anna", laptop.ID())
	fmt.Println(ended, err)
	fmt.Println(errors.Is(sessions.Open(ctx, new(session.Session), phone.Secret().Reveal()), gatehouse.ErrSession))
	fmt.Println(sessions.Open(ctx, new(session.Session), laptop.Secret().Reveal()))
	// Output:
	// 1 <nil>
	// true
	// <nil>
}

// What the store holds, as the table sees it: a record that replaces another ends it in the same step.
func ExampleSessionStore_Create() {
	ctx, now := context.Background(), time.Now()
	store := memory.Sessions()
	visitor := session.Record{Key: session.Key{1}, ID: "first", Created: now, Seen: now, Deadline: now.Add(time.Hour), Version: 1}
	signedIn := visitor
	signedIn.Key, signedIn.ID, signedIn.Subject = session.Key{2}, "second", "anna"

	fmt.Println(store.Create(ctx, visitor, session.Key{}))
	fmt.Println(store.Create(ctx, signedIn, visitor.Key))
	_, err := store.Get(ctx, visitor.Key)
	fmt.Println(err)
	fmt.Println(store.Create(ctx, session.Record{Key: session.Key{3}, ID: "third"}, visitor.Key))
	// Output:
	// <nil>
	// <nil>
	// session not found
	// session not found
}

// A server that runs for long prunes: sessions that nobody comes back to would stay in memory.
func ExampleSessionStore_Prune() {
	ctx, now := context.Background(), time.Now()
	store := memory.Sessions()
	for i, deadline := range []time.Time{now.Add(-time.Hour), now.Add(-time.Minute), now.Add(time.Hour)} {
		rec := session.Record{Key: session.Key{byte(i)}, ID: fmt.Sprint(i), Subject: "anna", Deadline: deadline, Version: 1}
		if err := store.Create(ctx, rec, session.Key{}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(store.Prune(ctx, now, 100))
	left, err := store.List(ctx, "anna")
	fmt.Println(len(left), left[0].ID, err)
	// Output:
	// 2 <nil>
	// 1 2 <nil>
}

// The keys of a program that forgets everything when it ends, and with them what they have signed.
func ExampleKeys() {
	ctx := context.Background()
	ring, err := keyring.New(memory.Keys(), keyring.Config{Name: "access", Master: keyring.NewMaster(), Logger: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ring.Load(ctx))
	key, err := ring.Signer()
	fmt.Println(key.Algorithm(), err)
	// Output:
	// <nil>
	// ES256 <nil>
}

// A token that may be used twice.
func ExampleTokens() {
	ctx, store := context.Background(), memory.Tokens()
	rec := token.Record{Key: token.Key{1}, Purpose: "invite", Subject: "anna", Expires: time.Now().Add(time.Hour), Left: 2}
	fmt.Println(store.Create(ctx, rec))
	for range 3 {
		used, err := store.Use(ctx, rec.Key)
		fmt.Println(used.Left, err)
	}
	// Output:
	// <nil>
	// 1 <nil>
	// 0 <nil>
	// 0 token used up
}

// What is revoked is refused at once.
func ExampleRevocations() {
	ctx, list := context.Background(), revoke.New(memory.Revocations(), revoke.Config{})
	claim := revoke.Claim{Session: "a session", Issued: time.Now()}
	fmt.Println(list.Load(ctx), list.Check(claim))
	fmt.Println(list.RevokeSession(ctx, "a session", time.Now().Add(time.Hour)), list.Check(claim))
	// Output:
	// <nil> <nil>
	// <nil> bad credential: revoked
}

var quiet = slog.New(slog.DiscardHandler)
