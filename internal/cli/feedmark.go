package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// seenSuffix is what is added to a database's name for its feedMark.
const seenSuffix = ".seen"

// A feedMark is a file beside a database that says how far its feed of revocations had got. It is no part of the database and of its backups: when an older database is put back, what was
// revoked since would count again, and nothing in the database could tell.
type feedMark struct{ file string }

// load returns the number of the last revocation that was seen, 0 if none was.
func (m feedMark) load() (int64, error) {
	text, err := os.ReadFile(m.file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	seq, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || seq < 0 {
		return math.MaxInt64, nil // it was there and is damaged: nobody knows how far the feed had got
	}
	return seq, nil
}

// save replaces the file in one step.
func (m feedMark) save(seq int64) error {
	temp, err := os.CreateTemp(filepath.Dir(m.file), filepath.Base(m.file)+".*")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(temp, "%d\n", seq)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), m.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// compareFeed ends everything that was issued before if the database has not got all revocations that this server has seen: then a backup was put back, and which of them it
// lacks is not known.
func (v *vault) compareFeed(ctx context.Context) error {
	seen, err := v.mark.load()
	if err != nil {
		return err
	}
	if last := v.list.Last(); seen > last {
		v.log.Warn("the database has fewer revocations than this server has seen, as when a backup was put back: everybody signs in again", "has", last, "seen", seen)
		if err := v.list.RevokeAll(ctx); err != nil {
			return err
		}
	}
	return v.mark.save(v.list.Last())
}

// markEvery is how often the mark follows the feed. What is revoked in between, and lost with the database in the same moment, is not noticed.
const markEvery = time.Second

// keepMark lets the mark follow the feed until ctx is done.
func (v *vault) keepMark(ctx context.Context) {
	ticker := time.NewTicker(markEvery)
	defer ticker.Stop()
	saved, _ := v.mark.load() // an error shows when it is saved
	for {
		select {
		case <-ctx.Done():
			v.readOnceMore()
		case <-ticker.C:
		}
		if last := v.list.Last(); last > saved {
			if err := v.mark.save(last); err != nil {
				v.log.Warn("how far the feed of revocations has got could not be written down", "file", v.mark.file, "error", err.Error())
			} else {
				saved = last
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// readOnceMore reads what was revoked in the last moments of a server that stops.
func (v *vault) readOnceMore() {
	ctx, cancel := context.WithTimeout(context.Background(), markEvery)
	defer cancel()
	_ = v.list.Load(ctx) // the mark stays behind then, as it would have without
}
