package e2e

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// This file acts as Traefik v3 does with deploy/traefik/dynamic.yml. The contract, read from Traefik's sources and
// documentation of 2026:
//
//   - The entry point deletes the client's X-Forwarded-* and X-Real-Ip, with their underscore spellings, unless the peer
//     is one of forwardedHeaders.trustedIPs, and writes X-Real-Ip, X-Forwarded-Proto, -Port, -Host and -Server anew. It
//     removes the fields that Connection names, except those, and Connection itself, before any middleware runs.
//   - The headers middleware deletes a field whose value in customRequestHeaders is empty. Names are compared in their
//     canonical form: case does not count, "_" and "." do.
//   - forwardAuth asks by GET without a body, with every field of the request (authRequestHeaders unset). With
//     trustForwardHeader false it replaces X-Forwarded-For, -Method, -Proto, -Port, -Host and -Uri. It does not follow
//     redirects and waits for 30 s.
//   - An answer outside 200 to 299 goes to the client with its fields and body. A body longer than maxResponseBodySize
//     is 401; no answer is 500.
//   - After a 2xx each field of authResponseHeaders is deleted from the request and set from the answer, if it is there.

// A traefikFile is the part of the dynamic configuration that the sample uses. Unknown keys fail the test.
type traefikFile struct {
	HTTP struct {
		Routers map[string]struct {
			Rule        string   `yaml:"rule"`
			EntryPoints []string `yaml:"entryPoints"`
			Middlewares []string `yaml:"middlewares"`
			Service     string   `yaml:"service"`
		} `yaml:"routers"`
		Middlewares map[string]traefikMiddleware `yaml:"middlewares"`
		Services    map[string]struct {
			LoadBalancer struct {
				Servers []struct {
					URL string `yaml:"url"`
				} `yaml:"servers"`
			} `yaml:"loadBalancer"`
		} `yaml:"services"`
	} `yaml:"http"`
}

type traefikMiddleware struct {
	Chain *struct {
		Middlewares []string `yaml:"middlewares"`
	} `yaml:"chain"`
	Headers *struct {
		CustomRequestHeaders map[string]string `yaml:"customRequestHeaders"`
	} `yaml:"headers"`
	ForwardAuth *struct {
		Address             string   `yaml:"address"`
		TrustForwardHeader  *bool    `yaml:"trustForwardHeader"`
		AuthResponseHeaders []string `yaml:"authResponseHeaders"`
		MaxResponseBodySize int64    `yaml:"maxResponseBodySize"`
	} `yaml:"forwardAuth"`
}

// managed are the fields that Traefik's entry point takes for its own.
var managed = []string{
	"X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Uri",
	"X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", "X-Scheme", "X-Real-Ip",
}

func isManaged(name string) bool {
	return slices.Contains(managed, textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-")))
}

// decodeSample reads a YAML file of deploy/ into file, with the addresses of the sample replaced. Keys are compared
// without regard to case, and a key that file does not know fails the test.
func decodeSample(t *testing.T, name string, p places, file any) {
	t.Helper()
	decodeYAML(t, sample(t, t.TempDir(), name, p, "127.0.0.1:8080", p.auth, "127.0.0.1:9000", p.app), file)
}

func decodeYAML(t *testing.T, path string, file any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Load(data, file, yaml.WithKnownFields()); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// startTraefik serves the sample's router as Traefik would.
func startTraefik(t *testing.T, p places) string {
	var file traefikFile
	decodeSample(t, "traefik/dynamic.yml", p, &file)
	router := file.HTTP.Routers["app"]
	if router.Rule != "PathPrefix(`/`)" || len(file.HTTP.Routers) != 1 {
		t.Fatalf("the router matches %q: the sample must guard every path", router.Rule)
	}
	app, err := url.Parse(file.HTTP.Services[router.Service].LoadBalancer.Servers[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	handler := traefikExit(forwardTo(app))
	for _, name := range slices.Backward(router.Middlewares) {
		handler = file.middleware(t, name, handler)
	}
	server := httptest.NewServer(traefikEntry(handler))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// traefikEntry is the entry point.
func traefikEntry(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return isManaged(name) })
		ip, _, _ := net.SplitHostPort(r.RemoteAddr)
		r.Header.Set("X-Real-Ip", ip)
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("X-Forwarded-Port", "80")
		r.Header.Set("X-Forwarded-Host", r.Host)
		r.Header.Set("X-Forwarded-Server", "traefik")
		upgrade := ""
		for _, line := range r.Header["Connection"] {
			for word := range strings.SplitSeq(line, ",") {
				word = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(word))
				if word == "Upgrade" {
					upgrade = r.Header.Get("Upgrade")
				} else if !isManaged(word) {
					r.Header.Del(word)
				}
			}
		}
		r.Header.Del("Connection")
		if upgrade != "" {
			r.Header.Set("Connection", "Upgrade")
		}
		next.ServeHTTP(w, r)
	})
}

