package gatehousetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestStoresAreTheStoresBehind as long as nothing is to fail: they pass the suites that every store must pass.
func TestStoresAreTheStoresBehind(t *testing.T) {
	t.Run("keys", func(t *testing.T) {
		storetest.TestKeys(t, func(*testing.T) storetest.Keys { return storetest.Keys{Store: NewKeyStore(memory.Keys())} })
	})
	t.Run("tokens", func(t *testing.T) {
		storetest.TestTokens(t, func(*testing.T) storetest.Tokens { return storetest.Tokens{Store: NewTokenStore(memory.Tokens())} })
	})
	t.Run("revocations", func(t *testing.T) {
		storetest.TestRevocations(t, func(*testing.T) storetest.Revocations {
			return storetest.Revocations{Store: NewRevocationStore(memory.Revocations())}
		})
	})
}

// A failing store is one kind of store, with something in it.
type failing struct {
	name  string
	calls []Call
	// open returns the faults of a store, what makes each call once, and what says whether the store behind is as it was.
	open func(t *testing.T) (faults *Faults, each func(context.Context) map[Call]error, untouched func() bool)
}

var failingStores = []failing{{"keys", KeyCalls, openKeys}, {"tokens", TokenCalls, openTokens}, {"revocations", RevocationCalls, openRevocations}}

func openKeys(t *testing.T) (*Faults, func(context.Context) map[Call]error, func() bool) {
	inner, version := memory.Keys(), int64(1)
	if err := inner.Save(t.Context(), "access", 0, nil); err != nil {
		t.Fatal(err)
	}
	s := NewKeyStore(inner)
	each := func(ctx context.Context) map[Call]error {
		errs := map[Call]error{}
		_, _, errs[CallLoad] = s.Load(ctx, "access")
		if errs[CallSave] = s.Save(ctx, "access", version, []keyring.Record{{ID: "kid"}}); errs[CallSave] == nil {
			version++
		}
		_, errs[CallRings] = s.Rings(ctx)
		return errs
	}
	return s.Faults, each, func() bool {
		keys, version, err := inner.Load(context.Background(), "access")
		return len(keys) == 0 && version == 1 && err == nil
	}
}

func openTokens(t *testing.T) (*Faults, func(context.Context) map[Call]error, func() bool) {
	inner := memory.Tokens()
	rec := token.Record{Key: token.Key{1}, ID: "one", Subject: "jack", Expires: noon.Add(time.Hour), Left: 5}
	if err := inner.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	s := NewTokenStore(inner)
	fresh := rec
	each := func(ctx context.Context) map[Call]error {
		errs := map[Call]error{}
		fresh.Key[1]++
		errs[CallCreate] = s.Create(ctx, fresh)
		_, errs[CallGet] = s.Get(ctx, rec.Key)
		_, errs[CallUse] = s.Use(ctx, rec.Key)
		next := fresh
		next.Key[2]++
		_, errs[CallRotate] = s.Rotate(ctx, rec.Key, noon, nil, next)
		_, errs[CallPrune] = s.Prune(ctx, noon, 1)
		errs[CallDelete] = s.Delete(ctx, next.Key, "")
		_, errs[CallDeleteSubject] = s.DeleteSubject(ctx, "jack")
		return errs
	}
	return s.Faults, each, func() bool {
		got, err := inner.Get(context.Background(), rec.Key)
		_, created := inner.Get(context.Background(), fresh.Key)
		return err == nil && got.Left == 5 && got.Used.IsZero() && errors.Is(created, token.ErrNotFound)
	}
}

func openRevocations(t *testing.T) (*Faults, func(context.Context) map[Call]error, func() bool) {
	inner := memory.Revocations()
	if _, err := inner.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: "jti", Expires: noon}); err != nil {
		t.Fatal(err)
	}
	s := NewRevocationStore(inner)
	each := func(ctx context.Context) map[Call]error {
		errs := map[Call]error{}
		_, errs[CallAdd] = s.Add(ctx, revoke.Entry{Kind: revoke.Token, ID: "another", Expires: noon})
		_, errs[CallSince] = s.Since(ctx, 0, 10)
		_, errs[CallPrune] = s.Prune(ctx, noon.Add(time.Hour), 10)
		return errs
	}
	return s.Faults, each, func() bool {
		page, err := inner.Since(context.Background(), 0, 10)
		return err == nil && len(page.Entries) == 1 && page.Last == 1
	}
}

