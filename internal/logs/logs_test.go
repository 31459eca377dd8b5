package logs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/internal/logs"
)

// buffer is a writer that tests may read while loggers write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// printed returns what log prints through a set of that format, at DEBUG.
func printed(t *testing.T, format string, log func(*slog.Logger)) string {
	t.Helper()
	var out buffer
	set := logs.New(&out, logs.Config{Format: format, Levels: map[string]slog.Level{logs.Root: slog.LevelDebug}})
	log(set.Logger("access"))
	flush(t, set)
	return out.String()
}

func flush(t *testing.T, set *logs.Set) {
	t.Helper()
	if !set.Flush(10 * time.Second) {
		t.Fatal("Flush() = false, want all lines written")
	}
}

// fields parses a JSON line.
func fields(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%q is not one JSON line: %v", text, err)
	}
	return m
}

func TestJSONLine(t *testing.T) {
	out := printed(t, "json", func(l *slog.Logger) {
		l.Warn("refused", "status", 401, "took", 3*time.Millisecond, slog.Group("peer", "ip", "192.0.2.1", "port", uint16(7)), "ok", false)
	})
	m := fields(t, out)
	at, err := time.Parse(time.RFC3339Nano, m["time"].(string))
	if err != nil || !strings.HasSuffix(m["time"].(string), "Z") || time.Since(at) > time.Minute {
		t.Errorf("time = %v, want now in RFC 3339 and UTC (%v)", m["time"], err)
	}
	delete(m, "time")
	got, _ := json.Marshal(m)
	want := `{"level":"WARNING","logger":"access","msg":"refused","ok":false,"peer":{"ip":"192.0.2.1","port":7},"status":401,"took":3000000}`
	if string(got) != want {
		t.Errorf("line = %s, want %s", got, want)
	}
	for _, key := range []string{`{"time":`, `,"level":`, `,"logger":`, `,"msg":`} {
		i := strings.Index(out, key)
		if i < 0 {
			t.Fatalf("line %s has no %s in its place", out, key)
		}
		out = out[i:]
	}
}

func TestTextLine(t *testing.T) {
	out := printed(t, "text", func(l *slog.Logger) {
		l.WithGroup("peer").With("ip", "192.0.2.1").Error("upstream is down", "took", 1500*time.Millisecond, "why", "no route", "empty", "",
			slog.Group("n", "x", 1.5))
	})
	stamp, rest, _ := strings.Cut(out, " ")
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
		t.Errorf("time stamp %q: %v", stamp, err)
	}
	want := `ERROR access upstream is down peer.ip=192.0.2.1 peer.took=1.5s peer.why="no route" peer.empty="" peer.n.x=1.5` + "\n"
	if rest != want {
		t.Errorf("line = %q, want %q", rest, want)
	}
}

func TestLevelNames(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "DEBUG", slog.LevelInfo: "INFO", slog.LevelWarn: "WARNING", slog.LevelError: "ERROR",
		logs.LevelCritical: "CRITICAL", slog.LevelError + 1: "ERROR", slog.LevelDebug - 4: "", logs.LevelCritical + 9: "CRITICAL",
	} {
		for _, format := range []string{"text", "json"} {
			out := printed(t, format, func(l *slog.Logger) { l.Log(t.Context(), level, "x") })
			if want == "" && out != "" || want != "" && !strings.Contains(out, want) {
				t.Errorf("%s line of level %d = %q, want %q in it", format, level, out, want)
			}
		}
	}
}

func TestParseLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{
		"DEBUG": slog.LevelDebug, "debug": slog.LevelDebug, "Info": slog.LevelInfo, "WARNING": slog.LevelWarn, "warn": slog.LevelWarn,
		"ERROR": slog.LevelError, "Critical": logs.LevelCritical,
	} {
		if got, err := logs.ParseLevel(name); err != nil || got != want {
			t.Errorf("ParseLevel(%q) = %v, %v, want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "TRACE", "FATAL", "NOTSET", "10", " INFO", "INFO ", "INFO+1", "warnıng", "info\n"} {
		_, err := logs.ParseLevel(name)
		if err == nil || !strings.Contains(err.Error(), "DEBUG, INFO, WARNING, ERROR or CRITICAL") {
			t.Errorf("ParseLevel(%q) = %v, want an error that lists the levels", name, err)
		}
	}
}

func TestEachLoggerObeysItsLevel(t *testing.T) {
	rows := []struct {
		levels map[string]slog.Level
		logger string
		level  slog.Level
		want   bool
	}{
		{nil, "access", slog.LevelInfo, true},
		{nil, "access", slog.LevelDebug, false},
		{map[string]slog.Level{logs.Root: slog.LevelError}, "guard", slog.LevelWarn, false},
		{map[string]slog.Level{logs.Root: slog.LevelError}, "guard", slog.LevelError, true},
		{map[string]slog.Level{logs.Root: slog.LevelError, "guard": slog.LevelDebug}, "guard", slog.LevelDebug, true},
		{map[string]slog.Level{logs.Root: slog.LevelError, "guard": slog.LevelDebug}, "access", slog.LevelInfo, false},
		{map[string]slog.Level{logs.Root: slog.LevelDebug, "guard": slog.LevelError}, "guard", slog.LevelWarn, false},
		{map[string]slog.Level{"guard": slog.LevelDebug}, logs.Root, slog.LevelDebug, false},
		{map[string]slog.Level{"guard": slog.LevelDebug}, "a name nobody knows", slog.LevelDebug, false},
		{map[string]slog.Level{"a name nobody knows": slog.LevelDebug}, "a name nobody knows", slog.LevelDebug, false},
		{map[string]slog.Level{logs.Root: slog.LevelDebug}, "a name nobody knows", slog.LevelDebug, true},
		{map[string]slog.Level{logs.Root: logs.LevelCritical}, "config", slog.LevelError, false},
	}
	for _, r := range rows {
		set := logs.New(io.Discard, logs.Config{Levels: r.levels})
		if got := set.Logger(r.logger).Enabled(t.Context(), r.level); got != r.want {
			t.Errorf("with %v: Logger(%q).Enabled(%v) = %v, want %v", r.levels, r.logger, r.level, got, r.want)
		}
	}
}

func TestReloadReachesLoggersInUse(t *testing.T) {
	var out buffer
	set := logs.New(&out, logs.Config{Format: "text"})
	derived := set.Logger("guard").With("a", 1).WithGroup("g")
	derived.Debug("one")
	set.SetLevels(map[string]slog.Level{"guard": slog.LevelDebug})
	derived.Debug("two", "b", 2)
	set.SetFormat("json")
	derived.Debug("three", "b", 2)
	set.Apply(logs.Config{Levels: map[string]slog.Level{logs.Root: slog.LevelError}})
	derived.Warn("four")
	derived.Error("five")
	flush(t, set)
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(got) != 3 {
		t.Fatalf("lines = %q, want two, three and five", got)
	}
	if !strings.HasSuffix(got[0], "DEBUG guard two a=1 g.b=2") || !strings.HasSuffix(got[2], "ERROR guard five a=1") {
		t.Errorf("text lines = %q and %q", got[0], got[2])
	}
	if m := fields(t, got[1]); m["msg"] != "three" || m["a"] != 1.0 || m["g"].(map[string]any)["b"] != 2.0 || m["logger"] != "guard" {
		t.Errorf("JSON line = %s", got[1])
	}
}

// TestNothingForgesALine has what people put into user agents, names and paths to forge log lines or to drive the
// terminal of whoever reads them.
func TestNothingForgesALine(t *testing.T) {
	hostile := []string{
		"x\n2026-01-01T00:00:00.000Z INFO guard allowed", "x\r\nlevel=INFO", "x\r", "a\x00b", "\x1b[2J\x1b[31mred", "\x1b]0;title\x07",
		"\x9b31m", "\u009b31m", "\u0085next", "\u2028line", "\u2029paragraph", "\u202egpj.exe", "\u2066isolate\u2069", "\u200emark", "\u200f", "\u061c",
		"\ufefftext", "\u200bzero width", "\x7f", "\b\b\b\b", "\v\f", "tab\there", "\xff\xfe", "\xc0\xae", "\xed\xa0\x80", "\U000e0041tag", `"}{"level":"INFO"`, `\`, `\"`, `a="b" c=d`,
	}
	for _, format := range []string{"text", "json"} {
		for _, s := range hostile {
			out := printed(t, format, func(l *slog.Logger) {
				l.With(slog.String(s, s)).WithGroup(s).Info(s, s, s, "any", map[string]string{s: s}, "err", errors.New(s), "text", textual(s), "list", []string{s})
			})
			if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") || !utf8.ValidString(out) {
				t.Errorf("%s: %q gives %q, want one line of valid UTF-8", format, s, out)
			}
			for _, r := range strings.TrimSuffix(out, "\n") {
				if strings.ContainsRune("\x00\x07\b\t\v\f\r\x1b\x7f\u0085\u009b\u2028\u2029\u202e\u2066\u2069\u200e\u200f\u061c\ufeff\u200b\U000e0041", r) {
					t.Errorf("%s: %q gives %q with a raw %U", format, s, out, r)
				}
			}
			if format == "json" {
				if m := fields(t, out); m["level"] != "INFO" || m["logger"] != "access" || m["msg"] != strings.ToValidUTF8(s, "\ufffd") && !strings.Contains(s, "\xed") && !strings.Contains(s, "\xff") && !strings.Contains(s, "\xc0") {
					t.Errorf("json: %q gives %s", s, out)
				}
			}
		}
	}
}

