package revoke

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestEntriesTravelUnchanged: what a follower gets is what the list has, whatever bytes an id is made of.
func TestEntriesTravelUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{
			Seq: rapid.Int64Min(1).Draw(t, "seq"), Kind: Kind(rapid.String().Draw(t, "kind")), ID: string(rapid.SliceOfN(rapid.Byte(), 0, MaxID).Draw(t, "id")),
			Expires: time.UnixMilli(rapid.Int64Range(1, 1<<52).Draw(t, "expires")),
		}
		if rapid.Bool().Draw(t, "timed") {
			e.Before = time.UnixMilli(rapid.Int64Range(1, 1<<52).Draw(t, "before"))
		}
		var b bytes.Buffer
		writeEvent(&b, eventRevoked, e.Seq, toWire(e))
		n := 0
		err := readEvents(&b, func(name string, data []byte) error {
			n++
			var w wireEntry
			if err := decode(data, &w); err != nil {
				return err
			}
			if got, err := w.entry(); err != nil || got != e || name != eventRevoked {
				return fmt.Errorf("%s %+v, %w", name, got, err)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Fatalf("%+v came back %d times, %v", e, n, err)
		}
	})
}

// TestWhatListsTakeFits: whatever a list takes from a store, a follower takes from the feed, and both refuse the same for as long.
func TestWhatListsTakeFits(t *testing.T) {
	times := rapid.OneOf(rapid.Just(time.Time{}), rapid.Custom(func(t *rapid.T) time.Time { return time.UnixMilli(rapid.Int64Range(-1<<52, 1<<52).Draw(t, "ms")) }),
		rapid.Custom(func(t *rapid.T) time.Time { return time.UnixMilli(rapid.Int64Range(-2, 2).Draw(t, "ms about 1970")) }))
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{
			Seq: rapid.Int64Min(1).Draw(t, "seq"), Kind: rapid.SampledFrom([]Kind{Token, Session, Key, Subject, All, Token + hashed, Subject + hashed, seam}).Draw(t, "kind"),
			ID: strings.Repeat("x", rapid.OneOf(rapid.Just(len(print{})), rapid.IntRange(0, 3*MaxID)).Draw(t, "size")), Expires: times.Draw(t, "expires"), Before: times.Draw(t, "before"),
		}
		var here, there known
		if _, err := here.apply(e); err != nil {
			t.Skip("no list takes it")
		}
		got, err := toWire(fit(e)).entry()
		if err == nil {
			_, err = there.apply(got)
		}
		if err != nil {
			t.Fatalf("%+v is taken by lists, and by followers it is not: %v", e, err)
		}
		if again := fit(got); again != got {
			t.Fatalf("%+v is another one when it is sent again: %+v", got, again)
		}
		claim := Claim{Token: e.ID, Session: e.ID, Subject: e.ID, Key: e.ID, Issued: rapid.SampledFrom([]time.Time{{}, time.UnixMilli(0), time.UnixMilli(1), e.Before}).Draw(t, "issued")}
		early := !e.Before.IsZero() && e.Before.UnixMilli() <= 0 // whether it revokes what was issued in the first millisecond of 1970 does not matter
		for _, now := range []second{0, 2, secondOf(e.Expires), secondOf(e.Expires) + 1} {
			if h, f := here.revoked(claim), there.revoked(claim); h != f && !(f && early) {
				t.Fatalf("%+v: a list says of %+v at %d that it is revoked: %v, a follower: %v", e, claim, now, h, f)
			}
			here.sweep(max(now, 2))
			there.sweep(max(now, 2))
		}
	})
}

// TestWireEntriesThatAreNone: each of these differs in one thing from an entry.
func TestWireEntriesThatAreNone(t *testing.T) {
	whole := wireEntry{Seq: 1, Kind: Token, ID: "eA", Before: 1, Expires: 1}
	if e, err := whole.entry(); err != nil || e.ID != "x" {
		t.Fatalf("entry() = %+v, %v", e, err)
	}
	for name, change := range map[string]func(w *wireEntry){
		"no place": func(w *wireEntry) { w.Seq = 0 }, "a negative place": func(w *wireEntry) { w.Seq = -1 },
		"a negative time": func(w *wireEntry) { w.Before = -1 }, "no expiry": func(w *wireEntry) { w.Expires = 0 }, "a negative expiry": func(w *wireEntry) { w.Expires = -1 },
		"no base64": func(w *wireEntry) { w.ID = "e" }, "padding": func(w *wireEntry) { w.ID = "eA==" }, "bits left over": func(w *wireEntry) { w.ID = "eB" }, "the other alphabet": func(w *wireEntry) { w.ID = "+/+/" },
		"a long id": func(w *wireEntry) { w.ID = strings.Repeat("AAAA", MaxID/3+1) },
	} {
		w := whole
		change(&w)
		if e, err := w.entry(); !errors.Is(err, ErrInvalid) || e != (Entry{}) {
			t.Errorf("%s: entry() = %+v, %v, want ErrInvalid", name, e, err)
		}
	}
}

