package carrier

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ErrNotHandedOut wraps [errors.ErrUnsupported]: the carrier's credentials do not come from answers. A guard asks the next carrier then.
var ErrNotHandedOut = fmt.Errorf("this credential is not handed out in an answer: %w", errors.ErrUnsupported)

// An Option changes how a credential is remembered. A carrier that cannot honour an option returns an error that wraps errors.ErrUnsupported:
// none is left out silently.
type Option func(*Remembering)

// MaxAge lets the credential live for d, in the browser and on the server. d is rounded down to seconds, and must be at least one.
func MaxAge(d time.Duration) Option { return With("MaxAge", d) }

// BrowserSession makes the browser forget the credential when it is closed. The server's limits hold all the same.
func BrowserSession() Option { return With("BrowserSession", true) }

// SameSite sets the cookie's SameSite attribute: http.SameSiteLaxMode or http.SameSiteStrictMode.
func SameSite(mode http.SameSite) Option { return With("SameSite", mode) }

// Path limits the cookie to a path. A cookie with the prefix __Host- cannot be limited, see [CookieScope].
func Path(path string) Option { return With("Path", path) }

// Domain shares the cookie with the subdomains of a host. A cookie with the prefix __Host- cannot be shared, see [CookieScope].
func Domain(host string) Option { return With("Domain", host) }

// With passes value under name to a carrier of the program's own, which reads it with [Optional].
func With(name string, value any) Option {
	return func(r *Remembering) { r.given = append(r.given, setting{name, value}) }
}

// Remembering is what the options of one call say. Make it with [Remembered].
type Remembering struct{ given []setting }

type setting struct {
	name  string
	value any
}

// Remembered collects the options of one call of Remember. It is not safe for concurrent use.
func Remembered(opts ...Option) *Remembering {
	r := &Remembering{}
	for _, opt := range opts {
		if opt != nil {
			opt(r)
		}
	}
	return r
}

// Optional takes the value under name out of r, and reports whether there was one of type T. Of several the last counts. A carrier takes what
// it honours, and returns [Remembering.Rest] as its error.
func Optional[T any](r *Remembering, name string) (value T, ok bool) {
	r.given = slices.DeleteFunc(r.given, func(s setting) bool {
		v, is := s.value.(T)
		if s.name != name || !is {
			return false
		}
		value, ok = v, true
		return true
	})
	return value, ok
}

// Rest returns nil if every option has been taken, and otherwise an error that names those that the carrier cannot honour.
func (r *Remembering) Rest() error {
	var names []string
	for _, s := range r.given {
		if !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("this carrier cannot honour the option %s: %w", strings.Join(names, ", "), errors.ErrUnsupported)
}
