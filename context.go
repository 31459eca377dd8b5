package gatehouse

import "context"

// ContextKey is the type of the keys under which Gatehouse keeps things in a context.
type ContextKey int

// PrincipalKey is the key of the request's principal, a *[Principal]. Use [FromContext] and [NewContext]; the key is
// exported for contexts that answer Value themselves.
const PrincipalKey ContextKey = 1

// PurposeKey is the key of the purpose, a string, that a token must have to be a credential here; see [PurposeFrom].
const PurposeKey ContextKey = 2

// NewContext returns a context that carries p. The guard calls it; programs need it in tests only.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, PrincipalKey, &p)
}

// FromContext returns the principal of the request that ctx belongs to. Without a guard in front it is the anonymous one:
// never nil, never somebody who was not verified.
func FromContext(ctx context.Context) Principal {
	if p, ok := ctx.Value(PrincipalKey).(*Principal); ok && p != nil {
		return *p
	}
	return Anonymous()
}

// Value returns the program's own value that a look-up or a policy put on the caller with [WithValue], and whether there is
// one of type T.
func Value[T any](ctx context.Context) (T, bool) {
	v, ok := FromContext(ctx).value.(T)
	return v, ok
}

// NewPurposeContext returns a context in which only a token of this purpose, such as "refresh", is a credential. The guard calls it where the matched rule
// names a purpose.
func NewPurposeContext(ctx context.Context, purpose string) context.Context {
	return context.WithValue(ctx, PurposeKey, purpose)
}

// PurposeFrom returns the purpose that a token must have where ctx belongs to, or "" for the usual one, which is access.
func PurposeFrom(ctx context.Context) string {
	purpose, _ := ctx.Value(PurposeKey).(string)
	return purpose
}
