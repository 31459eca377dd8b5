package guard

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// cors answers preflights and lets listed origins read answers (Fetch standard, section 3.2).
type cors struct{ origins []string }

// newCORS accepts exact origins only, in the form in which browsers send them: "*" and "null" could be anybody.
func newCORS(origins []string) (cors, error) {
	for _, o := range origins {
		if !isOrigin(o) {
			return cors{}, fmt.Errorf("%q is not an origin as a browser sends it: write scheme://host or scheme://host:port in lower case, "+
				"without wildcard, path and default port", o)
		}
	}
	return cors{slices.Clone(origins)}, nil
}

func isOrigin(o string) bool {
	u, err := url.Parse(o)
	if err != nil || u.Scheme+"://"+u.Host != o || u.Hostname() == "" || strings.Trim(u.Host, originChars) != "" {
		return false
	}
	port, defaults := u.Port(), map[string]string{"http": "80", "https": "443"}
	if _, err := strconv.ParseUint(port, 10, 16); port != "" && err != nil {
		return false
	}
	return defaults[u.Scheme] != "" && port != defaults[u.Scheme] && !strings.HasSuffix(u.Host, ":")
}

// originChars are those of host names in ASCII, IPv6 addresses and ports.
const originChars = "abcdefghijklmnopqrstuvwxyz0123456789-._[]:"

// isPreflight reports whether r is a preflight (Fetch standard, section 3.2.2), and not just any OPTIONS request.
func (c cors) isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) == 1 && len(r.Header["Access-Control-Request-Method"]) == 1
}

// allow lets r's origin read the answer if it is listed. Caches must keep the answers to different origins apart either way.
func (c cors) allow(h http.Header, r *http.Request) bool {
	if len(c.origins) == 0 {
		return false
	}
	h.Add("Vary", "Origin")
	values := r.Header["Origin"]
	if len(values) != 1 || !slices.Contains(c.origins, values[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", values[0])
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, X-Request-Id")
	return true
}

func (c cors) answer(w http.ResponseWriter, r *http.Request, methods []string) {
	h := w.Header()
	if c.allow(h, r) {
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		if wanted := strings.Join(r.Header["Access-Control-Request-Headers"], ", "); wanted != "" && len(wanted) < 1024 {
			h.Set("Access-Control-Allow-Headers", wanted)
		}
		h.Set("Access-Control-Max-Age", "600")
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}
