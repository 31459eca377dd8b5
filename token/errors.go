package token

import (
	"fmt"

	"github.com/gatehouse-auth/gatehouse"
)

// The errors of verifiers. Test with errors.Is: they come wrapped. That a token was revoked is revoke.ErrRevoked, and that it could not be found out
// whether it was is a *gatehouse.StaleError. Whatever wraps none of gatehouse.ErrCredential could not be checked.
var (
	// ErrInvalid wraps gatehouse.ErrCredential: the token is none, is not signed with a key that counts here, or lacks what it must say.
	ErrInvalid = fmt.Errorf("%w: invalid token", gatehouse.ErrCredential)
	// ErrExpired wraps gatehouse.ErrExpired: the token was good until its time was up.
	ErrExpired = fmt.Errorf("token: %w", gatehouse.ErrExpired)
	// ErrNotYet wraps ErrInvalid: the token's time has not come.
	ErrNotYet = fmt.Errorf("%w: not valid yet", ErrInvalid)
	// ErrPurpose wraps ErrInvalid: the token is good for something else.
	ErrPurpose = fmt.Errorf("%w: made for another purpose", ErrInvalid)
	// ErrIssuer wraps ErrInvalid: somebody else has issued the token.
	ErrIssuer = fmt.Errorf("%w: another issuer's", ErrInvalid)
	// ErrAudience wraps ErrInvalid: the token is meant for somebody else.
	ErrAudience = fmt.Errorf("%w: meant for another audience", ErrInvalid)
)