// TestTheLargestEntryFits into what a follower reads.
func TestTheLargestEntryFits(t *testing.T) {
	e := Entry{Seq: 1<<63 - 1, Kind: Subject + hashed, ID: strings.Repeat("\xff", MaxID), Before: time.UnixMilli(1<<53 - 1), Expires: time.UnixMilli(1<<53 - 1)}
	text, err := json.Marshal(toWire(e))
	if err != nil || len(text)+len("data: ") > maxLine/2 {
		t.Errorf("the largest entry has %d bytes, %v; want less than half of %d", len(text), err, maxLine)
	}
}

// TestReadEvents: the lines of a stream make these events, and this end.
func TestReadEvents(t *testing.T) {
	torn := io.ErrUnexpectedEOF
	other := errors.New("some error")
	for _, tt := range []struct {
		stream string
		want   string
		err    error
	}{
		{"", "", nil}, {"\n", "", nil}, {"\n\n\n", "", nil},
		{"event: a\ndata: 1\n\n", "a=1;", nil},
		{"event:a\ndata:1\n\n", "a=1;", nil},
		{"event:  a\ndata:  1\n\n", " a= 1;", nil},
		{"event: a\r\ndata: 1\r\n\r\n", "a=1;", nil},
		{"data: 1\nevent: a\n\n", "a=1;", nil},
		{"id: 7\nevent: a\nretry: 5\ndata: 1\nnews: x\n\n", "a=1;", nil},
		{": hello\nevent: a\n: hello\ndata: 1\n\n: hello\n\n", "a=1;", nil},
		{"event: a\n\nevent: b\ndata: 2\n\n", "a=;b=2;", nil},
		{"data: 1\n\n", "=1;", nil},
		{"id: 7\n\n", "", nil},
		{"event: a\nevent: b\ndata: 1\n\n", "b=1;", nil},
		{"event\ndata\n\n", "=;", nil},
		{"event: a\ndata: 1\n", "", torn}, {"event: a\ndata: 1", "", torn}, {"event: a", "", torn}, {"event: a\ndata: 1\n\nevent: b", "a=1;", torn},
		{"id: 7", "", nil},
		{"event: a\ndata: 1\ndata: 2\n\n", "", other},
		{"event: a\ndata: " + strings.Repeat("x", maxLine) + "\n\n", "", other},
		{strings.Repeat("x", maxLine+1), "", other},
	} {
		got := ""
		err := readEvents(strings.NewReader(tt.stream), func(name string, data []byte) error {
			got += fmt.Sprintf("%s=%s;", name, data)
			return nil
		})
		if right := tt.err == other && err != nil || errors.Is(err, tt.err); got != tt.want || !right {
			t.Errorf("readEvents(%.60q) = %q, %v, want %q, %v", tt.stream, got, err, tt.want, tt.err)
		}
	}
	stop := errors.New("enough")
	n := 0
	if err := readEvents(strings.NewReader("event: a\n\nevent: b\n\n"), func(string, []byte) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("readEvents = %v after %d events, want that it stops at once", err, n)
	}
}

// FuzzFollower: whatever a server says, a follower takes it or gives up, forgets nothing, is fresh only if it was told so, and holds no more than it was given.
func FuzzFollower(f *testing.F) {
	var b bytes.Buffer
	writeEvent(&b, eventReset, 0, struct{}{})
	for i, kind := range []Kind{Token, Session, Key, Subject, All, seam} {
		e := Entry{Seq: int64(i + 1), Kind: kind, ID: "x", Expires: time.UnixMilli(1e13)}
		if kind == Subject || kind == All {
			e.Before = time.UnixMilli(1)
		}
		writeEvent(&b, eventRevoked, e.Seq, toWire(e))
	}
	writeEvent(&b, eventCaughtUp, 0, alive{Last: 6})
	writeEvent(&b, eventAlive, 0, alive{Last: 6, Age: 100, At: 100})
	f.Add(b.Bytes())
	for _, text := range []string{"", "event: caught-up\ndata: {}\n\n", "event: revoked\ndata: {\"seq\":1}\n\n", "event: alive\ndata: {\"last\":9223372036854775807,\"age_ms\":9223372036854775807,\"at_ms\":0}\n\n"} {
		f.Add([]byte(text))
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Follow(FollowConfig{URL: "https://gate.example.org/", Authorize: func(*http.Request) error { return nil }, Now: func() time.Time { return now },
			Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.apply(Entry{Kind: Token, ID: "known", Expires: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		l.remote.asked = now
		told := false
		_ = readEvents(bytes.NewReader(text), func(name string, data []byte) error {
			told = told || name == eventCaughtUp || name == eventAlive
			return l.remote.take(t.Context(), name, data)
		})
		if !errors.Is(l.Check(Claim{Token: "known"}), ErrRevoked) {
			t.Errorf("after %q the list has forgotten what it knew", text)
		}
		if l.Check(Claim{Token: "good", Issued: now.AddDate(9000, 0, 0)}) == nil && !told {
			t.Errorf("after %q the list is fresh, and was not told so", text)
		}
		if n := l.Len(); n > 1+len(text)/len("event: revoked\n\n") {
			t.Errorf("%d bytes have made %d entries", len(text), n)
		}
	})
}
