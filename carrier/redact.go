package carrier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

const (
	redacted = "[secret]"
	// withheld replaces a text in which a short credential stands: cutting out every "e" would only show that it was "e".
	withheld = "(not shown: the text contains the credential)"
	// minCut is the length from which cutting a credential out tells nothing about it.
	minCut = 8
)

// A redactedError keeps a credential that a hook put into its error out of logs and explanations. It answers [errors.Is], which shows
// nothing, but neither Unwrap nor errors.As: both would hand out the error whose text or fields show the credential.
type redactedError struct {
	err     error
	secrets []string
}

// redact returns err without the secrets that its text may contain. Empty secrets are ignored.
func redact(err error, secrets ...string) error { return &redactedError{err, secrets} }

// Error implements error.
func (e *redactedError) Error() string {
	text := e.err.Error()
	for _, secret := range e.secrets {
		for _, form := range spellings(secret) {
			switch {
			case form == "" || !strings.Contains(text, form):
			case len(form) < minCut:
				return withheld
			default:
				text = strings.ReplaceAll(text, form, redacted)
			}
		}
	}
	return text
}

// Format implements [fmt.Formatter]: %#v would print the fields.
func (e *redactedError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

// Is serves [errors.Is].
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }

// spellings returns the forms in which errors show a string: as it is, quoted by %q and JSON, and in the URL of a request that failed.
func spellings(s string) []string {
	quoted, ascii := strconv.Quote(s), strconv.QuoteToASCII(s)
	asJSON, _ := json.Marshal(s) // a string: cannot fail
	return []string{
		s, url.QueryEscape(s), url.PathEscape(s),
		quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1], string(asJSON[1 : len(asJSON)-1]),
	}
}
