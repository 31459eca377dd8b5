package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// The keys of the signed tokens, so that one process makes what another verifies. They protect nothing.
var benchKeys = map[keyring.Algorithm]string{
	keyring.HS256: "a secret for measuring, of 32 bytes and more",
	keyring.ES256: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAMoUKZT3S2vesFLH
VpyFGvi0Pb3skG+jocvORxzMysKhRANCAAQNIgLbAEuG7t6InBuwIGtHteAQgEIq
W0YIlXY9AuB0m1EcX61pBr/ytF9eyggj6g27mEPytt58mfkEUXHb0UTN
-----END PRIVATE KEY-----
`}

// signed is how the variants with signed tokens are called, before the algorithm.
const signed = "jwt-"

// benchRing returns the ring of an algorithm.
func benchRing(algorithm keyring.Algorithm) (*keyring.Ring, error) {
	var key *keyring.Key
	var err error
	if algorithm.Symmetric() {
		key, err = keyring.Secret(algorithm, benchKeys[algorithm], false)
	} else {
		key, err = keyring.ParsePEM(algorithm, []byte(benchKeys[algorithm]))
	}
	if err != nil {
		return nil, err
	}
	return keyring.Static("access", key)
}

// benchPurpose is access for an hour, longer than any measurement.
func benchPurpose() token.Purpose {
	p := token.Access()
	p.Audience, p.TTL = []string{"https://films.example"}, time.Hour
	return p
}

const benchIssuer = "https://films.example"

// mintFor returns an access token of jack.
func mintFor(algorithm keyring.Algorithm) (string, error) {
	ring, err := benchRing(algorithm)
	if err != nil {
		return "", err
	}
	m, err := token.NewMinter(token.MinterConfig{Issuer: benchIssuer, Purpose: benchPurpose(), Ring: ring, Revocations: revoke.None})
	if err != nil {
		return "", err
	}
	t, err := m.Mint(context.Background(), token.Claims{Subject: "jack", Roles: []string{"basic"}, Scopes: []string{"films.read"}})
	return t.Text.Reveal(), err
}

// jwtVariants are what a signed token costs, with a list of revocations that is kept up to date.
func jwtVariants() ([]variant, error) {
	var list []variant
	for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.ES256} {
		text, err := mintFor(algorithm)
		if err != nil {
			return nil, err
		}
		header := "Authorization: Bearer " + text + "\r\n"
		name := signed + string(algorithm)
		list = append(list,
			variant{"guard-" + name, "GET /films/7" + head + header + "\r\n", []string{"bare", "guard"}},
			variant{"authz-" + name, strings.Replace(question, with, header, 1), []string{"bare", "bare-question", "forward-auth"}})
	}
	return list, nil
}

// newJWTGuard returns a guard with the rules of [newGuard] that verifies signed tokens, and asks a list with a few thousand revocations.
func newJWTGuard(algorithm keyring.Algorithm) (*guard.Guard, error) {
	table, err := newTable(100)
	if err != nil {
		return nil, err
	}
	ring, err := benchRing(algorithm)
	if err != nil {
		return nil, err
	}
	list, err := newList(10_000)
	if err != nil {
		return nil, err
	}
	v, err := token.NewVerifier(token.VerifierConfig{Issuer: benchIssuer, Purpose: benchPurpose(), Ring: ring, Revocations: list})
	if err != nil {
		return nil, err
	}
	return guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Bearer(v)}, Policy: guard.AsSubject{Table: table}, Rules: table, Logger: slog.New(slog.DiscardHandler)})
}

// newList returns a list of so many revocations that is kept up to date as long as the process lives.
func newList(size int) (*revoke.List, error) {
	ctx := context.Background()
	list := revoke.New(memory.Revocations(), revoke.Config{Logger: slog.New(slog.DiscardHandler)})
	entries := make([]revoke.Entry, size)
	for i := range entries {
		entries[i] = revoke.Entry{Kind: revoke.Token, ID: fmt.Sprintf("revoked%d", i), Expires: time.Now().Add(time.Hour)}
	}
	if err := list.Load(ctx); err != nil {
		return nil, err
	}
	if err := list.Revoke(ctx, entries...); err != nil {
		return nil, err
	}
	go list.Run(ctx)
	return list, nil
}
