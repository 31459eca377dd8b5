package gateway_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
)

func TestSmoke(t *testing.T) {
	g, err := guard.TokenAuth(func(_ context.Context, token string) (gatehouse.Identity, error) {
		if token != "token1" {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.Identity{Value: "jack"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.RequestURI+"\n")
		r.Header.Write(w)
	}))
	defer app.Close()
	u, _ := url.Parse(app.URL)
	p, err := gateway.NewProxy(gateway.ProxyConfig{Guard: g, Upstreams: []gateway.Upstream{{Name: "app", URL: u}}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(p)
	defer front.Close()
	req, _ := http.NewRequest("GET", front.URL+"/%73ecret%40?a=1;b=2", nil)
	req.Header.Set("Authorization", "Token token1")
	req.Header["Remote_User"] = []string{"admin"}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	t.Log(resp.Status, string(b))
	if !strings.HasPrefix(string(b), "/secret%40?a=1;b=2\n") || !strings.Contains(string(b), "Remote-User: jack") || strings.Contains(string(b), "token1") || strings.Contains(string(b), "admin") {
		t.Error("not as judged")
	}
}
