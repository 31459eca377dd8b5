package config

import (
	"maps"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DefaultUpstream is the name of an upstream that is written as a bare address.
const DefaultUpstream = "default"

// complete fills in what depends on other values, and puts header names into the form in which Go has them.
func (d *decoder) complete(c *Config) {
	for i := range c.Server.HTTP.AllowedTokens {
		t := &c.Server.HTTP.AllowedTokens[i]
		if t.Name == "" {
			t.Name = "token-" + strconv.Itoa(i+1)
		}
		if t.Owner == "" {
			t.Owner = t.Name
		}
		t.Sum = digestOf(t.Token.Reveal())
		if !t.Hash.IsZero() {
			t.Sum = sumOf(t.Hash.Reveal())
		}
	}
	for i := range c.Carriers {
		c.Carriers[i].Header = canonicalField(c.Carriers[i].Header)
	}
	headers := &c.ForwardAuth.Headers
	headers.User, headers.Groups, headers.Email = canonicalField(headers.User), canonicalField(headers.Groups), canonicalField(headers.Email)
	if len(c.Upstream) == 1 {
		for name := range c.Upstream {
			defaultUpstream(c.Rules, name)
		}
	}
}

func defaultUpstream(rules []Rule, name string) {
	for i := range rules {
		if rules[i].Upstream == "" {
			rules[i].Upstream = name
		}
	}
}

// check reports what no single value shows.
func (d *decoder) check(c *Config) {
	d.checkTokens(c)
	d.checkCarriers(c)
	d.checkSessions(c)
	d.checkTokenSections(c)
	d.checkHeaders(c)
	d.checkRoles(c)
	d.checkRules(c)
	d.checkUpstreams(c)
	d.checkStatuses(c)
	d.checkLoggers(c)
	d.checkListener(c)
}

// faultAt reports a fault of the value at path.
func (d *decoder) faultAt(path, format string, args ...any) {
	d.fault(d.index.position(path), path, format, args...)
}

// faultAtKey reports a fault of the key at path.
func (d *decoder) faultAtKey(path, format string, args ...any) {
	d.fault(d.index.places[path].key, path, format, args...)
}

func (d *decoder) warnAt(c *Config, path, format string, args ...any) {
	d.warn(c.At(path), path, format, args...)
}

func (d *decoder) checkTokens(c *Config) {
	names, sums := map[string]string{}, map[[32]byte]string{}
	for i, t := range c.Server.HTTP.AllowedTokens {
		at := itemPath("server.http.allowed_tokens", i)
		if first, taken := names[t.Name]; taken {
			d.faultAt(keyPath(at, "name"), "this name is taken by %s; each token needs its own", first)
		} else {
			names[t.Name] = at
		}
		d.checkRoleNames(c, at+".roles", t.Roles)
		if t.Token.IsZero() && t.Hash.IsZero() {
			continue // it has a fault of its own
		}
		if first, taken := sums[t.Sum.Sum()]; taken {
			d.faultAt(at, "is the same token as %s; remove one of them", first)
			continue
		}
		sums[t.Sum.Sum()] = at
	}
}

// clearSecret warns about a secret that stands in the configuration file itself.
func (d *decoder) clearSecret(n *node, s *shape, path string) {
	switch s.check {
	case texts["token"]:
		d.warn(n.at, path, "this token is stored in clear; gatehouse hash token --stdin makes the hash to store instead")
	case texts["tokensecret"]:
		d.warn(n.at, path, "this key is stored in clear; write ${NAME} or file:PATH instead")
	case texts["masterkey"]:
		d.warn(n.at, path, "this key is stored in clear, and opens every other one; write ${NAME} or file:PATH instead")
	case texts["password"]:
		d.warn(n.at, path, "this password is stored in clear; write ${NAME} or file:PATH instead")
	case texts["storeurl"], texts["redisurl"]:
		if hasPassword(n.text) {
			d.warn(n.at, path, "the password in this address is stored in clear; write ${NAME} in its place, or file:PATH for the whole")
		}
	}
}

func hasPassword(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	_, has := u.User.Password()
	return has
}

// checkRoleNames reports the names of a list at path that are not roles.
func (d *decoder) checkRoleNames(c *Config, path string, names []string) {
	for i, name := range names {
		d.checkRoleName(c, itemPath(path, i), name)
	}
}

func (d *decoder) checkRoleName(c *Config, path, name string) {
	if _, known := c.Roles[name]; known || name == "" {
		return
	}
	d.faultAt(path, "unknown role %s%s", d.index.shown(path), knownRoles(c, name))
}

// UnknownRole says that c has no role of this name, and which one may be meant. It returns "" for those that it has.
func (c *Config) UnknownRole(name string) string {
	if _, known := c.Roles[name]; known {
		return ""
	}
	return "unknown role " + quote(name) + knownRoles(c, name)
}

func knownRoles(c *Config, name string) string {
	if len(c.Roles) == 0 {
		return "; the section roles names none"
	}
	return didYouMean(name, sortedKeys(c.Roles))
}

func (d *decoder) checkRoles(c *Config) {
	byLevel := map[int]string{}
	for _, name := range d.inOrder("roles", sortedKeys(c.Roles)) {
		level := c.Roles[name]
		if level == 0 {
			continue // it has a fault of its own
		}
		if first, taken := byLevel[level]; taken {
			d.faultAt(keyPath("roles", name), "has the same level as %s; give each role its own level", quote(first))
		} else {
			byLevel[level] = name
		}
	}
	for _, name := range sortedKeys(c.Permissions) {
		if _, known := c.Roles[name]; !known {
			d.faultAtKey(keyPath("permissions", name), "unknown role %s%s", quote(name), knownRoles(c, name))
		}
	}
}

// inOrder sorts names of a mapping by where they stand.
func (d *decoder) inOrder(path string, names []string) []string {
	slices.SortStableFunc(names, func(a, b string) int {
		return compareFaults(Fault{Position: d.index.places[keyPath(path, a)].key}, Fault{Position: d.index.places[keyPath(path, b)].key})
	})
	return names
}

func (d *decoder) checkCarriers(c *Config) {
	seen := map[string]bool{}
	for i, carrier := range c.Carriers {
		name := carrier.Kind + strings.ToLower(carrier.Header)
		if seen[name] && name != "" {
			d.faultAt(itemPath("carriers", i), "stands in the list twice")
		}
		seen[name] = true
	}
	if _, written := d.index.places["server.http.auth_scheme"]; written && !seen["authorization"] {
		d.faultAt("server.http.auth_scheme", "is not used, because carriers does not name authorization; add it, or remove this key")
	}
	if tokens := "server.http.allowed_tokens"; len(c.Server.HTTP.AllowedTokens) > 0 && !seen["authorization"] && !slices.ContainsFunc(c.Carriers, func(c Carrier) bool { return c.Header != "" }) {
		d.faultAt(tokens, "is not used, because carriers names nothing that they could travel in; add authorization, or remove the tokens")
	}
	schemes := c.Server.HTTP.AuthScheme
	for i, scheme := range schemes {
		if c.HasBearer() && seen["authorization"] && strings.EqualFold(scheme, "Bearer") {
			d.faultAt(itemPath("server.http.auth_scheme", i), "is the scheme of signed tokens as well, because carriers names bearer, and one header cannot be both; remove it here, and send static tokens with another scheme such as Token, or in X-API-Key")
		}
		if slices.ContainsFunc(schemes[:i], func(before string) bool { return scheme != "" && strings.EqualFold(before, scheme) }) {
			d.faultAt(itemPath("server.http.auth_scheme", i), "%s stands in the list twice; schemes are the same in any case",
				d.index.shown(itemPath("server.http.auth_scheme", i)))
		}
	}
}

// checkHeaders sees to it that a header has one meaning: no two parts of the identity, and no credential, travel in the same one.
func (d *decoder) checkHeaders(c *Config) {
	const section = "forward_auth.headers."
	headers := c.ForwardAuth.Headers
	taken := map[string]string{}
	for _, h := range []struct{ path, name string }{
		{section + "user", headers.User}, {section + "groups", headers.Groups}, {section + "email", headers.Email},
	} {
		if first, twice := taken[h.name]; twice && h.name != "" {
			d.faultAt(h.path, "is the same header as %s; each needs its own", first)
			continue
		}
		taken[h.name] = h.path
	}
	for i, carrier := range c.Carriers {
		if first, twice := taken[carrier.Header]; twice && carrier.Header != "" {
			d.faultAt(keyPath(itemPath("carriers", i), "header"), "is the same header as %s; a credential needs its own", first)
		}
	}
}

func (d *decoder) checkRules(c *Config) {
	names := map[string]string{}
	for i := range c.Rules {
		rule, at := &c.Rules[i], itemPath("rules", i)
		if first, taken := names[rule.Name]; taken && rule.Name != "" {
			d.faultAt(at+".name", "this name is taken by %s; each rule needs its own", first)
		} else {
			names[rule.Name] = at
		}
		d.checkRequirement(c, at+".allow", &rule.Allow)
		d.checkRuleUpstream(c, at, rule)
	}
}

func (d *decoder) checkRequirement(c *Config, at string, r *Requirement) {
	d.checkRoleName(c, at+".role", r.Role)
	if r.Permission != "" && !granted(c, r.Permission) {
		d.warnAt(c, at+".permission", "no role is granted this permission, so that nobody can pass")
	}
	for i := range r.All {
		d.checkRequirement(c, itemPath(at+".all", i), &r.All[i])
	}
	for i := range r.Any {
		d.checkRequirement(c, itemPath(at+".any", i), &r.Any[i])
	}
}

// granted reports whether some role permits what is asked.
func granted(c *Config, permission string) bool {
	for _, grants := range c.Permissions {
		for _, grant := range grants {
			beginning, wild := strings.CutSuffix(grant, "*")
			if grant == permission || wild && strings.HasPrefix(permission, beginning) {
				return true
			}
		}
	}
	return false
}

func (d *decoder) checkRuleUpstream(c *Config, at string, rule *Rule) {
	_, known := c.Upstream[rule.Upstream]
	path := at + ".upstream"
	switch {
	case known:
	case rule.Upstream == "" && len(c.Upstream) > 1 && rule.Allow.Who != "nobody" && !d.faulty(path) && !d.faulty(at):
		d.faultAt(at, "needs the key upstream, because there are several: %s", strings.Join(sortedKeys(c.Upstream), ", "))
	case rule.Upstream != "" && len(c.Upstream) == 0:
		d.faultAt(path, "unknown upstream %s; the section upstream names none", d.index.shown(path))
	case rule.Upstream != "":
		d.faultAt(path, "unknown upstream %s%s", d.index.shown(path), didYouMean(rule.Upstream, sortedKeys(c.Upstream)))
	}
}

// faulty reports whether the value at path has a fault.
func (d *decoder) faulty(path string) bool {
	return slices.ContainsFunc(d.faults, func(f Fault) bool { return f.Path == path })
}

func (d *decoder) checkUpstreams(c *Config) {
	used := map[string]bool{}
	for _, rule := range c.Rules {
		used[rule.Upstream] = true
	}
	for _, name := range sortedKeys(c.Upstream) {
		at := keyPath("upstream", name)
		if d.index.places[at].key == (Position{}) {
			at = "upstream" // the bare form
		}
		if !used[name] {
			d.unusedUpstream(c, at, name)
		}
		if u := c.Upstream[name]; u.CAFile != "" && !strings.HasPrefix(u.URL, "https://") && u.URL != "" {
			d.faultAt(at+".ca_file", "is not used, because the address does not begin with https://")
		}
	}
}

// unusedUpstream reports an upstream that no rule leads to.
func (d *decoder) unusedUpstream(c *Config, at, name string) {
	if len(c.Rules) == 0 {
		d.faultAt(at, "no rule leads to the upstream, so that nothing can reach it; add rules, such as [{path: /**, allow: authenticated}]")
		return
	}
	if d.faultyRules() {
		return // the rule that leads to it may be the faulty one
	}
	d.faultAtKey(at, "no rule names the upstream %s; name it in one, or remove it", quote(name))
}

func (d *decoder) faultyRules() bool {
	return slices.ContainsFunc(d.faults, func(f Fault) bool { return strings.HasPrefix(f.Path, "rules") })
}

func (d *decoder) checkStatuses(c *Config) {
	if d.options.Situations == nil {
		return
	}
	for _, situation := range sortedKeys(c.Errors.Status) {
		path := keyPath("errors.status", situation)
		switch why, known := d.options.Situations[situation]; {
		case !known:
			d.faultAtKey(path, "unknown situation %s%s", quote(situation), didYouMean(situation, sortedKeys(d.options.Situations)))
		case why != "":
			d.faultAtKey(path, "the status of %s cannot be moved: %s", quote(situation), why)
		}
	}
}

func (d *decoder) checkLoggers(c *Config) {
	seen := map[string]bool{}
	for i, l := range c.Log.Level {
		if seen[l.Logger] && l.Logger != "" {
			path := keyPath(itemPath("log.level", i), "logger")
			d.faultAt(path, "%s has a level already; remove one of them", d.index.shown(path))
		}
		seen[l.Logger] = true
	}
}

func (d *decoder) checkListener(c *Config) {
	if host := c.Server.HTTP.Host; c.Server.TLS.CertFile == "" && !loopback(host) {
		d.warnAt(c, "server.http.host", "plain HTTP on an address that others can reach: tokens travel in clear; set server.tls, or end TLS in front")
	}
	if listen := c.Server.Admin.Listen; listen.Network == "tcp" && !loopback(hostOf(listen.Address)) {
		d.warnAt(c, "server.admin.listen", "plain HTTP on an address that others can reach; listen on 127.0.0.1 or on a socket")
	}
}

func hostOf(address string) string {
	return strings.Trim(address[:strings.LastIndexByte(address, ':')], "[]")
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host == "" || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
	}
	return addr.Unmap().IsLoopback()
}

// TestFiles returns the files that the patterns of Tests match now, sorted. The error is of type [Faults]: a pattern that matches nothing
// is a fault, because tests that are not run protect nobody.
func (c *Config) TestFiles() ([]string, error) {
	found, faults := map[string]bool{}, Faults(nil)
	for i, pattern := range c.Tests {
		if !path.IsAbs(pattern) {
			pattern = path.Join(escapeGlob(filepath.ToSlash(c.Dir)), pattern)
		}
		files, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(files) == 0 {
			faults = append(faults, c.Fault(itemPath("tests", i), "no file matches this pattern; correct it, or remove it"))
		}
		for _, file := range files {
			found[file] = true
		}
	}
	if faults != nil {
		return nil, faults.Sort()
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// escapeGlob makes a folder's name match only itself.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
