package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// brought is the id of a key that the test has made, and so can sign with when nobody else does any more.
const brought = "brought"

// brings lets a key of the test's sign, and returns how it is signed with: a token of who, which is good for so long.
func (f *fleet) brings(t *testing.T) func(who string, ttl time.Duration) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, f.nodes[0].dir, "brought.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	f.mustRun(t, "key", "import", "access", "brought.pem", "--kid", brought)
	return func(who string, ttl time.Duration) string {
		now, id := time.Now(), rand.Text()
		return jwt(t, part{"alg": "ES256", "typ": "at+jwt", "kid": brought}, part{"iss": fleetIssuer, "aud": fleetIssuer, "sub": who, "jti": id, "sid": id,
			"iat": now.Unix(), "exp": now.Add(ttl).Unix()}, es256(key))
	}
}

// shows reports whether a node publishes a key.
func (f *fleet) shows(node *gate, kid string) (bool, error) {
	got, err := f.send(node, http.MethodGet, "/.well-known/jwks.json", nil)
	var set struct{ Keys []struct{ Kid string } }
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("the keys: %d %s", got.status, got.body)
	}
	if err == nil {
		err = json.Unmarshal(got.body, &set)
	}
	for _, key := range set.Keys {
		if key.Kid == kid {
			return true, err
		}
	}
	return false, err
}

// A look is what a node published, and when it was asked.
type look struct {
	asked, told time.Time
	kids        map[string]bool
}

// looks are those at one node.
type looks struct {
	mu  sync.Mutex
	all []look
}

// keep looks at what a node publishes until it is told to stop.
func (l *looks) keep(f *fleet, node *gate, stop <-chan struct{}) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		asked := time.Now()
		got, err := f.send(node, http.MethodGet, "/.well-known/jwks.json", nil)
		var set struct{ Keys []struct{ Kid string } }
		if err == nil {
			err = json.Unmarshal(got.body, &set)
		}
		if err != nil || len(set.Keys) == 0 {
			return fmt.Errorf("the published keys are %d %s (%w), want one at least", got.status, got.body, err)
		}
		now := look{asked, time.Now(), map[string]bool{}}
		for _, key := range set.Keys {
			now.kids[key.Kid] = true
		}
		l.mu.Lock()
		l.all = append(l.all, now)
		l.mu.Unlock()
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

// judge says whether a key was published before a token signed with it was asked for. It is not known if nobody had just looked.
func (l *looks) judge(kid string, asked time.Time) (published, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, look := range l.all {
		switch {
		case look.told.After(asked):
		case look.kids[kid]:
			return true, true
		case asked.Sub(look.asked) < 100*time.Millisecond:
			known = true
		}
	}
	return false, known
}

// A rider uses tokens while keys change.
type rider struct {
	*fleet
	seen   []*looks // of each node
	leeway time.Duration

	mu    sync.Mutex
	first map[string]time.Time // when the first token of each key was asked for
}

// ride gets a token from one node after the other, and uses it at all of them until it is over.
func (r *rider) ride(i int, stop <-chan struct{}) error {
	for n := i; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		asked := time.Now()
		text, status, err := r.issues(r.nodes[n%len(r.nodes)])
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("issuing a token = %d (%w), want 200", status, err)
		}
		kid, ends, err := signedBy(text)
		if err != nil {
			return err
		}
		r.mu.Lock()
		if at, ok := r.first[kid]; !ok || asked.Before(at) {
			r.first[kid] = asked
		}
		r.mu.Unlock()
		if err := r.use(text, ends); err != nil {
			return err
		}
	}
}

// use fails if a token is refused that was good when the answer came, or passes when it was sent too late.
func (r *rider) use(text string, ends time.Time) error {
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		asked := time.Now()
		got, err := r.asks(r.nodes[n%len(r.nodes)], "/ping", text)
		switch {
		case err != nil:
			return err
		case got != http.StatusOK && time.Now().Before(ends):
			return fmt.Errorf("a token is refused (%d) %v before it expires", got, time.Until(ends))
		case got == http.StatusOK && asked.After(ends.Add(r.leeway+time.Second)):
			return fmt.Errorf("a token passes %v after it has expired", asked.Sub(ends))
		case got != http.StatusOK:
			return nil
		}
		<-tick.C
	}
}

// signedBy reads which key has signed a token, and when it ends.
func signedBy(text string) (kid string, ends time.Time, err error) {
	var said struct {
		Kid string
		Exp int64
	}
	all := strings.Split(text, ".")
	for _, part := range all[:min(2, len(all))] {
		plain, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil {
			err = json.Unmarshal(plain, &said)
		}
		if err != nil {
			return "", time.Time{}, err
		}
	}
	return said.Kid, time.Unix(said.Exp, 0), nil
}

