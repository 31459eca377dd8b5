package guard_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// noon is the time of the generated guards.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// What a generated carrier may answer: a word for the model, and the answer.
var outcomes = map[string]func() (gatehouse.Identity, error){
	"good": func() (gatehouse.Identity, error) {
		return gatehouse.Identity{Value: "jack", ExpiresAt: noon.Add(1)}, nil
	},
	"other":     func() (gatehouse.Identity, error) { return gatehouse.Identity{Value: "ann"}, nil },
	"nobody":    func() (gatehouse.Identity, error) { return gatehouse.Identity{Roles: []string{"admin"}}, nil },
	"late":      func() (gatehouse.Identity, error) { return gatehouse.Identity{Value: "jack", ExpiresAt: noon}, nil },
	"nothing":   func() (gatehouse.Identity, error) { return gatehouse.Identity{Value: "ann"}, gatehouse.ErrAnonymous },
	"scheme":    func() (gatehouse.Identity, error) { return gatehouse.Identity{}, gatehouse.ErrScheme },
	"bad":       func() (gatehouse.Identity, error) { return gatehouse.Identity{Value: "ann"}, gatehouse.ErrCredential },
	"expired":   func() (gatehouse.Identity, error) { return gatehouse.Identity{}, gatehouse.ErrExpired },
	"malformed": func() (gatehouse.Identity, error) { return gatehouse.Identity{}, gatehouse.ErrMalformed },
	"twice":     func() (gatehouse.Identity, error) { return gatehouse.Identity{}, gatehouse.ErrDuplicate },
	"forbidden": func() (gatehouse.Identity, error) { return gatehouse.Identity{}, gatehouse.ErrForbidden },
	"down":      func() (gatehouse.Identity, error) { return gatehouse.Identity{Value: "ann"}, errDown },
	"panic":     func() (gatehouse.Identity, error) { panic("planted-secret") },
}

// silent are those outcomes that say that there is no credential; unsure those that say nothing.
var silent, unsure = []string{"nothing", "scheme"}, []string{"down", "panic"}

// A world is a guard whose every hook has an outcome.
type world struct {
	carriers []string
	resolve  string // "same", "nobody", "bad", "down", "panic", "forbidden"
	permits  string // "yes", "no", "down", "panic"
	path     string
}

// everyWorld calls f with each combination of two carriers, a policy, a permission and a path.
func everyWorld(f func(w world)) {
	words := slices.Sorted(maps.Keys(outcomes))
	for _, first := range words {
		for _, second := range words {
			for _, resolve := range []string{"same", "nobody", "bad", "down", "panic", "forbidden"} {
				for _, permits := range []string{"yes", "no", "down", "panic"} {
					f(world{carriers: []string{first, second}, resolve: resolve, permits: permits})
				}
			}
		}
	}
}

var worldPaths = []string{"/public", "/strict", "/known", "/nobody", "/admin", "/scope", "/permission", "/either", "/get", "/post", "/nope"}

// caller is the model: who the request is from, "-" for nobody, and whether it must be refused whatever the rule asks for.
func (w world) caller() (subject string, refused, unusable bool) {
	var found []string
	unclear := false
	for _, word := range w.carriers {
		switch {
		case slices.Contains(unsure, word):
			unclear = true
		case !slices.Contains(silent, word):
			found = append(found, word)
		}
	}
	switch {
	case len(found) > 1 || slices.Contains(found, "twice"):
		return "-", true, false
	case unclear:
		return "-", false, true
	case len(found) == 0:
		return "-", false, false
	case found[0] == "forbidden":
		return "-", true, false
	case found[0] != "good" && found[0] != "other":
		return "-", false, true
	case w.resolve == "forbidden":
		return "-", true, false
	case w.resolve != "same":
		return "-", false, true
	}
	return map[string]string{"good": "jack", "other": "ann"}[found[0]], false, false
}

// wants is what the model expects: whether the request passes, and as whom.
func (w world) wants() (pass bool, subject string) {
	subject, refused, unusable := w.caller()
	known := subject != "-"
	switch {
	case refused, unusable && w.path != "/public":
		return false, ""
	case w.path == "/public", w.path == "/strict":
		return true, subject
	case w.path == "/known", w.path == "/get":
		return known, subject
	case w.path == "/permission", w.path == "/either":
		return w.permits == "yes", subject
	}
	return false, "" // nobody has a role or a scope here
}

