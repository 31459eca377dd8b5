package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// An asker is a forward-auth server and the way to ask it.
type asker struct{ addr string }

// answering starts a forward-auth server that trusts this machine, unless edit says otherwise.
func answering(t testing.TB, edit func(*guard.Config, *gateway.ForwardAuthConfig)) asker {
	t.Helper()
	trusted, err := gateway.TrustProxies("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	gc, fc := guardConfig(t), gateway.ForwardAuthConfig{Trusted: trusted}
	if edit != nil {
		edit(&gc, &fc)
	}
	if fc.Guard == nil {
		fc.Guard = newGuard(t, gc)
	}
	f, err := gateway.NewForwardAuth(fc)
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(f, &logBook{})
	server.Start()
	t.Cleanup(server.Close)
	return asker{server.Listener.Addr().String()}
}

// question returns the bytes with which the dialect's proxy asks about a request line such as "GET /a".
func question(dialect, line string, fields ...string) string {
	method, uri, _ := strings.Cut(line, " ")
	if dialect == "envoy" {
		return request(method+" /authz/envoy"+uri, fields...)
	}
	asked := []string{"X-Forwarded-Method: " + method, "X-Forwarded-Host: app.example", "X-Forwarded-Uri: " + uri, "X-Forwarded-Proto: http", "X-Forwarded-For: 192.0.2.7", "Host: auth.internal"}
	return request("GET /authz/"+dialect, append(asked, fields...)...)
}

// ask asks and checks what holds for every answer: the identity is always there, and a refusal names its code.
func (a asker) ask(t testing.TB, raw string) answer {
	t.Helper()
	got := once(t, a.addr, raw)
	for _, name := range []string{"Remote-User", "Remote-Groups", "Remote-Email"} {
		values, there := got.header[name]
		if !there || len(values) != 1 {
			t.Errorf("%q: %s = %q, want it exactly once", raw, name, values)
		}
		if got.status != 200 && strings.Join(values, "") != "" {
			t.Errorf("%q: a refusal says %s: %q", raw, name, values)
		}
	}
	if code := got.header.Get("X-Gatehouse-Code"); (code == "") != (got.status == 200) || got.status != 200 && code != got.code() {
		t.Errorf("%q: X-Gatehouse-Code %q with status %d and code %q", raw, code, got.status, got.code())
	}
	if got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q: Cache-Control = %q, want no-store", raw, got.header.Get("Cache-Control"))
	}
	if got.status == 401 && got.header.Get("Www-Authenticate") == "" {
		t.Errorf("%q: 401 without a challenge", raw)
	}
	if got.status != 401 && got.status != 200 && got.status < 500 && got.status != 403 && strings.Contains(raw, "/authz/nginx ") {
		t.Errorf("%q: nginx does not understand %d", raw, got.status)
	}
	return got
}

// nginxStatus is what nginx is told instead of status: it knows 200, 401, 403 and errors.
func nginxStatus(dialect string, status int) int {
	if dialect != "nginx" || status == 401 || status >= 500 || status == 200 {
		return status
	}
	return 403
}

