package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// An Option changes what [TokenAuth] makes.
type Option func(*tokenAuth)

type tokenAuth struct {
	config  Config
	schemes []string
	rules   []policy.Rule
}

// Scheme sets the authentication schemes whose tokens are looked up; any of them will do. The default is Token.
func Scheme(names ...string) Option { return func(t *tokenAuth) { t.schemes = names } }

// PublicRoutes opens the paths that one of the regular expressions matches as a whole. A caller with a valid token is known there as well.
func PublicRoutes(expressions ...string) Option {
	return func(t *tokenAuth) {
		for _, expr := range expressions {
			t.rules = append(t.rules, policy.Rule{Regex: expr, Allow: policy.Anyone()})
		}
	}
}

// PublicMethods opens every path for the methods, and nothing if there are none. A caller with a valid token is known there as well.
func PublicMethods(methods ...string) Option {
	return func(t *tokenAuth) {
		if len(methods) == 0 {
			return // to a rule, no methods means all of them
		}
		t.rules = append(t.rules, policy.Rule{Name: "public methods", Methods: methods, Regex: `/.*`, Allow: policy.Anyone()})
	}
}

// Realm sets the realm that challenges name. The default is gatehouse.
func Realm(name string) Option { return func(t *tokenAuth) { t.config.Realm = name } }

// MaxBody sets the size limit of request bodies in bytes. The default is none.
func MaxBody(bytes int64) Option { return func(t *tokenAuth) { t.config.MaxBody = bytes } }

// Logger sets where failures of hooks are logged. The default is slog.Default.
func Logger(l *slog.Logger) Option { return func(t *tokenAuth) { t.config.Logger = l } }

// TokenAuth returns the guard of a token server: every request needs a token that find knows, except where an option opens a path or a
// method. What find returns is the caller: its Value is the subject, and what [gatehouse.WithValue] put on it is the handler's to read.
// The error joins all faults of the options.
func TokenAuth(find carrier.Lookup, options ...Option) (*Guard, error) {
	if find == nil {
		return nil, errors.New("guard: the look-up is nil")
	}
	t := tokenAuth{schemes: []string{"Token"}}
	for _, option := range options {
		option(&t)
	}
	var faults []error
	for _, scheme := range t.schemes {
		if !isScheme(scheme) {
			faults = append(faults, fmt.Errorf("guard: %q is not an authentication scheme: write Token or Bearer", scheme))
			continue
		}
		t.config.Carriers = append(t.config.Carriers, carrier.Header(scheme, find))
	}
	rules, err := policy.New(policy.Config{Rules: t.rules, Default: policy.Authenticated()})
	if err != nil {
		faults = append(faults, fmt.Errorf("guard: %w", err))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	t.config.Rules, t.config.Policy = rules, AsSubject{rules}
	return New(t.config)
}

// isScheme: RFC 9110, section 11.1, a token.
func isScheme(s string) bool {
	const chars = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return s != "" && strings.Trim(s, chars) == ""
}
