package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// assertionTTL is how long an assertion is valid: for as long as it takes to send it.
const assertionTTL = time.Minute

// A caller is a client that has a private key.
type caller struct {
	id, server string
	minter     *token.Minter
	http       *http.Client
}

// newCaller reads the private key of a client. Assertions are tokens like any other, which the client makes itself: it is their issuer and their subject, and the
// service their audience.
func newCaller(s settings, now func() time.Time) (*caller, error) {
	text, err := os.ReadFile(filepath.Join(s.folder, s.client+".pem"))
	if err != nil {
		return nil, err
	}
	key, err := keyring.ParsePEM("", text)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Static("assertion", key)
	if err != nil {
		return nil, err
	}
	minter, err := token.NewMinter(token.MinterConfig{Issuer: s.client, Ring: ring, Revocations: revoke.None, Now: now,
		Purpose: token.Purpose{Name: "assertion", TTL: assertionTTL, Audience: []string{s.server}}})
	if err != nil {
		return nil, err
	}
	return &caller{s.client, s.server, minter, &http.Client{Timeout: 10 * time.Second}}, nil
}

// assertion returns a new assertion. Each has an id of its own (jti), so that it counts once.
func (c *caller) assertion(ctx context.Context) (string, error) {
	made, err := c.minter.Mint(ctx, token.Claims{Subject: c.id})
	return made.Text.Reveal(), err
}

// sign prints an assertion.
func sign(ctx context.Context, s settings, stdout io.Writer) error {
	c, err := newCaller(s, time.Now)
	if err != nil {
		return err
	}
	text, err := c.assertion(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, text)
	return err
}

// A granted is what the service answers.
type granted struct {
	Token   string `json:"access_token"`
	ValidIn int    `json:"valid_in"` // seconds
}

// call proves who the client is, waits until its token counts, and calls the service.
func call(ctx context.Context, s settings, stdout io.Writer) error {
	c, err := newCaller(s, time.Now)
	if err != nil {
		return err
	}
	got, err := c.login(ctx)
	if err != nil {
		return err
	}
	wait := time.Duration(got.ValidIn) * time.Second
	fmt.Fprintf(stdout, "got a token that counts in %v\n", wait)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	text, err := c.report(ctx, got.Token)
	if err == nil {
		_, err = stdout.Write(text)
	}
	return err
}

// login gets a token for an assertion.
func (c *caller) login(ctx context.Context) (granted, error) {
	assertion, err := c.assertion(ctx)
	if err != nil {
		return granted{}, err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return granted{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	text, err := c.send(r)
	if err != nil {
		return granted{}, err
	}
	var got granted
	if err := json.Unmarshal(text, &got); err != nil || got.Token == "" {
		return granted{}, errors.Join(errors.New("the service has answered with something else than a token"), err)
	}
	return got, nil
}

// report calls the service with a token.
func (c *caller) report(ctx context.Context, token string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+"/report", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return c.send(r)
}

// send returns the body of the answer if it is 200.
func (c *caller) send(r *http.Request) ([]byte, error) {
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", r.URL, response.Status, text)
	}
	return text, err
}
