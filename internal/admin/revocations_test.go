package admin_test

import (
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/admin"
)

type list struct{ age time.Duration }

func (l list) Staleness() time.Duration { return l.age }
func (list) Bound() time.Duration       { return 5 * time.Second }
func (list) Len() int                   { return 7 }
func (list) Last() int64                { return 42 }

func TestStalenessOfRevocationsIsExported(t *testing.T) {
	m := admin.NewMetrics("v", func() uint64 { return 0 })
	var current admin.Revocations
	m.WatchRevocations(func() admin.Revocations { return current })
	scrape := func() string {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	if text := scrape(); strings.Contains(text, "gatehouse_revocations") {
		t.Errorf("without a list there are gauges of it:\n%s", text)
	}
	for age, want := range map[time.Duration]string{1500 * time.Millisecond: "1.5", math.MaxInt64: "+Inf"} {
		current = list{age}
		text := scrape()
		for _, line := range []string{"gatehouse_revocations_staleness_seconds " + want, "gatehouse_revocations_bound_seconds 5",
			"gatehouse_revocations_live 7", "gatehouse_revocations_feed_position 42"} {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("metrics with a list of age %v lack %q", age, line)
			}
		}
	}
}
