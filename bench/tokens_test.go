package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	gatetoken "github.com/gatehouse-auth/gatehouse/token"
)

// A duel compares what something costs with what it cannot do without: the cryptographic operation, or the same with nothing revoked.
type duel struct {
	name, budget string
	raw, work    func() error
	rawLeast     time.Duration
	workLeast    time.Duration
	batch, short int // how often the work, and the raw operation, is done at a time
	allocs       float64
}

// fight runs both sides of all duels in turn, in batches that are shorter than what a scheduler gives, and keeps the least that each has taken: what else the machine has to do comes on top of that.
func fight(duels []*duel, rounds int) error {
	for _, d := range duels {
		d.allocs = testing.AllocsPerRun(20, func() { _ = d.work() })
	}
	for range rounds {
		for _, d := range duels {
			err := least(d.short, d.raw, &d.rawLeast)
			if err == nil {
				err = least(d.batch, d.work, &d.workLeast)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
		}
	}
	return nil
}

// least makes known what f takes, if that is less, or nothing was known.
func least(batch int, f func() error, known *time.Duration) error {
	began := time.Now()
	for range batch {
		if err := f(); err != nil {
			return err
		}
	}
	if took := time.Since(began) / time.Duration(batch); *known == 0 || took < *known {
		*known = took
	}
	return nil
}

func printDuels(w io.Writer, duels []*duel) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\traw\tall\tratio\tover raw\tallocations\tbudget")
	for _, d := range duels {
		fmt.Fprintf(table, "%s\t%v\t%v\t%.2f\t%v\t%v\t%s\n", d.name, d.rawLeast, d.workLeast, float64(d.workLeast)/float64(d.rawLeast), d.workLeast-d.rawLeast, d.allocs, d.budget)
	}
	return table.Flush()
}

// tokenDuels are those of tokens. Revoked says how many entries the list of revocations has, of which none is about the token.
func tokenDuels(ctx context.Context, revoked int) ([]*duel, error) {
	var duels []*duel
	for _, a := range []keyring.Algorithm{keyring.HS256, keyring.ES256, keyring.EdDSA, keyring.RS256} {
		some, err := algorithmDuels(ctx, a)
		if err != nil {
			return nil, err
		}
		duels = append(duels, some...)
	}
	for _, n := range []int{10_000, 1_000_000} {
		if n > revoked {
			continue
		}
		d, err := revocationDuel(ctx, n)
		if err != nil {
			return nil, err
		}
		duels = append(duels, d)
	}
	return duels, nil
}

// A specimen has a token and all that makes and verifies it.
type specimen struct {
	key         *keyring.Key
	minter      *gatetoken.Minter
	cold, known *gatetoken.Verifier
	text        string
}

func newSpecimen(ctx context.Context, a keyring.Algorithm, list revoke.Checker) (*specimen, error) {
	key, err := keyring.Generate(a)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Static("access", key)
	if err != nil {
		return nil, err
	}
	access := gatetoken.Access()
	access.Audience = []string{"https://app.example"}
	s := &specimen{key: key}
	if s.minter, err = gatetoken.NewMinter(gatetoken.MinterConfig{Issuer: "https://gate.example", Purpose: access, Ring: ring, Revocations: list}); err != nil {
		return nil, err
	}
	c := gatetoken.VerifierConfig{Issuer: "https://gate.example", Purpose: access, Ring: ring, Revocations: list}
	if s.known, err = gatetoken.NewVerifier(c); err != nil {
		return nil, err
	}
	c.Cache = -1
	if s.cold, err = gatetoken.NewVerifier(c); err != nil {
		return nil, err
	}
	made, err := s.mint(ctx)
	s.text = made.Text.Reveal()
	return s, err
}

func (s *specimen) mint(ctx context.Context) (gatetoken.Token, error) {
	return s.minter.Mint(ctx, gatetoken.Claims{Subject: "jack", Roles: []string{"basic"}, Scopes: []string{"films.read"}})
}

func (s *specimen) verify(ctx context.Context, v *gatetoken.Verifier) func() error {
	return func() error {
		_, err := v.Identity(ctx, s.text)
		return err
	}
}

func algorithmDuels(ctx context.Context, a keyring.Algorithm) ([]*duel, error) {
	s, err := newSpecimen(ctx, a, revoke.None)
	if err != nil {
		return nil, err
	}
	input := []byte(s.text)
	signature, err := s.key.Sign(nil, input)
	if err != nil {
		return nil, err
	}
	batch, known := 3, "all ≤ 1.2 µs, 0 allocations"
	if a == keyring.HS256 {
		batch, known = 100, "≤ raw + 0.5 µs, 0 allocations"
	}
	raw := func() error { return s.key.Verify(input, signature) }
	name := string(a)
	return []*duel{
		{name: "mint " + name, budget: "-", batch: batch, short: batch, work: func() error { _, err := s.mint(ctx); return err }, raw: func() error { _, err := s.key.Sign(nil, input); return err }},
		{name: "verify " + name + ", cold", budget: "≤ raw + 2 µs", batch: batch, short: batch, raw: raw, work: s.verify(ctx, s.cold)},
		{name: "verify " + name + ", known", budget: known, batch: 100, short: batch, raw: raw, work: s.verify(ctx, s.known)},
	}, nil
}

// revocationDuel compares the check where nothing was revoked with that where n tokens were.
func revocationDuel(ctx context.Context, n int) (*duel, error) {
	empty, full := revoke.New(memory.Revocations(), revoke.Config{Bound: time.Hour}), revoke.New(memory.Revocations(), revoke.Config{Bound: time.Hour})
	for _, list := range []*revoke.List{empty, full} {
		if err := list.Load(ctx); err != nil {
			return nil, err
		}
	}
	for left := n; left > 0; left -= 1000 {
		entries := make([]revoke.Entry, 1000)
		for i := range entries {
			entries[i] = revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint("revoked ", left, " ", i), Expires: time.Now().Add(time.Hour)}
		}
		if err := full.Revoke(ctx, entries...); err != nil {
			return nil, err
		}
	}
	claim := revoke.Claim{Token: "3nq7d4k2w6gk5y2m4z7s5o3x2i", Session: "v6gk5y2m4z7s5o3x2i3nq7d4k2", Subject: "jack", Key: "access", Issued: time.Now().Add(time.Minute)}
	return &duel{name: fmt.Sprintf("revocation check, %d entries", n), budget: "all ≤ 0.4 µs, 0 allocations", batch: 1000, short: 1000,
		raw: func() error { return empty.Check(claim) }, work: func() error { return full.Check(claim) }}, nil
}

// BenchmarkTokens prints what making and verifying tokens costs beside the signature alone, and a check against a million revocations beside an empty list, in one interleaved run:
//
//	go test -run '^$' -bench Tokens ./bench
func BenchmarkTokens(b *testing.B) {
	duels, err := tokenDuels(b.Context(), 1_000_000)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := fight(duels, 100); err != nil {
			b.Fatal(err)
		}
	}
	if err := printDuels(os.Stdout, duels); err != nil {
		b.Fatal(err)
	}
}

// TestTokens runs the comparison for a moment, so that it works on the day when somebody needs it.
func TestTokens(t *testing.T) {
	duels, err := tokenDuels(t.Context(), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if err := fight(duels, 2); err != nil {
		t.Fatal(err)
	}
	if err := printDuels(t.Output(), duels); err != nil {
		t.Fatal(err)
	}
}
