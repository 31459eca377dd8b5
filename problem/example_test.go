package problem_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-auth/gatehouse/problem"
)

// A handler returns its error instead of writing it: a problem becomes its answer, and anything else a bare 500 whose cause only the
// log shows.
func ExampleWriter_Handler() {
	answers := &problem.Writer{
		Challenges: []problem.Challenge{{Scheme: "Bearer", Realm: "films", OAuth: true}},
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	films := map[string]string{"1": "Metropolis"}
	mux := http.NewServeMux()
	mux.Handle("GET /films/{id}", answers.Handler(func(w http.ResponseWriter, r *http.Request) error {
		film, ok := films[r.PathValue("id")]
		if !ok {
			return problem.New(problem.NotFound)
		}
		if film == "" {
			return errors.New("film without a title: row 7 of table films")
		}
		_, err := fmt.Fprintln(w, film)
		return err
	}))
	films["2"] = ""
	for _, id := range []string{"1", "2", "3"} {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest("GET", "/films/"+id, nil))
		fmt.Println(rec.Code, rec.Header().Get("Content-Type"))
	}
	// Output:
	// 200 text/plain; charset=utf-8
	// 500 application/problem+json
	// 404 application/problem+json
}

// Clients of a server that is being replaced may expect its statuses.
func ExampleStatuses() {
	statuses, err := problem.Statuses("token-server", map[problem.Code]int{problem.Forbidden: 404})
	fmt.Println(statuses[problem.UnknownToken], statuses[problem.Forbidden], err)

	_, err = problem.Statuses("", map[problem.Code]int{problem.Unavailable: 200})
	fmt.Println(err)
	// Output:
	// 403 404 <nil>
	// unavailable stays 503: a check that cannot be made denies
}
