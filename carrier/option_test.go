package carrier_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
)

// take returns the option under name as a T, whether there was one, and what is left over.
func take[T any](name string, opts ...carrier.Option) (any, bool, string) {
	r := carrier.Remembered(opts...)
	value, ok := carrier.Optional[T](r, name)
	left := ""
	if err := r.Rest(); err != nil {
		left = err.Error()
	}
	return value, ok, left
}

// TestOptional takes out what a carrier asks for, of the type it asks for; what nobody takes is named, never left out silently.
func TestOptional(t *testing.T) {
	const cannot = "this carrier cannot honour the option "
	for _, tt := range []struct {
		name string
		take func() (any, bool, string)
		want any
		ok   bool
		left string // the options that are left over
	}{
		{"nothing", func() (any, bool, string) { return take[string]("Path") }, "", false, ""},
		{"no option at all", func() (any, bool, string) { return take[string]("Path", nil, nil) }, "", false, ""},
		{"one", func() (any, bool, string) { return take[string]("Path", carrier.Path("/app")) }, "/app", true, ""},
		{"the last of two", func() (any, bool, string) { return take[string]("Path", carrier.Path("/a"), carrier.Path("/b")) }, "/b", true, ""},
		{"another", func() (any, bool, string) { return take[string]("Path", carrier.Domain("a.b")) }, "", false, "Domain"},
		{"one of several", func() (any, bool, string) {
			return take[time.Duration]("MaxAge", carrier.BrowserSession(), carrier.MaxAge(time.Hour), carrier.SameSite(http.SameSiteLaxMode))
		}, time.Hour, true, "BrowserSession, SameSite"},
		{"another type", func() (any, bool, string) { return take[time.Duration]("MaxAge", carrier.With("MaxAge", 3600)) }, time.Duration(0), false, "MaxAge"},
		{"both types", func() (any, bool, string) {
			return take[time.Duration]("MaxAge", carrier.With("MaxAge", 3600), carrier.MaxAge(time.Hour))
		}, time.Hour, true, "MaxAge"},
		{"nil", func() (any, bool, string) { return take[string]("Path", carrier.With("Path", nil)) }, "", false, "Path"},
		{"another case", func() (any, bool, string) { return take[string]("Path", carrier.With("path", "/")) }, "", false, "path"},
		{"of the program's own", func() (any, bool, string) {
			return take[[]string]("Audience", carrier.With("Audience", []string{"app"}))
		}, []string{"app"}, true, ""},
		{"any type", func() (any, bool, string) { return take[any]("Audience", carrier.With("Audience", 7)) }, 7, true, ""},
		{"one that nobody takes, twice", func() (any, bool, string) { return take[string]("Path", carrier.With("X", 1), carrier.With("X", "2")) }, "", false, "X"},
	} {
		got, ok, left := tt.take()
		if !reflect.DeepEqual(got, tt.want) || ok != tt.ok {
			t.Errorf("Optional of %s = %v, %v, want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
		if tt.left != "" {
			tt.left = cannot + tt.left + ": " + errors.ErrUnsupported.Error()
		}
		if left != tt.left {
			t.Errorf("Rest of %s = %q, want %q", tt.name, left, tt.left)
		}
	}
	if err := carrier.Remembered(carrier.Path("/")).Rest(); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, carrier.ErrNotHandedOut) {
		t.Errorf("Rest = %v, want an error that wraps errors.ErrUnsupported, and not one with which the guard would ask the next carrier", err)
	}
}

// A ticketCarrier is a carrier of a program's own, with an option of its own.
type ticketCarrier struct{ *carrier.FuncCarrier }

func (ticketCarrier) Remember(w http.ResponseWriter, _ *http.Request, id gatehouse.Identity, opts ...carrier.Option) error {
	r := carrier.Remembered(opts...)
	seat, ok := carrier.Optional[int](r, "Seat")
	if err := r.Rest(); err != nil {
		return err
	}
	if ok {
		w.Header().Set("X-Ticket", id.Value+strings.Repeat("!", seat))
	}
	return nil
}

// TestOwnCarrier honours its own options and refuses those it does not know.
func TestOwnCarrier(t *testing.T) {
	var c carrier.Carrier = ticketCarrier{}
	for _, tt := range []struct {
		opts   []carrier.Option
		ticket string
		err    error
	}{
		{nil, "", nil},
		{[]carrier.Option{carrier.With("Seat", 3)}, "jack!!!", nil},
		{[]carrier.Option{carrier.With("Seat", "3")}, "", errors.ErrUnsupported},
		{[]carrier.Option{carrier.With("Seat", 3), carrier.MaxAge(time.Hour)}, "", errors.ErrUnsupported},
	} {
		w := httptest.NewRecorder()
		err := c.Remember(w, httptest.NewRequest("POST", "/", nil), gatehouse.Identity{Value: "jack"}, tt.opts...)
		if got := w.Header().Get("X-Ticket"); got != tt.ticket || !errors.Is(err, tt.err) {
			t.Errorf("Remember with %d options = %q, %v, want %q, %v", len(tt.opts), got, err, tt.ticket, tt.err)
		}
	}
}

// TestNotHandedOut: the carriers whose credentials clients have by themselves say so, and set nothing.
func TestNotHandedOut(t *testing.T) {
	find := new(asked).lookup
	for _, c := range []carrier.Carrier{
		carrier.Header("Token", find), carrier.NamedHeader("X-API-Key", find), carrier.Func(func(*http.Request) (string, error) { return "", nil }, find), carrier.Basic(jackOnly),
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/", nil)
		if err := c.Remember(w, r, gatehouse.Identity{Value: "jack"}); !errors.Is(err, carrier.ErrNotHandedOut) || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: Remember = %v", c, err)
		}
		if err := c.Forget(w, r); err != nil || len(w.Header()) != 0 {
			t.Errorf("%s: Forget = %v, %v", c, err, w.Header())
		}
	}
}
