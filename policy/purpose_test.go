package policy_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/policy"
)

// TestPurposeAndOnStoreLossOfMatches: a match has what its rule says; of regular expressions that match together the strictest counts, and two purposes at once has no token.
func TestPurposeAndOnStoreLossOfMatches(t *testing.T) {
	table, err := policy.New(policy.Config{Rules: []policy.Rule{
		{Path: "/plain", Allow: policy.Authenticated()},
		{Path: "/refresh", Allow: policy.Authenticated(), Purpose: "refresh", OnStoreLoss: time.Minute},
		{Host: "api.example.org", Path: "/refresh", Allow: policy.Authenticated(), Purpose: "reset-password_2"},
		{Regex: `/r/.*`, Allow: policy.Authenticated(), Purpose: "refresh", OnStoreLoss: time.Minute},
		{Regex: `/r/less`, Allow: policy.Authenticated(), Purpose: "refresh", OnStoreLoss: time.Second},
		{Regex: `/r/least`, Allow: policy.Authenticated(), Purpose: "refresh"},
		{Regex: `/r/more`, Allow: policy.Authenticated(), Purpose: "refresh", OnStoreLoss: time.Hour},
		{Regex: `/r/access`, Allow: policy.Authenticated(), OnStoreLoss: time.Minute},
		{Regex: `/r/invite`, Allow: policy.Authenticated(), Purpose: "invite", OnStoreLoss: time.Minute},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url     string
		purpose string // "none" for one that no token can have
		loss    time.Duration
	}{
		{"http://x/plain", "", 0},
		{"http://x/refresh", "refresh", time.Minute},
		{"http://api.example.org/refresh", "reset-password_2", 0},
		{"http://x/r/one", "refresh", time.Minute},
		{"http://x/r/less", "refresh", time.Second},
		{"http://x/r/least", "refresh", 0},
		{"http://x/r/more", "refresh", time.Minute},
		{"http://x/r/access", "none", time.Minute},
		{"http://x/r/invite", "none", time.Minute},
		{"http://x/nowhere", "", 0},
	} {
		q, err := policy.Canonical(httptest.NewRequest("GET", tt.url, nil))
		if err != nil {
			t.Fatal(err)
		}
		m, err := table.Lookup(q)
		got := m.Purpose
		if strings.ContainsAny(got, "()") { // which no purpose has
			got = "none"
		}
		if err != nil || got != tt.purpose || m.OnStoreLoss != tt.loss {
			t.Errorf("Lookup(%s) = purpose %q, on store loss %v, %v; want %q, %v", tt.url, got, m.OnStoreLoss, err, tt.purpose, tt.loss)
		}
	}
}

// TestPurposeAndOnStoreLossFaults: what no token could have, or makes no sense, is a fault of the rule.
func TestPurposeAndOnStoreLossFaults(t *testing.T) {
	for _, tt := range []struct {
		rule  policy.Rule
		field string // "" for a good rule
	}{
		{policy.Rule{Path: "/x", Purpose: "access"}, ""},
		{policy.Rule{Path: "/x", Purpose: "verify-email"}, ""},
		{policy.Rule{Path: "/x", OnStoreLoss: time.Nanosecond}, ""},
		{policy.Rule{Path: "/x", OnStoreLoss: -1}, "on_store_loss"},
		{policy.Rule{Path: "/x", OnStoreLoss: -time.Hour}, "on_store_loss"},
		{policy.Rule{Path: "/x", Purpose: "Access"}, "purpose"},
		{policy.Rule{Path: "/x", Purpose: "access "}, "purpose"},
		{policy.Rule{Path: "/x", Purpose: "(several)"}, "purpose"},
		{policy.Rule{Path: "/x", Purpose: "a.b"}, "purpose"},
		{policy.Rule{Path: "/x", Purpose: "ä"}, "purpose"},
		{policy.Rule{Path: "/x", Purpose: "a\x00"}, "purpose"},
		{policy.Rule{Regex: "/x", Purpose: "A", OnStoreLoss: -1}, "on_store_loss"},
	} {
		_, err := policy.New(policy.Config{Rules: []policy.Rule{tt.rule}})
		fault, _ := errors.AsType[*policy.RuleError](err)
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("a rule with purpose %q and on_store_loss %v = %v, want none", tt.rule.Purpose, tt.rule.OnStoreLoss, err)
		case tt.field != "" && (fault == nil || fault.Field != tt.field):
			t.Errorf("a rule with purpose %q and on_store_loss %v = %v, want a fault of %s", tt.rule.Purpose, tt.rule.OnStoreLoss, err, tt.field)
		}
	}
}
