package problem

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A Code names one situation. The same string stands in the body's "code", in logs, in errors.status and in policy tests.
type Code string

// The codes. Their statuses and texts are in [Catalogue].
const (
	BadTarget           Code = "bad_target"
	NoCredential        Code = "no_credential"
	UnsupportedScheme   Code = "unsupported_scheme"
	MalformedCredential Code = "malformed_credential"
	DuplicateCredential Code = "duplicate_credential"
	UnknownToken        Code = "unknown_token"
	ExpiredToken        Code = "expired_token"
	SessionInvalid      Code = "session_invalid"
	InvalidCredentials  Code = "invalid_credentials"
	CrossOrigin         Code = "cross_origin"
	Forbidden           Code = "forbidden"
	InsufficientScope   Code = "insufficient_scope"
	NotFound            Code = "not_found"
	MethodNotAllowed    Code = "method_not_allowed"
	SessionConflict     Code = "session_conflict"
	BodyTooLarge        Code = "body_too_large"
	BrokenBody          Code = "broken_body"
	TooManyRequests     Code = "too_many_requests"
	UntrustedProxy      Code = "untrusted_proxy"
	BadForward          Code = "bad_forward"
	ConflictingForward  Code = "conflicting_forward"
	UpstreamUnreachable Code = "upstream_unreachable"
	UpstreamTimeout     Code = "upstream_timeout"
	Unavailable         Code = "unavailable"
	Internal            Code = "internal"
)

// Info describes a code.
type Info struct {
	Code   Code
	Status int    // the status unless errors.status moves it
	OAuth  string // the error value of RFC 6750, section 3.1; empty: none is sent
	Fixed  string // why the status cannot be moved; empty: it can
	Title  string // the situation in a few words
	Detail string // what is wrong and what to do, for the caller
}

// Catalogue lists every code, in the order in which a request meets them.
var Catalogue = []Info{
	{BadTarget, 400, "", "what is not judged is not answered in any other way", "The request target is not canonical",
		"The path, host or form of the request could be read in more than one way. Send a plain path without dot segments, empty segments, backslashes, encoded slashes, control characters or a fragment."},
	{NoCredential, 401, "", "", "A credential is needed",
		"The request carries no credential. Send one in the way that the WWW-Authenticate header names."},
	{UnsupportedScheme, 401, "", "", "The credential is of a kind that is not taken here",
		"The Authorization header has no scheme that is taken here. The WWW-Authenticate header names those that are."},
	{MalformedCredential, 400, "invalid_request", "", "The credential is malformed",
		"The scheme is right but what follows is not one token. Send the scheme, a space, and the token."},
	{DuplicateCredential, 400, "invalid_request", "a request with two credentials is ambiguous for every client", "More than one credential",
		"The request carries a credential twice, or two at once. Send exactly one."},
	{UnknownToken, 401, "invalid_token", "", "The token is not valid",
		"The token is unknown, malformed, revoked, not valid yet, or not meant for this. Obtain a new one."},
	{ExpiredToken, 401, "invalid_token", "", "The token has expired",
		"The token was valid and its time is up. Renew it and send the request again."},
	{SessionInvalid, 401, "", "", "The session is not valid",
		"The session in the cookie is unknown, has expired or was ended. The cookie has been taken away; sign in again."},
	{InvalidCredentials, 401, "", "", "The name or the password is wrong",
		"No account has this name and this password. Check both, and sign in again."},
	{CrossOrigin, 403, "", "what another site sent must not look like a missing credential", "The request comes from another site",
		"A browser sent this request, with its cookie, for a page of another origin. Send it from a page of this origin, or ask the operator to list yours."},
	{Forbidden, 403, "insufficient_scope", "", "Not allowed",
		"You are known, and you may not do this. Ask the operator for the access that it needs."},
	{InsufficientScope, 403, "insufficient_scope", "", "The token's scope is too small",
		"The token does not have the scope that the request needs. The WWW-Authenticate header names it: obtain a token that has it."},
	{NotFound, 404, "", "", "Nothing is here",
		"No rule and no resource has this path. Check the path for a typing mistake."},
	{MethodNotAllowed, 405, "", "an answer 405 must carry Allow, no other may be mistaken for it", "The method is not available here",
		"The path exists, the method does not. The Allow header lists those that do."},
	{SessionConflict, 409, "", "", "Somebody else changed the session",
		"Another request changed the same data of this session at the same time. Nothing of this request was kept; send it again."},
	{BodyTooLarge, 413, "", "", "The request body is too large",
		"The body is larger than this server takes. Send less at a time, or ask the operator to raise the limit."},
	{BrokenBody, 400, "", "", "The request body is broken",
		"The body ended early, came too slowly, or its framing is malformed. Send the request again, whole."},
	{TooManyRequests, 429, "", "", "Too many refused requests",
		"Too many requests from this address were refused. Wait as long as Retry-After says, and send a valid credential."},
	{UntrustedProxy, 403, "", "the answer to a peer that is not trusted must stop every proxy", "The peer is not a trusted proxy",
		"Forward-auth answers only to the addresses in server.trusted_proxies. Add the proxy's address there."},
	{BadForward, 403, "", "the answer to an unusable question must stop every proxy", "The forwarded request is incomplete",
		"The proxy must send the method, host and URI of the original request exactly once each. Compare its configuration with the sample in deploy/."},
	{ConflictingForward, 400, "", "a request that is described twice in two ways is not judged", "The forwarded request is contradictory",
		"Two headers describe the original request differently. Remove the client's copies in the proxy, as the samples in deploy/ do."},
	{UpstreamUnreachable, 502, "", "it is a server error", "The application cannot be reached",
		"The application behind this gateway did not answer. Try again later; the operator finds the cause in the log."},
	{UpstreamTimeout, 504, "", "it is a server error", "The application took too long",
		"The application behind this gateway did not answer in time. Try again later."},
	{Unavailable, 503, "", "a check that cannot be made denies", "The check could not be made",
		"Whether the request may pass could not be checked, so it did not. Try again after the time in Retry-After."},
	{Internal, 500, "", "it is a server error", "Something went wrong here",
		"The server met an error of its own. Try again; if it stays, give the request id to the operator."},
}

