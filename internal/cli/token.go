package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/token"
)

type tokenCommand struct {
	Issue   tokenIssueCommand   `cmd:"" help:"Make a token."`
	Inspect tokenInspectCommand `cmd:"" help:"Say what a token says, and why it would be refused."`
	Revoke  tokenRevokeCommand  `cmd:"" help:"End a token, a session, or everything of somebody, on every node."`
}

// maxIssued is the longest that a token lives that is made by hand: as long as what has no end of its own is remembered to be revoked.
const maxIssued = 400 * 24 * time.Hour

type tokenIssueCommand struct {
	configFlag
	Purpose  string   `default:"access" help:"What it is good for: access, refresh, verify-email, reset-password, invite, or one of tokens.purposes."`
	Subject  string   `short:"s" placeholder:"WHO" help:"Who it is about (sub). Without it: what a --claim says that the configuration fills with the subject, or one called username, login or user_id."`
	Role     []string `sep:"," help:"A role; may be given several times."`
	Scope    []string `sep:"," help:"A scope; may be given several times."`
	Email    string   `placeholder:"ADDRESS" help:"The e-mail address of the subject."`
	Audience []string `sep:"," placeholder:"AUD" help:"Who it is for, instead of those whom the configuration names."`
	Claim    []string `sep:"none" placeholder:"NAME=TEXT" help:"A further claim; NAME:=JSON for one that is no text. May be given several times."`
	TTL      string   `name:"ttl" placeholder:"30d" help:"How long it is valid, 400d at most. Without it: as the configuration says."`
	Uses     int      `placeholder:"N" help:"How often an opaque token may be used."`
	JSON     bool     `name:"json" help:"Print JSON with the token and what it says, instead of the bare token."`
}

// Help adds to the command's help.
func (tokenIssueCommand) Help() string {
	return `Prints the bare token on standard output, and nothing else: whoever has it, is whom it is about. It is signed with the key of a running server, or makes the first one. It can be revoked: gatehouse token revoke.

Examples:
  gatehouse token issue --subject alice@example.org --role basic
  gatehouse token issue --claim username=jacky --ttl 30d
  gatehouse token issue --purpose download --subject jack --claim file=report.pdf --uses 3`
}

// Run issues.
func (c tokenIssueCommand) Run(p *program) error {
	ttl, err := c.ttl()
	if err != nil {
		return err
	}
	custom, err := customClaims(c.Claim)
	if err != nil {
		return err
	}
	i, v, err := c.openIssuer(p, ttl)
	if err != nil {
		return err
	}
	defer v.close()
	claims := token.Claims{Subject: c.Subject, Roles: c.Role, Scopes: c.Scope, Email: c.Email, Audience: c.Audience, Custom: custom}
	if claims, err = i.withSubject(c.Purpose, claims); err != nil {
		return err
	}
	made, err := c.mint(p, i, claims, ttl)
	if err != nil {
		return exit{exitNo, err}
	}
	for _, name := range c.Role { // others who take the token may know it
		if what := i.cfg.UnknownRole(name); what != "" {
			fmt.Fprintf(p.stderr, "gatehouse: warning: no rule of this configuration can ask for it: %s\n", what)
		}
	}
	return c.print(p, made)
}

func (c tokenIssueCommand) ttl() (time.Duration, error) {
	if c.TTL == "" {
		return 0, nil
	}
	d, err := config.ParseDuration(c.TTL)
	switch {
	case err != nil:
		return 0, exit{exitUsage, fmt.Errorf("--ttl %w", err)}
	case d.Std() > maxIssued || d.Std() < time.Second:
		return 0, exit{exitUsage, fmt.Errorf("--ttl %s: a token lives for at least a second and at most 400d", c.TTL)}
	}
	return d.Std(), nil
}

// customClaims reads NAME=TEXT and NAME:=JSON.
func customClaims(list []string) (map[string]any, error) {
	claims := map[string]any{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || name == ":" {
			return nil, exit{exitUsage, fmt.Errorf("--claim %q: write NAME=TEXT, or NAME:=JSON", text)}
		}
		name, isJSON := strings.CutSuffix(name, ":")
		if _, twice := claims[name]; twice {
			return nil, exit{exitUsage, fmt.Errorf("--claim %s comes twice", name)}
		}
		claims[name] = value
		if !isJSON {
			continue
		}
		if claims[name], ok = oneJSON(value); !ok {
			return nil, exit{exitUsage, fmt.Errorf("--claim %s: what follows := is no JSON, or more than one value", name)}
		}
	}
	return claims, nil
}