// TestForwardAuthRefuses: one answer in all dialects, and more refusals than grants.
func TestForwardAuthRefuses(t *testing.T) {
	a := answering(t, nil)
	for _, row := range []struct {
		line   string
		fields []string
		want   int
		code   string
	}{
		{"GET /a", []string{jack}, 200, ""},
		{"GET /a?x=1", []string{jackKey}, 200, ""},
		{"DELETE /admin/a", []string{root}, 200, ""},
		{"GET /public/a", nil, 200, ""},
		{"GET /public/a", []string{mallory}, 200, ""},
		{"GET /slash/a%2fb", []string{jack}, 200, ""},
		{"GET /a,b,c", []string{jack}, 200, ""},
		{"GET /a", nil, 401, "no_credential"},
		{"GET /nowhere", nil, 401, "no_credential"},
		{"GET /a", []string{mallory}, 401, "unknown_token"},
		{"GET /a", []string{"Authorization: None"}, 401, "unsupported_scheme"},
		{"GET /a", []string{"Authorization:"}, 401, "unsupported_scheme"},
		{"GET /strict/a", []string{mallory}, 401, "unknown_token"},
		{"GET /a", []string{"Authorization: Token a b"}, 400, "malformed_credential"},
		{"GET /a", []string{jack, root}, 400, "duplicate_credential"},
		{"GET /public/a", []string{jack, jackKey}, 400, "duplicate_credential"},
		{"GET /admin/a", []string{jack}, 403, "forbidden"},
		{"GET /scoped", []string{jack}, 403, "insufficient_scope"},
		{"TRACE /public/a", nil, 405, "method_not_allowed"},
		{"CONNECT /public/a", nil, 405, "method_not_allowed"},
		{"get /public/a", nil, 405, "method_not_allowed"},
		{"GET /public/../admin", []string{root}, 400, "bad_target"},
		{"GET /public/%2e%2e/admin", []string{root}, 400, "bad_target"},
		{"GET /public/..%2fadmin", []string{root}, 400, "bad_target"},
		{"GET /public//a", []string{root}, 400, "bad_target"},
		{"GET /public\\a", []string{root}, 400, "bad_target"},
		{"GET /public/%00", []string{root}, 400, "bad_target"},
		{"GET /public/%zz", []string{root}, 400, "bad_target"},
		{"GET /public#/admin", []string{root}, 400, "bad_target"},
		{"GET /public/\xff", []string{root}, 400, "bad_target"},
		{"GET /public;x/a", nil, 400, "bad_target"},
		{"OPTIONS /a", []string{"Origin: https://spa.example", "Access-Control-Request-Method: PUT"}, 401, "no_credential"},
	} {
		for _, dialect := range gateway.Dialects {
			if dialect == "envoy" && row.line == "GET /public/%zz" {
				continue // net/http refuses the line itself
			}
			got := a.ask(t, question(dialect, row.line, row.fields...))
			if got.status != nginxStatus(dialect, row.want) || got.header.Get("X-Gatehouse-Code") != row.code {
				t.Errorf("%s asks %s %q: %v, want %d %s", dialect, row.line, row.fields, got, row.want, row.code)
			}
		}
	}
}

// TestForwardAuthIdentity: who is asking is told in full, and empty where there is nothing to say.
func TestForwardAuthIdentity(t *testing.T) {
	a := answering(t, nil)
	for _, dialect := range gateway.Dialects {
		for _, row := range []struct {
			line, who           string
			user, groups, email string
		}{
			{"GET /a", jack, "jack", "basic", "jack@example.org"},
			{"GET /a", root, "root", "admin,basic", ""},
			{"GET /public/a", jack, "jack", "basic", "jack@example.org"},
			{"GET /public/a", mallory, "", "", ""},
			{"GET /public/a", "Remote-User: root", "", "", ""},
			{"GET /a", jack + "\r\nRemote-User: root\r\nremote_groups: admin", "jack", "basic", "jack@example.org"},
		} {
			got := a.ask(t, question(dialect, row.line, row.who))
			if h := got.header; got.status != 200 || h.Get("Remote-User") != row.user || h.Get("Remote-Groups") != row.groups || h.Get("Remote-Email") != row.email {
				t.Errorf("%s asks %s as %q: %v, want %q, %q, %q", dialect, row.line, row.who, got, row.user, row.groups, row.email)
			}
		}
	}
}

