package passwd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/third_party/passwords"
)

func newPolicy(t testing.TB, c PolicyConfig) *Policy {
	t.Helper()
	p, err := NewPolicy(c)
	if err != nil {
		t.Fatalf("NewPolicy(%+v) = %v", c, err)
	}
	return p
}

// code returns the code of a refusal, "" for none.
func code(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("Check = %v, want a Refusal", err)
	}
	return r.Code
}

func TestPolicy(t *testing.T) {
	p := newPolicy(t, PolicyConfig{Context: []string{"Gatehouse", "films.example.org"}, Blocked: []string{"Our old shared password", "tinsel"}})
	context := []string{"jack", "Jack.Smith@mail.example.org", "Ödipus Müller-Lüdenscheidt", "x"}
	for _, test := range []struct{ password, want string }{
		// length, in code points
		{"", TooShort}, {"short", TooShort}, {"fourteen chars", TooShort}, {"fifteen letters", ""},
		{"🔑🎩🐈🌋🧊🪗🛶🥝🦔🧲🪁🎻🦩🍉", TooShort}, {"🔑🎩🐈🌋🧊🪗🛶🥝🦔🧲🪁🎻🦩🍉🪵", ""},
		{"e\u0301a\u0308ziu\u0308qo\u0308wxkm", TooShort}, // 12 letters, however many code points they were sent as
		{long(128), ""}, {long(129), TooLong}, {strings.Repeat("x", 1025), TooLong}, {strings.Repeat("🔑", 257), TooLong}, {strings.Repeat("x", 1<<20), TooLong},
		{"not UTF-8 \xff\xfe at all", NotText},

		// any composition
		{"mydogeatsbluecheese", ""}, {"my dog eats blue cheese", ""}, {"correct horse battery staple", ""}, {"correcthorsebatterystaple", ""},
		{" leading and trailing ", ""}, {"мой пёс ест синий сыр", ""}, {"私の犬は青いチーズを食べますよ", ""}, {"8302759164083927", ""}, {"kfzoweurhsbqltnv", ""},
		{"tab\tand\x00nul are taken", ""}, {"I like trains since 2019", ""}, {"computer umbrella sunshine elephant", ""}, {"computerumbrellasunshineelephant", ""},

		// on the list, in whatever disguise
		{"passwordpassword", Common}, {"PASSWORDpassword", Common}, {"P4ssw0rdP4ssw0rd", Common}, {"P@$$w0rdP@$$w0rd", Common}, {"pässwördpässwörd", Common}, {"ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ", Common},
		{"1qaz2wsx3edc4rfv", Common}, {"momsanaladventure", Common}, {"123456789987654321", Common},
		{"our old shared password", Common}, {"0ur 01d Sh4red Passw0rd", Common},

		// again and again
		{"zqzqzqzqzqzqzqzq", Repeats}, {"hellohellohello", Repeats}, {"hellohellohellohel", Repeats}, {"Summer2024Summer2024", Repeats}, {"Summer2024SUMMER2024", Repeats}, {"🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑", Repeats},

		// little of its own
		{"password1234567", Pattern}, {"Passw0rd1234567!", Pattern}, {"iloveyou1234567", Pattern}, {"passwordpassword1!", Pattern}, {"computerumbrellasunshine", Pattern},
		{"qazwsxedcrfvtgby", Pattern}, {"zaq12wsxcde34rfv", Pattern}, {"asdfghjkl;'zxcvbnm", Pattern}, {"qwertzuiopasdfghjkl", Pattern}, {"azertyuiopqsdfghjklm", Pattern},
		{"йцукенгшщзхъфывапролджэ", Pattern}, {"aaabbbcccdddeee", Pattern}, {"acegikmoqsuwy02468", Pattern}, {"zyxwvutsrqponmlk", Pattern}, {"abcdefghijklmnop!", Pattern},
		{"abcabcabcabcabcabcx", Pattern}, {"a1b2c3d4e5f6g7h8", Pattern}, {"!aaaaaaaaaaaaaaa", Pattern}, {"tinseltinsel tinsel", Pattern}, {"19871988198919901991", Pattern},

		// names that others know
		{"gatehouse gatehouse1", Personal}, {"G4teh0us3-2024-abc", Personal}, {"jack.smith@mail.example.org", Personal}, {"JackSmith!JackJack?", Personal}, {"smith-jack-films-2024", Personal},
		{"odipusmuller2024", Personal}, {"Ludenscheidt123!", Personal}, {"films.example.org!", Personal},
		{"jack eats blue cheese at home", ""}, {"the gatehouse has a red door", ""}, {"xxylophone quartet zebra", ""},
	} {
		err := p.Check(test.password, context...)
		if got := code(t, err); got != test.want {
			t.Errorf("Check(%.40q) = %q (%v), want %q", test.password, got, err, test.want)
		}
		if err != nil && len(test.password) > 8 && strings.Contains(err.Error(), test.password) {
			t.Errorf("Check(%q) = %q, which repeats the password", test.password, err)
		}
	}
}

