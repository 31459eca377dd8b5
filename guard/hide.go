package guard

import (
	"regexp"
	"strings"
)

// tokenLike is what looks like an opaque token of Gatehouse's, or like a JWT: both parts in front are JSON, whose base64 begins with eyJ.
var tokenLike = regexp.MustCompile(`gh_[a-z0-9_-]+\.[A-Za-z0-9_-]{16,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]{8,}`)

// hideTokens replaces what looks like a token in a part of a request that is logged: some client has put it where it does not belong, and it may be good.
func hideTokens(text string) string {
	if !strings.Contains(text, "eyJ") && !strings.Contains(text, "gh_") {
		return text
	}
	return tokenLike.ReplaceAllString(text, "[token]")
}
