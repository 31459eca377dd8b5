package config

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVariables(t *testing.T) {
	environ := []string{
		"PORT=9000", "YES=true", "NAME=films", "EMPTY=", "TRICK=a: [b, c]\n- d # e", "REF=${NAME}", "DURATION=1.5h", "NULL=null", "=odd", "no-equals", "TWICE=1", "TWICE=2",
		"lower_1=x", "WORD=access",
	}
	parse := func(text string) *Config { return parseOK(t, text, environ...) }
	check(t, []fact{
		{"an integer", parse("server:\n  http:\n    port: ${PORT}").Server.HTTP.Port, 9000},
		{"an integer in quotes", parse(`server: {http: {port: "${PORT}"}}`).Server.HTTP.Port, 9000},
		{"digits put together", parse("server: {http: {port: '1${TWICE}'}}").Server.HTTP.Port, 12},
		{"a boolean", parse("rules: [{path: /, allow: anyone, strict: '${YES}'}]").Rules[0].Strict, true},
		{"a duration", parse("server: {timeouts: {idle: '${DURATION}'}}").Server.Timeouts.Idle, "90m"},
		{"a word", parse("log: {level: [{logger: '${WORD}', level: INFO}]}").Log.Level[0].Logger, "access"},
		{"a part", parse("rules: [{path: '/${NAME}/${lower_1}', allow: anyone}]").Rules[0].Path, "/films/x"},
		{"digits as a text", parse("rules: [{name: '${PORT}', path: /, allow: anyone}]").Rules[0].Name, "9000"},
		{"null as a text", parse("rules: [{name: '${NULL}', path: /, allow: anyone}]").Rules[0].Name, "null"},
		{"nothing", parse("server: {prefix: '${EMPTY}'}").Server.Prefix, ""},
		{"YAML is not read again", parse("rules: [{regex: '${TRICK}', allow: anyone}]").Rules[0].Regex, "a: [b, c]\n- d # e"},
		{"a variable is not read again", parse("rules: [{regex: '${REF}', allow: anyone}]").Rules[0].Regex, "${NAME}"},
		{"two characters", parse("rules: [{regex: 'a$${NAME}', allow: anyone}]").Rules[0].Regex, "a${NAME}"},
		{"dollars", parse("rules: [{regex: '$NAME$$a{2}$', allow: anyone}]").Rules[0].Regex, "$NAME$$a{2}$"},
		{"one dollar before a variable", parse("rules: [{regex: '$$$${NAME}', allow: anyone}]").Rules[0].Regex, "$$${NAME}"},
		{"a list entry", parse("roles: [basic, '${NAME}']").Roles, "map[basic:1 films:2]"},
	})
}

