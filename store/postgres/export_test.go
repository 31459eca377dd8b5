package postgres

import "time"

// SetSilence sets after how long without a word a listener makes sure that its connection is still there.
func (db *DB) SetSilence(d time.Duration) { db.silence = d }