var byCode = func() map[Code]*Info {
	m := make(map[Code]*Info, len(Catalogue))
	for i := range Catalogue {
		m[Catalogue[i].Code] = &Catalogue[i]
	}
	return m
}()

// Lookup returns the description of code and whether there is one.
func Lookup(code Code) (Info, bool) {
	info, ok := byCode[code]
	if !ok {
		return Info{}, false
	}
	return *info, true
}

// profiles are the statuses of systems that people come from, where those are safe.
var profiles = map[string]map[Code]int{
	// A token server answers 403 to every credential that it does not like.
	"token-server": {UnsupportedScheme: 403, MalformedCredential: 403, UnknownToken: 403, ExpiredToken: 403},
	// A single-page app's router does the same for its protected API.
	"spa": {UnsupportedScheme: 403, MalformedCredential: 403, UnknownToken: 403, ExpiredToken: 403},
	// A REST API with ordered roles answers 401 to everything but a missing scope.
	"rest": {MalformedCredential: 401, Forbidden: 401},
}

// Profiles returns the names of the profiles, sorted.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// Statuses returns the statuses of a profile ("" for none) with single codes moved. It fails for an unknown profile or code, a status
// outside 4xx, and a code that must stay where it is; the error joins all faults.
func Statuses(profile string, moved map[Code]int) (map[Code]int, error) {
	var faults []error
	base, ok := profiles[profile]
	if !ok && profile != "" {
		faults = append(faults, fmt.Errorf("there is no profile %q: use one of %s", profile, strings.Join(Profiles(), ", ")))
	}
	statuses := maps.Clone(base)
	if statuses == nil {
		statuses = map[Code]int{}
	}
	for _, code := range slices.Sorted(maps.Keys(moved)) {
		faults = append(faults, CheckMove(code, moved[code]))
		statuses[code] = moved[code]
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return statuses, nil
}

// CheckMove says why code cannot be answered with status, or returns nil.
func CheckMove(code Code, status int) error {
	info, ok := Lookup(code)
	switch {
	case !ok:
		return fmt.Errorf("there is no code %q", code)
	case info.Fixed != "":
		return fmt.Errorf("%s stays %d: %s", code, info.Status, info.Fixed)
	case status < 400 || status > 499:
		return fmt.Errorf("%s: %d is not a client error: use 400 to 499", code, status)
	case status == http.StatusMethodNotAllowed || status == http.StatusProxyAuthRequired || status == http.StatusUpgradeRequired:
		return fmt.Errorf("%s: an answer %d needs header fields that this one does not have", code, status)
	}
	return nil
}
