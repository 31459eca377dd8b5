package gatehousetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/session"
)

// A shop is a program that keeps things in sessions: a counter, a cart, and what its visitors tell it to. It stands on a store, which counts and can fail, and a clock.
type shop struct {
	*testing.T
	clock *gatehousetest.Clock
	store *gatehousetest.Store
	table *session.Table
	*httptest.Server
}

// open opens a shop over TLS. What config does not say about the clock is the shop's.
func open(t *testing.T, inner session.Store, clock *gatehousetest.Clock, config session.Config, options ...carrier.CookieOption) *shop {
	t.Helper()
	s := &shop{T: t, clock: clock, store: gatehousetest.NewStore(inner)}
	config.Now, config.Logger = clock.Now, slog.New(slog.DiscardHandler)
	s.table = session.New(s.store, config)
	g, err := guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Session(s.table, options...)}, Policy: guard.AsSubject{}, Logger: config.Logger, Now: clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(g.Handler(shelves()))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // one of the pages panics
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// shelves are the pages of the shop, each below any path: the cookie may be for one path only.
func shelves() http.Handler {
	pages := map[string]func(http.ResponseWriter, *http.Request, *session.Session) error{
		"untouched": func(w http.ResponseWriter, _ *http.Request, _ *session.Session) error { return say(w, "hello") },
		"data":      showData,
		"put":       putAll,
		"delete":    deleteAll,
		"count":     count,
		"add":       addToCart,
		"change-a-copy": func(w http.ResponseWriter, _ *http.Request, s *session.Session) error {
			cart, _, err := session.Get[[]string](s, "cart")
			if len(cart) > 0 {
				cart[0] = "stolen"
			}
			return errors.Join(err, say(w, "done"))
		},
		"put-and-fail": func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
			return errors.Join(put(r, s), errors.New("planted"))
		},
		"put-and-panic": func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
			panic(errors.Join(put(r, s), http.ErrAbortHandler))
		},
		"put-and-redirect": func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
			err := put(r, s)
			http.Redirect(w, r, "data", http.StatusSeeOther)
			return err
		},
		"put-and-refuse": func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
			err := put(r, s)
			http.Error(w, "no", 404)
			return err
		},
		"put-and-stream": stream,
		"put-and-serve": func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
			err := put(r, s)
			http.ServeContent(w, r, "film.txt", time.Time{}, strings.NewReader("a film"))
			return err
		},
		"put-and-upgrade": upgrade,
		"put-too-late": func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
			say(w, "the answer has begun; ")
			return say(w, fmt.Sprint(put(r, s)))
		},
		"put-what-is-no-data": func(w http.ResponseWriter, _ *http.Request, s *session.Session) error {
			return say(w, fmt.Sprint(session.Put(s, "channel", make(chan int)), "; ", s.Keys()))
		},
		"put-too-much": func(w http.ResponseWriter, _ *http.Request, s *session.Session) error {
			return say(w, fmt.Sprint(errors.Is(session.Put(s, "much", strings.Repeat("x", session.MaxData)), session.ErrTooLarge), "; ", s.Keys()))
		},
		"get-as-number": func(w http.ResponseWriter, _ *http.Request, s *session.Session) error {
			n, ok, err := session.Get[int](s, "a")
			return say(w, fmt.Sprint(n, " ", ok, " ", err != nil))
		},
		"login": func(w http.ResponseWriter, r *http.Request, _ *session.Session) error {
			return guard.Remember(w, r, gatehouse.Identity{Value: r.FormValue("name")})
		},
		"logout": func(w http.ResponseWriter, r *http.Request, _ *session.Session) error { return guard.Forget(w, r) },
	}
	return guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if page, ok := pages[name]; ok {
			return page(w, r, session.FromContext(r.Context()))
		}
		http.NotFound(w, r)
		return nil
	})
}

