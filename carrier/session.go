package carrier

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// A SessionCarrier finds the session that a cookie names, or holds. Make it with [Session] or [Sealed].
type SessionCarrier struct {
	table  *session.Table
	cookie cookie
}

// Session returns the carrier of sessions in a cookie, __Host-gatehouse unless options say otherwise. The cookie holds a random secret and nothing that a client
// could read or change to be somebody else. Session panics if table is nil or the options make no cookie that browsers accept: mistakes in a program, not in its
// input.
func Session(table *session.Table, opts ...CookieOption) *SessionCarrier {
	if table == nil {
		panic("carrier.Session: the table is nil")
	}
	c, err := newCookie(opts)
	if err != nil {
		panic("carrier.Session: " + err.Error())
	}
	if table.Cookie() != "" && table.Cookie() != c.name {
		panic("carrier.Session: the sessions of the table are sealed for another cookie: use carrier.Sealed")
	}
	return &SessionCarrier{table, c}
}

// String names the carrier in logs and explanations.
func (c *SessionCarrier) String() string { return "cookie " + c.cookie.name }

// Identify implements [Carrier]. The session of a visitor who is not signed in is no credential.
func (c *SessionCarrier) Identify(r *http.Request) (gatehouse.Identity, error) {
	s := session.FromContext(r.Context())
	value, err := c.cookie.find(r)
	if err == nil {
		err = c.cookie.allowed(r)
	}
	if err != nil {
		if opened := c.table.Open(r.Context(), s, ""); opened != nil {
			return gatehouse.Identity{}, opened
		}
		return gatehouse.Identity{}, err
	}
	if err := c.table.Open(r.Context(), s, value); err != nil {
		return gatehouse.Identity{}, err
	}
	id := s.Identity()
	if id.Value == "" {
		return id, gatehouse.ErrAnonymous
	}
	return id, nil
}

// Remember implements [Carrier]: it starts a new session for id, ends the one that r came with, and sets the cookie. See [session.Table.Start] for its errors. It honours
// all options of this package.
func (c *SessionCarrier) Remember(w http.ResponseWriter, r *http.Request, id gatehouse.Identity, opts ...Option) error {
	s := c.table.FromContext(r.Context())
	if s.Begun() {
		return fmt.Errorf("%s: %w", c, session.ErrTooLate)
	}
	if err := c.cookie.allowed(r); err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	a, maxAge, err := c.settings(opts)
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	if err := c.reopen(r, s); err != nil {
		return err
	}
	stored, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	_, none := c.cookie.find(r)
	before, sent := c.attributesOf(s), none == nil || s.ID() != ""
	if err := c.table.Start(r.Context(), s, id, session.Options{MaxAge: maxAge, UserAgent: r.UserAgent(), Attributes: stored}); err != nil {
		return err
	}
	if sent && (before.Path != a.Path || before.Domain != a.Domain) {
		c.cookie.clear(w.Header(), before) // to a browser it is another cookie, and would be sent beside the new one
	}
	return c.give(w, s, a)
}

// reopen opens the session of r's cookie in s if s is empty: nobody may have asked Identify, or for another s.
func (c *SessionCarrier) reopen(r *http.Request, s *session.Session) error {
	value, err := c.cookie.find(r)
	if err != nil || s.ID() != "" || s.Changed() {
		return nil
	}
	if err := c.table.Open(r.Context(), s, value); !errors.Is(err, gatehouse.ErrSession) {
		return err
	}
	return nil
}

// settings reads the options of one call.
func (c *SessionCarrier) settings(opts []Option) (attributes, time.Duration, error) {
	r, a := Remembered(opts...), c.cookie.attributes()
	if mode, ok := Optional[http.SameSite](r, "SameSite"); ok {
		a.SameSite = mode
	}
	if path, ok := Optional[string](r, "Path"); ok {
		a.Path = path
	}
	if domain, ok := Optional[string](r, "Domain"); ok {
		a.Domain = domain
	}
	maxAge, limited := Optional[time.Duration](r, "MaxAge")
	a.Browser, _ = Optional[bool](r, "BrowserSession")
	switch {
	case limited && a.Browser:
		return a, 0, fmt.Errorf("MaxAge and BrowserSession exclude each other: %w", errors.ErrUnsupported)
	case limited && maxAge < time.Second:
		return a, 0, fmt.Errorf("MaxAge is less than a second; use Forget to end a session: %w", errors.ErrUnsupported)
	}
	return a, maxAge.Truncate(time.Second), errors.Join(r.Rest(), c.cookie.check(a))
}

