package passwd

import (
	"slices"
	"strings"
)

// rows are keys that lie side by side, and letters that follow each other where the alphabet alone does not tell.
var rows = strings.Fields("1234567890-= qwertyuiop[] asdfghjkl;' zxcvbnm,./ " + // US
	"qwertzuiopü asdfghjklöä yxcvbnm azertyuiop qsdfghjklm wxcvbn " + // German, French
	"йцукенгшщзхъ фывапролджэ ячсмитьбю " + // Russian
	"1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm 8ik, 9ol. 0p;/ 0okm 9ijn 8uhb 7ygv 6tfc 5rdx 4esz") // down, to the right and to the left

// The ways in which a character may follow another one.
const (
	same = 1 << iota
	up
	down
	upTwo
	downTwo
	forward
	backward
)

// neighbours says for two characters whether they lie side by side in a row.
var neighbours = func() map[[2]rune]uint8 {
	m := map[[2]rune]uint8{}
	for _, row := range rows {
		keys := fold(row).plain
		for i := 1; i < len(keys); i++ {
			m[[2]rune{keys[i-1], keys[i]}] |= forward
			m[[2]rune{keys[i], keys[i-1]}] |= backward
		}
	}
	return m
}()

// follows returns the ways in which b follows a.
func follows(a, b rune) uint8 {
	ways := neighbours[[2]rune{a, b}]
	switch b - a {
	case 0:
		ways |= same
	case 1:
		ways |= up
	case -1:
		ways |= down
	case 2:
		ways |= upTwo
	case -2:
		ways |= downTwo
	}
	return ways
}

// run returns how many characters from the front of text go on in one way, looking at each step-th only.
func run(text []rune, step int) int {
	ways, n := ^uint8(0), 1
	for i := step; i < len(text); i += step {
		if ways &= follows(text[i-step], text[i]); ways == 0 {
			break
		}
		n++
	}
	return n
}

// period returns the length of what text repeats to its end, at least twice: 8 for "passwordpassword". If it does not repeat itself, that is its own
// length and more.
func period(text []rune) int {
	for n := 1; n <= len(text)/2; n++ {
		if slices.Equal(text[n:], text[:len(text)-n]) {
			return n
		}
	}
	return MaxBytes
}

// The weights of what is found in a password; a character of its own weighs 1.
const (
	weightRow   = 1
	weightYear  = 1
	weightName  = 1
	weightCopy  = 1
	weightKnown = 2
)

// own returns how much of a password is its own: the least sum of weights with which it can be put together.
func (p *Policy) own(text folded, names [][]rune) int {
	n := len(text.plain)
	s := scale{text, make([]int, n+1), make([]int, n+1)}
	for i := n - 1; i >= 0; i-- {
		s.least[i] = s.least[i+1] + 1
		s.upTo(i, 3, run(text.plain[i:], 1), weightRow)
		s.braid(i)
		s.year(i)
		s.upTo(i, 3, s.copied(i), weightCopy)
		for _, name := range names {
			if hasPrefix(text.letters[i:], name) {
				s.relax(i, len(name), weightName)
			}
		}
		for _, length := range p.knownAt(text.letters[i:]) {
			s.relax(i, length, weightKnown)
		}
	}
	return s.least[0]
}

// A scale weighs a text from its end to its begin.
type scale struct {
	folded
	least []int // of the text from here to its end
	alike []int // how far the text from here is like the text from the place in work
}

// relax says that the next length characters weigh so much together.
func (s scale) relax(i, length, weight int) {
	s.least[i] = min(s.least[i], s.least[i+length]+weight)
}

// upTo is relax for each length from least to most.
func (s scale) upTo(i, least, most, weight int) {
	for length := least; length <= most; length++ {
		s.relax(i, length, weight)
	}
}

// braid finds two rows whose characters take turns, as in "1q2w3e4r".
func (s scale) braid(i int) {
	text := s.plain[i:]
	if len(text) < 6 {
		return
	}
	odd, even := run(text, 2), run(text[1:], 2)
	s.upTo(i, 6, 2*min(odd, even), 2*weightRow)
}

// year finds the years from 1900 to 2099.
func (s scale) year(i int) {
	if len(s.plain)-i < 4 {
		return
	}
	year := string(s.plain[i : i+4])
	if (strings.HasPrefix(year, "19") || strings.HasPrefix(year, "20")) && strings.Trim(year, "0123456789") == "" {
		s.relax(i, 4, weightYear)
	}
}

// copied returns the length of the longest text that begins at i and has begun further to the front already. It must be called for each i, from the
// last to the first.
func (s scale) copied(i int) int {
	longest := 0
	for j := range i { // in this order alike[j+1] is still of i+1
		s.alike[j] = 0
		if s.plain[j] == s.plain[i] {
			s.alike[j] = s.alike[j+1] + 1
		}
		longest = max(longest, s.alike[j])
	}
	return longest
}

func hasPrefix(text, prefix []rune) bool {
	return len(text) >= len(prefix) && slices.Equal(text[:len(prefix)], prefix)
}
