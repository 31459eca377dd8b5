// Package carrier finds the credential in a request and proves whose it is. A carrier knows where one kind of credential travels:
// [Header] in Authorization under a scheme, [NamedHeader] in a header of its own, [Func] wherever a function looks.
//
//	byToken := carrier.Header("Token", func(ctx context.Context, token string) (gatehouse.Identity, error) {
//		user, ok := users[token]
//		if !ok {
//			return gatehouse.Identity{}, gatehouse.ErrCredential
//		}
//		return gatehouse.WithValue(gatehouse.Identity{Value: user.ID}, user), nil
//	})
//
// Carriers form an ordered list in a guard, and all of them look: a request with two credentials is refused, whichever is good.
// What a carrier returns decides the answer: [gatehouse.ErrAnonymous] 401 without an error, [gatehouse.ErrMalformed] and
// [gatehouse.ErrDuplicate] 400, [gatehouse.ErrForbidden] 403, other errors that wrap [gatehouse.ErrCredential] 401; anything
// else, a panic included, 503, because the check could not be made.
package carrier
