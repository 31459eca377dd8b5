package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/session"
)

// A Policy says who an identity is and what a principal may do. It must be safe for concurrent use.
type Policy interface {
	// Resolve returns the principal that id stands for now. The error wraps gatehouse.ErrCredential if nobody does any more, say because
	// the account is gone or disabled; any other error means that it could not be found out.
	Resolve(ctx context.Context, id gatehouse.Identity) (gatehouse.Principal, error)
	// Permits reports whether p, who may be anonymous, has permission, on resource if that is not nil. An error means that it could
	// not be checked, and denies.
	Permits(ctx context.Context, p gatehouse.Principal, permission string, resource any) (bool, error)
}

// AsSubject is the ready-made [Policy]: an identity's value is the subject, its roles and scopes are the principal's, and permissions
// are what Table gives to roles.
type AsSubject struct {
	Table *policy.Table // nil: nobody has any permission
}

// Resolve implements [Policy].
func (AsSubject) Resolve(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
	return gatehouse.PrincipalOf(id), nil
}

// Permits implements [Policy]. It never fails and does not look at resource.
func (a AsSubject) Permits(_ context.Context, p gatehouse.Principal, permission string, _ any) (bool, error) {
	return a.Table != nil && a.Table.Permits(p, permission), nil
}

// A Limiter stops addresses whose requests were refused too often. It must be safe for concurrent use.
type Limiter interface {
	// Blocked reports whether addr has used up its budget, and for how long.
	Blocked(addr netip.Addr) (retryAfter time.Duration, blocked bool)
	// Refused counts one refused request.
	Refused(addr netip.Addr)
}

