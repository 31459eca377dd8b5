package e2e

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// This file acts as Envoy does with deploy/envoy/envoy.yaml. The contract, read from Envoy's sources and documentation
// (v3 API, ext_authz over HTTP):
//
//   - The connection manager runs the early header mutations first, then appends the peer to X-Forwarded-For
//     (use_remote_address) and sets X-Forwarded-Proto. It drops fields with "_" (DROP_HEADER), resolves dot segments
//     (normalize_path), and answers 400 to a path with %2F or %5C (REJECT_REQUEST). Connection is its own: it is
//     removed, and only a WebSocket upgrade passes.
//   - ext_authz asks in the method of the request, for its Host, with path_prefix in front of its path and query, with
//     Content-Length 0, Authorization and the fields of allowed_headers; a field that is there twice goes once, joined
//     by commas, Cookie by semicolons. The HTTP client appends an address of Envoy's own machine to X-Forwarded-For.
//   - 200, and only 200, lets pass: the fields of allowed_upstream_headers are set from the answer. A 5xx, no answer and
//     a timeout give status_on_error with failure_mode_allow false. Every other status goes to the client with its body,
//     WWW-Authenticate, Location and the fields of allowed_client_headers.
//   - request_headers_to_remove of the routes is done by the router, after the question.

// at walks down the file: a string is a key, an int is a place in a list.
func at(t *testing.T, tree any, way ...any) any {
	t.Helper()
	for _, step := range way {
		switch step := step.(type) {
		case string:
			node, ok := tree.(map[string]any)
			if !ok || node[step] == nil {
				t.Fatalf("deploy/envoy/envoy.yaml has no %q in %v", step, way)
			}
			tree = node[step]
		case int:
			tree = tree.([]any)[step]
		}
	}
	return tree
}

// An envoy is what the fixture reads from the sample.
type envoy struct {
	early, removed            []string // fields removed before the question, and after
	allowed, upstream, client []string // patterns of allowed_headers, allowed_upstream_headers, allowed_client_headers
	prefix                    string
	auth, app                 *url.URL
}

// words reads a list of {key: word} or of words. A pattern "prefix" ends with "*".
func words(list any) []string {
	var found []string
	for _, entry := range list.([]any) {
		switch entry := entry.(type) {
		case string:
			found = append(found, entry)
		case map[string]any:
			for kind, word := range entry {
				found = append(found, word.(string)+map[string]string{"prefix": "*"}[kind])
			}
		}
	}
	return found
}

func readEnvoy(t *testing.T, p places) *envoy {
	var file map[string]any
	// Address and port stand apart in this sample, so there is nothing to replace.
	decodeYAML(t, sample(t, t.TempDir(), "envoy/envoy.yaml", p), &file)
	manager := at(t, file, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config")
	ask := at(t, manager, "http_filters", 0, "typed_config")
	for key, value := range map[string]any{"normalize_path": true, "path_with_escaped_slashes_action": "REJECT_REQUEST", "use_remote_address": true} {
		if got := at(t, manager, key); got != value {
			t.Fatalf("%s is %v, want %v", key, got, value)
		}
	}
	if ask.(map[string]any)["failure_mode_allow"] != false {
		t.Fatal("failure_mode_allow must be written out as false")
	}
	if action := at(t, manager, "common_http_protocol_options", "headers_with_underscores_action"); action != "DROP_HEADER" {
		t.Fatalf("headers_with_underscores_action is %v, want DROP_HEADER", action)
	}
	service := at(t, ask, "http_service")
	return &envoy{
		early:    words(at(t, manager, "early_header_mutation_extensions", 0, "typed_config", "mutations")),
		removed:  words(at(t, manager, "route_config", "request_headers_to_remove")),
		allowed:  words(at(t, ask, "allowed_headers", "patterns")),
		upstream: words(at(t, service, "authorization_response", "allowed_upstream_headers", "patterns")),
		client:   words(at(t, service, "authorization_response", "allowed_client_headers", "patterns")),
		prefix:   at(t, service, "path_prefix").(string),
		auth:     &url.URL{Scheme: "http", Host: p.auth}, app: &url.URL{Scheme: "http", Host: p.app},
	}
}

// names reports whether one of the patterns names the field.
func names(patterns []string, field string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		prefix, isPrefix := strings.CutSuffix(pattern, "*")
		return isPrefix && strings.HasPrefix(strings.ToLower(field), prefix) || strings.EqualFold(pattern, field)
	})
}

var escapedSlash = regexp.MustCompile(`(?i)%2f|%5c`)

func startEnvoy(t *testing.T, p places) string {
	e := readEnvoy(t, p)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func (e *envoy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.RequestURI, "/") || r.Method == http.MethodConnect || escapedSlash.MatchString(r.URL.EscapedPath()) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !r.ProtoAtLeast(1, 1) {
		w.WriteHeader(http.StatusUpgradeRequired) // accept_http_10 is off by default
		return
	}
	e.manage(r)
	target := normalized(r)
	response, err := http.DefaultTransport.RoundTrip(e.question(r, target))
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil || response.StatusCode >= 500 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if response.StatusCode != http.StatusOK {
		e.refuse(w, response, body)
		return
	}
	for name, values := range response.Header {
		if names(e.upstream, name) {
			r.Header[name] = values
		}
	}
	maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return names(e.removed, name) })
	r.URL, _ = url.ParseRequestURI(target)
	forwardTo(e.app).ServeHTTP(w, r)
}

// manage is the connection manager.
func (e *envoy) manage(r *http.Request) {
	upgrade := strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(strings.Join(r.Header["Connection"], ",")), "upgrade")
	maps.DeleteFunc(r.Header, func(name string, _ []string) bool {
		return names(e.early, name) || strings.Contains(name, "_")
	})
	r.Header.Del("Connection")
	if upgrade {
		r.Header.Set("Connection", "Upgrade")
	} else {
		r.Header.Del("Upgrade")
	}
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	r.Header.Add("X-Forwarded-For", ip)
	r.Header.Set("X-Forwarded-Proto", "http")
}

// normalized resolves dot segments, also those with escaped dots, and leaves everything else as it came.
func normalized(r *http.Request) string {
	raw, query, hasQuery := strings.Cut(r.RequestURI, "?")
	dotted := regexp.MustCompile(`(?i)%2e`).ReplaceAllString(raw, ".")
	if regexp.MustCompile(`/\.\.?(/|$)`).MatchString(dotted) {
		raw = path.Clean(dotted)
	}
	if hasQuery {
		return raw + "?" + query
	}
	return raw
}

func (e *envoy) question(r *http.Request, target string) *http.Request {
	q := (&http.Request{Method: r.Method, URL: &url.URL{Scheme: "http", Host: e.auth.Host, Opaque: e.prefix + target}, Host: r.Host, Header: http.Header{}}).WithContext(r.Context())
	for name, values := range r.Header {
		if name == "Authorization" || names(e.allowed, name) {
			q.Header.Set(name, strings.Join(values, map[bool]string{true: "; ", false: ","}[name == "Cookie"]))
		}
	}
	q.Header.Set("X-Forwarded-For", q.Header.Get("X-Forwarded-For")+",127.0.0.1")
	q.Header.Set("X-Envoy-Internal", "true")
	q.Header.Set("Content-Length", "0")
	return q
}

func (e *envoy) refuse(w http.ResponseWriter, response *http.Response, body []byte) {
	for name, values := range response.Header {
		if name == "Www-Authenticate" || name == "Location" || names(e.client, name) {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(response.StatusCode)
	w.Write(body)
}
