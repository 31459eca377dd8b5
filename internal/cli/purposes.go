package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// Defaults of the tokens for one action, where the configuration does not say how long they are valid.
const (
	verifyEmailTTL   = 24 * time.Hour
	resetPasswordTTL = time.Hour
	inviteTTL        = 7 * 24 * time.Hour
)

// A sealing is what the tokens of one purpose are like, and the ring that signs them if they are JWTs.
type sealing struct {
	token.Purpose
	ring keyring.Config    // without store, master key and clock; Name is empty for opaque tokens
	more map[string]string // further claims
}

// A tokenPlan is what the configuration says of tokens, checked as far as that can be done without a store.
type tokenPlan struct {
	issuer   string
	purposes []sealing // access first, refresh second
	foreign  []token.ForeignConfig
	clients  map[string]client
}

// A client is a registered client and what it may do.
type client struct {
	token.Client
	may []string
}

// issuerOf returns who makes the tokens of a configuration.
func issuerOf(c *config.Config) string {
	switch {
	case c.Tokens.Issuer != "":
		return c.Tokens.Issuer
	case c.Server.PublicURL != "":
		return strings.TrimSuffix(c.Server.PublicURL, "/") + c.Server.Prefix
	}
	return "http://" + hostPort(&c.Server) + c.Server.Prefix
}

// tokenPlan checks the sections tokens and clients.
func (b *builder) tokenPlan() *tokenPlan {
	if !b.cfg.HasTokens() {
		return nil
	}
	before := len(b.faults)
	p := &tokenPlan{issuer: issuerOf(b.cfg), clients: map[string]client{}}
	b.access(p)
	b.refresh(p)
	t := b.cfg.Tokens
	b.action(p, "verify_email", token.VerifyEmail(), t.VerifyEmail, verifyEmailTTL)
	b.action(p, "reset_password", token.ResetPassword(), t.ResetPassword, resetPasswordTTL)
	b.action(p, "invite", token.Invite(), t.Invite, inviteTTL)
	for _, name := range slices.Sorted(maps.Keys(t.Purposes)) {
		b.ownPurpose(p, name, t.Purposes[name])
	}
	b.foreign(p)
	b.clients(p)
	b.warnSharedPrefix()
	if len(b.faults) == before && b.sound("tokens") && b.sound("server") {
		b.rehearse(p)
	}
	return p
}

// rehearse makes what a server makes of the plan, without keys and without its store, so that no configuration is taken that it would not start with.
func (b *builder) rehearse(p *tokenPlan) {
	for _, s := range p.purposes {
		at := sectionOf(s.Name)
		var ring *keyring.Ring
		if s.Form == token.JWT {
			c := s.ring
			c.Master, c.Logger = keyring.NewMaster(), b.around.logger("store")
			var err error
			if ring, err = keyring.New(memory.Keys(), c); err != nil {
				b.fault(at, "%v", err)
				continue
			}
		}
		_, err := token.NewMinter(token.MinterConfig{Issuer: p.issuer, Purpose: s.Purpose, Ring: ring, Store: memory.Tokens(), Revocations: revoke.None, Map: s.more})
		if err != nil {
			b.fault(at, "%v", err)
		}
	}
	for i, f := range p.foreign {
		f.Revocations = revoke.None
		if _, err := token.NewForeign(f); err != nil {
			b.fault(fmt.Sprintf("tokens.foreign[%d]", i), "%v", err)
		}
	}
}

// sectionOf returns where the configuration says what the tokens of a purpose are like.
func sectionOf(purpose string) string {
	switch purpose {
	case token.PurposeAccess, token.PurposeRefresh, token.PurposeVerifyEmail, token.PurposeResetPassword, token.PurposeInvite:
		return "tokens." + strings.ReplaceAll(purpose, "-", "_")
	}
	return "tokens.purposes." + purpose
}

// store checks where sessions and tokens are to be kept, as far as that can be done without going there.
func (b *builder) store() {
	s := b.cfg.Store
	if !b.cfg.HasSessions() && !b.cfg.HasTokens() {
		return
	}
	if b.sound("store.redis") {
		if _, err := redisOptions(s.Redis); err != nil {
			b.fault("store.redis", "%v", err)
		}
	}
	if !b.cfg.HasTokens() || b.around.development || !b.sound("store.url") || !b.sound("store.master_key") {
		return // what is made for development has a key of its own
	}
	if !s.MasterKey.IsZero() {
		if _, err := keyring.ParseMaster(s.MasterKey.Reveal()); err != nil {
			b.fault("store.master_key", "store.master_key cannot be used: %v; gatehouse key generate --master makes one", err)
		}
	} else if _, local := strings.CutPrefix(s.URL.Reveal(), "sqlite:"); !local {
		b.fault("store.master_key", "store.master_key is missing: with PostgreSQL all nodes need the same one; make it with: gatehouse key generate --master, and write store: {master_key: file:PATH}")
	}
}

