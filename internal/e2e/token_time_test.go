package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/testbed"
)

// rotating is a gate whose keys change as fast as the test wants.
const rotating = `
server: {http: {allowed_tokens: []}}
carriers: [bearer]
tokens:
  issuer: https://issuer.example
  audience: https://app.example
  leeway: 0s
  access: {rotate: ROTATE, ttl: TTL}
rules: [{path: /open, allow: anyone}, {path: "/**", allow: authenticated}]
clients: [{id: reports, secret_hash: "sha256:980bf87bdfc844df0a2116adc6fbe72fe28bd8bfac5cf2cfd50980326e6705b5", scopes: [films.read]}]
upstream: ${APP}
`

func rotatingEvery(interval, ttl string) string {
	return strings.NewReplacer("ROTATE", interval, "TTL", ttl).Replace(rotating)
}

// get returns an access token from the token endpoint, and the key that it names.
func (m *mint) get(t *testing.T) (token, kid string) {
	t.Helper()
	got := granted(t, m.post(t, "/oauth/token", with(asReports, form{"grant_type": "client_credentials"})))
	header, _ := parts(t, got.Access)
	return got.Access, fmt.Sprint(header["kid"])
}

// published returns the names of the keys that the server publishes.
func (m *mint) published(t *testing.T) []string {
	t.Helper()
	got := m.ask(t, "GET /.well-known/jwks.json")
	var set struct{ Keys []struct{ Kid, D, K string } }
	if err := json.Unmarshal([]byte(got.body), &set); err != nil || got.status != 200 || got.header.Get("Cache-Control") == "" || got.header.Get("ETag") == "" {
		t.Fatalf("the keys: %d %s %q (%v)", got.status, got.body, got.header, err)
	}
	var kids []string
	for _, key := range set.Keys {
		kids = append(kids, key.Kid)
		if key.D != "" || key.K != "" {
			t.Errorf("the private part of %s is published", key.Kid)
		}
	}
	return kids
}

// TestKeysChangeUnderLoad: with a new key each second (each two in scripts/torture, for a minute), each token is good until it expires and then no more, and each key was published before its first use.
func TestKeysChangeUnderLoad(t *testing.T) {
	t.Parallel()
	interval, keys := knob(t, "GATEHOUSE_TORTURE_ROTATE", time.ParseDuration, time.Second), knob(t, "GATEHOUSE_TORTURE_ROTATIONS", strconv.Atoi, 6)
	m := beginMint(t, rotatingEvery(interval.String(), (2*interval).String()))
	known, used := m.published(t), map[string]bool{}
	var wait sync.WaitGroup
	for len(used) < keys {
		token, kid := m.get(t)
		if !slices.Contains(known, kid) {
			t.Errorf("a token is signed with %s, which was not published before: %q", kid, known)
		}
		known, used[kid] = m.published(t), true
		ends := time.Unix(int64(claimsOf(t, token)["exp"].(float64)), 0)
		wait.Go(func() { m.followToItsEnd(t, token, ends) })
		<-time.After(100 * time.Millisecond) // so often a client asks
	}
	wait.Wait()
}

// followToItsEnd uses a token again and again until it is refused, which must not be before it expires, nor long after.
func (m *mint) followToItsEnd(t *testing.T, token string, ends time.Time) {
	conn := dial(t, m.addr)
	r, raw := bufio.NewReader(conn), request("GET /x", bearer(token))
	for {
		began := time.Now()
		fmt.Fprint(conn, raw)
		got, err := parseReply(r, raw)
		switch {
		case err == nil && got.status == 200 && began.Before(ends):
			<-time.After(20 * time.Millisecond)
			continue
		case err == nil && got.status == 401 && !time.Now().Before(ends) && (strings.Contains(got.body, "expired_token") || strings.Contains(got.body, "unknown_token")):
			// Of a token that was signed in the last moments of its key, the key may be gone a moment after the token has expired.
		default:
			t.Errorf("%v before it expires a token is answered %d %s (%v)", ends.Sub(began), got.status, got.body, err)
		}
		return
	}
}

// TestAnOldKeyVerifiesWhatItHasSigned: the key changes twice during a token's life, and the server is killed and started again, and the token is good all the while.
func TestAnOldKeyVerifiesWhatItHasSigned(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	config := rotatingEvery("1s", "10m")
	m := beginMintIn(t, dir, config)
	token, first := m.get(t)
	later := map[string]bool{}
	until(t, "two other keys have signed", func() bool {
		if _, kid := m.get(t); kid != first {
			later[kid] = true
		}
		m.wantAnswer(t, "a token of an older key", "/x", token, 200)
		return len(later) >= 2
	})
	revoked, _ := m.get(t)
	if got := m.post(t, "/oauth/revoke", with(asReports, form{"token": revoked})); got.status != 200 {
		t.Errorf("revoking = %d %s", got.status, got.body)
	}
	m.signal(t, syscall.SIGKILL)
	m.wait(t)
	again := beginMintIn(t, dir, config)
	again.wantAnswer(t, "after the server was killed", "/x", token, 200)
	again.wantAnswer(t, "a token that was revoked before that", "/x", revoked, 401)
	again.wantAnswer(t, "a token of another process", "/x", again.issue(t, "--subject", "jack"), 200)
	if kids := again.published(t); !slices.Contains(kids, first) {
		t.Errorf("the keys %q lack %s, whose tokens are good", kids, first)
	}
}

