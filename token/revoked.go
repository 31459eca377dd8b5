package token

import (
	"context"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// PeekRevoked is [Verifier.Peek] for who revokes a token: one that was revoked still says what it says, because it has to be revoked again where it is not known whether
// that was remembered. It says nothing about whether the token counts: never let anybody in by it.
func (v *Verifier) PeekRevoked(ctx context.Context, text string) (Claims, error) {
	return v.blind().Peek(ctx, text)
}

// blind returns a verifier that does not ask whether a token was revoked, nor whom it stands for, and remembers none.
func (v *Verifier) blind() *Verifier {
	blind := *v
	blind.c.Revocations, blind.c.Identify, blind.cache = revoke.None, nil, nil
	return &blind
}

// PeekRevoked returns what a refresh token says whose log-in the store still has, also if the token was used, has expired or was revoked: whose it is, and which log-in. It is for who
// revokes it, and who asks whether a client may use it at all. It says nothing about whether the token counts: never let anybody in by it. Errors are those of [Verifier.Verify].
func (f *Families) PeekRevoked(ctx context.Context, text string) (Claims, error) {
	m, err := f.find(ctx, text)
	return m.claims, err
}
