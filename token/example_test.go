package token_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// exampleRing is a ring for examples. Those of a program are in its store: see keyring.New.
func exampleRing(name string, a keyring.Algorithm) *keyring.Ring {
	return must(keyring.Static(name, must(keyring.Generate(a))))
}

// An access token says whose it is, and from then on nobody has to be asked about it but the list of revocations, which is in the process.
func ExampleNewMinter() {
	ctx := context.Background()
	list := revoke.New(memory.Revocations(), revoke.Config{})
	if err := list.Load(ctx); err != nil { // then: go list.Run(ctx)
		fmt.Println(err)
		return
	}
	access := token.Access()
	access.Audience = []string{"https://app.example.org"}
	ring := exampleRing("access", keyring.ES256)
	minter, err := token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: access, Ring: ring, Revocations: list})
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: access, Ring: ring, Revocations: list})
	if err != nil {
		fmt.Println(err)
		return
	}
	made, err := minter.Mint(ctx, token.Claims{Subject: "jack", Roles: []string{"basic"}, Custom: map[string]any{"tier": "gold"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(made.Text, "lives for", made.Claims.ExpiresAt.Sub(made.Claims.IssuedAt))

	c, err := verifier.Verify(ctx, made.Text.Reveal())
	fmt.Println(c.Subject, c.Roles, c.Custom["tier"], err)
	if err := list.RevokeToken(ctx, c.ID, c.ExpiresAt); err != nil { // logged out
		fmt.Println(err)
	}
	_, err = verifier.Verify(ctx, made.Text.Reveal())
	fmt.Println(errors.Is(err, revoke.ErrRevoked), errors.Is(err, gatehouse.ErrCredential))
	// Output:
	// [secret] lives for 10m0s
	// jack [basic] gold <nil>
	// true true
}

// A verifier is what a carrier asks: g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Bearer(verifier)}, …}).
func ExampleVerifier_Identity() {
	access := token.Access()
	access.Audience = []string{"https://app.example.org"}
	ring := exampleRing("access", keyring.EdDSA)
	minter := must(token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: access, Ring: ring, Revocations: revoke.None}))
	verifier, err := token.NewVerifier(token.VerifierConfig{
		Issuer: "https://app.example.org", Purpose: access, Ring: ring, Revocations: revoke.None,
		Identify: func(_ context.Context, c token.Claims) (gatehouse.Identity, error) { // leave it out where the subject will do
			if c.Custom["banned"] == true {
				return gatehouse.Identity{}, gatehouse.ErrDisabled
			}
			return gatehouse.Identity{Value: "user:" + c.Subject, Scopes: c.Scopes}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, custom := range []map[string]any{nil, {"banned": true}} {
		made := must(minter.Mint(context.Background(), token.Claims{Subject: "jack", Scopes: []string{"listen"}, Custom: custom}))
		id, err := verifier.Identity(context.Background(), made.Text.Reveal())
		fmt.Printf("%q %v %q %v\n", id.Value, id.Scopes, id.Purpose, err)
	}
	_, err = verifier.Identity(context.Background(), "no token")
	fmt.Println(errors.Is(err, token.ErrInvalid))
	// Output:
	// "user:jack" [listen] "access" <nil>
	// "" [] "" bad credential: disabled
	// true
}

// Errors say what a client can do: renew what has expired, and sign in again otherwise. What wraps none of them could not be checked, and is no reason to sign out.
func ExampleVerifier_Verify() {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	access, invite := token.Access(), token.Invite()
	access.Audience, invite.Audience = []string{"https://app.example.org"}, []string{"https://app.example.org"}
	invite.Form, invite.MaxUses = token.JWT, 0
	ring := exampleRing("shared by mistake", keyring.HS256)
	mint := func(p token.Purpose) string {
		m := must(token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: p, Ring: ring, Revocations: revoke.None, Now: clock}))
		return must(m.Mint(context.Background(), token.Claims{Subject: "jack"})).Text.Reveal()
	}
	list := revoke.New(memory.Revocations(), revoke.Config{Now: clock})
	if err := list.Load(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	verifier := must(token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: access, Ring: ring, Revocations: list, Now: clock}))
	say := func(text string) {
		_, err := verifier.Verify(context.Background(), text)
		stale, isStale := errors.AsType[*gatehouse.StaleError](err)
		switch {
		case err == nil:
			fmt.Println("welcome")
		case errors.Is(err, token.ErrExpired):
			fmt.Println("renew it")
		case errors.Is(err, token.ErrPurpose):
			fmt.Println("that is no access token")
		case errors.Is(err, gatehouse.ErrCredential):
			fmt.Println("sign in")
		case isStale:
			fmt.Println("the list of revocations is", stale.Age, "old: try later")
		default:
			fmt.Println("try later")
		}
	}
	text := mint(access)
	say(text)
	say(mint(invite))
	say(text + "A")
	now = now.Add(time.Minute) // in which nobody has read the list
	say(text)
	now = now.Add(time.Hour)
	say(text)
	// Output:
	// welcome
	// that is no access token
	// sign in
	// the list of revocations is 1m0s old: try later
	// renew it
}

