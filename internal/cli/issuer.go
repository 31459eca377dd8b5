package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// An issuer makes and verifies the tokens of one configuration. It is made anew by a reload; the list of revocations it uses is not.
type issuer struct {
	cfg       *config.Config
	plan      *tokenPlan
	list      *revoke.List
	store     token.Store
	rings     map[string]*keyring.Ring // by purpose; none for opaque ones
	minters   map[string]*token.Minter // by purpose, but for refresh
	verifiers []*token.Verifier        // of all purposes, but for refresh
	foreign   []*token.Verifier        // of access tokens that somebody else makes
	refresh   *token.Families
	bearer    *token.Set
	asserted  *token.Assertions
	now       func() time.Time
	stop      context.CancelFunc
}

// A bearerDesk verifies bearer tokens for the guards of a house, once its issuer is there. Until then, as in commands that only ask what would be, nothing can be said.
type bearerDesk struct{ set *token.Set }

var errNotVerified = errors.New("signed tokens are not verified by this command; say who is calling with --as, or ask the running server with --request")

// Identity implements [carrier.TokenVerifier].
func (d *bearerDesk) Identity(ctx context.Context, text string) (gatehouse.Identity, error) {
	if d.set == nil {
		return gatehouse.Identity{}, errNotVerified
	}
	return d.set.Identity(ctx, text)
}

// An issuing is what an issuer is made with.
type issuing struct {
	plan   *tokenPlan
	vault  *vault
	cfg    *config.Config
	logger *slog.Logger
	now    func() time.Time
	// beside: a server may have the keys already, and its configuration counts.
	beside bool
	// longest lets tokens live for longer than the configuration says, for the command that mints them by hand.
	longest time.Duration
}

// keepRings is how often rings are read at least, so how late a node learns of a key that was made or retired elsewhere.
const keepRings = 2 * time.Second

// open makes the issuer, and when nothing can be wrong with the configuration any more it loads the rings, which makes the first keys, and lets the configured ones sign.
func (i issuing) open(ctx context.Context) (_ *issuer, err error) {
	made := &issuer{cfg: i.cfg, now: i.now, plan: i.plan, list: i.vault.list, store: i.vault.tokens, rings: map[string]*keyring.Ring{}, minters: map[string]*token.Minter{}}
	for _, s := range i.plan.purposes {
		if err := i.purpose(made, s); err != nil {
			return nil, err
		}
	}
	if err := i.families(made); err != nil {
		return nil, err
	}
	if err := i.set(made); err != nil {
		return nil, err
	}
	made.asserted, err = token.NewAssertions(token.AssertionsConfig{Audience: i.names(), Client: made.client, Store: made.store, Leeway: i.leeway(), Now: i.now})
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(made.rings)) {
		if err := made.rings[name].Load(ctx); err != nil {
			return nil, fmt.Errorf("the keys of %s tokens cannot be used: %w", name, err)
		}
	}
	return made, nil
}

// names are those by which a client may call the token endpoint in what it signs: the issuer, and its own URL (RFC 7523, section 3), which a client may also have made from the issuer's.
func (i issuing) names() []string {
	names := []string{i.plan.issuer, strings.TrimSuffix(i.plan.issuer, "/") + "/oauth/token"}
	if public := i.cfg.Server.PublicURL; public != "" {
		names = append(names, strings.TrimSuffix(public, "/")+i.cfg.Server.Prefix+"/oauth/token")
	}
	return names
}

func (i issuing) leeway() time.Duration {
	if d := i.cfg.Tokens.Leeway.Std(); d > 0 {
		return d
	}
	return -1
}