// TestForwardAuthQuestions: a question that is incomplete, ambiguous or contradictory is never answered with yes.
func TestForwardAuthQuestions(t *testing.T) {
	a := answering(t, nil)
	const method, host, uri, proto = "X-Forwarded-Method: GET", "X-Forwarded-Host: app.example", "X-Forwarded-Uri: /public/a", "X-Forwarded-Proto: http"
	complete := []string{method, host, uri, proto}
	without := func(i int) []string { return slices.Delete(slices.Clone(complete), i, i+1) }
	with := func(i int, field string) []string { fields := slices.Clone(complete); fields[i] = field; return fields }
	plus := func(fields ...string) []string { return append(slices.Clone(complete), fields...) }
	for _, dialect := range []string{"nginx", "caddy", "traefik", "haproxy"} {
		for _, row := range []struct {
			name   string
			fields []string
			code   string // "": the question is fine
		}{
			{"complete", complete, ""},
			{"without a scheme", without(3), ""},
			{"nothing", nil, "bad_forward"},
			{"no method", without(0), "bad_forward"},
			{"no host", without(1), "bad_forward"},
			{"no URI", without(2), "bad_forward"},
			{"two methods", plus(method), "bad_forward"},
			{"two hosts", plus(host), "bad_forward"},
			{"two URIs", plus(uri), "bad_forward"},
			{"two different URIs", plus("X-Forwarded-Uri: /admin"), "bad_forward"},
			{"two schemes", plus(proto), "bad_forward"},
			{"empty method", with(0, "X-Forwarded-Method:"), "bad_forward"},
			{"empty host", with(1, "X-Forwarded-Host:"), "bad_forward"},
			{"empty URI", with(2, "X-Forwarded-Uri:"), "bad_forward"},
			{"empty scheme", with(3, "X-Forwarded-Proto:"), "bad_forward"},
			{"joined methods", with(0, "X-Forwarded-Method: GET, POST"), "bad_forward"},
			{"joined hosts", with(1, "X-Forwarded-Host: app.example,evil.example"), "bad_forward"},
			{"joined URIs", with(2, "X-Forwarded-Uri: /public/a, /admin"), "bad_target"},
			{"joined schemes", with(3, "X-Forwarded-Proto: https,http"), "bad_forward"},
			{"another scheme", with(3, "X-Forwarded-Proto: ftp"), "bad_forward"},
			{"alias for the URI only", with(2, "X_Forwarded_Uri: /public/a"), "bad_forward"},
			{"alias beside the URI", plus("X_Forwarded_Uri: /admin"), ""}, // counts for nothing
			{"URI without slash", with(2, "X-Forwarded-Uri: public/a"), "bad_target"},
			{"URI with a host", with(2, "X-Forwarded-Uri: http://app.example/public/a"), "bad_target"},
			{"URI with a space", with(2, "X-Forwarded-Uri: /public/a HTTP/1.1"), "bad_target"},
			{"URI with a tab", with(2, "X-Forwarded-Uri: /public/a\tb"), "bad_target"},
			{"URI star", with(2, "X-Forwarded-Uri: *"), "bad_target"},
			{"URI opaque", with(2, "X-Forwarded-Uri: http:public/a"), "bad_target"},
			{"host with a path", with(1, "X-Forwarded-Host: app.example/x"), "bad_target"},
			{"host with a user", with(1, "X-Forwarded-Host: a@app.example"), "bad_target"},
			{"host with a space", with(1, "X-Forwarded-Host: app example"), "bad_target"},
			{"same original method", plus("X-Original-Method: GET"), ""},
			{"other original method", plus("X-Original-Method: DELETE"), "conflicting_forward"},
			{"same original URL", plus("X-Original-URL: http://app.example/public/a"), ""},
			{"same original URI", plus("X-Original-URI: /public/a"), ""},
			{"other original URL", plus("X-Original-URL: http://app.example/admin"), "conflicting_forward"},
			{"other original URL's host", plus("X-Original-URL: http://evil.example/public/a"), "conflicting_forward"},
			{"other original URI", plus("X-Original-Uri: /admin"), "conflicting_forward"},
			{"other original host", plus("X-Original-Host: evil.example"), "conflicting_forward"},
			{"other rewritten URL", plus("X-Rewrite-Url: /admin"), "conflicting_forward"},
			{"alias of another URI", plus("x_original_uri: /admin"), "conflicting_forward"},
			{"one same, one other", plus("X-Original-Uri: /public/a", "X-Original-Uri: /admin"), "conflicting_forward"},
			{"empty original URI", plus("X-Original-Uri:"), "conflicting_forward"},
			{"hidden by Connection", plus("Connection: X-Forwarded-Uri"), ""}, // of the question's own hop
		} {
			got := a.ask(t, request("GET /authz/"+dialect, row.fields...))
			if got.header.Get("X-Gatehouse-Code") != row.code || (got.status == 200) != (row.code == "") {
				t.Errorf("%s, %s: %v, want code %q", dialect, row.name, got, row.code)
			}
			if row.code == "bad_forward" && got.status != 403 {
				t.Errorf("%s, %s: status %d, want 403", dialect, row.name, got.status)
			}
		}
	}
}

