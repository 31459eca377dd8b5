package carrier_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/session"
)

// attributesOf returns what an answer says of the sealed cookie, without its value.
func attributesOf(a answer) []string {
	var lines []string
	for _, line := range a.header["Set-Cookie"] {
		pair, rest, _ := strings.Cut(line, ";")
		name, _, _ := strings.Cut(pair, "=")
		lines = append(lines, name+";"+rest)
	}
	return lines
}

// TestSealedCookie: signing in gives one cookie with all that keeps it safe, the application knows its owner by it, and signing out takes it away by the same attributes.
func TestSealedCookie(t *testing.T) {
	g := newGate(t)
	in := g.send("POST", "/login", "X-Name", "jack")
	if got, want := attributesOf(in), []string{"__Host-sealed; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"}; !slices.Equal(got, want) || in.header.Get("Cache-Control") != "no-store" {
		t.Errorf("signing in says %q, %q, want %q", got, in.header.Get("Cache-Control"), want)
	}
	cookie := g.cookie(in)
	if got := g.send("GET", "/films", "Cookie", cookie); got.kind() != fine || got.body != "jack" || len(got.header["Set-Cookie"]) != 0 {
		t.Errorf("with the cookie = %s %s, %q", got.kind(), got.body, got.header["Set-Cookie"])
	}
	if got := g.send("GET", "/admin", "Cookie", cookie); got.status != 403 || got.header.Get("Www-Authenticate") != "" {
		t.Errorf("what jack may not = %d, %q", got.status, got.header["Www-Authenticate"])
	}
	out := g.send("POST", "/logout", "Cookie", cookie)
	if got, want := attributesOf(out), []string{"__Host-sealed; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"}; !slices.Equal(got, want) {
		t.Errorf("signing out says %q, want %q", got, want)
	}
	var rules gatehousetest.Cookies
	rules.Record(must(http.NewRequest("GET", "https://app.example.org/", nil)).URL, in.header)
	rules.Record(must(http.NewRequest("GET", "https://app.example.org/", nil)).URL, out.header)
	if err := rules.Err(); err != nil {
		t.Error(err)
	}
}

// ended reports an answer that is not what somebody gets whose session has ended: a challenge without an error, and the cookie taken away.
func ended(t *testing.T, what string, got answer) {
	t.Helper()
	if got.kind() != challenged || got.code() != "session_invalid" || len(got.header["Set-Cookie"]) != 1 || !strings.Contains(got.header["Set-Cookie"][0], "Max-Age=0") {
		t.Errorf("%s = %s %s, %q; want 401, session_invalid, and that the cookie is taken away", what, got.kind(), got.code(), got.header["Set-Cookie"])
	}
}

// TestSavedCookieAfterLogout: a copy of a cookie that was kept is worth nothing after the log-out, wherever the session is kept, on this server and on others.
func TestSavedCookieAfterLogout(t *testing.T) {
	g := newGate(t)
	for _, c := range []*carrier.SessionCarrier{g.sealed, g.sessions} {
		g.handler = g.guarded(c)
		saved, other := g.signIn("jack"), g.signIn("jack")
		if got := g.send("POST", "/logout", "Cookie", saved); got.status != 200 {
			t.Fatalf("%s: signing out = %d", c, got.status)
		}
		g.handler = g.guarded(c)
		got := g.send("GET", "/films", "Cookie", saved)
		if got.status != 401 || got.code() != "session_invalid" || !strings.Contains(fmt.Sprint(got.header["Set-Cookie"]), "Max-Age=0") {
			t.Errorf("%s: the saved cookie = %d %s", c, got.status, got.code())
		}
		if got := g.send("GET", "/public", "Cookie", saved); got.status != 200 || got.body != "" {
			t.Errorf("%s: the saved cookie on a public page = %d %q, want that it is nobody's", c, got.status, got.body)
		}
		if got := g.send("POST", "/logout", "Cookie", saved); got.status != 200 {
			t.Errorf("%s: signing out again = %d, want 200", c, got.status)
		}
		if got := g.send("GET", "/films", "Cookie", other); got.body != "jack" {
			t.Errorf("%s: the other browser = %d", c, got.status)
		}
		g.clock.Advance(24 * time.Hour)
		if got := g.send("GET", "/films", "Cookie", saved); got.status != 401 {
			t.Errorf("%s: the saved cookie a day later = %d", c, got.status)
		}
	}
}

