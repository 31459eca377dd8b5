package listen

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"time"
)

// patience is how many looks a file may keep changing before it counts as changed all the same.
const patience = 5

// Watch looks at the files every so often and calls changed when one of them is another than before: content, rename
// over it, a link that points elsewhere (as Kubernetes swaps volumes), creation, removal. It returns when ctx is done.
//
// It waits until files hold still for one look, so that one call stands for a whole set of changes and rarely for half
// a file; five looks at most. Calls never overlap, and a change during a call leads to another one. files is asked
// every time, and a path that is new in the list counts as a change: after a reload that reads another file expect one
// more call. Start it before the files are first read, or what changes in between is missed.
func Watch(ctx context.Context, files func() []string, every time.Duration, changed func()) {
	w := newWatcher(files)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if w.changed() {
				changed()
			}
		}
	}
}

// watcher remembers how files looked.
type watcher struct {
	files  func() []string
	told   map[string]fs.FileInfo // when a change was last reported; nil for a file that is not there
	last   map[string]fs.FileInfo // at the last look
	waited int
}

func newWatcher(files func() []string) *watcher {
	w := &watcher{files: files}
	w.told = w.look()
	w.last = w.told
	return w
}

// changed looks once. It reports a change when that is complete.
func (w *watcher) changed() bool {
	now := w.look()
	still := same(now, w.last)
	w.last = now
	if same(now, w.told) {
		w.waited = 0
		return false
	}
	w.waited++
	if !still && w.waited < patience {
		return false
	}
	w.told, w.waited = now, 0
	return true
}

func (w *watcher) look() map[string]fs.FileInfo {
	seen := make(map[string]fs.FileInfo)
	for _, name := range w.files() {
		info, err := os.Stat(name)
		if err != nil {
			info = nil
		}
		seen[name] = info
	}
	return seen
}

func same(a, b map[string]fs.FileInfo) bool { return maps.EqualFunc(a, b, sameFile) }

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}