// TestForwardAuthPaths: the question's own path says which dialect, raw; behind Envoy's stands the path of the request, raw as well.
func TestForwardAuthPaths(t *testing.T) {
	a := answering(t, nil)
	for _, row := range []struct {
		target string
		want   int
		code   string
	}{
		{"/authz/envoy/a", 200, ""},
		{"/authz/envoy/a?x=/../y", 200, ""},
		{"/authz/envoy/", 200, ""},
		{"/authz/envoy/slash/a%2Fb", 200, ""},
		{"/authz/envoy/authz/nginx", 200, ""}, // a path of the application like any other
		{"/authz/envoy/admin/a", 403, "forbidden"},
		{"/authz/envoy/%61dmin/a", 403, "forbidden"},
		{"/authz/envoy", 400, "bad_target"},
		{"/authz/envoy?x=/public/a", 400, "bad_target"},
		{"/authz/envoy/a%2Fb", 400, "bad_target"},
		{"/authz/envoy//x", 400, "bad_target"},
		{"/authz/envoy/a/../b", 400, "bad_target"},
		{"/authz/envoy/../nginx", 400, "bad_target"},
		{"/authz/envoy/a//b", 400, "bad_target"},
		{"/authz/envoy/a#b", 400, "bad_target"},
		{"/authz/envoy\\public", 404, "not_found"},
		{"/authz/envoy%2fpublic/a", 404, "not_found"},
		{"/authz/%65nvoy/public/a", 404, "not_found"},
		{"/authz//envoy/public/a", 404, "not_found"},
		{"/authz/./envoy/public/a", 404, "not_found"},
		{"//authz/envoy/public/a", 404, "not_found"},
		{"/authz", 404, "not_found"},
		{"/authz/", 404, "not_found"},
		{"/authz/apache", 404, "not_found"},
		{"/authz/ENVOY/public/a", 404, "not_found"},
		{"/authz/nginxx", 404, "not_found"},
		{"/authz/caddy/public/a", 404, "not_found"},
		{"/authz/traefik/", 200, ""}, // a slash at the end is none of the request's
		{"/authz/caddy/x", 404, "not_found"},
		{"/authz/nginx/x", 403, "not_found"},
		{"/nginx", 404, "not_found"},
		{"/public/a", 404, "not_found"},
		{"/", 404, "not_found"},
		{"/Authz/envoy/public/a", 404, "not_found"},
	} {
		fields := []string{jack}
		if !strings.Contains(row.target, "envoy") {
			fields = append(fields, "X-Forwarded-Method: GET", "X-Forwarded-Host: app.example", "X-Forwarded-Uri: /a")
		}
		got := a.ask(t, request("GET "+row.target, fields...))
		if got.status != row.want || got.header.Get("X-Gatehouse-Code") != row.code {
			t.Errorf("GET %s: %v, want %d %s", row.target, got, row.want, row.code)
		}
	}
	got := a.ask(t, request("GET http://"+a.addr+"/authz/envoy/public/a"))
	if got.status == 200 {
		t.Errorf("an absolute question: %v, want a refusal", got)
	}
	if got := a.ask(t, request("POST /authz/envoy/films/7", jack, "Content-Length: 5")+"abcde"); got.status != 200 {
		t.Errorf("another method: %v, want 200 by the rule for everything", got)
	}
}

// TestForwardAuthPrefix: elsewhere it answers in the same way, and nowhere else.
func TestForwardAuthPrefix(t *testing.T) {
	a := answering(t, func(_ *guard.Config, c *gateway.ForwardAuthConfig) { c.Prefix = "/gate/authz" })
	if got := a.ask(t, request("GET /gate/authz/envoy/a", jack)); got.status != 200 {
		t.Errorf("under the prefix: %v, want 200", got)
	}
	if got := a.ask(t, request("GET /authz/envoy/a", jack)); got.status != 404 {
		t.Errorf("beside it: %v, want 404", got)
	}
	for _, prefix := range []string{"authz", "/", "/authz/", "/a//b", "/a/../b", "//authz"} {
		if _, err := gateway.NewForwardAuth(gateway.ForwardAuthConfig{Guard: newGuard(t, guardConfig(t)), Prefix: prefix}); err == nil {
			t.Errorf("NewForwardAuth(Prefix: %q) = nil, want an error", prefix)
		}
	}
}

