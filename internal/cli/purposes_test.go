package cli

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
)

// startable returns why no server starts with a configuration, everything in memory.
func startable(t *testing.T, text string) error {
	t.Helper()
	around := (&program{ctx: t.Context(), now: time.Now}).quiet()
	around.development = true // for the store alone: the secrets here are good
	h, err := load(parsing(text), around)
	if err != nil {
		t.Errorf("check refuses %s: %v", text, err)
		return nil
	}
	v, err := openVault(t.Context(), h.cfg.Store, wanted{tokens: true, memory: true, bound: h.cfg.Tokens.Revocation, now: time.Now}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer v.close()
	_, err = issuing{plan: h.plan, vault: v, cfg: h.cfg, logger: slog.New(slog.DiscardHandler), now: time.Now}.open(t.Context())
	return err
}

// TestWhatCheckTakesAServerStartsWith: at the bounds of what a configuration may say.
func TestWhatCheckTakesAServerStartsWith(t *testing.T) {
	const secret = `"5f8c2d1b7e4a90366ac1d8e2f97b04ce"`
	for _, tokens := range []string{
		"{}", "{leeway: 0}", "{leeway: 2m, access: {ttl: 1s, rotate: 1s}}", "{access: {ttl: 970s, rotate: 1s}}", "{access: {ttl: 1000s, rotate: 1s}, leeway: 0}",
		"{access: {ttl: 400d, rotate: 0}}", "{access: {ttl: 400d, rotate: 10h}}", "{access: {max_ttl: 400d}, refresh: {ttl: 400d}, invite: {ttl: 400d}}", "{refresh: {ttl: 1s}}",
		"{issuer: fathat.org, access: {algorithm: HS256, ttl: 10h, secret: " + secret + ", claims: {user_id: subject, access_role: role}}, refresh: {ttl: 24h}, verify_email: {ttl: 1h}, reset_password: {ttl: 1h}}",
		"{refresh: {secret: " + secret + "}, verify_email: {algorithm: HS256, secret: " + secret + ", ttl: 1s}, reset_password: {secret: " + secret + "}}",
		"{refresh: {format: jwt, algorithm: EdDSA}, purposes: {a: {ttl: 1s}, b: {ttl: 400d, max_ttl: 400d, form: opaque, max_uses: 1}, c: {ttl: 3s, delay: 1s}, d: {ttl: 2.5s, delay: .5s}}}",
		"{access: {claims: {subject: subject, kids: roles, 'a.b/c': '\"\"'}}}",
		"{foreign: [{algorithm: [ES256, RS256], jwks_url: 'https://a.example/k', required_claims: {exp: any, aud: x, n: 5, email_verified: true}}, {algorithm: HS256, secret: " + secret + "}]}",
		"{foreign: [{algorithm: ES256, jwks_url: 'http://127.0.0.1/k'}, {algorithm: ES256, jwks_url: 'http://[::1]:1/k'}, {algorithm: ES256, jwks_url: 'http://LOCALHOST/k'}]}",
	} {
		if err := startable(t, "carriers: [bearer]\ntokens: "+tokens); err != nil {
			t.Errorf("check takes %s, and a server does not start with it: %v", tokens, err)
		}
	}
}

// TestPlansAreRehearsed: what the reader of configurations would have let pass by mistake has a place all the same.
func TestPlansAreRehearsed(t *testing.T) {
	const plain = "carriers: [bearer]\ntokens:\n  access: {ttl: 1h}\n  invite: {ttl: 1h}\n  purposes:\n    own: {ttl: 1h}\n  foreign:\n    - {algorithm: ES256, jwks_url: 'https://a.example/k', audience: a}\n"
	own := func(c *config.Config, change func(*config.OwnPurpose)) {
		p := c.Tokens.Purposes["own"]
		change(&p)
		c.Tokens.Purposes["own"] = p
	}
	for name, row := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"a life of no time":    {func(c *config.Config) { c.Tokens.Access.TTL = config.Duration(time.Millisecond) }, "test.yaml:3:11: "},
		"too many keys":        {func(c *config.Config) { c.Tokens.Access.Rotate = config.Duration(time.Second) }, "test.yaml:3:11: the key ring \"access\""},
		"a reserved claim":     {func(c *config.Config) { c.Tokens.Access.Claims = map[string]string{"Sub": "subject"} }, "test.yaml:3:11: token: the purpose"},
		"an invitation":        {func(c *config.Config) { c.Tokens.Invite.TTL = 1 }, "test.yaml:4:11: "},
		"no window":            {func(c *config.Config) { own(c, func(p *config.OwnPurpose) { p.Delay = p.TTL }) }, "test.yaml:6:10: "},
		"a counted JWT":        {func(c *config.Config) { own(c, func(p *config.OwnPurpose) { p.MaxUses = 1 }) }, "test.yaml:6:10: "},
		"a published secret":   {func(c *config.Config) { c.Tokens.Foreign[0].Algorithm = []string{"HS256"} }, "test.yaml:8:7: token: foreign tokens"},
		"an address of no key": {func(c *config.Config) { c.Tokens.Foreign[0].JWKSURL = "https://u:plugh@a.example/k" }, "test.yaml:8:7: "},
		"a certain expiry":     {func(c *config.Config) { c.Tokens.Foreign[0].Required = map[string]config.ClaimValue{"exp": {Value: 5}} }, "test.yaml:8:7: "},
	} {
		c, err := config.Parse("test.yaml", []byte(plain), config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		row.change(c)
		_, err = build(c, (&program{ctx: t.Context(), now: time.Now}).quiet())
		if err == nil || !strings.HasPrefix(err.Error(), row.want) || strings.Contains(err.Error(), "plugh") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: build = %v, want one fault %s", name, err, row.want)
		}
	}
}

