package revoke_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A thing is something that was revoked at least once, or that somebody has tried to revoke.
type thing struct {
	kind    revoke.Kind
	id      string
	issued  time.Time
	expires time.Time // when it ends by itself: nobody has to know from then on
	stored  time.Time // since when the store has had it all the time; zero: it has not
}

func (x *thing) claim() revoke.Claim {
	c := revoke.Claim{Issued: x.issued}
	switch x.kind {
	case revoke.Token:
		c.Token = x.id
	case revoke.Session:
		c.Session = x.id
	case revoke.Key:
		c.Key = x.id
	case revoke.Subject:
		c.Subject = x.id
	}
	return c
}

// in reports whether the store has an entry that revokes it.
func (x *thing) in(s *store) bool {
	sum := sha256.Sum256([]byte(x.id))
	for _, e := range s.entries {
		kind, isPrint := strings.CutSuffix(string(e.Kind), "#")
		if revoke.Kind(kind) == x.kind && (e.ID == x.id || isPrint && e.ID == string(sum[:16])) && (e.Before.IsZero() || x.issued.Before(e.Before)) {
			return true
		}
	}
	return false
}

// A node is one process.
type node struct {
	list  *revoke.List
	knows map[*thing]bool // what it must refuse from now on, whatever happens, until it ends
}

// A model is some processes on one store, and what is to be expected of them.
type model struct {
	*testing.T
	clock   *clock
	store   *store
	nodes   []*node
	things  []*thing
	backups []backup
	serial  int
}

func newModel(t *testing.T) *model {
	m := &model{T: t, clock: newClock(), store: &store{}, backups: []backup{{}}}
	for range 3 {
		m.nodes = append(m.nodes, m.node())
	}
	return m
}

func (m *model) node() *node {
	return &node{list: newList(m.store, m.clock), knows: map[*thing]bool{}}
}

func (m *model) pick(t *rapid.T) *node { return m.nodes[rapid.IntRange(0, 2).Draw(t, "node")] }

// revoke revokes something, which one node must know afterwards even if the store fails.
func (m *model) revoke(t *rapid.T) {
	n := m.pick(t)
	m.serial++
	x := &thing{
		kind: rapid.SampledFrom([]revoke.Kind{revoke.Token, revoke.Session, revoke.Key, revoke.Subject}).Draw(t, "kind"),
		id:   fmt.Sprint(m.serial), issued: m.clock.Now().Add(-time.Second),
		expires: m.clock.Now().Add(rapid.SampledFrom([]time.Duration{time.Minute, 10 * time.Minute, 5 * time.Hour}).Draw(t, "life")),
	}
	var err error
	switch x.kind {
	case revoke.Token:
		err = n.list.RevokeToken(t.Context(), x.id, x.expires)
	case revoke.Session:
		err = n.list.RevokeSession(t.Context(), x.id, x.expires)
	case revoke.Key:
		err = n.list.RevokeKey(t.Context(), x.id)
	default:
		x.id = rapid.SampledFrom([]string{"jack", "amy"}).Draw(t, "subject")
		x.issued = n.list.IssuedAt(x.id, m.clock.Now()) // a token of the last moment
		m.clock.add(time.Millisecond)
		err = n.list.RevokeSubject(t.Context(), x.id)
	}
	if broken := m.store.down || m.store.lose; (err != nil) != broken {
		t.Fatalf("Revoke = %v, and the store is broken: %v", err, broken)
	}
	m.things = append(m.things, x)
	n.knows[x] = true
}

