package token

import (
	"context"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// PeekRevoked returns what a token says that is, or will be, good for something, for who revokes it. One that was revoked still says what it says, because it has to be revoked again where it
// is not known whether that was remembered; and so does one of our own whose time has not come, that is meant for another audience, or that lacks a claim which is required today: others may
// take it, and this verifier later. It says nothing about whether the token counts: never let anybody in by it. Errors are those of [Verifier.Verify].
func (v *Verifier) PeekRevoked(ctx context.Context, text string) (Claims, error) {
	return v.blind().Peek(ctx, text)
}

// blind returns a verifier that does not ask whether a token was revoked, whom it stands for, and whether it counts here and now, and remembers none.
func (v *Verifier) blind() *Verifier {
	blind := *v
	blind.c.Revocations, blind.c.Identify, blind.c.Purpose.Required, blind.cache, blind.anywhere = revoke.None, nil, nil, nil, true
	return &blind
}

// PeekRevoked returns what a refresh token says whose log-in the store still has, also if the token was used, has expired or was revoked: whose it is, and which log-in. It is for who
// revokes it, and who asks whether a client may use it at all. It says nothing about whether the token counts: never let anybody in by it. Errors are those of [Verifier.Verify].
func (f *Families) PeekRevoked(ctx context.Context, text string) (Claims, error) {
	m, err := f.find(ctx, text)
	return m.claims, err
}
