package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-auth/gatehouse"
)

// A Digest is the SHA-256 of a token. It is not printed, because a token that people made up can be guessed from it. The zero Digest is of
// nothing.
type Digest struct {
	_   [0]func()
	sum *[sha256.Size]byte
}

func digestOf(token string) Digest {
	sum := sha256.Sum256([]byte(token))
	return Digest{sum: &sum}
}

// Sum returns the 32 bytes; those of the zero Digest are zero, which is the digest of no known text.
func (d Digest) Sum() [sha256.Size]byte {
	if d.sum == nil {
		return [sha256.Size]byte{}
	}
	return *d.sum
}

// Format implements [fmt.Formatter] for every verb.
func (Digest) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[digest]") }

// LogValue implements [slog.LogValuer].
func (Digest) LogValue() slog.Value { return slog.StringValue("[digest]") }

// MarshalText implements [encoding.TextMarshaler].
func (Digest) MarshalText() ([]byte, error) { return []byte("[digest]"), nil }

// A Level is a log level: one of slog's, or [LevelCritical].
type Level slog.Level

// LevelCritical is above slog.LevelError.
const LevelCritical = Level(slog.LevelError + 4)

var levels = map[string]Level{
	"DEBUG": Level(slog.LevelDebug), "INFO": Level(slog.LevelInfo), "WARNING": Level(slog.LevelWarn), "WARN": Level(slog.LevelWarn),
	"ERROR": Level(slog.LevelError), "CRITICAL": LevelCritical,
}

// Level implements [slog.Leveler].
func (l Level) Level() slog.Level { return slog.Level(l) }

// String returns the name of the level, such as WARNING.
func (l Level) String() string {
	for _, name := range []string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} {
		if levels[name] == l {
			return name
		}
	}
	return slog.Level(l).String()
}

// A Listen is an address to listen on, as [net.Listen] takes it.
type Listen struct {
	// Network is "unix" or "tcp".
	Network string
	// Address is a path, relative to the working folder, or host:port.
	Address string
}

// A scalar says how one Go type is read from one value of the file.
type scalar struct {
	expect  string // completes "expected …"
	example string
	takes   []scalarType
	// parse returns the value, or what is wrong: a predicate such as "is not a date", to which the caller adds the subject.
	parse  func(text string, s *shape) (any, string)
	schema map[string]any
}

var scalars = map[reflect.Type]*scalar{
	reflect.TypeFor[string]():           {"a string", "", onlyStrings, parseString, object{"type": "string"}},
	reflect.TypeFor[gatehouse.Secret](): {"a string", "", onlyStrings, parseSecret, object{"type": "string"}},
	reflect.TypeFor[bool]():             {"true or false", "", []scalarType{boolType}, parseBool, object{"type": "boolean"}},
	reflect.TypeFor[int]():              {"an integer", "", []scalarType{intType}, parseInt, object{"type": "integer"}},
	reflect.TypeFor[int64]():            {"an integer", "", []scalarType{intType}, parseInt64, object{"type": "integer"}},
	reflect.TypeFor[Duration]():         {"a duration", "30s", []scalarType{stringType, intType}, parseSpan, durationSchema},
	reflect.TypeFor[Level]():            {"a level", "INFO", onlyStrings, parseLevel, levelSchema},
	reflect.TypeFor[Listen]():           {"an address", "", onlyStrings, parseListen, listenSchema},
	reflect.TypeFor[time.Time]():        {"a date", "2027-01-31", onlyStrings, parseTime, timeSchema},
	reflect.TypeFor[ClaimValue]():       {"a text, a number, true, false or any", "any", []scalarType{stringType, intType, boolType}, parseClaimValue, claimSchema},
	reflect.TypeFor[StoreLoss]():        {"deny or bounded(60s)", "bounded(60s)", onlyStrings, parseStoreLoss, storeLossSchema},
	reflect.TypeFor[netip.Prefix]():     {"an address or network", "10.0.0.0/8", onlyStrings, parsePrefix, prefixSchema},
}

var onlyStrings = []scalarType{stringType}