// purpose makes the ring of a purpose, its minter and its verifier.
func (i issuing) purpose(made *issuer, s sealing) error {
	s.MaxTTL = max(s.MaxTTL, i.longest)
	var ring *keyring.Ring
	if s.Form == token.JWT {
		c := s.ring
		c.Master, c.Logger, c.Now, c.Lifetime, c.Beside = i.vault.master, i.logger, i.now, max(c.Lifetime, i.longest), i.beside
		var err error
		if ring, err = keyring.New(i.vault.keys, c); err != nil {
			return fmt.Errorf("the keys of %s tokens cannot be used: %w", s.Name, err)
		}
		made.rings[s.Name] = ring
	}
	if s.Name == token.PurposeRefresh {
		return nil // families make and verify them
	}
	m, err := token.NewMinter(token.MinterConfig{Issuer: i.plan.issuer, Purpose: s.Purpose, Ring: ring, Store: made.store, Revocations: made.list, Map: s.more, Now: i.now})
	if err != nil {
		return err
	}
	v, err := token.NewVerifier(token.VerifierConfig{Issuer: i.plan.issuer, Purpose: s.Purpose, Ring: ring, Store: made.store, Revocations: made.list,
		Leeway: i.leeway(), Now: i.now})
	if err != nil {
		return err
	}
	made.minters[s.Name] = m
	made.verifiers = append(made.verifiers, v)
	return nil
}

// longestOf returns how long anything lives at most that may have the session of a log-in.
func (i issuing) longestOf() time.Duration {
	longest := i.cfg.Sessions.Absolute.Std()
	for _, s := range i.plan.purposes {
		longest = max(longest, s.MaxTTL)
	}
	return longest
}

func (i issuing) families(made *issuer) (err error) {
	r := i.cfg.Tokens.Refresh
	grace := r.Grace.Std()
	if grace == 0 {
		grace = -1
	}
	made.refresh, err = token.NewFamilies(token.FamiliesConfig{Issuer: i.plan.issuer, Purpose: i.plan.purposes[1].Purpose, Ring: made.rings[token.PurposeRefresh], Store: made.store,
		Access: made.minters[token.PurposeAccess], Idle: r.Idle.Std(), Absolute: r.Absolute.Std(), Grace: grace, TokenLife: i.longestOf(), Revocations: made.list, Leeway: i.leeway(), Logger: i.logger, Now: i.now})
	return err
}

// set makes what the bearer carrier asks.
func (i issuing) set(made *issuer) (err error) {
	all := []token.Identifier{made.refresh}
	for _, v := range made.verifiers {
		all = append(all, v)
	}
	for _, f := range i.plan.foreign {
		f.Revocations = made.list
		v, err := token.NewForeign(f)
		if err != nil {
			return err
		}
		made.foreign, all = append(made.foreign, v), append(all, v)
	}
	made.bearer, err = token.NewSet(all...)
	return err
}

// client finds a registered client.
func (i *issuer) client(_ context.Context, id string) (token.Client, error) {
	c, ok := i.plan.clients[id]
	if !ok {
		return token.Client{}, token.ErrClient
	}
	return c.Client, nil
}

// keep looks after the rings until close is called.
func (i *issuer) keep() {
	ctx, cancel := context.WithCancel(context.Background())
	i.stop = cancel
	for _, name := range slices.Sorted(maps.Keys(i.rings)) {
		ticker := time.NewTicker(min(keepRings, i.rings[name].Interval()))
		go func() {
			defer ticker.Stop()
			i.rings[name].Keep(ctx, ticker.C)
		}()
	}
}

// close ends what keep has begun.
func (i *issuer) close() {
	if i != nil && i.stop != nil {
		i.stop()
	}
}

// openOAuth lets the handler of h serve what tokens need.
func (h *house) openOAuth() error {
	i := h.issuer
	h.feed = revoke.NewFeed(i.list)
	c := api.OAuthConfig{Client: i.registered, Assertions: i.asserted, Access: i.minters[token.PurposeAccess], Refresh: i.refresh, Revocations: i.list, Feed: h.feed,
		Guard: h.own, Now: i.now}
	c.Verifiers = append(c.Verifiers, i.refresh)
	for _, v := range i.verifiers {
		c.Verifiers = append(c.Verifiers, v)
		if v.Purpose().Name == token.PurposeAccess {
			c.Bearer = v
		}
	}
	for _, v := range i.foreign {
		c.Foreign = append(c.Foreign, v)
	}
	for _, name := range slices.Sorted(maps.Keys(i.rings)) {
		c.Rings = append(c.Rings, i.rings[name])
	}
	h.handler.Open(c)
	return nil
}

// registered finds a registered client, with what it may do.
func (i *issuer) registered(ctx context.Context, id string) (api.Client, error) {
	c, err := i.client(ctx, id)
	return api.Client{Client: c, May: i.plan.clients[id].may}, err
}
