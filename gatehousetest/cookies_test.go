package gatehousetest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// record returns what is found in the lines of one answer from target.
func record(c *Cookies, target string, lines ...string) error {
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	c.Record(u, http.Header{"Set-Cookie": lines})
	return c.Err()
}

const (
	host   = "https://app.example.org"
	local  = "http://127.0.0.1:8080"
	safely = "; HttpOnly; Secure; SameSite=Lax"
)

// TestCookiesJudge goes through the rules: what is right has no fault, everything else exactly the one that is named.
func TestCookiesJudge(t *testing.T) {
	long := strings.Repeat("x", 4096-len("__Host-a"))
	for _, tt := range []struct {
		from, line string
		want       string // empty: nothing is wrong
	}{
		{host, "__Host-a=b; Path=/" + safely, ""},
		{host, "__Host-a=b; Path=/; Max-Age=34560000" + safely, ""},
		{host, "__Host-a=b; path=/; httponly; secure; samesite=strict", ""},
		{host, "__Host-a=b;Path=/;HttpOnly;Secure;SameSite=None", ""},
		{host, "__Host-a=" + long + "; Path=/" + safely, ""},
		{host, `__Host-a="b"; Path=/` + safely, ""},
		{host, "__Host-a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:01 GMT" + safely, ""},
		{host, "__Secure-a=b; Domain=example.org" + safely, ""},
		{host, "__Secure-a=b; Domain=.EXAMPLE.org" + safely, ""},
		{host, "a=b; Domain=app.example.org; Path=/app" + safely, ""},
		{host, "theme=dark; Secure; SameSite=Lax", ""}, // Readable
		{host, "a=b; Expires=Tue, 10 Nov 2026 12:00:00 GMT" + safely, ""},
		{local, "a=b; HttpOnly; SameSite=Lax", ""},
		{"http://localhost", "a=b; HttpOnly; SameSite=Lax", ""},
		{"http://[::1]:80", "a=b; HttpOnly; SameSite=Lax", ""},

		{host, "", "has no name"},
		{host, "a", "has no name"},
		{host, "=b" + safely, "has no name"},
		{host, " a=b" + safely, "has no name"},
		{host, "a b=c" + safely, "has no name"},
		{host, "a\x1b[31m=c" + safely, `"a?[31m"`},
		{host, "ä=c" + safely, "has no name"},
		{host, "a=b c" + safely, "no cookie may have"},
		{host, `a=b"c` + safely, "no cookie may have"},
		{host, "a=b,c" + safely, "no cookie may have"},
		{host, "a=ä" + safely, "no cookie may have"},
		{host, `a="` + safely, "no cookie may have"},
		{host, "a=b; Path=/; path=/app" + safely, `attribute "path" twice`},
		{host, "a=b; Secure" + safely, `attribute "secure" twice`},
		{host, "__Host-a=" + long + "x; Path=/" + safely, "4097 bytes"},
		{host, "a=b; Path=/" + strings.Repeat("x", 1024) + safely, "the attribute path has 1025 bytes"},
		{host, "a=b; HttpOnly; SameSite=Lax", "lacks Secure"},
		{local, "a=b" + safely, "over plain http: most clients drop it"},
		{"http://192.0.2.1", "a=b; HttpOnly; SameSite=Lax", "others can listen"},
		{"http://127.0.0.1.example.org", "a=b; HttpOnly; SameSite=Lax", "others can listen"},
		{"http://localhost.example.org", "a=b; HttpOnly; SameSite=Lax", "others can listen"},
		{host, "a=b; Secure; SameSite=Lax", "lacks HttpOnly"},
		{host, "Theme=b; Secure; SameSite=Lax", "lacks HttpOnly"},
		{host, "a=b; Secure; HttpOnly", "lacks SameSite"},
		{host, "a=b; Secure; HttpOnly; SameSite", "lacks SameSite"},
		{host, "a=b; Secure; HttpOnly; SameSite=Lax2", "lacks SameSite"},
		{local, "a=b; HttpOnly; SameSite=None", "SameSite=None without Secure"},
		{host, "__Host-a=b" + safely, "the prefix __Host- needs"},
		{host, "__Host-a=b; Path=/app" + safely, "the prefix __Host- needs"},
		{host, "__Host-a=b; Path=/; Domain=app.example.org" + safely, "the prefix __Host- needs"},
		{host, "__host-a=b; Path=/" + safely, "written in another way"},
		{host, "__SECURE-a=b" + safely, "written in another way"},
		{host, "a=b; Domain=example.com" + safely, `"app.example.org" does not belong`},
		{host, "a=b; Domain=pp.example.org" + safely, "does not belong"},
		{host, "a=b; Domain=x.app.example.org" + safely, "does not belong"},
		{host, "a=b; Domain=" + safely, "Domain is empty"},
		{"https://192.0.2.1", "a=b; Domain=192.0.2.1" + safely, "the host is an address"},
		{host, "a=b; Path=app" + safely, "does not begin with /"},
		{host, "a=b; Path" + safely, "does not begin with /"},
		{host, "a=b; Max-Age=34560001" + safely, "cut it to 400 days"},
		{host, "a=b; Max-Age=1h" + safely, "not a number of seconds"},
		{host, "a=b; Max-Age=+60" + safely, "not a number of seconds"},
		{host, "a=b; Max-Age" + safely, "not a number of seconds"},
		{host, "a=b; Max-Age=99999999999999999999" + safely, "not a number of seconds"},
		{host, "a=b; Expires=tomorrow" + safely, "not a date"},
		{host, "a=b; Expires=Wed, 08 Dec 2027 12:00:01 GMT" + safely, "more than 400 days away"},
	} {
		err := record(&Cookies{Readable: []string{"theme"}, Now: func() time.Time { return noon }}, tt.from, tt.line)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s from %s: %v, want no fault", short(tt.line), tt.from, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s from %s: %v, want one fault that says %q", short(tt.line), tt.from, err, tt.want)
		}
	}
}

