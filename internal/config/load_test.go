package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wholeEnviron is what testdata/valid/whole.yaml needs.
var wholeEnviron = []string{"PORT=9443", "TOKEN=from-the-environment"}

func load(t *testing.T, name string) *Config {
	t.Helper()
	cfg, err := Load(filepath.Join("testdata", "valid", name), Options{Environ: wholeEnviron, Situations: situations})
	if err != nil {
		t.Fatalf("Load(%s): %v", name, err)
	}
	return cfg
}

func parseOK(t *testing.T, text string, environ ...string) *Config {
	t.Helper()
	cfg, err := Parse("f.yaml", []byte(text), Options{Environ: environ})
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return cfg
}

// A fact is a value of a configuration and what it should be; both are compared as they are printed with %+v.
type fact struct {
	name      string
	got, want any
}

func check(t *testing.T, facts []fact) {
	t.Helper()
	for _, f := range facts {
		if got, want := fmt.Sprintf("%+v", f.got), fmt.Sprintf("%+v", f.want); got != want {
			t.Errorf("%s = %s, want %s", f.name, got, want)
		}
	}
}

func TestSmallFile(t *testing.T) {
	cfg := load(t, "small.json")
	http := cfg.Server.HTTP
	check(t, []fact{
		{"host", http.Host, "127.0.0.1"}, {"port", http.Port, 8000}, {"request_max_size", http.RequestMaxSize, 1048576},
		{"auth_scheme", http.AuthScheme, "[Token]"}, {"tokens", len(http.AllowedTokens), 2},
		{"first token", http.AllowedTokens[0].Token.Reveal(), "token1"}, {"its name", http.AllowedTokens[0].Name, "token-1"},
		{"its owner", http.AllowedTokens[0].Owner, "token-1"}, {"its enabled", http.AllowedTokens[0].Enabled, true},
		{"its roles", http.AllowedTokens[0].Roles, "[]"}, {"its expiry", http.AllowedTokens[0].Expires.IsZero(), true},
		{"second token", http.AllowedTokens[1].Token.Reveal(), "token2"}, {"its position", http.AllowedTokens[1].Pos.Line, 2},
		{"log level", cfg.Log.Level, []LogLevel{{"server_logger", Level(slog.LevelDebug)}}},
		{"carriers", cfg.Carriers[0].Kind, "authorization"},
	})
	const clear = "this token is stored in clear; gatehouse hash token --stdin makes the hash to store instead"
	want := cfg.File + ":2:44: " + clear + "\n" + cfg.File + ":2:54: " + clear
	if got := cfg.Warnings.Error(); got != want {
		t.Errorf("warnings =\n%s\nwant\n%s", got, want)
	}
}

func TestDefaults(t *testing.T) {
	empty, err := Default("gatehouse.yaml", Options{})
	must(t, err)
	configs := map[string]*Config{"Default": empty, "white space": parseOK(t, " \n\n"), "marker": parseOK(t, "---\n")}
	for _, name := range []string{"empty.yaml", "empty.json", "sections.yaml"} {
		configs[name] = load(t, name)
	}
	for name, cfg := range configs {
		server, timeouts := cfg.Server, cfg.Server.Timeouts
		check(t, []fact{
			{name + " host", server.HTTP.Host, "127.0.0.1"}, {name + " port", server.HTTP.Port, 8080},
			{name + " request_max_size", server.HTTP.RequestMaxSize, 1 << 20}, {name + " max_header_size", server.MaxHeaderSize, 65536},
			{name + " auth_scheme", server.HTTP.AuthScheme, "[Token]"}, {name + " tokens", len(server.HTTP.AllowedTokens), 0},
			{name + " admin", server.Admin.Listen, Listen{"unix", "gatehouse-data/admin.sock"}},
			{name + " timeouts", timeouts, "{Header:10s Read:30s Write:30s Idle:2m Shutdown:30s}"},
			{name + " trusted_proxies", server.TrustedProxies, "[]"}, {name + " tls", server.TLS.CertFile + server.TLS.KeyFile, ""},
			{name + " public_url", server.PublicURL, ""}, {name + " prefix", server.Prefix, ""},
			{name + " log", cfg.Log, "{Format:json Level:[]}"}, {name + " carriers", len(cfg.Carriers), 1}, {name + " carrier", cfg.Carriers[0].Kind, "authorization"},
			{name + " roles", cfg.Roles, "map[]"}, {name + " rules", cfg.Rules, "[]"}, {name + " upstream", cfg.Upstream, "map[]"},
			{name + " headers", cfg.ForwardAuth.Headers, "{User:Remote-User Groups:Remote-Groups Email:Remote-Email}"},
			{name + " origins", cfg.CORS.Origins, "[]"}, {name + " errors", cfg.Errors, "{Profile: Status:map[]}"},
			{name + " store", cfg.Store.URL.Reveal(), "sqlite:gatehouse-data/gatehouse.db"}, {name + " redis", cfg.Store.Redis.IsZero(), true},
			{name + " sessions", cfg.Sessions, "{Idle:12h Absolute:30d Touch:1m MaxPerUser:0 Cookie:{Name:gatehouse SameSite:lax Domain: Path:}}"},
			{name + " has sessions", cfg.HasSessions(), false},
			{name + " refused", cfg.Limits.Refused == nil, true}, {name + " tests", cfg.Tests, "[]"}, {name + " warnings", len(cfg.Warnings), 0},
		})
	}
}