// TestStoresFailWhatWasChosen and nothing else; every call is counted, whether it fails or not, and what fails does not reach the store behind.
func TestStoresFailWhatWasChosen(t *testing.T) {
	other := errors.New("another error")
	for _, kind := range failingStores {
		check := func(name string, faults *Faults, got, want map[Call]error) {
			t.Helper()
			for _, call := range kind.calls {
				if got[call] != want[call] && (want[call] != nil || got[call] != nil && !errors.Is(got[call], token.ErrNotFound)) {
					t.Errorf("%s: %s: %s = %v, want %v", kind.name, name, call, got[call], want[call])
				}
				if n := faults.Count(call); n != 1 {
					t.Errorf("%s: %s: Count(%s) = %d, want 1", kind.name, name, call, n)
				}
			}
			if n := faults.Count(); n != len(kind.calls) {
				t.Errorf("%s: %s: Count() = %d, want %d", kind.name, name, n, len(kind.calls))
			}
		}
		faults, each, _ := kind.open(t)
		check("nothing", faults, each(t.Context()), nil)
		for _, call := range kind.calls {
			faults, each, _ := kind.open(t)
			faults.Fail(ErrDown, call)
			check("only "+string(call), faults, each(t.Context()), map[Call]error{call: ErrDown})
		}
		faults, each, untouched := kind.open(t)
		all := map[Call]error{}
		for _, call := range kind.calls {
			all[call] = ErrDown
		}
		faults.Fail(ErrDown)
		faults.FailOnce(other, kind.calls[0])
		want := map[Call]error{}
		for call, err := range all {
			want[call] = err
		}
		want[kind.calls[0]] = other
		check("everything, and one of them once with another error", faults, each(t.Context()), want)
		if !untouched() {
			t.Errorf("%s: what has failed has reached the store behind", kind.name)
		}
		faults.Reset()
		check("everything", faults, each(t.Context()), all)
		faults.Reset()
		faults.Fail(nil)
		check("mended", faults, each(t.Context()), nil)
	}
}

// TestEveryCallHasAName: the lists of calls are whole, and no call is in one twice.
func TestEveryCallHasAName(t *testing.T) {
	for _, kind := range failingStores {
		_, each, _ := kind.open(t)
		made := each(t.Context())
		if len(made) != len(kind.calls) {
			t.Errorf("%s: the store has %d calls, and the list %q", kind.name, len(made), kind.calls)
		}
		for i, call := range kind.calls {
			if _, ok := made[call]; !ok || slices.Contains(kind.calls[:i], call) {
				t.Errorf("%s: the list has %q, which is no call or in it twice", kind.name, call)
			}
		}
	}
}

func TestNewStoresOfNothing(t *testing.T) {
	for name, make := range map[string]func(){
		"NewKeyStore": func() { NewKeyStore(nil) }, "NewTokenStore": func() { NewTokenStore(nil) }, "NewRevocationStore": func() { NewRevocationStore(nil) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, name+": the store is nil") {
					t.Errorf("%s(nil) panics with %q, want a sentence about the store", name, got)
				}
			}()
			make()
		}()
	}
}

// TestStoresAreSafeForConcurrentUse is for the race detector, and counts.
func TestStoresAreSafeForConcurrentUse(t *testing.T) {
	s := NewRevocationStore(memory.Revocations())
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { _, _ = s.Since(t.Context(), 0, 1) })
		group.Go(func() { s.FailOnce(ErrDown, CallSince); s.Fail(ErrDown, CallAdd); s.Count() })
	}
	group.Wait()
	if got := s.Count(CallSince); got != 20 {
		t.Errorf("Count(Since) after 20 calls = %d, want 20", got)
	}
}

// TestRingOutlivesItsStore is what a key store that fails is for: the keys in use stay in use, and the next load says what is wrong.
func TestRingOutlivesItsStore(t *testing.T) {
	s := NewKeyStore(memory.Keys())
	ring, err := keyring.New(s, keyring.Config{Name: "access", Algorithm: keyring.EdDSA, Master: keyring.NewMaster()})
	if err != nil {
		t.Fatal(err)
	}
	s.Fail(ErrDown)
	if err := ring.Load(t.Context()); !errors.Is(err, ErrDown) {
		t.Errorf("Load = %v, want ErrDown", err)
	}
	if _, err := ring.Signer(); !errors.Is(err, gatehouse.ErrUnavailable) {
		t.Errorf("Signer of a ring that was never loaded = %v, want ErrUnavailable", err)
	}
	s.Fail(nil)
	if err := ring.Load(t.Context()); err != nil {
		t.Errorf("Load = %v, want nil", err)
	}
	s.Fail(ErrDown)
	if err := ring.Load(t.Context()); !errors.Is(err, ErrDown) {
		t.Errorf("Load = %v, want ErrDown", err)
	}
	if _, err := ring.Signer(); err != nil {
		t.Errorf("Signer while the store is down = %v, want the key in use", err)
	}
}

// bearer calls handler with a token and returns the status.
func bearer(handler http.Handler, text string) int {
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	r.Header.Set("Authorization", "Bearer "+text)
	handler.ServeHTTP(w, r)
	return w.Code
}

