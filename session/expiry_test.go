package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

const day = 24 * time.Hour

// TestLimits: each limit ends a session at its moment, not a millisecond later, however it is used until then.
func TestLimits(t *testing.T) {
	hour := session.Config{Idle: time.Hour, Absolute: 8 * time.Hour}
	whole := noon.Truncate(time.Millisecond)
	for _, tt := range []struct {
		name  string
		c     session.Config
		id    gatehouse.Identity
		o     session.Options
		every time.Duration // how often the session is used; 0: never
		lives time.Duration
	}{
		{"idle", hour, gatehouse.Identity{}, session.Options{}, 0, time.Hour},
		{"absolute", hour, gatehouse.Identity{}, session.Options{}, 30 * time.Minute, 8 * time.Hour},
		{"absolute before idle", session.Config{Idle: day, Absolute: time.Hour}, gatehouse.Identity{}, session.Options{}, 0, time.Hour},
		{"a MaxAge before idle", hour, gatehouse.Identity{}, session.Options{MaxAge: time.Minute}, 0, time.Minute},
		{"a MaxAge while it is used", hour, gatehouse.Identity{}, session.Options{MaxAge: 2 * time.Hour}, 30 * time.Minute, 2 * time.Hour},
		{"a MaxAge that comes after idle", hour, gatehouse.Identity{}, session.Options{MaxAge: 2 * time.Hour}, 0, time.Hour},
		{"a MaxAge that comes after absolute", hour, gatehouse.Identity{}, session.Options{MaxAge: 100 * time.Hour}, 30 * time.Minute, 8 * time.Hour},
		{"a MaxAge of a millisecond", hour, gatehouse.Identity{}, session.Options{MaxAge: time.Millisecond}, 0, time.Millisecond},
		{"a MaxAge without end", hour, gatehouse.Identity{}, session.Options{MaxAge: 1<<63 - 1}, 30 * time.Minute, 8 * time.Hour},
		{"the identity's own time", hour, gatehouse.Identity{ExpiresAt: whole.Add(10 * time.Minute)}, session.Options{}, time.Minute, 10 * time.Minute},
		{"the identity's before MaxAge", hour, gatehouse.Identity{ExpiresAt: whole.Add(10 * time.Minute)}, session.Options{MaxAge: time.Hour}, time.Minute, 10 * time.Minute},
		{"MaxAge before the identity's", hour, gatehouse.Identity{ExpiresAt: whole.Add(10 * time.Minute)}, session.Options{MaxAge: 5 * time.Minute}, time.Minute, 5 * time.Minute},
		{"the identity's after absolute", hour, gatehouse.Identity{ExpiresAt: whole.Add(100 * day)}, session.Options{}, 30 * time.Minute, 8 * time.Hour},
		{"the defaults, never used", session.Config{}, gatehouse.Identity{}, session.Options{}, 0, 12 * time.Hour},
		{"the defaults, used", session.Config{}, gatehouse.Identity{}, session.Options{}, 6 * time.Hour, 30 * day},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.every == 0 {
				tt.c.Touch = -1 // looking whether it is alive is no use
			}
			h := newHouse(t, tt.c)
			tt.id.Value = "jack"
			s := h.visitor()
			h.ok("Start", h.Start(t.Context(), s, tt.id, tt.o))
			for left := tt.lives - time.Millisecond; left > 0; {
				step := left
				if tt.every > 0 {
					step = min(step, tt.every)
				}
				h.clock.advance(step)
				left -= step
				h.again(s)
			}
			if got, want := h.again(s).Expires(), whole.Add(tt.lives); !got.Equal(want) && tt.every == 0 {
				t.Errorf("Expires = %v, want %v", got, want)
			}
			h.clock.advance(time.Millisecond)
			h.over("the session at its end", s, session.ErrOverdue)
			h.over("the session after its end", s, session.ErrUnknown)
			if n := h.records("jack"); n != 0 {
				t.Errorf("%d records are left", n)
			}
		})
	}
}

// TestVisitorsSessionsEnd like all others.
func TestVisitorsSessionsEnd(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour})
	s := h.put(h.visitor(), "cart", 1)
	h.save(s)
	h.clock.advance(time.Hour - time.Millisecond)
	h.again(s)
	h.clock.advance(time.Hour)
	h.over("a visitor's session", s, session.ErrOverdue)
}

