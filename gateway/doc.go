// Package gateway puts a guard in front of applications in any language: as a reverse proxy, and as the server that another proxy asks.
//
//	proxy, err := gateway.NewProxy(gateway.ProxyConfig{
//		Guard:     g,
//		Upstreams: []gateway.Upstream{{Name: "films", URL: filmsURL}},
//	})
//	http.ListenAndServe(addr, proxy)
//
// What was judged is what is forwarded: the canonical path and host, and the query to the byte. Identity headers, whatever looks like one to
// a CGI-like upstream, forwarding headers and method overrides that came from outside are removed, and so is the credential. The guard's own cookies never
// reach an upstream, nor can it set them. An upstream that is down is 502, one that is slow 504.
//
// [ForwardAuth] answers nginx, Caddy, Traefik, Envoy and HAProxy. It believes forwarded headers of trusted proxies only, and answers 403 to
// everybody else and to every question that is incomplete.
package gateway
