package passwd

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-auth/gatehouse/third_party/passwords"
)

const (
	shortestListed = 8 // code points of an entry: no policy takes shorter passwords
	shortestPart   = 4 // code points of an entry of PolicyConfig.Blocked that counts inside of a password
)

// wellKnown is the list, folded and sorted. It is unpacked when the first password is judged.
var wellKnown = sync.OnceValue(func() []string {
	text, err := unpack(passwords.Packed)
	if err != nil {
		panic("passwd: the embedded list of passwords is damaged: " + err.Error()) // a broken build, never input
	}
	return foldAll(strings.Split(strings.TrimSuffix(text, "\n"), "\n"))
})

// foldAll returns the letters of all entries, sorted.
func foldAll(entries []string) []string {
	list := make([]string, len(entries))
	for i, entry := range entries {
		list[i] = string(fold(entry).letters)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func unpack(packed []byte) (string, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

// known reports whether exactly these letters are a well-known password.
func (p *Policy) known(letters []rune) bool {
	word := string(letters)
	_, listed := slices.BinarySearch(wellKnown(), word)
	_, blocked := slices.BinarySearch(p.blocked, word)
	return listed || blocked
}

// knownAt returns the lengths of the well-known passwords that letters begin with.
func (p *Policy) knownAt(letters []rune) []int {
	return append(beginnings(wellKnown(), letters, shortestListed), beginnings(p.blocked, letters, shortestPart)...)
}

// beginnings returns the lengths of the entries of a sorted list that letters begin with, without those that are shorter than least.
func beginnings(list []string, letters []rune, least int) (lengths []int) {
	if len(letters) < least {
		return nil
	}
	head, text := string(letters[:least]), string(letters)
	i, _ := slices.BinarySearch(list, head)
	for ; i < len(list) && strings.HasPrefix(list[i], head); i++ {
		if strings.HasPrefix(text, list[i]) {
			lengths = append(lengths, utf8.RuneCountInString(list[i]))
		}
	}
	return lengths
}

// A folded text is one without what people change in a well-known password so that it looks like another one. Both forms have the same length.
type folded struct {
	plain   []rune // without case, accents and width
	letters []rune // and with letters for the digits and signs that stand for them
}

func fold(text string) folded {
	var f folded
	for _, c := range norm.NFKD.String(text) {
		if unicode.Is(unicode.Mn, c) {
			continue
		}
		c = unicode.ToLower(c)
		f.plain = append(f.plain, c)
		f.letters = append(f.letters, letter(c))
	}
	return f
}

// letter returns the letter that a digit or a sign stands for.
func letter(c rune) rune {
	switch c {
	case '4', '@':
		return 'a'
	case '8':
		return 'b'
	case '3', '€':
		return 'e'
	case '1', '!', '|', 'l':
		return 'i'
	case '0':
		return 'o'
	case '5', '$':
		return 's'
	case '7', '+':
		return 't'
	}
	return c
}

// names returns the folded names of a context: each as a whole, and its parts of at least three letters.
func names(lists ...[]string) [][]rune {
	var all [][]rune
	add := func(name string) {
		if letters := fold(name).letters; len(letters) >= 3 {
			all = append(all, letters)
		}
	}
	for _, name := range slices.Concat(lists...) {
		add(name)
		parts := strings.FieldsFunc(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
		if len(parts) < 2 {
			continue
		}
		for _, part := range parts {
			add(part)
		}
	}
	return all
}
