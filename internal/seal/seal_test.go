package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/internal/seal"
)

func TestWhatIsSealedOpens(t *testing.T) {
	key := seal.New()
	for _, plain := range []string{"", "a", "some text", strings.Repeat("long", 1<<18)} {
		sealed := key.Seal("here", []byte(plain))
		if len(sealed) != len(plain)+37 {
			t.Errorf("Seal(%d bytes) has %d bytes, want %d", len(plain), len(sealed), len(plain)+37)
		}
		if len(plain) > 1 && bytes.Contains(sealed, []byte(plain)) {
			t.Errorf("Seal(%.20q) contains it", plain)
		}
		got, err := key.Open("here", sealed)
		if err != nil || string(got) != plain {
			t.Errorf("Open(Seal(%.20q)) = %.20q, %v, want the same", plain, got, err)
		}
	}
	if bytes.Equal(key.Seal("here", nil), key.Seal("here", nil)) {
		t.Error("Seal gave the same twice, want another nonce each time")
	}
}

func TestNothingElseOpens(t *testing.T) {
	key := seal.New()
	sealed := key.Seal("here", []byte("some text"))
	refuse := func(what string, key seal.Key, context string, sealed []byte, want error) {
		t.Helper()
		if got, err := key.Open(context, sealed); !errors.Is(err, want) || got != nil {
			t.Errorf("Open(%s) = %q, %v, want nil, %v", what, got, err, want)
		}
	}
	refuse("with another key", seal.New(), "here", sealed, seal.ErrOtherKey)
	for _, context := range []string{"", "there", "her", "here ", "Here", "here\x00"} {
		refuse("in "+context, key, context, sealed, seal.ErrDamaged)
	}
	for i := range sealed {
		refuse(fmt.Sprint("the first ", i), key, "here", sealed[:i], seal.ErrDamaged)
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			want := seal.ErrDamaged
			if 1 <= i && i <= 8 {
				want = seal.ErrOtherKey // the id of the key
			}
			refuse(fmt.Sprint("a bit of byte ", i), key, "here", changed, want)
		}
	}
	refuse("with a byte more", key, "here", append(bytes.Clone(sealed), 0), seal.ErrDamaged)
	refuse("nothing", key, "here", nil, seal.ErrDamaged)
	refuse("zeros", key, "here", make([]byte, 100), seal.ErrDamaged)
}

// TestProperty: any text opens in its context with its key, unchanged, and in no other way.
func TestProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, other := seal.New(), seal.New()
		here, there := rapid.String().Draw(t, "here"), rapid.String().Draw(t, "there")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed := key.Seal(here, plain)
		if got, err := key.Open(here, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open(%q, Seal(%x)) = %x, %v, want the same", here, plain, got, err)
		}
		if _, err := key.Open(there, sealed); here != there && !errors.Is(err, seal.ErrDamaged) {
			t.Fatalf("Open(%q) of what was sealed for %q = %v, want ErrDamaged", there, here, err)
		}
		if _, err := other.Open(here, sealed); !errors.Is(err, seal.ErrOtherKey) {
			t.Fatalf("Open with another key = %v, want ErrOtherKey", err)
		}
		changed := bytes.Clone(sealed)
		changed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "change")
		if got, err := key.Open(here, changed); err == nil || got != nil {
			t.Fatalf("Open(changed) = %x, %v, want an error", got, err)
		}
	})
}

func TestErrorsOfOtherKeysNameBoth(t *testing.T) {
	key, other := seal.New(), seal.New()
	_, err := other.Open("here", key.Seal("here", nil))
	if err == nil || !strings.Contains(err.Error(), key.ID()) || !strings.Contains(err.Error(), other.ID()) {
		t.Errorf("Open with another key = %v, want an error that names %s and %s", err, key.ID(), other.ID())
	}
}

