package passwd

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// b64 is the base64 of PHC strings: without padding, and with one spelling only.
var b64 = base64.RawStdEncoding.Strict()

// A phc is a hash in the PHC string format: $id[$v=version][$name=value,…]$salt$tag.
type phc struct {
	id      string
	version uint32 // 0: there is none
	params  []param
	salt    []byte
	tag     []byte
}

type param struct{ name, value string }

// parsePHC reads a hash. What is long enough to cost something, and what has more than one spelling, is refused. It does not judge
// parameters: that is for who knows what they mean.
func parsePHC(hash string) (phc, error) {
	fields := strings.Split(hash, "$")
	if len(hash) > maxHash || len(fields) < 4 || fields[0] != "" {
		return phc{}, malformed("it is not $name$parameters$salt$hash")
	}
	h := phc{id: fields[1]}
	rest := fields[2:]
	if text, ok := strings.CutPrefix(rest[0], "v="); ok {
		version, err := number(text)
		if err != nil {
			return phc{}, err
		}
		h.version, rest = version, rest[1:]
	}
	if len(rest) == 3 {
		params, err := parseParams(rest[0])
		if err != nil {
			return phc{}, err
		}
		h.params, rest = params, rest[1:]
	}
	if len(rest) != 2 {
		return phc{}, malformed("it has too many or too few parts")
	}
	var err error
	if h.salt, err = decode(b64, "salt", rest[0], minSalt, maxSalt); err != nil {
		return phc{}, err
	}
	h.tag, err = decode(b64, "hash", rest[1], minTag, maxTag)
	return h, err
}

// parseParams reads "name=value,name=value".
func parseParams(text string) ([]param, error) {
	var all []param
	for _, part := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" || value == "" || len(all) == 8 {
			return nil, malformed("its parameters are not name=value")
		}
		all = append(all, param{name, value})
	}
	return all, nil
}

// take removes the parameters with these names from the front, and returns their values. Their order is fixed, so one that comes twice is in the place of
// another.
func (h *phc) take(names ...string) ([]uint32, error) {
	values := make([]uint32, len(names))
	for i, name := range names {
		if len(h.params) == 0 || h.params[0].name != name {
			return nil, malformed("its parameters are not " + strings.Join(names, ", "))
		}
		value, err := number(h.params[0].value)
		if err != nil {
			return nil, err
		}
		values[i], h.params = value, h.params[1:]
	}
	return values, nil
}

// option removes the parameter with this name from the front, if it is there.
func (h *phc) option(name string) (value string, ok bool) {
	if len(h.params) == 0 || h.params[0].name != name {
		return "", false
	}
	value, h.params = h.params[0].value, h.params[1:]
	return value, true
}

// end says whether everything has been taken.
func (h *phc) end() error {
	if len(h.params) > 0 {
		return malformed("it has a parameter that is not known")
	}
	return nil
}

// number reads a decimal number of at most nine digits, without sign and without leading zeros.
func number(text string) (uint32, error) {
	if text == "" || len(text) > 9 || len(text) > 1 && text[0] == '0' || strings.Trim(text, "0123456789") != "" {
		return 0, malformed("one of its numbers is none, or too large")
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, malformed("one of its numbers is none, or too large")
	}
	return uint32(n), nil
}

// decode reads base64 of at least least and at most most bytes.
func decode(enc *base64.Encoding, what, text string, least, most int) ([]byte, error) {
	raw, err := enc.DecodeString(text)
	if err != nil || len(raw) < least || len(raw) > most {
		return nil, malformed(fmt.Sprintf("its %s is not base64 of %d to %d bytes", what, least, most))
	}
	return raw, nil
}

// malformed makes an error that wraps ErrFormat. Nothing of the hash may stand in why: what is stored in the wrong column may be a password.
func malformed(why string) error { return fmt.Errorf("%w: %s", ErrFormat, why) }

// tooCostly is malformed for what would be too much work.
func tooCostly(format string, err error) error {
	return fmt.Errorf("%w: %s with %w", ErrFormat, format, err)
}
