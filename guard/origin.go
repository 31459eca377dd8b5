package guard

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/problem"
)

// crossOrigin keeps other sites from using what a browser sends by itself (CWE-352). It has no bypass patterns.
type crossOrigin struct {
	protection *http.CrossOriginProtection
	trusted    []string
}

// newCrossOrigin trusts origins, which [newCORS] has checked.
func newCrossOrigin(origins []string) crossOrigin {
	c := crossOrigin{http.NewCrossOriginProtection(), origins}
	for _, o := range origins {
		if err := c.protection.AddTrustedOrigin(o); err != nil {
			panic("guard: " + err.Error()) // cannot be: newCORS is stricter
		}
	}
	return c
}

var errPlainOrigin = errors.New("the page was not loaded over TLS, and the cookie is for TLS only")

// check returns why r must not count as meant by its sender, or nil. secure says that the credential travels over TLS only.
func (c crossOrigin) check(r *http.Request, secure bool) error {
	q := r
	if isWebSocket(r) && r.Method == http.MethodGet {
		asUnsafe := *r // a socket is good for more than reading, and no preflight guards it
		asUnsafe.Method = http.MethodPost
		q = &asUnsafe
	}
	if isSafe(q.Method) {
		return nil
	}
	origins := r.Header["Origin"]
	if len(origins) > 1 {
		return errors.New("more than one Origin")
	}
	if err := c.protection.Check(q); err != nil {
		return err
	}
	// CrossOriginProtection compares hosts where a browser does not send Sec-Fetch-Site, and leaves the scheme to HSTS. A browser that does send it has
	// compared the schemes.
	if r.Header.Get("Sec-Fetch-Site") == "" && len(origins) == 1 && (secure || r.TLS != nil) && strings.HasPrefix(origins[0], "http://") && !slices.Contains(c.trusted, origins[0]) {
		return errPlainOrigin
	}
	return nil
}

// isSafe reports whether a method is one that changes nothing (RFC 9110, section 9.2.1).
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// isWebSocket reports whether r opens a WebSocket (RFC 6455, section 4.1).
func isWebSocket(r *http.Request) bool {
	for _, value := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(value, ",") {
			name, _, _ := strings.Cut(protocol, "/")
			if strings.EqualFold(strings.Trim(name, " \t"), "websocket") {
				return true
			}
		}
	}
	return false
}

// checkOrigin refuses a request that another site has made with what the browser adds by itself. What the guard around has found, that one has checked.
func (g *Guard) checkOrigin(r *http.Request, v *Verdict) *problem.Problem {
	if !v.ambient && !v.unsaid {
		return nil
	}
	if err := g.origins.check(r, v.secure); err != nil {
		v.step(StageOrigin, "", "made by another site", err)
		return problem.Wrap(problem.CrossOrigin, err)
	}
	return nil
}

// checkOrigin refuses a request that another site has made and that is about to sign somebody in or out, or to change a visitor's session: there is no credential
// then that was checked before. An origin counts as trusted only if each guard around trusts it, since it may be a carrier of any of them that acts.
func (x *exchange) checkOrigin(r *http.Request) error {
	for y := x; y != nil; y = y.outer {
		if err := y.guard.origins.check(r, y.guard.secure()); err != nil {
			return problem.Wrap(problem.CrossOrigin, err)
		}
	}
	return nil
}

// secure reports whether a carrier hands out what travels over TLS only.
func (g *Guard) secure() bool {
	return slices.ContainsFunc(g.carriers, func(c namedCarrier) bool { return c.ambient && c.secure })
}
