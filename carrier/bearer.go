package carrier

import (
	"context"

	"github.com/gatehouse-auth/gatehouse"
)

// A TokenVerifier says whom a token stands for: a *token.Verifier, or a *token.Set of several. It is a [Lookup] with a name.
type TokenVerifier interface {
	Identity(ctx context.Context, text string) (gatehouse.Identity, error)
}

// Bearer returns the carrier of "Authorization: Bearer <token>" (RFC 6750, section 2.1). Tokens in the query or in a form are not looked for: they end up in logs. A browser
// does not send such a token by itself, so that no other site can use it. A good token of which it is not known whether it was revoked is a *gatehouse.StaleError, about which
// the rule that matches the request decides. Bearer panics if v is nil.
func Bearer(v TokenVerifier) *HeaderCarrier {
	if v == nil {
		panic("carrier.Bearer: the verifier is nil")
	}
	return Header("Bearer", v.Identity)
}
