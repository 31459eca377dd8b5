package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// MaxSize is the size of the longest token in bytes. What is longer is refused before anything else is done with it.
const MaxSize = 8 << 10

// base64url is the alphabet of RFC 7515 without padding. Each sequence of bytes has one form only: bits that mean nothing must be zero.
var base64url = base64.RawURLEncoding.Strict()

// A header is the protected header of a compact JWS (RFC 7515, section 4), as far as it counts.
type header struct {
	Algorithm keyring.Algorithm
	Type      string // without "application/" in front, in lower case
	Key       string // kid, empty if there is none
	Brings    bool   // a key, or where to fetch one
}

// A jws is a compact JWS that was taken apart. Nothing in it has been verified.
type jws struct {
	header
	signed    []byte // what the signature is about
	payload   string
	signature []byte
}

// errBrings: no token of ours, and no assertion, says which key is its own.
var errBrings = errForm("the header brings a key along")

// errForm says what is wrong with the form of a token. It never repeats the token.
func errForm(why string) error { return fmt.Errorf("%w: %s", ErrInvalid, why) }

// errUnsigned: the token has the form of one, but for the signature, as with the algorithm "none" (RFC 7519, section 6).
var errUnsigned = errForm("it is not signed")

// parse takes a compact JWS apart (RFC 7515, section 7.1). The JSON serialisations are refused, as are JWEs, which have five parts.
func parse(text string) (jws, error) {
	head, payload, signature, err := split(text)
	if err != nil {
		return jws{}, err
	}
	var t jws
	if t.header, err = parseHeader(head); err != nil {
		return jws{}, err
	}
	if t.payload, err = decode(payload); err != nil {
		return jws{}, err
	}
	if signature == "" {
		return jws{}, errUnsigned
	}
	size := len(head) + 1 + len(payload)
	both := append(make([]byte, 0, len(text)), text[:size]...) // and the signature behind
	if both, err = appendDecoded(both, signature); err != nil {
		return jws{}, err
	}
	t.signed, t.signature = both[:size:size], both[size:]
	return t, nil
}

// split returns the three parts of a token. The last one may be empty.
func split(text string) (head, payload, signature string, err error) {
	if len(text) > MaxSize {
		return "", "", "", errForm("longer than 8 KiB")
	}
	first := strings.IndexByte(text, '.')
	last := strings.LastIndexByte(text, '.')
	if first <= 0 || last <= first+1 || strings.IndexByte(text[first+1:last], '.') >= 0 {
		return "", "", "", errForm("not three parts")
	}
	return text[:first], text[first+1 : last], text[last+1:], nil
}

// decode returns what a part of a token says.
func decode(part string) (string, error) {
	var buffer [1 << 10]byte // so that usual ones are copied once only
	data, err := appendDecoded(buffer[:0], part)
	return string(data), err
}

func appendDecoded(dst []byte, part string) ([]byte, error) {
	if strings.IndexByte(part, '\n') >= 0 || strings.IndexByte(part, '\r') >= 0 { // which encoding/base64 skips
		return nil, errForm("a part is not base64url")
	}
	data, err := base64url.AppendDecode(dst, []byte(part))
	if err != nil {
		return nil, errForm("a part is not base64url")
	}
	return data, nil
}

// parseHeader reads the first part. It says which key and what type; nobody looks at a key that it brings along ("jwk"), or at where to fetch one ("jku", "x5u"): our
// own tokens and assertions never have those, and are refused with them; issuers elsewhere write them into good ones. "crit" is refused, since no extension is known here (section 4.1.11), and so is "b64", which belongs to one.
func parseHeader(part string) (h header, err error) {
	data, err := decode(part)
	if err != nil {
		return header{}, err
	}
	err = members(data, func(name, value string) error {
		ok := true
		var text string
		switch name {
		case "alg":
			text, ok = textOf(value)
			h.Algorithm = keyring.Algorithm(text)
		case "typ":
			text, ok = textOf(value)
			h.Type = typeName(text)
		case "kid":
			h.Key, ok = textOf(value)
		case "crit", "b64", "zip":
			return errForm("the header asks for an extension")
		case "jwk", "jku", "x5u":
			h.Brings = true
		}
		if !ok {
			return errForm("a member of the header is not a text")
		}
		return nil
	})
	switch {
	case errors.Is(err, errJSON):
		return header{}, errForm("the header is not strict JSON")
	case err != nil:
		return header{}, err
	case h.Algorithm == "":
		return header{}, errForm("the header names no algorithm")
	}
	return h, nil
}

// typeName returns a media type in the short form that RFC 7515, section 4.1.9, recommends. Types are the same in any case; what is not ASCII is no type, and stays as it is, since letters
// from elsewhere may become ASCII in lower case.
func typeName(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) >= 0 {
		return text
	}
	name := strings.ToLower(text)
	if short, ok := strings.CutPrefix(name, "application/"); ok && !strings.Contains(short, "/") {
		return short
	}
	return name
}

// verify checks the signature with key, whose algorithm the header must name: the key says how it is used, never the token.
func (t *jws) verify(key *keyring.Key) error {
	if t.Algorithm != key.Algorithm() {
		return fmt.Errorf("%w: the algorithm is not the key's", ErrInvalid)
	}
	if err := key.Verify(t.signed, t.signature); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// sign returns the compact JWS of payload.
func sign(key *keyring.Key, typ string, payload []byte) (string, error) {
	head := `{"alg":"` + string(key.Algorithm()) + `","kid":` + quote(key.ID()) + `,"typ":` + quote(typ) + `}`
	text := make([]byte, 0, 256+2*len(payload))
	text = base64url.AppendEncode(text, []byte(head))
	text = append(text, '.')
	text = base64url.AppendEncode(text, payload)
	signature, err := key.Sign(nil, text)
	if err != nil {
		return "", err
	}
	text = append(text, '.')
	text = base64url.AppendEncode(text, signature)
	if len(text) > MaxSize {
		return "", fmt.Errorf("token: the token would be %d bytes long: nobody takes more than %d; put less into its claims", len(text), MaxSize)
	}
	return string(text), nil
}
