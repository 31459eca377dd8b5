package api

import (
	"errors"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// keys serves GET /.well-known/jwks.json: the public keys of all rings.
func (o *oauth) keys() func(http.ResponseWriter, *http.Request) error {
	set := keyring.JWKS(o.Rings...)
	return func(w http.ResponseWriter, r *http.Request) error {
		for _, ring := range o.Rings {
			if len(ring.All()) == 0 {
				return errors.New("the keys of a ring are not known")
			}
		}
		set.ServeHTTP(w, r)
		return nil
	}
}
