package token_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A publisher is an issuer elsewhere that publishes its keys. Its tests run in a bubble of synctest, so that they can wait for what happens in the background.
type publisher struct {
	*testing.T
	*clock
	mu     sync.Mutex
	answer func(*http.Request) (*http.Response, error)
	asked  atomic.Int32
	*token.Verifier
}

// published starts a test of a publisher.
func published(t *testing.T, change func(*token.ForeignConfig), test func(t *testing.T, p *publisher)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{T: t, clock: noon()}
		c := token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256, keyring.RS256}, JWKSURL: "https://issuer.example/keys", Transport: p, Revocations: revoke.None, Now: p.now,
			Logger: slog.New(slog.DiscardHandler)}
		if change != nil {
			change(&c)
		}
		p.Verifier = must(token.NewForeign(c))
		p.publish("", twins()[keyring.ES256].ours)
		test(t, p)
		settle()
	})
}

// settle waits for the fetch that is under way, which ends in time whatever is asked. The clock is the bubble's.
func settle() {
	synctest.Wait()
	<-time.After(token.FetchTimeout)
	synctest.Wait()
}

// RoundTrip implements [http.RoundTripper].
func (p *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked.Add(1)
	if r.Method != "GET" || r.URL.String() != "https://issuer.example/keys" || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
		p.Errorf("the keys are asked for by %s %s", r.Method, r.URL)
	}
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	return answer(r)
}

