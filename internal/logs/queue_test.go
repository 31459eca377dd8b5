package logs_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/logs"
)

// writer lets a test decide what a write does.
type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestAWriterThatFailsCostsLinesOnly(t *testing.T) {
	for name, w := range map[string]writer{
		"error": func([]byte) (int, error) { return 0, errors.New("disk full") },
		"panic": func([]byte) (int, error) { panic("broken writer") },
		"nil":   nil,
	} {
		set := logs.New(w, logs.Config{})
		for range 100 {
			set.Logger("access").Info("line")
		}
		flush(t, set)
		if set.Dropped() != 100 {
			t.Errorf("%s: Dropped() = %d, want 100", name, set.Dropped())
		}
	}
}

func TestAWriterThatRecoversGetsLaterLines(t *testing.T) {
	var out buffer
	broken := make(chan bool, 1)
	set := logs.New(writer(func(p []byte) (int, error) {
		select {
		case <-broken:
			return 0, errors.New("once")
		default:
			return out.Write(p)
		}
	}), logs.Config{})
	broken <- true
	set.Logger("access").Info("lost")
	flush(t, set)
	set.Logger("access").Info("kept")
	flush(t, set)
	if got := out.String(); strings.Contains(got, "lost") || !strings.Contains(got, "kept") || set.Dropped() != 1 {
		t.Errorf("output %q, %d dropped, want only the second line and 1", got, set.Dropped())
	}
}

func TestAWriterThatHangsBlocksNobodyAndFillsNothing(t *testing.T) {
	var out buffer
	release := make(chan struct{})
	set := logs.New(writer(func(p []byte) (int, error) {
		<-release
		return out.Write(p)
	}), logs.Config{})
	long := strings.Repeat("x", 4<<10)
	const lines = 2000 // about 8 MB, of which at most 2 MB may wait
	for range lines {
		set.Logger("access").Info("line", "x", long)
	}
	if set.Flush(time.Millisecond) {
		t.Error("Flush() = true while the writer hangs")
	}
	if d := set.Dropped(); d < lines*3/4 || d >= lines {
		t.Errorf("Dropped() = %d of %d, want most but not all", d, lines)
	}
	close(release)
	flush(t, set)
	kept := strings.Count(out.String(), "\n")
	if uint64(kept)+set.Dropped() != lines || strings.Count(out.String(), long+"\n") != kept {
		t.Errorf("%d whole lines written and %d dropped, want %d together", kept, set.Dropped(), lines)
	}
}

func TestFlushWithoutLines(t *testing.T) {
	set := logs.New(&buffer{}, logs.Config{Levels: map[string]slog.Level{}})
	if !set.Flush(0) {
		t.Error("Flush(0) = false with nothing to write, want true")
	}
}
