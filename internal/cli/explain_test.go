package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ask runs "explain --request" with a token against the admin listener at url.
func ask(t *testing.T, url string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	args := []string{"explain", "--request", "ID", "--admin", strings.TrimPrefix(url, "http://"), "--token", "planted-admin-token"}
	code = Run(context.Background(), args, nil, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestExplainTakesTheTokenNowhereElse(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the question went on to %s%s with %v, want it to stay", r.Host, r.URL, r.Header)
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		admin := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/steal", status))
		code, stdout, stderr := ask(t, admin.URL)
		admin.Close()
		if code != exitFail || stdout != "" || !strings.Contains(stderr, http.StatusText(status)) {
			t.Errorf("explain --request, answered %d = code %d, %q, %q, want code %d and the status", status, code, stdout, stderr, exitFail)
		}
	}
	for _, address := range []string{"127.0.0.1:9901", "admin.example.org:9901", "unix:admin.sock"} {
		client, _ := adminAt(address)
		// net/http reads the environment's proxies once in a process, and never uses them for this machine: so look, and do not ask.
		if transport, ok := client.Transport.(*http.Transport); !ok || transport.Proxy != nil {
			t.Errorf("adminAt(%q) asks by way of the environment's proxy, want the listener itself", address)
		}
	}
}

func TestExplainRefusesAnswersOfOthers(t *testing.T) {
	for _, answer := range []string{"", "{}", "[]", "null", "<html>", `{"status":"ok"}`, `{"decision":`} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
		code, stdout, stderr := ask(t, other.URL)
		other.Close()
		if code != exitFail || stdout != "" || !strings.Contains(stderr, "not the admin listener") {
			t.Errorf("explain --request, answered %q = code %d, %q, %q, want code %d and what is wrong", answer, code, stdout, stderr, exitFail)
		}
	}
}
