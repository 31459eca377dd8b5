package token_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A silentList must not be asked.
type silentList struct {
	revoke.Checker
	*testing.T
}

func (l silentList) Check(c revoke.Claim) error {
	l.Errorf("the list is asked about %+v, which nobody has signed", c)
	return nil
}

// TestNothingIsBelievedBeforeTheSignature: what nobody has signed is asked about nowhere: not whether it was revoked, nor whom it stands for, nor any store.
func TestNothingIsBelievedBeforeTheSignature(t *testing.T) {
	c, ring, list := noon(), ringOf(t, "access", keyring.ES256), silentList{revoke.None, t}
	key, mine := ring.All()[0], must(keyring.Generate(keyring.ES256))
	nobody := func(context.Context, token.Claims) (gatehouse.Identity, error) {
		t.Error("it is asked whom a token stands for that nobody has signed")
		return gatehouse.Identity{Value: "jack"}, nil
	}
	store := &refusingTokens{T: t}
	refresh := newDesk(t, func(c *token.FamiliesConfig) { c.Store, c.Purpose.Form, c.Ring = store, token.JWT, ring })
	foreign := must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256}, Keys: must(keyring.Static("given", key.Public())), Revocations: list, Identify: nobody, Now: c.now}))
	own := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Revocations: list, Identify: nobody, Now: c.now})
	asks := &silentStore{T: t}
	a := must(token.NewAssertions(token.AssertionsConfig{Audience: []string{issuer}, Store: asks, Now: c.now, Client: func(_ context.Context, id string) (token.Client, error) {
		return token.Client{ID: id, Keys: []*keyring.Key{key.Public()}}, nil
	}}))
	s := &smith{TB: t, clock: c, ring: ring, key: key}
	for where, tt := range map[string]struct {
		takes         func(string) error
		head, payload string
	}{
		"own":     {func(text string) error { _, err := own.Identity(t.Context(), text); return err }, s.head(), s.payload()},
		"foreign": {func(text string) error { _, err := foreign.Identity(t.Context(), text); return err }, `{"alg":"ES256"}`, fmt.Sprintf(`{"sub":"jack","exp":%d}`, c.Unix()+60)},
		"refresh": {func(text string) error { _, err := refresh.families.Refresh(t.Context(), text); return err }, strings.Replace(s.head(), "at+jwt", "refresh+jwt", 1), s.payload()},
		"assertion": {func(text string) error { _, err := a.Verify(t.Context(), text); return err }, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, key.ID()),
			fmt.Sprintf(`{"iss":"reports","sub":"reports","aud":%q,"jti":"1","exp":%d}`, issuer, c.Unix()+60)},
	} {
		good := forge(t, key, tt.head, tt.payload)
		for what, text := range map[string]string{
			"somebody else's signature": forge(t, mine, tt.head, tt.payload), "another payload": strings.Split(forge(t, mine, tt.head, strings.Replace(tt.payload, "{", `{"x":1,`, 1)), ".")[0] + "." + b64.EncodeToString([]byte(strings.Replace(tt.payload, "{", `{"x":1,`, 1))) + "." + good[strings.LastIndexByte(good, '.')+1:],
			"no signature": good[:strings.LastIndexByte(good, '.')+1], "a cut one": good[:len(good)-2],
		} {
			if err := tt.takes(text); !errors.Is(err, gatehouse.ErrCredential) {
				t.Errorf("%s with %s: %v, want an error that wraps ErrCredential", where, what, err)
			}
		}
	}
}

// A silentStore must not be written to.
type silentStore struct {
	token.Store
	*testing.T
}

func (s *silentStore) Create(_ context.Context, rec token.Record) error {
	s.Errorf("%s is remembered, which nobody has signed", rec.Purpose)
	return nil
}

// TestKeysBelongToTheirIssuers: with the key of one issuer nobody speaks in the name of another, nor in ours, whether the keys are given or fetched.
func TestKeysBelongToTheirIssuers(t *testing.T) {
	c, ours := noon(), ringOf(t, "access", keyring.ES256)
	keys := map[string]*keyring.Key{issuer: ours.All()[0]}
	verifiers := []token.Identifier{verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ours, Now: c.now})}
	for _, name := range []string{"https://a.example", "https://b.example", "https://fetched.example"} {
		key := must(keyring.Generate(keyring.ES256))
		keys[name] = key
		profile := token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256}, Issuer: name, Revocations: revoke.None, Now: c.now}
		if name == "https://fetched.example" {
			profile.JWKSURL, profile.Transport = name+"/keys", roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(setOf(key)))}, nil
			})
		} else {
			profile.Keys = must(keyring.Static("given", key.Public()))
		}
		verifiers = append(verifiers, must(token.NewForeign(profile)))
	}
	set, s := must(token.NewSet(verifiers...)), &smith{TB: t, clock: c, ring: ours, key: ours.All()[0]}
	for signer, key := range keys {
		for says := range keys {
			for _, typ := range []string{"at+jwt", "JWT"} {
				head := fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":%q}`, key.ID(), typ)
				id, err := set.Identity(t.Context(), forge(t, key, head, s.payload("iss", `"`+says+`"`)))
				if good := signer == says && (says != issuer || typ == "at+jwt"); good != (err == nil) || good != (id.Value == "jack") || !good && !errors.Is(err, token.ErrInvalid) {
					t.Errorf("the key of %s in the name of %s, typ %s: %+v, %v, want accepted: %v", signer, says, typ, id, err, good)
				}
			}
		}
	}
}

