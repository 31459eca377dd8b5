package config

import (
	"net/netip"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// The tags of the structs below are all that the decoder, the JSON Schema and the reference page know. On a field:
//
//	key       its name in the file; a field without one is not read
//	doc       what it means, in sentences
//	default   its value when the key is absent; lists are separated by commas
//	example   a value for messages and for the reference page, as it is written in YAML
//	check     the text check of its strings (see texts)
//	enum      the words it may be; nearly the words that a later version will take
//	min, max  the bounds of its integers or durations; positive: more than zero. A max of a duration is how long what was revoked is remembered
//	required  it must be there
//	nonempty  its list must have an entry; unique: no entry twice
//	single    a bare value stands for a list of one
//	short     a bare value stands for the whole struct with only this field
//	names     the text check of the keys of a mapping
//	bare      a bare value stands for a mapping with one entry of this name
//	ranked    a list of names stands for a mapping to 1, 2, …
//	hint      what to add to a message about a wrong word
//
// On the blank field: oneOf (exactly one of these keys), together (all of these keys or none), later (keys of a later version),
// private (a key that is unknown is not quoted, because it may be a token in the wrong place).

// Config is a whole configuration, complete with defaults. It must not be changed once it is shared.
type Config struct {
	_ struct{} `later:"accounts mail openapi spa audit telemetry"`

	Server      Server              `key:"server" doc:"Where Gatehouse listens, and what it takes."`
	Log         Log                 `key:"log" doc:"What is logged, and how."`
	Store       Store               `key:"store" doc:"Where sessions are kept. The programs in which people sign in use the same store."`
	Carriers    []Carrier           `key:"carriers" default:"authorization" nonempty:"true" example:"[session, authorization, {header: X-API-Key}]" doc:"Where a credential may travel, in order. All of them look; two that both find one make the request ambiguous."`
	Sessions    Sessions            `key:"sessions" doc:"How long log-ins last, and the cookie in which they travel. Needs session among the carriers. In this version sessions begin in Go programs that use the same store; Gatehouse guards them."`
	Tokens      Tokens              `key:"tokens" doc:"The tokens that Gatehouse makes and verifies. Needs bearer among the carriers, or clients."`
	Clients     []Client            `key:"clients" example:"[{id: reports, keys: 'file:reports.jwks', scopes: [films.read]}]" doc:"Programs that prove who they are at /oauth, and get tokens for themselves."`
	Roles       map[string]int      `key:"roles" names:"name" ranked:"true" min:"1" max:"2147483647" example:"{basic: 1, premium: 5, admin: 9}" doc:"The roles and their levels. A higher level includes every lower one; gaps are fine, equal levels are a fault. The short form [basic, admin] counts from 1."`
	Permissions map[string][]string `key:"permissions" names:"name" check:"grant" unique:"true" example:"{basic: [films.read], admin: ['films.*']}" doc:"What each role permits, on top of what the roles below it permit. films.* is everything that begins with films., * is everything."`
	Rules       []Rule              `key:"rules" example:"[{path: /public/**, allow: anyone}]" doc:"Who may do what. The most specific rule that matches decides; a request that no rule matches is refused."`
	Upstream    map[string]Upstream `key:"upstream" names:"name" bare:"default" example:"http://127.0.0.1:9000" doc:"The applications behind the gate. A bare address is the only one, called default."`
	ForwardAuth ForwardAuth         `key:"forward_auth" doc:"How the caller is made known to an upstream, or to the proxy that asks."`
	CORS        CORS                `key:"cors" doc:"Which pages of other origins may call."`
	Errors      Errors              `key:"errors" doc:"Statuses for clients that expect others than the usual ones."`
	Limits      Limits              `key:"limits" doc:"How much is too much."`
	Tests       []string            `key:"tests" check:"glob" unique:"true" example:"[policy/*.yaml]" doc:"Policy test files, as patterns relative to the folder of the configuration file. A configuration whose tests fail is refused, at a start and at a reload."`

	// File is the name under which the configuration was read.
	File string
	// Dir is the folder of File, which relative file names are relative to.
	Dir string
	// Watch lists the files that file: references have read, as they were opened, sorted. A change of one of them is a change of the
	// configuration. Files of certificates and tests are not in it: who reads those, watches them.
	Watch []string
	// Warnings is what is legal but unwise, sorted by position.
	Warnings Faults

	index *index
}

// Server says where Gatehouse listens.
type Server struct {
	PublicURL      string         `key:"public_url" check:"origin" example:"https://app.example.org" doc:"The origin under which callers reach Gatehouse. Absent: links are relative."`
	Prefix         string         `key:"prefix" check:"prefix" example:"/gate" doc:"A path in front of Gatehouse's own paths, such as /ping. Empty: none."`
	TrustedProxies []netip.Prefix `key:"trusted_proxies" unique:"true" example:"[127.0.0.1, 10.0.0.0/8]" doc:"Addresses and networks whose X-Forwarded headers count, and who may ask for forward-auth decisions. Empty: nobody."`
	TLS            TLS            `key:"tls" doc:"The certificate of the listener. Absent: plain HTTP."`
	HTTP           HTTP           `key:"http" doc:"The main listener."`
	Admin          Admin          `key:"admin" doc:"The listener for health, metrics and explanations."`
	Timeouts       Timeouts       `key:"timeouts" doc:"How long a client may take."`
	MaxHeaderSize  int            `key:"max_header_size" default:"65536" min:"4096" max:"16777216" doc:"Most bytes of a request's head. Beyond it: 431."`
}

// TLS names the files of a certificate. Both are empty or both are set.
type TLS struct {
	_ struct{} `together:"cert_file key_file"`

	CertFile string `key:"cert_file" check:"file" example:"tls/cert.pem" doc:"The certificate chain in PEM, relative to the folder of the configuration file. It is read again when it changes."`
	KeyFile  string `key:"key_file" check:"file" example:"tls/key.pem" doc:"The private key in PEM, relative to the folder of the configuration file."`
}

// HTTP is the main listener.
type HTTP struct {
	Host           string   `key:"host" default:"127.0.0.1" check:"listenhost" example:"0.0.0.0" doc:"The address to listen on. 0.0.0.0 and :: are all addresses."`
	Port           int      `key:"port" default:"8080" min:"0" max:"65535" doc:"The TCP port to listen on. 0 takes a free one."`
	RequestMaxSize int64    `key:"request_max_size" default:"1048576" min:"0" doc:"Most bytes of a request's body. Beyond it: 413. 0 means no limit."`
	AllowedTokens  []Token  `key:"allowed_tokens" example:"[token1, token2]" doc:"The static tokens. A change takes effect without a restart."`
	AuthScheme     []string `key:"auth_scheme" default:"Token" single:"true" nonempty:"true" check:"scheme" example:"Bearer" doc:"The scheme, or a list of schemes, in which a token travels in the Authorization header. The first is named in challenges."`
}

// A Token is one static token.
type Token struct {
	_ struct{} `oneOf:"hash token" private:"true"`

	Pos Position
	// Sum is the SHA-256 of the token, whichever way it was given.
	Sum Digest

	Name    string           `key:"name" check:"name" example:"ci" doc:"What logs and policy tests call the token. Absent: token-1, token-2, … by its place in the list."`
	Hash    gatehouse.Secret `key:"hash" check:"tokenhash" example:"sha256:<64 hexadecimal digits>" doc:"The SHA-256 of the token, as gatehouse hash token prints it, or file:PATH."`
	Token   gatehouse.Secret `key:"token" check:"token" short:"true" example:"token1" doc:"The token itself, or better file:PATH or ${NAME}, so that it does not stand in this file."`
	Owner   string           `key:"owner" check:"line" example:"jack" doc:"Who the token acts for. Absent: the token's name."`
	Roles   []string         `key:"roles" check:"name" unique:"true" example:"[basic]" doc:"The roles of the owner; each must be in the section roles."`
	Scopes  []string         `key:"scopes" check:"scope" unique:"true" example:"[films.read]" doc:"The scopes of the token."`
	Expires time.Time        `key:"expires" example:"2027-01-31" doc:"When the token stops being valid: a date (its first moment in UTC) or an RFC 3339 time. Absent: never."`
	Enabled bool             `key:"enabled" default:"true" doc:"false refuses the token without forgetting it."`
	Email   string           `key:"email" check:"email" example:"jack@example.org" doc:"The owner's address, told to upstreams."`
}

// Admin is the listener for those who run the server.
type Admin struct {
	Listen Listen `key:"listen" default:"unix:gatehouse-data/admin.sock" example:"127.0.0.1:9901" doc:"unix:PATH, relative to the working folder, or HOST:PORT."`
}

// Timeouts bounds how long a client may take.
type Timeouts struct {
	Header   Duration `key:"header" default:"10s" positive:"true" doc:"For the head of a request."`
	Read     Duration `key:"read" default:"30s" positive:"true" doc:"For each read of a body: how long a sender may pause."`
	Write    Duration `key:"write" default:"30s" positive:"true" doc:"For each write of an answer: how long a receiver may pause."`
	Idle     Duration `key:"idle" default:"120s" positive:"true" doc:"For the next request on a connection."`
	Shutdown Duration `key:"shutdown" default:"30s" doc:"For running requests when the server is told to stop. 0 cuts them off."`
}

// Log says what is logged.
type Log struct {
	Format string     `key:"format" default:"json" enum:"text json" doc:"One JSON object a line, or text for people."`
	Level  []LogLevel `key:"level" example:"[{logger: server_logger, level: INFO}]" doc:"The least level that each logger writes. A logger that is not named has the level of server_logger, which is INFO unless it is named."`
}

// A LogLevel is the least level that one logger writes.
type LogLevel struct {
	Logger string `key:"logger" required:"true" enum:"server_logger access guard gateway admin config limit store" example:"server_logger" doc:"The logger; server_logger is the whole server."`
	Level  Level  `key:"level" required:"true" example:"DEBUG" doc:"DEBUG, INFO, WARNING (or WARN), ERROR or CRITICAL, in any case."`
}

// Store says where sessions are kept.
type Store struct {
	// URL begins with sqlite: or postgres://. It may hold a password.
	URL gatehouse.Secret `key:"url" default:"sqlite:gatehouse-data/gatehouse.db" check:"storeurl" example:"postgres://gatehouse@127.0.0.1/gatehouse" doc:"sqlite:FILE, relative to the working folder, or a postgres:// URL; best with ${NAME} for its password, or file:PATH for the whole. A change waits for a restart."`
	// Redis is zero where sessions are kept in SQL.
	Redis Redis `key:"redis" example:"redis://127.0.0.1:6379/0" doc:"Keep sessions in this Redis or Valkey server: they are as durable as it is. What was revoked is kept where url says all the same, and told over this server. A URL, or a mapping. Empty: sessions are kept where url says. A change waits for a restart."`
	// MasterKey is zero where the file beside the database has it.
	MasterKey gatehouse.Secret `key:"master_key" check:"masterkey" example:"file:gatehouse-data/master.key" doc:"The key that signing keys are sealed with: 32 bytes in base64, best as file:PATH or ${NAME}. Absent, with SQLite: the file master.key beside the database, which is made with it. PostgreSQL needs one; gatehouse key generate --master makes it."`
}

// Redis names a server of the Redis protocol, by URL or by Host and what follows it.
type Redis struct {
	URL gatehouse.Secret `short:"true" check:"redisurl" example:"rediss://redis.example.org/0" doc:"redis://user:password@host:port/db, or rediss:// for TLS; best with ${NAME} for the password, or file:PATH for the whole."`

	Host     string           `key:"host" required:"true" check:"redishost" example:"127.0.0.1" doc:"Its name or address."`
	Port     int              `key:"port" default:"6379" min:"1" max:"65535" doc:"Its TCP port."`
	DB       int              `key:"db" default:"0" min:"0" max:"65535" doc:"The number of the database."`
	Password gatehouse.Secret `key:"password" check:"password" example:"swordfish" doc:"The password, or better ${NAME} or file:PATH, so that it does not stand in this file. Absent: none."`
	TLS      bool             `key:"tls" default:"false" doc:"Connect by TLS, with a certificate that the system's authorities have signed for host."`
}

// IsZero reports whether there is no such server.
func (r Redis) IsZero() bool { return r.URL.IsZero() && r.Host == "" }

// Sessions says how long log-ins last, and how they travel.
type Sessions struct {
	Idle       Duration `key:"idle" default:"12h" positive:"true" max:"400d" doc:"A session that nobody has used for so long has ended. A change counts for the sessions that exist."`
	Absolute   Duration `key:"absolute" default:"30d" positive:"true" max:"400d" doc:"A session of this age has ended, whatever was done with it."`
	Touch      Duration `key:"touch" default:"1m" positive:"true" doc:"How often at most the use of a session is written down; a session may end by so much too early. At most a quarter of idle counts."`
	MaxPerUser int      `key:"max_per_user" default:"0" min:"0" max:"1000000" doc:"How many sessions one user may have: a new one ends the oldest. It counts where sessions begin. 0 means any number."`
	Cookie     Cookie   `key:"cookie" doc:"The cookie. The programs in which people sign in need the same settings."`
}

// Cookie says what the session cookie looks like.
type Cookie struct {
	Name     string `key:"name" default:"gatehouse" check:"cookiename" example:"app1-token" doc:"Its name without the prefix, which is added: __Host-, with domain or path __Secure-, and none on a loopback address without TLS."`
	SameSite string `key:"same_site" default:"lax" enum:"lax strict" doc:"lax, or strict: a visitor who follows a link from another site then looks signed out."`
	Domain   string `key:"domain" check:"cookiedomain" example:"example.org" doc:"Share the cookie with the subdomains of this host, each of which could then set it. Absent: the host itself, alone."`
	Path     string `key:"path" check:"cookiepath" example:"/app" doc:"Limit the cookie to this path. It is no protection: pages beside it can set the cookie. Absent: every path."`
}

// A Carrier says where a credential travels. Exactly one field is set.
type Carrier struct {
	_ struct{} `oneOf:"header"`

	Pos Position
	// Kind is "authorization" or "session", or empty for a named header.
	Kind string `short:"true" enum:"authorization session bearer" nearly:"basic" hint:"what works is authorization, session, bearer and {header: X-API-Key}" example:"authorization" doc:"authorization: a token in the Authorization header, with one of the schemes of server.http.auth_scheme. session: the cookie of a session in the store. bearer: a signed token in Authorization: Bearer, as the section tokens says."`
	// Header is the name of a header whose whole value is the token, in canonical form.
	Header string `key:"header" check:"field" example:"X-API-Key" doc:"The name of a header whose whole value is the token."`
}

// A Rule says who may do what matches its method set, host and path. Path patterns and equal rules are judged by package policy.
type Rule struct {
	_ struct{} `oneOf:"path regex"`

	Pos Position

	Name              string      `key:"name" check:"name" example:"films" doc:"What logs, explanations and tests call the rule. Absent: made from what it matches."`
	Methods           []string    `key:"methods" check:"method" nonempty:"true" unique:"true" example:"[GET, POST]" doc:"The methods that it matches; GET covers HEAD. Absent: every method."`
	Host              string      `key:"host" check:"host" example:"app.example.org" doc:"The host that it matches, without port. Absent: every host."`
	Path              string      `key:"path" check:"path" example:"/films/{id}" doc:"The path pattern that it matches: {x} is one segment, ** at the end is any number of segments, none included."`
	Regex             string      `key:"regex" check:"regex" example:"/films/[0-9]+" doc:"A regular expression (RE2) that must match the whole decoded path. It ranks below every pattern; where several match, all their requirements hold."`
	Allow             Requirement `key:"allow" required:"true" example:"{role: admin}" doc:"Who may pass."`
	Strict            bool        `key:"strict" default:"false" doc:"On a rule that lets anyone in: an unusable credential is refused instead of ignored."`
	AllowEncodedSlash bool        `key:"allow_encoded_slash" default:"false" doc:"Accept %2F in the path; it is part of a segment and is forwarded as it came."`
	ForwardCredential bool        `key:"forward_credential" default:"false" doc:"Leave a token in the request that is forwarded. The cookie of a session is removed all the same."`
	Purpose           string      `key:"purpose" check:"purpose" example:"refresh" doc:"What a token must be good for to count here; nothing else is a credential then. Absent: access tokens count, and other credentials."`
	OnStoreLoss       StoreLoss   `key:"on_store_loss" default:"deny" example:"bounded(60s)" doc:"What happens while it is not known what was revoked: deny refuses with 503, bounded(60s) lets tokens that were good pass for so long."`
	Upstream          string      `key:"upstream" check:"name" example:"films" doc:"The upstream that answers. Needed where there are several."`
}

// A Requirement says who may pass. Exactly one field is set; Scope, All and Any are then not empty.
type Requirement struct {
	_ struct{} `oneOf:"role permission scope all any"`

	Pos Position

	// Who is "anyone", "authenticated", "nobody", or empty.
	Who        string        `short:"true" enum:"anyone authenticated nobody" hint:"a role is written {role: admin}" example:"authenticated" doc:"anyone: also without a credential; authenticated: with any valid credential; nobody: refused always."`
	Role       string        `key:"role" check:"name" example:"admin" doc:"A role of at least this one's level."`
	Permission string        `key:"permission" check:"permission" example:"films.read" doc:"A role that permits this."`
	Scope      []string      `key:"scope" single:"true" nonempty:"true" unique:"true" check:"scope" example:"films.read" doc:"A credential with this scope, or with all scopes of a list."`
	All        []Requirement `key:"all" nonempty:"true" example:"[{role: admin}, {scope: films.write}]" doc:"Every one of these."`
	Any        []Requirement `key:"any" nonempty:"true" example:"[{role: admin}, {scope: films.write}]" doc:"At least one of these."`
}

// An Upstream is an application behind the gate.
type Upstream struct {
	Pos Position

	URL            string           `key:"url" short:"true" required:"true" check:"upstream" example:"http://127.0.0.1:9000" doc:"Its address: scheme http, https or h2c (HTTP/2 without TLS), host and port; no path."`
	Timeouts       UpstreamTimeouts `key:"timeouts" doc:"How long it may take."`
	CAFile         string           `key:"ca_file" check:"file" example:"tls/ca.pem" doc:"The only authorities (PEM) that may have signed its certificate. Absent: those of the system."`
	MaxConnections int              `key:"max_connections" default:"0" min:"0" max:"1000000" doc:"Most connections to it at once; what is beyond waits. 0 means no limit."`
}

// UpstreamTimeouts bounds how long an upstream may take.
type UpstreamTimeouts struct {
	Connect  Duration `key:"connect" default:"5s" positive:"true" doc:"To accept a connection, TLS included."`
	Response Duration `key:"response" default:"60s" positive:"true" doc:"To begin an answer once it has the request."`
	Idle     Duration `key:"idle" default:"90s" positive:"true" doc:"How long an unused connection is kept."`
}

// ForwardAuth says how the caller is made known.
type ForwardAuth struct {
	Headers IdentityHeaders `key:"headers" doc:"The headers that carry the caller. Whatever a client sends under these names is removed."`
}

// IdentityHeaders are three distinct header names in canonical form.
type IdentityHeaders struct {
	User   string `key:"user" default:"Remote-User" check:"field" example:"X-User" doc:"Carries the subject."`
	Groups string `key:"groups" default:"Remote-Groups" check:"field" example:"X-Groups" doc:"Carries the roles, separated by commas."`
	Email  string `key:"email" default:"Remote-Email" check:"field" example:"X-Email" doc:"Carries the e-mail address, where it is known."`
}

// CORS says which pages of other origins may call.
type CORS struct {
	Origins []string `key:"origins" check:"origin" unique:"true" example:"[https://app.example.org]" doc:"Exact origins. Empty: none."`
}

// Errors moves statuses.
type Errors struct {
	Profile string         `key:"profile" enum:"token-server spa rest" example:"token-server" doc:"A ready-made set of statuses: token-server (403 for a bad token), spa or rest. Absent: the usual ones."`
	Status  map[string]int `key:"status" min:"400" max:"499" example:"{unknown_token: 403}" doc:"The status of single situations, on top of the profile. The situations are the codes of problems."`
}

// Limits says how much is too much.
type Limits struct {
	// Refused is nil where refusals are not limited.
	Refused *Refused `key:"refused" example:"{budget: 60, per: 1m}" doc:"How many refused requests an address may make before it gets 429. Absent: any number."`
}

// Refused is a budget of refused requests for each address.
type Refused struct {
	Budget int      `key:"budget" required:"true" min:"1" max:"1000000000" example:"60" doc:"How many refusals."`
	Per    Duration `key:"per" required:"true" positive:"true" example:"1m" doc:"In how long."`
}
