// Package sqlite keeps sessions in one file on the machine's own disk. It needs no server and no C compiler, and is made for one process, or a few
// on one machine.
//
//	db, err := sqlite.Open(ctx, "gatehouse-data/gatehouse.db")
//	if err != nil {
//		return err
//	}
//	defer db.Close()
//	sessions := session.New(sqlite.Sessions(db), session.Config{})
//
// What a call has acknowledged survives the end of the process and of the machine's power: the log that is written ahead (file-wal, beside
// file-shm) is on the disk before the call returns, so a write costs what the disk needs for that. The file must be on a local disk: network file
// systems do not keep the locks that this rests on. A backup copies it with SQLite's own means (VACUUM INTO, .backup), never with cp while it is in
// use.
//
// Every failure is an error: a full disk, a file that cannot be written, another process that keeps the write lock for longer than [BusyTimeout].
// Nothing is half done after it. A damaged file is never repaired or replaced behind its owner's back.
package sqlite