// audience returns who tokens are for: those of the purpose, of all purposes, or the issuer.
func (p *tokenPlan) audience(lists ...[]string) []string {
	for _, list := range lists {
		if len(list) > 0 {
			return list
		}
	}
	return []string{p.issuer}
}

func (b *builder) access(p *tokenPlan) {
	a := b.cfg.Tokens.Access
	s := sealing{Purpose: token.Access(), more: a.Claims}
	s.TTL, s.MaxTTL, s.Audience = a.TTL.Std(), max(a.TTL, a.MaxTTL).Std(), p.audience(b.cfg.Tokens.Audience)
	b.sign(&s, "tokens.access", a.Algorithm, a.Rotate, a.Secret.Reveal(), a.Key.Reveal())
	p.purposes = append(p.purposes, s)
}

func (b *builder) refresh(p *tokenPlan) {
	r := b.cfg.Tokens.Refresh
	s := sealing{Purpose: token.Refresh()}
	s.TTL, s.MaxTTL, s.Audience = r.Absolute.Std(), r.Absolute.Std(), p.audience(b.cfg.Tokens.Audience)
	if r.Format == "jwt" {
		s.Form = token.JWT
		b.sign(&s, "tokens.refresh", r.Algorithm, rotateDefault, r.Secret.Reveal(), "")
	}
	p.purposes = append(p.purposes, s)
}

// rotateDefault is how long keys sign whose rotation cannot be set.
const rotateDefault = config.Duration(30 * 24 * time.Hour)

func (b *builder) action(p *tokenPlan, key string, purpose token.Purpose, a config.ActionTokens, ttl time.Duration) {
	s := sealing{Purpose: purpose}
	if a.TTL != 0 {
		ttl = a.TTL.Std()
	}
	s.TTL, s.MaxTTL, s.Audience = ttl, ttl, p.audience(b.cfg.Tokens.Audience)
	if !a.Secret.IsZero() {
		s.Form, s.MaxUses = token.JWT, 0
		b.sign(&s, "tokens."+key, a.Algorithm, rotateDefault, a.Secret.Reveal(), "")
	}
	p.purposes = append(p.purposes, s)
}

func (b *builder) ownPurpose(p *tokenPlan, name string, o config.OwnPurpose) {
	s := sealing{Purpose: token.Purpose{Name: name, Form: token.Form(o.Form), TTL: o.TTL.Std(), MaxTTL: max(o.TTL, o.MaxTTL).Std(), Delay: o.Delay.Std(),
		MaxUses: o.MaxUses, Required: o.Required, Audience: p.audience(o.Audience, b.cfg.Tokens.Audience)}}
	if s.Form == token.JWT {
		b.sign(&s, "tokens.purposes."+name, o.Algorithm, o.Rotate, o.Secret.Reveal(), "")
	}
	p.purposes = append(p.purposes, s)
}

// sign says how the JWTs of a purpose are signed.
func (b *builder) sign(s *sealing, at, algorithm string, rotate config.Duration, secret, pem string) {
	s.ring = keyring.Config{Name: s.Name, Algorithm: keyring.Algorithm(algorithm), Rotate: rotate.Std(), Lifetime: s.MaxTTL, Leeway: b.leeway()}
	var key *keyring.Key
	switch {
	case secret != "":
		key = b.secret(at, s.ring.Algorithm, secret)
	case pem != "":
		key = b.pem(at, s.ring.Algorithm, pem)
		if key != nil && !key.CanSign() {
			b.fault(at+".key", "is a public key, which cannot sign; give the private one")
		}
	}
	if key != nil {
		s.ring.Import = []*keyring.Key{key}
		s.ring.Rotate = 0 // whoever brings a key says when it changes
	}
}

// leeway is how far clocks may be apart; none is less than zero for packages in which zero means the default.
func (b *builder) leeway() time.Duration {
	if d := b.cfg.Tokens.Leeway.Std(); d > 0 {
		return d
	}
	return -1
}

