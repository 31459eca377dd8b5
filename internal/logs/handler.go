package logs

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// handler is the slog.Handler of one logger. It is immutable.
type handler struct {
	set    *Set
	name   string
	index  int // of the level in state.levels
	scopes []scope
}

// A scope is what one call of WithGroup or WithAttrs added.
type scope struct {
	group string // not empty: all that follows lies in this group
	attrs []slog.Attr
}

// Enabled asks the level of the moment.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= h.set.state.Load().levels[h.index]
}

// WithAttrs returns a handler that adds attrs to every line.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.with(scope{attrs: attrs})
}

// WithGroup returns a handler that puts all later attributes into a group.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(scope{group: name})
}

func (h *handler) with(s scope) *handler {
	next := *h
	next.scopes = append(slices.Clip(h.scopes), s)
	return &next
}

var lines = sync.Pool{New: func() any { return &line{buf: make([]byte, 0, 1024)} }}

// Handle prints r. It never returns an error, since slog has nobody to give it to.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	l := lines.Get().(*line)
	l.reset(h.set.state.Load().json)
	l.head(r, h.name)
	l.scoped(h.scopes, &r)
	l.end()
	h.set.out.add(l.buf)
	if cap(l.buf) <= 64<<10 { // a rare huge line must not stay in the pool
		lines.Put(l)
	}
	return nil
}

// head prints what every line has.
func (l *line) head(r slog.Record, name string) {
	if l.json {
		l.buf = append(l.buf, '{')
		if !r.Time.IsZero() {
			l.key(slog.TimeKey)
			l.buf = append(l.buf, '"')
			l.buf = r.Time.UTC().AppendFormat(l.buf, time.RFC3339Nano)
			l.buf = append(l.buf, '"')
		}
		l.key(slog.LevelKey)
		l.str(levelName(r.Level))
		l.key("logger")
		l.str(name)
		l.key(slog.MessageKey)
		l.str(r.Message)
		return
	}
	if !r.Time.IsZero() {
		l.buf = r.Time.UTC().AppendFormat(l.buf, "2006-01-02T15:04:05.000Z ")
	}
	l.buf = append(l.buf, levelName(r.Level)...)
	l.buf = append(l.buf, ' ')
	l.str(name)
	l.buf = append(l.buf, ' ')
	l.message(r.Message)
}

// scoped prints the attributes of scopes, then those of r, each in its groups.
func (l *line) scoped(scopes []scope, r *slog.Record) {
	for i, s := range scopes {
		if s.group != "" {
			l.group(s.group, func() { l.scoped(scopes[i+1:], r) })
			return
		}
		l.attrs(s.attrs)
	}
	r.Attrs(func(a slog.Attr) bool {
		l.attr(a)
		return true
	})
}