// TestClockSetBack: a session that has ended stays ended, whatever the clock says then.
func TestClockSetBack(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour})
	s := h.signIn("jack")
	h.clock.advance(time.Hour)
	h.over("an overdue session", s, session.ErrOverdue)
	h.clock.advance(-time.Hour)
	h.over("the session before it was overdue", s, session.ErrUnknown)

	h.clock.advance(-100 * day)
	early := h.signIn("ann")
	h.clock.advance(-time.Minute)
	if next := h.again(early); next.Expires().After(h.clock.Now().Add(time.Hour + 2*time.Minute)) {
		t.Errorf("before it began, the session ends at %v, more than Idle after %v", next.Expires(), h.clock.Now())
	}
	if n := h.store.count("Touch"); n != 0 {
		t.Errorf("a clock that was set back causes %d touches", n)
	}
}

// TestOverdueThatCannotBeDeleted is overdue all the same, and somebody is told.
func TestOverdueThatCannotBeDeleted(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour})
	s := h.signIn("jack")
	h.clock.advance(time.Hour)
	h.store.fail("Delete", errDisk)
	h.over("an overdue session", s, session.ErrOverdue)
	if !strings.Contains(h.log.String(), "disk") {
		t.Errorf("the log says %q", h.log)
	}
}

// TestTightenedLimits count for sessions that exist; loosened ones, too.
func TestTightenedLimits(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after session.Config
		age, unused   time.Duration
		lives         bool
	}{
		{"a shorter Idle", session.Config{Idle: 8 * time.Hour}, session.Config{Idle: time.Hour}, 0, time.Hour, false},
		{"a shorter Idle, used since", session.Config{Idle: 8 * time.Hour}, session.Config{Idle: time.Hour}, 2 * time.Hour, time.Hour - time.Millisecond, true},
		{"a shorter Absolute", session.Config{}, session.Config{Absolute: time.Hour}, time.Hour, 0, false},
		{"a shorter Absolute that is not over", session.Config{}, session.Config{Absolute: time.Hour}, time.Hour - time.Millisecond, 0, true},
		{"a longer Idle", session.Config{Idle: time.Hour}, session.Config{Idle: 8 * time.Hour}, 0, 2 * time.Hour, true},
		{"a longer Absolute", session.Config{Absolute: time.Hour}, session.Config{Absolute: day}, 0, 2 * time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, tt.before)
			s := h.signIn("jack")
			h.clock.advance(tt.age)
			h.again(s)
			h.clock.advance(tt.unused)
			later := h.with(tt.after)
			if infos, err := later.List(t.Context(), "jack"); err != nil || (len(infos) == 1) != tt.lives {
				t.Errorf("List = %v, %v, want a session: %v", infos, err, tt.lives)
			}
			if tt.lives {
				later.again(s)
				return
			}
			later.over("the session", s, session.ErrOverdue)
		})
	}
}

// TestOverdueDuringARequest: a session that becomes overdue while a request runs is not brought back by what the request stores: stores that have removed it
// meanwhile and stores that have not would answer differently. Somebody else's use counts, as ever.
func TestOverdueDuringARequest(t *testing.T) {
	for name, act := range map[string]func(*house, *session.Session) error{
		"Save": func(h *house, s *session.Session) error {
			_, err := h.Save(h.t.Context(), h.put(s, "k", 1))
			return err
		},
		"Start": func(h *house, s *session.Session) error {
			return h.Start(h.t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, session.Config{Idle: time.Hour})
			s := h.signIn("jack")
			request := h.again(s)
			h.clock.advance(time.Hour)
			h.refused(name+" after Idle", act(h, request), session.ErrOverdue)
			if n := h.records("jack"); n != 0 {
				t.Errorf("%d records of jack, want none", n)
			}

			s = h.signIn("jack")
			request = h.again(s)
			h.clock.advance(30 * time.Minute)
			h.save(h.put(h.again(s), "other", 2))
			h.clock.advance(30 * time.Minute)
			h.ok(name+" of a session that somebody else has used", act(h, request))
		})
	}
}

