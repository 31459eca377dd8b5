package api_test

import (
	"sync"
	"testing"
)

// TestRevokedWhileItIsRenewed: whichever comes first, after the answer to the revocation nothing of the log-in counts, what was minted at the same moment included.
func TestRevokedWhileItIsRenewed(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		for range 200 {
			pair := d.start("reports")
			got := make([]answer, 4)
			var all sync.WaitGroup
			for i := range got {
				all.Go(func() {
					if i == 0 {
						got[i] = d.revoke("reports", pair.Refresh.Text.Reveal())
					} else {
						got[i] = d.renew(pair.Refresh.Text.Reveal(), basic("reports"))
					}
				})
			}
			all.Wait()
			if got[0].status != 200 {
				t.Fatalf("revoking = %d %s, want 200", got[0].status, got[0].body)
			}
			if d.counts(pair.Access.Text.Reveal()) {
				t.Fatal("the first access token counts after the log-in was revoked")
			}
			for _, renewed := range got[1:] {
				switch {
				case renewed.status == 200 && d.counts(renewed.member("access_token")):
					t.Fatal("an access token that was made at the same moment counts after the log-in was revoked")
				case renewed.status == 200 && d.renew(renewed.member("refresh_token"), basic("reports")).status != 400:
					t.Fatal("a refresh token that was made at the same moment works after the log-in was revoked")
				case renewed.status != 200 && !renewed.is(400, "invalid_grant"):
					t.Fatalf("renewing at the same moment = %d %s, want 200 or 400 invalid_grant", renewed.status, renewed.body)
				}
			}
		}
	})
}

// TestManyAtOnce: all endpoints at once, while keys rotate, give sensible answers, and none mixes up its callers.
func TestManyAtOnce(t *testing.T) {
	d := newDesk(t, setting{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			client := []string{"reports", "other"}[i%2]
			for range 25 {
				text := d.token(client)
				if got := d.introspect(client, text); got.member("client_id") != client || got.member("sub") != client {
					t.Errorf("introspection = %s, want a token of %s", got.body, client)
				}
				if got := d.get(keysPath); got.status != 200 {
					t.Errorf("the public keys = %d %s, want 200", got.status, got.body)
				}
				if _, err := d.ring.Rotate(t.Context()); err != nil {
					t.Error(err)
				}
				if got := d.revoke(client, text); got.status != 200 || d.counts(text) || d.introspect(client, text).body != inactive {
					t.Errorf("revoking = %d %s, want 200 and its end", got.status, got.body)
				}
				if got := d.post("/oauth/token", encoded(client, "wrong"), forms["/oauth/token"]); got.status != 401 {
					t.Errorf("a wrong secret = %d %s, want 401", got.status, got.body)
				}
			}
		})
	}
	all.Wait()
}
