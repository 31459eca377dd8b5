package carrier_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// jackOnly knows one user, whose name and password RFC 7617 has not.
func jackOnly(_ context.Context, name, password string) (gatehouse.Identity, error) {
	if name != "jack" || password != "the password" {
		return gatehouse.Identity{}, gatehouse.ErrCredential
	}
	return gatehouse.Identity{Value: "u-1"}, nil
}

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

// TestBasic: what comes in, which name and password the look-up is asked for, and what becomes of it. Where nothing is asked, nothing is hashed.
func TestBasic(t *testing.T) {
	p1024 := strings.Repeat("p", 1024)
	for _, tt := range []struct {
		name   string
		values []string
		asked  []string // name and password; nil: the look-up is not asked
		want   string
	}{
		{"the example of RFC 7617", []string{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, []string{"Aladdin", "open sesame"}, "found"},
		{"the example with UTF-8", []string{"Basic dGVzdDoxMjPCow=="}, []string{"test", "123£"}, "found"},
		{"another case of the scheme", []string{"bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, []string{"Aladdin", "open sesame"}, "found"},
		{"several spaces", []string{"Basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ==  "}, []string{"Aladdin", "open sesame"}, "found"},
		{"a colon in the password", []string{basic("jack:a:b:c:")}, []string{"jack", "a:b:c:"}, "found"},
		{"an empty password", []string{basic("jack:")}, []string{"jack", ""}, "found"},
		{"spaces", []string{basic(" jack : x ")}, []string{" jack ", " x "}, "found"},
		{"letters of all kinds", []string{basic("jäck:пароль\U0001F511")}, []string{"jäck", "пароль\U0001F511"}, "found"},
		{"a password of 1024 bytes", []string{basic("jack:" + p1024)}, []string{"jack", p1024}, "found"},
		{"a long name", []string{basic(strings.Repeat("n", 5000) + ":x")}, []string{strings.Repeat("n", 5000), "x"}, "found"},

		{"nothing", nil, nil, "nothing"},
		{"an empty header", []string{""}, nil, "other scheme"},
		{"another scheme", []string{"Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, nil, "other scheme"},
		{"a longer scheme", []string{"Basics QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, nil, "other scheme"},
		{"None", []string{"None"}, nil, "other scheme"},
		{"two", []string{basic("a:b"), basic("a:b")}, nil, "duplicate"},
		{"the scheme alone", []string{"Basic"}, nil, "malformed"},
		{"a tab", []string{"Basic\tYTpi"}, nil, "malformed"},
		{"two words", []string{"Basic YTpi YTpi"}, nil, "malformed"},
		{"a list", []string{"Basic YTpi,YTpi"}, nil, "malformed"},
		{"plain text", []string{"Basic jack:password"}, nil, "malformed"},
		{"no base64", []string{"Basic !!!!"}, nil, "malformed"},
		{"base64 without padding", []string{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"}, nil, "malformed"},
		{"base64 with more padding", []string{"Basic YTpi===="}, nil, "malformed"},
		{"base64 of URLs", []string{"Basic dGVzdDoxMjPCow-_"}, nil, "malformed"},
		{"another spelling of the last bits", []string{"Basic dGVzdDoxMjPCox=="}, nil, "malformed"},
		{"no colon", []string{basic("jack")}, nil, "malformed"},
		{"nothing but padding", []string{"Basic ===="}, nil, "malformed"},
		{"Latin-1", []string{basic("jack:123\xa3")}, nil, "malformed"},
		{"an overlong form", []string{basic("jack:\xc0\xba")}, nil, "malformed"},
		{"a NUL in the password", []string{basic("jack:a\x00b")}, nil, "malformed"},
		{"a NUL in the name", []string{basic("jack\x00:b")}, nil, "malformed"},
		{"a line end", []string{basic("jack:a\r\nb")}, nil, "malformed"},
		{"a tab in the name", []string{basic("ja\tck:b")}, nil, "malformed"},
		{"an escape", []string{basic("jack:\x1b[31m")}, nil, "malformed"},
		{"DEL", []string{basic("jack:\x7f")}, nil, "malformed"},
		{"an empty name", []string{basic(":password")}, nil, "login"},
		{"a colon alone", []string{basic(":")}, nil, "login"},
		{"a password of 1025 bytes", []string{basic("jack:" + p1024 + "p")}, nil, "login"},
		{"1 MB", []string{basic("jack:" + strings.Repeat("p", 1<<20))}, nil, "bad"},
	} {
		var asked []string
		c := carrier.Basic(func(_ context.Context, name, password string) (gatehouse.Identity, error) {
			asked = append(asked, name, password)
			return gatehouse.Identity{Value: "u-1"}, nil
		})
		id, err := c.Identify(request("Authorization", tt.values...))
		got := word(err)
		if errors.Is(err, gatehouse.ErrLogin) {
			got = "login"
		}
		if got != tt.want || !slices.Equal(asked, tt.asked) || (err == nil) != (id.Value == "u-1") {
			t.Errorf("%s = %s, %.60q, want %s, %.60q", tt.name, got, asked, tt.want, tt.asked)
		}
	}
}

// TestBasicOutcomes: all that the caller's name and password are at fault for is one error, so that nobody learns which of them is wrong.
func TestBasicOutcomes(t *testing.T) {
	down := errors.New("the database is down")
	for name, tt := range map[string]struct {
		id   gatehouse.Identity
		err  error
		want error
		not  []error
	}{
		"an unknown name":      {gatehouse.Identity{}, gatehouse.ErrCredential, gatehouse.ErrLogin, nil},
		"a wrong password":     {gatehouse.Identity{}, fmt.Errorf("wrong: %w", gatehouse.ErrLogin), gatehouse.ErrLogin, nil},
		"a disabled account":   {gatehouse.Identity{}, gatehouse.ErrDisabled, gatehouse.ErrLogin, []error{gatehouse.ErrDisabled}},
		"an expired password":  {gatehouse.Identity{}, gatehouse.ErrExpired, gatehouse.ErrLogin, []error{gatehouse.ErrExpired}},
		"two of that name":     {gatehouse.Identity{}, gatehouse.ErrDuplicate, gatehouse.ErrLogin, []error{gatehouse.ErrDuplicate}},
		"a name of no form":    {gatehouse.Identity{}, gatehouse.ErrMalformed, gatehouse.ErrLogin, []error{gatehouse.ErrMalformed}},
		"a session's error":    {gatehouse.Identity{}, gatehouse.ErrSession, gatehouse.ErrLogin, []error{gatehouse.ErrSession}},
		"nobody":               {gatehouse.Identity{}, nil, gatehouse.ErrLogin, nil},
		"nobody with a kind":   {gatehouse.Identity{Kind: gatehouse.KindUser}, nil, gatehouse.ErrLogin, nil},
		"nobody, and an error": {gatehouse.Identity{Value: "u-1"}, gatehouse.ErrAnonymous, gatehouse.ErrLogin, []error{gatehouse.ErrAnonymous}},
		"forbidden":            {gatehouse.Identity{}, gatehouse.ErrForbidden, gatehouse.ErrForbidden, []error{gatehouse.ErrLogin}},
		"forbidden, and more":  {gatehouse.Identity{}, errors.Join(gatehouse.ErrForbidden, gatehouse.ErrCredential), gatehouse.ErrForbidden, []error{gatehouse.ErrLogin}},
		"could not be checked": {gatehouse.Identity{Value: "u-1"}, down, down, []error{gatehouse.ErrCredential, gatehouse.ErrAnonymous}},
		"took too long":        {gatehouse.Identity{}, context.DeadlineExceeded, context.DeadlineExceeded, []error{gatehouse.ErrCredential}},
	} {
		c := carrier.Basic(func(context.Context, string, string) (gatehouse.Identity, error) { return tt.id, tt.err })
		id, err := c.Identify(request("Authorization", basic("jack:the password")))
		if !errors.Is(err, tt.want) || id.Value != "" {
			t.Errorf("%s = %+v, %v, want %v", name, id, err, tt.want)
		}
		for _, not := range tt.not {
			if errors.Is(err, not) {
				t.Errorf("%s = %v, which wraps %v", name, err, not)
			}
		}
	}
}

// TestBasicMethods: that it was a password is written down, unless the look-up knows better.
func TestBasicMethods(t *testing.T) {
	for _, tt := range []struct{ given, want []string }{{nil, []string{"pwd"}}, {[]string{"pwd", "otp"}, []string{"pwd", "otp"}}, {[]string{}, []string{}}} {
		c := carrier.Basic(func(context.Context, string, string) (gatehouse.Identity, error) {
			return gatehouse.Identity{Value: "u-1", Methods: tt.given}, nil
		})
		if id, err := c.Identify(request("Authorization", basic("jack:x"))); err != nil || !slices.Equal(id.Methods, tt.want) {
			t.Errorf("Methods = %q, %v, want %q", id.Methods, err, tt.want)
		}
	}
}

// TestBasicHidesThePassword: whatever the look-up makes of it in its error, no log shows it, nor the name.
func TestBasicHidesThePassword(t *testing.T) {
	for _, password := range []string{"correct horse battery staple", "pässwörd \"quoted\"", "short", "x&y=z %41+/", "</script>"} {
		for _, name := range []string{"jack.the.user", "j", "jäck@example.org"} {
			for what, fail := range map[string]func(name, password string) error{
				"as it is":    func(n, p string) error { return fmt.Errorf("no row for %s:%s", n, p) },
				"quoted":      func(n, p string) error { return fmt.Errorf("no row for %q, %q", n, p) },
				"wrong":       func(n, p string) error { return fmt.Errorf("%w: %s, %s", gatehouse.ErrCredential, n, p) },
				"forbidden":   func(n, p string) error { return fmt.Errorf("%w: %s, %s", gatehouse.ErrForbidden, n, p) },
				"in a field":  func(n, p string) error { return &storeError{n + p} },
				"the header":  func(n, p string) error { return errors.New(basic(n + ":" + p)) },
				"wrong field": func(n, p string) error { return errors.Join(gatehouse.ErrCredential, &storeError{p}) },
			} {
				c := carrier.Basic(func(_ context.Context, n, p string) (gatehouse.Identity, error) {
					return gatehouse.Identity{}, fail(n, p)
				})
				_, err := c.Identify(request("Authorization", basic(name+":"+password)))
				text := shown(t, err)
				for _, secret := range []string{password, fmt.Sprintf("%x", password), base64.StdEncoding.EncodeToString([]byte(name + ":" + password)), fmt.Sprintf("%q", password)} {
					if strings.Contains(text, secret) {
						t.Errorf("%s: the error shows %q: %s", what, secret, text)
					}
				}
				if len(name) > 1 && strings.Contains(text, name) {
					t.Errorf("%s: the error shows the name %q: %s", what, name, text)
				}
			}
		}
	}
}

// TestBasicDescribesItself: challenge, name, stripping, and that browsers send it by themselves.
func TestBasicDescribesItself(t *testing.T) {
	c := carrier.Basic(jackOnly)
	w := httptest.NewRecorder()
	(&problem.Writer{Challenges: []problem.Challenge{c.Challenge("the house")}}).Write(w, request(""), problem.New(problem.InvalidCredentials))
	if got, want := w.Header()["Www-Authenticate"], []string{`Basic realm="the house", charset="UTF-8"`}; w.Code != 401 || !slices.Equal(got, want) {
		t.Errorf("the challenge = %d %q, want %q", w.Code, got, want)
	}
	if ambient, secure := c.Ambient(); !ambient || secure {
		t.Errorf("Ambient = %v, %v, want true, false", ambient, secure)
	}
	if c.String() != "Authorization: Basic" {
		t.Errorf("String = %s", c)
	}
	for value, stripped := range map[string]bool{basic("a:b"): true, "basic": true, "BASIC x y z": true, "Bearer x": false, "Basics x": false, "": false} {
		r := request("Authorization", value)
		r.Header.Set("X-Other", "kept")
		c.Strip(r.Header)
		if _, ok := r.Header["Authorization"]; ok == stripped || r.Header.Get("X-Other") != "kept" {
			t.Errorf("Strip of %q leaves %v", value, r.Header)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Basic(nil) does not panic")
		}
	}()
	carrier.Basic(nil)
}

// TestBasicAsClientsSendIt: Go's client and a browser's form of it.
func TestBasicAsClientsSendIt(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth("jack", "the password")
	if id, err := carrier.Basic(jackOnly).Identify(r); err != nil || id.Value != "u-1" {
		t.Errorf("Identify = %+v, %v", id, err)
	}
	r.SetBasicAuth("jack", "another")
	if _, err := carrier.Basic(jackOnly).Identify(r); !errors.Is(err, gatehouse.ErrLogin) {
		t.Errorf("Identify with a wrong password = %v", err)
	}
}
