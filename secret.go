package gatehouse

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[secret]"

// A Secret is a string that cannot be printed, logged or marshalled by accident: every way out but [Secret.Reveal] gives
// "[secret]". The zero Secret is empty. Secrets are not comparable with ==; use [Secret.Equal].
type Secret struct {
	_    [0]func() // not comparable: == on secrets would leak their length and prefix by its timing
	text *string   // a pointer, because fmt reads unexported fields without asking their methods
}

// NewSecret returns a secret that holds text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the text. Call it at the last moment, where the secret is used.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether s holds no text.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal reports whether s and t hold the same text, in a time that depends on neither.
func (s Secret) Equal(t Secret) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(t.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Format implements [fmt.Formatter] for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON, XML and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
