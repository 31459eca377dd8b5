package gateway

import (
	"net/http"
	"strings"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
)

// removeCookies takes the guard's own cookies out of a request that is forwarded, and leaves the others as they are.
func removeCookies(h http.Header, g *guard.Guard) {
	if names := g.Cookies(); len(names) > 0 {
		carrier.RemoveCookie(h, names...)
	}
}

// dropCookies keeps an upstream from setting the guard's own cookies: who can set one signs visitors in as somebody else, or out.
func dropCookies(h http.Header, g *guard.Guard) {
	if names := g.Cookies(); len(names) > 0 {
		carrier.RemoveSetCookie(h, names...)
	}
}

// dropTrailingCookies removes cookies from what will follow a body. No browser takes them from there (RFC 9110, section 6.5.1), and nobody else should.
func dropTrailingCookies(h http.Header) {
	delete(h, "Set-Cookie") // an announced one; the header itself is gone out
	delete(h, http.TrailerPrefix+"Set-Cookie")
}

// An earlyWriter looks over informational answers (RFC 8297), which go to the client past everything that is done to the answer itself.
type earlyWriter struct {
	http.ResponseWriter
	guard *guard.Guard
}

// Unwrap serves [http.ResponseController].
func (w *earlyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (w *earlyWriter) WriteHeader(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols {
		dropCookies(w.Header(), w.guard)
	}
	w.ResponseWriter.WriteHeader(status)
}

// othersCookies returns the Cookie field that an application may get: without the guard's own cookies, as one line (RFC 9113, section 8.2.3).
func othersCookies(h http.Header, g *guard.Guard) string {
	rest := http.Header{"Cookie": append([]string(nil), h["Cookie"]...)}
	removeCookies(rest, g)
	return strings.Join(rest["Cookie"], "; ")
}

// asWebSocket returns h with the Upgrade field of a WebSocket handshake that a proxy asks about. Proxies leave that field out of the question, where it
// would mean the question's own connection, and without it the guard would take the handshake for a mere GET, which other sites may cause.
func asWebSocket(h http.Header) http.Header {
	if len(h["Sec-Websocket-Key"])+len(h["Sec-Websocket-Version"]) == 0 {
		return h
	}
	h = h.Clone()
	h["Upgrade"] = append(h["Upgrade"], "websocket")
	return h
}
