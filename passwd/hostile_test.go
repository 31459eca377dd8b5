package passwd

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
)

const (
	salt22 = "MDEyMzQ1Njc4OWFiY2RlZg"                      // 16 bytes
	tag43  = "cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M" // 32 bytes
	crypt5 = "tVnh0xX87g/IsnOSuorZG608CZDFbWIWBr58ay6S4pD"
)

var crypt6 = strings.Repeat("x", 86)

// hostile are hashes that must not be tried: too dear, damaged, ambiguous, unknown. Each says what the error has to say.
var hostile = []struct{ hash, why string }{
	// too dear
	{"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt22 + "$" + tag43, "one of its numbers"},
	{"$argon2id$v=19$m=999999999,t=1,p=1$" + salt22 + "$" + tag43, "999999999 KiB of memory"},
	{"$argon2id$v=19$m=262145,t=1,p=1$" + salt22 + "$" + tag43, "262145 KiB of memory"},
	{"$argon2id$v=19$m=262144,t=5,p=1$" + salt22 + "$" + tag43, "5 passes over 262144 KiB"},
	{"$argon2id$v=19$m=64,t=65,p=1$" + salt22 + "$" + tag43, "65 passes"},
	{"$argon2id$v=19$m=64,t=4294967295,p=1$" + salt22 + "$" + tag43, "one of its numbers"},
	{"$argon2id$v=19$m=64,t=1,p=17$" + salt22 + "$" + tag43, "17 threads"},
	{"$argon2id$v=19$m=64,t=1,p=256$" + salt22 + "$" + tag43, "256 threads"},
	{"$argon2id$v=19$m=64,t=1,p=257$" + salt22 + "$" + tag43, "257 threads"}, // not 1, as a byte would have it
	{"$argon2i$v=19$m=999999999,t=1,p=1$" + salt22 + "$" + tag43, "999999999 KiB of memory"},
	{"$2b$16$" + strings.Repeat("x", 53), "a cost of 16"},
	{"$2b$31$" + strings.Repeat("x", 53), "a cost of 31"},
	{"$2b$99$" + strings.Repeat("x", 53), "a cost of 99"},
	{"$scrypt$ln=63,r=8,p=1$" + salt22 + "$" + tag43, "ln=63"},
	{"$scrypt$ln=32,r=8,p=1$" + salt22 + "$" + tag43, "ln=32"},
	{"$scrypt$ln=20,r=8,p=1$" + salt22 + "$" + tag43, "1048576 KiB of memory"},
	{"$scrypt$ln=18,r=8,p=2$" + salt22 + "$" + tag43, "N × r × p of 4194304"},
	{"$scrypt$ln=4,r=33,p=1$" + salt22 + "$" + tag43, "r=33"},
	{"$scrypt$ln=4,r=999999999,p=999999999$" + salt22 + "$" + tag43, "r=999999999"},
	{"$scrypt$ln=4,r=8,p=17$" + salt22 + "$" + tag43, "p=17"},
	{"$pbkdf2-sha256$i=5000001,l=32$" + salt22 + "$" + tag43, "5000001 iterations"},
	{"$pbkdf2-sha256$999999999$" + salt22 + "$" + tag43, "999999999 iterations"},
	{"$pbkdf2-sha256$2500001$" + salt22 + "$" + strings.Repeat("A", 44), "2500001 iterations of 2 blocks"},
	{"pbkdf2_sha256$999999999$saltsalt$" + tag43 + "=", "999999999 iterations"},
	{"$5$rounds=999999999$saltsalt$" + crypt5, "999999999 rounds"},
	{"$5$rounds=1000001$saltsalt$" + crypt5, "1000001 rounds"},
	{"$6$rounds=999999999$saltsalt$" + crypt6, "999999999 rounds"},
	{"$6$rounds=99999999999999999999$saltsalt$" + crypt6, "one of its numbers"},

	// so cheap that they mean something else
	{"$argon2id$v=19$m=64,t=0,p=1$" + salt22 + "$" + tag43, "0 passes"},
	{"$argon2id$v=19$m=64,t=1,p=0$" + salt22 + "$" + tag43, "0 threads"},
	{"$argon2id$v=19$m=7,t=1,p=1$" + salt22 + "$" + tag43, "7 KiB of memory"},
	{"$argon2id$v=19$m=0,t=1,p=1$" + salt22 + "$" + tag43, "0 KiB of memory"},
	{"$2b$03$" + strings.Repeat("x", 53), "a cost of 3"},
	{"$2b$00$" + strings.Repeat("x", 53), "a cost of 0"},
	{"$scrypt$ln=0,r=8,p=1$" + salt22 + "$" + tag43, "ln=0"},
	{"$scrypt$ln=4,r=0,p=1$" + salt22 + "$" + tag43, "r=0"},
	{"$scrypt$ln=4,r=8,p=0$" + salt22 + "$" + tag43, "p=0"},
	{"$pbkdf2-sha256$i=0$" + salt22 + "$" + tag43, "0 iterations"},
	{"$pbkdf2-sha256$0$" + salt22 + "$" + tag43, "0 iterations"},
	{"$5$rounds=0$saltsalt$" + crypt5, "0 rounds"},
	{"$5$rounds=999$saltsalt$" + crypt5, "999 rounds"},

	// cut off or damaged: a hash of few bytes fits many passwords
	{"$argon2id$", "it is not $name"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22, "its salt is not base64"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$", "its hash is not base64 of 16 to 64 bytes"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$cBg8D2DungRB9k76szTh", "its hash is not base64 of 16"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43[:42], "its hash is not base64"},
	{"$argon2id$v=19$m=64,t=1,p=1$$" + tag43, "its salt is not base64 of 8"},
	{"$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Ng$" + tag43, "its salt is not base64 of 8"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 88) + "$" + tag43, "its salt is not base64 of 8 to 64"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$" + strings.Repeat("A", 88), "its hash is not base64 of 16 to 64"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43 + "$", "too many or too few parts"},
	{"$2b$12$" + strings.Repeat("x", 52), "cut off or damaged"},
	{"$2b$12$" + strings.Repeat("x", 54), "cut off or damaged"},
	{"$2b$12$" + strings.Repeat("x", 52) + "=", "cut off or damaged"},
	{"$2b$1$" + strings.Repeat("x", 54), "cut off or damaged"},
	{"$2b$1x$" + strings.Repeat("x", 53), "one of its numbers"},
	{"$scrypt$ln=4,r=8,p=1$" + salt22 + "$", "its hash is not base64"},
	{"$pbkdf2-sha256$i=1000,l=64$" + salt22 + "$" + tag43, "not as long as it says"},
	{"$pbkdf2-sha256$1000$" + salt22 + "$cBg8", "its hash is not base64"},
	{"pbkdf2_sha256$1000$saltsalt$" + tag43, "its hash is not base64"},
	{"pbkdf2_sha256$1000$saltsalt$=", "its hash is not base64"},
	{"pbkdf2_sha256$1000$saltsalt", "it is not Django's"},
	{"pbkdf2_sha256$1000$$" + tag43 + "=", "it is not Django's"},
	{"pbkdf2_sha256$1000$short$" + tag43 + "=", "it is not Django's"},
	{"$5$", "cut off or damaged"},
	{"$5$rounds=1000", "cut off or damaged"},
	{"$5$rounds=1000$saltsalt$", "cut off or damaged"},
	{"$5$rounds=1000$saltsalt$" + crypt5[:42], "cut off or damaged"},
	{"$5$rounds=1000$$" + crypt5, "cut off or damaged"},
	{"$5$rounds=1000$saltsaltsaltsalts$" + crypt5, "cut off or damaged"},
	{"$5$saltsalt$" + crypt6, "cut off or damaged"},
	{"$6$saltsalt$" + crypt5, "cut off or damaged"},

	// more than one spelling, or more than one meaning
	{"$argon2id$v=19$m=64,t=1,p=01$" + salt22 + "$" + tag43, "one of its numbers"},
	{"$argon2id$v=19$m=+64,t=1,p=1$" + salt22 + "$" + tag43, "one of its numbers"},
	{"$argon2id$v=19$m=-64,t=1,p=1$" + salt22 + "$" + tag43, "one of its numbers"},
	{"$argon2id$v=19$m=0x40,t=1,p=1$" + salt22 + "$" + tag43, "one of its numbers"},
	{"$argon2id$v=19$m=6_4,t=1,p=1$" + salt22 + "$" + tag43, "one of its numbers"},
	{"$argon2id$v=19$m=,t=1,p=1$" + salt22 + "$" + tag43, "not name=value"},
	{"$argon2id$v=19$m,t=1,p=1$" + salt22 + "$" + tag43, "not name=value"},
	{"$argon2id$v=19$=64,t=1,p=1$" + salt22 + "$" + tag43, "not name=value"},
	{"$argon2id$v=19$m=64,m=64,t=1,p=1$" + salt22 + "$" + tag43, "not m, t, p"},
	{"$argon2id$v=19$t=1,m=64,p=1$" + salt22 + "$" + tag43, "not m, t, p"},
	{"$argon2id$v=19$m=64,t=1$" + salt22 + "$" + tag43, "not m, t, p"},
	{"$argon2id$v=19$" + salt22 + "$" + tag43, "not m, t, p"},
	{"$argon2id$v=19$m=64,t=1,p=1,p=1$" + salt22 + "$" + tag43, "a parameter that is not known"},
	{"$argon2id$v=19$m=64,t=1,p=1,data=AAAA$" + salt22 + "$" + tag43, "a parameter that is not known"},
	{"$argon2id$v=19$m=64,t=1,p=1,keyid=azE$" + salt22 + "$" + tag43, "a pepper that is not among"},
	{"$argon2id$v=19$m=64,t=1,p=1,keyid=$" + salt22 + "$" + tag43, "not name=value"},
	{"$argon2id$v=19$m=64,t=1,p=1,keyid=AAAAAAAAAAAA$" + salt22 + "$" + tag43, "its key id is not base64 of 1 to 8"},
	{"$argon2id$v=19$" + strings.Repeat("m=64,", 9) + "t=1$" + salt22 + "$" + tag43, "not name=value"},
	{"$argon2id$v=16$m=64,t=1,p=1$" + salt22 + "$" + tag43, "of another version than 19"},
	{"$argon2id$m=64,t=1,p=1$" + salt22 + "$" + tag43, "of another version than 19"},
	{"$argon2id$v=19$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43, "too many or too few parts"},
	{"$argon2id$v=x$m=64,t=1,p=1$" + salt22 + "$" + tag43, "one of its numbers"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22[:21] + "h$" + tag43, "its salt is not base64"}, // bits behind the end
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "==$" + tag43, "its salt is not base64"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43 + "=", "its hash is not base64"},
	{"$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4O-FiY2RlZg$" + tag43, "its salt is not base64"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43 + "\n", "not visible ASCII"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22[:8] + "\n" + salt22[8:] + "$" + tag43, "not visible ASCII"},
	{" $argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43, "not visible ASCII"},
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43 + "\x00", "not visible ASCII"},
	{"$scrypt$v=1$ln=4,r=8,p=1$" + salt22 + "$" + tag43, "scrypt has no version"},
	{"$scrypt$ln=4,r=8,p=1,x=1$" + salt22 + "$" + tag43, "a parameter that is not known"},
	{"$scrypt$r=8,ln=4,p=1$" + salt22 + "$" + tag43, "not ln, r, p"},
	{"$pbkdf2-sha256$v=1$i=1000$" + salt22 + "$" + tag43, "PBKDF2 has no version"},
	{"$pbkdf2-sha256$l=32$" + salt22 + "$" + tag43, "not i"},
	{"$pbkdf2-sha256$i=1000,l=032$" + salt22 + "$" + tag43, "not as long as it says"},
	{"$pbkdf2-sha256$i=1000,x=1$" + salt22 + "$" + tag43, "a parameter that is not known"},
	{"$pbkdf2-sha256$1000$" + salt22 + "$+" + tag43[1:], "not the base64 of passlib"},
	{"$pbkdf2-sha256$1e3$" + salt22 + "$" + tag43, "one of its numbers"},
	{"pbkdf2_sha256$1e3$saltsalt$" + tag43 + "=", "one of its numbers"},
	{"$5$rounds=01000$saltsalt$" + crypt5, "one of its numbers"},
	{"$5$rounds=1000,rounds=1000$saltsalt$" + crypt5, "one of its numbers"},
	{"$5$rounds=1000$rounds=1000$saltsalt$" + crypt5, "cut off or damaged"},
	{"$5$salt:salt$" + crypt5, "cut off or damaged"},

	// not ours, or no hash at all
	{"password", "of no known format"},
	{"hunter2 ", "not visible ASCII"},
	{"pässwörd", "not visible ASCII"},
	{"$", "of no known format"},
	{"$$$$$$", "of no known format"},
	{"$2x$12$" + strings.Repeat("x", 53), "of no known format"},
	{"$2$12$" + strings.Repeat("x", 53), "of no known format"},
	{"$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "of no known format"},
	{"$y$j9T$saltsalt$" + tag43, "of no known format"},
	{"$argon2d$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43, "of no known format"},
	{"$ARGON2ID$v=19$m=64,t=1,p=1$" + salt22 + "$" + tag43, "of no known format"},
	{"$pbkdf2$1000$" + salt22 + "$" + tag43, "of no known format"},
	{"md5$saltsalt$5f4dcc3b5aa765d61d8327deb882cf99", "of no known format"},
	{"5f4dcc3b5aa765d61d8327deb882cf99", "of no known format"},
	{"{SSHA}" + tag43, "of no known format"},

	// long
	{"$argon2id$v=19$m=64,t=1,p=1$" + salt22 + "$" + strings.Repeat("A", 1<<20), "longer than 512 bytes"},
	{strings.Repeat("$", 1<<20), "longer than 512 bytes"},
	{"$5$" + strings.Repeat("x", 1<<20), "longer than 512 bytes"},
	{strings.Repeat("x", 513), "longer than 512 bytes"},
}

// TestHostileHashes: they are refused before any work, the error is nobody's fault but the store's, and nothing of them is repeated.
func TestHostileHashes(t *testing.T) {
	h, work := newHasher(t, cheap)
	for _, test := range hostile {
		name := test.hash[:min(len(test.hash), 80)]
		if s, err := parse(test.hash, nil); err == nil {
			t.Errorf("parse(%q) = %+v, want ErrFormat: verifying it would take for ever", name, s)
			continue
		}
		result, err := h.Verify(t.Context(), test.hash, "password")
		if !errors.Is(err, ErrFormat) || errors.Is(err, gatehouse.ErrCredential) || result != (Result{}) {
			t.Errorf("Verify(%q) = %+v, %v, want ErrFormat, which is no wrong password", name, result, err)
			continue
		}
		if !strings.Contains(err.Error(), test.why) {
			t.Errorf("Verify(%q) = %q, want that it says %q", name, err, test.why)
		}
		for _, secret := range []string{salt22, tag43, crypt5, "hunter2", "pässwörd"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("Verify(%q) = %q, which repeats the hash", name, err)
			}
		}
		if renewed, err := h.Login(t.Context(), test.hash, "password"); renewed != "" || !errors.Is(err, ErrFormat) {
			t.Errorf("Login(%q) = %q, %v, want ErrFormat", name, renewed, err)
		}
	}
	if done := work.work(); done != nil {
		t.Errorf("hostile hashes cost %v, want nothing", done)
	}
}

// TestLongHashesCostNothing, not even memory.
func TestLongHashesCostNothing(t *testing.T) {
	for _, hash := range []string{strings.Repeat("$", 1<<20), "$argon2id$" + strings.Repeat("m=1,", 1<<18), "$6$rounds=" + strings.Repeat("9", 1<<20)} {
		if n := testing.AllocsPerRun(10, func() { parse(hash, nil) }); n > 8 {
			t.Errorf("parse(%.12q… of %d bytes) makes %v allocations, want a few", hash, len(hash), n)
		}
	}
}

// TestTheBoundsAllowWhatIsUsed: what other systems make by default is not hostile.
func TestTheBoundsAllowWhatIsUsed(t *testing.T) {
	for name, hash := range map[string]string{
		"argon2-cffi":                 "$argon2id$v=19$m=65536,t=3,p=4$" + salt22 + "$" + tag43,
		"PHP":                         "$argon2id$v=19$m=65536,t=4,p=1$" + salt22 + "$" + tag43,
		"libsodium moderate":          "$argon2id$v=19$m=262144,t=3,p=1$" + salt22 + "$" + tag43,
		"Django argon2":               "$argon2id$v=19$m=102400,t=2,p=8$" + salt22 + "$" + tag43,
		"bcrypt 15":                   "$2y$15$" + strings.Repeat("x", 53),
		"passlib scrypt":              "$scrypt$ln=16,r=8,p=1$" + salt22 + "$" + tag43,
		"OWASP scrypt":                "$scrypt$ln=17,r=8,p=1$" + salt22 + "$" + tag43,
		"Django PBKDF2":               "pbkdf2_sha256$1500000$DjangoDjangoDjangoDjan$" + tag43 + "=",
		"OWASP PBKDF2":                "$pbkdf2-sha512$i=210000,l=32$" + salt22 + "$" + tag43,
		"passlib pbkdf2":              "$pbkdf2-sha256$29000$" + salt22 + "$" + tag43,
		"passlib sha256_crypt":        "$5$rounds=535000$2kqN9fxCY6Xt5/pi$" + crypt5,
		"passlib sha512_crypt":        "$6$rounds=656000$2kqN9fxCY6Xt5/pi$" + crypt6,
		"a C library":                 "$6$2kqN9fxCY6Xt5/pi$" + crypt6,
		"the dearest that we take":    "$argon2id$v=19$m=262144,t=4,p=16$" + salt22 + "$" + tag43,
		"the dearest scrypt":          "$scrypt$ln=18,r=8,p=1$" + salt22 + "$" + tag43,
		"the dearest PBKDF2":          "$pbkdf2-sha256$5000000$" + salt22 + "$" + tag43,
		"the dearest crypt":           "$6$rounds=1000000$x$" + crypt6,
		"the cheapest crypt":          "$6$rounds=1000$x$" + crypt6,
		"passlib pbkdf2, its base64":  "$pbkdf2-sha256$29000$" + salt22 + "$.." + tag43[2:],
		"PHC pbkdf2 without a length": "$pbkdf2-sha256$i=600000$" + salt22 + "$" + tag43,
	} {
		if _, err := Inspect(hash); err != nil {
			t.Errorf("Inspect of %s (%s) = %v, want no error", name, hash, err)
		}
	}
}

// FuzzParse: whatever stands in the store, it is refused as such, or within the bounds; and a hash of ours has one spelling.
func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.hash)
	}
	for _, v := range hostile {
		f.Add(v.hash[:min(len(v.hash), 600)])
	}
	f.Fuzz(func(t *testing.T, hash string) {
		s, err := parse(hash, nil)
		if err != nil {
			if !errors.Is(err, ErrFormat) || s.match != nil {
				t.Fatalf("parse(%q) = %+v, %v, want nothing and ErrFormat", hash, s, err)
			}
			return
		}
		if s.match == nil || s.memory > maxMemory || s.threads < 1 || s.threads > maxThreads || s.format == "" || s.cost == "" || len(hash) > maxHash {
			t.Fatalf("parse(%q) = %+v, which is out of bounds", hash, s)
		}
		if s.own == nil || !s.own.id {
			return
		}
		h, err := parsePHC(hash)
		if err != nil {
			t.Fatalf("parsePHC(%q) = %v", hash, err)
		}
		if again := encodeArgon(s.own.params, "", h.salt, h.tag); again != hash {
			t.Fatalf("%q is also written %q", hash, again)
		}
	})
}

// FuzzVerify tries cheap hashes: nothing panics, and no password but the known one is right.
func FuzzVerify(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.hash, v.password)
		f.Add(v.hash, v.password+"\x00")
	}
	h, _ := newHasher(f, cheap)
	known := map[string]string{}
	for _, v := range vectors {
		known[v.hash] = v.password
	}
	f.Fuzz(func(t *testing.T, hash, password string) {
		if s, err := parse(hash, nil); err != nil || s.memory > 1<<10 || len(s.cost) > len("m=1024,t=1,p=1") || strings.Contains(s.cost, "00000") {
			return // too slow for many tries
		}
		result, err := h.Verify(t.Context(), hash, password)
		if want, ok := known[hash]; ok && (err == nil) != (password == want || normal(password) == want) {
			t.Fatalf("Verify(%q, %q) = %+v, %v", hash, password, result, err)
		}
		if err != nil && !errors.Is(err, gatehouse.ErrLogin) {
			t.Fatalf("Verify(%q, %q) = %v, want right or wrong", hash, password, err)
		}
	})
}