func (p *publisher) answers(f func(*http.Request) (*http.Response, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// publish publishes keys that may be kept as cache says.
func (p *publisher) publish(cache string, keys ...*keyring.Key) { p.says(200, setOf(keys...), cache) }

// says answers with this from now on.
func (p *publisher) says(status int, body, cache string) {
	p.answers(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{"Cache-Control": {cache}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	})
}

func setOf(keys ...*keyring.Key) string {
	var texts []string
	for _, k := range keys {
		texts = append(texts, string(must(k.Public().JWK())))
	}
	return `{"keys":[` + strings.Join(texts, ",") + `]}`
}

// token returns a token of a key, which it names, that lives for a day.
func (p *publisher) token(k *keyring.Key) string {
	p.Helper()
	return forge(p, k, fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, k.Algorithm(), k.ID()), fmt.Sprintf(`{"sub":"jack","exp":%d}`, noon().Add(24*time.Hour).Unix()))
}

// passes reports a good token that is not taken.
func (p *publisher) passes(what string, k *keyring.Key) {
	p.Helper()
	if c, err := p.Verify(p.Context(), p.token(k)); err != nil || c.Subject != "jack" {
		p.Errorf("%s: %+v, %v, want jack's", what, c, err)
	}
}

// unknown reports an error that is not the token's fault, or that is.
func (p *publisher) fails(what string, k *keyring.Key, tokensFault bool) {
	p.Helper()
	c, err := p.Verify(p.Context(), p.token(k))
	if err == nil || errors.Is(err, gatehouse.ErrCredential) != tokensFault || c.Subject != "" {
		p.Errorf("%s: %+v, %v, want an error that is the token's fault: %v", what, c, err, tokensFault)
	}
}

// fetched reports another number of fetches than there should have been.
func (p *publisher) fetched(what string, want int32) {
	p.Helper()
	synctest.Wait()
	if got := p.asked.Load(); got != want {
		p.Errorf("%s: the keys were fetched %d times, want %d", what, got, want)
	}
}

// TestKeysAreFetchedOnce: for as long as they may be kept, and in the background afterwards.
func TestKeysAreFetchedOnce(t *testing.T) {
	published(t, nil, func(t *testing.T, p *publisher) {
		key := twins()[keyring.ES256].ours
		p.publish("public, max-age=600", key)
		p.fetched("before anybody asks", 0)
		for range 100 {
			p.passes("a good token", key)
		}
		p.fetched("after a hundred tokens", 1)
		p.pass(599 * time.Second)
		p.passes("within the time", key)
		p.fetched("within the time", 1)
		p.pass(2 * time.Second)
		p.answers(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		p.passes("while they are fetched again", key) // and nobody waits
		p.passes("while they are fetched again", key)
		p.fetched("after the time", 2)
	})
}

// TestManyWaitForOneFetch: fifty tokens that come first cause one fetch, and who gives up gives up alone.
func TestManyWaitForOneFetch(t *testing.T) {
	published(t, nil, func(t *testing.T, p *publisher) {
		key := twins()[keyring.ES256].ours
		set, release := setOf(key), make(chan struct{})
		p.answers(func(*http.Request) (*http.Response, error) {
			<-release
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(set))}, nil
		})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { p.passes("one of fifty", key) })
		}
		ctx, cancel := context.WithCancel(t.Context())
		all.Go(func() {
			if _, err := p.Verify(ctx, p.token(key)); !errors.Is(err, context.Canceled) || errors.Is(err, gatehouse.ErrCredential) {
				t.Errorf("who gave up: %v, want context.Canceled", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		all.Wait()
		p.fetched("after fifty at once", 1)
	})
}

// TestUnknownKeysDoNotFetch: whoever names keys that nobody has causes one fetch in a while, and what is no token of the issuer causes none.
func TestUnknownKeysDoNotFetch(t *testing.T) {
	published(t, func(c *token.ForeignConfig) { c.Issuer = "https://issuer.example" }, func(t *testing.T, p *publisher) {
		key, stranger := twins()[keyring.ES256].ours, must(keyring.Generate(keyring.ES256))
		of := func(alg, kid, iss string) string {
			return forge(t, stranger, fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid), fmt.Sprintf(`{"iss":%q,"sub":"jack","exp":%d}`, iss, p.Unix()+6000))
		}
		flood := func(alg, iss string) {
			t.Helper()
			for i := range 500 {
				if _, err := p.Verify(t.Context(), of(alg, fmt.Sprint("kid", i), iss)); !errors.Is(err, token.ErrInvalid) {
					t.Fatalf("a token of a key that nobody has: %v, want ErrInvalid", err)
				}
			}
		}
		flood("ES256", "https://evil.example")
		flood("HS256", "https://issuer.example")
		flood("none", "https://issuer.example")
		for range 500 {
			p.Verify(t.Context(), "a.b.c")
		}
		p.fetched("after what cannot be the issuer's", 0)
		flood("ES256", "https://issuer.example")
		p.fetched("after a flood of unknown keys", 1) // the first one: they were not known at all
		p.pass(token.FetchPause)
		flood("ES256", "https://issuer.example")
		p.fetched("after another, a minute later", 2)
		p.pass(token.FetchPause - time.Second)
		flood("ES256", "https://issuer.example")
		p.fetched("after another, too early", 2)
		good := forge(t, key, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, key.ID()), fmt.Sprintf(`{"iss":"https://issuer.example","sub":"jack","exp":%d}`, p.Unix()+60))
		if _, err := p.Verify(t.Context(), good); err != nil {
			t.Errorf("a good token meanwhile: %v, want nil", err)
		}
	})
}

// TestNewKeysAreFound: a token of a key that was published a moment ago makes it be fetched.
func TestNewKeysAreFound(t *testing.T) {
	published(t, nil, func(t *testing.T, p *publisher) {
		first, second := twins()[keyring.ES256].ours, must(keyring.Generate(keyring.ES256))
		p.passes("the first key", first)
		p.pass(token.FetchPause)
		p.publish("", first, second)
		p.passes("the second key", second)
		p.passes("the first key, still", first)
		p.fetched("after a new key", 2)
	})
}

// TestRemovedKeys: what the issuer has withdrawn does not count once its keys were fetched again, for remembered tokens too; the others go on.
func TestRemovedKeys(t *testing.T) {
	published(t, nil, func(t *testing.T, p *publisher) {
		kept, gone := twins()[keyring.ES256].ours, must(keyring.Generate(keyring.ES256))
		p.publish("max-age=60", kept, gone)
		p.passes("before", gone)
		p.passes("before", kept)
		p.publish("max-age=60", kept)
		p.pass(time.Minute)
		p.passes("due", kept) // sets it off
		synctest.Wait()
		p.fails("after it was removed", gone, true)
		for range 3 {
			p.passes("the other key, which was read anew", kept)
		}
		p.publish("max-age=60")
		p.pass(time.Minute)
		p.passes("due", kept)
		synctest.Wait()
		p.fails("after all were removed", kept, true)
	})
}

