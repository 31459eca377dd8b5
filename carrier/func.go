package carrier

import (
	"fmt"
	"net/http"

	"github.com/gatehouse-auth/gatehouse"
)

// A FuncCarrier asks a function for the credential. Make it with [Func].
type FuncCarrier struct {
	get     func(*http.Request) (string, error)
	find    Lookup
	headers []string
}

// Func returns a carrier that finds the credential with get and proves it with find. get returns gatehouse.ErrAnonymous, or an empty
// credential, if there is none; ErrMalformed, ErrCredential or ErrForbidden pick the answers 400, 401 and 403; any other error and a panic
// mean that the request could not be checked (503). Where get proves what it returns, find is [Verified].
// from names the header fields that get reads, so that they are neither forwarded to an upstream nor shown in the text of its errors. If they contain
// Cookie, or there is none, a browser may send the credential by itself, and it is refused where another site has caused the request. Func panics if get or find is nil.
func Func(get func(*http.Request) (credential string, err error), find Lookup, from ...string) *FuncCarrier {
	if get == nil || find == nil {
		panic("carrier.Func: the function or its look-up is nil")
	}
	return &FuncCarrier{get: get, find: find, headers: from}
}

// String names the carrier in logs and explanations.
func (c *FuncCarrier) String() string { return "function" }

// Identify implements [Carrier].
func (c *FuncCarrier) Identify(r *http.Request) (gatehouse.Identity, error) {
	credential, err := c.get(r)
	if err != nil {
		return gatehouse.Identity{}, redact(err, c.secrets(r, credential)...)
	}
	if credential == "" {
		return gatehouse.Identity{}, gatehouse.ErrAnonymous
	}
	return lookup(r.Context(), c.find, credential)
}

// secrets returns what an error of the function must not show: the credential, and the fields that it was read from.
func (c *FuncCarrier) secrets(r *http.Request, credential string) []string {
	secrets := []string{credential}
	for _, name := range c.headers {
		secrets = append(secrets, r.Header.Values(name)...)
	}
	return secrets
}

// Remember implements [Carrier]: it returns an error that wraps [ErrNotHandedOut].
func (c *FuncCarrier) Remember(http.ResponseWriter, *http.Request, gatehouse.Identity, ...Option) error {
	return fmt.Errorf("carrier.Func: a function cannot hand out credentials: %w", ErrNotHandedOut)
}

// Forget implements [Carrier]: there is nothing to take away.
func (c *FuncCarrier) Forget(http.ResponseWriter, *http.Request) error { return nil }

// Ambient implements [Ambient]: a function that reads Cookie, or what Func was not told of, such as a client's certificate, may have what browsers send by themselves.
func (c *FuncCarrier) Ambient() (ambient, secure bool) {
	ambient = len(c.headers) == 0
	for _, name := range c.headers {
		ambient = ambient || FoldName(name) == "Cookie"
	}
	return ambient, false
}

// Vary implements [Varier] for the header fields that Func was told of.
func (c *FuncCarrier) Vary() []string { return c.headers }

// Strip implements [Stripper] for the header fields that Func was told of.
func (c *FuncCarrier) Strip(h http.Header) {
	for _, name := range c.headers {
		strip(h, name)
	}
}