// TestAKeyThatIsRetired ends at once what it has signed, and its successor signs without a break.
func TestAKeyThatIsRetired(t *testing.T) {
	t.Parallel()
	m := beginMint(t, rotatingEvery("30d", "10m"))
	token, kid := m.get(t)
	m.wantAnswer(t, "before", "/x", token, 200)
	m.done(t, "key", "retire", "access", kid)
	until(t, "what the retired key has signed is refused", func() bool { return m.ask(t, "GET /x", bearer(token)).status == 401 })
	until(t, "another key signs, and what it signs is good", func() bool {
		fresh, other := m.get(t)
		return other != kid && m.ask(t, "GET /x", bearer(fresh)).status == 200
	})
	if kids := m.published(t); slices.Contains(kids, kid) {
		t.Errorf("the retired key is still published: %q", kids)
	}
	m.wantAnswer(t, "the old token", "/x", token, 401)
	if got := m.command(t, "token", "inspect", token); got.code != 1 || !strings.Contains(got.stdout, "refused") {
		t.Errorf("token inspect: %+v, want that it would be refused", got)
	}
	m.done(t, "key", "rotate", "access")
	if list := m.done(t, "key", "list", "access"); !containsAll(list, []string{"active", "next"}) {
		t.Errorf("after a rotation the keys are\n%s\nwant one that signs and one that will", list)
	}
	fresh, _ := m.get(t)
	m.wantAnswer(t, "after a rotation by hand", "/x", fresh, 200)
}

// TestTwoServersHaveTheSameKeys: what one has signed the other accepts, also after the key has changed, and what one has revoked the other refuses.
func TestTwoServersHaveTheSameKeys(t *testing.T) {
	t.Parallel()
	url := testbed.StartPostgres(t).NewDatabase()
	master := strings.TrimSpace(gatehouse(t, shortDir(t), nil, "key", "generate", "--master").stdout)
	config := rotatingEvery("1s", "10m") + "store: {url: \"" + url + "\", master_key: \"" + master + "\"}\n"
	one, two := beginMint(t, config), beginMint(t, config)
	token, first := one.get(t)
	two.wantAnswer(t, "at the other server", "/x", token, 200)
	until(t, "the other server signs with another key", func() bool {
		fresh, kid := two.get(t)
		one.wantAnswer(t, "the other way round", "/x", fresh, 200)
		return kid != first
	})
	two.wantAnswer(t, "after the key has changed", "/x", token, 200)
	if got := two.post(t, "/oauth/revoke", with(asReports, form{"token": token})); got.status != 200 {
		t.Fatalf("revoking = %d %s", got.status, got.body)
	}
	two.wantAnswer(t, "where it was revoked", "/x", token, 401)
	until(t, "it is refused at the other server", func() bool { return one.ask(t, "GET /x", bearer(token)).status == 401 })
}

