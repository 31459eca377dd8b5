package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/guard"
)

// forms are the endpoints that take forms, each with one that is right for the client called reports.
var forms = map[string]form{
	"/oauth/token":      {"grant_type", "client_credentials"},
	"/oauth/introspect": {"token", "whatever"},
	"/oauth/revoke":     {"token", "whatever"},
}

// TestForms: what a body must be like, for every endpoint alike.
func TestForms(t *testing.T) {
	d := newDesk(t, setting{})
	const kind = "application/x-www-form-urlencoded"
	for path, f := range forms {
		good := f.encode()
		for name, tt := range map[string]struct {
			query, kind, body string
			status            int
		}{
			"a form":                          {"", kind, good, 200},
			"with a charset":                  {"", kind + "; charset=UTF-8", good, 200},
			"in another case":                 {"", "Application/X-WWW-Form-URLEncoded", good, 200},
			"with a parameter nobody knows":   {"", kind, good + "&colour=red", 200},
			"with one that has no value":      {"", kind, good + "&scope=&resource", 200},
			"with an empty client_id":         {"", kind, good + "&client_id=", 200},
			"with empty proofs":               {"", kind, good + "&client_secret=&client_assertion=&client_assertion_type=", 200},
			"with a query that says more":     {"grant_type=password&token=x&client_id=other&client_secret=x", kind, good, 200},
			"with a query that is broken":     {"%zz;&=", kind, good, 200},
			"everything in the query":         {good, kind, "", 400},
			"no type":                         {"", "", good, 400},
			"as JSON":                         {"", "application/json", `{"grant_type":"client_credentials","token":"x"}`, 400},
			"as several parts":                {"", "multipart/form-data; boundary=x", good, 400},
			"as text":                         {"", "text/plain", good, 400},
			"of a type that is none":          {"", "application/x-www-form-urlencoded; charset", good, 400},
			"nothing":                         {"", kind, "", 400},
			"the same parameter twice":        {"", kind, good + "&" + good, 400},
			"twice, once empty":               {"", kind, good + "&scope=&scope=films.read", 400},
			"one that nobody knows twice":     {"", kind, good + "&colour=red&colour=blue", 400},
			"a token that has no value":       {"", kind, "token=&grant_type=", 400},
			"a bad escape":                    {"", kind, good + "&x=%zz", 400},
			"an escape that is cut":           {"", kind, good + "&x=%4", 400},
			"separated by semicolons":         {"", kind, good + ";x=y", 400},
			"a bare JWT":                      {"", "application/jwt", d.signed(d.assertion(), d.worker), 400},
			"very many parameters":            {"", kind, good + strings.Repeat("&a", 20_000), 400},
			"just under the limit":            {"", kind, good + "&x=" + strings.Repeat("x", 64<<10-len(good)-3), 200},
			"a byte over the limit":           {"", kind, good + "&x=" + strings.Repeat("x", 64<<10-len(good)-2), 413},
			"a megabyte":                      {"", kind, good + "&x=" + strings.Repeat("x", 1<<20), 413},
			"a megabyte of another type":      {"", "text/plain", strings.Repeat("x", 1<<20), 400},
			"bytes that are no text":          {"", kind, good + "&x=%ff%00%fe", 200},
			"a name that is no text":          {"", kind, good + "&%ff%00=x", 200},
			"a line end in a value":           {"", kind, good + "&client_id=a%0d%0ab", 401},
			"compressed, as far as it says":   {"", kind, "\x1f\x8b\x08\x00\x00", 400},
			"a grant type in the wrong case":  {"", kind, "GRANT_TYPE=client_credentials&Token=x", 400},
			"values with + for spaces":        {"", kind, good + "&x=a+b", 200},
			"a byte order mark":               {"", kind, "\ufeff" + good, 400},
			"parameters that are cut in half": {"", kind, "token", 400},
		} {
			r := httptest.NewRequest("POST", path+"?"+tt.query, strings.NewReader(tt.body))
			r.Header.Set("Authorization", basic("reports"))
			if tt.kind != "" {
				r.Header.Set("Content-Type", tt.kind)
			}
			got := d.send(r)
			if got.status != tt.status {
				t.Errorf("POST %s %s = %d %s, want %d", path, name, got.status, got.body, tt.status)
			}
			if got.status == 400 && got.error() != "invalid_request" || got.status == 413 && got.error() != "invalid_request" || got.status == 401 && got.error() != "invalid_client" {
				t.Errorf("POST %s %s = %s, want invalid_request", path, name, got.body)
			}
		}
	}
}

// TestBodyWithoutLength: the limit counts what comes, not what is announced; that of the guard counts as well.
func TestBodyWithoutLength(t *testing.T) {
	for name, tt := range map[string]struct {
		most int64
		size int
		want int
	}{
		"small": {0, 100, 200}, "over our limit": {0, 70_000, 413}, "over the guard's": {1000, 2000, 413}, "over both": {1000, 70_000, 413}, "under a large one": {1 << 20, 1000, 200},
	} {
		d := newDesk(t, setting{guard: func(c *guard.Config) { c.MaxBody = tt.most }})
		r := httptest.NewRequest("POST", "/oauth/token", struct{ *strings.Reader }{strings.NewReader("grant_type=client_credentials&x=" + strings.Repeat("x", tt.size))})
		r.ContentLength = -1
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", basic("reports"))
		if got := d.send(r); got.status != tt.want || got.status == 413 && d.log.line("access.status=413", "access.reason=body_too_large") == "" {
			t.Errorf("%s = %d %s, want %d, and the log to say so:\n%s", name, got.status, got.body, tt.want, d.log)
		}
	}
}

// TestBodyThatBreaksOff: a body that does not come to its end is the sender's fault, and what it held is nobody's business.
func TestBodyThatBreaksOff(t *testing.T) {
	d := newDesk(t, setting{})
	for path := range forms {
		r := httptest.NewRequest("POST", path, brokenOff{})
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", basic("reports"))
		if got := d.send(r); !got.is(400, "invalid_request") {
			t.Errorf("POST %s with half a body = %d %s, want 400 invalid_request", path, got.status, got.body)
		}
	}
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, errAway }

// TestUnknownGrant: what is not offered is said to be so.
func TestUnknownGrant(t *testing.T) {
	d := newDesk(t, setting{})
	for _, grant := range []string{"password", "authorization_code", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange",
		"CLIENT_CREDENTIALS", " client_credentials", "client_credentials\x00", "refresh"} {
		if got := d.post("/oauth/token", basic("reports"), form{"grant_type", grant, "username", "jack", "password", "x"}); !got.is(400, "unsupported_grant_type") {
			t.Errorf("grant %q = %d %s, want 400 unsupported_grant_type", grant, got.status, got.body)
		}
	}
}
