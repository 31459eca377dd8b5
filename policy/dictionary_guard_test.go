package policy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

var _ guard.BatchPolicy = (*policy.Dictionary)(nil)

// behindGuard is a site whose paths need the permission of the same name. Its tokens are names.
func behindGuard(t testing.TB, d *policy.Dictionary) http.Handler {
	t.Helper()
	var list []policy.Rule
	for _, name := range []string{"public", "protected", "welcome"} {
		list = append(list, policy.Rule{Path: "/" + name, Allow: policy.Permission(name)})
	}
	g, err := guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Token", carrier.Verified)}, Policy: d,
		Rules: newTable(t, policy.Config{Rules: list}), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, gatehouse.FromContext(r.Context()).Subject)
	}))
}

// status is the answer to GET path by the user called who.
func status(site http.Handler, who, path string) int {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if who != "" {
		r.Header.Set("Authorization", "Token "+who)
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	return w.Code
}

// TestDictionaryBehindGuard asks whole requests: a change of the dictionary counts for the next one with the same credential.
func TestDictionaryBehindGuard(t *testing.T) {
	d := newDictionary(t, cinema())
	site := behindGuard(t, d)
	want := func(when, who, path string, code int) {
		t.Helper()
		if got := status(site, who, path); got != code {
			t.Errorf("%s: GET %s by %q = %d, want %d", when, path, who, got, code)
		}
	}
	for _, row := range []struct {
		who, path string
		code      int
	}{
		{"jack", "/public", 200}, {"jack", "/protected", 200}, {"devin", "/public", 200}, {"devin", "/protected", 403}, {"ann", "/protected", 200},
		{"nobody", "/public", 403}, {"", "/public", 401}, {"", "/protected", 401}, {"", "/welcome", 200}, {"devin", "/welcome", 200},
		{"ghost", "/public", 401}, {"mallory", "/public", 401}, {"mallory", "/welcome", 401}, {"Jack", "/public", 401}, {"'--", "/public", 401}, {"ann", "/elsewhere", 404},
	} {
		want("at first", row.who, row.path, row.code)
	}
	for _, step := range []struct {
		name      string
		user      policy.User
		protected int
	}{
		{"without the permission", policy.User{Permissions: []string{"public"}}, 403},
		{"as a superuser", policy.User{Superuser: true}, 200},
		{"disabled", policy.User{Superuser: true, Disabled: true}, 401},
		{"enabled again", policy.User{Permissions: []string{"protected"}}, 200},
	} {
		if err := d.Set("jack", step.user); err != nil {
			t.Fatal(err)
		}
		want(step.name, "jack", "/protected", step.protected)
	}
	d.Remove("jack")
	want("removed", "jack", "/protected", 401)
}

// ExampleNewDictionary asks for two users, one who was disabled, a stranger, and somebody who has proved nothing.
func ExampleNewDictionary() {
	users, err := policy.NewDictionary(policy.DictionaryConfig{
		Users: map[string]policy.User{
			"devin": {Permissions: []string{"films.read"}},
			"jack":  {Permissions: []string{"films.*"}},
			"ghost": {Permissions: []string{"films.*"}, Disabled: true},
		},
		Anonymous: []string{"trailers.see"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, name := range []string{"devin", "jack", "ghost", "mallory", ""} {
		p, err := users.Resolve(ctx, gatehouse.Identity{Value: name})
		if name != "" && err != nil {
			fmt.Println(name, "-", err)
			continue
		}
		answers, err := users.PermitsEach(ctx, p, []string{"trailers.see", "films.read", "films.delete"}, nil)
		fmt.Println(p.Kind, name, answers, err)
	}
	// Output:
	// user devin [true true false] <nil>
	// user jack [true true true] <nil>
	// ghost - bad credential: disabled
	// mallory - bad credential: no such user
	// anonymous  [true false false] <nil>
}

// The users of a Dictionary change while it is in use: each line is the next request with the same credential.
func ExampleDictionary() {
	var users policy.Dictionary
	ask := func(when string) {
		p, err := users.Resolve(context.Background(), gatehouse.Identity{Value: "jack"})
		if err != nil {
			fmt.Println(when, "-", err)
			return
		}
		ok, err := users.Permits(context.Background(), p, "films.delete", nil)
		fmt.Println(when, "-", ok, err)
	}
	ask("at first")
	fmt.Println(users.Set("jack", policy.User{Permissions: []string{"films.*"}}))
	ask("set")
	fmt.Println(users.Update("jack", func(u *policy.User) { u.Disabled = true }))
	ask("disabled")
	jack, ok := users.User("jack")
	fmt.Println(jack.Permissions, jack.Disabled, ok)
	users.Remove("jack")
	ask("removed")
	fmt.Println(users.Set("jack", policy.User{Permissions: []string{"delete films"}}))
	// Output:
	// at first - bad credential: no such user
	// <nil>
	// set - true <nil>
	// <nil>
	// disabled - bad credential: disabled
	// [films.*] true true
	// removed - bad credential: no such user
	// user "jack": "delete films" is not a permission: write films.read, films.* or *
}

// Members may edit films, but only their own; who has the role editor may edit all of them.
func ExampleCheck() {
	type Film struct{ Title, Owner string }
	users, err := policy.NewDictionary(policy.DictionaryConfig{
		Roles:       policy.RoleList("member", "editor"),
		Permissions: policy.Permissions{"member": {"films.edit"}},
		Users:       map[string]policy.User{"ann": {Roles: []string{"member"}}, "jack": {Roles: []string{"member"}}, "eve": {Roles: []string{"editor"}}, "guest": {}},
		Check: func(_ context.Context, p gatehouse.Principal, permission string, resource any) (bool, error) {
			film, ok := resource.(Film)
			switch {
			case !ok:
				return false, errors.New("the rule knows films only")
			case permission == "films.edit":
				return film.Owner == p.Subject || strings.Join(p.Roles, " ") == "editor", nil
			}
			return true, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	film := Film{"Jaws", "ann"}
	for _, name := range []string{"ann", "jack", "eve", "guest"} {
		p := gatehouse.Principal{Subject: name, Kind: gatehouse.KindUser}
		ok, err := users.Permits(context.Background(), p, "films.edit", film)
		fmt.Println(name, ok, err)
	}
	// Output:
	// ann true <nil>
	// jack false <nil>
	// eve true <nil>
	// guest false <nil>
}