// TestTouch: use moves the idle limit, and is written down as often as Config.Touch says.
func TestTouch(t *testing.T) {
	for _, tt := range []struct {
		c      session.Config
		every  time.Duration
		uses   int
		writes int
	}{
		{session.Config{}, time.Second, 59, 0},
		{session.Config{}, time.Second, 60, 1},
		{session.Config{}, time.Second, 600, 10},
		{session.Config{}, 0, 1000, 0},
		{session.Config{}, time.Minute, 30, 30},
		{session.Config{Touch: time.Nanosecond}, time.Second, 10, 10},
		{session.Config{Touch: time.Hour}, time.Minute, 180, 3},
		{session.Config{Idle: time.Minute}, time.Second, 60, 4},
		{session.Config{Touch: -1}, time.Minute, 500, 0},
	} {
		t.Run(fmt.Sprintf("%+v %v", tt.c.Touch, tt.every), func(t *testing.T) {
			h := newHouse(t, tt.c)
			s := h.signIn("jack")
			h.store.writes()
			for range tt.uses {
				h.clock.advance(tt.every)
				h.again(s)
			}
			if n := h.store.writes(); n != tt.writes {
				t.Errorf("%d uses, one each %v, are written down %d times, want %d", tt.uses, tt.every, n, tt.writes)
			}
		})
	}
}

// TestTouchMovesTheRecord: what is written down is the time of the use, and a deadline that no limit comes before.
func TestTouchMovesTheRecord(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour, Absolute: 90 * time.Minute})
	s := h.signIn("jack")
	began := noon.Truncate(time.Millisecond)
	for _, tt := range []struct{ age, deadline time.Duration }{{0, 60 * time.Minute}, {20 * time.Minute, 80 * time.Minute}, {30 * time.Minute, 90 * time.Minute}, {80 * time.Minute, 90 * time.Minute}} {
		h.clock.advance(began.Add(tt.age).Sub(h.clock.Now().Truncate(time.Millisecond)))
		next := h.again(s)
		rec := h.record(s)
		if !rec.Seen.Equal(began.Add(tt.age)) || !rec.Deadline.Equal(began.Add(tt.deadline)) || !rec.Created.Equal(began) || rec.Version != 1 {
			t.Errorf("after %v: seen %v, deadline %v, version %d; want the deadline %v", tt.age, rec.Seen, rec.Deadline, rec.Version, began.Add(tt.deadline))
		}
		if !next.Expires().Equal(rec.Deadline) || !next.EndsBy().Equal(began.Add(90*time.Minute)) || !next.Identity().ExpiresAt.Equal(rec.Deadline) {
			t.Errorf("after %v: Expires = %v, EndsBy = %v", tt.age, next.Expires(), next.EndsBy())
		}
	}
}

// TestOnlyChangesCount: with a negative Touch a session that is only read ends, and a change keeps it alive.
func TestOnlyChangesCount(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour, Touch: -1})
	read, changed := h.signIn("jack"), h.signIn("ann")
	for i := range 4 {
		h.clock.advance(20 * time.Minute)
		h.save(h.put(h.again(changed), "n", i))
		if i < 2 {
			h.again(read)
		}
	}
	h.over("a session that was only read", read, session.ErrOverdue)
	h.again(changed)
}

// TestTouchFails: a request is not refused because its use could not be written down; the session ends earlier then.
func TestTouchFails(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour})
	s := h.signIn("jack")
	h.store.fail("Touch", errDisk)
	h.clock.advance(30 * time.Minute)
	if next := h.again(s); next.Subject() != "jack" || !next.Expires().Equal(noon.Truncate(time.Millisecond).Add(time.Hour)) {
		t.Errorf("with a touch that fails: %q until %v", next.Subject(), next.Expires())
	}
	if !strings.Contains(h.log.String(), "disk") {
		t.Errorf("the log says %q, want the cause", h.log)
	}
	h.clock.advance(30 * time.Minute)
	h.over("a session whose use was never written down", s, session.ErrOverdue)
}

// TestTouchMeetsAnEnd: a session that is ended after it was read and before its use was written down is ended for this request, too.
func TestTouchMeetsAnEnd(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	h.clock.advance(time.Hour)
	h.store.fail("Touch", fmt.Errorf("redis: %w", session.ErrNotFound))
	h.over("a session that is ended meanwhile", s, gatehouse.ErrSession)
}