// dns answers every question about a name with the addresses that look says, from the next moment on and until the test ends. The resolver of the machine is asked by nobody meanwhile.
func dns(t *testing.T, look func(name string) []string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := dnsAnswer(buffer[:n], look); answer != nil {
				_, _ = conn.WriteTo(answer, from) // who hears nothing asks again
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = before; conn.Close(); <-ended })
}

func dnsAnswer(question []byte, look func(name string) []string) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	q := m.Questions[0]
	for _, text := range look(strings.TrimSuffix(q.Name.String(), ".")) {
		addr := netip.MustParseAddr(text)
		head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
		switch {
		case addr.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// TestNamesThatLeadInside: a name that leads to this machine, or to the link, where clouds keep their metadata, is not dialled, whichever way the address is written, and also where it led
// elsewhere, or nowhere, when somebody looked before: the address that is dialled is what is judged.
func TestNamesThatLeadInside(t *testing.T) {
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: must(url.Parse("https://keys.example/"))}); proxy != nil || err != nil {
		t.Skip("the environment names a proxy, which resolves names itself")
	}
	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	var reached atomic.Int32
	go func() {
		for {
			conn, err := inside.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			conn.Close()
		}
	}()
	names := map[string][]string{
		"loopback.test": {"127.0.0.1"}, "other-loopback.test": {"127.8.9.10"}, "loopback6.test": {"::1"}, "mapped.test": {"::ffff:127.0.0.1"}, "nowhere.test": {"0.0.0.0"}, "nowhere6.test": {"::"}, "two.test": {"127.0.0.1", "::1"},
		"metadata.test": {"169.254.169.254"}, "mapped-metadata.test": {"::ffff:169.254.169.254"}, "link.test": {"fe80::1"}, "multicast.test": {"224.0.0.1"}, "localhost.test": {"127.0.0.1"},
	}
	var rebound atomic.Bool
	dns(t, func(name string) []string {
		if name == "rebinding.test" && rebound.Load() {
			return []string{"127.0.0.1"}
		}
		return names[name]
	})
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	c, key := noon(), twins()[keyring.ES256].ours
	verifier := func(name string) *token.Verifier {
		return must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256}, JWKSURL: "https://" + name + ":" + port + "/keys", Revocations: revoke.None, Now: c.now, Logger: slog.New(slog.DiscardHandler)}))
	}
	fetches := func(v *token.Verifier) error {
		_, err := v.Verify(t.Context(), forge(t, key, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, key.ID()), fmt.Sprintf(`{"sub":"jack","exp":%d}`, c.Unix()+6000)))
		return err
	}
	inward := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, gatehouse.ErrCredential) || !strings.Contains(err.Error(), "where nothing is fetched from") {
			t.Errorf("keys at %s: %v, want an error that says that nothing is fetched from there", what, err)
		}
	}
	for name := range names {
		inward(name, fetches(verifier(name)))
	}
	v := verifier("rebinding.test")
	if err := fetches(v); err == nil || strings.Contains(err.Error(), "where nothing is fetched from") {
		t.Errorf("keys at a name that leads nowhere yet: %v, want that it leads nowhere", err)
	}
	rebound.Store(true)
	c.pass(token.FailurePause)
	inward("a name that has come to lead inside", fetches(v))
	if n := reached.Load(); n != 0 {
		t.Errorf("this machine was reached %d times, want never", n)
	}
}

// A countingBody counts what is read of it, and has no end.
type countingBody struct{ read *atomic.Int64 }

func (b countingBody) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	b.read.Add(int64(len(p)))
	return len(p), nil
}

// TestHugeKeySetsAreNotRead: of an answer that does not end no more is read than a set of keys may have.
func TestHugeKeySetsAreNotRead(t *testing.T) {
	published(t, nil, func(t *testing.T, p *publisher) {
		var read atomic.Int64
		p.answers(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(countingBody{&read})}, nil
		})
		p.fails("an answer without end", twins()[keyring.ES256].ours, false)
		if n := read.Load(); n < token.MaxKeySet || n > token.MaxKeySet+1 {
			t.Errorf("%d bytes of it were read, want no more than %d and one", n, token.MaxKeySet)
		}
	})
}