func TestWholeFile(t *testing.T) {
	cfg := load(t, "whole.yaml")
	s, tokens := cfg.Server, cfg.Server.HTTP.AllowedTokens
	expiry := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	check(t, []fact{
		{"public_url", s.PublicURL, "https://app.example.org"}, {"prefix", s.Prefix, "/gate"},
		{"trusted_proxies", s.TrustedProxies, "[127.0.0.1/32 10.0.0.0/8 2001:db8::/32 192.0.2.1/32]"},
		{"tls", s.TLS.CertFile + " " + s.TLS.KeyFile, "testdata/valid/tls/cert.pem /etc/gatehouse/key.pem"},
		{"host", s.HTTP.Host, "::1"}, {"port", s.HTTP.Port, 9443}, {"request_max_size", s.HTTP.RequestMaxSize, 0},
		{"auth_scheme", s.HTTP.AuthScheme, "[Bearer Token]"}, {"admin", s.Admin.Listen, Listen{"tcp", "127.0.0.1:9901"}},
		{"timeouts", s.Timeouts, "{Header:5s Read:1m Write:90m Idle:30s Shutdown:0}"}, {"max_header_size", s.MaxHeaderSize, 8192},
		{"token 1", tokens[0].Token.Reveal(), "token1"}, {"token 2", tokens[1].Token.IsZero(), true},
		{"token 2 roles", tokens[1].Roles, "[basic admin]"}, {"token 2 scopes", tokens[1].Scopes, "[films.read urn:x]"},
		{"token 2 expiry", tokens[1].Expires, expiry}, {"token 2 enabled", tokens[1].Enabled, false}, {"token 2 email", tokens[1].Email, "jack@example.org"},
		{"token 2 name", tokens[1].Name, "ci"}, {"token 2 owner", tokens[1].Owner, "Jack Smith"},
		{"token 2 sum", fmt.Sprintf("%x", tokens[1].Sum.Sum()), "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"},
		{"token 3", tokens[2].Token.Reveal(), "file-token"}, {"token 3 expiry", tokens[2].Expires, expiry.Add(10 * time.Hour)},
		{"token 4", tokens[3].Token.Reveal(), "from-the-environment"}, {"token 4 name", tokens[3].Name, "token-4"},
		{"log", cfg.Log, "{Format:text Level:[{Logger:server_logger Level:WARNING} {Logger:guard Level:CRITICAL}]}"},
		{"carrier 1", cfg.Carriers[0].Header, "X-Api-Key"}, {"carrier 2", cfg.Carriers[1].Kind, "authorization"},
		{"roles", cfg.Roles, "map[admin:9 basic:1 premium:5]"}, {"permissions", cfg.Permissions, "map[admin:[films.* *] basic:[films.read]]"},
		{"headers", cfg.ForwardAuth.Headers, "{User:X-User Groups:X-Groups Email:X-Email}"},
		{"origins", cfg.CORS.Origins, "[https://app.example.org http://localhost:5173]"},
		{"errors", cfg.Errors, "{Profile:token-server Status:map[unknown_token:403]}"}, {"refused", *cfg.Limits.Refused, "{Budget:60 Per:1m}"},
		{"tests", cfg.Tests, "[policy/*.yaml]"}, {"watch", cfg.Watch, "[testdata/valid/token.txt]"},
		{"dir", cfg.Dir, "testdata/valid"}, {"warnings", len(cfg.Warnings), 3},
		{"store", cfg.Store.URL.Reveal(), "postgres://gatehouse@db.internal/gatehouse"}, {"redis", cfg.Store.Redis, "{URL:[secret] Host:redis.internal Port:6380 DB:3 Password:[secret] TLS:true}"},
		{"password", cfg.Store.Redis.Password.Reveal(), "from-the-environment"}, {"has sessions", cfg.HasSessions(), true},
		{"sessions", cfg.Sessions, "{Idle:30m Absolute:7d Touch:10s MaxPerUser:5 Cookie:{Name:app1-token SameSite:strict Domain:example.org Path:/app}}"},
	})
}

