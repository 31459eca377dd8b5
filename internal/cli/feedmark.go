package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// A mark is the last revocation that was seen: its number, and what it was, since an older database may have got another one of that number. It is zero if none was; sum is empty where
// the revocation had been forgotten already.
type mark struct {
	seq int64
	sum string
}

// unknownMark stands for a file that is damaged: nobody knows how far the feed had got.
var unknownMark = mark{seq: math.MaxInt64}

// load returns the last revocation that was seen.
func (m feedMark) load() (mark, error) {
	text, err := os.ReadFile(m.file)
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	number, sum, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	seq, err := strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 0 {
		return unknownMark, nil
	}
	return mark{seq, sum}, nil
}

// save replaces the file in one step. Everybody who gets into the folder may read it, since it holds no secret: the server must be able to, whoever has run the command that wrote it.
func (m feedMark) save(seen mark) error {
	temp, err := os.CreateTemp(filepath.Dir(m.file), filepath.Base(m.file)+".*")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(temp, strings.TrimSpace(fmt.Sprint(seen.seq, " ", seen.sum)))
	if err = errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), m.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// markAt returns the mark of the revocation with this number, without a sum if the database has none.
func (v *vault) markAt(ctx context.Context, seq int64) (mark, error) {
	page, err := v.revocations.Since(ctx, seq-1, 1)
	if err != nil || len(page.Entries) == 0 || page.Entries[0].Seq != seq {
		return mark{seq: seq}, err
	}
	e := page.Entries[0]
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %d %d", e.Kind, e.ID, e.Before.UnixMilli(), e.Expires.UnixMilli()))
	return mark{seq, hex.EncodeToString(sum[:8])}, nil
}

// lacks reports whether the database has not got all revocations that were seen: then a backup was put back, and which of them it lacks is not known. A revocation that was forgotten
// since tells nothing.
func (v *vault) lacks(ctx context.Context, seen mark) (bool, error) {
	if seen.seq > v.list.Last() {
		return true, nil
	}
	now, err := v.markAt(ctx, seen.seq)
	if err != nil || seen.sum == "" || now.sum == "" || now.sum == seen.sum {
		return false, err
	}
	back, err := v.putBack(ctx, seen.seq)
	return !back, err
}

// putBack reports whether a list has put back, in this place or after it, what the database had lost: a server that ran when the backup was put back, and was stopped before it wrote that down.
func (v *vault) putBack(ctx context.Context, from int64) (bool, error) {
	for after := from - 1; ; {
		page, err := v.revocations.Since(ctx, after, 1000)
		if err != nil || len(page.Entries) == 0 {
			return false, err
		}
		for _, e := range page.Entries {
			if after = e.Seq; e.EndsPutBack() {
				return true, nil
			}
		}
	}
}

// compareFeed ends everything that was issued before if the database lacks revocations. Beside a server, or before it starts, that is left to the server: the mark stays.
func (v *vault) compareFeed(ctx context.Context) error {
	seen, err := v.mark.load()
	if err != nil {
		return err
	}
	lacks, err := v.lacks(ctx, seen)
	switch {
	case err != nil:
		return err
	case v.beside:
		if lacks {
			v.mark = nil
		}
		return nil
	case lacks:
		v.log.Warn("the database has fewer revocations than were seen, as when a backup was put back: everybody signs in again", "has", v.list.Last(), "seen", seen.seq)
		if err := v.list.RevokeAll(ctx); err != nil {
			return err
		}
	}
	return v.saveMark(ctx)
}

// saveMark writes down how far the feed has got, after something was revoked. Without a mark there is nothing to write.
func (v *vault) saveMark(ctx context.Context) error {
	if v.mark == nil {
		return nil
	}
	err := v.list.Load(ctx)
	if err != nil {
		return err
	}
	seen, err := v.markAt(ctx, v.list.Last())
	if err != nil {
		return err
	}
	return v.mark.save(seen)
}

// markEvery is how often the mark follows the feed. What is revoked in between, and lost with the database in the same moment, is not noticed.
const markEvery = time.Second

// keepMark lets the mark follow the feed until ctx is done.
func (v *vault) keepMark(ctx context.Context) {
	ticker := time.NewTicker(markEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			v.readOnceMore()
		case <-ticker.C:
		}
		if err := v.follow(); err != nil {
			v.log.Warn("how far the feed of revocations has got could not be written down", "file", v.mark.file, "error", err.Error())
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// follow saves the mark if the feed has got further than it says, or became another one, of which the list has put back what it knew. The file is read again each time: a command may have
// written it.
func (v *vault) follow() error {
	ctx, cancel := context.WithTimeout(context.Background(), markEvery)
	defer cancel()
	saved, err := v.mark.load()
	if err != nil {
		return err
	}
	now, err := v.markAt(ctx, v.list.Last())
	if err != nil || now == saved || now.sum == "" && now.seq <= saved.seq {
		return err
	}
	if at, err := v.markAt(ctx, saved.seq); err != nil || now.seq < saved.seq && saved.sum != "" && at == saved {
		return err // a command was faster than the list
	}
	return v.mark.save(now)
}

// readOnceMore reads what was revoked in the last moments of a server that stops.
func (v *vault) readOnceMore() {
	ctx, cancel := context.WithTimeout(context.Background(), markEvery)
	defer cancel()
	_ = v.list.Load(ctx) // the mark stays behind then, as it would have without
}
