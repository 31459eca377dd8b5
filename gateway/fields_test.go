package gateway_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// TestIdentityIsTold: the upstream reads who is calling in three fields, each there once.
func TestIdentityIsTold(t *testing.T) {
	h := build(t, plan{})
	s := h.reached(t, request("GET /a", jack))
	only(t, s, "Remote-User", "jack")
	only(t, s, "Remote-Groups", "basic") // ghost is no role
	only(t, s, "Remote-Email", "jack@example.org")

	s = h.reached(t, request("GET /a", root))
	only(t, s, "Remote-User", "root")
	only(t, s, "Remote-Groups", "admin,basic")
	none(t, s, "Remote-Email")

	s = h.reached(t, request("GET /public/a", jack)) // a public rule keeps a valid caller
	only(t, s, "Remote-User", "jack")

	for _, who := range []string{"X-Nobody: x", mallory, "Authorization: None", "Authorization: Basic eA==", "X-API-Key: wrong", "Authorization:"} {
		none(t, h.reached(t, request("GET /public/a", who)), "Remote-User", "Remote-Groups", "Remote-Email")
	}
}

// aliases are spellings of Remote-User that some server reads as the same.
var aliases = []string{
	"Remote-User", "remote-user", "REMOTE-USER", "rEmOtE-uSeR", "Remote_User", "remote_user", "REMOTE_USER", "Remote.User", "remote.user",
	// Servers that turn whatever is neither letter nor digit into one character (lighttpd, old Apache) read these as well.
	"Remote!User", "Remote#User", "Remote$User", "Remote%User", "Remote&User", "Remote'User", "Remote*User", "Remote+User", "Remote^User", "Remote`User",
	"Remote|User", "Remote~User",
}

// TestIdentityIsNotTaken: whatever a client sends under the names of the identity fields is gone, and ours arrive all the same.
func TestIdentityIsNotTaken(t *testing.T) {
	h := build(t, plan{})
	var all []string
	for _, alias := range aliases {
		for _, name := range []string{alias, strings.Replace(strings.Replace(alias, "User", "Groups", 1), "USER", "GROUPS", 1), strings.Replace(strings.Replace(alias, "User", "Email", 1), "user", "email", 1)} {
			all = append(all, name+": root")
		}
		none(t, h.reached(t, request("GET /public/a", alias+": root")), "Remote-User")
		only(t, h.reached(t, request("GET /a", jack, alias+": root")), "Remote-User", "jack")
		only(t, h.reached(t, request("GET /a", alias+": root", jack, alias+": admin")), "Remote-User", "jack")
	}
	s := h.reached(t, request("GET /public/a", all...))
	none(t, s, "Remote-User", "Remote-Groups", "Remote-Email")
	s = h.reached(t, request("GET /a", append(all, jack)...))
	only(t, s, "Remote-User", "jack")
	only(t, s, "Remote-Groups", "basic")
	only(t, s, "Remote-Email", "jack@example.org")
}

// TestOwnNames: fields of other names are managed in the same way, and the usual ones are no longer special.
func TestOwnNames(t *testing.T) {
	h := build(t, plan{proxy: func(c *gateway.ProxyConfig) {
		c.Identity = gateway.IdentityHeaders{User: "x-auth-user", Groups: "X-Auth-Roles", Email: "X-Auth-Mail"}
	}})
	s := h.reached(t, request("GET /a", jack, "X_Auth_User: root", "x.auth.roles: admin", "X-AUTH-MAIL: root@example.org", "Remote-User: theirs"))
	only(t, s, "X-Auth-User", "jack")
	only(t, s, "X-Auth-Roles", "basic")
	only(t, s, "X-Auth-Mail", "jack@example.org")
	only(t, s, "Remote-User", "theirs")
}

// TestIdentityNamesThatAreRefused: under some names an identity would be lost, or break the message that carries it.
func TestIdentityNamesThatAreRefused(t *testing.T) {
	g := newGuard(t, guardConfig(t))
	for _, name := range []string{
		"X-Forwarded-For", "x_forwarded_host", "X-Real-IP", "Forwarded", "X-Request-Id", "Remote User", "Remote:User", "Remote_User", "Rémote", "X-Original-URL",
		"Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Keep-Alive", "Proxy-Authorization", "Expect", "Authorization", "Cookie", "Set-Cookie",
		"Remote-Groups", "remote-email", "X-Gatehouse-Code", "Www-Authenticate", "Content-Type", "Cache-Control",
	} {
		names := gateway.IdentityHeaders{User: name}
		if _, err := gateway.NewForwardAuth(gateway.ForwardAuthConfig{Guard: g, Identity: names}); err == nil {
			t.Errorf("NewForwardAuth(User: %q) = nil, want an error", name)
		}
		if _, err := gateway.NewProxy(gateway.ProxyConfig{Guard: g, Upstreams: []gateway.Upstream{{URL: origin("127.0.0.1:1")}}, Identity: names}); err == nil {
			t.Errorf("NewProxy(User: %q) = nil, want an error", name)
		}
	}
}