// TestTheMasterKeyOfAConfiguration is needed where nodes share a database, and nowhere else.
func TestTheMasterKeyOfAConfiguration(t *testing.T) {
	const good = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for _, row := range []struct {
		carriers, store string
		development     bool
		want            string // "" for no fault
	}{
		{"bearer", "{url: 'postgres://h/d'}", false, "test.yaml:2:8: store.master_key is missing"},
		{"bearer", "{url: 'postgresql://h/d'}", false, "test.yaml:2:8: store.master_key is missing"},
		{"bearer", "{url: 'postgres://h/d', master_key: '" + good + "'}", false, ""},
		{"bearer", "{url: 'postgres://h/d', master_key: plugh}", false, "test.yaml:2:44: store.master_key cannot be used"},
		{"bearer", "{master_key: plugh}", false, "test.yaml:2:21: store.master_key cannot be used"},
		{"bearer", "{}", false, ""},
		{"bearer", "{url: 'postgres://h/d'}", true, ""},
		{"session", "{url: 'postgres://h/d'}", false, ""},
		{"bearer", "{redis: 'redis://:plugh@h/x'}", false, "test.yaml:2:16: redis: the URL must look like"},
	} {
		around := (&program{ctx: t.Context(), now: time.Now}).quiet()
		around.development = row.development
		_, err := load(parsing("carriers: ["+row.carriers+"]\nstore: "+row.store), around)
		if (err == nil) != (row.want == "") || err != nil && (!strings.HasPrefix(err.Error(), row.want) || strings.Contains(err.Error(), "plugh")) {
			t.Errorf("%s, %s, development %v: %v, want %q", row.carriers, row.store, row.development, err, row.want)
		}
	}
}

// TestWhatFollowsFromAFaultIsNone: whatever is wrong with a configuration, the rest of it is looked at without panic, and finds nothing where there is a fault already.
func TestWhatFollowsFromAFaultIsNone(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "config", "testdata", "faults.txt"))
	if err != nil {
		t.Fatal(err)
	}
	around, seen := (&program{ctx: t.Context(), now: time.Now}).quiet(), 0
	for _, row := range strings.Split(string(data), "\n=== ")[1:] {
		head, rest, _ := strings.Cut(row, "\n")
		text, _, _ := strings.Cut(rest, "\n---\n")
		format, _, _ := strings.Cut(head, " ")
		var more config.Faults
		var sound func(string) bool
		_, err := config.Parse("f."+format, []byte(text), config.Options{Unfinished: func(c *config.Config, s func(string) bool) {
			sound, more, seen = s, examine(c, s, around), seen+1
		}})
		for _, f := range more {
			if !sound(f.Path) || f.Message == "" {
				t.Errorf("%s:\n%s\nfaults:\n%v\nand from them: %s at %s", head, text, err, f, f.Path)
			}
		}
	}
	if seen < 150 {
		t.Errorf("looked at %d configurations, want at least 150", seen)
	}
}

// TestLookingForMoreFaultsEndsNothing: a server that reads a configuration with faults again goes on, whatever the rest of it is like.
func TestLookingForMoreFaultsEndsNothing(t *testing.T) {
	known := config.Faults{{Message: "known"}}
	r := &reading{}
	r.unfinished(&config.Config{}, func(string) bool { panic("like nothing that was ever compiled") })
	if err := r.more(known, (&program{ctx: t.Context(), now: time.Now}).quiet()); err == nil || err.Error() != known.Error() {
		t.Errorf("where the rest cannot be looked at: %v, want %v", err, known)
	}
}