// strict greets callers whom it knows, and nobody else.
func strict(t *testing.T, c carrier.Carrier) http.Handler {
	t.Helper()
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{c}, Policy: guard.AsSubject{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return g.Handler(g.Require(func(http.ResponseWriter, *http.Request) {}))
}

// TestIssuer makes tokens of each purpose, which are good for that alone.
func TestIssuer(t *testing.T) {
	clock := NewClock(time.Time{})
	i := NewIssuer(t, clock.Now, token.ResetPassword(), token.Purpose{Name: "report"})
	id, err := i.Identity(t.Context(), i.Token(t, token.Claims{Subject: "jack", Roles: []string{"basic"}}))
	if err != nil || id.Value != "jack" || id.Purpose != "" && id.Purpose != token.PurposeAccess {
		t.Errorf("Identity of an access token = %+v, %v, want jack's", id, err)
	}
	for _, purpose := range []string{token.PurposeResetPassword, "report"} {
		id, err := i.Identity(gatehouse.NewPurposeContext(t.Context(), purpose), i.Token(t, token.Claims{Subject: "jack", Purpose: purpose}))
		if err != nil || id.Value != "jack" || id.Purpose != purpose {
			t.Errorf("Identity of a token for %s = %+v, %v, want jack's for that", purpose, id, err)
		}
	}
	handler := strict(t, carrier.Bearer(i))
	if got := bearer(handler, i.Token(t, token.Claims{Subject: "jack"})); got != http.StatusOK {
		t.Errorf("a request with an access token = %d, want 200", got)
	}
	for _, purpose := range []string{token.PurposeResetPassword, "report"} {
		if got := bearer(handler, i.Token(t, token.Claims{Subject: "jack", Purpose: purpose})); got != http.StatusUnauthorized {
			t.Errorf("a request with a token for %s = %d, want 401", purpose, got)
		}
	}
	brief := i.Token(t, token.Claims{Subject: "jack"}, token.TTL(time.Minute))
	clock.Advance(2 * time.Minute)
	if got := bearer(handler, brief); got != http.StatusUnauthorized {
		t.Errorf("a request with a token that has expired = %d, want 401", got)
	}
	if got := bearer(handler, NewIssuer(t, clock.Now).Token(t, token.Claims{Subject: "jack"})); got != http.StatusUnauthorized {
		t.Errorf("a request with another issuer's token = %d, want 401", got)
	}
}

// TestIssuerEndsTheTest where there is nothing to give.
func TestIssuerEndsTheTest(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(T)
		want string
	}{
		"an unknown purpose":      {func(f T) { NewIssuer(f, nil).Token(f, token.Claims{Purpose: "report"}) }, `there is no purpose "report"`},
		"a purpose without name":  {func(f T) { NewIssuer(f, nil, token.Purpose{}) }, "the name must be"},
		"a purpose twice":         {func(f T) { NewIssuer(f, nil, token.Access()) }, "access"},
		"a token that lives long": {func(f T) { NewIssuer(f, nil).Token(f, token.Claims{Subject: "jack"}, token.TTL(24*time.Hour)) }, "time to live"},
	} {
		if got := failure(tt.do); !strings.Contains(got, tt.want) {
			t.Errorf("%s: the test ends with %q, want %q in it", name, got, tt.want)
		}
	}
}

// TestLostRevocations: what was revoked is refused whether the list is lost or not; of all else a list that has been lost for too long says nothing.
func TestLostRevocations(t *testing.T) {
	clock := NewClock(time.Time{})
	i := NewIssuer(t, clock.Now)
	handler, r := strict(t, carrier.Bearer(i)), i.Revocations
	good, ended := i.Token(t, token.Claims{Subject: "jack", Session: "one"}), i.Token(t, token.Claims{Subject: "jack", Session: "two"})
	status := func(what, text string, want int) {
		t.Helper()
		if got := bearer(handler, text); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	clock.Advance(time.Minute)
	status("a list that is fresh by itself", good, http.StatusOK)
	r.Lose(true)
	status("a list that was lost just now", good, http.StatusOK)
	clock.Advance(4 * time.Second)
	status("a list that was lost for 4 s", good, http.StatusOK)
	if err := r.RevokeSession(t.Context(), "two", clock.Now().Add(time.Hour)); err != nil {
		t.Errorf("RevokeSession while the list is lost = %v, want nil", err)
	}
	clock.Advance(2 * time.Second)
	status("a list that was lost for 6 s", good, http.StatusServiceUnavailable)
	status("what was revoked meanwhile", ended, http.StatusUnauthorized)
	if err := r.RevokeSubject(t.Context(), "anna"); err != nil {
		t.Errorf("RevokeSubject while the list is lost = %v, want nil", err)
	}
	status("a list that is still lost, though it was written to", good, http.StatusServiceUnavailable)
	r.Lose(false)
	status("a list that was found again", good, http.StatusOK)
	status("what was revoked", ended, http.StatusUnauthorized)
}
