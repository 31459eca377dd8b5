package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// maxForm bounds the body of a request to these endpoints: a token, an assertion and a few words.
const maxForm = 64 << 10

// readForm reads the parameters in the body of r. Those of the query are never looked at: they stand in logs. RFC 6749, section 3.2: a parameter without a
// value is treated as absent, unknown ones are ignored, none may come twice. An error never holds a part of the body, which is full of secrets.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalid("invalid_request", "Send the parameters as application/x-www-form-urlencoded in the body.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, &fault{status: http.StatusRequestEntityTooLarge, code: "invalid_request", description: "The body is larger than this server takes.", cause: err}
		}
		return nil, &fault{status: http.StatusBadRequest, code: "invalid_request", description: "The body ended early. Send the request again, whole.", cause: err}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalid("invalid_request", "The body is not a well-formed form.")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, invalid("invalid_request", "A parameter comes twice.")
		}
		if values[0] == "" {
			form.Del(name)
		}
	}
	return form, nil
}
