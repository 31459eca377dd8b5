package session_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestEveryBitOfASecretIsRandom: 256 of a secret, and the 130 of an id. A bit that is the same in all of 200 would be so by chance once in 2^199 runs, as would
// be one that follows another.
func TestEveryBitOfASecretIsRandom(t *testing.T) {
	h := newHouse(t, session.Config{})
	const n = 200
	secrets, ids := make([][]byte, n), make([][]byte, n)
	for i := range n {
		s := h.signIn("jack")
		raw, err := base64.RawURLEncoding.DecodeString(s.Secret().Reveal())
		if err != nil {
			t.Fatal(err)
		}
		secrets[i] = raw
		for _, c := range s.ID() {
			ids[i] = append(ids[i], byte(strings.IndexRune("abcdefghijklmnopqrstuvwxyz234567", c)))
		}
	}
	mustVary(t, "secret", secrets, 32, 8)
	mustVary(t, "id", ids, 26, 5)
}

// mustVary reports bits that are the same in all of the values, or the same as, or the opposite of, another one in all of them.
func mustVary(t *testing.T, what string, values [][]byte, places, bits int) {
	t.Helper()
	seen := map[string]string{}
	for place := range places {
		for bit := range bits {
			name := fmt.Sprintf("bit %d of byte %d", bit, place)
			var course strings.Builder // relative to the first value, so that the opposite looks the same
			for _, value := range values {
				course.WriteByte('0' + (value[place]^values[0][place])>>bit&1)
			}
			if !strings.Contains(course.String(), "1") {
				t.Errorf("the %s of a %s is always the same", name, what)
			}
			if other, ok := seen[course.String()]; ok {
				t.Errorf("the %s of a %s goes with the %s", name, what, other)
			}
			seen[course.String()] = name
		}
	}
}

// TestSecretsUnderLoad: many who sign in at the same moment have different secrets and ids.
func TestSecretsUnderLoad(t *testing.T) {
	h := newHouse(t, session.Config{})
	const crowd, each = 16, 250
	var given sync.Map
	var wg sync.WaitGroup
	for range crowd {
		wg.Go(func() {
			for range each {
				s := new(session.Session)
				if err := h.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{}); err != nil {
					t.Errorf("Start = %v", err)
					return
				}
				for _, name := range []string{s.Secret().Reveal(), s.ID()} {
					if _, twice := given.LoadOrStore(name, true); twice || name == "" {
						t.Errorf("%q was given twice", name)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestTimeoutsPerAssuranceLevel: with the limits that NIST SP 800-63B-4 has for each level, use moves the idle limit alone, and who proves again who he is begins anew.
func TestTimeoutsPerAssuranceLevel(t *testing.T) {
	for name, c := range map[string]session.Config{
		"AAL1, by default": {}, "AAL2": {Idle: time.Hour, Absolute: day}, "AAL3": {Idle: 15 * time.Minute, Absolute: 12 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, c)
			idle, absolute := h.Idle, h.Absolute
			if absolute > 30*day || idle > absolute {
				t.Errorf("the limits are %v and %v, want 30 days in all at most", idle, absolute)
			}
			use := func(s *session.Session, d time.Duration) { // for d, each time just before it would end
				for step := idle - time.Minute; d > 0; d -= step {
					h.clock.advance(min(step, d))
					h.again(s)
				}
			}
			idler := h.signIn("ann")
			s := h.signIn("jack")
			use(s, absolute-time.Minute)
			h.over("a session that nobody used", idler, gatehouse.ErrSession)
			proved := h.start(h.again(s), "jack")
			use(proved, absolute-time.Minute) // far beyond the end of the first
			h.clock.advance(time.Minute)
			h.over("the session of before", s, session.ErrUnknown)
			h.over("a session in use, at its end", proved, session.ErrOverdue)

			last := h.signIn("jack")
			use(last, idle+time.Minute)
			h.clock.advance(idle)
			h.over("a session that was used until an idle limit ago", last, session.ErrOverdue)
		})
	}
}

// TestLimitsAreDocumented: the page for programs says which limits there are, what they are by default, and how many sessions one user may have.
func TestLimitsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(text)), " ")
	for _, want := range []string{
		fmt.Sprintf("`Idle` (%d h)", session.DefaultIdle/time.Hour), fmt.Sprintf("`Absolute` (%d d)", session.DefaultAbsolute/day),
		fmt.Sprintf("`Touch` (%d min)", session.DefaultTouch/time.Minute), "no activity extends it", "NIST SP 800-63B-4", "`MaxPerSubject` ends the oldest", "any number",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/go.md does not say %q", want)
		}
	}
	h := newHouse(t, session.Config{})
	for range 50 {
		h.signIn("jack")
	}
	if n := len(h.ids("jack")); n != 50 {
		t.Errorf("by default one user has %d sessions after 50 log-ins, and the page says any number", n)
	}
}

// gappyRandomness fails once, after so many reads.
type gappyRandomness int

func (n *gappyRandomness) Read(b []byte) (int, error) {
	if *n--; *n == -1 {
		return 0, errors.New("planted: no randomness")
	}
	for i := range b {
		b[i] = byte(i)
	}
	return len(b), nil
}

// TestNoRandomness: a generator that fails ends the program, whatever it was asked for. No session is begun with a secret that somebody could guess.
func TestNoRandomness(t *testing.T) {
	const child = "GATEHOUSE_TEST_READS_OF_RANDOMNESS"
	if text := os.Getenv(child); text != "" {
		startAfter(t, text)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for reads, dies := range []bool{true, true, false} { // one for the secret, one for the id
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestNoRandomness$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", child, reads))
		out, err := cmd.CombinedOutput()
		died := err != nil && !strings.Contains(string(out), "goes on") && strings.Contains(string(out), "planted: no randomness")
		if died != dies {
			t.Errorf("with a generator that fails after %d reads the program ends with %v and says\n%s\nwant that it dies of that: %v", reads, err, out, dies)
		}
	}
}

// startAfter starts a session with a generator that fails once, after so many reads, and says so if the program goes on.
func startAfter(t *testing.T, reads string) {
	h := newHouse(t, session.Config{})
	s := h.visitor()
	n, err := strconv.Atoi(reads)
	if err != nil {
		t.Fatal(err)
	}
	gappy := gappyRandomness(n)
	defer func(before io.Reader) { rand.Reader = before }(rand.Reader)
	rand.Reader = &gappy
	defer func() { fmt.Println("goes on after a panic:", recover()) }()
	err = h.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{})
	fmt.Println("goes on:", s.ID(), err)
}