func TestRulesAndUpstreams(t *testing.T) {
	cfg := load(t, "whole.yaml")
	r, films, users := cfg.Rules, cfg.Upstream["films"], cfg.Upstream["users"]
	some := r[1].Allow.Any
	check(t, []fact{
		{"rules", len(r), 3}, {"rule 1", []any{r[0].Name, r[0].Path, r[0].Allow.Who, r[0].Strict, r[0].Upstream}, "[public /public/** anyone true films]"},
		{"rule 2", []any{r[1].Methods, r[1].Host, r[1].Path, r[1].AllowEncodedSlash, r[1].ForwardCredential, r[1].Upstream},
			"[[GET POST] films.example.org /films/{id} true true users]"},
		{"alternatives", len(some), 3}, {"role", some[0].Role, "admin"}, {"both", some[1].All[0].Permission + " " + some[1].All[1].Scope[0], "films.read films.read"},
		{"scopes", some[2].Scope, "[a b]"}, {"rule 3", []any{r[2].Regex, r[2].Allow.Who, r[2].Upstream}, "[/old/[0-9]+${x} nobody ]"},
		{"films", []any{films.URL, films.Timeouts, films.CAFile, films.MaxConnections}, "[http://127.0.0.1:9000 {Connect:5s Response:1m Idle:90s}  0]"},
		{"users", []any{users.URL, users.Timeouts, users.CAFile, users.MaxConnections},
			"[https://users.internal {Connect:1s Response:2s Idle:3s} testdata/valid/tls/ca.pem 100]"},
	})
}

func TestShortForms(t *testing.T) {
	for _, name := range []string{"short.yml", "mark.json"} {
		cfg := load(t, name)
		last := cfg.Rules[len(cfg.Rules)-1]
		check(t, []fact{
			{name + " roles", cfg.Roles, "map[admin:2 basic:1]"}, {name + " upstreams", len(cfg.Upstream), 1},
			{name + " upstream of a rule", last.Upstream, DefaultUpstream}, {name + " its timeouts", cfg.Upstream[DefaultUpstream].Timeouts.Connect, "5s"},
			{name + " line of the rule", last.Pos.Line, map[string]int{"short.yml": 5, "mark.json": 2}[name]},
		})
	}
	one := parseOK(t, `{upstream: {films: "http://a"}, rules: [{path: /, allow: anyone}]}`)
	if got := one.Rules[0].Upstream; got != "films" {
		t.Errorf("upstream of a rule that names none = %q, want the only one, films", got)
	}
	if off := parseOK(t, "rules: [{path: /, allow: anyone}]").Rules[0].Upstream; off != "" {
		t.Errorf("upstream of a rule where there are none = %q, want none", off)
	}
	if got := parseOK(t, "server: {http: {auth_scheme: Bearer}}").Server.HTTP.AuthScheme; fmt.Sprint(got) != "[Bearer]" {
		t.Errorf("auth_scheme = %v, want [Bearer]", got)
	}
}