// give sets the cookie of s.
func (c *SessionCarrier) give(w http.ResponseWriter, s *session.Session, a attributes) error {
	return c.cookie.set(w.Header(), s.Secret().Reveal(), a, s.EndsBy().Sub(c.table.Now()).Round(time.Second))
}

// attributesOf returns the attributes with which the cookie of s was set.
func (c *SessionCarrier) attributesOf(s *session.Session) attributes {
	a := c.cookie.attributes()
	if stored := s.Attributes(); stored != nil {
		var b attributes
		if json.Unmarshal(stored, &b) == nil && c.cookie.check(b) == nil {
			return b
		}
	}
	return a
}

// Forget implements [Carrier]: it deletes the session of r and takes the cookie away. A request without the cookie changes nothing, and what was put is not kept. If the session could not be deleted,
// the cookie stays as well.
func (c *SessionCarrier) Forget(w http.ResponseWriter, r *http.Request) error {
	s := c.table.FromContext(r.Context())
	if s.ID() == "" {
		s.Discard()
		if _, err := c.cookie.find(r); errors.Is(err, gatehouse.ErrAnonymous) {
			return nil
		}
	}
	if s.Begun() {
		return fmt.Errorf("%s: %w", c, session.ErrTooLate)
	}
	if err := c.reopen(r, s); err != nil {
		if _, stale := errors.AsType[*gatehouse.StaleError](err); !stale { // what may have ended already can be ended
			return err
		}
	}
	a := c.attributesOf(s)
	if err := c.table.End(r.Context(), s); err != nil {
		return err
	}
	c.cookie.clear(w.Header(), a)
	return nil
}

// Keep implements [Keeper]: it stores what was put into the session of r, unless the answer is a server error, and gives the cookie its whole life again.
func (c *SessionCarrier) Keep(w http.ResponseWriter, r *http.Request, status int) error {
	s := c.table.FromContext(r.Context())
	if !s.Begun() {
		c.cookie.unshare(w.Header()) // the handler may have said otherwise since
	}
	if status >= http.StatusInternalServerError {
		s.Discard()
	}
	due := s.Due() && !s.Begun() && status < http.StatusInternalServerError && status != http.StatusSwitchingProtocols
	if !s.Changed() && !due {
		return nil
	}
	if err := c.cookie.allowed(r); err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	if _, err := c.table.Save(r.Context(), s); err != nil {
		return err
	}
	if s.Begun() || s.ID() == "" {
		return nil
	}
	return c.give(w, s, c.attributesOf(s))
}

// AcceptStale implements [StaleAccepter].
func (c *SessionCarrier) AcceptStale(r *http.Request) { c.table.FromContext(r.Context()).AcceptStale() }

// Discard implements [Discarder].
func (c *SessionCarrier) Discard(w http.ResponseWriter, r *http.Request) {
	if _, err := c.cookie.find(r); err == nil {
		c.cookie.clear(w.Header(), c.cookie.attributes())
	}
}

// Ambient implements [Ambient].
func (c *SessionCarrier) Ambient() (ambient, secure bool) { return true, !c.cookie.insecure }

// CookieNames implements [CookieCarrier].
func (c *SessionCarrier) CookieNames() []string { return []string{c.cookie.name} }

// Sessions returns the carrier's table. Guards know by this method that a carrier, or what it embeds, opens the session of a request.
func (c *SessionCarrier) Sessions() *session.Table { return c.table }

// Vary implements [Varier].
func (c *SessionCarrier) Vary() []string { return []string{"Cookie"} }

// Strip implements [Stripper]: it removes the cookie and leaves the others.
func (c *SessionCarrier) Strip(h http.Header) { RemoveCookie(h, c.cookie.name) }
