package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// BenchmarkSession measures what a request asks of a table over each store: finding a session, one after the other and many at once; starting and
// ending one; storing a value. PostgreSQL and Redis are measured where GATEHOUSE_BENCH_POSTGRES and GATEHOUSE_BENCH_REDIS are URLs of servers.
func BenchmarkSession(b *testing.B) {
	for _, kind := range stores() {
		store, closeStore, err := openStore(b.Context(), kind)
		if err != nil {
			b.Fatal(err)
		}
		defer closeStore()
		if err := seed(b.Context(), store); err != nil {
			b.Fatal(err)
		}
		table := session.New(store, session.Config{})
		b.Run("find/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				find(b, table)
			}
		})
		b.Run("find-parallel/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					find(b, table)
				}
			})
		})
		b.Run("start-and-end/"+kind, func(b *testing.B) {
			for b.Loop() {
				startAndEnd(b, table, "ann")
			}
		})
		b.Run("start-and-end-parallel/"+kind, func(b *testing.B) {
			var n atomic.Int64
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					startAndEnd(b, table, fmt.Sprint("user ", n.Add(1)))
				}
			})
		})
		b.Run("put/"+kind, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				put(b, table, i)
			}
		})
	}
}

func find(b *testing.B, table *session.Table) {
	var s session.Session
	if err := table.Open(context.Background(), &s, secret); err != nil || s.Subject() != "jack" {
		b.Errorf("Open = %v, %q", err, s.Subject())
	}
}

func startAndEnd(b *testing.B, table *session.Table, name string) {
	var s session.Session
	if err := table.Start(context.Background(), &s, gatehouse.Identity{Value: name}, session.Options{}); err != nil {
		b.Error(err)
	}
	if err := table.End(context.Background(), &s); err != nil {
		b.Error(err)
	}
}

func put(b *testing.B, table *session.Table, i int) {
	var s session.Session
	if err := table.Open(context.Background(), &s, secret); err != nil {
		b.Fatal(err)
	}
	if err := session.Put(&s, "n", i); err != nil {
		b.Fatal(err)
	}
	if _, err := table.Save(context.Background(), &s); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGuardOverhead compares a bare handler with the same behind a guard with sessions in memory: what is added per request, in time and in
// allocations, without any network.
func BenchmarkGuardOverhead(b *testing.B) {
	store, closeStore, err := openStore(b.Context(), "memory")
	if err != nil {
		b.Fatal(err)
	}
	defer closeStore()
	if err := seed(b.Context(), store); err != nil {
		b.Fatal(err)
	}
	rules, err := newTable(100)
	if err != nil {
		b.Fatal(err)
	}
	g, err := sessionGuard(store, rules)
	if err != nil {
		b.Fatal(err)
	}
	tokens, err := newGuard(100)
	if err != nil {
		b.Fatal(err)
	}
	for name, h := range map[string]http.Handler{"bare": http.HandlerFunc(bare), "session": g.Handler(http.HandlerFunc(bare)), "token": tokens.Handler(http.HandlerFunc(bare))} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/films/7", nil)
			if name == "token" {
				r.Header.Set("Authorization", "Bearer "+staticToken)
			} else {
				r.Header.Set("Cookie", "__Host-gatehouse="+secret)
			}
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
			if w.status >= 400 {
				b.Fatalf("status %d", w.status)
			}
		})
	}
}