func (w world) guard(t testing.TB, table *policy.Table, log *buffer) *guard.Guard {
	c := guard.Config{Rules: table, Logger: log.logger(), Now: func() time.Time { return noon }}
	for _, word := range w.carriers {
		c.Carriers = append(c.Carriers, carrier.Carrier(hook(func(*http.Request) (gatehouse.Identity, error) { return outcomes[word]() })))
	}
	c.Policy = users{
		resolve: func(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
			switch w.resolve {
			case "nobody":
				return gatehouse.Principal{Roles: []string{"admin"}}, nil
			case "bad":
				return gatehouse.PrincipalOf(id), gatehouse.ErrCredential
			case "down":
				return gatehouse.PrincipalOf(id), errDown
			case "forbidden":
				return gatehouse.PrincipalOf(id), gatehouse.ErrForbidden
			case "panic":
				panic("planted-secret")
			}
			return gatehouse.PrincipalOf(id), nil
		},
		permits: func(context.Context, gatehouse.Principal, string, any) (bool, error) {
			switch w.permits {
			case "down":
				return true, errDown
			case "panic":
				panic("planted-secret")
			}
			return w.permits == "yes", nil
		},
	}
	return makeGuard(t, c)
}

// TestEveryFaultDenies makes guards whose hooks fail in every combination, some 4,000 of them and ten times as many requests, and holds the
// engine against a model of a few lines: a request passes exactly if the model says so, as whom the model says; a refusal is a problem with
// its header fields; nothing leaks.
func TestEveryFaultDenies(t *testing.T) {
	table := everyRule(t)
	passed, refused := 0, 0
	everyWorld(func(w world) {
		var log buffer
		h := w.guard(t, table, &log).Handler(who)
		for _, path := range worldPaths {
			w.path = path
			before := log.lines()
			got := get(h, "GET", path)
			w.compare(t, got)
			if got.reached() {
				passed++
			} else {
				refused++
			}
			if lines := log.lines() - before; lines > 1 {
				t.Errorf("%+v logs %d lines", w, lines)
			}
		}
		if strings.Contains(log.String(), "planted-secret") {
			t.Errorf("%+v logs a secret: %s", w, &log)
		}
	})
	if passed < 1000 || refused < 1000 {
		t.Errorf("%d passed and %d were refused: the test saw one side only", passed, refused)
	}
}

// compare holds one answer against the model.
func (w world) compare(t *testing.T, got answer) {
	t.Helper()
	pass, subject := w.wants()
	if got.reached() != pass || pass != (got.status == 200) || pass && got.body != subject {
		t.Errorf("%+v = %d %s, want it to pass: %v as %s", w, got.status, got.body, pass, subject)
	}
	if !pass && (got.code() == "" || got.status < 400 || got.status == 500 || got.header.Get("Cache-Control") != "no-store") {
		t.Errorf("%+v is refused with %d %v %s", w, got.status, got.header, got.body)
	}
	if got.status == 401 && got.challenges() == "" || got.status == 503 && got.header.Get("Retry-After") == "" || got.status == 405 && got.header.Get("Allow") == "" {
		t.Errorf("%+v = %d without its header field", w, got.status)
	}
	if strings.Contains(got.body+fmt.Sprint(got.header), "planted-secret") {
		t.Errorf("%+v shows a secret: %v %s", w, got.header, got.body)
	}
}

// TestEachFaultAlone breaks one hook at a time in a request that passes otherwise.
func TestEachFaultAlone(t *testing.T) {
	sound := world{carriers: []string{"nothing", "good"}, resolve: "same", permits: "yes", path: "/permission"}
	table := everyRule(t)
	var log buffer
	if got := get(sound.guard(t, table, &log).Handler(who), "GET", sound.path); got.status != 200 || got.body != "jack" {
		t.Fatalf("nothing broken = %d %s, want 200 jack", got.status, got.body)
	}
	var broken []world
	for word := range outcomes {
		if word != "nothing" && word != "scheme" {
			w := sound
			w.carriers = []string{word, "good"}
			broken = append(broken, w)
		}
		if word != "good" && word != "other" {
			w := sound
			w.carriers = []string{"nothing", word}
			if slices.Contains(silent, word) {
				w.path = "/known" // the permission is for everybody here
			}
			broken = append(broken, w)
		}
	}
	for _, resolve := range []string{"nobody", "bad", "down", "panic", "forbidden"} {
		w := sound
		w.resolve = resolve
		broken = append(broken, w)
	}
	for _, permits := range []string{"no", "down", "panic"} {
		w := sound
		w.permits = permits
		broken = append(broken, w)
	}
	for _, w := range broken {
		if got := get(w.guard(t, table, &log).Handler(who), "GET", w.path); got.status < 400 || got.reached() {
			t.Errorf("%+v = %d %s, want a refusal", w, got.status, got.body)
		}
	}
}
