package config

import (
	"net/url"
	"strings"
)

// HasSessions reports whether one of the carriers is the session cookie.
func (c *Config) HasSessions() bool {
	for _, carrier := range c.Carriers {
		if carrier.Kind == "session" {
			return true
		}
	}
	return false
}

// checkSessions reports what is not used, and what the session cookie would be lost by.
func (d *decoder) checkSessions(c *Config) {
	if !c.HasSessions() && d.hasKeys("sessions") {
		d.faultAtKey("sessions", "is not used, because carriers does not name session; add it, or remove this section")
	}
	if !c.HasSessions() && !c.HasTokens() && d.hasKeys("store") {
		d.faultAtKey("store", "is not used, because carriers names neither session nor bearer, and there are no clients; add one of them, or remove this section")
	}
	if d.wrote("sessions.idle") && c.Sessions.Idle > c.Sessions.Absolute && c.Sessions.Absolute > 0 {
		d.faultAt("sessions.idle", "is longer than absolute, so that it never ends a session; make it shorter, or remove it")
	}
	if !c.Store.Redis.IsZero() && d.wrote("store.url") && !c.HasTokens() {
		d.warnAt(c, "store.url", "is not used in this version, because the sessions are in Redis")
	}
	if c.Sessions.MaxPerUser > 0 {
		d.warnAt(c, "sessions.max_per_user", "counts where sessions begin, and this version of Gatehouse begins none; set MaxPerSubject in the Go program, too")
	}
	d.checkCookieDomain(c)
}

// checkCookieDomain refuses a domain under which browsers would not take the cookie from the public URL.
func (d *decoder) checkCookieDomain(c *Config) {
	u, err := url.Parse(c.Server.PublicURL)
	domain := strings.ToLower(c.Sessions.Cookie.Domain)
	if err != nil || u.Host == "" || domain == "" {
		return
	}
	if host := strings.ToLower(u.Hostname()); host != domain && !strings.HasSuffix(host, "."+domain) {
		d.faultAt("sessions.cookie.domain", "the host of server.public_url is not below it, so that browsers would not take the cookie")
	}
}

// wrote reports whether the value at path was written.
func (d *decoder) wrote(path string) bool {
	_, ok := d.index.places[path]
	return ok
}

// hasKeys reports whether something below path was written.
func (d *decoder) hasKeys(path string) bool {
	for at := range d.index.places {
		if strings.HasPrefix(at, path+".") {
			return true
		}
	}
	return false
}
