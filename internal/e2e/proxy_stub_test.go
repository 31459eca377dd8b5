package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func startGatehouse(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(stub))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func stub(w http.ResponseWriter, r *http.Request) {
	dialect := strings.Split(r.URL.Path, "/")[2]
	method, uri := r.Header.Get("X-Forwarded-Method"), r.Header.Get("X-Forwarded-Uri")
	if dialect == "envoy" {
		method, uri = r.Method, strings.TrimPrefix(r.RequestURI, "/authz/envoy")
	} else {
		for _, n := range []string{"X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"} {
			if len(r.Header[n]) != 1 || strings.Contains(r.Header.Get(n), ",") {
				deny(w, dialect, 403, "bad_forward")
				return
			}
		}
	}
	path, _, _ := strings.Cut(uri, "?")
	low := strings.ToLower(path)
	for _, bad := range []string{"/..", "/./", "//", "%2e", "%2f", "%5c", "\\", "%00", "#", "*"} {
		if strings.Contains(low, bad) || !strings.HasPrefix(path, "/") {
			deny(w, dialect, 400, "non_canonical")
			return
		}
	}
	if plain, err := url.PathUnescape(path); err != nil || !utf8.ValidString(plain) || strings.HasSuffix(path, "/.") || len(r.Header.Get("X-Forwarded-Host")) == 0 {
		deny(w, dialect, 400, "non_canonical")
		return
	}
	if method == "CONNECT" || method == "TRACE" {
		deny(w, dialect, 405, "method")
		return
	}
	if len(r.Header["Authorization"])+len(r.Header["X-Api-Key"]) > 1 || strings.Contains(r.Header.Get("Authorization"), ",") {
		deny(w, dialect, 400, "invalid_request")
		return
	}
	user := map[string]string{"Bearer alice-token": "alice", "Bearer root-token": "root"}[r.Header.Get("Authorization")]
	if user == "" {
		user = map[string]string{"alice-token": "alice"}[r.Header.Get("X-API-Key")]
	}
	if !strings.HasPrefix(path, "/public/") && !(method == "OPTIONS" && path == "/preflight") {
		if user == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
			deny(w, dialect, 401, "credential_required")
			return
		}
		if strings.HasPrefix(path, "/admin") && user != "root" {
			deny(w, dialect, 403, "forbidden")
			return
		}
		if strings.HasPrefix(path, "/films/") && method == "PUT" {
			w.Header().Set("Allow", "GET")
			deny(w, dialect, 405, "method")
			return
		}
	}
	groups := map[string]string{"alice": "basic", "root": "admin"}[user]
	w.Header()["Remote-User"], w.Header()["Remote-Groups"], w.Header()["Remote-Email"] = []string{user}, []string{groups}, []string{""}
}

func deny(w http.ResponseWriter, dialect string, status int, code string) {
	if dialect == "nginx" && status != 401 {
		status = 403
	}
	if dialect == "nginx" {
		w.Header().Set("X-Gatehouse-Code", code)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"status":%d,"code":%q}`, status, code)
}
