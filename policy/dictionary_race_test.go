package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// TestDictionaryParallel changes users while others ask about them. Whoever asks must see one of the states that a user was given, never a mixture,
// and a change of one user must not be seen in another.
func TestDictionaryParallel(t *testing.T) {
	d := newDictionary(t, policy.DictionaryConfig{
		Users: map[string]policy.User{"jack": {}, "devin": {Permissions: []string{"public"}}}, Roles: policy.RoleList("basic", "admin"),
	})
	states := []policy.User{
		{Permissions: []string{"a", "b"}, Roles: []string{"basic"}}, {Permissions: []string{"c"}, Roles: []string{"admin"}}, {Superuser: true}, {Disabled: true, Superuser: true},
	}
	allowed := [][]bool{{true, true, false}, {false, false, true}, {true, true, true}, {false, false, false}}
	const rounds = 500
	var changing, asking sync.WaitGroup
	done := make(chan struct{})
	for worker := range 3 {
		changing.Go(func() {
			for round := range rounds {
				if (round+worker)%7 == 0 {
					d.Remove("jack")
					continue
				}
				if err := d.Set("jack", states[(round+worker)%len(states)]); err != nil {
					t.Errorf("Set = %v", err)
				}
			}
		})
	}
	for range 3 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := d.PermitsEach(t.Context(), named("jack"), []string{"a", "b", "c"}, nil)
				if err != nil || !slices.ContainsFunc(allowed, func(want []bool) bool { return slices.Equal(got, want) }) {
					t.Errorf("PermitsEach(jack, a b c) = %v, %v, want one of %v", got, err, allowed)
				}
				if ok, err := d.Permits(t.Context(), named("devin"), "a", nil); ok || err != nil {
					t.Errorf("Permits(devin, a) = %v, %v, want false", ok, err)
				}
				p, err := d.Resolve(t.Context(), gatehouse.Identity{Value: "jack"})
				if err == nil && p.Subject != "jack" || err != nil && !errors.Is(err, gatehouse.ErrCredential) {
					t.Errorf("Resolve(jack) = %+v, %v, want jack or %v", p, err, gatehouse.ErrCredential)
				}
				d.User("jack")
			}
		})
	}
	changing.Wait()
	close(done)
	asking.Wait()
}

// TestDictionaryUpdateLosesNothing: each of many changes of one user survives the others.
func TestDictionaryUpdateLosesNothing(t *testing.T) {
	d := newDictionary(t, policy.DictionaryConfig{Users: map[string]policy.User{"jack": {}}})
	const workers, rounds = 4, 50
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for round := range rounds {
				permission := fmt.Sprintf("p%d.%d", worker, round)
				if err := d.Update("jack", func(u *policy.User) { u.Permissions = append(u.Permissions, permission) }); err != nil {
					t.Errorf("Update = %v", err)
				}
			}
		})
	}
	group.Wait()
	u, _ := d.User("jack")
	slices.Sort(u.Permissions)
	if got := len(slices.Compact(u.Permissions)); got != workers*rounds {
		t.Errorf("after %d updates jack has %d permissions: some were lost", workers*rounds, got)
	}
}

// TestDictionaryUpdateYields: a change that was overtaken is made again on what the other left, and somebody who was removed meanwhile stays so.
func TestDictionaryUpdateYields(t *testing.T) {
	d := newDictionary(t, policy.DictionaryConfig{Users: map[string]policy.User{"jack": {Permissions: []string{"secret"}}}})
	calls := 0
	err := d.Update("jack", func(u *policy.User) {
		if calls++; calls == 1 {
			if err := d.Set("jack", policy.User{Disabled: true}); err != nil { // the dictionary may be used within a change
				t.Fatal(err)
			}
		}
		u.Email = "jack@example.org"
	})
	if u, _ := d.User("jack"); err != nil || calls != 2 || !u.Disabled || u.Email == "" || len(u.Permissions) != 0 {
		t.Errorf("Update overtaken by Set = %v after %d calls, jack is %+v, want both changes", err, calls, u)
	}
	err = d.Update("jack", func(u *policy.User) { d.Remove("jack") })
	if _, ok := d.User("jack"); err == nil || ok {
		t.Errorf("Update of somebody who is removed meanwhile = %v, and jack is there: %v, want an error and nobody", err, ok)
	}
}

func BenchmarkDictionary(b *testing.B) {
	d := newDictionary(b, cinema())
	for _, who := range []string{"jack", "chief", "ann", "mallory", ""} {
		b.Run("Permits/"+who, func(b *testing.B) {
			b.ReportAllocs()
			p := named(who)
			for b.Loop() {
				d.Permits(b.Context(), p, "protected", nil)
			}
		})
	}
	b.Run("Resolve", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Resolve(b.Context(), gatehouse.Identity{Value: "jack"})
		}
	})
}