func TestTextsThatPass(t *testing.T) {
	for _, text := range []string{
		"server: {http: {host: localhost, port: 0}}", "server: {http: {host: '::', port: 65535}}", "server: {prefix: ''}", "server: {prefix: /a/b-c.d~e}",
		"server: {admin: {listen: 'unix:/run/gatehouse.sock'}}", "server: {admin: {listen: '[::1]:9901'}}", "server: {admin: {listen: 'localhost:0'}}",
		"server: {public_url: 'http://localhost:8080'}", "server: {public_url: 'https://[::1]:8443'}", "server: {trusted_proxies: []}",
		"server: {http: {allowed_tokens: ['!#~', no, on, 1.2.3, 2027-01-31]}}", "server: {http: {allowed_tokens: []}}", "server: {tls: , http: , admin: }",
		"carriers: [{header: Api-Key}]", "roles: {'a.b:c-d_e': 7}", "roles: []", "cors: {origins: ['http://[::1]:3000']}",
		"rules: [{path: /, methods: [QUERY, M-SEARCH], host: '[::1]', allow: nobody}]", "rules: [{regex: '/(a|b)', allow: {scope: a}}]",
		"limits: {refused: {budget: 1, per: .5s}}", "errors: {status: {}}", "log: {level: []}", "log: {level: [{logger: limit, level: cRITICAL}]}",
		"server: {timeouts: {shutdown: 0s}}", "{}", "~", "server: {http: {port: 8080}} # a comment", `{"log": {"format": "te\u0078t"}}`,
		"carriers: [session]", "carriers: [session]\nstore: {redis: ''}", "carriers: [session]\nstore: {redis: {host: '::1'}}", "carriers: [session]\nstore: {redis: 'redis://127.0.0.1'}",
		"carriers: [session]\nsessions: {absolute: 1h}", "carriers: [session]\nsessions: {idle: 30d, touch: 1h}", "store: {}\nsessions: {}", "carriers: [session, authorization]",
		"server: {public_url: 'https://app.example.org'}\ncarriers: [session]\nsessions: {cookie: {domain: Example.org}}", "carriers: [session]\nserver: {http: {allowed_tokens: []}}",
		"server: {public_url: 'https://example.org:8443'}\ncarriers: [session]\nsessions: {cookie: {domain: example.org}}",
		"upstream: https://[2001:db8::1]:8443\nrules: [{path: /, allow: anyone}]", "upstream: h2c://a_b.internal\nrules: [{path: /, allow: anyone}]",
	} {
		if _, err := Parse("f.yaml", []byte(text), Options{}); err != nil {
			t.Errorf("Parse(%s) = %v, want no fault", text, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	const plain = "plain HTTP on an address that others can reach: tokens travel in clear; set server.tls, or end TLS in front"
	for _, test := range []struct {
		text, want string
		environ    []string
	}{
		{"server: {http: {host: 127.0.0.1}}", "", nil},
		{"server: {http: {host: 127.9.9.9}}", "", nil},
		{"server: {http: {host: '::ffff:127.0.0.1'}}", "", nil},
		{"server: {http: {host: LOCALHOST}}", "", nil},
		{"server: {http: {host: 0.0.0.0}}", "f.yaml:1:23: " + plain, nil},
		{"server: {http: {host: '::'}}", "f.yaml:1:23: " + plain, nil},
		{"server: {http: {host: app.example.org}}", "f.yaml:1:23: " + plain, nil},
		{"server: {http: {host: 0.0.0.0}, tls: {cert_file: a, key_file: b}}", "", nil},
		{"", "environment:GATEHOUSE_SERVER__HTTP__HOST: " + plain, []string{"GATEHOUSE_SERVER__HTTP__HOST=0.0.0.0"}},
		{"server: {admin: {listen: '10.0.0.1:9901'}}", "f.yaml:1:26: plain HTTP on an address that others can reach; listen on 127.0.0.1 or on a socket", nil},
		{"server: {admin: {listen: 'localhost:9901'}}", "", nil},
		{"server: {http: {allowed_tokens: [abc]}}", "f.yaml:1:34: this token is stored in clear; gatehouse hash token --stdin makes the hash to store instead", nil},
		{"server: {http: {allowed_tokens: [{token: abc}]}}", "f.yaml:1:42: this token is stored in clear; gatehouse hash token --stdin makes the hash to store instead", nil},
		{"server: {http: {allowed_tokens: ['${A}']}}", "", []string{"A=abc"}},
		{"", "", []string{"GATEHOUSE_SERVER__HTTP__ALLOWED_TOKENS=abc"}},
		{"carriers: [session]\nstore: {url: 'postgres://u:p@h/d'}", "f.yaml:2:14: the password in this address is stored in clear; write ${NAME} in its place, or file:PATH for the whole", nil},
		{"carriers: [session]\nstore: {redis: 'redis://:p@h'}", "f.yaml:2:16: the password in this address is stored in clear; write ${NAME} in its place, or file:PATH for the whole", nil},
		{"carriers: [session]\nstore: {redis: {host: h, password: p}}", "f.yaml:2:36: this password is stored in clear; write ${NAME} or file:PATH instead", nil},
		{"carriers: [session]\nstore: {url: 'postgres://u:${A}@h/d'}", "", []string{"A=abc"}},
		{"carriers: [session]\nstore: {url: 'postgres://u@h/d'}", "", nil},
		{"carriers: [session]\nstore: {redis: {host: h, password: '${A}'}}", "", []string{"A=abc"}},
		{"carriers: [session]\nstore: {url: 'sqlite:x', redis: 'redis://h'}", "f.yaml:2:14: is not used in this version, because the sessions are in Redis", nil},
		{"carriers: [session]\nsessions: {max_per_user: 3}",
			"f.yaml:2:26: counts where sessions begin, and this version of Gatehouse begins none; set MaxPerSubject in the Go program, too", nil},
		{"roles: [a]\npermissions: {a: [films.read, users.*]}\nrules:\n- {path: /, allow: {any: [{permission: films.read}, {permission: users.a.b}, {permission: films.write}]}}",
			"f.yaml:4:91: no role is granted this permission, so that nobody can pass", nil},
	} {
		got := parseOK(t, test.text, test.environ...).Warnings
		if len(got) == 0 && test.want == "" {
			continue
		}
		if got.Error() != test.want {
			t.Errorf("warnings of %s =\n%v\nwant\n%s", test.text, got, test.want)
		}
	}
}

func TestPositions(t *testing.T) {
	cfg := load(t, "whole.yaml")
	in := func(at string) string { return cfg.File + ":" + at }
	for path, want := range map[string]string{
		"rules[1].path": in("35:11"), "rules[1]": in("33:5"), "rules[1].allow.any[1].all[0]": in("36:41"), "rules[1].name": in("33:5"),
		"rules[2].regex": in("40:13"), "roles.admin": in("25:38"), "upstream.users": in("44:5"), "upstream.films": in("42:10"),
		"server.http.port": in("9:11"), "nothing.of.this": in("2:1"), "": in("2:1"), "upstream.users.timeouts.write": in("45:15"),
	} {
		at := cfg.At(path)
		if at.String() != want || at.Path != path {
			t.Errorf("At(%q) = %v with path %q, want %s", path, at, at.Path, want)
		}
	}
	if got, want := cfg.Fault("rules[1].path", "is equal to rules[%d].path", 0).String(), in("35:11: is equal to rules[0].path"); got != want {
		t.Errorf("Fault = %s, want %s", got, want)
	}
	check(t, []fact{
		{"Pos of a rule", cfg.Rules[1].Pos, Position{cfg.File, 33, 5, "rules[1]"}},
		{"Pos of a requirement", cfg.Rules[1].Allow.Any[0].Pos.Path, "rules[1].allow.any[0]"},
		{"Pos of an upstream", cfg.Upstream["users"].Pos.Line, 44}, {"Pos of a token", cfg.Server.HTTP.AllowedTokens[3].Pos.Line, 17},
		{"Pos of a carrier", cfg.Carriers[0].Pos.Path, "carriers[0]"},
	})
}

func TestHas(t *testing.T) {
	cfg := parseOK(t, "server: {http: {port: 8080}}\nlog:\n", "GATEHOUSE_LOG__FORMAT=text")
	for path, want := range map[string]bool{
		"server.http.port": true, "server.http": true, "server.http.host": false, "log": true, "log.format": true, "log.level": false, "carriers": false,
		"carriers[0]": false, "upstream": false,
	} {
		if got := cfg.Has(path); got != want {
			t.Errorf("Has(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestAtOfDefaults(t *testing.T) {
	cfg, err := Default("gatehouse.yaml", Options{Environ: []string{"GATEHOUSE_SERVER__HTTP__PORT=1"}})
	must(t, err)
	for path, want := range map[string]string{"server.http.host": "environment:GATEHOUSE_SERVER__HTTP__PORT", "log.format": "gatehouse.yaml"} {
		if got := cfg.At(path).String(); got != want {
			t.Errorf("At(%s) = %s, want %s", path, got, want)
		}
	}
}

func TestTestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[1]*?")
	must(t, os.MkdirAll(filepath.Join(dir, "policy"), 0o700))
	for _, name := range []string{"policy/b.yaml", "policy/a.yaml", "policy/c.json", "gatehouse.yaml"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("tests: [policy/*.yaml, policy/a.*, none/*.yaml]"), 0o600))
	}
	cfg, err := Load(filepath.Join(dir, "gatehouse.yaml"), Options{})
	must(t, err)
	_, err = cfg.TestFiles()
	if want := cfg.File + ":1:36: no file matches this pattern; correct it, or remove it"; fmt.Sprint(err) != want {
		t.Errorf("TestFiles() = %v, want %s", err, want)
	}
	cfg.Tests = cfg.Tests[:2]
	files, err := cfg.TestFiles()
	if want := []string{filepath.Join(dir, "policy/a.yaml"), filepath.Join(dir, "policy/b.yaml")}; err != nil || fmt.Sprint(files) != fmt.Sprint(want) {
		t.Errorf("TestFiles() = %v, %v, want %v", files, err, want)
	}
	cfg.Tests = []string{filepath.ToSlash(filepath.Join("..", filepath.Base(dir))) + "/x"}
	if _, err := cfg.TestFiles(); err == nil {
		t.Error("TestFiles() of a pattern without files = nil, want a fault")
	}
}

func TestReferences(t *testing.T) {
	const hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
	files := map[string]string{
		"conf/token": "secret-of-file\n", "/run/token": "absolute", "conf/crlf": "windows\r\n", "conf/hash": hash + "\n", "conf/two": "first\nsecond\n",
		"conf/twice": "spaced\n\n", "conf/empty": "", "conf/newline": "\n", "conf/large": strings.Repeat("x", maxSecretSize+1), "conf/nested": "file:token",
		"conf/var": "${HOME}", "conf/hashlike": "sha256:00",
	}
	opts := Options{Environ: []string{"NAME=token", "PATHS=/secret/place"}, ReadFile: func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}}
	for _, test := range []struct{ entry, want string }{
		{"'file:token'", "secret-of-file"}, {"'file:/run/token'", "absolute"}, {"'file:../conf/token'", "secret-of-file"}, {"{token: 'file:crlf'}", "windows"},
		{"'file:${NAME}'", "secret-of-file"}, {"'file:var'", "${HOME}"}, {"'file:nested'", "file:token"}, {"{hash: 'file:hash'}", ""},
		{"'file:missing'", "f.yaml:1:34: the file that file: names cannot be read: file does not exist"},
		{"'file:${PATHS}'", "f.yaml:1:34: the file that file: names cannot be read: file does not exist"},
		{"'file:'", "f.yaml:1:34: file: names no file; write file:PATH, relative to the folder of the configuration file"},
		{"'file:two'", "f.yaml:1:34: the value cannot travel in a header; a token has no spaces, no control characters and only ASCII"},
		{"'file:twice'", "f.yaml:1:34: the value cannot travel in a header; a token has no spaces, no control characters and only ASCII"},
		{"'file:empty'", "f.yaml:1:34: the value is empty, so that it is no token"},
		{"'file:newline'", "f.yaml:1:34: the value is empty, so that it is no token"},
		{"'file:large'", "f.yaml:1:34: the file that file: names is larger than 64 KiB; a secret is one line"},
		{"{hash: 'file:token'}", "f.yaml:1:41: the value is not sha256: with 64 hexadecimal digits; gatehouse hash token makes one"},
		{"'file:hashlike'", "f.yaml:1:34: the value looks like a hash; write {name: NAME, hash: sha256:…}, or the hash itself would be the token"},
	} {
		cfg, err := Parse("conf/f.yaml", []byte("server: {http: {allowed_tokens: ["+test.entry+"]}}"), opts)
		if err != nil {
			if got := err.Error(); got != "conf/"+test.want {
				t.Errorf("%s: %s, want conf/%s", test.entry, got, test.want)
			}
			continue
		}
		token := cfg.Server.HTTP.AllowedTokens[0]
		if got := token.Token.Reveal(); got != test.want || len(cfg.Watch) != 1 || len(cfg.Warnings) != 0 {
			t.Errorf("%s = %q, watch %v, warnings %v, want %q, one file and no warning", test.entry, got, cfg.Watch, cfg.Warnings, test.want)
		}
	}
}

func TestReferencesAreForSecretsOnly(t *testing.T) {
	cfg, err := Parse("f.yaml", []byte("rules: [{name: a, regex: 'file:x', allow: anyone}]"), Options{ReadFile: func(string) ([]byte, error) {
		return nil, errors.New("must not be read")
	}})
	if err != nil || cfg.Rules[0].Regex != "file:x" || len(cfg.Watch) != 0 {
		t.Errorf("a regex of file:x = %v, want the text itself", err)
	}
}

func TestReadFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.yaml")
	must(t, os.WriteFile(path, []byte(strings.Repeat("# \n", maxSize)), 0o600))
	data, err := Options{}.readFile(path)
	if err != nil || len(data) != maxSize+1 {
		t.Errorf("readFile of a large file = %d bytes, %v, want %d", len(data), err, maxSize+1)
	}
}

func TestPrefixesAreWhatTheySay(t *testing.T) {
	cfg := parseOK(t, "server: {trusted_proxies: [10.0.0.0/8, '::ffff:192.0.2.1']}")
	for address, want := range map[string]bool{"10.1.2.3": true, "11.0.0.1": false, "192.0.2.1": true, "192.0.2.2": false} {
		got := false
		for _, prefix := range cfg.Server.TrustedProxies {
			got = got || prefix.Contains(netip.MustParseAddr(address))
		}
		if got != want {
			t.Errorf("trusted(%s) = %v, want %v", address, got, want)
		}
	}
}

// The same values in both formats make the same configuration; only the places differ.
func TestFormatsAgree(t *testing.T) {
	text, err := os.ReadFile("testdata/valid/whole.yaml")
	must(t, err)
	root, fault := parse("whole.yaml", text)
	if fault != nil {
		t.Fatal(fault)
	}
	asJSON, err := json.MarshalIndent(plain(root), "", "\t")
	must(t, err)
	opts := Options{Environ: wholeEnviron, Situations: situations}
	fromYAML, err := Parse("testdata/valid/f.yaml", text, opts)
	must(t, err)
	fromJSON, err := Parse("testdata/valid/f.json", asJSON, opts)
	must(t, err)
	if diff := cmp.Diff(withoutPlaces(fromYAML), withoutPlaces(fromJSON)); diff != "" {
		t.Errorf("the configuration (-YAML +JSON):\n%s", diff)
	}
}

// withoutPlaces prints a configuration, one word a line, without what says where things stand.
func withoutPlaces(cfg *Config) []string {
	plain := *cfg
	plain.File, plain.Warnings, plain.index = "", nil, nil
	return strings.Fields(regexp.MustCompile(`Pos:[^ }]*|0x[0-9a-f]+`).ReplaceAllString(fmt.Sprintf("%+v", plain), ""))
}
