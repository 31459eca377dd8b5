package config

import (
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/token"
)

// TestTheLeewayIsBounded: what verifiers refuse is a fault of the file, at its place.
func TestTheLeewayIsBounded(t *testing.T) {
	if maxLeeway.Std() != token.MaxLeeway {
		t.Errorf("maxLeeway is %v, that of package token %v", maxLeeway.Std(), token.MaxLeeway)
	}
	for text, ok := range map[string]bool{"0s": true, "30s": true, "2m": true, "121s": false, "1h": false} {
		_, err := Parse("test.yaml", []byte("carriers: [bearer]\ntokens: {leeway: "+text+"}"), Options{})
		if ok != (err == nil) || !ok && !strings.Contains(err.Error(), "test.yaml:2:18: is more than 2m") {
			t.Errorf("a leeway of %s = %v, want it taken: %v", text, err, ok)
		}
	}
}