// TestKeysChangeOnTwoNodes: with a new key every two seconds, both nodes go on accepting each other's tokens until they expire, whether those live for less than a key signs or for longer; each
// node has published a key before any token is signed with it; and a key that is gone verifies nothing any more, not even what somebody who has it signs now.
func TestKeysChangeOnTwoNodes(t *testing.T) {
	needFleet(t)
	t.Parallel()
	keys := knob(t, "GATEHOUSE_TORTURE_ROTATIONS", strconv.Atoi, 4)
	for name, ttl := range map[string]time.Duration{"short tokens": time.Second, "long tokens": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := beginFleet(t, onPostgres(t), 2, "access: {ttl: 1h}", fmt.Sprintf("leeway: 1s, access: {rotate: 2s, ttl: %v}", ttl))
			sign := f.brings(t)
			answers := func(node *gate) int {
				got, err := f.asks(node, "/ping", sign("amy", ttl))
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			for _, node := range f.nodes {
				until(t, "the key verifies", func() bool { return answers(node) == http.StatusOK })
			}
			r := &rider{fleet: f, leeway: time.Second, first: map[string]time.Time{}}
			r.rides(t, keys)
			r.werePublished(t)
			for i, node := range f.nodes {
				until(t, "the key is gone", func() bool {
					shown, err := f.shows(node, brought)
					if err != nil {
						t.Fatal(err)
					}
					return !shown
				})
				until(t, "the key verifies nothing", func() bool { return answers(node) == http.StatusUnauthorized })
				if got := answers(node); got != http.StatusUnauthorized {
					t.Errorf("node %d answers what is signed now with a key that is gone with %d, want 401", i, got)
				}
			}
		})
	}
}

// rides lets clients use tokens until so many keys have signed.
func (r *rider) rides(t *testing.T, keys int) {
	t.Helper()
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i, node := range r.nodes {
		l := &looks{}
		r.seen = append(r.seen, l)
		all.Go(func() {
			if err := l.keep(r.fleet, node, stop); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
		})
	}
	for i := range 6 {
		all.Go(func() {
			if err := r.ride(i, stop); err != nil {
				t.Error(err)
			}
		})
	}
	for end := time.Now().Add(time.Duration(keys)*2*time.Second + calm); ; {
		<-time.After(50 * time.Millisecond)
		r.mu.Lock()
		used := len(r.first)
		r.mu.Unlock()
		if used >= keys || t.Failed() || time.Now().After(end) {
			break
		}
	}
	close(stop)
	all.Wait()
	if len(r.first) < keys {
		t.Errorf("%d keys have signed, want %d", len(r.first), keys)
	}
}

// werePublished fails if a token was signed with a key that a node had not shown before.
func (r *rider) werePublished(t *testing.T) {
	t.Helper()
	judged := 0
	for kid, asked := range r.first {
		for i, l := range r.seen {
			published, known := l.judge(kid, asked)
			if known {
				judged++
			}
			if known && !published {
				t.Errorf("node %d had not published the key %s when a token was signed with it", i, kid)
			}
		}
	}
	if judged < len(r.first) {
		t.Errorf("of %d keys on %d nodes only %d could be judged: nobody had looked in time", len(r.first), len(r.nodes), judged)
	}
}

// TestAKeyIsRetiredInAnEmergency: where keys never change by themselves, one that others may have ends on every node within the bound, and there is no moment without a key.
func TestAKeyIsRetiredInAnEmergency(t *testing.T) {
	needFleet(t)
	t.Parallel()
	f := beginFleet(t, onPostgres(t), 2, "access: {ttl: 1h}", "access: {rotate: 0s, ttl: 1h}")
	sign := f.brings(t)
	stolen := sign("amy", time.Hour)
	for i := range f.nodes {
		f.becomes(t, i, stolen, http.StatusOK)
	}
	f.mustRun(t, "key", "rotate", "access")
	f.wants(t, 0, sign("amy", time.Hour), http.StatusOK) // the next one does not sign yet
	f.mustRun(t, "key", "retire", "access", brought)
	acknowledged := time.Now()
	var times []time.Duration
	for i, node := range f.nodes {
		took, err := f.refusedAfter(t.Context(), node, stolen, acknowledged)
		if err != nil || took > bound {
			t.Errorf("node %d refuses what the key has signed after %v (%v), want within %v", i, took, err, bound)
		}
		times = append(times, took)
		f.wants(t, i, sign("amy", time.Hour), http.StatusUnauthorized)
	}
	figure(t, "both nodes refuse a key that is retired in an emergency within %v", slices.Max(times).Round(time.Millisecond))
	for i, node := range f.nodes {
		fresh, status, err := f.issues(node)
		if err != nil || status != http.StatusOK {
			t.Fatalf("node %d issues a token: %d (%v), want 200", i, status, err)
		}
		for k := range f.nodes { // the other one has a moment to learn of the new key, which there was no time to publish
			f.becomes(t, k, fresh, http.StatusOK)
		}
	}
}
