package config

import (
	"errors"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"path"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
)

// A textCheck is a check of strings: what Go code tests, and what a JSON Schema can say of it.
type textCheck struct {
	// test returns what is wrong, as a predicate such as "is not a method", or "".
	test func(string) string
	// pattern is a regular expression that every text that passes test matches. Empty: anything but an empty string.
	pattern string
	// private texts are not quoted in messages: they are secrets, or addresses in which one may stand.
	private bool
}

const (
	hashPrefix   = "sha256:"
	namePattern  = "^[A-Za-z0-9._:-]+$"
	tokenPattern = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" // RFC 9110, section 5.6.2
)

// texts are the checks that the tag check names.
var texts = map[string]*textCheck{
	"name":         {matching(namePattern, "is not a name; use letters, digits and . _ : -"), namePattern, false},
	"scheme":       {testScheme, tokenPattern, false},
	"field":        {testField, `^[A-Za-z0-9-]+$`, false},
	"method":       {testMethod, tokenPattern, false},
	"scope":        {matching(scopeText, "is not a scope; use no spaces, quotes or backslashes"), scopeText, false},
	"permission":   {matching(permissionText, "is not a permission; write words with dots between them, such as films.read"), permissionText, false},
	"grant":        {matching(grantText, "is not a permission; write films.read, films.* or *"), grantText, false},
	"token":        {testToken, "", true},
	"tokenhash":    {testTokenHash, `^(sha256:[0-9A-Fa-f]{64}|file:.+|.*\$\{.*)$`, true},
	"origin":       {testOrigin, `^https?://[^/?#@]+$`, true},
	"upstream":     {testUpstream, `^(http|https|h2c)://[^/?#@]+$`, true},
	"prefix":       {testPrefix, `^(/[A-Za-z0-9._~-]+)*$`, false},
	"listenhost":   {testListenHost, `^[A-Za-z0-9.:_-]+$`, false},
	"host":         {testHost, `^[^/\s]+$`, false},
	"path":         {testPath, `^/`, false},
	"regex":        {testRegex, "", false},
	"file":         {matching(`^[^\x00]+$`, "names no file"), "", false},
	"glob":         {testGlob, "", false},
	"line":         {matching(`^[^\s\pC\pZ]([^\pC\p{Zl}\p{Zp}]*[^\s\pC\pZ])?$`, "has control characters, or spaces at an end"), "", false},
	"storeurl":     {testStoreURL, `^(sqlite:.+|postgres(ql)?://.*|file:.+|.*\$\{.*)$`, true},
	"redisurl":     {testRedisURL, `^((rediss?|valkeys?)://.*|file:.+|.*\$\{.*)?$`, true},
	"redishost":    {testListenHost, `^[A-Za-z0-9.:_-]+$`, true}, // where people put whole addresses, with the password
	"password":     {testPassword, "", true},
	"tokensecret":  {testTokenSecret, "", true},
	"masterkey":    {testTokenSecret, "", true},
	"publickeys":   {testTokenSecret, "", true},
	"keysurl":      {testKeysURL, `^https?://`, true},
	"purpose":      {matching(purposeText, "is not the name of a purpose; use lower-case letters, digits, - and _"), purposeText, false},
	"claim":        {matching(`^[!-~]+$`, "is not the name of a claim"), `^[!-~]+$`, false},
	"claimsource":  {matching(claimSourceText, "says nothing; write subject, role, roles, email, true, or a text in double quotation marks"), claimSourceText, false},
	"cookiename":   {testCookieName, `^[A-Za-z0-9_.-]{1,64}$`, false},
	"cookiedomain": {testCookieDomain, `^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+$`, false},
	"cookiepath":   {testCookiePath, `^/[!#-+\--:<-\[\]-~]*$`, false},
	"email":        {matching(emailText, "is not an e-mail address, such as jack@example.org"), emailText, false},
}

const (
	scopeText       = `^[!#-\[\]-~]+$` // RFC 6749, section 3.3
	permissionText  = `^[A-Za-z0-9_:-]+([.][A-Za-z0-9_:-]+)*$`
	grantText       = `^([*]|[A-Za-z0-9_:-]+([.][A-Za-z0-9_:-]+)*([.][*])?)$`
	purposeText     = `^[a-z0-9_-]{1,64}$`
	claimSourceText = `^(subject|role|roles|email|true|".*")$`
	emailText       = `^[!#-'*+/-9=?A-Z^-~.-]+@[A-Za-z0-9.-]+$`
)

// matching tests by a regular expression alone.
func matching(pattern, problem string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(s string) string {
		if !re.MatchString(s) {
			return problem
		}
		return ""
	}
}