// long returns a password of n code points that is nothing known.
func long(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune(rune('Ѐ' + (i*i*7+i*13)%251))
	}
	return b.String()
}

// TestReasons: a person understands what is wrong, and what to do.
func TestReasons(t *testing.T) {
	p := newPolicy(t, PolicyConfig{})
	for password, want := range map[string]string{
		"":                        "the password has 0 characters: choose one of at least 15 characters, say, some words in a row",
		"x":                       "the password has 1 character: choose one of at least 15 characters, say, some words in a row",
		strings.Repeat("ж", 129):  "the password has 129 characters, and at most 128 are taken",
		strings.Repeat("x", 2000): "the password has 2000 bytes, and at most 1024 are taken",
		"passwordpassword":        "the password is well known: it is among the first that are tried. Choose another one",
		"hellohellohello":         "the password is 5 characters again and again. Choose one that does not repeat itself",
		"password1234567":         "the password is little more than well-known passwords, rows of keys and repetitions. Choose one that is harder to guess",
		"jack smith jack?":        "the password is little more than names that others know: yours, or that of this place. Choose one that has nothing to do with them",
	} {
		if err := p.Check(password, "Jack Smith"); err == nil || err.Error() != want {
			t.Errorf("Check(%.20q) = %v, want %q", password, err, want)
		}
	}
}

// TestShorterPolicy is one for passwords that are asked for together with a second factor.
func TestShorterPolicy(t *testing.T) {
	p := newPolicy(t, PolicyConfig{MinLength: 8})
	for password, want := range map[string]string{
		"kX9#mQ2": TooShort, "kX9#mQ2z": "", "xkabc9z2": "", "🔑🎩🐈🌋🧊🪗🛶🥝": "", "🔑🎩🐈🌋🧊🪗🛶": TooShort, "kX9#mQ2zkX9#mQ2z": "",
		"password": Common, "Passw0rd": Common, "12345678": Common, "trustno1": Common, "abcd1234": Common, "qwertyui": Common,
		"xq!xq!xq!": Repeats, "abcdwxyz": Pattern, "password1998": Pattern, "jack2024": Personal, "jack.jack": Personal,
	} {
		if got := code(t, p.Check(password, "jack")); got != want {
			t.Errorf("Check(%q) = %q, want %q", password, got, want)
		}
	}
}

func TestNewPolicyRefuses(t *testing.T) {
	for _, test := range []struct {
		c    PolicyConfig
		want string
	}{
		{PolicyConfig{}, ""},
		{PolicyConfig{MinLength: 8}, ""},
		{PolicyConfig{MinLength: 7}, "it has to be at least 8"},
		{PolicyConfig{MinLength: -1}, "it has to be at least 8"},
		{PolicyConfig{MaxLength: 64}, ""},
		{PolicyConfig{MaxLength: 63}, "it has to be 64 to 1024"},
		{PolicyConfig{MaxLength: 1024}, ""},
		{PolicyConfig{MaxLength: 1025}, "it has to be 64 to 1024"},
		{PolicyConfig{MinLength: 100, MaxLength: 99}, "MinLength 100 is more than MaxLength 99"},
		{PolicyConfig{MinLength: 200}, ""},
		{PolicyConfig{MinLength: 1025}, "it has to be 64 to 1024"},
	} {
		_, err := NewPolicy(test.c)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("NewPolicy(%+v) = %v, want %q", test.c, err, test.want)
		}
	}
}

// TestEveryListedPasswordIsRefused, as it stands and in capitals, by the policy whose length it has.
func TestEveryListedPasswordIsRefused(t *testing.T) {
	text, err := unpack(passwords.Packed)
	if err != nil {
		t.Fatal(err)
	}
	entries := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	p, long := newPolicy(t, PolicyConfig{MinLength: 8}), 0
	for _, entry := range entries {
		n := utf8.RuneCountInString(entry)
		if n < shortestListed || n > 64 {
			t.Errorf("the entry %q has %d code points", entry, n)
		}
		if n >= DefaultMinLength {
			long++
		}
		for _, password := range []string{entry, strings.ToUpper(entry)} {
			if got := code(t, p.Check(password)); got != Common {
				t.Fatalf("Check(%q) = %q, want %q", password, got, Common)
			}
		}
	}
	if len(entries) < 40_000 || long < 3000 {
		t.Errorf("the list has %d entries, %d of them long enough for the default policy, want 40000 and 3000 at least", len(entries), long)
	}
}

