package guard

import (
	"net/http"
	"sync"
)

// ResetOutside lets the next verb outside any guard be logged again.
func ResetOutside() { outsideLog = sync.Once{} }

// BehindRole is RequireRole for a guard that may have no roles.
func (g *Guard) BehindRole(next http.HandlerFunc) http.Handler {
	return g.behind("RequireRole", next, func(x *exchange, _ *http.Request) error {
		_, err := x.requireRole("admin")
		return err
	})
}
