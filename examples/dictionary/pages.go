package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
)

var (
	//go:embed pages.html
	pagesText string
	//go:embed style.css
	styleText []byte
	// html/template escapes what is put into a page by where it stands there: a name with a tag in it is text.
	pages = template.Must(template.New("").Parse(pagesText))
)

// contentSecurityPolicy allows what the pages need, which is one stylesheet and forms that come back here. No script runs, whoever put it there.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// setHeader prepares the header of an answer that is a page.
func setHeader(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // the next person at this browser must not find it with the back button
}

// show answers with the page called name.
func show(w http.ResponseWriter, name string, data any) {
	setHeader(w.Header())
	pages.ExecuteTemplate(w, name, data) // an error is that of a client that has gone away
}

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write(styleText)
}

// forPeople makes a page of every refusal where a browser asks for one: who clicks a link wants no JSON. Programs get what the guard and the mux say. The status and
// the header stay what they are.
func forPeople(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wantsPage(r) {
			w = &pageWriter{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	})
}

// wantsPage reports whether r comes from somebody who looks at a window. Browsers say so in Sec-Fetch-Mode; old ones only take HTML.
func wantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// A pageWriter replaces refusals by pages.
type pageWriter struct {
	http.ResponseWriter
	refused int // the status of a refusal, or 0
}

// Unwrap serves [http.ResponseController].
func (w *pageWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (w *pageWriter) WriteHeader(status int) {
	if status >= 400 {
		w.refused = status
		setHeader(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter]. Refusals are written in one piece.
func (w *pageWriter) Write(b []byte) (int, error) {
	if w.refused == 0 {
		return w.ResponseWriter.Write(b)
	}
	refusal := struct {
		Status              int
		Code, Title, Detail string
	}{Status: w.refused, Title: http.StatusText(w.refused)}
	_ = json.Unmarshal(b, &refusal) // what is no problem detail has its status for a title
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, "refused", refusal); err != nil {
		return 0, err
	}
	_, err := w.ResponseWriter.Write(page.Bytes())
	return len(b), err
}