// TestListIsTheOneDescribed compares the embedded list with its page.
func TestListIsTheOneDescribed(t *testing.T) {
	text, err := unpack(passwords.Packed)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	page, err := os.ReadFile("../third_party/passwords/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), hex.EncodeToString(sum[:])) {
		t.Errorf("the list has the checksum %x, which README.md does not have", sum)
	}
	if len(passwords.Packed) > 400<<10 {
		t.Errorf("the list has %d bytes, want at most 400 KiB in every program", len(passwords.Packed))
	}
	for _, file := range []string{"LICENSE.zxcvbn-ts", "LICENSE.seclists"} {
		if text, err := os.ReadFile("../third_party/passwords/" + file); err != nil || !strings.Contains(string(text), "Permission is hereby granted") {
			t.Errorf("%s = %.20q, %v, want the licence", file, text, err)
		}
	}
}

func TestUnpackDamaged(t *testing.T) {
	for _, data := range [][]byte{nil, []byte("no gzip"), passwords.Packed[:len(passwords.Packed)/2]} {
		if _, err := unpack(data); err == nil {
			t.Errorf("unpack(%d bytes) = nil, want an error", len(data))
		}
	}
}

// TestWordsInARowAreTaken: four different words that are no well-known passwords are never refused, whatever they are.
func TestWordsInARowAreTaken(t *testing.T) {
	words := strings.Fields("velvet onion harbor quilt magnet ribbon saddle trumpet walnut zipper anchor blanket candle donkey engine funnel goblet hammer insect jungle kettle lantern")
	p := newPolicy(t, PolicyConfig{})
	rapid.Check(t, func(r *rapid.T) {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(words), 4, 8, rapid.ID).Draw(r, "words")
		between := rapid.SampledFrom([]string{"", " ", "-", "."}).Draw(r, "between")
		password := strings.Join(some, between)
		if err := p.Check(password, "jack@example.org", "Jack Smith"); err != nil {
			r.Fatalf("Check(%q) = %v", password, err)
		}
	})
}

// TestCheckNeverPanics, and is always of one of the codes; what is refused for its pattern stays refused with a name that is known besides.
func TestCheckNeverPanics(t *testing.T) {
	p := newPolicy(t, PolicyConfig{MinLength: 8, MaxLength: 1024, Blocked: []string{"abab"}})
	rapid.Check(t, func(r *rapid.T) {
		password := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ab1e\x{301}\x{fdfa}]{8,40}`)).Draw(r, "password")
		name := rapid.String().Draw(r, "name")
		got := code(t, p.Check(password))
		if with := code(t, p.Check(password, name, password)); got != "" && with != got {
			r.Fatalf("Check(%q) = %q, and with a name it is %q", password, got, with)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	for _, password := range []string{"correct horse battery staple", "aaaaaaaaaaaaaaab", "e\u0301\u0301\u0301", "\xff", "ﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺ", "1q2w3e4r5t6y7u8i", "jackjackjack1999", "ﷺﷺﷺ000\ufb3a"} {
		f.Add(password, "jack@example.org")
	}
	p := newPolicy(f, PolicyConfig{MinLength: 8, MaxLength: 1024})
	f.Fuzz(func(t *testing.T, password, name string) {
		if err := p.Check(password, name); err == nil && (len(password) > MaxBytes || utf8.RuneCountInString(normal(password)) < 8 || !utf8.ValidString(password)) {
			t.Fatalf("Check(%q) = nil", password)
		}
	})
}

// TestOwn: what a password weighs.
func TestOwn(t *testing.T) {
	p := newPolicy(t, PolicyConfig{Blocked: []string{"blocked"}})
	for text, want := range map[string]int{
		"": 0, "x": 1, "zq": 2, "ab": 2, "abc": 1, "cba": 1, "abcx": 2, "aaa": 1, "ace": 1, "eca": 1, "qwe": 1, "ewq": 1, "890": 1, "098": 1, "qaz": 1, "zaq": 1,
		"1q2w3e": 2, "1q2w3": 5, "2024": 1, "1899": 4, "19x9": 4, "xyq xyq": 5, "xyqzxyqz": 5, "xqzxqzxqz": 4, "password": 2, "blocked": 2, "blockedx": 3, "block": 5,
		"jack": 1, "j4ck": 1, "jackjack": 2, "xjackx": 3, "jac": 3,
	} {
		if got := p.own(fold(text), names([]string{"Jack"})); got != want {
			t.Errorf("own(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestPeriod(t *testing.T) {
	for text, want := range map[string]int{"aaaa": 1, "abab": 2, "ababa": 2, "abcab": MaxBytes, "abcabc": 3, "a": MaxBytes, "": MaxBytes, "ab": MaxBytes, "aa": 1, "abcd": MaxBytes} {
		if got := period([]rune(text)); got != want {
			t.Errorf("period(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	var got []string
	for _, name := range names([]string{"Jo", "Bob-Ann"}, []string{"j@x.example.org", "", "Él"}) {
		got = append(got, string(name))
	}
	if want := "bob-ann bob ann j@x.exampie.org exampie org"; strings.Join(got, " ") != strings.ReplaceAll(want, "j@x", "jax") {
		t.Errorf("names = %q, want %q", got, want)
	}
}
