package token

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// pruneBatch is how many records are removed at a time, so that others can write in between.
const pruneBatch = 500

// Prune removes the records of store whose time is over, and returns how many.
func Prune(ctx context.Context, store Store, now time.Time) (int, error) {
	total := 0
	for {
		n, err := store.Prune(ctx, now, pruneBatch)
		total += n
		if err != nil {
			return total, fmt.Errorf("token: %w", err)
		}
		if n < pruneBatch {
			return total, nil
		}
	}
}

// KeepPruned prunes whenever tick says so until ctx is done or tick is closed. Failures are logged and tried again the next time. A nil logger means slog.Default.
func KeepPruned(ctx context.Context, store Store, tick <-chan time.Time, logger *slog.Logger) {
	if logger == nil {
		logger = slog.Default()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case now, ok := <-tick:
			if !ok {
				return
			}
			if _, err := Prune(ctx, store, now); err != nil && ctx.Err() == nil {
				logger.LogAttrs(ctx, slog.LevelWarn, "overdue tokens could not be removed", slog.Any("error", err))
			}
		}
	}
}