func TestParseReadsWhatTextWrites(t *testing.T) {
	key := seal.New()
	raw, err := base64.StdEncoding.DecodeString(key.Text())
	if err != nil || len(raw) != seal.Size {
		t.Fatalf("Text() is base64 of %d bytes, %v, want %d", len(raw), err, seal.Size)
	}
	for _, text := range []string{
		key.Text(), key.Text() + "\n", " \t" + key.Text() + "\r\n", "base64:" + key.Text(), base64.RawStdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw), "base64:" + base64.RawURLEncoding.EncodeToString(raw), "hex:" + hex.EncodeToString(raw), "hex:" + strings.ToUpper(hex.EncodeToString(raw)),
	} {
		got, err := seal.Parse(text)
		if err != nil || got.ID() != key.ID() || got.Text() != key.Text() {
			t.Errorf("Parse of a form of the key = %v, want the key", err)
			continue
		}
		if plain, err := got.Open("here", key.Seal("here", []byte("x"))); err != nil || string(plain) != "x" {
			t.Errorf("Open with the parsed key = %q, %v, want x", plain, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	hexText := strings.Repeat("0123456789abcdef", 4)
	for name, text := range map[string]string{
		"nothing": "", "spaces": "  ", "a word": "password", "31 bytes": base64.StdEncoding.EncodeToString([]byte(hexText[:31])), "33 bytes": base64.StdEncoding.EncodeToString([]byte(hexText[:33])),
		"16 bytes": base64.StdEncoding.EncodeToString([]byte(hexText[:16])), "hex without a mark": hexText, "odd hex": "hex:" + hexText[1:], "short hex": "hex:" + hexText[2:], "no hex": "hex:" + strings.Repeat("xy", 32),
		"one bit too many": base64.RawStdEncoding.EncodeToString([]byte(hexText[:32]))[:42] + "F", "a line break inside": hexText[:20] + "\n" + hexText[20:43],
		"zeros": base64.StdEncoding.EncodeToString(make([]byte, 32)), "one byte": "hex:" + strings.Repeat("ab", 32), "an asterisk": strings.Repeat("*", 43),
	} {
		key, err := seal.Parse(text)
		if err == nil || !key.IsZero() {
			t.Errorf("Parse(%s) = %v, %v, want an error", name, key, err)
		}
		if text = strings.TrimSpace(text); len(text) > 4 && strings.Contains(err.Error(), text) {
			t.Errorf("Parse(%s) = %v, which repeats the text", name, err)
		}
	}
}

func TestIDsTellKeysApart(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		key := seal.New()
		if id := key.ID(); seen[id] || len(id) != 16 {
			t.Fatalf("ID() = %q, want 16 digits that no other key has", id)
		}
		seen[key.ID()] = true
		raw, _ := base64.StdEncoding.DecodeString(key.Text())
		if strings.Contains(hex.EncodeToString(raw), key.ID()) {
			t.Fatal("the id of a key is a part of it")
		}
	}
}

func TestKeysCannotBePrinted(t *testing.T) {
	key := seal.New()
	raw, _ := base64.StdEncoding.DecodeString(key.Text())
	var out strings.Builder
	for _, value := range []any{key, &key, []seal.Key{key}, struct{ k seal.Key }{key}, struct{ K seal.Key }{key}, map[string]seal.Key{"k": key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%o", "%p"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		text, err := json.Marshal(value)
		fmt.Fprintln(&out, string(text), err)
		slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", value)
	}
	for _, form := range []string{key.Text(), string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), strings.Trim(fmt.Sprint(raw), "[]"), fmt.Sprintf("%#v", raw)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the key came out as %q", form)
		}
	}
	if key.String() != "[key]" {
		t.Errorf("String() = %q, want [key]", key.String())
	}
}

func ExampleKey_Open() {
	key := seal.New() // once; key.Text goes into a file that only the server can read
	sealed := key.Seal("users anna", []byte("a secret of hers"))

	plain, err := key.Open("users anna", sealed)
	fmt.Println(string(plain), err)
	_, err = key.Open("users bob", sealed)
	fmt.Println(errors.Is(err, seal.ErrDamaged))
	_, err = seal.New().Open("users anna", sealed)
	fmt.Println(errors.Is(err, seal.ErrOtherKey))
	// Output:
	// a secret of hers <nil>
	// true
	// true
}

func FuzzOpen(f *testing.F) {
	key := seal.New()
	good := key.Seal("here", []byte("some text"))
	f.Add("here", good[1:])
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, context string, tail []byte) {
		for _, sealed := range [][]byte{tail, append([]byte{1}, tail...), append(bytes.Clone(good[:9]), tail...)} {
			plain, err := key.Open(context, sealed)
			if err == nil && !(context == "here" && bytes.Equal(sealed, good)) {
				t.Errorf("Open(%q, %x) = %q, want an error", context, sealed, plain)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(seal.New().Text())
	f.Add("hex:00ff")
	f.Add("base64:")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := seal.Parse(text)
		if err != nil {
			return
		}
		again, err := seal.Parse(key.Text())
		if err != nil || again.ID() != key.ID() {
			t.Errorf("Parse(Text of Parse(%q)) = %v, %v, want the same key", text, again.ID(), err)
		}
	})
}
