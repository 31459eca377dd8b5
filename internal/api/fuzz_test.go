package api_test

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzForms: whatever is sent, there is no panic and no server error, and nobody gets a token who has not shown the secret of a client.
func FuzzForms(f *testing.F) {
	d := newDesk(f, setting{})
	d.log.shut = true // or it would grow as long as this runs
	const kind = "application/x-www-form-urlencoded"
	for _, body := range []string{
		"grant_type=client_credentials", "grant_type=client_credentials&scope=films.read", "grant_type=refresh_token&refresh_token=gh_refresh.AAAA", "token=x&token_type_hint=access_token",
		"client_id=reports&client_secret=wrong&grant_type=client_credentials", "client_assertion_type=" + url.QueryEscape(byAssertion) + "&client_assertion=a.b.c&token=x",
		"grant_type=" + url.QueryEscape(jwtBearer) + "&assertion=" + d.forged(), "a=1&a=2", "%zz", ";", "&&&=", "token=" + strings.Repeat(".", 300), "\x00\xff",
		"grant_type=refresh_token&refresh_token=" + d.forged(), "token=eyJhbGciOiJub25lIn0.e30.",
	} {
		for _, header := range []string{"", basic("reports"), "Basic x", "Bearer a.b.c", encoded("reports", "%zz+")} {
			f.Add(uint8(0), header, kind, body)
		}
	}
	paths := []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"}
	f.Fuzz(func(t *testing.T, which uint8, header, kind, body string) {
		path := paths[int(which)%len(paths)]
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header["Content-Type"] = []string{kind}
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, r)
		a := answer{w.Code, w.Header(), w.Body.String()}
		for _, fault := range append(a.faults(path), serious(a)...) {
			t.Errorf("POST %s = %d %s: %s", path, a.status, a.body, fault)
		}
		if a.status == 200 && !shows(header, body) {
			t.Errorf("POST %s with %q and %q = 200 %s, without a secret", path, header, body, a.body)
		}
	})
}

// serious: nothing here is unavailable.
func serious(a answer) []string {
	if a.status >= 500 {
		return []string{"a server error"}
	}
	return nil
}

// shows reports whether a request holds the secret of a client.
func shows(header, body string) bool {
	_, text, _ := strings.Cut(header, " ")
	plain, _ := base64.StdEncoding.DecodeString(text)
	decoded, _ := url.QueryUnescape(string(plain))
	form, _ := url.QueryUnescape(body)
	return strings.Contains(string(plain)+decoded+form, secretOf)
}

// FuzzFollowers: whatever a follower sends, it is answered, and does not follow unless it may.
func FuzzFollowers(f *testing.F) {
	d := newDesk(f, setting{})
	d.log.shut = true
	for _, query := range []string{"", "since=0", "since=-1", "since=1&mark=x", "since=%zz", "since=9999999999999999999"} {
		for _, header := range []string{"", basic("reports"), basic("watcher"), "Bearer a.b.c", "Bearer", "Basic"} {
			f.Add(header, query, "")
		}
	}
	f.Fuzz(func(t *testing.T, header, query, last string) {
		r := httptest.NewRequest("HEAD", feedPath, nil)
		r.URL.RawQuery = query
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		if last != "" {
			r.Header["Last-Event-Id"] = []string{last}
		}
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, r)
		a := answer{w.Code, w.Header(), w.Body.String()}
		for _, fault := range append(a.faults(feedPath), serious(a)...) {
			t.Errorf("HEAD %s?%s = %d %s: %s", feedPath, query, a.status, a.body, fault)
		}
		if a.status == 200 && !shows(header, "") {
			t.Errorf("HEAD %s?%s with %q = 200, without a secret", feedPath, query, header)
		}
	})
}
