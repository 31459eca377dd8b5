package carrier

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A Carrier finds, hands out and takes back one kind of credential. It must be safe for concurrent use.
type Carrier interface {
	// Identify returns who sent r. The error wraps gatehouse.ErrAnonymous if r has no credential of this kind, and
	// gatehouse.ErrCredential if it has a bad one; any other error means that it could not be checked.
	Identify(r *http.Request) (gatehouse.Identity, error)
	// Remember puts a credential for id into the answer to r. It must be called before the first byte of the answer. The error
	// wraps [ErrNotHandedOut] if credentials of this kind are not handed out in answers, and errors.ErrUnsupported if an option cannot be honoured.
	Remember(w http.ResponseWriter, r *http.Request, id gatehouse.Identity, opts ...Option) error
	// Forget takes the credential of r away. It is no error if there is none.
	Forget(w http.ResponseWriter, r *http.Request) error
}

// A Challenger is a carrier that says how to authenticate, for WWW-Authenticate. Others are left out of the challenges.
type Challenger interface {
	Challenge(realm string) problem.Challenge
}

// A Stripper is a carrier that can remove its credential from the header of a request that is forwarded. The guard asks each carrier,
// whichever found the credential; a carrier without it leaves the header as it is.
type Stripper interface {
	Strip(h http.Header)
}

// A Varier is a carrier whose credential caches do not know to be one, as they know Authorization (RFC 9111, section 3.5). The guard names its
// fields in Vary, so that no cache gives one caller's answer to another.
type Varier interface {
	Vary() []string
}

// An Ambient carrier is one whose credential browsers attach to requests by themselves, whichever page makes them: cookies, and Basic. The guard refuses
// requests with such a credential that another site has caused, and with one of a carrier that does not say: a carrier of a program's own that reads what scripts have to
// send says false.
type Ambient interface {
	// Ambient reports whether the credential is ambient, and whether it travels over TLS only, so that a page of plain http is another site.
	Ambient() (ambient, secure bool)
}

// A Keeper is a carrier that has something to write down before the answer begins.
type Keeper interface {
	// Keep is called when the header of the answer to r is about to be sent with status, and once more after the handler has returned (if it has
	// not panicked). An error is answered instead of what the handler was about to say, if that has not begun.
	Keep(w http.ResponseWriter, r *http.Request, status int) error
}

// A Discarder is a carrier that can take a credential away which turned out to be of no use, gatehouse.ErrSession, from whoever sent it.
type Discarder interface {
	Discard(w http.ResponseWriter, r *http.Request)
}

// A StaleAccepter is a carrier that keeps more of a request than its identity, such as a session. The guard calls AcceptStale when it has accepted the identity in a
// *gatehouse.StaleError that Identify returned for r.
type StaleAccepter interface {
	AcceptStale(r *http.Request)
}

// A CookieCarrier names the cookies that it owns: an upstream must neither see nor set them.
type CookieCarrier interface {
	CookieNames() []string
}

// A Lookup proves a credential: it returns whose it is. The error wraps gatehouse.ErrCredential (or is ErrExpired, ErrDisabled, …)
// if the credential is bad; ErrAnonymous and an identity without a Value count as that. Any other error means that it could not be checked.
// It must be safe for concurrent use and should compare in constant time, or by a hash.
type Lookup func(ctx context.Context, credential string) (gatehouse.Identity, error)

// Verified is the [Lookup] for a function that has proved what it returns, such as the name in a verified client certificate:
// the credential is the identity's value. Anywhere else it would let everybody be anybody.
func Verified(_ context.Context, credential string) (gatehouse.Identity, error) {
	return gatehouse.Identity{Value: credential}, nil
}

// maxCredential bounds a credential before anything is done with it.
const maxCredential = 8 << 10

// lookup asks find about credential. The error's text never contains the credential.
func lookup(ctx context.Context, find Lookup, credential string) (gatehouse.Identity, error) {
	if len(credential) > maxCredential {
		return gatehouse.Identity{}, gatehouse.ErrCredential
	}
	id, err := find(ctx, credential)
	if errors.Is(err, gatehouse.ErrAnonymous) {
		// There is a credential, whatever the look-up says: a carrier that took it for none would let it pass for an anonymous
		// request on strict rules, and would not see that it came beside another one.
		return gatehouse.Identity{}, gatehouse.ErrCredential
	}
	if stale, ok := errors.AsType[*gatehouse.StaleError](err); ok && !errors.Is(err, gatehouse.ErrCredential) && !errors.Is(err, gatehouse.ErrForbidden) {
		return gatehouse.Identity{}, stale // whose text is ours, and whose identity a rule may want
	}
	if err != nil {
		return gatehouse.Identity{}, redact(err, credential)
	}
	if id.Value == "" {
		// A missing record never equals a proved one, whatever the look-up forgot to return.
		return gatehouse.Identity{}, gatehouse.ErrCredential
	}
	return id, nil
}

// once returns the only value of a header field. It returns ErrAnonymous if there is none and ErrDuplicate if there are several.
func once(h http.Header, name string) (string, error) {
	values := h[name]
	switch {
	case len(values) == 0:
		return "", gatehouse.ErrAnonymous
	case len(values) > 1:
		return "", gatehouse.ErrDuplicate
	}
	return strings.Trim(values[0], " \t"), nil
}
