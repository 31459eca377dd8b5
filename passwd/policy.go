package passwd

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// The lengths that a policy may ask for, in code points.
const (
	DefaultMinLength = 15 // where the password is all that is asked for (NIST SP 800-63B-4)
	LeastMinLength   = 8  // where it is asked for together with a second factor
	DefaultMaxLength = 128
	LeastMaxLength   = 64 // what a policy has to accept
)

// A PolicyConfig says which new passwords are refused. The zero PolicyConfig is good.
type PolicyConfig struct {
	// MinLength is the least number of code points. Zero means 15; less than 8 is refused.
	MinLength int
	// MaxLength is the largest number of code points. Zero means 128; less than 64 is refused. [MaxBytes] is a limit besides it.
	MaxLength int
	// Blocked are passwords that are refused, besides the embedded list: those of your own that got known. Case, accents and digits in the place of letters
	// do not matter.
	Blocked []string
	// Context are names that everybody knows who guesses passwords here: of the product, the host, the company. What counts as a name in a password is
	// said at [Policy.Check].
	Context []string
}

// A Policy says whether a new password is worth being one. It asks for length and against being known, and for no classes of characters: spaces,
// emoji and whole sentences are welcome. It is for new passwords only, never for those that exist, and is safe for concurrent use. Make it with
// [NewPolicy].
type Policy struct {
	min, max int
	blocked  []string // folded and sorted
	context  []string
}

// NewPolicy returns a Policy. The error says what is wrong with c.
func NewPolicy(c PolicyConfig) (*Policy, error) {
	if c.MinLength == 0 {
		c.MinLength = DefaultMinLength
	}
	if c.MaxLength == 0 {
		c.MaxLength = max(DefaultMaxLength, c.MinLength)
	}
	switch {
	case c.MinLength < LeastMinLength:
		return nil, fmt.Errorf("passwd: a MinLength of %d: it has to be at least %d, and %d where nothing but the password is asked for", c.MinLength, LeastMinLength, DefaultMinLength)
	case c.MaxLength < LeastMaxLength || c.MaxLength > MaxBytes:
		return nil, fmt.Errorf("passwd: a MaxLength of %d: it has to be %d to %d", c.MaxLength, LeastMaxLength, MaxBytes)
	case c.MinLength > c.MaxLength:
		return nil, fmt.Errorf("passwd: MinLength %d is more than MaxLength %d", c.MinLength, c.MaxLength)
	}
	return &Policy{c.MinLength, c.MaxLength, foldAll(c.Blocked), slices.Clone(c.Context)}, nil
}

// The codes of a [Refusal].
const (
	TooShort = "too_short" // fewer code points than MinLength
	TooLong  = "too_long"  // more code points than MaxLength, or more than MaxBytes
	NotText  = "not_text"  // not UTF-8
	Common   = "common"    // on a list of passwords that many use
	Repeats  = "repeats"   // a few characters again and again
	Pattern  = "pattern"   // little more than rows of keys, well-known passwords and repetitions
	Personal = "personal"  // little more than names that others know
)

// A Refusal is the error of [Policy.Check]. Nothing of the password stands in it.
type Refusal struct {
	// Code is one of TooShort, TooLong, NotText, Common, Repeats, Pattern, Personal.
	Code string
	text string
}

// Error returns a sentence for the person who has chosen the password: what is wrong, and what to do.
func (r *Refusal) Error() string { return r.text }

// Check returns nil if password may become somebody's password, and otherwise a [*Refusal]. context are names that belong to this account, besides those of
// the PolicyConfig: the user's name, mail address, company.
//
// A password that is on the list of well-known ones is refused, in whatever case, with accents or with digits for letters ("P4ssw0rd"). It is also refused
// if too little of it is its own: a row of keys or of the alphabet, a repetition, a year, and a name of the context count as one character each, a
// well-known password inside as two, everything else as it is; half of MinLength must remain. Names shorter than three letters are not looked for.
func (p *Policy) Check(password string, context ...string) error {
	if r := p.checkLength(password); r != nil {
		return r
	}
	text := fold(password)
	if p.known(text.letters) {
		return &Refusal{Common, "the password is well known: it is among the first that are tried. Choose another one"}
	}
	if n := period(text.plain); n < p.min {
		return &Refusal{Repeats, fmt.Sprintf("the password is %d characters again and again. Choose one that does not repeat itself", n)}
	}
	return p.checkOwn(text, context)
}

// checkLength returns nil or a refusal of a length.
func (p *Policy) checkLength(password string) error {
	if len(password) > MaxBytes {
		return &Refusal{TooLong, fmt.Sprintf("the password has %d bytes, and at most %d are taken", len(password), MaxBytes)}
	}
	if !utf8.ValidString(password) {
		return &Refusal{NotText, "the password is not valid UTF-8: it was sent in another encoding"}
	}
	switch n := utf8.RuneCountInString(normal(password)); {
	case n < p.min:
		return &Refusal{TooShort, fmt.Sprintf("the password has %s: choose one of at least %d characters, say, some words in a row", characters(n), p.min)}
	case n > p.max:
		return &Refusal{TooLong, fmt.Sprintf("the password has %d characters, and at most %d are taken", n, p.max)}
	}
	return nil
}

func characters(n int) string {
	if n == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters", n)
}

// checkOwn refuses a password of which too little is its own.
func (p *Policy) checkOwn(text folded, context []string) error {
	need := (p.min + 1) / 2
	if p.own(text, nil) < need {
		return &Refusal{Pattern, "the password is little more than well-known passwords, rows of keys and repetitions. Choose one that is harder to guess"}
	}
	if p.own(text, names(p.context, context)) < need {
		return &Refusal{Personal, "the password is little more than names that others know: yours, or that of this place. Choose one that has nothing to do with them"}
	}
	return nil
}