// oneJSON reads a value of JSON. Numbers stay as they are written: a float64 would make somebody else's of a large id.
func oneJSON(text string) (value any, ok bool) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return nil, false
	}
	_, err := decoder.Token()
	return value, errors.Is(err, io.EOF)
}

// subjectClaims are the names under which other systems' tokens say whom they are about.
var subjectClaims = []string{"username", "login", "user_id"}

// withSubject finds the subject among the claims where none is given. A claim that the configuration fills with the subject is left to it.
func (i *issuer) withSubject(purpose string, c token.Claims) (token.Claims, error) {
	var mapped []string
	for _, s := range i.plan.purposes {
		for name, what := range s.more {
			if s.Name == purpose && what == "subject" {
				mapped = append(mapped, name)
			}
		}
	}
	slices.Sort(mapped)
	for _, name := range append(mapped, subjectClaims...) {
		text, ok := c.Custom[name].(string)
		if !ok || text == "" || c.Subject != "" && c.Subject != text {
			continue
		}
		c.Subject = text
		if slices.Contains(mapped, name) {
			delete(c.Custom, name)
		}
	}
	if c.Subject == "" {
		return c, exit{exitUsage, errors.New("whom is the token about? Say --subject WHO, or --claim username=WHO")}
	}
	return c, nil
}

func (c tokenIssueCommand) mint(p *program, i *issuer, claims token.Claims, ttl time.Duration) (token.Token, error) {
	if c.Purpose == token.PurposeRefresh {
		if ttl != 0 || c.Uses != 0 {
			return token.Token{}, errors.New("a refresh token lives as long as its log-in and works once: --ttl and --uses do not go with it")
		}
		pair, err := i.refresh.Start(p.ctx, claims)
		return pair.Refresh, err
	}
	minter := i.minters[c.Purpose]
	if minter == nil {
		return token.Token{}, fmt.Errorf("there is no purpose %q; there are %s", c.Purpose, strings.Join(i.purposes(), ", "))
	}
	var options []token.MintOption
	if ttl != 0 {
		options = append(options, token.TTL(ttl))
	}
	if c.Uses != 0 {
		options = append(options, token.Uses(c.Uses))
	}
	return minter.Mint(p.ctx, claims, options...)
}

// purposes returns the names of all purposes.
func (i *issuer) purposes() []string {
	var names []string
	for _, s := range i.plan.purposes {
		names = append(names, s.Name)
	}
	return names
}

func (c tokenIssueCommand) print(p *program, made token.Token) error {
	if !c.JSON {
		_, err := fmt.Fprintln(p.stdout, made.Text.Reveal())
		return err
	}
	says := made.Claims
	out := json.NewEncoder(p.stdout)
	out.SetIndent("", "  ")
	return out.Encode(map[string]any{"token": made.Text.Reveal(), "purpose": says.Purpose, "jti": says.ID, "sid": says.Session, "sub": says.Subject,
		"expires": says.ExpiresAt.UTC().Format(time.RFC3339)})
}

type tokenRevokeCommand struct {
	configFlag
	Token   string `arg:"" optional:"" help:"The token; - reads it from standard input, which keeps it out of the shell's history."`
	ID      string `name:"id" placeholder:"JTI" help:"The token with this id, as inspect and the log print it."`
	Session string `placeholder:"SID" help:"A session: its cookie, its access tokens and its refresh tokens."`
	Subject string `placeholder:"WHO" help:"Everything that was issued to somebody until now: sessions and tokens of every purpose."`
	All     bool   `help:"Everything that was issued until now, to anybody: after a backup was restored, or a store was stolen."`
}

// Help adds to the command's help.
func (tokenRevokeCommand) Help() string {
	return `When it returns, the revocation is durable; every running server refuses within a second what it ends, or answers nobody any more (tokens.revocation.bound). To end a key: gatehouse key retire.

Examples:
  gatehouse token revoke - < token.txt
  gatehouse token revoke --session 6ivx2kqz…
  gatehouse token revoke --subject alice@example.org`
}

// Run revokes.
func (c tokenRevokeCommand) Run(p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	text := c.Token
	if text != "" {
		var err error
		if text, err = tokenText(p, text); err != nil {
			return err
		}
	}
	h, err := p.open(c.source(p))
	if err != nil {
		return err
	}
	if h.plan == nil {
		return c.revokeSessions(p, h)
	}
	i, v, err := c.openIssuer(p, 0)
	if err != nil {
		return err
	}
	defer v.close()
	said, err := c.revoke(p, i, text)
	if err != nil {
		return err
	}
	return p.revoked(v, "revoked: "+said)
}

