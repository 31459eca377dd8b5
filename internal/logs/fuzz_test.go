package logs_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gatehouse-auth/gatehouse/internal/logs"
)

// FuzzLine: whatever stands in a message, key, value, group or map, each line is one line, of printable characters only,
// and in JSON says the level and the logger that it was logged with.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"", "plain", "a\nb", "\x1b[31m", "\u202e", "\xff", `"}`, "\x00", "authorization", "level", "�"} {
		f.Add(s, s, s)
		f.Add("message", s, "value")
	}
	f.Fuzz(func(t *testing.T, message, key, value string) {
		for _, format := range []string{"text", "json"} {
			var out buffer
			set := logs.New(&out, logs.Config{Format: format})
			set.Logger("guard").With(key, value).WithGroup(key).Warn(message, key, value, slog.Group(value, key, value), "any", map[string]any{key: []string{value}})
			if !set.Flush(10*time.Second) || set.Dropped() != 0 {
				t.Fatalf("%s: the line was not written", format)
			}
			checkLine(t, format, out.String())
		}
	})
}

func checkLine(t *testing.T, format, text string) {
	t.Helper()
	line, ok := strings.CutSuffix(text, "\n")
	if !ok {
		t.Fatalf("%s: %q does not end in a newline", format, text)
	}
	for _, r := range line {
		if !unicode.IsPrint(r) {
			t.Fatalf("%s: %q has a raw %U", format, text, r)
		}
	}
	if format == "text" {
		if _, rest, _ := strings.Cut(line, " "); !strings.HasPrefix(rest, "WARNING guard ") {
			t.Fatalf("text: %q, want WARNING guard after the time", text)
		}
		return
	}
	start, _, ok := strings.Cut(line, `,"msg":`)
	if !json.Valid([]byte(line)) || !ok || !strings.HasSuffix(start, `,"level":"WARNING","logger":"guard"`) {
		t.Fatalf("json: %q is no line of guard at WARNING", text)
	}
}