// load lets a node read. When it could, it knows all that there is.
func (m *model) load(t *rapid.T) {
	n := m.pick(t)
	if rapid.Bool().Draw(t, "in small pages") {
		size := rapid.IntRange(1, 3).Draw(t, "size")
		m.store.forge = func(p revoke.Page) revoke.Page { p.Entries = p.Entries[:min(size, len(p.Entries))]; return p }
		defer func() { m.store.forge = nil }()
	}
	err := n.list.Load(t.Context())
	if m.store.down || m.store.lose && err != nil { // what is put back is lost as well
		return
	}
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	for _, x := range m.things {
		n.knows[x] = n.knows[x] || x.in(m.store)
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"revoke": m.revoke, "revoke more": m.revoke, "load": m.load, "load more": m.load,
		"restart": func(t *rapid.T) { m.nodes[rapid.IntRange(0, 2).Draw(t, "node")] = m.node() },
		"sweep":   func(t *rapid.T) { m.pick(t).list.Sweep() },
		"prune":   func(t *rapid.T) { _, _ = m.pick(t).list.Prune(t.Context()) },
		"backup":  func(t *rapid.T) { m.backups = append(m.backups, m.store.backup()) },
		"restore": func(t *rapid.T) { m.store.restore(rapid.SampledFrom(m.backups).Draw(t, "backup")) },
		"break or mend": func(t *rapid.T) {
			m.store.down = rapid.Bool().Draw(t, "down")
			m.store.lose = rapid.Bool().Draw(t, "loses answers")
		},
		"moment": func(t *rapid.T) {
			m.clock.add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
		},
		"while": func(t *rapid.T) {
			m.clock.add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "s")) * time.Second)
		},
		"": m.check,
	}
}

// check is what always holds.
func (m *model) check(t *rapid.T) {
	now := m.clock.Now()
	for _, x := range m.things {
		switch in := x.in(m.store); {
		case !in:
			x.stored = time.Time{}
		case x.stored.IsZero():
			x.stored = now
		}
	}
	for i, n := range m.nodes {
		fresh := n.list.Staleness() <= n.list.Bound()
		if got := verdictOf(n.list.Check(revoke.Claim{Token: "never", Session: "never", Subject: "nobody", Key: "never", Issued: now})); fresh != (got == good) || got == revoked {
			t.Fatalf("node %d, which is fresh: %v, says that what nobody has revoked is %v", i, fresh, got)
		}
		for _, x := range m.things {
			if !now.Before(x.expires) {
				continue
			}
			got := verdictOf(n.list.Check(x.claim()))
			if n.knows[x] && got != revoked {
				t.Fatalf("node %d says that %+v is %v, and has known better", i, x.claim(), got)
			}
			if !x.stored.IsZero() && now.Sub(x.stored) > n.list.Bound() && got == good {
				t.Fatalf("node %d says that %+v is good, which is in the store since %v", i, x.claim(), now.Sub(x.stored))
			}
		}
	}
}

// settle mends the store and lets everybody read: then all know what one has known.
func (m *model) settle(t *rapid.T) {
	m.store.down, m.store.lose = false, false
	for range 2 {
		for _, n := range m.nodes {
			if err := n.list.Load(t.Context()); err != nil {
				t.Fatalf("Load() = %v", err)
			}
		}
	}
	for _, x := range m.things {
		if !m.clock.Now().Before(x.expires) || !x.in(m.store) {
			continue
		}
		for i, n := range m.nodes {
			if got := verdictOf(n.list.Check(x.claim())); got != revoked {
				t.Fatalf("in the end node %d says that %+v is %v", i, x.claim(), got)
			}
		}
	}
}

// TestModel: whatever some processes and their store go through, in any order, what is in the store is refused everywhere after the bound, and what a process has known it
// refuses as long as it runs. When all is well again, all agree.
func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := newModel(t)
		r.Repeat(m.actions())
		m.settle(r)
		m.check(r)
	})
}

// TestModelOfLosses: what was acknowledged is never lost as long as a process runs that knows it, however often the store goes back to what it was: when that process has read, it
// is in the store again, and the others know it by the time that they have read.
func TestModelOfLosses(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := newModel(t)
		actions := m.actions()
		for _, other := range []string{"restart", "break or mend", "while", "prune", "sweep"} {
			delete(actions, other)
		}
		for _, n := range m.nodes {
			load(t, n.list)
		}
		r.Repeat(actions)
		m.settle(r)
		for _, x := range m.things {
			for i, n := range m.nodes {
				if got := verdictOf(n.list.Check(x.claim())); m.clock.Now().Before(x.expires) && got != revoked {
					r.Fatalf("node %d says that %+v is %v, which was acknowledged", i, x.claim(), got)
				}
			}
		}
	})
}