// revoked says what was revoked, which a backup that is put back must not undo unnoticed.
func (p *program) revoked(v *vault, said string) error {
	if err := v.saveMark(p.ctx); err != nil {
		fmt.Fprintf(p.stderr, "gatehouse: warning: how far the feed of revocations has got could not be written down, so that a backup that is put back now is not noticed: %v\n", err)
	}
	_, err := fmt.Fprintln(p.stdout, said)
	return err
}

func (c tokenRevokeCommand) check() error {
	n := 0
	for _, given := range []bool{c.Token != "", c.ID != "", c.Session != "", c.Subject != "", c.All} {
		if given {
			n++
		}
	}
	if n != 1 {
		return exit{exitUsage, errors.New("say what to revoke, one thing: a token, --id, --session, --subject or --all")}
	}
	return nil
}

// revokeSessions ends sessions where the configuration has no tokens.
func (c tokenRevokeCommand) revokeSessions(p *program, h *house) error {
	if h.shelf == nil {
		return exit{exitUsage, errors.New("this configuration has nothing that can be revoked: its carriers name neither session nor bearer, and there are no clients")}
	}
	v, err := openBeside(p, h.cfg)
	if err != nil {
		return err
	}
	defer v.close()
	said := ""
	switch {
	case c.All:
		said, err = "every session that has begun until now", v.list.RevokeAll(p.ctx)
	case c.Subject != "":
		said, err = "every session of "+c.Subject+" that has begun until now", v.list.RevokeSubject(p.ctx, c.Subject)
	case c.Session != "":
		said, err = "session "+c.Session, v.list.RevokeSession(p.ctx, c.Session, p.now().Add(h.cfg.Sessions.Absolute.Std()))
	default:
		return exit{exitUsage, errors.New("this configuration makes no tokens, so that only --session, --subject and --all end something")}
	}
	if err != nil {
		return err
	}
	return p.revoked(v, "revoked: "+said)
}

// revoke ends what the command line names, and says what that was.
func (c tokenRevokeCommand) revoke(p *program, i *issuer, text string) (string, error) {
	switch {
	case c.All:
		return "everything that was issued until now", i.list.RevokeAll(p.ctx)
	case c.Subject != "":
		return "everything that was issued to " + c.Subject + " until now", i.endSubject(p, c.Subject)
	case c.Session != "":
		return "session " + c.Session, i.endSession(p, c.Session)
	case c.ID != "":
		return "token " + c.ID, i.list.RevokeToken(p.ctx, c.ID, time.Time{}) // when it expires is not known
	}
	return i.revokeText(p, text)
}

// endSession revokes for as long as a token can live that was made by hand, and then removes what is in the store.
func (i *issuer) endSession(p *program, sid string) error {
	if err := i.list.RevokeSession(p.ctx, sid, time.Time{}); err != nil {
		return err
	}
	return i.refresh.End(p.ctx, sid)
}

// endSubject revokes first, so that nothing works from then on, and then removes what is in the store.
func (i *issuer) endSubject(p *program, subject string) error {
	if err := i.refresh.EndSubject(p.ctx, subject); err != nil {
		return err
	}
	_, err := i.store.DeleteSubject(p.ctx, subject)
	return err
}

// revokeText revokes the token itself. A refresh token is its log-in, which ends with it.
func (i *issuer) revokeText(p *program, text string) (string, error) {
	claims, purpose, err := i.revocable(p.ctx, text)
	switch {
	case errors.Is(err, errNoPurpose):
		return "", exit{exitNo, errors.New("this is no token of ours: nothing was revoked. To revoke by what it says of itself: gatehouse token inspect, then --id, --session or --subject")}
	case err != nil && !refused(err):
		return "", err
	case err != nil:
		return "", exit{exitNo, fmt.Errorf("nothing was revoked: the token is refused already (%w)", err)}
	case purpose == token.PurposeRefresh:
		return "session " + claims.Session + ", with its access tokens", i.refresh.End(p.ctx, claims.Session)
	case claims.ID == "":
		return "", exit{exitNo, errors.New("the token has no id (jti), so that it cannot be revoked alone: use --subject")}
	}
	said := fmt.Sprintf("%s token %s of %s", purpose, claims.ID, claims.Subject)
	if claims.Session != "" && claims.Session != claims.ID {
		said += "; its session goes on: --session " + claims.Session + " ends it"
	}
	return said, i.list.RevokeToken(p.ctx, claims.ID, claims.ExpiresAt.Add(cmp.Or(i.cfg.Tokens.Leeway.Std(), time.Minute)))
}
