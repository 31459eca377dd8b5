package revoke

import (
	"testing"
	"time"
)

// TestDebts: what the store has promised is owed until it is read, in whichever order the two happen, and nothing is kept when nobody is waiting.
func TestDebts(t *testing.T) {
	var d debts
	entry := func(seq int64) Entry { return Entry{Seq: seq, Kind: Token, ID: "t", Expires: time.Unix(9, 0)} }
	begin := func() { d.begin(entry(0)) }
	pay := func(e Entry) { d.pay(e, sumOf(e)) }
	stands := func(time.Time) bool { return true }
	begin()
	begin()
	pay(entry(1))
	d.end(entry(1))
	d.end(entry(2))
	if owed := d.all(); len(owed) != 1 || owed[0].seq != 2 {
		t.Errorf("owed are %v, want the second alone: the first was read meanwhile", owed)
	}
	if len(d.flying) != 0 {
		t.Errorf("%d are kept of which nobody waits for any", len(d.flying))
	}
	other := entry(2)
	other.ID = "u"
	pay(other)
	if len(d.all()) != 1 {
		t.Error("another entry in its place has paid it")
	}
	pay(entry(2))
	pay(entry(3))
	if len(d.all()) != 0 || len(d.flying) != 0 {
		t.Error("what was read is owed, or kept")
	}
	begin()
	d.end(entry(0)) // the store has failed
	begin()
	d.end(entry(4))
	owed := d.all()
	begin()
	d.end(entry(5))
	if d.forgive(owed, func(time.Time) bool { return false }) || len(d.all()) != 1 {
		t.Errorf("forgive of what may have been removed = true, or %v is left, want the last", d.all())
	}
	if !d.forgive(d.all(), stands) || len(d.all()) != 0 || d.forgive(owed, stands) {
		t.Error("forgive of what must be there = false, or of what was crossed out = true")
	}
}

// TestDebtsWhileSomethingIsOnItsWay: of what is read meanwhile, only what it may be is noted, and of that no more than somebody can ask for.
func TestDebtsWhileSomethingIsOnItsWay(t *testing.T) {
	var d debts
	entry := func(seq int64, id string) Entry {
		return Entry{Seq: seq, Kind: Token, ID: id, Expires: time.Unix(9, 0)}
	}
	pay := func(e Entry) { d.pay(e, sumOf(e)) }
	d.begin(entry(0, "t"))
	for seq := range int64(1000) {
		pay(entry(2*seq+1, "u"))
		pay(entry(2*seq+2, "t")) // of another process
	}
	f := d.flying[content(entry(0, "t"))]
	if len(d.flying) != 1 || len(f.read) != 1+sameNoted {
		t.Fatalf("%d are noted for %d, want %d", len(f.read), len(d.flying), 1+sameNoted)
	}
	for range 3 { // others that say the same come and go
		d.begin(entry(0, "t"))
		pay(entry(2001, "t"))
		d.end(entry(2001, "t"))
	}
	d.end(entry(2000, "t"))
	if len(d.all()) != 0 || len(d.flying) != 0 {
		t.Errorf("owed are %v, and %d are kept: want nothing, it was read before it was promised", d.all(), len(d.flying))
	}
	d.begin(entry(0, "t"))
	d.begin(entry(0, "u"))
	pay(entry(2002, "u"))
	d.end(entry(2002, "t")) // where another one was read
	d.end(entry(2003, "u"))
	if owed := d.all(); len(owed) != 2 {
		t.Errorf("owed are %v, want both: neither was read", owed)
	}
}
