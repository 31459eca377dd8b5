package gatehousetest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What browsers keep of a cookie (RFC 6265 bis, sections 5.5 and 5.7).
const (
	maxCookie    = 4096 // bytes of name and value together
	maxAttribute = 1024 // bytes of one attribute's value
	maxLife      = 400 * 24 * time.Hour
)

// A setCookie is what one Set-Cookie line says.
type setCookie struct {
	name, value string
	attributes  map[string]string // by name in lower case
}

// A judge is what a cookie is judged by, beside itself.
type judge struct {
	url      *url.URL
	readable []string
	now      time.Time
}

// cookieRules are asked one by one. Each returns what is wrong, or nil.
var cookieRules = []func(setCookie, judge) error{
	checkSize, checkValue, checkSecure, checkHTTPOnly, checkSameSite, checkPrefix, checkDomain, checkPath, checkMaxAge, checkExpires,
}

func (s setCookie) faults(j judge) []error {
	var faults []error
	for _, rule := range cookieRules {
		if err := rule(s, j); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

func (s setCookie) has(attribute string) bool {
	_, ok := s.attributes[attribute]
	return ok
}

// place returns where a browser keeps the cookie.
func (s setCookie) place() place {
	return place{strings.ToLower(strings.TrimPrefix(s.attributes["domain"], ".")), s.attributes["path"]}
}

// deletes reports whether the line takes the cookie away.
func (s setCookie) deletes(now time.Time) bool {
	if age, err := strconv.Atoi(s.attributes["max-age"]); err == nil {
		return age <= 0
	}
	expires, err := http.ParseTime(s.attributes["expires"])
	return err == nil && !expires.After(now)
}

func checkSize(s setCookie, _ judge) error {
	if n := len(s.name) + len(s.value); n > maxCookie {
		return fmt.Errorf("name and value have %d bytes, and browsers drop cookies of more than %d", n, maxCookie)
	}
	for key, value := range s.attributes {
		if len(value) > maxAttribute {
			return fmt.Errorf("the attribute %s has %d bytes, and browsers drop those of more than %d", key, len(value), maxAttribute)
		}
	}
	return nil
}

func checkValue(s setCookie, _ judge) error {
	value := s.value
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	if strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`",;\`, c) }) {
		return errors.New(`the value has a character that no cookie may have: a space, a quote, a comma, a backslash, or none of ASCII`)
	}
	return nil
}

func checkSecure(s setCookie, j judge) error {
	switch secure := s.has("secure"); {
	case j.url.Scheme == "https" && !secure:
		return errors.New("it lacks Secure, and would travel over plain http as well")
	case j.url.Scheme == "http" && secure:
		return errors.New("it has Secure and is set over plain http: most clients drop it, on a loopback address too")
	case j.url.Scheme == "http" && !isLoopback(j.url.Hostname()):
		return errors.New("it is set over plain http, on an address that others can listen to")
	}
	return nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

func checkHTTPOnly(s setCookie, j judge) error {
	if !s.has("httponly") && !slices.Contains(j.readable, s.name) {
		return errors.New("it lacks HttpOnly, so that every script on the page can read it")
	}
	return nil
}

func checkSameSite(s setCookie, _ judge) error {
	switch strings.ToLower(s.attributes["samesite"]) {
	case "lax", "strict":
		return nil
	case "none":
		if !s.has("secure") {
			return errors.New("it has SameSite=None without Secure: it would be dropped")
		}
		return nil
	}
	return errors.New("it lacks SameSite: browsers differ in what they make of that")
}

// checkPrefix knows that browsers compare prefixes without regard to case, and that some servers do not.
func checkPrefix(s setCookie, _ judge) error {
	lower := strings.ToLower(s.name)
	host, secure := strings.HasPrefix(lower, "__host-"), strings.HasPrefix(lower, "__secure-")
	switch {
	case host && (!s.has("secure") || s.attributes["path"] != "/" || s.has("domain")):
		return errors.New("the prefix __Host- needs Secure and Path=/ and no Domain: it would be dropped")
	case secure && !s.has("secure"):
		return errors.New("the prefix __Secure- needs Secure: it would be dropped")
	case host && !strings.HasPrefix(s.name, "__Host-"), secure && !strings.HasPrefix(s.name, "__Secure-"):
		return errors.New("its prefix is written in another way than __Host- or __Secure-, which some servers take for no prefix")
	}
	return nil
}

func checkDomain(s setCookie, j judge) error {
	if !s.has("domain") {
		return nil
	}
	host, domain := strings.ToLower(j.url.Hostname()), s.place().domain
	switch {
	case domain == "":
		return errors.New("its Domain is empty")
	case net.ParseIP(host) != nil:
		return errors.New("it has a Domain, and the host is an address: it would be dropped")
	case host != domain && !strings.HasSuffix(host, "."+domain):
		return fmt.Errorf("its Domain is %q, to which the host %q does not belong: it would be dropped", domain, host)
	}
	return nil
}

func checkPath(s setCookie, _ judge) error {
	if s.has("path") && !strings.HasPrefix(s.attributes["path"], "/") {
		return errors.New("its Path does not begin with /: browsers would take another one")
	}
	return nil
}

func checkMaxAge(s setCookie, _ judge) error {
	if !s.has("max-age") {
		return nil
	}
	text := s.attributes["max-age"]
	age, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || text[0] == '+':
		return errors.New("its Max-Age is not a number of seconds")
	case age > int64(maxLife/time.Second):
		return fmt.Errorf("its Max-Age is %d s, and browsers cut it to 400 days", age)
	}
	return nil
}

func checkExpires(s setCookie, j judge) error {
	if !s.has("expires") {
		return nil
	}
	expires, err := http.ParseTime(s.attributes["expires"])
	switch {
	case err != nil:
		return errors.New("its Expires is not a date like Thu, 01 Jan 1970 00:00:01 GMT")
	case expires.After(j.now.Add(maxLife)):
		return errors.New("its Expires is more than 400 days away, and browsers cut it to that")
	}
	return nil
}
