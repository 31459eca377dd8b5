package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/session"
)

// sessions makes the carrier of the session cookie, whose place in the configuration is at.
func (b *builder) sessions(at string, shelf *shelf) (made carrier.Carrier, notice string) {
	defer func() {
		if value := recover(); value != nil { // what config has let pass and the carrier does not take
			b.fault("sessions.cookie", "%v", value)
		}
	}()
	listener := b.around.listener
	if listener == nil {
		listener = &b.cfg.Server
	}
	option, notice, err := carrier.CookieFor(hostPort(listener), b.cfg.Server.PublicURL, listener.TLS.CertFile != "")
	if err != nil {
		b.fault(at, "%v (server.public_url, server.tls, server.http.host)", err)
		return nil, ""
	}
	c := b.cfg.Sessions
	table := session.New(shelf, session.Config{Idle: c.Idle.Std(), Absolute: c.Absolute.Std(), Touch: c.Touch.Std(), MaxPerSubject: c.MaxPerUser,
		Logger: b.around.logger("store"), Now: b.around.now})
	shelf.table = table
	return carrier.Session(table, append(cookieOptions(c.Cookie), option)...), notice
}

func hostPort(s *config.Server) string { return net.JoinHostPort(s.HTTP.Host, fmt.Sprint(s.HTTP.Port)) }

func cookieOptions(c config.Cookie) []carrier.CookieOption {
	options := []carrier.CookieOption{carrier.CookieName(c.Name)}
	if c.SameSite == "strict" {
		options = append(options, carrier.CookieSameSite(http.SameSiteStrictMode))
	}
	if c.Domain != "" || c.Path != "" && c.Path != "/" {
		options = append(options, carrier.CookieScope(c.Domain, c.Path))
	}
	return options
}

// errNotLookedUp is the answer of commands that only ask what would be.
var errNotLookedUp = errors.New("sessions are not looked up by this command; say who is signed in with --as, or ask the running server with --request")

// A shelf is the session store of one house. It is empty as long as a configuration is only tried out.
type shelf struct {
	session.Store
	table *session.Table // of the store
}

// noSessions is a store that cannot be asked.
type noSessions struct{}

func (noSessions) Create(context.Context, session.Record, session.Key) error { return errNotLookedUp }
func (noSessions) Get(context.Context, session.Key) (session.Record, error) {
	return session.Record{}, errNotLookedUp
}
func (noSessions) Update(context.Context, session.Record) error { return errNotLookedUp }
func (noSessions) Touch(context.Context, session.Key, time.Time, time.Time) error {
	return errNotLookedUp
}
func (noSessions) Delete(context.Context, session.Key) error { return errNotLookedUp }
func (noSessions) List(context.Context, string) ([]session.Record, error) {
	return nil, errNotLookedUp
}
func (noSessions) DeleteAll(context.Context, string, session.Key) (int, error) {
	return 0, errNotLookedUp
}