// TestWindowTokens are good between two moments.
func TestWindowTokens(t *testing.T) {
	t.Parallel()
	config := strings.Replace(fixture(t, "tokens.yaml"), "  purposes:\n", "  leeway: 0s\n  purposes:\n    window: {ttl: 4s, delay: 2s}\n", 1)
	config = strings.Replace(config, "rules:\n", "rules:\n  - {path: /window, allow: authenticated, purpose: window}\n", 1)
	m := beginMint(t, config)
	token := m.issue(t, "--purpose", "window", "--subject", "jack")
	says := claimsOf(t, token)
	opens, ends := time.Unix(int64(says["nbf"].(float64)), 0), time.Unix(int64(says["exp"].(float64)), 0)
	if wide := ends.Sub(opens); wide < time.Second || wide > 2*time.Second { // in whole seconds, and never wider than it should be
		t.Errorf("the window is %v wide, want 2s at most: %v", wide, says)
	}
	m.wantAnswer(t, "where an access token is due", "/read", token, 401)
	seen := map[int]bool{}
	for !seen[401] || !seen[200] || time.Now().Before(ends) {
		before := time.Now()
		got := m.ask(t, "GET /window", bearer(token))
		after := time.Now()
		switch seen[got.status] = true; {
		case after.Before(opens) && (got.status != 401 || problemOf(t, got).Code != "unknown_token"),
			!before.Before(opens) && after.Before(ends) && got.status != 200,
			!before.Before(ends) && (got.status != 401 || problemOf(t, got).Code != "expired_token"):
			t.Fatalf("%v after the window opens, %v before it closes: %d %s", after.Sub(opens), ends.Sub(before), got.status, got.body)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// TestWindowTokensCanBeRevoked before the window opens, by a client and at the command line, in either form; and so can a token that is meant for somebody else.
func TestWindowTokensCanBeRevoked(t *testing.T) {
	t.Parallel()
	config := strings.Replace(fixture(t, "tokens.yaml"), "  purposes:\n", "  leeway: 0s\n  purposes:\n    window: {ttl: 10m, delay: 5s}\n    ticket: {form: opaque, ttl: 10m, delay: 5s}\n", 1)
	config = strings.Replace(config, "rules:\n", "rules:\n  - {path: /window, allow: authenticated, purpose: window}\n  - {path: /ticket, allow: authenticated, purpose: ticket}\n", 1)
	m := beginMint(t, config)
	early, kept := map[string]string{}, map[string]string{}
	for _, purpose := range []string{"window", "ticket"} {
		token := m.issue(t, "--purpose", purpose, "--subject", "jack")
		if got := m.post(t, "/oauth/revoke", form{"token": token}, asWarden); got.status != 200 {
			t.Errorf("revoking a %s token early = %d %s, want 200", purpose, got.status, got.body)
		}
		early[token] = "/" + purpose
		token = m.issue(t, "--purpose", purpose, "--subject", "jack")
		if said := m.done(t, "token", "revoke", token); !strings.Contains(said, "revoked: "+purpose+" token") {
			t.Errorf("token revoke of an early %s token says %q", purpose, said)
		}
		early[token] = "/" + purpose
		kept[m.issue(t, "--purpose", purpose, "--subject", "jack")] = "/" + purpose
	}
	elsewhere := m.issue(t, "--subject", "jack", "--audience", "https://films.example")
	if got := m.post(t, "/oauth/revoke", form{"token": elsewhere}, asWarden); got.status != 200 {
		t.Errorf("revoking a token for another audience = %d %s, want 200", got.status, got.body)
	}
	if jti := claimsOf(t, elsewhere)["jti"]; !slices.ContainsFunc(revocationsIn(t, databaseIn(m.dir)), func(r revocation) bool { return r.id == jti }) {
		t.Error("the token for another audience is not among what was revoked")
	}
	for token, path := range kept {
		until(t, "the window of what was kept opens", func() bool { return m.ask(t, "GET "+path, bearer(token)).status == 200 })
	}
	for token, path := range early {
		m.wantAnswer(t, "revoked before the window opened", path, token, 401)
	}
}

// TestClocksThatDiffer: exp, nbf and iat may be off by the leeway, and no more.
func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		leeway string
		within time.Duration // accepted
		beyond time.Duration // refused
	}{{"30s", 20 * time.Second, 40 * time.Second}, {"0s", -5 * time.Second, 5 * time.Second}, {"2m", 110 * time.Second, 130 * time.Second}} {
		t.Run("leeway "+row.leeway, func(t *testing.T) {
			t.Parallel()
			m := beginMint(t, withForeign(t), "GATEHOUSE_TOKENS__LEEWAY="+row.leeway)
			for whose, token := range map[string]func(*testing.T, ...edit) string{"our own": m.own, "somebody else's": withUsername} {
				for _, c := range []struct {
					what   string
					edit   edit
					status int
					code   string
				}{
					{"expired within the leeway", claim("exp", in(-row.within)), 200, ""},
					{"expired beyond the leeway", claim("exp", in(-row.beyond)), 401, "expired_token"},
					{"not valid yet, within the leeway", claim("nbf", in(row.within)), 200, ""},
					{"not valid yet, beyond the leeway", claim("nbf", in(row.beyond)), 401, "unknown_token"},
					{"issued in the future, within the leeway", claim("iat", in(row.within)), 200, ""},
					{"issued in the future, beyond the leeway", claim("iat", in(row.beyond)), 401, "unknown_token"},
				} {
					got := m.ask(t, "GET /read", bearer(token(t, c.edit)))
					if got.status != c.status || c.code != "" && problemOf(t, got).Code != c.code {
						t.Errorf("%s, %s: %d %s, want %d %s", whose, c.what, got.status, got.body, c.status, c.code)
					}
				}
			}
		})
	}
}

// TestTheStoreIsGone: past the bound no token counts, except where the rule says otherwise. What needs nobody to be asked goes on, and so does all once the store is back.
func TestTheStoreIsGone(t *testing.T) {
	t.Parallel()
	url, cut := cuttable(t, testbed.StartPostgres(t).NewDatabase())
	master := strings.TrimSpace(gatehouse(t, shortDir(t), nil, "key", "generate", "--master").stdout)
	config := strings.NewReplacer("\ntokens:\n", "\ntokens:\n  revocation: {bound: 2s, poll: .2s}\n",
		"rules:\n", "rules:\n  - {path: /lenient/**, allow: authenticated, on_store_loss: bounded(1h)}\n").Replace(fixture(t, "tokens.yaml"))
	m := beginMint(t, config+"store: {url: \""+url+"\", master_key: \""+master+"\"}\n")
	token, revoked, expired := m.issue(t, "--subject", "jack", "--role", "admin"), revokedBefore(t, m), m.own(t, claim("exp", in(-time.Hour)))
	unwanted := m.issue(t, "--subject", "jack")
	limited, refresh := m.issue(t, "--purpose", "limited", "--subject", "jack"), m.issue(t, "--purpose", "refresh", "--subject", "jack")
	m.wantAnswer(t, "before", "/read", token, 200)
	cut(true)
	until(t, "a good token is answered 503", func() bool { return m.ask(t, "GET /read", bearer(token)).status == 503 })
	got := m.ask(t, "GET /read", bearer(token))
	if got.header.Get("Retry-After") == "" || problemOf(t, got).Code != "unavailable" {
		t.Errorf("it is answered %v %s, want Retry-After and unavailable", got.header, got.body)
	}
	for _, row := range []struct {
		what, path, token string
		status            int
	}{
		{"a rule that bears with it", "/lenient/x", token, 200},
		{"a rule that bears with it, a token that was revoked before", "/lenient/x", revoked, 401},
		{"a token that was revoked before", "/read", revoked, 401},
		{"an expired token", "/read", expired, 401},
		{"a bad token", "/read", token[:len(token)-2] + "AA", 401},
		{"an open path", "/authentication", token, 200},
		{"a token with uses", "/limited-info", limited, 503},
	} {
		m.wantAnswer(t, row.what, row.path, row.token, row.status)
	}
	if got := m.ask(t, "GET /read", "X-API-Key: alice-token"); got.status != 200 {
		t.Errorf("a key of the configuration: %d %s, want 200", got.status, got.body)
	}
	for path, f := range map[string]form{"/oauth/revoke": {"token": unwanted}, "/oauth/token": {"grant_type": "refresh_token", "refresh_token": refresh}} {
		if got := m.post(t, path, f, asWarden); got.status != 503 {
			t.Errorf("POST %s = %d %s, want 503: what cannot be made durable has not happened", path, got.status, got.body)
		}
	}
	if status, body := m.admin(t, "/readyz"); status != 503 {
		t.Errorf("/readyz = %d %s, want 503", status, body)
	}
	cut(false)
	until(t, "the token is good again", func() bool { return m.ask(t, "GET /read", bearer(token)).status == 200 })
	m.wantAnswer(t, "what was revoked before stays revoked", "/read", revoked, 401)
	if got := m.post(t, "/oauth/revoke", form{"token": unwanted}, asWarden); got.status != 200 {
		t.Errorf("revoking again = %d %s, want 200", got.status, got.body)
	}
	m.wantAnswer(t, "what was revoked again", "/read", unwanted, 401)
	granted(t, m.renew(t, refresh))
	m.wantAnswer(t, "no use was counted meanwhile", "/limited-info", limited, 200)
	until(t, "the server is ready again", func() bool { status, _ := m.admin(t, "/readyz"); return status == 200 })
}

// TestAKilledServerForgetsNothing: whatever was revoked before kill -9 is refused after the next start.
func TestAKilledServerForgetsNothing(t *testing.T) {
	t.Parallel()
	dir, config := shortDir(t), fixture(t, "tokens.yaml")
	m := beginMintIn(t, dir, config)
	good := m.issue(t, "--subject", "jack")
	var revoked []string
	for range 5 {
		pair := m.login(t, "--subject", "jack")
		if got := m.post(t, "/oauth/revoke", form{"token": pair.Refresh}, asWarden); got.status != 200 {
			t.Fatalf("revoking = %d %s", got.status, got.body)
		}
		m.signal(t, syscall.SIGKILL)
		m.wait(t)
		revoked = append(revoked, pair.Access)
		m = beginMintIn(t, dir, config)
		for i, token := range revoked {
			m.wantAnswer(t, fmt.Sprintf("after %d kills, token %d", len(revoked), i), "/read", token, 401)
		}
		refused(t, "its refresh token", m.renew(t, pair.Refresh), 400, "invalid_grant")
		m.wantAnswer(t, "a token that nobody revoked", "/read", good, 200)
	}
	if info, err := os.Stat(filepath.Join(dir, "gatehouse-data", "master.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the master key: %v (%v), want a file for this user alone", info, err)
	}
}
