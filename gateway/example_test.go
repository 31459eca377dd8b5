package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
)

func ExampleNewProxy() {
	// The application knows nothing of tokens. It reads who is asking in a field that nobody but the proxy can set.
	films := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", r.Header.Get("Remote-User"))
	}))
	defer films.Close()
	address, err := url.Parse(films.URL)
	if err != nil {
		panic(err)
	}
	g, err := guard.TokenAuth(func(_ context.Context, token string) (gatehouse.Identity, error) {
		if token != "token1" {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.Identity{Value: "jack"}, nil
	})
	if err != nil {
		panic(err)
	}
	proxy, err := gateway.NewProxy(gateway.ProxyConfig{Guard: g, Upstreams: []gateway.Upstream{{Name: "films", URL: address}}})
	if err != nil {
		panic(err)
	}
	front := httptest.NewServer(proxy)
	defer front.Close()
	for _, token := range []string{"Token wrong", "Token token1"} {
		r, _ := http.NewRequest("GET", front.URL+"/films/7", nil)
		r.Header.Set("Authorization", token)
		r.Header.Set("Remote-User", "admin")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body = []byte("is for those who may")
		}
		fmt.Println(resp.StatusCode, string(body))
	}
	// Output:
	// 401 is for those who may
	// 200 hello jack
}

func ExampleTrustProxies() {
	trusted, err := gateway.TrustProxies("10.0.0.7", "10.1.0.0/16")
	fmt.Println(trusted.Trusts(netip.MustParseAddr("10.1.2.3")), trusted.Trusts(netip.MustParseAddr("10.2.0.1")), err)
	_, err = gateway.TrustProxies("0.0.0.0/0")
	fmt.Println(err)
	// A client that talks to the proxy 10.0.0.7 can write what it likes: the proxy appends the address that it saw itself.
	r := &http.Request{RemoteAddr: "10.0.0.7:4711", Header: http.Header{"X-Forwarded-For": {"127.0.0.1, 192.0.2.9"}}}
	fmt.Println(trusted.ClientAddr(r))
	// Output:
	// true false <nil>
	// 0.0.0.0/0: every client could then say who it is and where it comes from; list the proxies
	// 192.0.2.9
}