// A Config is what a [Guard] is made of.
type Config struct {
	// Carriers are asked in this order, all of them. Required: a guard without carriers could know nobody.
	Carriers []carrier.Carrier
	// Policy resolves identities. Required; [AsSubject] is the ready-made one.
	Policy Policy
	// Rules decide which requests pass; what no rule allows is denied. Nil: Handler only finds out who is calling, and every
	// handler must state its own requirement.
	Rules *policy.Table
	// Roles is the order of roles for RequireRole where Rules is nil; rules have their own, and both together are refused.
	Roles policy.Roles
	// DefaultDeny makes Handler refuse every request when Rules is nil, instead of leaving it to the handlers.
	DefaultDeny bool
	// Realm is named in challenges. Empty means "gatehouse".
	Realm string
	// MaxBody is the size limit of request bodies in bytes, checked after the decision. Zero means no limit; less is refused. A body whose
	// length is announced is answered 413 before it is read; of any other the handler's read fails with [http.MaxBytesError].
	MaxBody int64
	// Origins are the origins (scheme://host[:port]) that browsers may call from: the CORS allow-list, and those whose unsafe requests may come with
	// a cookie. Empty: none but the request's own.
	Origins []string
	// Limiter stops addresses with too many refused requests. Nil: none is stopped.
	Limiter Limiter
	// ClientAddr returns the address of the client behind trusted proxies. Nil: the peer's address.
	ClientAddr func(*http.Request) netip.Addr
	// Status moves problem codes to other statuses, see [problem.Statuses], under whose conditions it is checked. May be nil.
	Status map[problem.Code]int
	// RequestID returns the id of a request for problem bodies. Nil: the id that [Observe] gave it, if any.
	RequestID func(*http.Request) string
	// Logger gets what could not be checked and which hook panicked. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A Guard judges requests. Make it with [New] or [TokenAuth]; the zero Guard denies everything with 503. It is safe for concurrent use.
type Guard struct {
	carriers []namedCarrier
	policy   Policy
	rules    *policy.Table
	open     bool // no rules: only resolve
	maxBody  int64
	cors     cors
	origins  crossOrigin
	keepers  []carrier.Keeper
	sessions carrier.Carrier // the one that opens the request's session, or nil
	cookies  []string        // the names of the carriers' own
	vary     []string        // what caches must know an answer to depend on
	outside  sync.Once       // a verb was called on a request that this guard has not judged
	limiter  Limiter
	client   func(*http.Request) netip.Addr
	answers  *problem.Writer
	logger   *slog.Logger
	now      func() time.Time
}

type namedCarrier struct {
	carrier.Carrier
	name            string
	ambient, secure bool
	unsaid          bool // whether it is ambient: then it counts as that for the cross-origin check
}

// New returns a guard. It fails if c lacks something without which every answer would be a guess.
func New(c Config) (*Guard, error) {
	if len(c.Carriers) == 0 {
		return nil, errors.New("guard: no carriers: without one nobody could ever be known")
	}
	if c.Policy == nil {
		return nil, errors.New("guard: no policy: use guard.AsSubject if the identity's value is the subject")
	}
	if c.MaxBody < 0 {
		return nil, fmt.Errorf("guard: MaxBody is %d: give the limit in bytes, or 0 for none", c.MaxBody)
	}
	if err := checkStatus(c.Status); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	origins, err := newCORS(c.Origins)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	roles, err := rolesOf(c)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	g := &Guard{policy: c.Policy, rules: roles, open: c.Rules == nil && !c.DefaultDeny, maxBody: c.MaxBody, cors: origins,
		origins: newCrossOrigin(c.Origins), limiter: c.Limiter, client: c.ClientAddr, logger: c.Logger, now: c.Now}
	if err := g.setCarriers(c.Carriers); err != nil {
		return nil, err
	}
	g.setDefaults()
	g.answers = &problem.Writer{Challenges: g.challenges(c.Realm), Status: c.Status, RequestID: g.requestID(c.RequestID), Logger: g.logger}
	return g, nil
}

// rolesOf returns the rules of c, or a table without rules that knows its roles.
func rolesOf(c Config) (*policy.Table, error) {
	if c.Rules != nil && c.Roles != nil {
		return nil, errors.New("the rules have roles of their own: leave Roles out")
	}
	if c.Rules != nil {
		return c.Rules, nil
	}
	return policy.New(policy.Config{Roles: c.Roles})
}

// requestID returns ask, or RequestID if there is none, made safe: a panic must not keep a refusal from being answered.
func (g *Guard) requestID(ask func(*http.Request) string) func(*http.Request) string {
	if ask == nil {
		return RequestID
	}
	return func(r *http.Request) (id string) {
		defer func() {
			if value := recover(); value != nil {
				g.logger.LogAttrs(r.Context(), slog.LevelError, "the request's id is unknown", slog.Any("error", panicked("request id", value)))
			}
		}()
		return ask(r)
	}
}

// checkStatus keeps a denial from being answered as a success.
func checkStatus(moved map[problem.Code]int) error {
	var faults []error
	for code, status := range moved {
		faults = append(faults, problem.CheckMove(code, status))
	}
	return errors.Join(faults...)
}

func (g *Guard) setCarriers(carriers []carrier.Carrier) error {
	header := map[string]bool{}
	for i, c := range carriers {
		if c == nil {
			return fmt.Errorf("guard: carrier %d is nil", i)
		}
		switch c := c.(type) {
		case *carrier.HeaderCarrier, *carrier.NamedHeaderCarrier:
			name := strings.ToLower(fmt.Sprint(c))
			if header[name] {
				return fmt.Errorf("guard: two carriers read %s: each would find the credential, and two are refused", c)
			}
			header[name] = true
		}
		name := fmt.Sprintf("%T", c)
		if s, ok := c.(fmt.Stringer); ok {
			name = s.String()
		}
		if err := g.addCarrier(namedCarrier{Carrier: c, name: name}); err != nil {
			return err
		}
	}
	return nil
}

// addCarrier takes a carrier and what it can do.
func (g *Guard) addCarrier(c namedCarrier) error {
	if v, ok := c.Carrier.(carrier.Varier); ok {
		g.vary = append(g.vary, v.Vary()...)
	}
	if a, ok := c.Carrier.(carrier.Ambient); ok {
		c.ambient, c.secure = a.Ambient()
	} else {
		c.unsaid = true
	}
	if k, ok := c.Carrier.(carrier.Keeper); ok {
		g.keepers = append(g.keepers, k)
	}
	if o, ok := c.Carrier.(carrier.CookieCarrier); ok {
		g.cookies = append(g.cookies, o.CookieNames()...)
	}
	if _, ok := c.Carrier.(interface{ Sessions() *session.Table }); ok {
		if g.sessions != nil {
			return errors.New("guard: two session carriers: a request has one session a guard; nest a guard for the other")
		}
		g.sessions = c.Carrier
	}
	g.carriers = append(g.carriers, c)
	return nil
}

// Cookies returns the names of the cookies that the carriers own: an upstream must neither see nor set them. The caller must not change the slice.
func (g *Guard) Cookies() []string {
	if g == nil {
		return nil
	}
	return g.cookies
}

func (g *Guard) setDefaults() {
	if g.client == nil {
		g.client = PeerAddr
	}
	if g.logger == nil {
		g.logger = slog.Default()
	}
	if g.now == nil {
		g.now = time.Now
	}
}

// challenges returns what the carriers say of themselves, each once.
func (g *Guard) challenges(realm string) []problem.Challenge {
	if realm == "" {
		realm = "gatehouse"
	}
	var list []problem.Challenge
	seen := map[problem.Challenge]bool{}
	for _, c := range g.carriers {
		if challenger, ok := c.Carrier.(carrier.Challenger); ok {
			if challenge := challenger.Challenge(realm); !seen[challenge] {
				seen[challenge] = true
				list = append(list, challenge)
			}
		}
	}
	if len(list) == 0 {
		list = []problem.Challenge{{Scheme: "Bearer", Realm: realm, OAuth: true}}
	}
	return list
}

// Answers returns the writer of the guard's problems, so that what stands behind the guard answers in the same way. It is never nil.
func (g *Guard) Answers() *problem.Writer {
	if g == nil || g.answers == nil {
		return &problem.Writer{}
	}
	return g.answers
}

// Enforces reports whether [Guard.Handler] and [Guard.Judge] decide by rules. Without rules and without DefaultDeny they leave it to handlers, which is
// no use to fronts that have none. A guard that was not made by New does not enforce: it only refuses.
func (g *Guard) Enforces() bool { return g != nil && g.policy != nil && !g.open }

// Rules returns the guard's table; it is empty if the guard has no rules, and nil only if the guard was not made by New.
func (g *Guard) Rules() *policy.Table {
	if g == nil {
		return nil
	}
	return g.rules
}

// Strip removes the credentials of all carriers from the header of a request that is about to be forwarded.
func (g *Guard) Strip(h http.Header) {
	if g == nil {
		return
	}
	for _, c := range g.carriers {
		if stripper, ok := c.Carrier.(carrier.Stripper); ok {
			stripper.Strip(h)
		}
	}
}

// PeerAddr returns the address that r's connection comes from, without zone and with IPv4 in its own form. It is the zero Addr if
// there is none, as on a Unix socket.
func PeerAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