func TestVariablesRefused(t *testing.T) {
	environ := []string{"PORT=a-secret-port", "FORMAT=a-secret-format", "KEY=1", "ROLE=a-secret-role", "EMPTY=", "BIG=70000", "SPACE= 80"}
	for _, test := range []struct{ text, want string }{
		{"server: {http: {port: '${PORT}'}}", `1:23: the value of "${PORT}" is not an integer in decimal digits without leading zeros`},
		{"server: {http: {port: '${BIG}'}}", `1:23: the value of "${BIG}" is not between 0 and 65535`},
		{"server: {http: {port: '${EMPTY}'}}", `1:23: the value of "${EMPTY}" is not an integer in decimal digits without leading zeros`},
		{"server: {http: {port: '${SPACE}'}}", `1:23: the value of "${SPACE}" is not an integer in decimal digits without leading zeros`},
		{"server: {http: {port: '${port}'}}", "1:23: the environment variable port is not set; set it, or write $${ for the two characters themselves"},
		{"log: {format: '${FORMAT}'}", `1:15: the value of "${FORMAT}" is not known; write one of: text, json`},
		{"rules: [{path: /, allow: '${ROLE}'}]", `1:26: the value of "${ROLE}" is not known; write one of: anyone, authenticated, nobody; a role is written {role: admin}`},
		{"rules: [{path: /, allow: {role: '${ROLE}'}}]", `1:33: unknown role the value of "${ROLE}"; the section roles names none`},
		{"rules: [{regex: '(${ROLE}', allow: anyone}]", `1:17: the value of "(${ROLE}" is not a regular expression: missing closing )`},
		{"upstream: '${ROLE}'\nrules: [{path: /, allow: anyone}]", "1:11: the value must begin with http:// or https:// or h2c://, such as http://127.0.0.1:9000"},
		{"tests: '${ROLE}'", "1:8: expected a list, such as [policy/*.yaml]; got a string"},
		{"'${KEY}': 1", `1:1: unknown key "${KEY}"; known: server, log, store, carriers, sessions, tokens, clients, roles, permissions, rules, upstream, forward_auth, cors, errors, limits, tests`},
		{"roles: {'${KEY}': 1}", "1:9: ${…} is replaced in values only, not in names"},
		{"server: {prefix: '${A B}'}", "1:18: ${ begins no variable; write ${NAME}, or $${ for the two characters themselves"},
		{"server: {prefix: '${1A}'}", "1:18: ${ begins no variable; write ${NAME}, or $${ for the two characters themselves"},
	} {
		got := messages(t, "f.yaml", test.text, Options{Environ: environ})
		if diff := cmp.Diff([]string{test.want}, got); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestOverrides(t *testing.T) {
	const file = "server: {http: {port: 80, host: localhost}}\nroles: {Admin: 9}\npermissions:\nupstream: {Films: http://a}\nrules: [{path: /, allow: anyone}]\nlog:\n"
	cfg := parseOK(t, file,
		"GATEHOUSE_SERVER__HTTP__PORT=9000", "gatehouse_server__http__Host=127.0.0.2", "GATEHOUSE_SERVER__TIMEOUTS__IDLE=1.5h", "GATEHOUSE_LOG__FORMAT=text",
		"GATEHOUSE_SERVER__TRUSTED_PROXIES=127.0.0.1, 10.0.0.0/8", "GATEHOUSE_SERVER__HTTP__ALLOWED_TOKENS=abc,${d}", "GATEHOUSE_SERVER__HTTP__AUTH_SCHEME=Bearer,Token",
		"GATEHOUSE_ROLES__ADMIN=7", "GATEHOUSE_ROLES__BASIC=1", "GATEHOUSE_PERMISSIONS__BASIC=films.*,users.read", "GATEHOUSE_UPSTREAM__FILMS=http://b",
		"GATEHOUSE_LIMITS__REFUSED__BUDGET=5", "GATEHOUSE_LIMITS__REFUSED__PER=60", "GATEHOUSE_CORS__ORIGINS=", "GATEHOUSE_FORWARD_AUTH__HEADERS__USER=X-User",
		"GATEHOUSE_ERRORS__STATUS__UNKNOWN_TOKEN=403", "GATEHOUSE_SERVER=ignored", "GATEHOUSE_TEST_POSTGRES=ignored", "OTHER__THING=ignored",
		"GATEHOUSE_SERVER__ADMIN__LISTEN=127.0.0.1:1",
	)
	http := cfg.Server.HTTP
	check(t, []fact{
		{"port", http.Port, 9000}, {"host", http.Host, "127.0.0.2"}, {"idle", cfg.Server.Timeouts.Idle, "90m"}, {"format", cfg.Log.Format, "text"},
		{"proxies", cfg.Server.TrustedProxies, "[127.0.0.1/32 10.0.0.0/8]"}, {"tokens", len(http.AllowedTokens), 2},
		{"a token with ${", http.AllowedTokens[1].Token.Reveal(), "${d}"}, {"schemes", http.AuthScheme, "[Bearer Token]"},
		{"roles", cfg.Roles, "map[Admin:7 basic:1]"}, {"permissions", cfg.Permissions, "map[basic:[films.* users.read]]"},
		{"upstream", cfg.Upstream["Films"].URL, "http://b"}, {"refused", *cfg.Limits.Refused, "{Budget:5 Per:1m}"}, {"origins", len(cfg.CORS.Origins), 0},
		{"user header", cfg.ForwardAuth.Headers.User, "X-User"}, {"status", cfg.Errors.Status, "map[unknown_token:403]"}, {"admin", cfg.Server.Admin.Listen.Address, "127.0.0.1:1"},
		{"position", cfg.At("server.http.port"), "environment:GATEHOUSE_SERVER__HTTP__PORT"},
	})
}

func TestOverridesRefused(t *testing.T) {
	const file = "server: {http: {port: 80}, prefix: /x}\nroles: [basic]\nupstream: {films: http://a}\nrules: [{path: /, allow: anyone}]\n"
	for _, test := range []struct{ name, value, want string }{
		{"GATEHOUSE_SERVER__HTTP__PROT", "1", `sets the unknown key "prot" in server.http; did you mean "port"?`},
		{"GATEHOUSE_SERVR__HTTP__PORT", "1", `sets the unknown key "servr"; did you mean "server"?`},
		{"GATEHOUSE_SERVER____PORT", "1", `sets the unknown key "" in server; known: public_url, prefix, trusted_proxies, tls, http, admin, timeouts, max_header_size`},
		{"GATEHOUSE_MAIL__FROM", "x", `"mail" is not available in this version`},
		{"GATEHOUSE_STORE__MASTER_KEY", "x", `is not used, because carriers names neither session nor bearer, and there are no clients; add one of them, or remove this section`},
		{"GATEHOUSE_STORE__URL", "sqlite:x", `is not used, because carriers names neither session nor bearer, and there are no clients; add one of them, or remove this section`},
		{"GATEHOUSE_SERVER__HTTP__PORT", "a-secret", "the value is not an integer in decimal digits without leading zeros"},
		{"GATEHOUSE_SERVER__HTTP__PORT", "", "the value is not an integer in decimal digits without leading zeros"},
		{"GATEHOUSE_SERVER__HTTP__PORT", "${PORT}", "the value is not an integer in decimal digits without leading zeros"},
		{"GATEHOUSE_SERVER__HTTP__PORT__X", "1", "server.http.port has no keys below it"},
		{"GATEHOUSE_SERVER__HTTP", "x", "server.http is a section; add __ and one of its keys: host, port, request_max_size, allowed_tokens, auth_scheme"},
		{"GATEHOUSE_LIMITS__REFUSED", "x", "limits.refused is a section; add __ and one of its keys: budget, per"},
		{"GATEHOUSE_LOG__LEVEL", "DEBUG", "log.level is a list of mappings; the environment sets single values and lists of words"},
		{"GATEHOUSE_LOG__LEVEL__0__LEVEL", "DEBUG", "log.level has no keys below it"},
		{"GATEHOUSE_RULES__0__PATH", "/x", "rules has no keys below it"},
		{"GATEHOUSE_ROLES__BASIC", "7", "roles is not a mapping in the file, so that no key of it can be set"},
		{"GATEHOUSE_ERRORS__STATUS", "403", "errors.status is a mapping; add __ and a name to set one entry of it"},
		{"GATEHOUSE_UPSTREAM__FILMS__URL", "http://b", "upstream.films is not a mapping in the file, so that no key of it can be set"},
		{"GATEHOUSE_SERVER__TRUSTED_PROXIES", "127.0.0.1,,10.0.0.0/8", "the value is not an address or network; write 127.0.0.1 or 10.0.0.0/8"},
		{"GATEHOUSE_CORS__ORIGINS", "http://a,http://a", "the value stands in the list twice"},
	} {
		got := messages(t, "f.yaml", file, Options{Environ: []string{test.name + "=" + test.value}})
		if diff := cmp.Diff([]string{"environment:" + test.name + ": " + test.want}, got); diff != "" {
			t.Errorf("%s=%s: faults (-want +got):\n%s", test.name, test.value, diff)
		}
	}
}

func TestOverrideTwice(t *testing.T) {
	got := messages(t, "f.yaml", "", Options{Environ: []string{"GATEHOUSE_LOG__FORMAT=text", "gatehouse_log__format=json"}})
	if want := "environment:gatehouse_log__format: sets the same key as GATEHOUSE_LOG__FORMAT; remove one of them"; fmt.Sprint(got) != "["+want+"]" {
		t.Errorf("faults = %v, want %s", got, want)
	}
}

// A fault of the file and one of the environment are found together, the file's first.
func TestOverrideFaultsComeLast(t *testing.T) {
	got := messages(t, "f.yaml", "log: {format: xml}\nlogs: 1", Options{Environ: []string{"GATEHOUSE_SERVER__HTTP__PORT=x"}})
	if len(got) != 3 || got[0][:5] != "1:15:" || got[1][:4] != "2:1:" || got[2][:12] != "environment:" {
		t.Errorf("faults = %q, want two of the file and one of the environment", got)
	}
}

// A list at the root leaves nothing to override; the one fault is enough.
func TestOverrideOfNoMapping(t *testing.T) {
	got := messages(t, "f.yaml", "[]", Options{Environ: []string{"GATEHOUSE_LOG__FORMAT=text"}})
	if len(got) != 1 {
		t.Errorf("faults = %q, want one", got)
	}
}