// secret reads the secret that people bring in the section at. A weak one is taken for development alone.
func (b *builder) secret(at string, algorithm keyring.Algorithm, text string) *keyring.Key {
	if !b.sound(at+".algorithm") || !b.sound(at+".secret") {
		return nil
	}
	key, err := keyring.Secret(algorithm, text, b.around.development)
	if err != nil {
		b.fault(at+".secret", "%v", err)
	}
	return key
}

func (b *builder) pem(at string, algorithm keyring.Algorithm, text string) *keyring.Key {
	if !b.sound(at+".algorithm") || !b.sound(at+".key") {
		return nil
	}
	key, err := keyring.ParsePEM(algorithm, []byte(text))
	if err != nil {
		b.fault(at+".key", "%v", err)
	}
	return key
}

func (b *builder) foreign(p *tokenPlan) {
	for i, f := range b.cfg.Tokens.Foreign {
		at := fmt.Sprintf("tokens.foreign[%d]", i)
		c := token.ForeignConfig{JWKSURL: f.JWKSURL, Issuer: f.Issuer, Audience: f.Audience, SubjectClaim: f.SubjectClaim, RoleClaim: f.RoleClaim,
			Required: map[string]any{}, Leeway: b.leeway(), Logger: b.around.logger("guard"), Now: b.around.now}
		for _, a := range f.Algorithm {
			c.Algorithms = append(c.Algorithms, keyring.Algorithm(a))
		}
		for name, value := range f.Required {
			c.Required[name] = value.Value // nil where it is any
		}
		if len(c.Algorithms) == 0 {
			continue // it has a fault of its own
		}
		var key *keyring.Key
		switch {
		case !f.Secret.IsZero():
			key = b.secret(at, c.Algorithms[0], f.Secret.Reveal())
		case !f.Key.IsZero():
			if key = b.pem(at, c.Algorithms[0], f.Key.Reveal()); key != nil && key.CanSign() {
				key = key.Public()
			}
		}
		if key != nil {
			c.Keys, _ = keyring.Static(fmt.Sprintf("foreign %d", i), key) // of one key: it cannot be inconsistent
		} else if f.JWKSURL == "" {
			continue // it has a fault of its own
		}
		p.foreign = append(p.foreign, c)
	}
}

func (b *builder) clients(p *tokenPlan) {
	for i, c := range b.cfg.Clients {
		made := client{Client: token.Client{ID: c.ID, Scopes: c.Scopes}, may: c.May}
		if !c.SecretHash.IsZero() {
			made.Secrets = append(made.Secrets, c.Sum.Sum())
		}
		if text := c.Keys.Reveal(); text != "" && b.sound(fmt.Sprintf("clients[%d].keys", i)) {
			keys, err := publicKeys([]byte(text))
			if err != nil {
				b.fault(fmt.Sprintf("clients[%d].keys", i), "%v", err)
			}
			made.Keys = keys
		}
		p.clients[c.ID] = made
	}
}

// publicKeys reads a set of JWKs, or one public key in PEM.
func publicKeys(text []byte) ([]*keyring.Key, error) {
	if !strings.HasPrefix(strings.TrimSpace(string(text)), "-----BEGIN") {
		keys, err := keyring.ParseJWKS(text)
		if err == nil && len(keys) == 0 {
			err = errors.New("there is no key in it that signs")
		}
		return keys, err
	}
	key, err := keyring.ParsePEM("", text)
	if err != nil {
		return nil, err
	}
	if key.CanSign() {
		return nil, errors.New("is a private key, which belongs to the client alone; give the public one")
	}
	return []*keyring.Key{key}, nil
}

// sharedPrefix is from which length secrets that begin alike look as if one was made from the other.
const sharedPrefix = 8

// warnSharedPrefix warns of secrets that were made from one another: who learns one, nearly has the others.
func (b *builder) warnSharedPrefix() {
	t := b.cfg.Tokens
	var texts []string
	for _, s := range []string{t.Access.Secret.Reveal(), t.Refresh.Secret.Reveal(), t.VerifyEmail.Secret.Reveal(), t.ResetPassword.Secret.Reveal(), t.Invite.Secret.Reveal()} {
		if s != "" {
			texts = append(texts, s)
		}
	}
	for _, p := range t.Purposes {
		if s := p.Secret.Reveal(); s != "" {
			texts = append(texts, s)
		}
	}
	if n := keyring.SharedPrefix(texts...); n >= sharedPrefix {
		b.cfg.Warnings = append(b.cfg.Warnings, config.Fault{Position: b.cfg.At("tokens"),
			Message: fmt.Sprintf("two of the secrets begin with the same %d characters, as if one had been made from the other; make each with gatehouse key generate", n)})
	}
}
