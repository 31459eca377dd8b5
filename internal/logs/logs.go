// Package logs makes the server's loggers: log/slog loggers with a name, a level each, and one output.
//
//	set := logs.New(os.Stderr, logs.Config{Format: "json", Levels: map[string]slog.Level{"server_logger": slog.LevelInfo}})
//	defer set.Flush(time.Second)
//	set.Logger("access").Info("request", "status", 200)
//
// Levels and format change while the server runs, for the loggers that are already in use ([Set.Apply]).
//
// What a client sends cannot forge a line, move a terminal's cursor or turn text around: control characters, escape
// sequences, bidirectional marks and bad UTF-8 are escaped in both formats. An attribute whose key names a credential
// is printed as [secret], whatever its value and however deep it lies; that is a belt, and no licence to log one.
//
// Logging never fails and never waits. Lines go to a bounded queue that a goroutine of its own empties in order; a
// writer that fails, panics or hangs costs lines, which are counted ([Set.Dropped]), and never a request. Call
// [Set.Flush] before the process ends.
package logs

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Root is the name of the logger that stands for the whole server: its level is the default of all others.
const Root = "server_logger"

// Names lists the loggers that can have a level. It must not be changed.
var Names = []string{Root, "access", "guard", "gateway", "admin", "config", "limit"}

// LevelCritical stands above slog.LevelError and prints as CRITICAL: the server cannot go on as configured.
const LevelCritical = slog.LevelError + 4

// Config says how lines look and which are printed.
type Config struct {
	// Format is "text" (for people; also the meaning of an empty or unknown value) or "json".
	Format string
	// Levels maps names of [Names] to the lowest level that is printed. A name that is missing has the level of
	// [Root], and Root itself INFO. Other names are ignored: the configuration refuses them before.
	Levels map[string]slog.Level
}

// A Set is a family of loggers with one output. All methods may be called at the same time.
type Set struct {
	out   queue
	mu    sync.Mutex // held while state is replaced
	state atomic.Pointer[state]
}

// state is what a reload changes, replaced as a whole.
type state struct {
	json   bool
	levels []slog.Level // in the order of Names
}

// New returns loggers that write to w, which must not be nil. w gets whole lines, several in one call under load, and
// never two calls at once.
func New(w io.Writer, c Config) *Set {
	s := &Set{out: queue{w: w}}
	s.Apply(c)
	return s
}

// Apply replaces format and levels in one step; loggers that are in use obey from their next line.
func (s *Set) Apply(c Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Store(&state{json: c.Format == "json", levels: resolve(c.Levels)})
}

// SetLevels replaces all levels, as Config.Levels says, and leaves the format.
func (s *Set) SetLevels(levels map[string]slog.Level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Store(&state{json: s.state.Load().json, levels: resolve(levels)})
}

// SetFormat changes the format, "text" or "json", and leaves the levels.
func (s *Set) SetFormat(format string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Store(&state{json: format == "json", levels: s.state.Load().levels})
}

// Logger returns the logger of that name. A name that [Names] does not have is printed too, at the level of [Root].
func (s *Set) Logger(name string) *slog.Logger {
	return slog.New(&handler{set: s, name: name, index: max(0, slices.Index(Names, name))})
}

// Flush waits until every line logged before the call was handed to the writer, or until timeout has passed; it
// reports whether that was so.
func (s *Set) Flush(timeout time.Duration) bool { return s.out.flush(timeout) }

// Dropped returns how many lines were lost, because the writer failed or was too slow, since the set was made.
func (s *Set) Dropped() uint64 { return s.out.dropped.Load() }

func resolve(levels map[string]slog.Level) []slog.Level {
	root, ok := levels[Root]
	if !ok {
		root = slog.LevelInfo
	}
	all := make([]slog.Level, len(Names))
	for i, name := range Names {
		all[i] = root
		if l, ok := levels[name]; ok {
			all[i] = l
		}
	}
	return all
}

// levelNames has the names people write. The first name of a level is the one that is printed.
var levelNames = []struct {
	name  string
	level slog.Level
}{
	{"DEBUG", slog.LevelDebug}, {"INFO", slog.LevelInfo}, {"WARNING", slog.LevelWarn}, {"WARN", slog.LevelWarn},
	{"ERROR", slog.LevelError}, {"CRITICAL", LevelCritical},
}

// ParseLevel returns the level of that name: DEBUG, INFO, WARNING (or WARN), ERROR or CRITICAL, in any case. The error
// lists them.
func ParseLevel(name string) (slog.Level, error) {
	for _, l := range levelNames {
		if strings.EqualFold(l.name, name) {
			return l.level, nil
		}
	}
	return 0, fmt.Errorf("unknown log level %.40q: use DEBUG, INFO, WARNING, ERROR or CRITICAL", name)
}

// levelName returns what is printed for l: a level between two names counts as the lower one.
func levelName(l slog.Level) string {
	switch {
	case l >= LevelCritical:
		return "CRITICAL"
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARNING"
	case l >= slog.LevelInfo:
		return "INFO"
	}
	return "DEBUG"
}