// TestStaleKeys: while the keys cannot be fetched the old ones count, for a time; then nothing can be said of a token, until they can.
func TestStaleKeys(t *testing.T) {
	published(t, nil, func(t *testing.T, p *publisher) {
		key := twins()[keyring.ES256].ours
		p.publish("max-age=60", key)
		p.passes("at first", key)
		p.says(500, "", "")
		p.pass(time.Minute + token.MaxStaleKeys - time.Second)
		p.passes("as long as the old ones count", key)
		p.fetched("once due", 2)
		p.fails("a key that could be a new one", must(keyring.Generate(keyring.ES256)), false)
		p.pass(2 * time.Second)
		p.fails("after that", key, false)
		p.pass(token.FailurePause)
		p.publish("", key)
		p.passes("as soon as they can be fetched", key)
	})
}

// TestFailuresAreNotRepeatedAtOnce: an issuer that is down is asked once in a while, by however many.
func TestFailuresAreNotRepeatedAtOnce(t *testing.T) {
	published(t, nil, func(t *testing.T, p *publisher) {
		key := twins()[keyring.ES256].ours
		p.answers(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
		for range 100 {
			p.fails("while it is down", key, false)
		}
		p.fetched("after a hundred", 1)
		p.pass(token.FailurePause)
		for range 100 {
			p.fails("while it is down", key, false)
		}
		p.fetched("after a hundred more", 2)
	})
}

// TestAnswersThatAreNoKeys: whatever the issuer answers instead of keys, no token passes, nobody is blamed, and the answer costs no more than a set of keys does.
func TestAnswersThatAreNoKeys(t *testing.T) {
	key := twins()[keyring.ES256].ours
	set := setOf(key)
	private := strings.Replace(string(must(key.Public().JWK())), "{", `{"d":"AAAA",`, 1)
	body := func(text string) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(text))}, nil
		}
	}
	status := func(code int) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Status: fmt.Sprint(code), Header: http.Header{"Location": {"https://evil.example/keys"}}, Body: io.NopCloser(strings.NewReader(set))}, nil
		}
	}
	for what, answer := range map[string]func(*http.Request) (*http.Response, error){
		"HTML": body("<!doctype html><html><body>Sign in</body></html>"), "nothing": body(""), "a text": body(`"keys"`), "an array": body("[" + string(must(key.Public().JWK())) + "]"), "null": body("null"), "no member keys": body(`{"jwks":[]}`),
		"keys that are no list": body(`{"keys":{}}`), "a set that is cut": body(set[:len(set)-1]), "a set with more behind": body(set + "{}"), "a byte order mark": body("\ufeff" + set), "two members keys": body(strings.Replace(set, "{", `{"keys":[],`, 1)),
		"a private key": body(`{"keys":[` + private + `]}`), "a secret": body(`{"keys":[{"kty":"oct","alg":"HS256","k":"AAAA"}]}`), "two keys of one id": body(setOf(key, key)), "a weak key": body(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"x"}]}`),
		"ten megabytes": body(set + strings.Repeat(" ", 10<<20)), "ten megabytes of keys": body(`{"keys":[` + strings.Repeat(`{"kty":"EC"},`, 800_000) + `{}]}`), "a byte too many": body(set + strings.Repeat(" ", token.MaxKeySet+1-len(set))),
		"201": status(201), "204": status(204), "301": status(301), "302": status(302), "304": status(304), "307": status(307), "401": status(401), "404": status(404), "500": status(500),
		"an answer that breaks off": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader(set), broken{}))}, nil
		},
		"one that does not come": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"one that never ends": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader(set), hanging{r.Context()}))}, nil
		},
		"a panic": func(*http.Request) (*http.Response, error) { panic("oh") },
	} {
		published(t, nil, func(t *testing.T, p *publisher) {
			p.publish("max-age=60", key)
			p.passes(what+": before", key)
			p.answers(answer)
			p.pass(time.Minute)
			p.passes(what+": with the old keys", key)
			settle()
			p.pass(token.MaxStaleKeys)
			began := time.Now()
			if n := spent(func() { p.fails(what, key, false) }); n > 8*token.MaxKeySet {
				t.Errorf("%s: %d bytes are allocated", what, n)
			}
			if took := time.Since(began); took > token.FetchTimeout+time.Second {
				t.Errorf("%s: who waits waits for %v, want %v at most", what, took, token.FetchTimeout)
			}
			p.pass(token.FailurePause)
			p.publish("", key)
			p.passes(what+": afterwards", key)
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type hanging struct{ context.Context }

func (h hanging) Read([]byte) (int, error) { <-h.Done(); return 0, h.Err() }

// TestKeysThatDoNotCount: keys of algorithms that the profile has not, and several of which a token names none.
func TestKeysThatDoNotCount(t *testing.T) {
	published(t, func(c *token.ForeignConfig) { c.Algorithms = []keyring.Algorithm{keyring.ES256} }, func(t *testing.T, p *publisher) {
		one, two, rsa := twins()[keyring.ES256].ours, must(keyring.Generate(keyring.ES256)), twins()[keyring.RS256].ours
		p.publish("", one, rsa)
		p.fails("a key of another algorithm", rsa, true)
		nameless := forge(t, one, `{"alg":"ES256"}`, fmt.Sprintf(`{"sub":"jack","exp":%d}`, p.Unix()+6000))
		if _, err := p.Verify(t.Context(), nameless); err != nil {
			t.Errorf("without a name, where there is one key of the algorithm: %v, want nil", err)
		}
		p.publish("", one, two, rsa)
		p.pass(time.Hour)
		p.passes("due", one)
		synctest.Wait()
		if _, err := p.Verify(t.Context(), nameless); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("without a name, where there are two: %v, want ErrInvalid", err)
		}
	})
}

// TestOthersAreUnaffected: an issuer whose keys cannot be fetched keeps out neither our own tokens nor those of another issuer; of what may be its own nothing can be said.
func TestOthersAreUnaffected(t *testing.T) {
	published(t, nil, func(t *testing.T, down *publisher) {
		down.says(500, "", "")
		key := twins()[keyring.RS256].ours
		ring := must(keyring.Static("other", twins()[keyring.HS256].ours))
		other := must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.RS256}, Keys: must(keyring.Static("given", key.Public())), Revocations: revoke.None, Now: down.now}))
		own := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Now: down.now})
		ours, _ := mint(t, minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Now: down.now}))
		set := must(token.NewSet(own, down.Verifier, other))
		for what, text := range map[string]string{"our own": ours, "another issuer's": down.token(key)} {
			if id, err := set.Identity(t.Context(), text); err != nil || id.Value != "jack" {
				t.Errorf("%s token: %+v, %v, want jack's", what, id, err)
			}
		}
		id, err := set.Identity(t.Context(), down.token(twins()[keyring.ES256].ours))
		if err == nil || errors.Is(err, gatehouse.ErrCredential) || id.Value != "" {
			t.Errorf("a token that may be of the issuer that is down: %+v, %v, want an error that is nobody's fault", id, err)
		}
		if _, err := set.Identity(t.Context(), "garbage"); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("garbage: %v, want ErrInvalid", err)
		}
	})
}

// TestMaxAge: how long keys are kept follows from Cache-Control, within bounds.
func TestMaxAge(t *testing.T) {
	for field, want := range map[string]time.Duration{
		"": 5 * time.Minute, "no-store": 5 * time.Minute, "max-age=600": 10 * time.Minute, "public, max-age=600, must-revalidate": 10 * time.Minute, `MAX-AGE="600"`: 10 * time.Minute, "max-age=0": token.MinKeyAge, "max-age=1": token.MinKeyAge,
		"max-age=-5": token.MinKeyAge, "max-age=31536000": token.MaxKeyAge, "max-age=99999999999999999999": 5 * time.Minute, "max-age=x": 5 * time.Minute, "max-age": 5 * time.Minute, "s-maxage=600": 5 * time.Minute, "max-age=600,max-age=60": time.Minute,
	} {
		if got := token.MaxAge(field); got != want {
			t.Errorf("maxAge(%q) = %v, want %v", field, got, want)
		}
	}
}

// TestDialledAddresses: a name from outside does not lead to this machine, nor to the link, and "localhost" leads nowhere else.
func TestDialledAddresses(t *testing.T) {
	for host, addresses := range map[string]map[string]bool{
		"issuer.example": {"93.184.216.34:443": true, "[2606:2800:220:1::1]:443": true, "10.0.0.7:443": true, "127.0.0.1:443": false, "127.9.9.9:80": false, "[::1]:443": false, "[::ffff:127.0.0.1]:443": false, "169.254.169.254:80": false,
			"[fe80::1%eth0]:443": false, "[::ffff:169.254.169.254]:80": false, "0.0.0.0:443": false, "[::]:443": false, "224.0.0.1:443": false, "[ff02::1]:443": false, "localhost:443": false, "": false, "93.184.216.34": false},
		"localhost": {"127.0.0.1:80": true, "[::1]:80": true, "93.184.216.34:80": false, "10.0.0.7:80": false, "169.254.169.254:80": false, "0.0.0.0:80": false},
		"127.0.0.1": {"127.0.0.1:80": true, "93.184.216.34:80": false}, "10.0.0.7": {"10.0.0.7:443": true, "127.0.0.1:443": false}, "localhost.example": {"127.0.0.1:443": false},
	} {
		for address, want := range addresses {
			if err := token.DialOnly(host, address); (err == nil) != want {
				t.Errorf("dialling %q for the keys of %q: %v, want allowed: %v", address, host, err, want)
			}
		}
	}
}

// TestRedirectsAreNotFollowed: over the real transport, keys come from where they were configured to be, and from nowhere that this place names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	key := twins()[keyring.ES256].ours
	var others atomic.Int32
	serves := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, setOf(key)) }
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { others.Add(1); serves(w, r) }))
	defer other.Close()
	var log bytes.Buffer
	verify := func(url string) error {
		v := must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256}, JWKSURL: url, Revocations: revoke.None, Logger: slog.New(slog.NewTextHandler(&log, nil))}))
		defer token.Transport(v).(*http.Transport).CloseIdleConnections()
		_, err := v.Verify(t.Context(), forge(t, key, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, key.ID()), fmt.Sprintf(`{"sub":"jack","exp":%d}`, time.Now().Unix()+60)))
		return err
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		redirects := httptest.NewServer(http.RedirectHandler(other.URL+"/keys", status))
		if err := verify(redirects.URL); err == nil || errors.Is(err, gatehouse.ErrCredential) || !strings.Contains(err.Error(), "redirects") {
			t.Errorf("a redirect with %d: %v, want an error that says so", status, err)
		}
		redirects.Close()
	}
	if others.Load() != 0 {
		t.Errorf("the place that redirects name was asked %d times, want never", others.Load())
	}
	good := httptest.NewServer(http.HandlerFunc(serves))
	defer good.Close()
	if err := verify(good.URL); err != nil {
		t.Errorf("the keys at their place: %v, want nil", err)
	}
	large := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 128<<10))
		serves(w, r)
	}))
	defer large.Close()
	err := verify(large.URL + "/keys?code=planted")
	if err == nil {
		t.Fatal("an answer with a header of 128 KiB is read")
	}
	if said := log.String(); !strings.Contains(said, "could not be fetched") || !strings.Contains(said, large.URL+"/keys") || strings.Contains(said+err.Error(), "planted") {
		t.Errorf("the log says %q, and the error is %v, want that keys could not be fetched, from where, and not what stands in the query", said, err)
	}
}

// TestCertificatesAreVerified: keys over https come from who has the certificate of the name.
func TestCertificatesAreVerified(t *testing.T) {
	key := twins()[keyring.ES256].ours
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, setOf(key)) }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	v := must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256}, JWKSURL: server.URL, Revocations: revoke.None, Logger: slog.New(slog.DiscardHandler)}))
	_, err := v.Verify(t.Context(), forge(t, key, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, key.ID()), fmt.Sprintf(`{"sub":"jack","exp":%d}`, time.Now().Unix()+60)))
	if err == nil || errors.Is(err, gatehouse.ErrCredential) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("keys from a server with a certificate of nobody: %v, want an error that says so", err)
	}
}
