package cli

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The sample API stands for any application: it knows nothing of tokens and believes the headers that the gate sets.
type sampleAPI struct {
	mu    sync.Mutex
	films map[int]string
	next  int
}

func newSampleAPI() http.Handler {
	a := &sampleAPI{films: map[int]string{1: "A New Hope", 2: "The Empire Strikes Back", 3: "Return of the Jedi"}, next: 4}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.whoami)
	mux.HandleFunc("GET /public/hello", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "hello, anyone") })
	mux.HandleFunc("GET /films", a.list)
	mux.HandleFunc("GET /films/{id}", a.get)
	mux.HandleFunc("POST /films", a.add)
	mux.HandleFunc("DELETE /films/{id}", a.remove)
	return mux
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

func (a *sampleAPI) whoami(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, map[string]string{"user": r.Header.Get("Remote-User"), "groups": r.Header.Get("Remote-Groups"), "email": r.Header.Get("Remote-Email")})
}

func (a *sampleAPI) list(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer(w, http.StatusOK, a.films)
}

func (a *sampleAPI) get(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id, _ := strconv.Atoi(r.PathValue("id"))
	title, ok := a.films[id]
	if !ok {
		answer(w, http.StatusNotFound, "no such film")
		return
	}
	answer(w, http.StatusOK, title)
}

func (a *sampleAPI) add(w http.ResponseWriter, r *http.Request) {
	var film struct{ Title string }
	if err := json.NewDecoder(r.Body).Decode(&film); err != nil || film.Title == "" {
		answer(w, http.StatusBadRequest, `send {"title": "…"}`)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.films[a.next] = film.Title
	answer(w, http.StatusCreated, map[string]any{"id": a.next, "title": film.Title})
	a.next++
}

func (a *sampleAPI) remove(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id, _ := strconv.Atoi(r.PathValue("id"))
	if _, ok := a.films[id]; !ok {
		answer(w, http.StatusNotFound, "no such film")
		return
	}
	delete(a.films, id)
	w.WriteHeader(http.StatusNoContent)
}

// startSample serves the sample API on a free port of this machine.
func startSample() (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: newSampleAPI(), ReadHeaderTimeout: 5 * time.Second}
	go srv.Serve(l)
	return "http://" + l.Addr().String(), func() { srv.Close() }, nil
}