type textual string

func (s textual) MarshalText() ([]byte, error) { return []byte(s), nil }

func TestTextQuotesWhatCouldBeMistaken(t *testing.T) {
	for value, want := range map[string]string{
		"plain": "plain", "a b": `"a b"`, "a=b": `"a=b"`, `a"b`: `"a\"b"`, "": `""`, "größe": "größe", "日本": "日本", "/films/1?x": "/films/1?x", "a\nb": `"a\nb"`,
	} {
		out := printed(t, "text", func(l *slog.Logger) { l.Info("m", "k", value) })
		if !strings.HasSuffix(out, " m k="+want+"\n") {
			t.Errorf("value %q gives %q, want k=%s at its end", value, out, want)
		}
	}
}

func TestLongValuesAreCut(t *testing.T) {
	huge := strings.Repeat("A", 10<<20)
	for _, format := range []string{"text", "json"} {
		out := printed(t, format, func(l *slog.Logger) { l.Info(huge, "agent", huge, "map", map[string]string{"k": huge}) })
		if len(out) > 20<<10 || !strings.Contains(out, "…") {
			t.Errorf("%s: line of a 10 MB value has %d bytes, want it cut and marked", format, len(out))
		}
	}
}

// A value whose own methods misbehave.
type panicking struct{}

func (panicking) Error() string { panic("Error") }

type panickingJSON struct{}

func (panickingJSON) MarshalJSON() ([]byte, error) { panic("MarshalJSON") }

type panickingValuer struct{}

func (panickingValuer) LogValue() slog.Value { panic("LogValue") }

type failingText struct{}

func (failingText) MarshalText() ([]byte, error) { return []byte("half"), errors.New("no") }

