package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// IdentityHeaders are the names under which an upstream is told who the caller is. Empty names are filled in by the defaults
// Remote-User, Remote-Groups and Remote-Email.
type IdentityHeaders struct{ User, Groups, Email string }

func (h IdentityHeaders) withDefaults() (IdentityHeaders, error) {
	for i, f := range []*string{&h.User, &h.Groups, &h.Email} {
		if *f == "" {
			*f = []string{"Remote-User", "Remote-Groups", "Remote-Email"}[i]
		}
		*f = textproto.CanonicalMIMEHeaderKey(*f)
		if folded := carrier.FoldName(*f); folded != *f || isFromOutside(folded) || reserved[folded] {
			return h, fmt.Errorf("gateway: %q cannot carry an identity: choose a name such as Remote-User", *f)
		}
	}
	if h.User == h.Groups || h.User == h.Email || h.Groups == h.Email {
		return h, errors.New("gateway: the identity headers need three different names")
	}
	return h, nil
}

// set tells h who p is. With empty, all three are set also where there is nothing to say, for proxies that would otherwise leave the client's own.
func (h IdentityHeaders) set(header http.Header, p gatehouse.Principal, roles policy.Roles, empty bool) error {
	groups := strings.Join(roles.Known(p.Roles), ",")
	fields := [...]struct{ name, value string }{{h.User, p.Subject}, {h.Groups, groups}, {h.Email, p.Email}}
	for _, f := range fields {
		if !isFieldValue(f.value) {
			return fmt.Errorf("the principal's %s cannot travel in a header", f.name)
		}
	}
	values := make([]string, 0, 3) // one allocation for the three of them
	for _, f := range fields {
		if f.value != "" || empty {
			values = append(values, f.value)
			header[f.name] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	return nil
}

// isFieldValue refuses what a receiver would read as something else: control characters, broken text, and space around that it trims.
func isFieldValue(s string) bool {
	return strings.TrimSpace(s) == s && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// outsiders are fields by which a client could pretend to be a proxy, another client or another request. They are removed, and those that
// an upstream needs are written anew. "Proxy" is CVE-2016-5385; the two of framing are here for their aliases, since net/http writes its own.
var outsiders = nameSet(
	"content-length", "transfer-encoding", "http2-settings", "forwarded", "x-forwarded",
	"x-real-ip", "x-client-ip", "client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip", "fastly-client-ip",
	"x-original-url", "x-original-uri", "x-original-method", "x-original-host", "x-original-forwarded-for", "x-rewrite-url",
	"x-http-method-override", "x-http-method", "x-method-override", "x-http-host-override", "x-host", "x-request-id",
	"proxy", "proxy-connection", "proxy-authorization", "proxy-authenticate",
)

// reserved are names whose fields mean something else to whoever reads the message, or never arrive. With those of [outsiders] they cannot
// carry an identity.
var reserved = nameSet(
	"host", "connection", "keep-alive", "upgrade", "te", "trailer", "expect", "date", "range", "authorization", "cookie", "set-cookie", "www-authenticate",
	"content-type", "content-encoding", "cache-control", "location", "retry-after", "x-gatehouse-code",
)

// nameSet returns the set of the names in the form of [carrier.FoldName].
func nameSet(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[carrier.FoldName(name)] = true
	}
	return set
}

// isFromOutside reports whether the folded name belongs to a field that never passes as the client sent it.
func isFromOutside(folded string) bool {
	return strings.HasPrefix(folded, "X-Forwarded-") || outsiders[folded]
}

// isManaged reports whether the folded name is one of h's.
func (h IdentityHeaders) isManaged(folded string) bool {
	return folded == h.User || folded == h.Groups || folded == h.Email
}

// clean removes what must not come from outside from header or trailer fields.
func (h IdentityHeaders) clean(fields http.Header) {
	for name := range fields {
		if folded := carrier.FoldName(name); h.isManaged(folded) || isFromOutside(folded) {
			delete(fields, name)
		}
	}
}
