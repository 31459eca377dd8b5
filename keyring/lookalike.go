package keyring

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// lookalike names the kind of key that a would-be secret is, or returns "": PEM, JSON, DER or SSH, as it is or within base64 or hexadecimal digits. What stands in front of such a
// key does not hide it: libraries that looked at the first byte alone were passed by (CVE-2023-48223, CVE-2026-34950).
func lookalike(text []byte) string {
	if what := plainLookalike(text); what != "" || len(text) > maxText {
		return what
	}
	packed := strings.Join(strings.FieldsFunc(string(text), blank), "")
	packed = strings.TrimPrefix(strings.TrimPrefix(packed, "base64:"), "hex:")
	if raw, err := hex.DecodeString(packed); err == nil {
		if what := plainLookalike(raw); what != "" {
			return what
		}
	}
	return plainLookalike(base64Bytes(packed))
}

// plainLookalike is lookalike for what is not encoded.
func plainLookalike(raw []byte) string {
	text := bytes.ReplaceAll(raw, []byte{0}, nil) // as in UTF-16
	switch {
	case pemLine.Match(text):
		return "PEM"
	case isJSON(bytes.TrimFunc(text, blank)):
		return "JSON, such as a JWK"
	case sshKey.Match(text):
		return "an SSH key"
	case isDER(bytes.TrimLeftFunc(raw, blank)):
		return "a key or certificate in DER"
	}
	return ""
}

// blank reports whether r shows nothing where a text begins or ends: spaces, byte order marks, what is left of one that was misread, control characters.
func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
}

var (
	// pemLine is how PEM (RFC 7468) and SSH's own files (RFC 4716) begin a key, whatever the case and the spaces.
	pemLine = regexp.MustCompile(`(?i)--\s*BEGIN\b|-{4}\s*BEGIN|PuTTY-User-Key-File`)
	// sshKey is a public key of OpenSSH: by its name, by how its base64 begins, or decoded.
	sshKey = regexp.MustCompile(`(?i)\b(ssh-(rsa|dss|ed25519|ed448)|ecdsa-sha2-\w+|sk-(ssh|ecdsa)-[\w-]+)(@[\w.]+)?\s|AAAAB3NzaC1|AAAAC3NzaC1|AAAAE2VjZHNh|AAAAGnNr|^\W{0,2}(ssh-(rsa|dss|ed25519|ed448)|ecdsa-sha2-)`)
)

// isJSON reports whether text is, or begins as, a JSON object, or is an array.
func isJSON(text []byte) bool {
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return false
	}
	return json.Valid(text) || jsonObject.Match(text)
}

var jsonObject = regexp.MustCompile(`^[\[{\s]*\{\s*["'](kty|keys|k|n|e|x|y|d|crv|kid|alg|use|key_ops|x5\w*)["']\s*:`)

// isDER reports whether raw is one ASN.1 SEQUENCE, as keys and certificates are, with nothing that shows behind it. What it ends in may look blank and be part of it.
func isDER(raw []byte) bool {
	var outer asn1.RawValue
	rest, err := asn1.Unmarshal(raw, &outer)
	return err == nil && len(bytes.TrimLeftFunc(rest, blank)) == 0 && outer.Class == asn1.ClassUniversal && outer.Tag == asn1.TagSequence && outer.IsCompound &&
		len(outer.Bytes) > 0 && elements(outer.Bytes, 16)
}

// elements reports whether content is a row of ASN.1 elements, of which there is nothing left over, to this depth.
func elements(content []byte, depth int) bool {
	for len(content) > 0 {
		var one asn1.RawValue
		rest, err := asn1.Unmarshal(content, &one)
		if err != nil || one.IsCompound && depth > 0 && !elements(one.Bytes, depth-1) {
			return false
		}
		content = rest
	}
	return true
}
