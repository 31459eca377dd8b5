package gatehouse

import (
	"errors"
	"fmt"
	"time"
)

// The errors that carriers, look-ups and policies return. Anything that wraps none of the first three means "could not be
// checked": the guard then denies with 503, because a check that cannot be made is not a check that was passed.
var (
	// ErrAnonymous: the request carries no credential that the carrier takes. Answered 401 where one is needed.
	ErrAnonymous = errors.New("no credential")
	// ErrCredential: the request carries a credential and it is bad. Answered 401 with error="invalid_token".
	ErrCredential = errors.New("bad credential")
	// ErrForbidden: the caller is known and must not pass, whatever the rules say. Answered 403.
	ErrForbidden = errors.New("forbidden")

	// ErrUnavailable: something could not be done at this moment, such as a check for which there is no capacity. Errors need not wrap it: whatever wraps none of the
	// above is treated alike by guards. In the error of a handler it makes the difference between 503 and 500.
	ErrUnavailable = errors.New("temporarily unavailable")

	// ErrScheme wraps ErrAnonymous: there is an Authorization header, but of a scheme that the carrier does not take.
	ErrScheme = fmt.Errorf("%w of a known scheme", ErrAnonymous)
	// ErrMalformed wraps ErrCredential: the right scheme, but not the right form. Answered 400.
	ErrMalformed = fmt.Errorf("%w: malformed", ErrCredential)
	// ErrDuplicate wraps ErrCredential: one credential twice, or two that are not due together. Answered 400, on public paths too.
	ErrDuplicate = fmt.Errorf("%w: more than one", ErrCredential)
	// ErrExpired wraps ErrCredential: the credential was good until its time was up. Answered 401 with a code of its own, so
	// that a client knows to renew it.
	ErrExpired = fmt.Errorf("%w: expired", ErrCredential)
	// ErrDisabled wraps ErrCredential: the credential is known and switched off. To the client it looks unknown.
	ErrDisabled = fmt.Errorf("%w: disabled", ErrCredential)
	// ErrSession wraps ErrCredential: a session cookie that is forged, unknown, expired or ended, which the client cannot tell apart. Answered
	// 401 without an error parameter, and the cookie is taken away.
	ErrSession = fmt.Errorf("%w: no such session", ErrCredential)
	// ErrLogin wraps ErrCredential: a name and password that do not belong together, whichever of them is wrong. Answered 401, always alike.
	ErrLogin = fmt.Errorf("%w: wrong name or password", ErrCredential)
)

// A StaleError says that a credential is good, but that it was last known Age ago whether it has been revoked: longer than the bound that revocation
// promises. It wraps [ErrUnavailable]: whoever does not know it denies with 503. A guard whose rule says for how long it may be so accepts Identity.
type StaleError struct {
	// Age is how long ago it was known that nothing is missing from the list of revocations.
	Age time.Duration
	// Identity is whose credential it is, as far as is known. It is zero if the error comes from where identities are not known.
	Identity Identity
}

// Error implements the interface error.
func (e *StaleError) Error() string {
	return fmt.Sprintf("it is not known whether the credential has been revoked: the list of revocations is %v old", e.Age.Round(time.Millisecond))
}

// Unwrap returns [ErrUnavailable].
func (e *StaleError) Unwrap() error { return ErrUnavailable }