// TestForwardAuthStrangers: a peer that is not trusted learns nothing, whatever it says about itself.
func TestForwardAuthStrangers(t *testing.T) {
	others, err := gateway.TrustProxies("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for name, trusted := range map[string]*gateway.Trusted{"others": others, "nobody": nil} {
		a := answering(t, func(_ *guard.Config, c *gateway.ForwardAuthConfig) { c.Trusted = trusted })
		for _, dialect := range gateway.Dialects {
			for _, fields := range [][]string{
				{root}, {}, {"X-Forwarded-For: 10.0.0.1"}, {"X-Real-IP: 10.0.0.1"}, {"Forwarded: for=10.0.0.1"}, {root, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2"},
				{"Connection: X-Forwarded-For"}, {"User-Agent: kube-probe/1.0"}, {"User-Agent: GoogleHC/1.0"},
			} {
				got := a.ask(t, question(dialect, "GET /public/a", fields...))
				if got.status != 403 || got.header.Get("X-Gatehouse-Code") != "untrusted_proxy" {
					t.Errorf("%s trusted, %s asks with %q: %v, want 403 untrusted_proxy", name, dialect, fields, got)
				}
			}
		}
	}
}

// TestForwardAuthDeadline: no proxy cuts an auth server off, so it ends by itself.
func TestForwardAuthDeadline(t *testing.T) {
	slow := func(ctx context.Context, _ string) (gatehouse.Identity, error) {
		<-ctx.Done()
		return gatehouse.Identity{}, ctx.Err()
	}
	a := answering(t, func(g *guard.Config, c *gateway.ForwardAuthConfig) {
		g.Carriers, c.Deadline = []carrier.Carrier{carrier.Header("Token", slow)}, 50*time.Millisecond
	})
	for _, dialect := range gateway.Dialects {
		got := a.ask(t, question(dialect, "GET /a", jack))
		if got.status != 503 || got.code() != "unavailable" || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %v, want 503 with Retry-After", dialect, got)
		}
	}
}

// TestForwardAuthFailures: what cannot be checked is no.
func TestForwardAuthFailures(t *testing.T) {
	for name, find := range map[string]carrier.Lookup{
		"error": func(context.Context, string) (gatehouse.Identity, error) {
			return gatehouse.Identity{}, errors.New("store down")
		},
		"panic": func(context.Context, string) (gatehouse.Identity, error) { panic("jack-token") },
		"unusable name": func(context.Context, string) (gatehouse.Identity, error) {
			return gatehouse.Identity{Value: "a\r\nRemote-Groups: admin"}, nil
		},
		"unusable e-mail": func(context.Context, string) (gatehouse.Identity, error) {
			return gatehouse.Identity{Value: "a", Email: "x\n"}, nil
		},
	} {
		a := answering(t, func(g *guard.Config, _ *gateway.ForwardAuthConfig) {
			g.Carriers = []carrier.Carrier{carrier.Header("Token", find)}
		})
		for _, dialect := range gateway.Dialects {
			if got := a.ask(t, question(dialect, "GET /a", jack)); got.status != 503 || strings.Contains(got.body, "store down") || strings.Contains(got.body, "jack") {
				t.Errorf("%s, %s: %v, want a bare 503", name, dialect, got)
			}
		}
	}
}

// TestForwardAuthMovedStatus: a status that was moved is moved here too, but for nginx.
func TestForwardAuthMovedStatus(t *testing.T) {
	a := answering(t, func(g *guard.Config, _ *gateway.ForwardAuthConfig) {
		g.Status = map[problem.Code]int{problem.NoCredential: 404, problem.UnknownToken: 403}
	})
	for _, dialect := range gateway.Dialects {
		for field, want := range map[string]int{"X-Nobody: x": 404, mallory: 403} {
			if got := a.ask(t, question(dialect, "GET /a", field)); got.status != nginxStatus(dialect, want) {
				t.Errorf("%s, %s: %v, want %d", dialect, field, got, nginxStatus(dialect, want))
			}
		}
	}
}

