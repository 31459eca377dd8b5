package passwd

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// foreign returns a hash of another system. These formats cannot tell some passwords apart: bcrypt repeats its key with a NUL between, so that "a" is
// "a\x00a", and the HMAC in PBKDF2 and scrypt fills its key up with NULs, so that "a" is "a\x00". No system lets a person type a NUL: a password
// with one does the work and is wrong.
func foreign(format, cost string, memory uint32, threads uint8, match matcher) stored {
	return stored{format: format, cost: cost, memory: memory, threads: threads, match: func(password string) (bool, error) {
		ok, err := match(password)
		return ok && strings.IndexByte(password, 0) < 0, err
	}}
}

const (
	bcryptLength   = 60
	bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	bcryptMost     = 72 // bytes of a password that bcrypt looks at
)

// parseBcrypt reads $2a$, $2b$ and $2y$, which differ by bugs of their old authors that this implementation has not.
func parseBcrypt(hash string, _ []Pepper) (stored, error) {
	if len(hash) != bcryptLength || hash[6] != '$' || strings.Trim(hash[7:], bcryptAlphabet) != "" {
		return stored{}, malformed("it begins like bcrypt and is cut off or damaged")
	}
	cost, err := number(strings.TrimPrefix(hash[4:6], "0"))
	if err != nil {
		return stored{}, err
	}
	if cost < uint32(bcrypt.MinCost) || cost > maxBcrypt {
		return stored{}, tooCostly("bcrypt", fmt.Errorf("a cost of %d, and not %d to %d", cost, bcrypt.MinCost, maxBcrypt))
	}
	match := func(password string) (bool, error) {
		whole := len(password) <= bcryptMost // what is longer has never been compared to its end: it is wrong, at the same cost
		err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password[:min(len(password), bcryptMost)]))
		if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return false, fmt.Errorf("passwd: bcrypt: %w", err)
		}
		return err == nil && whole, nil
	}
	return foreign("bcrypt", fmt.Sprintf("cost=%d", cost), 4, 1, match), nil
}

// parseScrypt reads $scrypt$ln=16,r=8,p=1$salt$hash, of the PHC format and of passlib.
func parseScrypt(hash string, _ []Pepper) (stored, error) {
	h, err := parsePHC(hash)
	if err != nil {
		return stored{}, err
	}
	n, err := h.take("ln", "r", "p")
	if err != nil {
		return stored{}, err
	}
	if err := h.end(); err != nil {
		return stored{}, err
	}
	if h.version != 0 {
		return stored{}, malformed("scrypt has no version")
	}
	ln, r, p := n[0], n[1], n[2]
	if err := checkScrypt(ln, r, p); err != nil {
		return stored{}, tooCostly("scrypt", err)
	}
	match := func(password string) (bool, error) {
		got, err := scrypt.Key([]byte(password), h.salt, 1<<ln, int(r), int(p), len(h.tag))
		if err != nil {
			return false, fmt.Errorf("passwd: %w", err)
		}
		return subtle.ConstantTimeCompare(got, h.tag) == 1, nil
	}
	return foreign("scrypt", fmt.Sprintf("ln=%d,r=%d,p=%d", ln, r, p), r<<ln/8, 1, match), nil
}

func checkScrypt(ln, r, p uint32) error {
	switch {
	case ln < 1 || ln > 20 || r < 1 || r > maxBlock || p < 1 || p > maxThreads:
		return fmt.Errorf("ln=%d,r=%d,p=%d, and not at most ln=20,r=%d,p=%d", ln, r, p, maxBlock, maxThreads)
	case r<<ln/8 > maxMemory: // 128 × N × r bytes
		return fmt.Errorf("%d KiB of memory, and not at most %d", r<<ln/8, maxMemory)
	case uint64(r)<<ln*uint64(p) > maxScrypt:
		return fmt.Errorf("an N × r × p of %d, and not at most %d", uint64(r)<<ln*uint64(p), maxScrypt)
	}
	return nil
}

