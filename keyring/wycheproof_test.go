package keyring_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// TestWycheproofKeys runs the vectors of Project Wycheproof for sets of JWKs: what it calls invalid must not pass, what it calls valid must.
func TestWycheproofKeys(t *testing.T) {
	text, err := os.ReadFile("testdata/wycheproof/json_web_key_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			Comment         string
			Private, Public json.RawMessage
			Tests           []struct {
				TcID                 int
				Comment, JWS, Result string
			}
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, group := range file.TestGroups {
		set := group.Public
		if set == nil {
			set = group.Private
		}
		for _, test := range group.Tests {
			ran++
			err := verifyJWS(set, test.JWS)
			if (err == nil) != (test.Result == "valid") {
				t.Errorf("%d %s, %s: %v, want %s", test.TcID, group.Comment, test.Comment, err, test.Result)
			}
			if group.Public == nil {
				continue
			}
			if _, err := keyring.ParseJWKS(group.Private); err == nil {
				t.Errorf("%d %s: ParseJWKS takes a set with private keys", test.TcID, group.Comment)
			}
		}
	}
	if ran != file.NumberOfTests || ran == 0 {
		t.Errorf("%d vectors ran, want %d", ran, file.NumberOfTests)
	}
}

// verifyJWS verifies a compact JWS with the key of a set that it names, if the key is for the algorithm that it names.
func verifyJWS(set []byte, jws string) error {
	keys, err := keyring.ParseOwnJWKS(set)
	if err != nil {
		return err
	}
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return errors.New("not three parts")
	}
	var head struct{ Alg, Kid string }
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(parts[0])), &head); err != nil {
		return err
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.ID() == head.Kid && string(k.Algorithm()) == head.Alg {
			return k.Verify([]byte(parts[0]+"."+parts[1]), signature)
		}
	}
	return keyring.ErrUnknownKey
}
