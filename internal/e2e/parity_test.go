package e2e

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	core "github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// parity is testdata/parity.yaml.
type parity struct {
	People map[string]person `yaml:"people"`
	Tables []parityTable     `yaml:"tables"`
}

type person struct {
	Token   string   `yaml:"token"`
	Roles   []string `yaml:"roles"`
	Scopes  []string `yaml:"scopes"`
	Expired bool     `yaml:"expired"`
}

type parityTable struct {
	Name        string              `yaml:"name"`
	Roles       map[string]int      `yaml:"roles"`
	Permissions map[string][]string `yaml:"permissions"`
	Default     any                 `yaml:"default"`
	Tokens      bool                `yaml:"tokens"` // requests may carry signed tokens
	Lost        string              `yaml:"lost"`   // for how long it has not been known what was revoked
	Rules       []parityRule        `yaml:"rules"`
	Cases       []parityCase        `yaml:"cases"`

	issuer *parityIssuer // nil without Tokens
}

type parityRule struct {
	Methods      []string `yaml:"methods"`
	Host         string   `yaml:"host"`
	Path         string   `yaml:"path"`
	Regex        string   `yaml:"regex"`
	Allow        any      `yaml:"allow"`
	Strict       bool     `yaml:"strict"`
	EncodedSlash bool     `yaml:"encoded_slash"`
	Purpose      string   `yaml:"purpose"`
	OnStoreLoss  string   `yaml:"on_store_loss"`
}

type parityCase struct {
	Ask        string   `yaml:"ask"`
	Host       string   `yaml:"host"`
	As         string   `yaml:"as"`
	Session    string   `yaml:"session"`
	Bearer     string   `yaml:"bearer"` // "jack", or "jack expired"
	Fields     []string `yaml:"fields"`
	Want       string   `yaml:"want"`
	Unreadable bool     `yaml:"unreadable"`
}

// requirement reads "role admin" or {any: [role admin, scope films.write]}.
func requirement(t *testing.T, from any) policy.Requirement {
	t.Helper()
	switch from := from.(type) {
	case string:
		kind, name, _ := strings.Cut(from, " ")
		switch kind {
		case "anyone":
			return policy.Anyone()
		case "authenticated":
			return policy.Authenticated()
		case "nobody":
			return policy.Nobody()
		case "role":
			return policy.Role(name)
		case "scope":
			return policy.Scope(name)
		case "permission":
			return policy.Permission(name)
		}
	case map[string]any:
		for combine, make := range map[string]func(...policy.Requirement) policy.Requirement{"all": policy.All, "any": policy.Any} {
			if list, ok := from[combine].([]any); ok && len(from) == 1 {
				var parts []policy.Requirement
				for _, part := range list {
					parts = append(parts, requirement(t, part))
				}
				return make(parts...)
			}
		}
	case nil:
		return policy.Nobody()
	}
	t.Fatalf("%v is no requirement", from)
	return policy.Nobody()
}

// guard builds the one guard that judges for every front.
func (table parityTable) guard(t *testing.T, people map[string]person, edit func(*guard.Config)) *guard.Guard {
	t.Helper()
	config := policy.Config{Roles: table.Roles, Permissions: table.Permissions, Default: requirement(t, table.Default)}
	for _, r := range table.Rules {
		config.Rules = append(config.Rules, policy.Rule{
			Methods: r.Methods, Host: r.Host, Path: r.Path, Regex: r.Regex, Allow: requirement(t, r.Allow), Strict: r.Strict, AllowEncodedSlash: r.EncodedSlash,
			Purpose: r.Purpose, OnStoreLoss: parityTime(t, r.OnStoreLoss),
		})
	}
	rules, err := policy.New(config)
	if err != nil {
		t.Fatal(err)
	}
	find := func(_ context.Context, token string) (core.Identity, error) {
		for name, p := range people {
			if p.Token != token {
				continue
			}
			id := core.Identity{Value: name, Roles: p.Roles, Scopes: p.Scopes}
			if p.Expired {
				id.ExpiresAt = time.Unix(1, 0)
			}
			return id, nil
		}
		return core.Identity{}, core.ErrCredential
	}
	c := guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", find), carrier.NamedHeader("X-API-Key", find), carrier.Session(paritySessions())}, Policy: guard.AsSubject{Table: rules}, Rules: rules,
		Origins: []string{"https://spa.example"}, Logger: slog.New(slog.DiscardHandler)}
	if table.issuer != nil {
		c.Carriers = append(c.Carriers, carrier.Bearer(table.issuer))
	}
	if edit != nil {
		edit(&c)
	}
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// paritySessions are the sessions of every guard here.
var paritySessions = sync.OnceValue(func() *session.Table { return session.New(memory.Sessions(), session.Config{}) })