func say(w http.ResponseWriter, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

// A snapshot is what a page knows of its visitor's session.
type snapshot struct {
	ID, Who string
	Data    map[string]json.RawMessage
	Expires time.Time
}

func showData(w http.ResponseWriter, r *http.Request, s *session.Session) error {
	shown := snapshot{s.ID(), guard.UserID(r), map[string]json.RawMessage{}, s.Expires()}
	for _, key := range s.Keys() {
		raw, _, err := session.Get[json.RawMessage](s, key)
		if err != nil {
			return err
		}
		shown.Data[key] = raw
	}
	return json.NewEncoder(w).Encode(shown)
}

// put keeps what the query says.
func put(r *http.Request, s *session.Session) error {
	for key, values := range r.URL.Query() {
		if err := session.Put(s, key, values[0]); err != nil {
			return err
		}
	}
	return nil
}

func putAll(w http.ResponseWriter, r *http.Request, s *session.Session) error {
	return errors.Join(put(r, s), say(w, "done"))
}

func deleteAll(w http.ResponseWriter, r *http.Request, s *session.Session) error {
	for key := range r.URL.Query() {
		if err := s.Delete(key); err != nil {
			return err
		}
	}
	return say(w, "done")
}

func count(w http.ResponseWriter, _ *http.Request, s *session.Session) error {
	n, _, err := session.Get[int](s, "counter")
	if err == nil {
		err = session.Put(s, "counter", n+1)
	}
	return errors.Join(err, say(w, fmt.Sprint(n+1)))
}

func addToCart(w http.ResponseWriter, r *http.Request, s *session.Session) error {
	cart, _, err := session.Get[[]string](s, "cart")
	if err == nil {
		err = session.Put(s, "cart", append(cart, r.FormValue("item")))
	}
	return errors.Join(err, say(w, "done"))
}

// stream answers piece by piece, and puts something before the first piece and after it.
func stream(w http.ResponseWriter, r *http.Request, s *session.Session) error {
	if err := put(r, s); err != nil {
		return err
	}
	for range 3 {
		say(w, "piece\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
	}
	return session.Put(s, "afterwards", "too")
}

// upgrade answers with a WebSocket that says hello.
func upgrade(w http.ResponseWriter, r *http.Request, s *session.Session) error {
	if err := put(r, s); err != nil {
		return err
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return nil // it has answered
	}
	defer c.CloseNow()
	if err := c.Write(r.Context(), websocket.MessageText, []byte("hello")); err != nil {
		return nil
	}
	return c.Close(websocket.StatusNormalClosure, "")
}

// A customer is a visitor of the shop.
type customer struct {
	*shop
	*testbed.Visitor
}

func (s *shop) customer() *customer {
	s.Helper()
	return &customer{s, testbed.Visit(s.T, s.URL, s.Client().Transport)}
}

// post does something that changes data, and expects that it works.
func (c *customer) post(path string) testbed.Answer {
	c.Helper()
	got := c.Post(path)
	if got.Status != http.StatusOK {
		c.Errorf("POST %s = %d %s, want 200", path, got.Status, got.Body)
	}
	return got
}

// look returns what the shop knows of the customer.
func (c *customer) look(fields ...string) (shown snapshot) {
	c.Helper()
	got := c.Get("/data", fields...)
	if err := json.Unmarshal([]byte(got.Body), &shown); err != nil {
		c.Fatalf("GET /data = %d %s", got.Status, got.Body)
	}
	return shown
}

// has reports data that is not exactly want, as JSON, in the order of the keys.
func (c *customer) has(when, want string) {
	c.Helper()
	if got, _ := json.Marshal(c.look().Data); string(got) != want {
		c.Errorf("%s: the data is %s, want %s", when, got, want)
	}
}

// quiet reports an answer that sets a cookie, or takes one away.
func (c *customer) quiet(what string, got testbed.Answer) {
	c.Helper()
	if n := len(got.SetCookies()); n != 0 {
		c.Errorf("%s: %d cookies are set, want none", what, n)
	}
}

// gets reports an answer that does not give the customer exactly one cookie, and returns that one.
func (c *customer) gets(what string, got testbed.Answer) *http.Cookie {
	c.Helper()
	set := got.SetCookies()
	if len(set) != 1 || set[0].Value == "" || set[0].MaxAge < 0 {
		c.Fatalf("%s = %d: %d cookies are set, want one that is given", what, got.Status, len(set))
	}
	return set[0]
}
