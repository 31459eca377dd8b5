package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

type tokenInspectCommand struct {
	configFlag
	Token string `arg:"" optional:"" default:"-" help:"The token. Without it, or with -: standard input, which keeps it out of the shell's history."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Help adds to the command's help.
func (tokenInspectCommand) Help() string {
	return `Takes apart any JWT, whoever has made it, without believing it. Where the configuration makes or takes tokens, it then says whether the server would accept this one now, and why not. It uses up nothing.

Exit codes: 0 it would be accepted, or nobody was asked; 1 it would be refused; 2 it is no token.

Examples:
  gatehouse token inspect < token.txt
  gatehouse token inspect eyJhbGciOi… --config gatehouse.yaml`
}

// maxInspected bounds a token that is only looked at.
const maxInspected = 64 << 10

// tokenText returns the token of the command line, or the first line of standard input where that says -.
func tokenText(p *program, text string) (string, error) {
	if text == "-" {
		line, err := readLine(bufio.NewReader(p.stdin), "standard input", maxInspected)
		if err != nil {
			return "", err
		}
		text = line
	}
	if rest, ok := cutFold(strings.TrimSpace(text), "Bearer "); ok { // pasted from a header
		text = rest
	}
	return strings.TrimSpace(text), nil
}

func cutFold(text, prefix string) (string, bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return text, false
	}
	return text[len(prefix):], true
}

// An inspection is what there is to say about a token.
type inspection struct {
	Note    string          `json:"note"`
	Header  json.RawMessage `json:"header,omitempty"`
	Claims  json.RawMessage `json:"claims,omitempty"`
	Expiry  string          `json:"expiry"`
	Purpose string          `json:"purpose"`
	Key     string          `json:"key"`
	Verdict string          `json:"verdict"`
	refused bool
}

// Run inspects.
func (c tokenInspectCommand) Run(p *program) error {
	text, err := tokenText(p, c.Token)
	if err != nil {
		return err
	}
	says, found, err := takeApart(text, p.now())
	if err != nil {
		return exit{exitUsage, err}
	}
	if err := c.judge(p, text, says, &found); err != nil {
		return err
	}
	if err := c.print(p, found); err != nil {
		return err
	}
	if found.refused {
		return no()
	}
	return nil
}

func (c tokenInspectCommand) print(p *program, found inspection) error {
	if c.JSON {
		out := json.NewEncoder(p.stdout)
		out.SetIndent("", "  ")
		return out.Encode(found)
	}
	var b strings.Builder
	fmt.Fprintln(&b, found.Note)
	for _, part := range []struct {
		name string
		text json.RawMessage
	}{{"header", found.Header}, {"claims", found.Claims}} {
		if part.text != nil {
			fmt.Fprintf(&b, "%-8s %s\n", part.name, part.text)
		}
	}
	fmt.Fprintf(&b, "%-8s %s\n%-8s %s\n%-8s %s\n%-8s %s\n", "expiry", found.Expiry, "purpose", found.Purpose, "key", found.Key, "verdict", found.Verdict)
	_, err := io.WriteString(p.stdout, b.String())
	return err
}

// claimed is what a token says of itself, as far as it matters here.
type claimed struct {
	Type      string
	Algorithm string
	Key       string
	purpose   string // of an opaque token, by how it begins
}

// takeApart reads a token without verifying anything. The error says that it is none.
func takeApart(text string, now time.Time) (claimed, inspection, error) {
	if rest, ok := strings.CutPrefix(text, "gh_"); ok {
		purpose, _, _ := strings.Cut(rest, ".")
		return claimed{purpose: purpose}, inspection{Note: "An opaque token: it says nothing itself, the store knows what it is.", Expiry: "known to the store alone",
			Purpose: purpose + ", by how it begins", Key: "none: it is not signed"}, nil
	}
	parts := strings.Split(text, ".")
	if len(parts) == 5 {
		return claimed{}, inspection{}, errors.New("this is an encrypted token (JWE): Gatehouse takes none, and cannot look inside")
	}
	if len(parts) != 3 {
		return claimed{}, inspection{}, fmt.Errorf("this is no token that can be looked into: a JWT has three parts with dots between them, and this has %d", len(parts))
	}
	header, err1 := object(parts[0])
	claims, err2 := object(parts[1])
	if err := errors.Join(err1, err2); err != nil {
		return claimed{}, inspection{}, fmt.Errorf("this is no JWT: %w", err)
	}
	says := claimed{Type: textOf(header, "typ"), Algorithm: textOf(header, "alg"), Key: textOf(header, "kid")}
	found := inspection{Note: "What the token says of itself. This is unverified: anybody can write such a text.", Expiry: expiry(claims, now)}
	found.Header, _ = json.Marshal(header)
	found.Claims, _ = json.Marshal(claims)
	found.Purpose = fmt.Sprintf("typ is %q", says.Type)
	found.Key = fmt.Sprintf("kid is %q, for %s", says.Key, says.Algorithm)
	return says, found, nil
}

// object decodes a part of a JWT. Numbers stay as they are written.
func object(part string) (map[string]any, error) {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, errors.New("a part of it is not base64url")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var members map[string]any
	if decoder.Decode(&members) != nil || members == nil {
		return nil, errors.New("a part of it is no JSON object")
	}
	return members, nil
}

func textOf(members map[string]any, name string) string {
	text, _ := members[name].(string)
	return text
}

// expiry says when a token expires by its own word.
func expiry(claims map[string]any, now time.Time) string {
	value, ok := claims["exp"].(json.Number)
	if !ok {
		return "none: it says no exp that is a number, and Gatehouse takes no token without"
	}
	seconds, err := value.Float64()
	if err != nil || seconds < 0 || seconds > 253402300799 { // the year 9999
		return fmt.Sprintf("exp is %s, which is no time", value)
	}
	at := time.Unix(int64(seconds), 0).UTC()
	if left := at.Sub(now); left > 0 {
		return fmt.Sprintf("%s, in %s", at.Format(time.RFC3339), span(left))
	}
	return fmt.Sprintf("%s, %s ago", at.Format(time.RFC3339), span(now.Sub(at)))
}

// span is a time for people: what is longer than two days is counted in days.
func span(d time.Duration) string {
	if d > 48*time.Hour {
		return count(int(d/(24*time.Hour)), "day")
	}
	return d.Round(time.Second).String()
}

// judge asks those who would verify the token.
func (c tokenInspectCommand) judge(p *program, text string, says claimed, found *inspection) error {
	h, err := p.open(c.source(p))
	if err != nil {
		return err
	}
	switch file, none := noDatabase(h.cfg); {
	case h.plan == nil:
		found.Verdict = "nobody was asked: this configuration takes no signed tokens (carriers does not name bearer)"
		return nil
	case none:
		found.Verdict = "nobody was asked: there is no database yet (" + file + ")"
		return nil
	}
	i, v, err := c.openIssuer(p, 0)
	if err != nil {
		return err
	}
	defer v.close()
	i.describe(says, found)
	claims, purpose, err := i.peek(p.ctx, text)
	switch {
	case errors.Is(err, errNoPurpose):
		err = i.why(p.ctx, text, says)
		fallthrough
	case err != nil:
		if !refused(err) {
			return err
		}
		found.refused, found.Verdict = true, "refused: "+reason(err)
	default:
		found.Verdict = fmt.Sprintf("accepted now, as %s token of %s", purpose, claims.Subject)
	}
	return nil
}

// describe adds what is known about the purpose and the key that a token names.
func (i *issuer) describe(says claimed, found *inspection) {
	names := i.purposes() // purposes that were given one secret have one key: that of the purpose that the token names comes last
	for _, s := range i.plan.purposes {
		if s.Form == token.JWT && strings.EqualFold(strings.TrimPrefix(strings.ToLower(says.Type), "application/"), typeOf(s.Purpose)) {
			found.Purpose = s.Name + ", by its typ " + says.Type
			names = append(names, s.Name)
		}
	}
	for _, name := range names {
		ring := i.rings[name]
		if ring == nil || says.Key == "" {
			continue // opaque, or the token names no key
		}
		for _, info := range ring.Keys() {
			if info.ID == says.Key {
				found.Key = fmt.Sprintf("%s of %s, %s", says.Key, name, info.State)
			}
		}
	}
}

// typeOf returns the typ of a purpose's JWTs.
func typeOf(p token.Purpose) string {
	if p.Type != "" {
		return p.Type
	}
	return p.Name + "+jwt"
}

var errNoPurpose = errors.New("a token of no purpose here")

// peek returns what a token says that counts for some purpose, without using it. The error wraps errNoPurpose if it counts for none and none has more to say than that; it says why
// if the token was good for a purpose and is not any more.
func (i *issuer) peek(ctx context.Context, text string) (token.Claims, string, error) {
	return i.look(ctx, text, peeker.Peek)
}

// revocable is peek for who revokes the token: also one that was revoked already, or that does not count here and now.
func (i *issuer) revocable(ctx context.Context, text string) (token.Claims, string, error) {
	return i.look(ctx, text, peeker.PeekRevoked)
}

func (i *issuer) look(ctx context.Context, text string, peek func(peeker, context.Context, string) (token.Claims, error)) (token.Claims, string, error) {
	err := errNoPurpose
	for _, v := range i.peekers() {
		claims, one := peek(v, ctx, text)
		if one == nil {
			return claims, v.Purpose().Name, nil
		}
		if !errors.Is(one, token.ErrInvalid) || errors.Is(one, token.ErrSpent) {
			err = one // expired, revoked, not yet valid, or it could not be found out
		}
	}
	return token.Claims{}, "", err
}

// A peeker verifies the tokens of one purpose without using them.
type peeker interface {
	Purpose() token.Purpose
	Peek(ctx context.Context, text string) (token.Claims, error)
	PeekRevoked(ctx context.Context, text string) (token.Claims, error)
}

func (i *issuer) peekers() []peeker {
	list := []peeker{i.refresh}
	for _, v := range slices.Concat(i.verifiers, i.foreign) {
		list = append(list, v)
	}
	return list
}

// why returns the error of the verifier that a token is meant for, by its own word; that of access tokens if it does not say.
func (i *issuer) why(ctx context.Context, text string, says claimed) error {
	var access error
	for _, v := range i.peekers() {
		p := v.Purpose()
		_, err := v.Peek(ctx, text)
		switch {
		case says.purpose == p.Name, says.purpose == "" && p.Form == token.JWT && strings.EqualFold(says.Type, typeOf(p)) && p.Name != token.PurposeAccess:
			return err
		case p.Name == token.PurposeAccess && (access == nil || errors.Is(access, token.ErrPurpose)):
			access = err
		}
	}
	return access
}

// refused reports whether err means that the token does not count, rather than that this could not be found out.
func refused(err error) bool { return errors.Is(err, gatehouse.ErrCredential) }

// reason is err for people, without the words that say only that it is the token's fault.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), gatehouse.ErrCredential.Error()+": ")
	if errors.Is(err, keyring.ErrUnknownKey) {
		text += " (made elsewhere, retired, or older than every token that it has signed)"
	}
	return text
}
