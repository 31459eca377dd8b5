package token_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

// wycheproof reads a file of Project Wycheproof's vectors, which are kept beside the module. Where they are not, the test is skipped.
func wycheproof(t *testing.T, name string, file any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "shared", "vectors", "wycheproof", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the vectors of Project Wycheproof are not there")
	}
	if err == nil {
		err = json.Unmarshal(text, file)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A group is one key, or set of keys, and what was signed with it.
type group struct {
	Comment         string
	Private, Public json.RawMessage
	Tests           []struct {
		TcID                 int
		Comment, JWS, Result string
	}
}

// A difference is a run of vectors about which we do not agree, and why.
type difference struct {
	from, to int
	valid    bool // what we say
	why      string
}

// differences are all there are. A vector that is not among them comes out as the file says.
var differences = []difference{
	{259, 259, false, "the payload is empty, which no token's is"},
	{272, 272, false, "the payload is empty, which no token's is"},
	{264, 267, false, "RS384 is none of our algorithms"},
	{268, 271, false, "RS512 is none of our algorithms"},
	{320, 323, false, "PS384 is none of our algorithms"},
	{325, 328, false, "PS512 is none of our algorithms"},
	{346, 346, false, "the key is for PS256 and the token says PS384: a key has one algorithm"},
	{350, 350, false, "the key is for PS256 and the token says PS384: a key has one algorithm"},
	{347, 347, false, "the key is for ES521, which nobody has registered; nor is ES512 one of ours"},
	{351, 351, false, "the key is for ES521, which nobody has registered; nor is ES512 one of ours"},
	{367, 367, true, "to the letter the same as the valid vector 357: the wrong padding is missing"},
	{370, 370, true, "to the letter the same as the valid vector 357: the wrong padding is missing"},
	{372, 372, false, "a question mark within base64url, which RFC 7515 does not have"},
	{373, 373, false, "a question mark within base64url, which RFC 7515 does not have"},
}

func explained(id int) (difference, bool) {
	i := slices.IndexFunc(differences, func(d difference) bool { return d.from <= id && id <= d.to })
	if i < 0 {
		return difference{}, false
	}
	return differences[i], true
}

// TestWycheproofSignatures runs every vector for JSON web signatures, with the key that goes with it.
func TestWycheproofSignatures(t *testing.T) {
	var file struct {
		NumberOfTests int
		TestGroups    []group
	}
	wycheproof(t, "json_web_signature_test.json", &file)
	ran, differ := 0, 0
	for _, g := range file.TestGroups {
		keys := g.keys(t)
		for _, test := range g.Tests {
			ran++
			want := test.Result == "valid"
			if d, ok := explained(test.TcID); ok {
				if d.valid == want {
					t.Errorf("%d %s: the file says %s, and so do we: this is no difference: %s", test.TcID, test.Comment, test.Result, d.why)
				}
				want = d.valid
				differ++
			}
			if _, err := token.VerifyJWS(test.JWS, keys...); (err == nil) != want {
				t.Errorf("%d %s, %s: %v, want valid: %v", test.TcID, g.Comment, test.Comment, err, want)
			}
		}
	}
	if ran != file.NumberOfTests || ran < 400 {
		t.Errorf("%d vectors ran, want %d", ran, file.NumberOfTests)
	}
	t.Logf("%d vectors, %d explained differences", ran, differ)
}

// keys returns the keys of a group as a verifier has them: the public ones if there are any. A set that keyring refuses has none.
func (g group) keys(t *testing.T) []*keyring.Key {
	t.Helper()
	if g.Public != nil {
		keys, _ := keyring.ParseJWKS(g.Public)
		return keys
	}
	keys, err := keyring.ParseOwnJWKS(g.Private)
	if errors.Is(err, keyring.ErrWeak) && g.Comment == "base64" { // zeros: nobody should have such a key, but these vectors are about base64
		key := must(keyring.Secret(keyring.HS256, "hex:"+hex.EncodeToString(make([]byte, 32)), true))
		return []*keyring.Key{key.WithID("hs256-key")}
	}
	return keys
}

// TestWycheproofKeySets runs the vectors for sets of JWKs as they are met by who verifies a token: package keyring has them too, with a verification of its own.
func TestWycheproofKeySets(t *testing.T) {
	var file struct {
		NumberOfTests int
		TestGroups    []group
	}
	wycheproof(t, "json_web_key_test.json", &file)
	ran := 0
	for _, g := range file.TestGroups {
		for _, test := range g.Tests {
			ran++
			_, err := token.VerifyJWS(test.JWS, g.keys(t)...)
			if (err == nil) != (test.Result == "valid") {
				t.Errorf("%d %s, %s: %v, want %s", test.TcID, g.Comment, test.Comment, err, test.Result)
			}
		}
	}
	if ran != file.NumberOfTests || ran == 0 {
		t.Errorf("%d vectors ran, want %d", ran, file.NumberOfTests)
	}
	for _, id := range []string{"keysize_too_small", "exponentOne"} { // whose vectors have an empty payload, which is refused anyway
		i := slices.IndexFunc(file.TestGroups, func(g group) bool { return g.Comment == id })
		if keys := file.TestGroups[i].keys(t); len(keys) != 0 {
			t.Errorf("%s: the key %v is taken, want none", id, keys[0])
		}
	}
}

// The examples of RFC 7515, appendix A. Their payload has no claims of ours: what is tested is the signature.
const (
	rfc7515Payload = `eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ`

	rfc7515HS256Key = `{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`
	rfc7515HS256    = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.` + rfc7515Payload + `.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`

	rfc7515RS256Key = `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`
	rfc7515RS256    = `eyJhbGciOiJSUzI1NiJ9.` + rfc7515Payload + `.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`

	rfc7515ES256Key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	rfc7515ES256    = `eyJhbGciOiJFUzI1NiJ9.` + rfc7515Payload + `.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`

	rfc7515None = `eyJhbGciOiJub25lIn0.` + rfc7515Payload + `.`

	rfc7515RS256Mac  = `cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`
	rfc7515ES256Mac  = `DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`
	rfc7515General   = `{"payload":"` + rfc7515Payload + `","signatures":[{"protected":"eyJhbGciOiJSUzI1NiJ9","header":{"kid":"2010-12-29"},"signature":"` + rfc7515RS256Mac + `"},{"protected":"eyJhbGciOiJFUzI1NiJ9","header":{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"},"signature":"` + rfc7515ES256Mac + `"}]}`
	rfc7515Flattened = `{"payload":"` + rfc7515Payload + `","protected":"eyJhbGciOiJFUzI1NiJ9","header":{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"},"signature":"` + rfc7515ES256Mac + `"}`
	rfc7515PayloadIs = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
)

// TestRFC7515Examples: A.1 to A.3 are good; A.5, which is not signed, and A.6 and A.7, which are JSON, are not.
func TestRFC7515Examples(t *testing.T) {
	hs256, rs256, es256 := ownKey(t, rfc7515HS256Key), ownKey(t, rfc7515RS256Key), ownKey(t, rfc7515ES256Key)
	for name, tt := range map[string]struct {
		text string
		key  *keyring.Key
	}{"A.1": {rfc7515HS256, hs256}, "A.2": {rfc7515RS256, rs256}, "A.3": {rfc7515ES256, es256}} {
		payload, err := token.VerifyJWS(tt.text, tt.key)
		if err != nil || payload != rfc7515PayloadIs {
			t.Errorf("%s: %q, %v, want its payload", name, payload, err)
		}
		for _, other := range []*keyring.Key{hs256, rs256, es256} {
			if _, err := token.VerifyJWS(tt.text, other); (err == nil) != (other == tt.key) {
				t.Errorf("%s with %v: %v", name, other, err)
			}
		}
		if _, err := token.VerifyJWS(tt.text[:len(tt.text)-2]+"AA", tt.key); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s with another signature: %v, want ErrInvalid", name, err)
		}
	}
	for name, text := range map[string]string{"A.5": rfc7515None, "A.6": rfc7515General, "A.7": rfc7515Flattened} {
		if _, err := token.VerifyJWS(text, hs256, rs256, es256); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// ownKey reads one JWK, which has no algorithm if it is symmetric: that is for the ring to say.
func ownKey(t *testing.T, text string) *keyring.Key {
	t.Helper()
	if strings.Contains(text, `"oct"`) {
		text = strings.Replace(text, "{", `{"alg":"HS256",`, 1)
	}
	keys, err := keyring.ParseOwnJWKS([]byte(text))
	if err != nil || len(keys) != 1 {
		t.Fatalf("ParseOwnJWKS(%s) = %v, %v, want one key", text, keys, err)
	}
	return keys[0]
}
