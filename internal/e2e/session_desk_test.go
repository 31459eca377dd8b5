package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	core "github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// A desk is a Go program that signs people in and out, on the store that a gatehouse reads.
type desk struct {
	*session.Table
	guard   *guard.Guard
	handler http.Handler
}

// newDesk returns a desk whose cookie has these options.
func newDesk(t *testing.T, store session.Store, config session.Config, options ...carrier.CookieOption) *desk {
	t.Helper()
	table := session.New(store, config)
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Session(table, options...)}, Policy: guard.AsSubject{}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		id := core.Identity{Value: r.URL.Query().Get("who"), Email: r.URL.Query().Get("email")}
		if roles := r.URL.Query().Get("roles"); roles != "" {
			id.Roles = strings.Split(roles, ",")
		}
		if err := guard.Remember(w, r, id); err != nil {
			guard.Fail(w, r, err)
		}
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := guard.Forget(w, r); err != nil {
			guard.Fail(w, r, err)
		}
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App", "1")
		w.Write([]byte("you are " + guard.UserID(r)))
	})
	return &desk{table, g, g.Handler(mux)}
}

// besideSQLite returns a desk on the database in file, as a second process would open it.
func besideSQLite(t *testing.T, file string, config session.Config, options ...carrier.CookieOption) *desk {
	t.Helper()
	db, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return newDesk(t, sqlite.Sessions(db), config, options...)
}

// do sends a request to the desk and returns its answer.
func (d *desk) do(t *testing.T, method, target string, fields ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	got := w.Result()
	if got.StatusCode != http.StatusOK {
		t.Fatalf("%s %s at the desk: %d %s", method, target, got.StatusCode, w.Body)
	}
	return got
}

// signIn signs somebody in and returns the Cookie field that a browser would send from then on.
func (d *desk) signIn(t *testing.T, who string, roles ...string) string {
	t.Helper()
	form := url.Values{"who": {who}, "email": {who + "@example.org"}, "roles": {strings.Join(roles, ",")}}
	cookies := d.do(t, "POST", "/login?"+form.Encode()).Cookies()
	if len(cookies) != 1 || cookies[0].Name != d.guard.Cookies()[0] || len(cookies[0].Value) != 43 {
		t.Fatalf("signing %s in gave the cookies %v", who, cookies)
	}
	return "Cookie: " + cookies[0].Name + "=" + cookies[0].Value
}

// signOut ends the session of a Cookie field.
func (d *desk) signOut(t *testing.T, cookie string) {
	t.Helper()
	d.do(t, "POST", "/logout", cookie)
}
