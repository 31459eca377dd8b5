package testbed

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/gatehouse-auth/gatehouse/gatehousetest"
)

// A Visitor talks to a program as a browser or a script does: it keeps cookies, and every cookie that it is given is judged. It shows each answer as it comes and follows no
// redirect.
type Visitor struct {
	t    T
	base string
	// Client is what the visitor sends with; its jar is the visitor's memory.
	Client *http.Client
	// Cookies are those that it was given. The test fails at its end if one of them is not as it has to be.
	Cookies *gatehousetest.Cookies
}

// Visit returns a visitor of the program at base. A nil transport means the usual one.
func Visit(t T, base string, transport http.RoundTripper) *Visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	cookies := &gatehousetest.Cookies{}
	t.Cleanup(func() {
		if err := cookies.Err(); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	})
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Visitor{t, base, &http.Client{Transport: cookies.Transport(transport), Jar: jar, CheckRedirect: stay}, cookies}
}

// An Answer is what came back, all of it.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Code returns the code of a problem detail, or "" if the answer is none.
func (a Answer) Code() string {
	var problem struct{ Code string }
	if a.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal([]byte(a.Body), &problem) != nil {
		return ""
	}
	return problem.Code
}

// SetCookies returns the cookies that the answer sets or takes away.
func (a Answer) SetCookies() []*http.Cookie { return (&http.Response{Header: a.Header}).Cookies() }

// Get fetches a path. Fields are names and values of header fields, in turn.
func (v *Visitor) Get(path string, fields ...string) Answer {
	v.t.Helper()
	return v.Do(http.MethodGet, path, "", fields...)
}

// Post sends a form; pairs are names and values in turn.
func (v *Visitor) Post(path string, pairs ...string) Answer {
	v.t.Helper()
	return v.Do(http.MethodPost, path, Form(pairs...), "Content-Type", "application/x-www-form-urlencoded")
}

// Form encodes names and values, given in turn, as browsers encode a form.
func Form(pairs ...string) string {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form.Encode()
}

// Do sends a request for a path, or for an absolute URL. Fields are names and values of header fields, in turn; a Cookie among them is sent beside what
// the jar has.
func (v *Visitor) Do(method, path, body string, fields ...string) Answer {
	v.t.Helper()
	if !strings.Contains(path, "://") {
		path = v.base + path
	}
	r, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	resp, err := v.Client.Do(r)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return Answer{resp.StatusCode, resp.Header, string(text)}
}

// Held returns what the visitor's jar would send to the program, as a Cookie field: to play it again later, from elsewhere.
func (v *Visitor) Held() string {
	v.t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatalf("%v", err)
	}
	var pairs []string
	for _, c := range v.Client.Jar.Cookies(u) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// Navigation are the header fields of a browser that goes to a page.
var Navigation = []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin", "Accept", "text/html,*/*;q=0.8"}