// A log-in is renewed with a refresh token, which works once. If one comes back that was used, a thief has it, or had it: the log-in ends.
func ExampleFamilies_Refresh() {
	ctx := context.Background()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	list := revoke.New(memory.Revocations(), revoke.Config{Now: clock})
	if err := list.Load(ctx); err != nil {
		fmt.Println(err)
		return
	}
	access, refresh := token.Access(), token.Refresh()
	access.Audience, refresh.Audience = []string{"https://app.example.org"}, []string{"https://app.example.org"}
	minter := must(token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: access, Ring: exampleRing("access", keyring.ES256), Revocations: list, Now: clock}))
	families, err := token.NewFamilies(token.FamiliesConfig{
		Issuer: "https://app.example.org", Purpose: refresh, Store: memory.Tokens(), Access: minter, Revocations: list, Now: clock, Logger: slog.New(slog.DiscardHandler),
		Allow: func(_ context.Context, c token.Claims) (token.Claims, error) { // asked each time: who was disabled meanwhile goes no further
			c.Roles = []string{"premium"}
			return c, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	first, err := families.Start(ctx, token.Claims{Subject: "jack", Roles: []string{"basic"}}) // at log-in
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(first.Access.Claims.Roles)
	second, err := families.Refresh(ctx, first.Refresh.Text.Reveal())
	fmt.Println(second.Access.Claims.Roles, second.Access.Claims.Session == first.Access.Claims.Session, err)
	again, err := families.Refresh(ctx, first.Refresh.Text.Reveal()) // the answer was lost: within ten seconds it is given again
	fmt.Println(again.Refresh.Text.Equal(second.Refresh.Text), err)

	now = now.Add(time.Minute)
	if err := list.Load(ctx); err != nil {
		fmt.Println(err)
	}
	_, err = families.Refresh(ctx, first.Refresh.Text.Reveal())
	fmt.Println(errors.Is(err, token.ErrReused))
	_, err = families.Refresh(ctx, second.Refresh.Text.Reveal())
	fmt.Println(errors.Is(err, gatehouse.ErrCredential))
	// Output:
	// [basic]
	// [premium] true <nil>
	// true <nil>
	// true
	// true
}

// Tokens that exist already, here those of a Python program that has an HMAC secret and calls the user "username", come in under a profile that says what they are like.
func ExampleNewForeign() {
	now := time.Unix(1795521600, 0)
	secret, err := keyring.Secret(keyring.HS256, "q2w3e4r5t6y7u8i9o0p1a2s3d4f5g6h7", false)
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := keyring.Static("python", secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := token.NewForeign(token.ForeignConfig{
		Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: keys, SubjectClaim: "username", RoleClaim: "role", Required: map[string]any{"active": true},
		Revocations: revoke.None, Now: func() time.Time { return now },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	jwt := func(payload string) string { // as PyJWT makes it
		text := b64.EncodeToString([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + b64.EncodeToString([]byte(payload))
		return text + "." + b64.EncodeToString(must(secret.Sign(nil, []byte(text))))
	}
	for _, payload := range []string{
		`{"username":"jacky","role":"basic","active":true,"exp":1795525200}`,
		`{"username":"jacky","role":"basic","active":false,"exp":1795525200}`,
		`{"username":"","role":"basic","active":true,"exp":1795525200}`,
		`{"username":"jacky","role":"basic","active":true}`,
	} {
		id, err := verifier.Identity(context.Background(), jwt(payload))
		fmt.Printf("%q %v %v\n", id.Value, id.Roles, err)
	}
	// Output:
	// "jacky" [basic] <nil>
	// "" [] bad credential: invalid token: its claim "active" is not what it must be
	// "" [] bad credential: invalid token: its claim "username" names no subject
	// "" [] bad credential: invalid token: it does not say when it expires
}

// A service proves who it is with its private key: it signs a short-lived assertion, which counts once (RFC 7523).
func ExampleNewAssertions() {
	ctx := context.Background()
	key := must(keyring.Generate(keyring.ES256)) // which only the service has
	assertions, err := token.NewAssertions(token.AssertionsConfig{
		Audience: []string{"https://app.example.org/oauth/token"}, Store: memory.Tokens(),
		Client: func(_ context.Context, id string) (token.Client, error) {
			if id != "reports" {
				return token.Client{}, token.ErrClient
			}
			return token.Client{ID: id, Keys: []*keyring.Key{key.Public()}, Scopes: []string{"report.read"}}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// On the side of the service, an assertion is a token like any other, of which it is issuer and subject.
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: "reports", Ring: must(keyring.Static("assertion", key)), Revocations: revoke.None,
		Purpose: token.Purpose{Name: "assertion", TTL: time.Minute, Audience: []string{"https://app.example.org/oauth/token"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	made := must(minter.Mint(ctx, token.Claims{Subject: "reports"})).Text.Reveal()
	for _, text := range []string{made, made, "garbage"} {
		client, err := assertions.Verify(ctx, text)
		fmt.Printf("%q %v, refused: %v, malformed: %v\n", client.ID, client.Scopes, errors.Is(err, token.ErrClient), errors.Is(err, gatehouse.ErrMalformed))
	}
	// Output:
	// "reports" [report.read], refused: false, malformed: false
	// "" [], refused: true, malformed: false
	// "" [], refused: false, malformed: true
}

// Rules say which purpose counts (purpose: booking); the set asks the verifier of that one alone.
func ExampleNewSet() {
	audience := []string{"https://app.example.org"}
	access := token.Access()
	access.Audience = audience
	booking := token.Purpose{Name: "booking", TTL: time.Hour, Audience: audience}
	var verifiers []token.Identifier
	texts := map[string]string{}
	for _, p := range []token.Purpose{access, booking} {
		ring := exampleRing(p.Name, keyring.HS256) // one for each purpose
		minter := must(token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: p, Ring: ring, Revocations: revoke.None}))
		texts[p.Name] = must(minter.Mint(context.Background(), token.Claims{Subject: "jack"})).Text.Reveal()
		verifiers = append(verifiers, must(token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: p, Ring: ring, Revocations: revoke.None})))
	}
	set, err := token.NewSet(verifiers...)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, rule := range []string{"access", "booking"} {
		ctx := gatehouse.NewPurposeContext(context.Background(), rule) // the guard does this
		for _, made := range []string{"access", "booking"} {
			_, err := set.Identity(ctx, texts[made])
			fmt.Printf("a token for %s where %s is due: %v\n", made, rule, err == nil)
		}
	}
	// Output:
	// a token for access where access is due: true
	// a token for booking where access is due: false
	// a token for access where booking is due: false
	// a token for booking where booking is due: true
}

// A program has purposes of its own. Tokens of this one count only within a window, which opens a quarter of an hour after they were made.
func ExamplePurpose() {
	ctx := context.Background()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	window := token.Purpose{Name: "download", TTL: time.Hour, MaxTTL: 24 * time.Hour, Delay: 15 * time.Minute, Audience: []string{"https://files.example.org"}, Required: []string{"file"}}
	ring := exampleRing("download", keyring.HS256)
	minter := must(token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: window, Ring: ring, Revocations: revoke.None, Now: clock}))
	verifier := must(token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: window, Ring: ring, Revocations: revoke.None, Now: clock, Leeway: -1}))
	made, err := minter.Mint(ctx, token.Claims{Subject: "jack", Custom: map[string]any{"file": "report.pdf"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		c, err := verifier.Verify(ctx, made.Text.Reveal())
		fmt.Println(now.Format("15:04"), c.Custom["file"], err)
		now = now.Add(30 * time.Minute)
	}
	_, err = minter.Mint(ctx, token.Claims{Subject: "jack"})
	fmt.Println(err)
	// Output:
	// 12:00 <nil> bad credential: invalid token: not valid yet
	// 12:30 report.pdf <nil>
	// 13:00 <nil> token: bad credential: expired
	// token: the purpose download requires the claim "file"
}

// An opaque token has its uses counted in the store.
func ExampleUses() {
	ctx, store := context.Background(), memory.Tokens()
	ticket := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, MaxUses: 10, Audience: []string{"https://app.example.org"}}
	minter := must(token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: ticket, Store: store, Revocations: revoke.None}))
	verifier := must(token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: ticket, Store: store, Revocations: revoke.None}))
	made, err := minter.Mint(ctx, token.Claims{Subject: "jack"}, token.Uses(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	text := made.Text.Reveal()
	fmt.Println(strings.HasPrefix(text, "gh_ticket."))
	if _, err := verifier.Peek(ctx, text); err != nil { // looking at it is no use
		fmt.Println(err)
	}
	for range 3 {
		_, err := verifier.Verify(ctx, text)
		fmt.Println(errors.Is(err, token.ErrSpent), err)
	}
	// Output:
	// true
	// false <nil>
	// false <nil>
	// true bad credential: invalid token: token used up
}

// A token may live for another time than its purpose's, up to the purpose's MaxTTL.
func ExampleTTL() {
	access := token.Access()
	access.Audience, access.MaxTTL = []string{"https://app.example.org"}, 30*24*time.Hour
	minter := must(token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: access, Ring: exampleRing("access", keyring.ES256), Revocations: revoke.None}))
	for _, ttl := range []time.Duration{time.Minute, 30 * 24 * time.Hour, 31 * 24 * time.Hour} {
		made, err := minter.Mint(context.Background(), token.Claims{Subject: "jack"}, token.TTL(ttl))
		fmt.Println(!made.Text.IsZero(), errors.Is(err, token.ErrTTL))
	}
	// Output:
	// true false
	// true false
	// false true
}

// Claims of a program's own have types: they come out as they went in.
func ExampleAs() {
	type order struct {
		ID    int64    `json:"order_id"`
		Items []string `json:"items"`
	}
	access := token.Access()
	access.Audience = []string{"https://app.example.org"}
	ring := exampleRing("access", keyring.ES256)
	minter := must(token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: access, Ring: ring, Revocations: revoke.None}))
	verifier := must(token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: access, Ring: ring, Revocations: revoke.None}))
	custom, err := token.CustomOf(order{9007199254740993, []string{"film", "popcorn"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	made := must(minter.Mint(context.Background(), token.Claims{Subject: "jack", Custom: custom}))
	c := must(verifier.Verify(context.Background(), made.Text.Reveal()))
	o, err := token.As[order](c)
	fmt.Println(o.ID, o.Items, err)

	_, err = minter.Mint(context.Background(), token.Claims{Subject: "jack", Custom: map[string]any{"sub": "admin"}})
	fmt.Println(err)
	// Output:
	// 9007199254740993 [film popcorn] <nil>
	// token: the custom claim "sub" has the name of one that has a meaning: rename it, or set the field
}