// short keeps the message about a long line readable.
func short(line string) string {
	if len(line) > 100 {
		return line[:100] + "…"
	}
	return line
}

// TestCookiesJudgeInsecurePrefixes: a prefix over plain http is wrong in two ways, and both are said.
func TestCookiesJudgeInsecurePrefixes(t *testing.T) {
	for _, line := range []string{"__Host-a=b; Path=/; SameSite=Lax; HttpOnly", "__Secure-a=b; SameSite=Lax; HttpOnly"} {
		for _, from := range []string{host, local} {
			if err := record(&Cookies{}, from, line); err == nil || !strings.Contains(err.Error(), "needs Secure") {
				t.Errorf("%s from %s: %v, want that the prefix needs Secure", line, from, err)
			}
		}
	}
}

// TestCookiesJudgeAnswers looks at what one line does not show.
func TestCookiesJudgeAnswers(t *testing.T) {
	const (
		set, other, gone = "a=b; Path=/" + safely, "a=b; Path=/app" + safely, "a=; Path=/; Max-Age=0" + safely
		goneElsewhere    = "a=; Path=/app; Max-Age=0" + safely
		goneNowhere      = "a=; Max-Age=0" + safely
		goneBySome       = "a=; Path=/; Domain=app.example.org; Max-Age=0" + safely
		goneByDate       = "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT" + safely
	)
	for name, tt := range map[string]struct {
		answers [][]string
		want    string
	}{
		"set, and taken away":                 {[][]string{{set}, {gone}}, ""},
		"set, and taken away by its date":     {[][]string{{set}, {goneByDate}}, ""},
		"set again":                           {[][]string{{set}, {set}}, ""},
		"taken away, which nobody has":        {[][]string{{gone}, {goneElsewhere}}, ""},
		"another path beside the first":       {[][]string{{set, other}, {gone, goneElsewhere}}, ""},
		"moved to another path":               {[][]string{{set}, {gone, other}}, ""},
		"taken away twice":                    {[][]string{{set}, {gone}, {gone}}, ""},
		"set twice in one answer":             {[][]string{{set, set}}, "set twice in one answer"},
		"set and taken away in one answer":    {[][]string{{set, gone}}, "set twice in one answer"},
		"taken away with another path":        {[][]string{{set}, {goneElsewhere}}, "so that it stays"},
		"taken away without its path":         {[][]string{{set}, {goneNowhere}}, "so that it stays"},
		"taken away with a domain":            {[][]string{{set}, {goneBySome}}, "so that it stays"},
		"one of two is taken away wrongly":    {[][]string{{set, other}, {goneNowhere}}, "so that it stays"},
		"taken away rightly, then once wrong": {[][]string{{set, other}, {gone}, {gone}}, "so that it stays"},
	} {
		var c Cookies
		var err error
		for _, lines := range tt.answers {
			err = record(&c, host, lines...)
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// TestCookiesKeepValuesToThemselves: a test's log is read by many.
func TestCookiesKeepValuesToThemselves(t *testing.T) {
	const secret = "planted-secret"
	for _, line := range []string{secret, "a=" + secret, "=" + secret, "a b=" + secret, "a=" + secret + "; Max-Age=x" + safely, "a=" + secret + " ;;"} {
		err := record(&Cookies{}, "https://jack:"+secret+"@app.example.org", line)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want a fault without the value", line, err)
		}
	}
}

func TestCookiesRemembersAll(t *testing.T) {
	var c Cookies
	record(&c, host, "a=1; Path=/"+safely, "broken")
	record(&c, host)
	record(&c, host, "b=2; Path=/"+safely, "a=; Path=/; Max-Age=0"+safely)
	var got []string
	for _, cookie := range c.All() {
		got = append(got, cookie.Name+"="+cookie.Value)
	}
	if want := "a=1 b=2 a="; strings.Join(got, " ") != want {
		t.Errorf("All() = %q, want %q", got, want)
	}
}

// TestCookiesBehindAClient: every cookie of the program goes through the hands of the transport, in whatever way it answers.
func TestCookiesBehindAClient(t *testing.T) {
	table := session.New(memory.Sessions(), session.Config{})
	for name, tt := range map[string]struct {
		start func(http.Handler) *httptest.Server
		opts  []carrier.CookieOption
	}{
		"TLS":               {httptest.NewTLSServer, nil},
		"TLS, below a path": {httptest.NewTLSServer, []carrier.CookieOption{carrier.CookieScope("", "/app")}},
		"plain http":        {httptest.NewServer, []carrier.CookieOption{carrier.InsecureCookie()}},
	} {
		c := carrier.Session(table, tt.opts...)
		g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{c}, Policy: guard.AsSubject{}})
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle("/app/in", guard.Handle(func(w http.ResponseWriter, r *http.Request) error { return guard.Remember(w, r, jack) }))
		mux.Handle("/app/out", guard.Handle(func(w http.ResponseWriter, r *http.Request) error { return guard.Forget(w, r) }))
		srv := tt.start(g.Handler(mux))
		t.Cleanup(srv.Close)
		cookies := &Cookies{}
		client := Visitor(t, srv)
		client.Transport = cookies.Transport(client.Transport)
		for _, path := range []string{"/app/in", "/app/in", "/app/out"} {
			resp, err := client.Post(srv.URL+path, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: POST %s = %d, want 200", name, path, resp.StatusCode)
			}
		}
		if err := cookies.Err(); err != nil || len(cookies.All()) != 3 {
			t.Errorf("%s: %d cookies, %v, want 3 without a fault", name, len(cookies.All()), err)
		}
	}
}

// TestCookiesTransportPassesErrorsOn, and takes the usual transport for none.
func TestCookiesTransportPassesErrorsOn(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		io.WriteString(w, "hello")
	}))
	var c Cookies
	client := &http.Client{Transport: c.Transport(nil)}
	if got := body(t, client, srv.URL); got != "hello" || c.Err() == nil || len(c.All()) != 1 {
		t.Errorf("through Transport(nil): %q, %d cookies, %v, want hello, one cookie and its faults", got, len(c.All()), c.Err())
	}
	srv.Close()
	if resp, err := client.Get(srv.URL); err == nil {
		resp.Body.Close()
		t.Error("a request to nobody succeeds through the transport")
	}
}
