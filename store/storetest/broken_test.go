package storetest

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// A broken store does what its functions do, and where they are nil what the naive store does.
type broken struct {
	*naive
	create    func(ctx context.Context, rec session.Record, replaces session.Key) error
	get       func(ctx context.Context, key session.Key) (session.Record, error)
	update    func(ctx context.Context, rec session.Record) error
	touch     func(ctx context.Context, key session.Key, seen, deadline time.Time) error
	delete    func(ctx context.Context, key session.Key) error
	list      func(ctx context.Context, subject string) ([]session.Record, error)
	deleteAll func(ctx context.Context, subject string, except session.Key) (int, error)
	prune     func(ctx context.Context, before time.Time, limit int) (int, error)
}

func (b *broken) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	if b.create != nil {
		return b.create(ctx, rec, replaces)
	}
	return b.naive.Create(ctx, rec, replaces)
}

func (b *broken) Get(ctx context.Context, key session.Key) (session.Record, error) {
	if b.get != nil {
		return b.get(ctx, key)
	}
	return b.naive.Get(ctx, key)
}

func (b *broken) Update(ctx context.Context, rec session.Record) error {
	if b.update != nil {
		return b.update(ctx, rec)
	}
	return b.naive.Update(ctx, rec)
}

func (b *broken) Touch(ctx context.Context, key session.Key, seen, deadline time.Time) error {
	if b.touch != nil {
		return b.touch(ctx, key, seen, deadline)
	}
	return b.naive.Touch(ctx, key, seen, deadline)
}

func (b *broken) Delete(ctx context.Context, key session.Key) error {
	if b.delete != nil {
		return b.delete(ctx, key)
	}
	return b.naive.Delete(ctx, key)
}

func (b *broken) List(ctx context.Context, subject string) ([]session.Record, error) {
	if b.list != nil {
		return b.list(ctx, subject)
	}
	return b.naive.List(ctx, subject)
}

func (b *broken) DeleteAll(ctx context.Context, subject string, except session.Key) (int, error) {
	if b.deleteAll != nil {
		return b.deleteAll(ctx, subject, except)
	}
	return b.naive.DeleteAll(ctx, subject, except)
}

func (b *broken) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if b.prune != nil {
		return b.prune(ctx, before, limit)
	}
	return b.naive.Prune(ctx, before, limit)
}
