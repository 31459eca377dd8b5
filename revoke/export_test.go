package revoke

import "time"

// The tests outside of the package need these.

// Tune makes a feed faster than it would be.
func (f *Feed) Tune(most int64, beat, patience, life time.Duration) {
	f.most, f.beat, f.patience, f.life = most, beat, patience, life
}

// SetSilence makes a list that follows give up a stream sooner.
func (l *List) SetSilence(d time.Duration) { l.remote.silence = d }

// SetMost makes a list that follows give up a stream that has sent so many entries and not said that this is all.
func (l *List) SetMost(n int) { l.remote.most = n }

// Noted returns how many entries that were read are noted for revocations that are on their way, and Owed how many the store owes.
func (l *List) Noted() int {
	l.owed.mu.Lock()
	defer l.owed.mu.Unlock()
	n := 0
	for _, f := range l.owed.flying {
		n += len(f.read)
	}
	return n
}

func (l *List) Owed() int { return len(l.owed.all()) }

// Followers returns how many there are.
func (f *Feed) Followers() int64 { return f.followers.Load() }

// Sweep forgets what has expired.
func (l *List) Sweep() { l.sweep(secondOf(l.overdue())) }

// Sum is what a follower names the entry by at which it stands.
func Sum(e Entry) string { return sumOf(e).text() }

// The limits that tests go to.
const (
	PageSize = pageSize
	TailSize = tailSize
	Keep     = keep
	Unknown  = unknown
)
