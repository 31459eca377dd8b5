package passwd

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
)

// vectors are hashes that other programs have made. Costs are small where their author lets us choose.
var vectors = []struct{ from, password, hash string }{
	{"the reference implementation of argon2", "password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
	{"the reference implementation of argon2, two lanes", "password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
	{"the reference implementation of argon2i", "password", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"},
	{"argon2-cffi", "correct horse", "$argon2id$v=19$m=64,t=1,p=2$SsAQt735NepYdwZF4Th4Og$Pr4MR0iKRw8fFlsLoX9pew"},
	{"argon2-cffi, argon2i", "correct horse", "$argon2i$v=19$m=64,t=1,p=1$uxN8BPoJZkiWbtuuuF0hCg$0ec2H/zuh1grinfstJrBFg"},
	{"argon2-cffi, Unicode", "pässwörd 🔑", "$argon2id$v=19$m=64,t=1,p=2$acg7hJG8qrryP7qSQd5uVw$d1sNneXxcBCt5vwChbH3ig"},

	{"crypt_blowfish", "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
	{"passlib", "correct horse", "$2a$04$Z030qLpxBmrT2OuCe.fbT.Bqf4uE1.PeqqewlC.3db.z0WwTwID3K"},
	{"passlib", "correct horse", "$2b$04$uOfKRS0wbtgK/3Zc9.b/xe5wCfPnKmKqLxJ6i1NsxYFk3/KhtNZa2"},
	{"passlib", "correct horse", "$2y$04$A/U5UDzzjgeffZc38e5pbuKekmxh4VojYvNrRWj5Zlz0XSgeGjKwa"},
	{"passlib, Unicode", "pässwörd 🔑", "$2b$04$DycdVuZRRrllI8disdKG3OPRCcqfO3.uI7MqS367Xavgr6Q6DkCbW"},
	{"passlib, 72 bytes", strings.Repeat("x", 72), "$2b$04$S3kqhrBztEdJFn.n.Q9dRelflw1XN.D96gM3YhgXz67c8nvPVvZIS"},

	{"RFC 7914", "pleaseletmein", "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"},
	{"passlib", "correct horse", "$scrypt$ln=6,r=8,p=2$Tcn5v7eWkjKmVKq1trYWwg$cK5lWLigp5Y14O6mkv3a8E6hPLnT6eloyE+hney7AI8"},
	{"passlib, Unicode", "pässwörd 🔑", "$scrypt$ln=6,r=8,p=2$Wct5L+W8l1LKudf6n3NO6Q$cFlO59TmZ4Zm5qaQnO7DBFi46Reox/Sfvw+mcE+r/94"},
	{"Python's hashlib", "correct horse", "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$OAkZqUBelG6VIYdTJfYSENL5OmZRxMa3GwXn5oFliTg"},

	{"the vectors of RFC 6070, with SHA-256", "passwordPASSWORDpassword", "$pbkdf2-sha256$i=4096,l=40$c2FsdFNBTFRzYWx0U0FMVHNhbHRTQUxUc2FsdFNBTFRzYWx0$NIyJ28vTKy8y2BS4EW6EzysXNH68GAAYHE4qH7jdU+HGNVGMfaxH6Q"},
	{"Python's hashlib", "correct horse", "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M"},
	{"Python's hashlib", "correct horse", "$pbkdf2-sha512$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$OM0FAoIqCVK1sWtxDiffVlBejtLa+ks4TP71JiecwuSZCG8iLbnlIEPOMoVX+i2B2wkSxjQ8CRGR9OkNGuIPMQ"},
	{"passlib", "correct horse", "$pbkdf2-sha256$1000$WIsxBiCkNEbIWQsBoDTmPA$RJMxZWgPt1rkYZ4tB7uVefCASxX2aUMUoansrcd0S3g"},
	{"passlib, with a point in its base64", "pässwörd 🔑", "$pbkdf2-sha256$1000$bg1BKOUcI6T0fm/tXUvJ.Q$.B/BLLw3PXrmxugosOX2shEziQBLHOs50M65KxVsMxE"},
	{"passlib", "correct horse", "$pbkdf2-sha512$1000$OKcUQghBCCEkxJjTOofwfg$rlhiP.Ry6oYl0.//0tt4IHzyyKgGavPY.KlAHVFInV9T3f4rmC3.xfRdq1P1yJDCFPPyDAULJ69lfigEDKXxVw"},
	{"Django", "correct horse", "pbkdf2_sha256$1000$seasalt2seasalt$GvLkoMopmJIHQYpZDYA3aDVo5TO/ZdX32HfE16zr1W0="},
	{"Django, Unicode", "pässwörd 🔑", "pbkdf2_sha256$1000$seasalt2seasalt$sDV+2Jykw8bfQ312ImHx2lVWbtoMfCvt9wi987Pf6jI="},

	{"the database demo of aiohttp_security", "password", "$5$rounds=535000$2kqN9fxCY6Xt5/pi$tVnh0xX87g/IsnOSuorZG608CZDFbWIWBr58ay6S4pD"},
	{"the specification of SHA-crypt", "Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
	{"the specification of SHA-crypt", "Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
	{"passlib", "correct horse", "$5$rounds=1000$ajwNn2fw66pI6qwO$2uacDLgnwRjSGJ/duE1uteLmzFPhdWqjh7s3XWdb9eC"},
	{"passlib", "correct horse", "$6$rounds=1000$MXP4Yi6yEKHjAYrr$7u8jQglnvEygV6muVpQG7//8IW7PZGDFp9ODyS6UvM/hPKetX5GgmlRA4iSMUTNJ5ASDKpembf2YtGAtWpQ8U/"},
	{"the C library", "pässwörd 🔑", "$5$rounds=1234$abcdefgh$iDQNCFwYMFv66hsFOBZCY8f6A.KSNv9sd0SoLmyLaf4"},
	{"the C library", "correct horse", "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/"},
}

// argonTag derives what belongs into a hash.
func argonTag(p Params, password, salt string) []byte {
	return argonTagOf(p, password, salt, tagLength)
}

func argonTagOf(p Params, password, salt string, length int) []byte {
	return argon2.IDKey([]byte(password), []byte(salt), p.Time, p.Memory, p.Threads, uint32(length))
}

// TestVectors: what others have made is right, every other password is wrong, and it is made anew.
func TestVectors(t *testing.T) {
	h, _ := newHasher(t, cheap)
	for _, v := range vectors {
		t.Run(v.from, func(t *testing.T) {
			result, err := h.Verify(t.Context(), v.hash, v.password)
			if err != nil {
				t.Fatalf("Verify(%q, %q) = %v, want right", v.hash, v.password, err)
			}
			if foreign := !strings.HasPrefix(v.hash, "$argon2id$"); foreign && !result.Rehash {
				t.Errorf("Verify(%q) = %+v, want that it is made anew", v.hash, result)
			}
			for _, other := range []string{v.password + " ", " " + v.password, v.password[1:], v.password + "\x00", v.password + "\x00" + v.password, strings.ToUpper(v.password) + "x", v.password + "x"} {
				if got := outcome(h.Verify(t.Context(), cheaper(v.hash), other)); got != "wrong" {
					t.Errorf("Verify(%q, %q) = %s, want wrong", v.hash, other, got)
				}
			}
		})
	}
}

// cheaper lets the dearest vectors be tried with two other passwords only by a cheaper hash of the same kind.
func cheaper(hash string) string {
	for i, dear := range []string{"m=65536", "ln=14", "rounds=535000"} {
		if strings.Contains(hash, dear) {
			return []string{vectors[3].hash, vectors[13].hash, vectors[27].hash}[i]
		}
	}
	return hash
}

func TestLoginRenewsForeignHashes(t *testing.T) {
	h, _ := newHasher(t, cheap)
	for _, v := range vectors {
		if cheaper(v.hash) != v.hash {
			continue
		}
		renewed, err := h.Login(t.Context(), v.hash, v.password)
		if err != nil || !strings.HasPrefix(renewed, "$argon2id$v=19$m=64,t=1,p=1$") {
			t.Errorf("Login(%q) = %q, %v, want a new hash of ours", v.hash, renewed, err)
			continue
		}
		if again, err := h.Login(t.Context(), renewed, v.password); err != nil || again != "" {
			t.Errorf("Login with the renewed hash of %q = %q, %v, want nothing to store", v.hash, again, err)
		}
	}
}

// TestByte73: bcrypt never looked at what is behind byte 72, so what is longer cannot be known to be right. It does the work all the same.
func TestByte73(t *testing.T) {
	h, work := newHasher(t, cheap)
	const hash = "$2b$04$S3kqhrBztEdJFn.n.Q9dRelflw1XN.D96gM3YhgXz67c8nvPVvZIS" // 72 times x
	for length, want := range map[int]string{71: "wrong", 72: "rehash", 73: "wrong", 74: "wrong", 144: "wrong", 1024: "wrong"} {
		work.work()
		if got := outcome(h.Verify(t.Context(), hash, strings.Repeat("x", length))); got != want {
			t.Errorf("Verify(bcrypt of 72 bytes, %d bytes) = %s, want %s", length, got, want)
		}
		if done := work.work(); len(done) == 0 {
			t.Errorf("a password of %d bytes costs nothing", length)
		}
	}
}

// TestInspect: each format is named with its costs, and nothing is worked at.
func TestInspect(t *testing.T) {
	want := []Info{
		{"argon2id", "m=65536,t=2,p=1"}, {"argon2id", "m=256,t=2,p=2"}, {"argon2i", "m=256,t=2,p=1"}, {"argon2id", "m=64,t=1,p=2"}, {"argon2i", "m=64,t=1,p=1"}, {"argon2id", "m=64,t=1,p=2"},
		{"bcrypt", "cost=5"}, {"bcrypt", "cost=4"}, {"bcrypt", "cost=4"}, {"bcrypt", "cost=4"}, {"bcrypt", "cost=4"}, {"bcrypt", "cost=4"},
		{"scrypt", "ln=14,r=8,p=1"}, {"scrypt", "ln=6,r=8,p=2"}, {"scrypt", "ln=6,r=8,p=2"}, {"scrypt", "ln=4,r=8,p=1"},
		{"pbkdf2-sha256", "i=4096"}, {"pbkdf2-sha256", "i=1000"}, {"pbkdf2-sha512", "i=1000"}, {"pbkdf2-sha256", "i=1000"}, {"pbkdf2-sha256", "i=1000"}, {"pbkdf2-sha512", "i=1000"}, {"pbkdf2-sha256", "i=1000"}, {"pbkdf2-sha256", "i=1000"},
		{"sha256_crypt", "rounds=535000"}, {"sha256_crypt", "rounds=5000"}, {"sha512_crypt", "rounds=5000"}, {"sha256_crypt", "rounds=1000"}, {"sha512_crypt", "rounds=1000"}, {"sha256_crypt", "rounds=1234"}, {"sha512_crypt", "rounds=5000"},
	}
	var got []Info
	for _, v := range vectors {
		info, err := Inspect(v.hash)
		if err != nil {
			t.Errorf("Inspect(%q) = %v", v.hash, err)
		}
		got = append(got, info)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Inspect of the vectors = %v, want %v", got, want)
	}
	for _, hash := range []string{"", "!", "*", "password", "$argon2id$"} {
		if info, err := Inspect(hash); !errors.Is(err, ErrFormat) || info != (Info{}) {
			t.Errorf("Inspect(%q) = %+v, %v, want ErrFormat", hash, info, err)
		}
	}
}

// TestNoOtherPasswordVerifiesForeignHashes, not even those that the primitives of the formats cannot tell apart.
func TestNoOtherPasswordVerifiesForeignHashes(t *testing.T) {
	h, _ := newHasher(t, cheap)
	var cheapest []int
	for i, v := range vectors {
		if cheaper(v.hash) == v.hash && len(v.password) > 1 {
			cheapest = append(cheapest, i)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		v := vectors[rapid.SampledFrom(cheapest).Draw(r, "vector")]
		other := mutation(r, v.password)
		if other == v.password || normal(other) == v.password {
			return
		}
		if got := outcome(h.Verify(t.Context(), v.hash, other)); got != "wrong" {
			r.Fatalf("Verify(%q of %q, %q) = %s, want wrong", v.hash, v.password, other, got)
		}
	})
}

// TestDjangoAlsoUsesSHA512: a hash that is the same as one of passlib, in other letters.
func TestDjangoAlsoUsesSHA512(t *testing.T) {
	h, _ := newHasher(t, cheap)
	const hash = "pbkdf2_sha512$1000$0123456789abcdef$OM0FAoIqCVK1sWtxDiffVlBejtLa+ks4TP71JiecwuSZCG8iLbnlIEPOMoVX+i2B2wkSxjQ8CRGR9OkNGuIPMQ=="
	if got := outcome(h.Verify(t.Context(), hash, "correct horse")); got != "rehash" {
		t.Errorf("Verify(%q) = %s, want rehash", hash, got)
	}
	if _, err := h.Verify(t.Context(), hash, "wrong horse"); !errors.Is(err, gatehouse.ErrLogin) {
		t.Errorf("Verify(%q, another) = %v, want ErrLogin", hash, err)
	}
}