// TestEachOfManyWaitsForItsOwn: those who wait for one fetch together get each the answer about their own token.
func TestEachOfManyWaitsForItsOwn(t *testing.T) {
	published(t, nil, func(t *testing.T, p *publisher) {
		key, stranger := twins()[keyring.ES256].ours, must(keyring.Generate(keyring.ES256))
		set, release := setOf(key), make(chan struct{})
		p.answers(func(*http.Request) (*http.Response, error) {
			<-release
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(set))}, nil
		})
		var all sync.WaitGroup
		for i := range 50 {
			subject, by := fmt.Sprint("user ", i), key
			if i%5 == 0 {
				by = stranger
			}
			text := forge(t, by, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, key.ID()), fmt.Sprintf(`{"sub":%q,"exp":%d}`, subject, p.Unix()+60))
			all.Go(func() {
				if id, err := p.Identity(t.Context(), text); by == key && (err != nil || id.Value != subject) || by != key && (!errors.Is(err, token.ErrInvalid) || id.Value != "") {
					t.Errorf("the token of %s says %q, %v, want its own subject, or a refusal: %v", subject, id.Value, err, by != key)
				}
			})
		}
		synctest.Wait()
		close(release)
		all.Wait()
		p.fetched("by fifty at once", 1)
	})
}

// TestClockGoesForwardAndBack: what was used up, ended or overdue does not come back when the clock was an hour ahead, what is overdue was removed meanwhile, and the clock is set back.
func TestClockGoesForwardAndBack(t *testing.T) {
	c := newCounter(t, nil)
	assertion := c.sign()
	if _, err := c.Verify(t.Context(), assertion); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, func(f *token.FamiliesConfig) { f.Store = c.store })
	d.clock.Time = c.Time
	used, ended := d.start(), d.start()
	d.refresh(used)
	if err := d.families.End(t.Context(), ended.Access.Claims.Session); err != nil {
		t.Fatal(err)
	}
	tickets := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Minute, MaxUses: 1, Audience: audience}
	m := minterOf(t, token.MinterConfig{Purpose: tickets, Store: c.store, Now: c.now})
	v := verifierOf(t, token.VerifierConfig{Purpose: tickets, Store: c.store, Now: c.now})
	spent, _ := mint(t, m)
	if _, err := v.Verify(t.Context(), spent); err != nil {
		t.Fatal(err)
	}
	overdue, _ := mint(t, m)

	for _, jump := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		c.pass(jump)
		must(token.Prune(t.Context(), c.store, c.Time))
		d.later(jump)
	}
	if client, err := c.Verify(t.Context(), assertion); !errors.Is(err, token.ErrClient) {
		t.Errorf("an assertion that was used: %+v, %v, want ErrClient", client, err)
	}
	got, err := v.Verify(t.Context(), spent)
	refused(t, "a token for one use, which was used", got, err, token.ErrInvalid)
	d.dead("a log-in that was ended", ended)
	d.later(time.Minute)
	if _, err := d.families.Refresh(t.Context(), used.Refresh.Text.Reveal()); !errors.Is(err, token.ErrReused) {
		t.Errorf("a refresh token that was used: %v, want ErrReused", err)
	}
	c.pass(3 * time.Hour)
	must(token.Prune(t.Context(), c.store, c.Time))
	c.pass(-3 * time.Hour)
	got, err = v.Verify(t.Context(), overdue)
	refused(t, "a token that was removed when it seemed overdue", got, err, token.ErrInvalid)
}

// noRandomness fails as a system does that has none.
type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("planted: no randomness") }

// TestNoRandomness: a generator that fails ends the program: no token is made that somebody could guess.
func TestNoRandomness(t *testing.T) {
	const child = "GATEHOUSE_TEST_WITHOUT_RANDOMNESS"
	purposes := map[string]token.Purpose{"JWT": access(), "opaque": {Name: "ticket", Form: token.Opaque, TTL: time.Hour, Audience: audience}}
	if form := os.Getenv(child); form != "" {
		m := minterOf(t, token.MinterConfig{Purpose: purposes[form], Ring: ringOf(t, "access", keyring.HS256), Store: memory.Tokens()})
		rand.Reader = noRandomness{}
		defer func() { fmt.Println("goes on after a panic:", recover()) }()
		made, err := m.Mint(t.Context(), token.Claims{Subject: "jack"})
		fmt.Println("goes on:", made.Claims.ID, err)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for form := range purposes {
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestNoRandomness$")
		cmd.Env = append(os.Environ(), child+"="+form)
		out, err := cmd.CombinedOutput()
		if err == nil || strings.Contains(string(out), "goes on") || !strings.Contains(string(out), "planted: no randomness") {
			t.Errorf("%s: without randomness the program ends with %v and says\n%s\nwant that it dies of that", form, err, out)
		}
	}
}
