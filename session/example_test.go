package session_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// A Cart is data of the program's own.
type Cart struct{ Films []string }

// visit stands for a request with the cookie of s, the way the guard makes it: the session is opened, a handler uses it, and what was put is stored.
func visit(sessions *session.Table, secret gatehouse.Secret, handler func(ctx context.Context)) gatehouse.Secret {
	s := new(session.Session)
	ctx := session.NewContext(context.Background(), s)
	if err := sessions.Open(ctx, s, secret.Reveal()); err != nil {
		fmt.Println(err)
		return secret
	}
	handler(ctx)
	if _, err := sessions.Save(ctx, s); err != nil {
		fmt.Println(err)
	}
	return s.Secret()
}

// Durations that are zero have safe defaults. The same handlers run on SQLite, PostgreSQL or Redis when another store stands here.
func ExampleNew() {
	sessions := session.New(memory.Sessions(), session.Config{Idle: 2 * time.Hour, MaxPerSubject: 5})
	fmt.Println(sessions.Idle, sessions.Absolute)
	// Output: 2h0m0s 720h0m0s
}

// A handler puts values of its own types, and gets them in the next request. A visitor has a session from the first value on.
func ExamplePut() {
	sessions := session.New(memory.Sessions(), session.Config{})
	addFilm := func(ctx context.Context) {
		s := session.FromContext(ctx)
		cart, _, err := session.Get[Cart](s, "cart")
		if err != nil {
			fmt.Println(err)
		}
		cart.Films = append(cart.Films, fmt.Sprintf("film %d", len(cart.Films)+1))
		if err := session.Put(s, "cart", cart); err != nil {
			fmt.Println(err)
		}
		fmt.Println(cart.Films)
	}
	cookie := visit(sessions, gatehouse.Secret{}, addFilm)
	visit(sessions, cookie, addFilm)
	// Output:
	// [film 1]
	// [film 1 film 2]
}

// What is not there is no error; what is of another type is.
func ExampleGet() {
	sessions := session.New(memory.Sessions(), session.Config{})
	visit(sessions, gatehouse.Secret{}, func(ctx context.Context) {
		s := session.FromContext(ctx)
		theme, ok, err := session.Get[string](s, "theme")
		fmt.Printf("%q %v %v\n", theme, ok, err)
		if err := session.Put(s, "theme", "dark"); err != nil {
			fmt.Println(err)
		}
		theme, ok, err = session.Get[string](s, "theme")
		fmt.Printf("%q %v %v\n", theme, ok, err)
		_, _, err = session.Get[int](s, "theme")
		fmt.Println(err)
	})
	// Output:
	// "" false <nil>
	// "dark" true <nil>
	// session: the value of "theme" is not a int: json: cannot unmarshal string into Go value of type int
}

// Without a guard that has a session carrier in front, a handler is told that nothing would be kept.
func ExampleFromContext() {
	s := session.FromContext(context.Background())
	fmt.Println(session.Put(s, "theme", "dark"))
	// Output: no session here: put a guard with carrier.Session in front of the handler
}

// A page of one's devices: the sessions of a subject, without anything that could be used to be signed in.
func ExampleTable_List() {
	ctx := context.Background()
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	sessions := session.New(memory.Sessions(), session.Config{Now: func() time.Time { return now }})
	for _, device := range []string{"laptop", "phone"} {
		if err := sessions.Start(ctx, new(session.Session), gatehouse.Identity{Value: "jack"}, session.Options{UserAgent: device}); err != nil {
			fmt.Println(err)
		}
		now = now.Add(time.Hour)
	}
	list, err := sessions.List(ctx, "jack")
	for _, one := range list {
		fmt.Println(one.UserAgent, one.Created.UTC().Format(time.TimeOnly), one.Expires.UTC().Format(time.TimeOnly))
	}
	fmt.Println(err)
	// Output:
	// laptop 15:04:05 03:04:05
	// phone 16:04:05 04:04:05
	// <nil>
}

// One device is signed out by its id. An id of somebody else's is not found.
func ExampleTable_EndOne() {
	ctx := context.Background()
	sessions := session.New(memory.Sessions(), session.Config{})
	phone := new(session.Session)
	if err := sessions.Start(ctx, phone, gatehouse.Identity{Value: "jack"}, session.Options{}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(errors.Is(sessions.EndOne(ctx, "mallory", phone.ID()), session.ErrNotFound))
	fmt.Println(sessions.EndOne(ctx, "jack", phone.ID()))
	visit(sessions, phone.Secret(), func(context.Context) {})
	// Output:
	// true
	// <nil>
	// bad credential: no such session: unknown
}

// After a change of password everybody but the one who has changed it is signed out.
func ExampleTable_EndAll() {
	ctx := context.Background()
	sessions := session.New(memory.Sessions(), session.Config{})
	var here *session.Session
	for range 3 {
		here = new(session.Session)
		if err := sessions.Start(ctx, here, gatehouse.Identity{Value: "jack"}, session.Options{}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(sessions.EndAll(ctx, "jack", here.ID()))
	visit(sessions, here.Secret(), func(ctx context.Context) { fmt.Println(session.FromContext(ctx).Subject()) })
	// Output:
	// 2 <nil>
	// jack
}

// A server that runs for long keeps its store small.
func ExampleTable_KeepPruned() {
	sessions := session.New(memory.Sessions(), session.Config{})
	ctx, stop := context.WithCancel(context.Background())
	stop() // when the server ends
	sessions.KeepPruned(ctx, time.Tick(time.Minute))
	fmt.Println("done")
	// Output: done
}