var (
	isToken       = regexp.MustCompile(tokenPattern).MatchString
	isFieldName   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`).MatchString
	isVisible     = regexp.MustCompile(`^[!-~]+$`).MatchString
	isTokenHash   = regexp.MustCompile(`^sha256:[0-9A-Fa-f]{64}$`).MatchString
	isHostName    = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`).MatchString
	isLowerOrigin = regexp.MustCompile(`^[a-z0-9:/._\[\]-]+$`).MatchString
	isPrefix      = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`).MatchString
)

func testScheme(s string) string {
	switch {
	case !isToken(s):
		return "is not a scheme; write one word, such as Token or Bearer"
	case strings.EqualFold(s, "Basic"), strings.EqualFold(s, "Digest"), strings.EqualFold(s, "Negotiate"):
		return "carries something else than a token; write Token, Bearer or a scheme of your own"
	}
	return ""
}

func testMethod(s string) string {
	switch {
	case s == "*":
		return "is no method; leave methods out for every method"
	case !isToken(s):
		return "is not a method"
	case s == "TRACE" || s == "CONNECT":
		return "is never let through"
	case s != strings.ToUpper(s):
		return "is not in upper case; methods are case-sensitive, such as GET"
	}
	return ""
}

// reservedFields are headers with a meaning of their own, lower-case; those that end in "-" are beginnings.
var reservedFields = []string{
	"connection", "keep-alive", "proxy-", "te", "trailer", "transfer-encoding", "upgrade", "host", "authorization", "cookie", "set-cookie",
	"content-", "x-forwarded-", "forwarded", "x-real-ip", "via", "expect", "www-authenticate", "sec-",
}

func testField(s string) string {
	if !isFieldName(s) {
		return "is not the name of a header here; use letters, digits and -"
	}
	lower := strings.ToLower(s)
	for _, reserved := range reservedFields {
		if lower == reserved || strings.HasSuffix(reserved, "-") && strings.HasPrefix(lower, reserved) {
			return "has a meaning of its own in HTTP; take another header, such as X-API-Key or Remote-User"
		}
	}
	return ""
}

// canonicalField is the form in which Go has header names.
func canonicalField(s string) string { return textproto.CanonicalMIMEHeaderKey(s) }

func testToken(s string) string {
	switch {
	case s == "":
		return "is empty, so that it is no token"
	case strings.HasPrefix(strings.ToLower(s), hashPrefix):
		return "looks like a hash; write {name: NAME, hash: sha256:…}, or the hash itself would be the token"
	case !isVisible(s):
		return "cannot travel in a header; a token has no spaces, no control characters and only ASCII"
	case strings.ContainsAny(s, `,"`):
		return "has a comma or a quote, which no credential may hold: two tokens in one header must not look like one; make another token"
	}
	return ""
}

func testTokenHash(s string) string {
	if !isTokenHash(s) {
		return "is not sha256: with 64 hexadecimal digits; gatehouse hash token makes one"
	}
	return ""
}

// address parses a URL that may only have a scheme, a host and a port.
func address(s string, schemes ...string) (*url.URL, string) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, "is not an address"
	}
	switch {
	case !contains(schemes, u.Scheme) || !strings.HasPrefix(s, u.Scheme+"://"):
		return nil, "must begin with " + strings.Join(schemes, ":// or ") + "://"
	case u.User != nil:
		return nil, "must not have a user or password in it"
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return nil, "must end after host and port, without /, path, query or fragment"
	}
	return u, testAuthority(u)
}

func testAuthority(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	if strings.HasSuffix(u.Host, ":") {
		return "has a colon without a port"
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0 || strconv.FormatUint(n, 10) != port) {
		return "has no port between 1 and 65535"
	}
	if _, err := netip.ParseAddr(host); err != nil && !isHostName(host) {
		return "has no host, or none that is a name or address"
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

// testOrigin accepts an origin in the one form in which browsers send it.
func testOrigin(s string) string {
	switch {
	case s == "*":
		return "would be every origin; name each one"
	case s == "null":
		return "is the origin of any sandboxed page; name real origins only"
	case strings.Contains(s, "*"):
		return "has a wildcard; name each origin"
	}
	u, problem := address(s, "http", "https")
	switch {
	case problem != "":
		return problem + ", such as https://app.example.org"
	case !isLowerOrigin(s):
		return "must be in lower case and ASCII, as browsers send it"
	case u.Scheme == "http" && u.Port() == "80", u.Scheme == "https" && u.Port() == "443":
		return "must not name the default port, because browsers leave it out"
	}
	return ""
}

func testUpstream(s string) string {
	_, problem := address(s, "http", "https", "h2c")
	if problem != "" {
		return problem + ", such as http://127.0.0.1:9000"
	}
	return ""
}

func testPrefix(s string) string {
	if !isPrefix(s) || s != "" && path.Clean(s) != s {
		return "is not a prefix; write /segment, without / at the end, dot segments or special characters"
	}
	return ""
}

func testListenHost(s string) string {
	if _, err := netip.ParseAddr(s); err == nil {
		return ""
	}
	switch {
	case s == "":
		return "is no address; write 0.0.0.0 to listen on all"
	case strings.HasPrefix(s, "["):
		return "has brackets; write the IPv6 address alone"
	case strings.Contains(s, "/"):
		return "is not a host; write a name or an address alone"
	case strings.Contains(s, ":"):
		return "is not a host; the port has a key of its own"
	case !isHostName(s):
		return "is neither a host name nor an address"
	}
	return ""
}

func testHost(s string) string {
	switch {
	case strings.Contains(s, "*"):
		return "has a wildcard; write one rule for each host, or leave host out for every host"
	case strings.Contains(s, "/"):
		return "is not a host; write the name alone, without scheme and path"
	}
	if _, _, err := net.SplitHostPort(s); err == nil {
		return "has a port; rules match on the host alone"
	}
	inner, bracketed := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if _, err := netip.ParseAddr(inner); (err != nil || bracketed != closed) && !isHostName(s) {
		return "is not a host name"
	}
	return ""
}

func testPath(s string) string {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "does not begin with /"
	case strings.ContainsAny(s, "?#"):
		return "has a query or fragment; rules match on the path alone"
	}
	return ""
}

// testRegex leaves out the expression that the error of package regexp quotes, because it may have come from the environment.
func testRegex(s string) string {
	if s == "" {
		return "is empty and would match no path"
	}
	_, err := regexp.Compile(s)
	var fault *syntax.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault):
		return "is not a regular expression: " + fault.Code.String()
	}
	return "is not a regular expression"
}