func TestHostileValuesDoNotPanic(t *testing.T) {
	cycle := map[string]any{}
	cycle["self"] = cycle
	var none *panicking
	values := []any{
		panicking{}, none, panickingJSON{}, panickingValuer{}, failingText{}, cycle, make(chan int), func() {}, nil, (*int)(nil), complex(1, 2),
		map[bool]int{true: 1}, []any{nil, []any{}}, json.RawMessage("{broken"), json.Number("1e999"),
	}
	for _, format := range []string{"text", "json"} {
		for _, v := range values {
			out := printed(t, format, func(l *slog.Logger) { l.Info("m", "k", v, "after", 1) })
			if strings.Count(out, "\n") != 1 || !strings.Contains(out, "after") {
				t.Errorf("%s: value %T gives %q, want one whole line", format, v, out)
			}
			if format == "json" {
				fields(t, out)
			}
		}
		out := printed(t, format, func(l *slog.Logger) { l.Info("m", []any{"alone"}...) })
		if !strings.Contains(out, "!BADKEY") {
			t.Errorf("%s: a key without value gives %q", format, out)
		}
	}
}

func TestSlogConformance(t *testing.T) {
	var out buffer
	set := logs.New(&out, logs.Config{Format: "json"})
	err := slogtest.TestHandler(set.Logger("config").Handler(), func() []map[string]any {
		flush(t, set)
		var all []map[string]any
		for text := range strings.Lines(out.String()) {
			all = append(all, fields(t, text))
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

func TestParallelLoggersAndReloads(t *testing.T) {
	var out buffer
	set := logs.New(&out, logs.Config{Format: "json"})
	const workers, each = 8, 200
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			l := set.Logger(logs.Names[w%len(logs.Names)]).With("worker", w)
			for i := range each {
				l.Error("line", "i", i, slog.Group("g", "x", "y\n"))
				if i%50 == 0 {
					set.SetLevels(map[string]slog.Level{logs.Root: slog.LevelInfo})
				}
			}
		})
	}
	all.Wait()
	flush(t, set)
	next := make(map[float64]float64)
	for text := range strings.Lines(out.String()) {
		m := fields(t, text)
		worker, i := m["worker"].(float64), m["i"].(float64)
		if next[worker] != i {
			t.Fatalf("worker %v: line %v after %v lines, want its lines in order", worker, i, next[worker])
		}
		next[worker]++
	}
	if len(next) != workers || set.Dropped() != 0 {
		t.Errorf("lines of %d workers, %d dropped, want %d and 0", len(next), set.Dropped(), workers)
	}
	for w, n := range next {
		if n != each {
			t.Errorf("worker %v has %v lines, want %d", w, n, each)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	for _, format := range []string{"text", "json"} {
		b.Run(format, func(b *testing.B) {
			l := logs.New(io.Discard, logs.Config{Format: format}).Logger("access")
			b.ReportAllocs()
			for b.Loop() {
				l.LogAttrs(b.Context(), slog.LevelInfo, "request", slog.String("id", "01K0ABCDEF"), slog.String("method", "GET"),
					slog.String("path", "/films/1"), slog.Int("status", 200), slog.String("reason", "allowed"))
			}
		})
	}
	b.Run("hostile", func(b *testing.B) {
		l := logs.New(io.Discard, logs.Config{Format: "json"}).Logger("access")
		agent := strings.Repeat("\x1b\u202e", 300_000)
		b.ReportAllocs()
		for b.Loop() {
			l.LogAttrs(b.Context(), slog.LevelInfo, "request", slog.String("agent", agent))
		}
	})
	b.Run("off", func(b *testing.B) {
		l := logs.New(io.Discard, logs.Config{}).Logger("access")
		b.ReportAllocs()
		for b.Loop() {
			l.LogAttrs(b.Context(), slog.LevelDebug, "request", slog.Int("status", 200))
		}
	})
}

func ExampleSet_Apply() {
	var out buffer
	set := logs.New(&out, logs.Config{Format: "text"})
	guard := set.Logger("guard")
	guard.Debug("not printed")
	set.Apply(logs.Config{Format: "text", Levels: map[string]slog.Level{"guard": slog.LevelDebug}})
	guard.Debug("printed", "token", "t0ps3cret")
	set.Flush(time.Second)
	_, text, _ := strings.Cut(out.String(), " ")
	fmt.Print(text)
	// Output: DEBUG guard printed token=[secret]
}
