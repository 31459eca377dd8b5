package redis

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/redis/rueidis"
)

// A Channel is a [revoke.Bell] on a channel of the server, which it tells nothing but that something has happened. It is safe for concurrent use. Make one with [Bell].
type Channel struct{ db *DB }

var _ revoke.Bell = (*Channel)(nil)

// Bell returns the bell of db. All processes with one server, database and prefix hear each other. Redis keeps no message: who is not connected misses it.
func Bell(db *DB) *Channel { return &Channel{db} }

// name is that of the channel. Redis does not keep the channels of its databases apart.
func (c *Channel) name() string { return c.db.prefix() + "bell:" + decimal(int64(c.db.options.DB)) }

// Ring implements [revoke.Bell]. It takes no longer than [Options.Timeout].
func (c *Channel) Ring(ctx context.Context) error {
	_, err := c.db.call(ctx, func(ctx context.Context) rueidis.RedisResult {
		return c.db.client.Do(ctx, c.db.client.B().Publish().Channel(c.name()).Message("").Build())
	})
	return err
}

var (
	errUnheard = errors.New("not subscribed in time")
	errEnded   = errors.New("the server has ended the subscription")
)

// Listen implements [revoke.Bell], on a connection of its own: one that is subscribed is another kind of client to the server, with other limits. It calls heard in the
// caller's goroutine, and once for several rings if heard takes its time. It returns when the connection breaks, when the server has not answered for some seconds, when ctx is
// done and when db is closed; the error is never nil.
func (c *Channel) Listen(ctx context.Context, heard func()) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(c.db.life, func() { end(rueidis.ErrClosing) })()
	rung, done := make(chan struct{}, 1), make(chan error, 1)
	if !c.db.begin(func() { done <- c.subscribe(life, end, rung) }) {
		return c.db.fault(rueidis.ErrClosing)
	}
	for {
		select {
		case <-rung:
			heard()
		case err := <-done:
			return c.unheard(ctx, life, err)
		}
	}
}

// subscribe makes a connection that lives as long as life, and puts what is heard into rung. It ends life if it is not subscribed in time.
func (c *Channel) subscribe(life context.Context, end context.CancelCauseFunc, rung chan<- struct{}) error {
	client, err := c.db.connect(life)
	if err != nil {
		return err
	}
	defer client.Close()
	late := time.AfterFunc(c.db.options.Timeout, func() { end(errUnheard) })
	defer late.Stop()
	ring := func() {
		select {
		case rung <- struct{}{}:
		default: // heard is about to be called anyway
		}
	}
	subscribed := rueidis.WithOnSubscriptionHook(life, func(s rueidis.PubSubSubscription) {
		if s.Kind == "subscribe" && late.Stop() {
			ring()
		}
	})
	return client.Receive(subscribed, client.B().Subscribe().Channel(c.name()).Build(), func(rueidis.PubSubMessage) { ring() })
}

// unheard says why nothing can be heard any more.
func (c *Channel) unheard(ctx, life context.Context, err error) error {
	db, cause := c.db, context.Cause(life)
	switch {
	case db.life.Err() != nil:
		return db.fault(rueidis.ErrClosing)
	case ctx.Err() != nil:
		return &fault{server: db.options.String(), text: "the caller does not listen any more", cause: ctx.Err()}
	case errors.Is(cause, errUnheard):
		return &fault{server: db.options.String(), text: db.silence(), cause: os.ErrDeadlineExceeded}
	case err == nil:
		return &fault{server: db.options.String(), text: errEnded.Error(), cause: errEnded}
	}
	return db.fault(err)
}
