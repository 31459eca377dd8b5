package logs

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"strings"
)

// hiddenText is printed in place of a secret, as gatehouse.Secret does.
const hiddenText = "[secret]"

// secretKeys are the names under which nothing is ever printed; compared without case, "_" as "-".
var secretKeys = []string{
	"authorization", "cookie", "set-cookie", "token", "password", "secret", "x-api-key", "proxy-authorization",
}

func secretKey(key string) bool {
	for _, s := range secretKeys {
		if len(s) == len(key) && foldEqual(key, s) {
			return true
		}
	}
	return false
}

// foldEqual compares key with a lower-case name of the same length.
func foldEqual(key, name string) bool {
	for i := range len(key) {
		c := key[i]
		if c == '_' {
			c = '-'
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// render returns v as text, or as JSON (raw), in which everything under a secret key is hidden. A value whose methods
// panic, or that JSON cannot express, is printed as its type alone.
func render(v any) (text string, raw bool) {
	defer func() {
		if recover() != nil {
			text, raw = fmt.Sprintf("!PANIC(%T)", v), false
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error(), false
	case encoding.TextMarshaler:
		b, err := v.MarshalText()
		return orType(string(b), err, v), false
	case json.Marshaler:
	case interface{ Redacted() string }: // *url.URL, whose String shows the password
		return v.Redacted(), false
	case fmt.Stringer:
		return v.String(), false
	}
	b, err := hide(v)
	return orType(b, err, v), err == nil
}

func orType(text string, err error, v any) string {
	if err != nil {
		return fmt.Sprintf("!UNPRINTABLE(%T)", v)
	}
	return text
}

// hide returns v as JSON without what stands under a secret key. Values are walked after encoding, so that a header
// map, a struct and a marshaler of somebody else are all covered.
func hide(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return "", err
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err = e.Encode(hideIn(tree))
	text := strings.TrimSuffix(out.String(), "\n")
	if err == nil && len(text) > maxValue {
		err = fmt.Errorf("%d bytes are too many for a log line", len(text))
	}
	return text, err
}

func hideIn(tree any) any {
	switch t := tree.(type) {
	case map[string]any:
		for k := range t {
			if secretKey(k) {
				t[k] = hiddenText
			} else {
				t[k] = hideIn(t[k])
			}
		}
	case []any:
		for i := range t {
			t[i] = hideIn(t[i])
		}
	}
	return tree
}