// parsePBKDF2 reads $pbkdf2-sha256$i=600000,l=32$salt$hash of the PHC format, and $pbkdf2-sha256$29000$salt$hash of passlib, whose base64 has
// a point for the plus. The same with sha512.
func parsePBKDF2(hash string, _ []Pepper) (stored, error) {
	fields := strings.Split(hash, "$")
	if len(fields) == 5 && !strings.Contains(fields[2], "=") {
		if strings.Contains(hash, "+") {
			return stored{}, malformed("it is not the base64 of passlib")
		}
		fields[2] = "i=" + fields[2]
		hash = strings.ReplaceAll(strings.Join(fields, "$"), ".", "+")
	}
	h, err := parsePHC(hash)
	if err != nil {
		return stored{}, err
	}
	n, err := h.take("i")
	if err != nil {
		return stored{}, err
	}
	if text, ok := h.option("l"); ok && text != fmt.Sprint(len(h.tag)) {
		return stored{}, malformed("its hash is cut off: it is not as long as it says")
	}
	if err := h.end(); err != nil {
		return stored{}, err
	}
	if h.version != 0 {
		return stored{}, malformed("PBKDF2 has no version")
	}
	return storedPBKDF2(h.id, n[0], h.salt, h.tag)
}

// padded is the base64 of Django.
var padded = base64.StdEncoding.Strict()

// parseDjango reads pbkdf2_sha256$600000$salt$hash, where the salt is text and the base64 padded. The same with sha512.
func parseDjango(hash string, _ []Pepper) (stored, error) {
	fields := strings.Split(hash, "$")
	if len(fields) != 4 || len(fields[2]) < minSalt || len(fields[2]) > maxSalt {
		return stored{}, malformed("it is not Django's name$iterations$salt$hash")
	}
	iterations, err := number(fields[1])
	if err != nil {
		return stored{}, err
	}
	tag, err := decode(padded, "hash", fields[3], minTag, maxTag)
	if err != nil {
		return stored{}, err
	}
	return storedPBKDF2(strings.ReplaceAll(fields[0], "_", "-"), iterations, []byte(fields[2]), tag)
}

// storedPBKDF2 judges the costs. format is "pbkdf2-sha256" or "pbkdf2-sha512".
func storedPBKDF2(format string, iterations uint32, salt, tag []byte) (stored, error) {
	var sum func() hash.Hash = sha256.New
	if strings.HasSuffix(format, "512") {
		sum = sha512.New
	}
	blocks := uint64((len(tag) + sum().Size() - 1) / sum().Size())
	if iterations < 1 || uint64(iterations)*blocks > maxPBKDF2 {
		return stored{}, tooCostly(format, fmt.Errorf("%d iterations of %d blocks, and not 1 to %d in all", iterations, blocks, maxPBKDF2))
	}
	match := func(password string) (bool, error) {
		got, err := pbkdf2.Key(sum, password, salt, int(iterations), len(tag))
		if err != nil {
			return false, fmt.Errorf("passwd: %w", err)
		}
		return subtle.ConstantTimeCompare(got, tag) == 1, nil
	}
	return foreign(format, fmt.Sprintf("i=%d", iterations), 1, 1, match), nil
}

// parseSHACrypt reads $5$rounds=535000$salt$hash (sha256_crypt) and $6$ (sha512_crypt). Without rounds they are 5000.
func parseSHACrypt(hash string, _ []Pepper) (stored, error) {
	format, length := "sha256_crypt", 43
	if hash[1] == '6' {
		format, length = "sha512_crypt", 86
	}
	fields, rounds := strings.Split(hash, "$")[2:], uint32(shacrypt.IterationsDefaultOmitted)
	if text, ok := strings.CutPrefix(fields[0], "rounds="); ok {
		var err error
		if rounds, err = number(text); err != nil {
			return stored{}, err
		}
		fields = fields[1:]
	}
	if rounds < minRounds || rounds > maxRounds { // the decoder below takes any number
		return stored{}, tooCostly(format, fmt.Errorf("%d rounds, and not %d to %d", rounds, minRounds, maxRounds))
	}
	if len(fields) != 2 || len(fields[0]) < 1 || len(fields[0]) > shacrypt.SaltLengthMax || len(fields[1]) != length ||
		strings.Trim(fields[0]+fields[1], shacrypt.SaltCharSet) != "" {
		return stored{}, malformed("it begins like " + format + " and is cut off or damaged")
	}
	digest, err := shacrypt.Decode(hash)
	if err != nil {
		return stored{}, malformed("it begins like " + format + " and is damaged")
	}
	match := func(password string) (bool, error) {
		ok, err := digest.MatchAdvanced(password[:min(len(password), shaCryptMost)])
		return ok && len(password) <= shaCryptMost, err
	}
	return foreign(format, fmt.Sprintf("rounds=%d", rounds), 1, 1, match), nil
}

// shaCryptMost is the length in bytes over which a password is wrong for SHA-crypt, at the cost of one of this length. SHA-crypt hashes the password in each
// round, so that the work grows with what a stranger sends (CVE-2016-20013): twelve times, from 8 bytes to MaxBytes.
const shaCryptMost = 256