func testGlob(s string) string {
	if _, err := path.Match(s, ""); err != nil || s == "" {
		return "is not a file pattern, such as policy/*.yaml"
	}
	return ""
}

// testStoreURL leaves the details of an address of PostgreSQL to who connects.
func testStoreURL(s string) string {
	const hint = "; write sqlite:gatehouse-data/gatehouse.db or postgres://user@host/database"
	if file, ok := strings.CutPrefix(s, "sqlite:"); ok {
		return testSQLite(file)
	}
	if !strings.HasPrefix(s, "postgres://") && !strings.HasPrefix(s, "postgresql://") {
		return "is not the address of a store" + hint
	}
	if _, err := url.Parse(s); err != nil {
		return "is not a URL; special characters of user and password are written as %40 for @, %2F for /"
	}
	return ""
}

func testSQLite(file string) string {
	switch {
	case file == "" || strings.ContainsFunc(file, unicode.IsControl):
		return "names no file; write sqlite:gatehouse-data/gatehouse.db"
	case strings.HasPrefix(file, "//"):
		return "has slashes too many; write sqlite: and the name of the file, such as sqlite:/var/lib/gatehouse/gatehouse.db"
	case file == ":memory:" || strings.HasPrefix(file, "file:"):
		return "names no file of its own; no other program could sign anybody in; write sqlite:gatehouse-data/gatehouse.db"
	case strings.HasSuffix(file, "/"):
		return "names a folder; add the name of the file, such as gatehouse.db"
	}
	return ""
}

// testRedisURL takes an empty text for none.
func testRedisURL(s string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || !contains([]string{"redis", "rediss", "valkey", "valkeys"}, u.Scheme) || u.Opaque != "" {
		return "is not the address of a Redis server; write redis://:password@host:6379/0, or rediss:// for TLS, with %40 for @ and %2F for / in the password"
	}
	return ""
}

func testPassword(s string) string {
	if s == "" {
		return "is empty; remove it if there is no password"
	}
	return ""
}

var (
	isCookieName   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`).MatchString
	isCookieDomain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$`).MatchString
	isCookiePath   = regexp.MustCompile(`^/[!#-+\--:<-\[\]-~]*$`).MatchString
)

func testCookieName(s string) string {
	lower := strings.ToLower(s)
	switch {
	case !isCookieName(s):
		return "is not a cookie's name; use up to 64 letters, digits and - _ ."
	case strings.HasPrefix(lower, "__host-"), strings.HasPrefix(lower, "__secure-"):
		return "has a prefix already; write the name without it, the right one is added"
	}
	return ""
}

func testCookieDomain(s string) string {
	if _, err := netip.ParseAddr(s); err == nil || !isCookieDomain(s) || len(s) > 253 {
		return "is no domain that a cookie can be shared with; write a name with a dot inside, such as example.org"
	}
	return ""
}

func testCookiePath(s string) string {
	if !isCookiePath(s) {
		return "is not a cookie's path; it begins with / and has no spaces, quotes, commas or semicolons"
	}
	return ""
}

func testTokenSecret(s string) string {
	if strings.TrimSpace(s) == "" {
		return "is empty; gatehouse key generate makes one"
	}
	return ""
}

func testKeysURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err == nil && u.User != nil:
		return "must not have a user or password in it: keys that everybody may know need none"
	case err != nil || u.Hostname() == "" || u.Fragment != "":
		return "is not the URL of a set of keys"
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return "must begin with https://: over plain http, whoever is in between could give us keys"
	}
	return ""
}
