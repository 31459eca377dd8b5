package redis_test

import (
	"context"
	"fmt"
	"log"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/redis"
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
