package config

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

// Each row of a check: what passes, and what does not. Whatever passes must also match the pattern that the schema has.
var textRows = []struct {
	check         string
	pass, refused []string
}{
	{"name",
		[]string{"a", "A9", "a.b", "a_b", "a-b", "a:b", "-"},
		[]string{"", " ", "a b", "a,b", "a\t", "a\n", "é", "a/b", "a*", "${a}", "a\x00", "a\"b", "a;b", "a=b"}},
	{"scheme",
		[]string{"Token", "bearer", "X-My.Scheme", "t~1"},
		[]string{"", "a b", "a,b", "a:b", "a=b", "Basic", "basic", "DIGEST", "negotiate", "é", "a\r\nb", "\"a\"", "(a)", "a/b", "a@b"}},
	{"field",
		[]string{"Remote-User", "X-API-Key", "x", "X1", "Teapot", "Contents", "Upgrades", "Hosts", "Section"},
		[]string{"", "X_Key", "X.Key", "X Key", "X:Key", "1x", "-x", "é", "Host", "hOST", "Cookie", "Set-Cookie", "Authorization", "Proxy-Authorization",
			"Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Keep-Alive", "Content-Length", "content-type", "X-Forwarded-For", "x-forwarded-user",
			"Forwarded", "X-Real-IP", "Via", "Expect", "WWW-Authenticate", "Sec-Fetch-Mode", "a\r\nb"}},
	{"method",
		[]string{"GET", "HEAD", "QUERY", "M-SEARCH", "X!"},
		[]string{"", "get", "Get", "TRACE", "CONNECT", "G T", "GET,POST", "*", "GET\n", "(GET)"}},
	{"scope",
		[]string{"a", "films.read", "urn:x:y", "https://example.org/a", "!~"},
		[]string{"", "a b", "a\"b", `a\b`, "é", "a\n", "\x7f"}},
	{"permission",
		[]string{"films.read", "films", "a-b.c_d:e.9"},
		[]string{"", "*", "films.*", ".", "a.", ".a", "a..b", "a b", "a,b", "é", "a/b"}},
	{"grant",
		[]string{"*", "films.*", "films.read", "a.b.*"},
		[]string{"", "**", "films*", "*.read", "a.*.b", ".*", "a.**", "a b", "films.", "* "}},
	{"token",
		[]string{"token1", "a", "!#$%&'*+-./:;<=>?@[]^_`{|}~", strings.Repeat("x", 4096), "sha256", "SHA256-x"},
		[]string{"", " ", "a b", "a\tb", "a\n", "é", "a\x00", "\x7f", "a,b", `a"b`, "sha256:", "sha256:" + strings.Repeat("0", 64), "SHA256:x"}},
	{"tokenhash",
		[]string{"sha256:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("aF", 32)},
		[]string{"", "sha256:", strings.Repeat("0", 64), "sha256:" + strings.Repeat("0", 63), "sha256:" + strings.Repeat("0", 65), "sha256:" + strings.Repeat("g", 64),
			"SHA256:" + strings.Repeat("0", 64), "sha512:" + strings.Repeat("0", 64), "sha256: " + strings.Repeat("0", 63), "sha256:" + strings.Repeat("0", 64) + "\n"}},
	{"origin",
		[]string{"https://app.example.org", "http://localhost:5173", "http://127.0.0.1:80" + "80", "https://[::1]:8443", "http://a:443", "https://a:80"},
		[]string{"", "*", "null", "https://*", "https://*.example.org", "app.example.org", "//app.example.org", "https:app.example.org", "https://", "https:///x",
			"https://a/", "https://a/b", "https://a?", "https://a?b", "https://a#", "https://a#b", "https://u@a", "https://u:p@a", "HTTPS://a", "https://A",
			"https://a:443", "http://a:80", "https://a:0", "https://a:65536", "https://a:080", "https://a:", "https://a:b", "ftp://a", "ws://a", "file:///x",
			"https://a b", "https://é", "https://a\n", "https://a,https://b", "https://[::1", "https://-a", "javascript:x"}},
	{"upstream",
		[]string{"http://127.0.0.1:9000", "https://api.internal", "h2c://localhost:1", "http://[::1]:80", "http://a_b:80"},
		[]string{"", "127.0.0.1:9000", "http://", "http:127.0.0.1", "HTTP://a", "h2://a", "unix:/x", "http://a/", "http://a/b", "http://a?b", "http://a?", "http://a#",
			"http://u@a", "http://u:p@a", "http://a:0", "http://a:99999", "http://a:", "http://:80", "http://a b", "http://a%2fb", "http://a\\b", "http://-a", "http://a\r\n"}},
	{"prefix",
		[]string{"", "/gate", "/a/b", "/a.b/c-d_e~f", "/..a"},
		[]string{"/", "gate", "/gate/", "//a", "/a//b", "/.", "/..", "/a/../b", "/a/.", "/a b", "/a?b", "/a#b", "/a%2fb", "/é", "/a;b", "/{a}", "/a\n"}},
	{"listenhost",
		[]string{"127.0.0.1", "::1", "0.0.0.0", "::", "localhost", "app.example.org", "fe80::1"},
		[]string{"", "[::1]", "127.0.0.1:80", "localhost:80", "http://a", "a/b", "a b", "-a", "*", "é", "a\n", "10.0.0.0/8"}},
	{"host",
		[]string{"app.example.org", "localhost", "127.0.0.1", "[::1]", "A.Example.Org", "a."},
		[]string{"", "*", "*.example.org", "a:80", "[::1]:80", "https://a", "a/b", "a b", "[::1", "::1]", "-a", "é", "a\n", "a,b", "a@b"}},
	{"path",
		[]string{"/", "/films/{id}", "/public/**", "/a%20b"},
		[]string{"", "films", "/a?b", "/a#b", "?", "*", "**", " /a"}},
	{"regex",
		[]string{"/a", ".*", "/(a|b)/[0-9]+", "a{2}"},
		[]string{"", "(", "a)", "[", "a**", "(?=a)", "(?<a", `\`, "a{2000}", "[z-a]", `\1`}},
	{"glob",
		[]string{"policy/*.yaml", "a", "[ab].yaml", "../x/?.yaml"},
		[]string{"", "[", "[a", "a[", `a\`}},
	{"file",
		[]string{"a", "/etc/x", "a b", "../x"},
		[]string{"", "a\x00b", "\x00"}},
	{"line",
		[]string{"jack", "Jack Smith", "é", "a, b", "a\"b"},
		[]string{"", " ", " a", "a ", "a\nb", "a\tb", "a\x00b", "a\x7f", "\u2028", "a\u00a0", "\u200b"}},
	{"storeurl",
		[]string{"sqlite:gatehouse-data/gatehouse.db", "sqlite:/var/lib/gatehouse/gatehouse.db", "sqlite:a b.db", "sqlite:./a", "sqlite:a:b",
			"postgres://gatehouse:p%40ss@127.0.0.1:5432/gatehouse?sslmode=require", "postgresql://localhost/gatehouse", "postgres:///gatehouse?host=/run/postgresql"},
		[]string{"", "sqlite", "sqlite:", "sqlite::memory:", "sqlite:file:x", "sqlite://x", "sqlite:///x", "sqlite:x/", "sqlite:a\x00b", "sqlite:a\n", "SQLITE:x", "gatehouse.db",
			"/var/lib/x.db", "postgres:x", "postgres://%zz", "POSTGRES://x", "mysql://x", "redis://x", "memory"}},
	{"redisurl",
		[]string{"", "redis://127.0.0.1", "redis://:p%40ss@127.0.0.1:6379/0", "rediss://user:pw@redis.example.org", "valkey://localhost", "valkeys://[::1]:6380/1", "redis://"},
		[]string{"127.0.0.1", "127.0.0.1:6379", "localhost", "redis:127.0.0.1", "http://127.0.0.1", "redis://%zz", "unix:/x", "redis://a:b:c", "redis", " "}},
	{"redishost",
		[]string{"127.0.0.1", "::1", "localhost", "redis.example.org"},
		[]string{"", "[::1]", "127.0.0.1:6379", "redis://127.0.0.1", ":p@host", "a b", "-a", "*"}},
	{"password",
		[]string{"a", "p@ss word", "\"", "é"},
		[]string{""}},
	{"cookiename",
		[]string{"gatehouse", "app1-token", "a", "A.b_c-9", "__Host", strings.Repeat("a", 64)},
		[]string{"", "a b", "a=b", "a;b", "a,b", "é", "a\n", "__Host-a", "__host-a", "__Secure-a", "__SECURE-", "__Host-", strings.Repeat("a", 65), "\"a\"", "a/b", "$a"}},
	{"cookiedomain",
		[]string{"example.org", "app.example.org", "EXAMPLE.org", "a-b.c", "xn--bcher-kva.example"},
		[]string{"", "localhost", "org", ".example.org", "example.org.", "*.example.org", "192.0.2.1", "::1", "[::1]", "a..b", "-a.b", "a-.b", "a.b-", "a b.c", "a.b:80",
			"https://a.b", "a.b/c", "a_b.c", "bücher.example", "a.b;c", "a.b\n", strings.Repeat("a.", 150) + "b"}},
	{"cookiepath",
		[]string{"/", "/app", "/a/b%20c", "/~a"},
		[]string{"", "app", " /", "/a b", "/a;b", "/a,b", "/a\"b", "/a\\b", "/é", "/a\n", "/a\x00", "/\x7f", "*"}},
	{"tokensecret",
		[]string{"testsecret", "hex:00ff", "base64:AAAA", " a ", "-----BEGIN PRIVATE KEY-----\n"},
		[]string{"", " ", "\n"}},
	{"masterkey",
		[]string{"AAAA", "hex:00"},
		[]string{"", " "}},
	{"publickeys",
		[]string{"{\"keys\":[]}", "-----BEGIN PUBLIC KEY-----\n"},
		[]string{"", " "}},
	{"keysurl",
		[]string{"https://login.example.org/jwks.json", "http://127.0.0.1:8080/x", "http://localhost/x", "https://a/b?c=d"},
		[]string{"", "http://login.example.org/x", "https://", "https://u:p@a/b", "https://a/b#c", "file:x", "a", "ftp://a/b", "http://127.0.0.1.example.org/"}},
	{"purpose",
		[]string{"refresh", "verify-email", "a_1"},
		[]string{"", "Refresh", "a b", "a.b", "é", strings.Repeat("a", 65), "a\n"}},
	{"claim",
		[]string{"sub", "https://example.org/role", "user_id"},
		[]string{"", "a b", "é", "a\n", "\x00"}},
	{"claimsource",
		[]string{"subject", "role", "roles", "email", "true", "\"a text\"", "\"\""},
		[]string{"", "Subject", "a", "false", "\"", "'a'", " subject"}},
	{"email",
		[]string{"jack@example.org", "a+b@localhost", "a.b-c_d@x-y.z"},
		[]string{"", "jack", "@a", "a@", "a@b@c", "a b@c", "a@b c", "a@b\n", "<a@b>", "a,b@c", "é@b", "a@é", "\"a\"@b", "a@b,c@d"}},
}

func TestTexts(t *testing.T) {
	tested := map[string]bool{}
	for _, row := range textRows {
		check := texts[row.check]
		tested[row.check] = true
		for _, s := range row.pass {
			if problem := check.test(s); problem != "" {
				t.Errorf("%s(%q) %s, want that it passes", row.check, s, problem)
			}
			if !regexp.MustCompile(check.pattern).MatchString(s) {
				t.Errorf("%s(%q) passes, but not the pattern of the schema, %s", row.check, s, check.pattern)
			}
		}
		for _, s := range row.refused {
			if check.test(s) == "" {
				t.Errorf("%s(%q) passes, want that it is refused", row.check, s)
			}
			if problem := check.test(s + "plugh"); strings.Contains(strings.ToLower(problem), "plugh") {
				t.Errorf("%s(%q) %s: the check repeats the value, which only its caller may", row.check, s, problem)
			}
		}
	}
	for name := range texts {
		if !tested[name] {
			t.Errorf("the text check %s has no row", name)
		}
	}
}

func TestScalars(t *testing.T) {
	none := &shape{}
	for _, row := range []struct {
		name          string
		parse         func(string, *shape) (any, string)
		pass, refused []string
	}{
		{"bool", parseBool, []string{"true", "false", "True", "FALSE"}, []string{"", "yes", "no", "on", "off", "1", "0", "t", " true", "true ", "truе"}},
		{"int", parseInt, []string{"0", "-1", "9223372036854775807"}, []string{"", "-", "+1", "1.0", "1e3", "0x1", "0o1", "01", "-01", "1_000", " 1", "1 ", "٣", "9223372036854775808", "a"}},
		{"level", parseLevel, []string{"DEBUG", "debug", "Info", "WARN", "warning", "ERROR", "critical"}, []string{"", "WARNINGS", "FATAL", "TRACE", "10", "INFO ", "ſnfo", "DEBUG-4"}},
		{"listen", parseListen, []string{"127.0.0.1:1", "[::1]:0", "localhost:65535", "unix:a", "unix:/run/a.sock"},
			[]string{"", ":1", "1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:01", "127.0.0.1:http", "::1:80", "unix:", "unix:a\nb", "UNIX:a",
				"tcp:127.0.0.1:1", "http://a:1", "a b:1", "*:1"}},
		{"time", parseTime, []string{"2027-01-31", "2027-01-31T12:00:00Z", "2027-01-31t12:00:00z", "2027-01-31T12:00:00.5+02:00", "2028-02-29"},
			[]string{"", "2027", "2027-1-31", "2027-02-29", "2027-13-01", "31.01.2027", "2027-01-31T12:00:00", "2027-01-31 12:00:00Z", "2027-01-31T12:00Z", "2027-01-31T25:00:00Z",
				"2027-01-31T12:00:00,5Z", "tomorrow", "1d", "2027-01-31 "}},
		{"prefix", parsePrefix, []string{"127.0.0.1", "::1", "10.0.0.0/8", "2001:db8::/32", "::ffff:1.2.3.4", "1.2.3.4/32", "128.0.0.0/1"},
			[]string{"", "*", "all", "localhost", "0.0.0.0/0", "::/0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0/8", "010.0.0.1", "1.2.3.4:80", "[::1]",
				"fe80::1%eth0", "fe80::%eth0/64", "::ffff:1.2.3.0/120", " 1.2.3.4", "1.2.3.4,5.6.7.8", "/8", "10.0.0.0/"}},
	} {
		for _, s := range row.pass {
			if _, problem := row.parse(s, none); problem != "" {
				t.Errorf("%s(%q) %s, want that it passes", row.name, s, problem)
			}
		}
		for _, s := range row.refused {
			if v, problem := row.parse(s, none); problem == "" {
				t.Errorf("%s(%q) = %v, want that it is refused", row.name, s, v)
			}
		}
	}
}

func TestLevels(t *testing.T) {
	for text, want := range map[string]slog.Level{"debug": -4, "INFO": 0, "Warn": 4, "warning": 4, "ERROR": 8, "critical": 12} {
		v, problem := parseLevel(text, nil)
		if problem != "" || v.(Level).Level() != want {
			t.Errorf("level(%s) = %v %s, want %d", text, v, problem, want)
		}
	}
	for level, want := range map[Level]string{0: "INFO", 4: "WARNING", LevelCritical: "CRITICAL", 2: "INFO+2"} {
		if got := level.String(); got != want {
			t.Errorf("Level(%d).String() = %s, want %s", level, got, want)
		}
	}
}

func TestTypeOf(t *testing.T) {
	for want, rows := range map[scalarType][]string{
		nullType:   {"", "~", "null", "Null", "NULL"},
		boolType:   {"true", "True", "TRUE", "false", "False", "FALSE"},
		intType:    {"0", "-1", "+1", "007", "0x1F", "0o17", "123456789012345678901234567890"},
		floatType:  {"1.5", ".5", "1.", "1e3", "-1.5E-3", ".inf", "-.Inf", ".NaN"},
		stringType: {"yes", "no", "on", "off", "y", "n", "1:30", "1_000", "nUll", "tRue", "1.2.3", "2027-01-31", "0b1", "e3", ".", "-", "+", "NaN", "inf", "0x", " 1"},
	} {
		for _, text := range rows {
			if got := typeOf(text); got != want {
				t.Errorf("typeOf(%q) = %v, want %v", text, got, want)
			}
		}
	}
}

func TestKeyPath(t *testing.T) {
	for _, test := range []struct{ path, key, want string }{
		{"", "rules", "rules"}, {"server", "http", "server.http"}, {"roles", "a.b", `roles["a.b"]`}, {"roles", "", `roles[""]`}, {"", "a b", `["a b"]`},
		{"roles", "a\nb", `roles["a\nb"]`},
	} {
		if got := keyPath(test.path, test.key); got != test.want {
			t.Errorf("keyPath(%q, %q) = %s, want %s", test.path, test.key, got, test.want)
		}
	}
}

func TestInnerExample(t *testing.T) {
	for example, want := range map[string]string{
		"[a, b]": "a", "[a]": "a", "[{a: 1, b: 2}, c]": "{a: 1, b: 2}", "{a: 1, b: 2}": "1", "{a: [x, y], b: [z]}": "[x, y]", "word": "word", "": "",
		"[[a, b], c]": "[a, b]",
	} {
		if got := innerExample(example); got != want {
			t.Errorf("innerExample(%s) = %s, want %s", example, got, want)
		}
	}
}
