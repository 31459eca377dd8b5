package passwd

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// A stored hash has been read, and what it costs is within the bounds.
type stored struct {
	format  string // for people
	cost    string // for people
	memory  uint32 // KiB
	threads uint8
	match   matcher
	own     *own // nil: made by another system
}

// A matcher does the work: it says whether the password is the hash's. An error means that it could not be found out.
type matcher func(password string) (bool, error)

// own is what there is to know of a hash of our format.
type own struct {
	params    Params
	id        bool // argon2id, not argon2i
	salt, tag int  // bytes
	pepper    string
}

// formats are tried in this order: by how a hash begins.
var formats = []struct {
	prefix string
	parse  func(hash string, peppers []Pepper) (stored, error)
}{
	{"$argon2id$", parseArgon},
	{"$argon2i$", parseArgon},
	{"$2a$", parseBcrypt}, {"$2b$", parseBcrypt}, {"$2y$", parseBcrypt},
	{"$scrypt$", parseScrypt},
	{"$pbkdf2-sha256$", parsePBKDF2}, {"$pbkdf2-sha512$", parsePBKDF2},
	{"pbkdf2_sha256$", parseDjango}, {"pbkdf2_sha512$", parseDjango},
	{"$5$", parseSHACrypt}, {"$6$", parseSHACrypt},
}

// parse reads a hash of any known format and judges its costs. It does no work that depends on them.
func parse(hash string, peppers []Pepper) (stored, error) {
	if len(hash) > maxHash {
		return stored{}, malformed(fmt.Sprintf("it is longer than %d bytes", maxHash))
	}
	if strings.ContainsFunc(hash, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return stored{}, malformed("it has characters that are not visible ASCII") // base64 of the library skips line ends
	}
	for _, f := range formats {
		if strings.HasPrefix(hash, f.prefix) {
			return f.parse(hash, peppers)
		}
	}
	return stored{}, malformed("it is of no known format")
}

// unset reports whether a hash stands for an account that has no password: it is empty, or begins as crypt(5) and Django write "cannot log in".
func unset(hash string) bool { return hash == "" || hash[0] == '!' || hash[0] == '*' }

// encodeArgon writes the hash of argon2id.
func encodeArgon(p Params, pepper string, salt, tag []byte) string {
	if pepper != "" {
		pepper = ",keyid=" + b64.EncodeToString([]byte(pepper))
	}
	return fmt.Sprintf("$argon2id$v=%d$%s%s$%s$%s", argon2.Version, p, pepper, b64.EncodeToString(salt), b64.EncodeToString(tag))
}

// parseArgon reads a hash of argon2id or argon2i, version 19.
func parseArgon(hash string, peppers []Pepper) (stored, error) {
	h, err := parsePHC(hash)
	if err != nil {
		return stored{}, err
	}
	p, err := h.argonParams()
	if err != nil {
		return stored{}, err
	}
	pepper, err := h.pepper(peppers)
	if err != nil {
		return stored{}, err
	}
	if err := h.end(); err != nil {
		return stored{}, err
	}
	derive := argon2.IDKey
	if h.id == "argon2i" {
		derive = argon2.Key
	}
	match := func(password string) (bool, error) {
		got := derive(pepper.season(password), h.salt, p.Time, p.Memory, p.Threads, uint32(len(h.tag)))
		return subtle.ConstantTimeCompare(got, h.tag) == 1, nil
	}
	made := &own{params: p, id: h.id == "argon2id", salt: len(h.salt), tag: len(h.tag), pepper: pepper.ID}
	return stored{h.id, p.String(), p.Memory, p.Threads, match, made}, nil
}

// argonParams takes the version and the costs.
func (h *phc) argonParams() (Params, error) {
	if h.version != argon2.Version {
		return Params{}, malformed(fmt.Sprintf("%s of another version than %d", h.id, argon2.Version))
	}
	n, err := h.take("m", "t", "p")
	if err != nil {
		return Params{}, err
	}
	if n[2] > maxThreads {
		return Params{}, tooCostly(h.id, fmt.Errorf("%d threads, and not 1 to %d", n[2], maxThreads))
	}
	p := Params{Memory: n[0], Time: n[1], Threads: uint8(n[2])}
	if err := p.check(); err != nil {
		return Params{}, tooCostly(h.id, err)
	}
	return p, nil
}

// pepper takes the key id, if there is one, and finds the pepper.
func (h *phc) pepper(peppers []Pepper) (Pepper, error) {
	id, ok := h.option("keyid")
	if !ok {
		return Pepper{}, nil
	}
	raw, err := decode(b64, "key id", id, 1, maxPepperID)
	if err != nil {
		return Pepper{}, err
	}
	for _, p := range peppers {
		if p.ID == string(raw) {
			return p, nil
		}
	}
	return Pepper{}, malformed("it was made with a pepper that is not among those of the configuration")
}

// season returns what is hashed instead of the password.
func (p Pepper) season(password string) []byte {
	if p.ID == "" {
		return []byte(password)
	}
	mac := hmac.New(sha256.New, []byte(p.Secret.Reveal()))
	mac.Write([]byte(password))
	return mac.Sum(nil)
}

// outdated says why a hash should be made anew, or "".
func (s stored) outdated(p Params, pepper string) string {
	o := s.own
	switch {
	case o == nil:
		return "its format is " + s.format + ", new hashes are argon2id"
	case !o.id:
		return "it is argon2i, new hashes are argon2id"
	case o.params.Memory < p.Memory || o.params.Time < p.Time:
		return "it cost " + s.cost + ", new hashes cost " + p.String()
	case o.salt < saltLength || o.tag < tagLength:
		return "its salt or its hash is shorter than that of new hashes"
	case o.pepper != pepper:
		return "new hashes are made with another pepper"
	}
	return ""
}