// The parts of the schema that belong to a type and not to a field.
var (
	durationSchema = object{"oneOf": []any{object{"type": "integer", "minimum": 0}, object{"type": "string", "pattern": durationPattern}}}
	levelSchema    = object{"type": "string", "pattern": "^([Dd][Ee][Bb][Uu][Gg]|[Ii][Nn][Ff][Oo]|[Ww][Aa][Rr][Nn]([Ii][Nn][Gg])?|" +
		"[Ee][Rr][Rr][Oo][Rr]|[Cc][Rr][Ii][Tt][Ii][Cc][Aa][Ll])$"}
	listenSchema    = object{"type": "string", "pattern": `^(unix:.+|.+:[0-9]+)$`}
	timeSchema      = object{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt][0-9:.]+([Zz]|[-+][0-9]{2}:[0-9]{2}))?$`}
	claimSchema     = object{"type": []any{"string", "integer", "boolean"}}
	storeLossSchema = object{"type": "string", "pattern": `^(deny|bounded[(]([0-9]+|[0-9]*[.]?[0-9]+[dhms])[)])$`}
	prefixSchema    = object{"type": "string", "pattern": `^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$`}
)

func parseString(text string, s *shape) (any, string) {
	if len(s.enum) > 0 {
		return text, s.checkWord(text)
	}
	if s.check == nil {
		return text, ""
	}
	return text, s.check.test(text)
}

func parseSecret(text string, s *shape) (any, string) {
	if problem := s.check.test(text); problem != "" {
		return nil, problem
	}
	return gatehouse.NewSecret(text), ""
}

func parseBool(text string, _ *shape) (any, string) {
	switch strings.ToLower(text) {
	case "true":
		return true, ""
	case "false":
		return false, ""
	}
	return nil, "is neither true nor false"
}

func parseInt(text string, s *shape) (any, string) {
	v, problem := parseInt64(text, s)
	if problem != "" {
		return nil, problem
	}
	return int(v.(int64)), ""
}

func parseInt64(text string, s *shape) (any, string) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" || len(digits) > 1 && digits[0] == '0' {
		return nil, "is not an integer in decimal digits without leading zeros" + s.suchAs()
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, "is too large a number"
	}
	switch {
	case s.min != nil && s.max != nil && (v < *s.min || v > *s.max):
		return nil, fmt.Sprintf("is not between %d and %d", *s.min, *s.max)
	case s.min != nil && v < *s.min:
		return nil, fmt.Sprintf("is less than %d", *s.min)
	}
	return v, ""
}

func parseSpan(text string, s *shape) (any, string) {
	d, problem := parseDuration(text)
	switch {
	case problem != "":
	case d == 0 && s.positive:
		problem = "is no time at all; " + durationHint
	case d < s.least:
		problem = fmt.Sprintf("is less than %v, and the times in tokens are whole seconds; make it longer", s.least)
	case d > s.most && s.most > 0:
		problem = fmt.Sprintf("is more than %v: what was revoked is forgotten after that, and would count again; make it shorter", s.most)
	}
	return d, problem
}

func parseLevel(text string, _ *shape) (any, string) {
	if level, ok := levels[strings.ToUpper(text)]; ok {
		return level, ""
	}
	return nil, "is not a level; write DEBUG, INFO, WARNING, ERROR or CRITICAL"
}

func parseListen(text string, _ *shape) (any, string) {
	const hint = "; write unix:PATH or HOST:PORT, such as 127.0.0.1:9901"
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" || strings.ContainsFunc(path, unicode.IsControl) {
			return nil, "names no socket" + hint
		}
		return Listen{"unix", path}, ""
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || testListenHost(host) != "" {
		return nil, "is not an address to listen on" + hint
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return nil, "has no port between 0 and 65535" + hint
	}
	return Listen{"tcp", text}, ""
}

func parseTime(text string, _ *shape) (any, string) {
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		t, err := time.Parse(layout, strings.ToUpper(text))
		if err == nil && !strings.Contains(text, ",") { // Go takes a comma before fractions, RFC 3339 does not
			return t.UTC(), ""
		}
	}
	return nil, "is not a date; write 2027-01-31 or 2027-01-31T12:00:00Z"
}

// parsePrefix reads an address or a network. A network of every address is refused: it would let anybody forge who they are.
func parsePrefix(text string, _ *shape) (any, string) {
	const hint = "; write 127.0.0.1 or 10.0.0.0/8"
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), ""
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return nil, "is not an address or network" + hint
	case prefix.Addr().Is4In6():
		return nil, "is an IPv4 network in IPv6 form; write it as IPv4, such as 10.0.0.0/8"
	case prefix.Bits() == 0:
		return nil, "is every address, so that every client could forge the X-Forwarded headers; name the proxies' own networks"
	case prefix != prefix.Masked():
		return nil, "has bits beyond its length; write the first address of the network, such as 10.0.0.0/8, or no length"
	}
	return prefix, ""
}

// sumOf returns the digest that a hash of the form sha256:… stands for.
func sumOf(hash string) Digest {
	var sum [sha256.Size]byte
	_, _ = hex.Decode(sum[:], []byte(strings.TrimPrefix(hash, hashPrefix))) // the text check has seen 64 digits
	return Digest{sum: &sum}
}