// forwarding are the fields by which a client could pretend to be a proxy, somebody else or another request.
var forwarding = []string{
	"Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Ssl",
	"X-Forwarded-Scheme", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-Email",
	"X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP",
	"X-Original-URL", "X-Original-Uri", "X-Original-Method", "X-Original-Host", "X-Original-Forwarded-For", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method",
	"X-Method-Override", "X-Host", "X-HTTP-Host-Override", "X-Request-Id", "Proxy", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate",
}

// ours are those of them that the proxy writes itself.
var ours = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"}

// TestForwardingFieldsFromOutside: none of them passes, in no spelling, from nobody who is not trusted.
func TestForwardingFieldsFromOutside(t *testing.T) {
	h := build(t, plan{})
	for _, name := range forwarding {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."), strings.ReplaceAll(name, "-", "~")} {
			s := h.reached(t, request("GET /a", jack, spelling+": 6.6.6.6", spelling+": evil"))
			for _, line := range s.like(name) {
				if strings.Contains(line, "6.6.6.6") || strings.Contains(line, "evil") {
					t.Errorf("%s reached the upstream as %q", spelling, line)
				}
			}
			if len(s.like(name)) > 0 && !slices.Contains(ours, name) {
				t.Errorf("%s reached the upstream as %q", spelling, s.like(name))
			}
			only(t, s, "X-Forwarded-For", "127.0.0.1")
			only(t, s, "X-Forwarded-Host", "app.example")
			only(t, s, "X-Forwarded-Proto", "http")
			only(t, s, "X-Real-Ip", "127.0.0.1")
		}
	}
}