// sessionOf returns the cookie of a new session of somebody, or of nobody's if the name is "gone".
func sessionOf(t *testing.T, people map[string]person, name string) string {
	t.Helper()
	if name == "gone" {
		return "__Host-gatehouse=" + strings.Repeat("A", 43)
	}
	if people[name].Token == "" {
		t.Fatalf("nobody is called %q", name)
	}
	s := &session.Session{}
	if err := paritySessions().Open(t.Context(), s, ""); err != nil {
		t.Fatal(err)
	}
	id := core.Identity{Value: name, Roles: people[name].Roles, Scopes: people[name].Scopes}
	if err := paritySessions().Start(t.Context(), s, id, session.Options{}); err != nil {
		t.Fatal(err)
	}
	return "__Host-gatehouse=" + s.Secret().Reveal()
}

// A front is one way to have a request judged. It returns "allow", the code of the problem, or "unreadable", and the status.
type front struct {
	name  string
	judge func(t *testing.T, c parityCase, fields []string) (outcome string, status int)
}

// fronts starts every front of the guard.
func fronts(t *testing.T, g *guard.Guard) []front {
	t.Helper()
	inside := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-App", "1") })
	app := startHTTP(t, inside)
	proxy, err := gateway.NewProxy(gateway.ProxyConfig{Guard: g, Upstreams: []gateway.Upstream{{Name: "app", URL: &url.URL{Scheme: "http", Host: app}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	trusted, err := gateway.TrustProxies("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	auth, err := gateway.NewForwardAuth(gateway.ForwardAuthConfig{Guard: g, Trusted: trusted})
	if err != nil {
		t.Fatal(err)
	}
	list := []front{{"verdict", verdict(g)}, {"middleware", through(startHTTP(t, g.Handler(inside)))}, {"proxy", through(startHTTP(t, proxy))}}
	asked := startHTTP(t, auth)
	for _, dialect := range gateway.Dialects {
		list = append(list, front{dialect, asking(asked, dialect)})
	}
	return list
}

// startHTTP serves the handler until the test ends and returns the address.
func startHTTP(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// through sends the request itself.
func through(addr string) func(*testing.T, parityCase, []string) (string, int) {
	return func(t *testing.T, c parityCase, fields []string) (string, int) {
		got := exchange(t, addr, request(c.Ask, append([]string{"Host: " + c.Host}, fields...)...))
		switch {
		case got.status == http.StatusOK && got.header.Get("X-App") == "1":
			return "allow", got.status
		case got.header.Get("Content-Type") != "application/problem+json":
			return "unreadable", got.status
		case strings.HasPrefix(c.Ask, "HEAD "):
			return "", got.status // the code stands in the body
		}
		return string(problemOf(t, got).Code), got.status
	}
}

// asking asks as the dialect's proxy would.
func asking(addr, dialect string) func(*testing.T, parityCase, []string) (string, int) {
	return func(t *testing.T, c parityCase, fields []string) (string, int) {
		method, uri, _ := strings.Cut(c.Ask, " ")
		fields = slices.DeleteFunc(slices.Clone(fields), func(f string) bool { // a proxy's question is no handshake itself
			return strings.HasPrefix(f, "Upgrade:") || strings.HasPrefix(f, "Connection:")
		})
		raw := request(method+" /authz/envoy"+uri, append([]string{"Host: " + c.Host}, fields...)...)
		if dialect != "envoy" {
			raw = request("GET /authz/"+dialect, append([]string{"Host: auth.internal", "X-Forwarded-Method: " + method, "X-Forwarded-Host: " + c.Host, "X-Forwarded-Uri: " + uri,
				"X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.7"}, fields...)...)
		}
		got := exchange(t, addr, raw)
		if got.status == http.StatusOK {
			return "allow", got.status
		}
		if code := got.header.Get("X-Gatehouse-Code"); code != "" {
			return code, got.status
		}
		return "unreadable", got.status
	}
}

// verdict asks the guard itself about the request as net/http reads it.
func verdict(g *guard.Guard) func(*testing.T, parityCase, []string) (string, int) {
	return func(t *testing.T, c parityCase, fields []string) (string, int) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request(c.Ask, append([]string{"Host: " + c.Host}, fields...)...))))
		if err != nil {
			return "unreadable", http.StatusBadRequest
		}
		r.RemoteAddr = "192.0.2.7:4711"
		v := g.Judge(r)
		if v.Allowed() {
			return "allow", http.StatusOK
		}
		return string(v.Reason()), g.Answers().StatusOf(v.Reason())
	}
}

// wantStatus is the status of an outcome in a front: nginx knows only a few.
func wantStatus(outcome, front string) int {
	if outcome == "allow" {
		return http.StatusOK
	}
	info, _ := problem.Lookup(problem.Code(outcome))
	if front == "nginx" && info.Status != http.StatusUnauthorized && info.Status < 500 {
		return http.StatusForbidden
	}
	return info.Status
}

func readParity(t *testing.T) parity {
	t.Helper()
	text, err := os.ReadFile("testdata/parity.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var p parity
	if err := yaml.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestParity replays every case through every front: all must come to the same decision, with the same code.
func TestParity(t *testing.T) {
	p := readParity(t)
	count, outcomes := 0, map[string]int{}
	for _, table := range p.Tables {
		t.Run(table.Name, func(t *testing.T) {
			if table.Tokens {
				table.issuer = newParityIssuer(t)
			}
			all := fronts(t, table.guard(t, p.People, nil))
			for _, c := range table.Cases {
				count++
				outcomes[c.Want]++
				if c.Bearer != "" {
					c.Fields = append([]string{bearer(table.issuer.of(t, p.People, c.Bearer))}, c.Fields...)
				}
				table.lose(t)
				c.check(t, p.People, all)
				table.issuer.find()
			}
		})
	}
	t.Logf("%d cases: %v", count, outcomes)
	if count < 120 || outcomes["allow"] < 40 || outcomes["allow"] > count/2 || len(outcomes) < 12 {
		t.Errorf("%d cases with the outcomes %v: want 120 or more of at least 12 kinds, and more refusals than grants", count, outcomes)
	}
}

// check replays the case through all fronts.
func (c parityCase) check(t *testing.T, people map[string]person, all []front) {
	t.Helper()
	if c.Host == "" {
		c.Host = "app.example"
	}
	fields := slices.Clone(c.Fields)
	if c.As != "" {
		if people[c.As].Token == "" {
			t.Fatalf("%s: nobody is called %q", c.Ask, c.As)
		}
		fields = append([]string{"Authorization: Token " + people[c.As].Token}, fields...)
	}
	if c.Session != "" {
		fields = append([]string{"Cookie: a=1; " + sessionOf(t, people, c.Session)}, fields...)
	}
	for _, f := range all {
		outcome, status := f.judge(t, c, fields)
		want := wantStatus(c.Want, f.name)
		same := outcome == c.Want || outcome == "" && strings.HasPrefix(c.Ask, "HEAD ")
		if outcome == "unreadable" && c.Unreadable {
			same, want = true, http.StatusBadRequest
		}
		if !same || status != want {
			t.Errorf("%s: %s%s as %q %q: %s (%d), want %s (%d)", f.name, c.Ask, " at "+c.Host, c.As, c.Fields, outcome, status, c.Want, want)
		}
	}
}

// TestParityDifferences: the fronts differ in two things, because forward-auth sees neither bodies nor who asks before a request.
func TestParityDifferences(t *testing.T) {
	p := readParity(t)
	limited := fronts(t, p.Tables[0].guard(t, p.People, func(c *guard.Config) { c.MaxBody, c.Origins = 10, []string{"https://spa.example"} }))
	preflight := parityCase{Ask: "OPTIONS /me", Host: "app.example"}
	large := parityCase{Ask: "POST /me", Host: "app.example"}
	for _, f := range limited {
		direct := f.name == "middleware" || f.name == "proxy"
		want := "no_credential" // an ordinary request, for the proxy or the application to answer
		if direct {
			want = "unreadable" // 204 from the guard itself
		}
		outcome, status := f.judge(t, preflight, []string{"Origin: https://spa.example", "Access-Control-Request-Method: PUT"})
		if outcome != want || direct && status != http.StatusNoContent {
			t.Errorf("%s: a preflight is %s (%d), want %s", f.name, outcome, status, want)
		}
		want = "allow" // the body goes to the application by another way
		if direct {
			want = string(problem.BodyTooLarge)
		}
		fields := []string{"Authorization: Token plain-token"}
		if f.name != "envoy" && (direct || f.name == "verdict") {
			fields = append(fields, "Content-Length: 11\r\n\r\nhello world")
		} else {
			fields = append(fields, "X-Forwarded-Content-Length: 11")
		}
		if outcome, status := f.judge(t, large, fields); outcome != want {
			t.Errorf("%s: a body over the limit is %s (%d), want %s", f.name, outcome, status, want)
		}
	}
}

// TestParityNotices shows that the comparison fails if one front judges by other rules.
func TestParityNotices(t *testing.T) {
	p := readParity(t)
	table := p.Tables[0]
	table.Rules = slices.Clone(table.Rules)
	table.Rules[1].Allow = "anyone"
	honest, lax := fronts(t, p.Tables[0].guard(t, p.People, nil)), fronts(t, table.guard(t, p.People, nil))
	c := parityCase{Ask: "GET /me", Host: "app.example", Want: "no_credential"}
	for i := range honest {
		right, _ := honest[i].judge(t, c, nil)
		wrong, _ := lax[i].judge(t, c, nil)
		if right != "no_credential" || wrong != "allow" {
			t.Errorf("%s: %s by the rules, %s by other rules, want no_credential and allow", honest[i].name, right, wrong)
		}
	}
}
