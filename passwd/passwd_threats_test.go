package passwd

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestEveryBitOfASaltIsRandom: all 128 of it. A bit that is the same in all of 100 would be so by chance once in 2^99 runs.
func TestEveryBitOfASaltIsRandom(t *testing.T) {
	h, _ := newHasher(t, cheap)
	var first, changed [saltLength]byte
	for i := range 100 {
		salt, err := base64.RawStdEncoding.DecodeString(strings.Split(mustHash(t, h, "the same password"), "$")[4])
		if err != nil || len(salt) != saltLength {
			t.Fatalf("the salt has %d bytes, %v, want %d", len(salt), err, saltLength)
		}
		if i == 0 {
			copy(first[:], salt)
		}
		for j := range salt {
			changed[j] |= salt[j] ^ first[j]
		}
	}
	for j, bits := range changed {
		if bits != 0xff {
			t.Errorf("of byte %d of a salt only the bits %08b change", j, bits)
		}
	}
}

// TestLongPasswordsTakeNobodysTurn: however long a password is, it costs neither work nor a place in the queue, and nobody else waits for it.
func TestLongPasswordsTakeNobodysTurn(t *testing.T) {
	c := cheap
	c.Parallel, c.Queue = 1, -1
	h, work := newHasher(t, c)
	stored := mustHash(t, h, "right")
	work.work()
	release, err := h.slots.acquire(t.Context(), 1) // somebody else is being checked
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{strings.Repeat("x", MaxBytes+1), strings.Repeat("x", 8<<20)} {
		for _, hash := range []string{stored, ""} {
			if got := outcome(h.Verify(t.Context(), hash, password)); got != "wrong length" {
				t.Errorf("Verify(%.9q, %d bytes) beside another = %s, want wrong length at once", hash, len(password), got)
			}
		}
		if _, err := h.Hash(t.Context(), password); !errors.Is(err, ErrLength) {
			t.Errorf("Hash(%d bytes) beside another = %v, want ErrLength at once", len(password), err)
		}
	}
	if done := work.work(); done != nil {
		t.Errorf("passwords that are too long cost %v, want nothing", done)
	}
	release()
	if got := outcome(h.Verify(t.Context(), stored, "right")); got != "right" {
		t.Errorf("Verify afterwards = %s, want right", got)
	}
}

// noRandomness fails as a system does that has none.
type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("planted: no randomness") }

// TestNoRandomness: a generator that fails ends the program: no password is hashed with a salt that others have.
func TestNoRandomness(t *testing.T) {
	const child = "GATEHOUSE_TEST_WITHOUT_RANDOMNESS"
	if os.Getenv(child) != "" {
		h, _ := newHasher(t, cheap)
		rand.Reader = noRandomness{}
		defer func() { fmt.Println("goes on after a panic:", recover()) }()
		hash, err := h.Hash(t.Context(), "correct horse")
		fmt.Println("goes on:", hash, err)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestNoRandomness$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Contains(string(out), "goes on") || !strings.Contains(string(out), "planted: no randomness") {
		t.Errorf("without randomness the program ends with %v and says\n%s\nwant that it dies of that", err, out)
	}
}