// TestForwardingFieldsOfTrustedProxies: they are continued, and refused where they contradict the request.
func TestForwardingFieldsOfTrustedProxies(t *testing.T) {
	trusted, err := gateway.TrustProxies("127.0.0.1", "10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	h := build(t, plan{proxy: func(c *gateway.ProxyConfig) { c.Trusted = trusted }})
	s := h.reached(t, request("GET /a", jack, "X-Forwarded-For: 6.6.6.6, 192.0.2.7", "X-Forwarded-For: 10.0.0.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: APP.example",
		"X_Forwarded_For: 6.6.6.6", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /x", "Forwarded: for=6.6.6.6;host=evil.example", "X-Real-IP: 6.6.6.6", "X-Original-URL: /admin"))
	only(t, s, "X-Forwarded-For", "6.6.6.6, 192.0.2.7, 10.0.0.9, 127.0.0.1")
	only(t, s, "X-Forwarded-Proto", "https")
	only(t, s, "X-Forwarded-Host", "app.example")
	only(t, s, "X-Real-Ip", "192.0.2.7")
	none(t, s, "X-Forwarded-Port", "X-Forwarded-Prefix", "Forwarded", "X-Original-URL")
	for _, fields := range [][]string{
		{"X-Forwarded-Host: evil.example"}, {"X-Forwarded-Host: app.example", "X-Forwarded-Host: app.example"}, {"X-Forwarded-Host: app.example, evil.example"}, {"X-Forwarded-Host:"},
		{"X-Forwarded-Proto: ftp"}, {"X-Forwarded-Proto: https", "X-Forwarded-Proto: http"}, {"X-Forwarded-Proto: https, http"}, {"X-Forwarded-Proto:"}, {"X-Forwarded-Proto: HTTPS"},
	} {
		got := h.refused(t, request("GET /public/a", fields...), 400)
		if got.code() != "conflicting_forward" {
			t.Errorf("%q: code %q, want conflicting_forward", fields, got.code())
		}
	}
}

// TestConnectionNamesNoFieldOfOurs: fields that Connection lists are dropped before ours are set, whatever the spelling.
func TestConnectionNamesNoFieldOfOurs(t *testing.T) {
	h := build(t, plan{})
	for _, value := range []string{
		"Remote-User", "remote-user", "REMOTE-USER", "close, Remote-User", "close, X-Forwarded-For, Remote-User, remote-groups", "keep-alive, x-forwarded-for", "Remote-User, Remote-User",
		",,Remote-User,,", "Remote-User\r\nConnection: X-Forwarded-For, Remote-Email", "X-Real-IP, X-Forwarded-Host, x-forwarded-proto", "Remote_User",
	} {
		s := h.reached(t, request("GET /a", jack, "Connection: "+value, "Remote-User: root"))
		only(t, s, "Remote-User", "jack")
		only(t, s, "Remote-Groups", "basic")
		only(t, s, "Remote-Email", "jack@example.org")
		only(t, s, "X-Forwarded-For", "127.0.0.1")
		only(t, s, "X-Forwarded-Proto", "http")
		only(t, s, "X-Forwarded-Host", "app.example")
		only(t, s, "X-Real-Ip", "127.0.0.1")
		none(t, s, "Connection")
	}
}

// TestConnectionHidesNoCredential: the guard sees what Connection would take away.
func TestConnectionHidesNoCredential(t *testing.T) {
	h := build(t, plan{})
	h.refused(t, request("GET /a", "Connection: X-API-Key", jack, jackKey), 400)
	h.refused(t, request("GET /public/a", "Connection: Authorization", jack, jack), 400)
	s := h.reached(t, request("GET /a", "Connection: Authorization, Host, Content-Length, Cookie", jack, "Cookie: a=b"))
	only(t, s, "Host", "app.example")
	none(t, s, "Authorization", "Cookie")
}

// TestUpgradesThatAreNotWebSocket: another protocol on the same connection would carry requests that nobody has judged.
func TestUpgradesThatAreNotWebSocket(t *testing.T) {
	h := build(t, plan{reply: says(false, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0")})
	for _, value := range []string{"h2c", "H2C", "h2c, websocket", "websocket, h2c", "websocket/13", "TLS/1.0", "HTTP/2.0", "tcp", "SPDY/3.1", "connect-ip"} {
		for _, connection := range []string{"Upgrade, HTTP2-Settings", "Upgrade", "upgrade"} {
			got := once(t, h.addr, request("GET /public/a", "Connection: "+connection, "Upgrade: "+value, "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"))
			if got.status == http.StatusSwitchingProtocols {
				t.Errorf("Upgrade: %s: switched", value)
			}
			for _, s := range h.app.take() {
				none(t, s, "Upgrade", "HTTP2-Settings", "Connection")
			}
		}
	}
}

// TestCredentialIsRemoved: whoever reads the upstream's requests cannot become the caller.
func TestCredentialIsRemoved(t *testing.T) {
	h := build(t, plan{})
	for _, row := range []struct {
		line   string
		fields []string
	}{
		{"GET /a", []string{jack}},
		{"GET /a", []string{"authorization: token jack-token"}},
		{"GET /a", []string{"AUTHORIZATION: TOKEN   jack-token"}},
		{"GET /a", []string{jackKey}},
		{"GET /public/a", []string{jack}},
		{"GET /public/a", []string{mallory}}, // unusable, and not forwarded either
		{"GET /public/a", []string{"Authorization: Token"}},
		{"GET /public/a", []string{"Authorization: Token a b c"}},
		{"GET /public/a", []string{"X-API-Key: mallory-token"}},
		{"GET /public/a", []string{"X-API-Key: a b"}},
		{"GET /a", []string{jack, "X_API_Key: jack-token", "x.api.key: jack-token"}}, // no carrier takes the alias, a CGI upstream would
	} {
		s := h.reached(t, request(row.line, row.fields...))
		none(t, s, "Authorization", "X-API-Key")
		if strings.Contains(s.head, "jack-token") || strings.Contains(s.head, "mallory") {
			t.Errorf("%s %q: the upstream saw a token:\n%s", row.line, row.fields, s.head)
		}
	}
	// What is meant for the upstream, and what no carrier of ours takes, stays.
	only(t, h.reached(t, request("GET /a", jackKey, "Authorization: Basic eA==")), "Authorization", "Basic eA==")
	only(t, h.reached(t, request("GET /keep/a", jack)), "Authorization", "Token jack-token")
	only(t, h.reached(t, request("GET /keep/a", jackKey)), "X-Api-Key", "jack-token")
	none(t, h.reached(t, request("GET /a", jack, "Proxy-Authorization: Token x")), "Proxy-Authorization")
}

// TestDuplicateCredentials: two of them are read differently by different hops, so nobody gets them.
func TestDuplicateCredentials(t *testing.T) {
	h := build(t, plan{})
	for _, fields := range [][]string{
		{jack, root}, {jack, jack}, {jack, mallory}, {mallory, mallory}, {jack, "Authorization: Basic eA=="}, {"Authorization: None", "Authorization: None"}, {jack, "Authorization:"},
		{jack, jackKey}, {mallory, jackKey}, {jackKey, jackKey}, {jackKey, "X-API-Key: wrong"}, {jack, "x-api-key: root-token"},
	} {
		for _, path := range []string{"/a", "/public/a", "/strict/a", "/keep/a", "/nowhere"} {
			if got := h.refused(t, request("GET "+path, fields...), 400); got.code() != "duplicate_credential" {
				t.Errorf("%s %q: code %q, want duplicate_credential", path, fields, got.code())
			}
		}
	}
}

// TestIdentityThatCannotTravel: an identity that a receiver would read as another one stops the request.
func TestIdentityThatCannotTravel(t *testing.T) {
	id := gatehouse.Identity{}
	find := func(context.Context, string) (gatehouse.Identity, error) { return id, nil }
	h := build(t, plan{guard: func(c *guard.Config) { c.Carriers = []carrier.Carrier{carrier.Header("Token", find)} }})
	for _, value := range []string{
		"a\nb", "a\r\nRemote-Groups: admin", "a\x00", "\x01", " jack", "jack ", "\tjack", "jack\t", "a\x7f", "a\u0085", "\u00a0jack", "jack\u2003", "a\x1fb", "jack\xff", "\xc3\x28", "a\u009bb",
	} {
		for _, id = range []gatehouse.Identity{{Value: value}, {Value: "jack", Email: value}} {
			got := h.refused(t, request("GET /a", jack), 503)
			if got.code() != "unavailable" || strings.Contains(got.body, "jack") {
				t.Errorf("%q: %v, want the bare problem unavailable", value, got)
			}
		}
	}
	for _, value := range []string{"jack", "Jürgen Öhm", "李", "a b", "a,b", `"quoted"`, "a=b;c", "jack@example.org", "../admin", "☃"} {
		id = gatehouse.Identity{Value: value}
		only(t, h.reached(t, request("GET /a", jack)), "Remote-User", value)
	}
	id = gatehouse.Identity{Value: "jack", Roles: []string{"ghost", "admin,root", "basic", "admin\r\nX: y", "Admin", " admin"}}
	only(t, h.reached(t, request("GET /a", jack)), "Remote-Groups", "basic")
}

// TestRequestID: the upstream reads the id that our own answer and log have, and none that a client invented.
func TestRequestID(t *testing.T) {
	h := build(t, plan{around: observed})
	got := once(t, h.addr, request("GET /a", jack, "X-Request-Id: theirs", "x_request_id: theirs"))
	s := h.app.take()[0]
	only(t, s, "X-Request-Id", got.header.Get("X-Request-Id"))
	if got.header.Get("X-Request-Id") == "theirs" || got.header.Get("X-Request-Id") == "" {
		t.Errorf("X-Request-Id = %q, want one of ours", got.header.Get("X-Request-Id"))
	}
}

func observed(next http.Handler) http.Handler {
	return guard.Observe(next, nil, func(*http.Request, guard.Description, *guard.Verdict) {})
}

// TestOtherFieldsPass: what is neither ours nor hop-by-hop arrives as it was sent.
func TestOtherFieldsPass(t *testing.T) {
	h := build(t, plan{})
	s := h.reached(t, request("GET /a", jack, "Accept: a", "Accept: b", "Cookie: a=1; b=2", "Cookie: c=3", "User-Agent: x", "X-Empty:", "Range: bytes=0-1", "If-None-Match: \"x\"",
		"Keep-Alive: timeout=5", "Te: gzip", "Origin: https://spa.example", "X-Custom_Name: v", "Accept-Encoding: br"))
	for name, want := range map[string][]string{
		"Accept": {"a", "b"}, "Cookie": {"a=1; b=2", "c=3"}, "User-Agent": {"x"}, "X-Empty": {""}, "Range": {"bytes=0-1"}, "If-None-Match": {`"x"`}, "Origin": {"https://spa.example"},
		"X-Custom_Name": {"v"}, "Accept-Encoding": {"br"}, "Keep-Alive": nil, "Te": nil,
	} {
		if got := s.all(name); !slices.Equal(got, want) {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	s = h.reached(t, request("GET /a", jack))
	none(t, s, "User-Agent", "Accept-Encoding", "Accept", "Transfer-Encoding", "Content-Length")
}

// TestManyCookies: 4,000 of them are a large header and no more.
func TestManyCookies(t *testing.T) {
	h := build(t, plan{})
	cookies := "Cookie: " + strings.Repeat("a=b; ", 4000) + "c=d"
	if s := h.reached(t, request("GET /a", jack, cookies)); "Cookie: "+s.all("Cookie")[0] != cookies {
		t.Errorf("the upstream saw %d bytes of cookies, want all %d", len(s.all("Cookie")[0]), len(cookies))
	}
	h.refused(t, request("GET /public/a", "Cookie: "+strings.Repeat("a=b; ", 20_000)), 431)
	h.refused(t, request("GET /public/"+strings.Repeat("a", 100<<10)), 431, 414)
}

// TestTLSIsTold: the scheme of the client's connection, not of ours.
func TestTLSIsTold(t *testing.T) {
	h := build(t, plan{})
	proxy, err := gateway.NewProxy(gateway.ProxyConfig{Guard: newGuard(t, guardConfig(t)), Upstreams: []gateway.Upstream{{Name: "app", URL: origin(h.app.addr)}}})
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(proxy, h.log)
	server.StartTLS()
	t.Cleanup(server.Close)
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte(request("GET /public/a", "X-Forwarded-Proto: http")))
	only(t, h.app.await(t, 1)[0], "X-Forwarded-Proto", "https")
}

// TestNewProxyRefuses: a proxy that would guess or guard nothing is not made.
func TestNewProxyRefuses(t *testing.T) {
	g := newGuard(t, guardConfig(t))
	config := guardConfig(t)
	config.Rules = nil
	open := newGuard(t, config)
	up := func(name, url string) gateway.Upstream {
		u := origin("127.0.0.1:1")
		if url != "" {
			u, _ = u.Parse(url)
		}
		return gateway.Upstream{Name: name, URL: u}
	}
	app := []gateway.Upstream{up("app", "")}
	for name, c := range map[string]gateway.ProxyConfig{
		"nothing":           {},
		"no upstream":       {Guard: g},
		"no guard":          {Upstreams: app},
		"zero guard":        {Guard: &guard.Guard{}, Upstreams: app},
		"no rules":          {Guard: open, Upstreams: app},
		"nil URL":           {Guard: g, Upstreams: []gateway.Upstream{{Name: "app"}}},
		"two of one name":   {Guard: g, Upstreams: []gateway.Upstream{up("app", ""), up("app", "")}},
		"path in URL":       {Guard: g, Upstreams: []gateway.Upstream{up("app", "http://a/base")}},
		"query in URL":      {Guard: g, Upstreams: []gateway.Upstream{up("app", "http://a?x")}},
		"user in URL":       {Guard: g, Upstreams: []gateway.Upstream{up("app", "http://u:p@a")}},
		"scheme":            {Guard: g, Upstreams: []gateway.Upstream{up("app", "ftp://a")}},
		"unknown upstream":  {Guard: g, Upstreams: app, Routes: []gateway.Route{{Upstream: "other"}}},
		"several, not said": {Guard: g, Upstreams: []gateway.Upstream{up("a", ""), up("b", "")}, Routes: []gateway.Route{{}}},
	} {
		if p, err := gateway.NewProxy(c); err == nil || p != nil {
			t.Errorf("%s: NewProxy = %v, %v, want an error", name, p, err)
		}
	}
	for name, c := range map[string]gateway.ForwardAuthConfig{
		"nothing": {}, "zero guard": {Guard: &guard.Guard{}}, "no rules": {Guard: open}, "prefix without slash": {Guard: g, Prefix: "authz"}, "prefix with two": {Guard: g, Prefix: "/a//b"},
	} {
		if f, err := gateway.NewForwardAuth(c); err == nil || f != nil {
			t.Errorf("%s: NewForwardAuth = %v, %v, want an error", name, f, err)
		}
	}
	config.DefaultDeny = true // nothing is open in it
	denying := newGuard(t, config)
	if _, err := gateway.NewProxy(gateway.ProxyConfig{Guard: denying, Upstreams: app}); err != nil {
		t.Errorf("NewProxy with a guard that denies by default: %v", err)
	}
	anyone, err := policy.New(policy.Config{Default: policy.Anyone()})
	if err != nil {
		t.Fatal(err)
	}
	config.Rules, config.DefaultDeny = anyone, false
	if _, err := gateway.NewProxy(gateway.ProxyConfig{Guard: newGuard(t, config), Upstreams: app}); err != nil {
		t.Errorf("NewProxy with rules that let anyone in, and say so: %v", err)
	}
}
