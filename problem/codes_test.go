package problem_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/problem"
)

// TestCatalogueIsWhole: the codes are published, so each has a stable form, texts for people, and a reason where it is fixed.
func TestCatalogueIsWhole(t *testing.T) {
	form, seen := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`), map[problem.Code]bool{}
	for _, info := range problem.Catalogue {
		if !form.MatchString(string(info.Code)) || seen[info.Code] {
			t.Errorf("code %q is no single snake_case name", info.Code)
		}
		seen[info.Code] = true
		if info.Status < 400 || info.Status > 599 {
			t.Errorf("%s has status %d, want an error", info.Code, info.Status)
		}
		if info.Status >= 500 && info.Fixed == "" {
			t.Errorf("%s is a server error that can be moved to a client error", info.Code)
		}
		if info.Title == "" || strings.HasSuffix(info.Title, ".") || !strings.HasSuffix(info.Detail, ".") || strings.Count(info.Detail, ". ") < 1 {
			t.Errorf("%s: want a title without a full stop, and a detail of two sentences: what is wrong, what to do", info.Code)
		}
		// RFC 6750, section 3: what an error_description may contain.
		if strings.ContainsFunc(info.Title, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
			t.Errorf("%s: the title %q cannot travel in a challenge", info.Code, info.Title)
		}
		if got, ok := problem.Lookup(info.Code); !ok || got != info {
			t.Errorf("Lookup(%s) = %+v, %v", info.Code, got, ok)
		}
	}
	if _, ok := problem.Lookup("typo"); ok {
		t.Error("Lookup finds a code that does not exist")
	}
}

// TestPublishedStatuses fixes the answers of the design, so that a change of the catalogue is a change of this table.
func TestPublishedStatuses(t *testing.T) {
	want := map[problem.Code]int{
		problem.BadTarget: 400, problem.NoCredential: 401, problem.UnsupportedScheme: 401, problem.MalformedCredential: 400,
		problem.DuplicateCredential: 400, problem.UnknownToken: 401, problem.ExpiredToken: 401, problem.Forbidden: 403,
		problem.InsufficientScope: 403, problem.NotFound: 404, problem.MethodNotAllowed: 405, problem.BodyTooLarge: 413, problem.BrokenBody: 400,
		problem.TooManyRequests: 429, problem.UntrustedProxy: 403, problem.BadForward: 403, problem.ConflictingForward: 400,
		problem.SessionInvalid: 401, problem.InvalidCredentials: 401, problem.CrossOrigin: 403, problem.SessionConflict: 409,
		problem.UpstreamUnreachable: 502, problem.UpstreamTimeout: 504, problem.Unavailable: 503, problem.Internal: 500,
	}
	for _, info := range problem.Catalogue {
		if want[info.Code] != info.Status {
			t.Errorf("%s = %d, want %d", info.Code, info.Status, want[info.Code])
		}
		delete(want, info.Code)
	}
	if len(want) > 0 {
		t.Errorf("the catalogue lacks %v", want)
	}
}

func TestCheckMove(t *testing.T) {
	for _, tt := range []struct {
		code   problem.Code
		status int
		reason string // a word of the refusal; "" if the move is fine
	}{
		{problem.UnknownToken, 403, ""}, {problem.UnknownToken, 401, ""}, {problem.UnknownToken, 400, ""}, {problem.UnknownToken, 499, ""},
		{problem.NoCredential, 403, ""}, {problem.NoCredential, 404, ""}, {problem.Forbidden, 404, ""}, {problem.Forbidden, 401, ""},
		{problem.NotFound, 403, ""}, {problem.BodyTooLarge, 400, ""}, {problem.TooManyRequests, 403, ""}, {problem.MalformedCredential, 401, ""},

		{problem.UnknownToken, 200, "not a client error"}, {problem.UnknownToken, 204, "not a client error"}, {problem.UnknownToken, 0, "not a client error"},
		{problem.UnknownToken, -401, "not a client error"}, {problem.UnknownToken, 302, "not a client error"}, {problem.UnknownToken, 399, "not a client error"},
		{problem.UnknownToken, 500, "not a client error"}, {problem.UnknownToken, 503, "not a client error"}, {problem.UnknownToken, 4011, "not a client error"},
		{problem.NoCredential, 200, "not a client error"}, {problem.Forbidden, 100, "not a client error"},
		{problem.UnknownToken, 405, "header fields"}, {problem.UnknownToken, 407, "header fields"}, {problem.UnknownToken, 426, "header fields"},
		{problem.DuplicateCredential, 401, "stays 400"}, {problem.DuplicateCredential, 400, "stays 400"}, {problem.BadTarget, 404, "stays 400"},
		{problem.MethodNotAllowed, 404, "stays 405"}, {problem.UntrustedProxy, 401, "stays 403"}, {problem.BadForward, 400, "stays 403"},
		{problem.ConflictingForward, 403, "stays 400"}, {problem.UpstreamUnreachable, 404, "stays 502"}, {problem.UpstreamTimeout, 408, "stays 504"},
		{problem.Unavailable, 401, "stays 503"}, {problem.Unavailable, 200, "stays 503"}, {problem.Internal, 400, "stays 500"},
		{"typo", 403, "no code"}, {"", 403, "no code"}, {"Unknown_Token", 403, "no code"}, {"unknown_token ", 403, "no code"},
	} {
		err := problem.CheckMove(tt.code, tt.status)
		if tt.reason == "" && err != nil || tt.reason != "" && (err == nil || !strings.Contains(err.Error(), tt.reason)) {
			t.Errorf("CheckMove(%q, %d) = %v, want %q", tt.code, tt.status, err, tt.reason)
		}
	}
}

func TestStatuses(t *testing.T) {
	got, err := problem.Statuses("token-server", map[problem.Code]int{problem.UnknownToken: 404, problem.Forbidden: 404})
	want := map[problem.Code]int{
		problem.UnsupportedScheme: 403, problem.MalformedCredential: 403, problem.UnknownToken: 404, problem.ExpiredToken: 403, problem.Forbidden: 404,
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("a profile with two codes moved = %v, %v, want %v", got, err, want)
	}
	if again, _ := problem.Statuses("token-server", nil); again[problem.UnknownToken] != 403 {
		t.Error("moving a code changed the profile for everybody")
	}
	if got, err := problem.Statuses("", nil); err != nil || len(got) != 0 || got == nil {
		t.Errorf(`Statuses("", nil) = %v, %v, want an empty map`, got, err)
	}
	for _, profile := range []string{"Token-Server", "token_server", "s0", " ", "none"} {
		if got, err := problem.Statuses(profile, nil); err == nil || got != nil || !strings.Contains(err.Error(), "rest, spa, token-server") {
			t.Errorf("Statuses(%q) = %v, %v, want an error that lists the profiles", profile, got, err)
		}
	}
	_, err = problem.Statuses("nope", map[problem.Code]int{"typo": 400, problem.Unavailable: 400, problem.NoCredential: 200, problem.Forbidden: 404})
	for _, part := range []string{`"nope"`, `"typo"`, "unavailable stays 503", "no_credential: 200"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the faults %v lack %s", err, part)
		}
	}
}

// TestProfilesAreSafe: a profile moves only what may be moved.
func TestProfilesAreSafe(t *testing.T) {
	if got, want := problem.Profiles(), []string{"rest", "spa", "token-server"}; !slices.Equal(got, want) {
		t.Fatalf("Profiles() = %q, want %q", got, want)
	}
	for _, profile := range problem.Profiles() {
		statuses, err := problem.Statuses(profile, nil)
		if err != nil || len(statuses) == 0 {
			t.Errorf("Statuses(%s) = %v, %v", profile, statuses, err)
		}
		for code, status := range statuses {
			if err := problem.CheckMove(code, status); err != nil {
				t.Errorf("profile %s: %v", profile, err)
			}
		}
	}
}

// TestProfilesAnswerAsTheOriginals holds the statuses that the systems behind the profiles were measured to give to header credentials.
// Where an original lets a bad request in, or fails, the safe status stays.
func TestProfilesAnswerAsTheOriginals(t *testing.T) {
	for _, tt := range []struct {
		profile, situation string
		code               problem.Code
		original, want     int // want 0: as the original
	}{
		{"token-server", "no header", problem.NoCredential, 401, 0},
		{"token-server", "no header on an unknown path", problem.NoCredential, 401, 0},
		{"token-server", "an empty header", problem.UnsupportedScheme, 403, 0},
		{"token-server", "another scheme", problem.UnsupportedScheme, 403, 0},
		{"token-server", "the scheme alone", problem.MalformedCredential, 403, 0},
		{"token-server", "a tab behind the scheme", problem.MalformedCredential, 403, 0},
		{"token-server", "an unknown token", problem.UnknownToken, 403, 0},
		{"token-server", "a token in the wrong case", problem.UnknownToken, 403, 0},
		{"token-server", "an unknown path", problem.NotFound, 404, 0},
		{"token-server", "a body over the limit", problem.BodyTooLarge, 413, 0},
		{"token-server", "two headers, the good one first", problem.DuplicateCredential, 200, 400},
		{"token-server", "two headers, the bad one first", problem.DuplicateCredential, 403, 400},
		{"token-server", "an encoded slash", problem.BadTarget, 401, 400},

		{"spa", "no header", problem.NoCredential, 401, 0},
		{"spa", "the word None", problem.UnsupportedScheme, 403, 0},
		{"spa", "another scheme", problem.UnsupportedScheme, 403, 0},
		{"spa", "a token that lacks its end", problem.UnknownToken, 403, 0},
		{"spa", "a token without a user", problem.UnknownToken, 403, 0},
		{"spa", "an expired token", problem.ExpiredToken, 403, 0},
		{"spa", "an unknown method", problem.MethodNotAllowed, 405, 0},
		{"spa", "a path in the wrong form", problem.BadTarget, 200, 400},

		{"rest", "no header", problem.NoCredential, 401, 0},
		{"rest", "another scheme", problem.UnsupportedScheme, 401, 0},
		{"rest", "the scheme alone", problem.MalformedCredential, 401, 0},
		{"rest", "a token that is none", problem.UnknownToken, 401, 0},
		{"rest", "an expired token", problem.ExpiredToken, 401, 0},
		{"rest", "a role too low", problem.Forbidden, 401, 0},
		{"rest", "a scope that is missing", problem.InsufficientScope, 403, 0},
		{"rest", "an unknown method", problem.MethodNotAllowed, 405, 0},
		{"rest", "the store is down", problem.Unavailable, 503, 0},
	} {
		statuses, err := problem.Statuses(tt.profile, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &problem.Writer{Challenges: []problem.Challenge{{Scheme: "Token", Realm: "x", OAuth: true}}, Status: statuses}
		want := tt.want
		if want == 0 {
			want = tt.original
		}
		rec := answer(w, "GET", problem.New(tt.code))
		if rec.Code != want || w.StatusOf(tt.code) != want {
			t.Errorf("%s, %s: %d, want %d", tt.profile, tt.situation, rec.Code, want)
		}
		if rec.Code == 401 && len(challengesOf(t, rec)) != 1 {
			t.Errorf("%s, %s: 401 without its challenge", tt.profile, tt.situation)
		}
	}
}
