package config

import (
	"os"
	"strings"
	"testing"
)

// secretKeys returns the keys of the configuration that hold a secret, or name the file of one: a.b.c.
func secretKeys() []string {
	var all []string
	seen := map[*shape]bool{}
	var walk func(s *shape, path string)
	walk = func(s *shape, path string) {
		if s == nil || seen[s] && s.recursive {
			return
		}
		seen[s] = true
		for _, f := range s.fields {
			key := strings.TrimPrefix(path+"."+f.key, ".")
			if f.shape.typ == secretType || f.key == "key_file" {
				all = append(all, key)
			}
			walk(f.shape, key)
		}
		walk(s.elem, path)
	}
	walk(configShape(), "")
	return all
}

// TestEverySecretSaysHowItIsChanged: the page for operators has a table of all secrets, where each is, and how it is replaced.
func TestEverySecretSaysHowItIsChanged(t *testing.T) {
	text, err := os.ReadFile("../../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "### Secrets, and how each is changed")
	table, _, _ = strings.Cut(table, "\n#")
	keys := secretKeys()
	for _, key := range keys {
		parts := strings.Split(key, ".")
		last, outer := parts[len(parts)-1], strings.Join(parts[:len(parts)-1], ".")
		named := strings.Contains(table, "`"+key+"`") || strings.Contains(table, "`"+outer+"`")
		if parts[0] == "tokens" { // whose purposes have them all alike
			named = strings.Contains(table, "`"+last+"`")
		}
		if !named {
			t.Errorf("docs/tokens.md does not say how %s is changed", key)
		}
	}
	if len(keys) < 12 {
		t.Errorf("the configuration has the secrets %q, want more", keys)
	}
	for _, other := range []string{"keys that Gatehouse makes", "refresh tokens", "opaque tokens"} { // which are in no configuration
		if !strings.Contains(table, other) {
			t.Errorf("docs/tokens.md does not say how %s are changed", other)
		}
	}
}