// TestForgedSealedCookies: whatever is not ours, or not any more, is no session and takes the cookie away. It is counted, and never an error of ours.
func TestForgedSealedCookies(t *testing.T) {
	g := newGate(t)
	cookie := g.signIn("jack")
	name, value, _ := strings.Cut(cookie, "=")
	c := session.Config{Revocations: g.revocations, Now: g.clock.Now}
	another := func(sealer session.Sealer, name string) string {
		g.handler = g.guarded(carrier.Sealed(sealer, c, carrier.CookieName(name)))
		_, value, _ := strings.Cut(g.signIn("jack"), "=")
		return value
	}
	forged := map[string]string{
		"bad key": "bad key", "garbage": "garbage", "base64 of nothing": "AAAA", "JSON": `{"id":"x"}`, "a signed token": g.token(claimsOfJack), "of a store": strings.Repeat("A", 43),
		"sealed with another key": another(must(carrier.SealedKey(strings.Repeat("another key of ", 2)+"ab")), "sealed"),
		"of another cookie":       another(g.sealer, "other"),
		"of a ring":               another(must(keyring.Static("cookies", must(keyring.Generate(keyring.A256GCM)))), "sealed"),
		"cut":                     value[:len(value)-2], "longer": value + "AA", "padded": value + "==", "turned round": value[20:] + value[:20],
		"10 MB": strings.Repeat("A", 10<<20), "percent signs": strings.Repeat("%41", 500), "quoted": `"` + value + `"`,
	}
	for i := 0; i < len(value); i += 7 {
		b := []byte(value)
		b[i] ^= 1
		forged[fmt.Sprint("changed at ", i)] = string(b)
	}
	g.handler = g.guarded(g.sealed, g.bearer)
	before := g.sealed.Sessions().Forged()
	for what, value := range forged {
		ended(t, what, g.send("GET", "/films", "Cookie", name+"="+value))
		if got := g.send("GET", "/public", "Cookie", name+"="+value); got.status != 200 || got.body != "" {
			t.Errorf("%s on a public page = %d %q, want that it is nobody's", what, got.status, got.body)
		}
	}
	if n := g.sealed.Sessions().Forged() - before; n != 2*int64(len(forged)) {
		t.Errorf("%d of %d forgeries are counted", n, 2*len(forged))
	}
	if got := g.send("GET", "/films", "Cookie", name+"="); got.kind() != challenged || got.code() != "no_credential" {
		t.Errorf("an empty cookie = %s %s, want that it is none", got.kind(), got.code())
	}
	if got := g.send("GET", "/films", "Cookie", cookie); got.body != "jack" {
		t.Errorf("the cookie itself = %s", got.kind())
	}
}

// TestSealedCookieOverHTTP: the same through a server and a browser's cookie jar: sign in, come back, put something, sign out; a header too large for the server is the server's to refuse.
func TestSealedCookieOverHTTP(t *testing.T) {
	g := newGate(t)
	server := httptest.NewTLSServer(g.handler)
	defer server.Close()
	client := gatehousetest.Visitor(t, server)
	do := func(method, path string, headers ...string) (int, string) {
		r := must(http.NewRequestWithContext(t.Context(), method, server.URL+path, nil))
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body := make([]byte, 1000)
		n, _ := response.Body.Read(body)
		return response.StatusCode, string(body[:n])
	}
	steps := []struct {
		method, path string
		headers      []string
		status       int
		body         string
	}{
		{"GET", "/films", nil, 401, ""},
		{"POST", "/put", []string{"X-Cart", "+film"}, 200, ""}, // a visitor's
		{"POST", "/login", []string{"X-Name", "jack"}, 200, ""},
		{"GET", "/films", nil, 200, "jack+film"},
		{"POST", "/put", []string{"X-Cart", "+another"}, 200, ""},
		{"GET", "/films", nil, 200, "jack+another"},
		{"POST", "/logout", nil, 200, ""},
		{"GET", "/films", nil, 401, ""},
		{"GET", "/films", []string{"Cookie", "__Host-sealed=" + strings.Repeat("A", 2<<20)}, 431, ""},
	}
	for i, s := range steps {
		status, body := do(s.method, s.path, s.headers...)
		if status != s.status || s.status == 200 && body != s.body {
			t.Errorf("step %d: %s %s = %d %q, want %d %q", i, s.method, s.path, status, body, s.status, s.body)
		}
	}
}

