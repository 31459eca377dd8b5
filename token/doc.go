// Package token makes and verifies tokens, each of which is good for one purpose: signed ones (JWTs), which nobody has to be asked about, and opaque ones, which a store knows.
//
//	access := token.Access()
//	access.Audience = []string{"https://app.example.org"}
//	minter, err := token.NewMinter(token.MinterConfig{Issuer: issuer, Purpose: access, Ring: ring, Revocations: list})
//	verifier, err := token.NewVerifier(token.VerifierConfig{Issuer: issuer, Purpose: access, Ring: ring, Revocations: list})
//	t, err := minter.Mint(ctx, token.Claims{Subject: "jack", Roles: []string{"basic"}})
//	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Bearer(verifier)}, …})
//
// A token chooses nothing: the key says the algorithm, the verifier the purpose, the rule that matches a request the verifier. A JWT must be a compact JWS (RFC 7515) with
// "kid" and "typ" and with "iss", "aud", "sub", "jti", "sid", "iat" and "exp", in strict JSON, of 8 KiB at most. Whether it was revoked is asked each time, in the process.
//
// [Families] are log-ins that are renewed with refresh tokens. [NewForeign] verifies access tokens of another issuer, and [Assertions] what clients sign to prove who they
// are.
package token
