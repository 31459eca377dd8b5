package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/token"
)

func ExampleParseURL() {
	options, err := redis.ParseURL("rediss://gatehouse:p%40ss@redis.example.org/1")
	fmt.Println(options, err)
	fmt.Println(options.User, options.Password, options.Password.Reveal() == "p@ss")

	options, err = redis.ParseURL("redis://10.0.0.5:7000")
	fmt.Println(options, err)

	_, err = redis.ParseURL("redis://:p/ss@redis.example.org")
	fmt.Println(err != nil) // and no word of the password in it
	// Output:
	// redis redis.example.org:6379 db 1 (TLS) <nil>
	// gatehouse [secret] true
	// redis 10.0.0.5:7000 db 0 (not encrypted) <nil>
	// true
}

// A program starts whether the server is there or not. Until it is, and whenever it is not, checks are answered 503.
func ExampleOpen() {
	server, err := miniredis.Run() // a model of Redis; programs have a real one
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	options, err := redis.ParseURL("redis://" + server.Addr())
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	db, err := redis.Open(ctx, options)
	if err != nil {
		log.Fatal(err) // the password is wrong, say
	}
	defer db.Close()

	fmt.Println("ready:", db.Ping(ctx) == nil)
	server.SetError("LOADING Redis is loading the dataset in memory")
	fmt.Println("ready:", db.Ping(ctx) == nil)
	// Output:
	// ready: true
	// ready: false
}

func ExampleSessions() {
	server, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	options, err := redis.ParseURL("redis://" + server.Addr())
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	db, err := redis.Open(ctx, options)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	sessions := session.New(redis.Sessions(db), session.Config{})
	var here session.Session
	if err := sessions.Start(ctx, &here, gatehouse.Identity{Value: "anna"}, session.Options{}); err != nil {
		log.Fatal(err)
	}
	list, err := sessions.List(ctx, "anna")
	fmt.Println(len(list), err)
	n, err := sessions.EndAll(ctx, "anna", "")
	fmt.Println(n, err)
	// Output:
	// 1 <nil>
	// 1 <nil>
}

// openModel opens a model of Redis; programs have a real one.
func openModel() (db *redis.DB, done func()) {
	server, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	options, err := redis.ParseURL("redis://" + server.Addr())
	if err != nil {
		log.Fatal(err)
	}
	db, err = redis.Open(context.Background(), options)
	if err != nil {
		log.Fatal(err)
	}
	return db, func() { db.Close(); server.Close() }
}

// Two processes with one ring have the same keys.
func ExampleKeys() {
	db, done := openModel()
	defer done()
	ctx, master := context.Background(), keyring.NewMaster() // from a file that all processes have
	var ids []string
	for range 2 {
		ring, err := keyring.New(redis.Keys(db), keyring.Config{Name: "access", Master: master})
		if err == nil {
			err = ring.Load(ctx)
		}
		if err != nil {
			log.Fatal(err)
		}
		key, err := ring.Signer()
		if err != nil {
			log.Fatal(err)
		}
		ids = append(ids, key.ID())
	}
	fmt.Println(ids[0] == ids[1])
	// Output: true
}

// A link that was mailed works once, whichever process it comes to.
func ExampleTokens() {
	db, done := openModel()
	defer done()
	ctx, purpose := context.Background(), token.ResetPassword()
	purpose.Audience = []string{"https://app.example.org"}
	minter, err := token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: purpose, Store: redis.Tokens(db), Revocations: revoke.None})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: purpose, Store: redis.Tokens(db), Revocations: revoke.None})
	if err != nil {
		log.Fatal(err)
	}
	link, err := minter.Mint(ctx, token.Claims{Subject: "anna"})
	if err != nil {
		log.Fatal(err)
	}
	claims, err := verifier.Verify(ctx, link.Text.Reveal())
	fmt.Println(claims.Subject, err)
	_, err = verifier.Verify(ctx, link.Text.Reveal())
	fmt.Println(errors.Is(err, gatehouse.ErrCredential))
	// Output:
	// anna <nil>
	// true
}

// What one process revokes, another one refuses as soon as the bell has rung.
func ExampleRevocations() {
	db, done := openModel()
	defer done()
	ctx, cancel := context.WithCancel(context.Background())
	here := revoke.New(redis.Revocations(db), revoke.Config{Bells: []revoke.Bell{redis.Bell(db)}})
	there := revoke.New(redis.Revocations(db), revoke.Config{Bells: []revoke.Bell{redis.Bell(db)}})
	stopped := make(chan error)
	go func() { stopped <- there.Run(ctx) }()

	if err := here.RevokeSession(ctx, "a session", time.Now().Add(time.Hour)); err != nil {
		log.Fatal(err)
	}
	claim := revoke.Claim{Session: "a session", Issued: time.Now()}
	fmt.Println(here.Check(claim))
	if err := there.Load(ctx); err != nil { // or wait for the bell
		log.Fatal(err)
	}
	fmt.Println(there.Check(claim))
	cancel()
	<-stopped
	// Output:
	// bad credential: revoked
	// bad credential: revoked
}

// A bell saves other processes the wait for their next look.
func ExampleBell() {
	db, done := openModel()
	defer done()
	bell := redis.Bell(db)
	ctx, cancel := context.WithCancel(context.Background())
	heard, stopped := make(chan string, 2), make(chan error)
	go func() { stopped <- bell.Listen(ctx, func() { heard <- "look now" }) }()

	fmt.Println(<-heard) // at the beginning: what is rung from now on is heard
	fmt.Println(bell.Ring(ctx))
	fmt.Println(<-heard)
	cancel()
	fmt.Println(errors.Is(<-stopped, context.Canceled))
	// Output:
	// look now
	// <nil>
	// look now
	// true
}
