package revoke_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// slow is a store that takes its time before it answers, and has added meanwhile.
type slow struct {
	*store
	takes time.Duration
}

func (s *slow) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	time.Sleep(s.takes / 2)
	seq, err := s.store.Add(ctx, entries...)
	time.Sleep(s.takes / 2)
	return seq, err
}

// TestRevocationsThatOverlap: where there is no moment at which nothing is on its way, what is noted does not grow with what is read, whether each revokes something else or all the same, and whether
// others revoke as well.
func TestRevocationsThatOverlap(t *testing.T) {
	const writers, rounds = 16, 200
	for name, id := range map[string]func(node, writer, round int) string{
		"something else each":    func(node, writer, round int) string { return fmt.Sprint(node, "-", writer, "-", round) },
		"the same each":          func(int, int, int) string { return "t" },
		"the same as the others": func(_, writer, round int) string { return fmt.Sprint(writer, "-", round) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &slow{&store{}, 3 * time.Millisecond}
				var lists []*revoke.List
				for range 2 {
					l := revoke.New(s, revoke.Config{Logger: slog.New(slog.DiscardHandler)})
					start(t, l)
					lists = append(lists, l)
				}
				synctest.Wait()
				expires := time.Now().Add(time.Hour)
				var all sync.WaitGroup
				for node, l := range lists {
					for writer := range writers {
						all.Go(func() {
							time.Sleep(time.Duration(writer) * 190 * time.Microsecond) // they do not end at once
							for round := range rounds {
								if err := l.RevokeToken(t.Context(), id(node, writer, round), expires); err != nil {
									t.Error(err)
								}
							}
						})
					}
				}
				most := 0
				for range rounds {
					time.Sleep(3 * time.Millisecond)
					for _, l := range lists {
						most = max(most, l.Noted())
					}
				}
				all.Wait()
				time.Sleep(2 * time.Second)
				if s.size() != 2*writers*rounds || most > 5*writers {
					t.Errorf("of %d entries %d were noted at once, want no more than a few for each of the %d that are on their way", s.size(), most, writers)
				}
				for _, l := range lists {
					if l.Noted() != 0 || l.Owed() != 0 || l.Last() != int64(s.size()) {
						t.Errorf("in the end %d are noted and %d owed at %d of %d, want none at the end", l.Noted(), l.Owed(), l.Last(), s.size())
					}
				}
			})
		})
	}
}