// traefikExit appends the client's address, on the way out.
func traefikExit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ip, _, _ := net.SplitHostPort(r.RemoteAddr)
		r.Header.Set("X-Forwarded-For", strings.Join(append(r.Header["X-Forwarded-For"], ip), ", "))
		next.ServeHTTP(w, r)
	})
}

// middleware builds one middleware of the file around next.
func (f *traefikFile) middleware(t *testing.T, name string, next http.Handler) http.Handler {
	m, ok := f.HTTP.Middlewares[name]
	switch {
	case !ok:
		t.Fatalf("the file has no middleware %q", name)
	case m.Chain != nil:
		for _, inner := range slices.Backward(m.Chain.Middlewares) {
			next = f.middleware(t, inner, next)
		}
	case m.Headers != nil:
		return traefikHeaders(m.Headers.CustomRequestHeaders, next)
	case m.ForwardAuth != nil:
		return m.forwardAuth(t, next)
	default:
		t.Fatalf("middleware %q is of a kind that this fixture does not know", name)
	}
	return next
}

func traefikHeaders(custom map[string]string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range custom {
			if value == "" {
				r.Header.Del(name)
			} else {
				r.Header.Set(name, value)
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (m traefikMiddleware) forwardAuth(t *testing.T, next http.Handler) http.Handler {
	c := m.ForwardAuth
	if c.TrustForwardHeader == nil || *c.TrustForwardHeader {
		t.Fatal("trustForwardHeader must be written out as false")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := client.Do(traefikQuestion(r, c.Address))
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, c.MaxResponseBodySize+1))
		if err != nil || int64(len(body)) > c.MaxResponseBodySize {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if response.StatusCode < 200 || response.StatusCode > 299 {
			maps.Copy(w.Header(), response.Header)
			w.WriteHeader(response.StatusCode)
			w.Write(body)
			return
		}
		for _, name := range c.AuthResponseHeaders {
			r.Header.Del(name)
			if values := response.Header.Values(name); len(values) > 0 {
				r.Header[textproto.CanonicalMIMEHeaderKey(name)] = values
			}
		}
		next.ServeHTTP(w, r)
	})
}

// traefikQuestion is what Traefik asks about r.
func traefikQuestion(r *http.Request, address string) *http.Request {
	q, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, address, nil)
	q.Header = r.Header.Clone()
	for _, name := range []string{"Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade"} {
		q.Header.Del(name)
	}
	maps.DeleteFunc(q.Header, func(name string, _ []string) bool { return isManaged(name) })
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	q.Header.Set("X-Forwarded-For", ip)
	q.Header.Set("X-Forwarded-Method", r.Method)
	q.Header.Set("X-Forwarded-Proto", "http")
	q.Header.Set("X-Forwarded-Port", "80")
	q.Header.Set("X-Forwarded-Host", r.Host)
	q.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
	return q
}

// forwardTo is the way to the application, for both fixtures: target and fields as they are. Go's proxy would remove
// some fields by itself, which neither Traefik nor Envoy does.
func forwardTo(app *url.URL) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = app.Scheme, app.Host
		r.Out.URL.RawQuery = r.In.URL.RawQuery
		r.Out.Host = r.In.Host
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
			if values := r.In.Header.Values(name); len(values) > 0 {
				r.Out.Header[name] = values
			}
		}
	}}
}
