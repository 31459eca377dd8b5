package revoke

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A wireEntry is an [Entry] as the feed has it over HTTP. The id is base64url, since it may be any bytes.
type wireEntry struct {
	Seq     int64  `json:"seq"`
	Kind    Kind   `json:"kind"`
	ID      string `json:"id,omitempty"`
	Before  int64  `json:"before_ms,omitempty"`
	Expires int64  `json:"expires_ms"`
}

func toWire(e Entry) wireEntry {
	w := wireEntry{Seq: e.Seq, Kind: e.Kind, ID: base64.RawURLEncoding.EncodeToString([]byte(e.ID)), Expires: e.Expires.UnixMilli()}
	if !e.Before.IsZero() {
		w.Before = e.Before.UnixMilli()
	}
	return w
}

// fit returns e so that followers take it, with the same effect. What a list refuses to revoke may all the same be in a store, which others write to as well: the list that reads it takes it, and
// one entry must not cut off everybody who follows.
func fit(e Entry) Entry {
	switch {
	case e.Expires.IsZero():
		e.Expires = time.Unix(int64(secondOf(e.Expires)), 0)
	case e.Expires.UnixMilli() <= 0:
		e.Expires = time.UnixMilli(1)
	}
	if !e.Before.IsZero() && e.Before.UnixMilli() <= 0 {
		e.Before = time.UnixMilli(1)
	}
	if len(e.ID) > MaxID && !strings.HasSuffix(string(e.Kind), hashed) {
		p := printOf(e.ID)
		e.Kind, e.ID = e.Kind+hashed, string(p[:])
	}
	return e
}

func (w wireEntry) entry() (Entry, error) {
	id, err := base64.RawURLEncoding.Strict().DecodeString(w.ID)
	if err != nil || w.Seq <= 0 || w.Expires <= 0 || w.Before < 0 || len(id) > MaxID {
		return Entry{}, fmt.Errorf("%w: the feed has an entry that is none (seq %d)", ErrInvalid, w.Seq)
	}
	e := Entry{Seq: w.Seq, Kind: w.Kind, ID: string(id), Expires: time.UnixMilli(w.Expires)}
	if w.Before != 0 {
		e.Before = time.UnixMilli(w.Before)
	}
	return e, nil
}

// An alive is what a follower is told each second.
type alive struct {
	Last int64 `json:"last"`   // how far the feed goes: all of it has been sent
	Age  int64 `json:"age_ms"` // how old the teller's own list is
	At   int64 `json:"at_ms"`  // how long after the request this was true: who has asked knows when that was, however long the answer travels
}

// The events of the feed.
const (
	eventReset    = "reset"     // what follows is everything, from the beginning
	eventRevoked  = "revoked"   // a wireEntry
	eventCaughtUp = "caught-up" // an alive: this is all that there was; what follows is new
	eventAlive    = "alive"     // an alive
)

// writeEvent writes one event. JSON has no line ends.
func writeEvent(b *bytes.Buffer, name string, id int64, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic("revoke: " + err.Error()) // none of the types above can fail
	}
	fmt.Fprintf(b, "event: %s\n", name)
	if id != 0 {
		fmt.Fprintf(b, "id: %d\n", id)
	}
	fmt.Fprintf(b, "data: %s\n\n", text)
}

// maxLine bounds a line of the stream: an id of the largest size, and what stands around it.
const maxLine = 4 << 10

// readEvents calls f for each event of a stream, until the stream ends, f returns an error, or something comes that is no event. It returns nil if the stream ended
// where it may.
func readEvents(stream io.Reader, f func(name string, data []byte) error) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	var name string
	var data []byte
	begun := false
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if len(line) == 0 {
			if begun {
				if err := f(name, data); err != nil {
					return err
				}
			}
			name, data, begun = "", data[:0], false
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name, begun = string(value), true
		case "data":
			if len(data) > 0 {
				return errors.New("the feed has an event of several lines")
			}
			data, begun = append(data, value...), true
		}
	}
	switch err := lines.Err(); {
	case err != nil:
		return fmt.Errorf("the feed cannot be read: %w", err)
	case begun:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// decode reads what an event says, and nothing else.
func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the feed has an event that is none: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the feed has an event that is none: something follows it")
	}
	return nil
}

func (p print) text() string { return hex.EncodeToString(p[:]) }