// TestSealedCookieThatIsTooLarge: what no browser would keep is refused where it is put, and the session before is as it was.
func TestSealedCookieThatIsTooLarge(t *testing.T) {
	g := newGate(t)
	cookie := g.signIn("jack")
	got := g.send("POST", "/put", "Cookie", cookie, "X-Cart", strings.Repeat("x", 6<<10))
	if got.status != 500 || len(got.header["Set-Cookie"]) != 0 {
		t.Errorf("6 KB = %d, %q, want an error and no cookie", got.status, got.header["Set-Cookie"])
	}
	got = g.send("POST", "/put", "Cookie", cookie, "X-Cart", strings.Repeat("x", 2<<10))
	if full := g.cookie(got); len(full) > 4096 || g.send("GET", "/films", "Cookie", full).body != "jack"+strings.Repeat("x", 2<<10) {
		t.Errorf("2 KB are not kept: the cookie has %d bytes", len(full))
	}
}

// TestSealedKey: a key is 32 bytes as they are, or base64 of them as tools print it. Whatever form it is given in, it is the same key.
func TestSealedKey(t *testing.T) {
	raw := "0123456789abcdefghijklmnopqrst\xff\xfe"
	data := []byte("of this cookie")
	sealed := must(must(carrier.SealedKey(raw)).Seal([]byte("hello"), data))
	for name, key := range map[string]string{
		"bytes": raw, "base64": base64.StdEncoding.EncodeToString([]byte(raw)), "base64 without padding": base64.RawStdEncoding.EncodeToString([]byte(raw)),
		"base64url": base64.URLEncoding.EncodeToString([]byte(raw)), "base64url without padding": base64.RawURLEncoding.EncodeToString([]byte(raw)),
		"with its prefix": "base64:" + base64.StdEncoding.EncodeToString([]byte(raw)), "hexadecimal": "hex:" + hex.EncodeToString([]byte(raw)),
		"with a line end": base64.StdEncoding.EncodeToString([]byte(raw)) + "\n",
	} {
		if plaintext, err := must(carrier.SealedKey(key)).Open(sealed, data); err != nil || string(plaintext) != "hello" {
			t.Errorf("with the key as %s: Open = %q, %v", name, plaintext, err)
		}
	}
	for name, key := range map[string]string{
		"nothing": "", "a password": "correct horse battery staple", "31 bytes": raw[1:], "33 bytes": raw + "x", "16 bytes in base64": base64.StdEncoding.EncodeToString([]byte(raw[:16])),
		"48 bytes in base64": base64.StdEncoding.EncodeToString([]byte(raw + raw[:16])), "hexadecimal without its prefix": hex.EncodeToString([]byte(raw)), "odd digits": "hex:" + strings.Repeat("0x", 32),
		"zeros": strings.Repeat("\x00", 32), "one letter": strings.Repeat("a", 32), "zeros in base64": base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"not quite base64": base64.StdEncoding.EncodeToString([]byte(raw))[:43] + "!",
	} {
		if sealer, err := carrier.SealedKey(key); err == nil || sealer != nil || key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("SealedKey(%s) = %v, %v, want an error that does not repeat it", name, sealer, err)
		}
		if _, err := carrier.SealedKey(raw, key); err == nil || !strings.Contains(err.Error(), "key 2") {
			t.Errorf("SealedKey with a retired key that is %s = %v, want an error that says which it is", name, err)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s %x", must(carrier.SealedKey(raw)), must(carrier.SealedKey(raw)), must(carrier.SealedKey(raw)), must(carrier.SealedKey(raw)), must(carrier.SealedKey(raw))); strings.Contains(got, "0123") ||
		strings.Contains(got, hex.EncodeToString([]byte("0123"))) {
		t.Errorf("a key is printed: %s", got)
	}
}

// TestSealedKeyChanges: cookies of before live on as long as the old key is among the retired ones, and are sealed anew with the new one when they are given again.
func TestSealedKeyChanges(t *testing.T) {
	g := newGate(t)
	oldKey, newKey := strings.Repeat("old key.", 4), strings.Repeat("new key.", 4)
	with := func(key string, retired ...string) {
		g.handler = g.guarded(carrier.Sealed(must(carrier.SealedKey(key, retired...)), session.Config{Revocations: g.revocations, Now: g.clock.Now}, carrier.CookieName("sealed")))
	}
	with(oldKey)
	before := g.signIn("jack")
	with(newKey, oldKey)
	if got := g.send("GET", "/films", "Cookie", before); got.body != "jack" {
		t.Errorf("after the change the cookie = %s", got.kind())
	}
	g.clock.Advance(2 * time.Minute)
	again := g.cookie(g.send("GET", "/films", "Cookie", before)) // its use is written down
	with(newKey)
	ended(t, "a cookie whose key is gone", g.send("GET", "/films", "Cookie", before))
	if got := g.send("GET", "/films", "Cookie", again); got.body != "jack" {
		t.Errorf("the cookie that was given since = %s", got.kind())
	}
	g.send("POST", "/logout", "Cookie", again)
	with(newKey, oldKey)
	ended(t, "the first cookie of a session that has ended", g.send("GET", "/films", "Cookie", before))
}

// TestSealedKeyNonces: of a hundred thousand texts no two are sealed under one nonce.
func TestSealedKeyNonces(t *testing.T) {
	sealer := must(carrier.SealedKey("0123456789abcdefghijklmnopqrstuv"))
	const n = 100_000
	seen := make(map[[12]byte]bool, n)
	for range n {
		raw := must(base64.RawURLEncoding.DecodeString(must(sealer.Seal([]byte("the same"), []byte("here")))))
		seen[[12]byte(raw[9:])] = true // behind the version and the key's id
	}
	if len(seen) != n {
		t.Errorf("%d texts have %d nonces", n, len(seen))
	}
}

// TestSealedCookieWhileRevocationsAreUnknown: it is 503, since a copy of a cookie that was ended cannot be told from a good one; a rule that says so goes on for a while; and a log-out works.
func TestSealedCookieWhileRevocationsAreUnknown(t *testing.T) {
	g := newGate(t)
	cookie, gone := g.signIn("jack"), g.signIn("jack")
	g.send("POST", "/logout", "Cookie", gone)
	g.revocations.Lose(true)
	g.clock.Advance(30 * time.Second)
	if got := g.send("GET", "/films", "Cookie", cookie); got.status != 503 || got.header.Get("Retry-After") == "" || got.code() != "unavailable" || len(got.header["Set-Cookie"]) != 0 {
		t.Errorf("a good cookie = %d %v, want 503, Retry-After, and that the cookie stays", got.status, got.header)
	}
	ended(t, "a cookie that was ended", g.send("GET", "/films", "Cookie", gone))
	if got := g.send("GET", "/bounded", "Cookie", cookie); got.body != "jack" {
		t.Errorf("a good cookie where that is allowed = %d %s", got.status, got.body)
	}
	ended(t, "a cookie that was ended, where that is allowed", g.send("GET", "/bounded", "Cookie", gone))
	if got := g.send("GET", "/public", "Cookie", cookie); got.status != 200 || got.body != "" {
		t.Errorf("a public page = %d %q, want that its visitor is nobody", got.status, got.body)
	}
	if got := g.send("POST", "/put", "Cookie", cookie, "X-Cart", "x"); got.status != 503 || len(got.header["Set-Cookie"]) != 0 {
		t.Errorf("putting something on a public page = %d, %q, want 503: a new session would take the place of a good one", got.status, got.header["Set-Cookie"])
	}
	if got := g.send("POST", "/logout", "Cookie", cookie); got.status != 200 || !strings.Contains(fmt.Sprint(got.header["Set-Cookie"]), "Max-Age=0") {
		t.Errorf("signing out = %d, %q", got.status, got.header["Set-Cookie"])
	}
	g.revocations.Lose(false)
	ended(t, "the cookie afterwards", g.send("GET", "/films", "Cookie", cookie))
}

// TestSealedRefuses what makes no cookie, or one that could never be ended.
func TestSealedRefuses(t *testing.T) {
	g := newGate(t)
	c := session.Config{Revocations: g.revocations}
	for name, f := range map[string]func(){
		"no sealer":                func() { carrier.Sealed(nil, c) },
		"no revocations":           func() { carrier.Sealed(g.sealer, session.Config{}) },
		"a name with a space":      func() { carrier.Sealed(g.sealer, c, carrier.CookieName("a b")) },
		"a name with its prefix":   func() { carrier.Sealed(g.sealer, c, carrier.CookieName("__Host-a")) },
		"a limit of sessions":      func() { carrier.Sealed(g.sealer, session.Config{Revocations: g.revocations, MaxPerSubject: 1}) },
		"its table in another one": func() { carrier.Session(g.sealed.Sessions(), carrier.CookieName("other")) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it does not panic")
				}
			}()
			f()
		})
	}
	if ambient, secure := g.sealed.Ambient(); !ambient || !secure {
		t.Errorf("Ambient() = %v, %v, want true and true: browsers send it by themselves, over TLS alone", ambient, secure)
	}
}
