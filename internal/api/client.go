package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/token"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// badClient is the answer to a client that has not proved who it is. Whether there is such a client, and what is wrong with its proof, cannot be seen from it.
func badClient(cause error, about ...slog.Attr) *fault {
	return &fault{status: http.StatusUnauthorized, code: "invalid_client", cause: cause, about: about,
		description: "Authenticate with a client_assertion that the client has just signed with its registered key, or with the client's secret by HTTP Basic."}
}

var (
	errNoProof = errors.New("no credential of a client")
	errOther   = errors.New("client_id names another client than the one that is authenticated")
)

// client authenticates the client that sent r.
func (o *oauth) client(r *http.Request, form url.Values) (Client, error) {
	c, err := o.anyClient(r, form)
	if err == nil && c.ID == "" {
		err = badClient(errNoProof)
	}
	return c, err
}

// anyClient is client where none is needed: without a credential it returns the zero Client. It takes exactly one of the ways of RFC 6749, section 2.3, and RFC 7523, section 2.2.
// A client_id beside must be the same client's.
func (o *oauth) anyClient(r *http.Request, form url.Values) (c Client, err error) {
	header := r.Header.Get("Authorization") != "" // of whatever scheme: one that proves no client is a failed attempt
	secret := form.Has("client_secret")
	assertion := form.Has("client_assertion") || form.Has("client_assertion_type")
	switch {
	case header && secret, header && assertion, secret && assertion:
		return Client{}, invalid("invalid_request", "Authenticate in one way, not in several.")
	case header:
		c, err = o.byBasic(r)
	case secret:
		c, err = o.bySecret(r.Context(), form.Get("client_id"), form.Get("client_secret"))
	case assertion && form.Get("client_assertion_type") != assertionType:
		return Client{}, invalid("invalid_request", "The client_assertion_type must be "+assertionType+".")
	case assertion:
		c, err = o.byAssertion(r.Context(), form.Get("client_assertion"))
	default:
		return Client{}, nil
	}
	if err == nil {
		err = sameClient(c, form)
	}
	if err != nil {
		return Client{}, err
	}
	return c, nil
}

func sameClient(c Client, form url.Values) error {
	if form.Has("client_id") && form.Get("client_id") != c.ID {
		return badClient(errOther, slog.String("client", c.ID))
	}
	return nil
}

// byBasic authenticates a client by HTTP Basic. RFC 6749, section 2.3.1, wants both parts form-encoded, which many clients do not know: a secret counts as well as it stands.
func (o *oauth) byBasic(r *http.Request) (Client, error) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return Client{}, badClient(errNoProof)
	}
	decodedID, err1 := url.QueryUnescape(id)
	decoded, err2 := url.QueryUnescape(secret)
	if err1 != nil || err2 != nil || !strings.ContainsAny(id+secret, "%+") {
		return o.bySecret(r.Context(), id, secret)
	}
	c, err := o.bySecret(r.Context(), decodedID, decoded)
	if err != nil && errors.Is(err, token.ErrClient) {
		return o.bySecret(r.Context(), id, secret)
	}
	return c, err
}

// nobody has a secret that is nobody's, so that a client that does not exist takes as long as a wrong secret.
var nobody = token.Client{Secrets: make([][sha256.Size]byte, 1)}

func (o *oauth) bySecret(ctx context.Context, id, secret string) (Client, error) {
	c, err := o.Client(ctx, id)
	if errors.Is(err, token.ErrClient) {
		_ = nobody.CheckSecret(secret)
		return Client{}, badClient(err)
	}
	if err != nil {
		return Client{}, err
	}
	if err := c.CheckSecret(secret); err != nil {
		return Client{}, badClient(err, slog.String("client", c.ID))
	}
	return c, nil
}

// byAssertion returns the client that has signed assertion, which is used up by it.
func (o *oauth) byAssertion(ctx context.Context, assertion string) (Client, error) {
	signer, err := o.Assertions.Verify(ctx, assertion)
	if err != nil {
		return Client{}, assertionFault(err)
	}
	c, err := o.Client(ctx, signer.ID)
	if err != nil {
		return Client{}, assertionFault(err)
	}
	return c, nil
}

// assertionFault turns an error of an assertion into the answer.
func assertionFault(err error) error {
	switch {
	case errors.Is(err, gatehouse.ErrMalformed):
		return &fault{status: http.StatusBadRequest, code: "invalid_request", description: "The assertion is not a signed token.", cause: err}
	case errors.Is(err, gatehouse.ErrCredential):
		return badClient(err)
	}
	return err
}