// FuzzForwarded: no header lets somebody without a credential past a rule that needs one, and none makes the server panic.
func FuzzForwarded(f *testing.F) {
	trusted, err := gateway.TrustProxies("127.0.0.1")
	if err != nil {
		f.Fatal(err)
	}
	config := guardConfig(f)
	config.Rules = newTable(f, rules[2:]...) // everything needs a credential here, but for one path on one host
	config.Policy = guard.AsSubject{Table: config.Rules}
	auth, err := gateway.NewForwardAuth(gateway.ForwardAuthConfig{Guard: newGuard(f, config), Trusted: trusted})
	if err != nil {
		f.Fatal(err)
	}
	for _, dialect := range append(slices.Clone(gateway.Dialects), "apache", "envoy/public/a", "envoy//x", "") {
		f.Add(dialect, "GET", "app.example", "/admin/a", "X-Original-Url", "/public/a", "Authorization", "Token wrong")
		f.Add(dialect, "OPTIONS", "APP.example:80", "/public/../admin?x#y", "X_Forwarded_Uri", "/x", "Cookie", "Remote-User=root")
		f.Add(dialect, "get", "[::1]", "//a%2f;x", "Forwarded", "for=127.0.0.1", "X-API-Key", "")
	}
	f.Fuzz(func(t *testing.T, path, method, host, uri, name, value, name2, value2 string) {
		if strings.Contains(value+value2, "-token") && !strings.Contains(value+value2, "mallory") || strings.EqualFold(strings.TrimRight(host, "."), "films.example") {
			t.Skip("somebody with a credential, or the public path")
		}
		r := httptest.NewRequest("GET", "/authz/envoy/x", nil)
		r.RequestURI, r.RemoteAddr, r.Host = "/authz/"+path, "127.0.0.1:99", host
		if strings.HasPrefix(path, "envoy") {
			r.Method = method
		}
		r.Header = http.Header{"X-Forwarded-Method": {method}, "X-Forwarded-Host": {host}, "X-Forwarded-Uri": {uri}}
		r.Header.Add(name, value)
		r.Header.Add(name2, value2)
		w := httptest.NewRecorder()
		auth.ServeHTTP(w, r)
		if w.Code == http.StatusOK && !strings.HasPrefix(strings.ToLower(host), "films.example") {
			t.Errorf("path %q, %s %s%s, %s: %q, %s: %q: 200 for nobody", path, method, host, uri, name, value, name2, value2)
		}
		if w.Code < 400 && w.Code != 200 || w.Code == 500 {
			t.Errorf("path %q, %s %s%s: status %d", path, method, host, uri, w.Code)
		}
	})
}

func ExampleNewForwardAuth() {
	g, err := guard.TokenAuth(lookup)
	if err != nil {
		panic(err)
	}
	trusted, err := gateway.TrustProxies("192.0.2.1") // where nginx runs
	if err != nil {
		panic(err)
	}
	auth, err := gateway.NewForwardAuth(gateway.ForwardAuthConfig{Guard: g, Trusted: trusted})
	if err != nil {
		panic(err)
	}
	for _, token := range []string{"", "Token jack-token"} {
		r := httptest.NewRequest("GET", "/authz/nginx", nil) // comes from 192.0.2.1
		r.Header.Set("X-Forwarded-Method", "GET")
		r.Header.Set("X-Forwarded-Host", "films.example")
		r.Header.Set("X-Forwarded-Uri", "/films/7")
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		w := httptest.NewRecorder()
		auth.ServeHTTP(w, r)
		fmt.Printf("%d user=%q code=%q\n", w.Code, w.Header().Get("Remote-User"), w.Header().Get("X-Gatehouse-Code"))
	}
	// Output:
	// 401 user="" code="no_credential"
	// 200 user="jack" code=""
}
