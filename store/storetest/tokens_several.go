package storetest

import "github.com/gatehouse-auth/gatehouse/token"

// beside: what one process has done, the other one sees when the call has returned.
func (s *tokenSuite) beside() {
	if s.Tokens.Beside == nil {
		s.Log("does not apply: no second store can have the same records: Tokens.Beside is nil")
		return
	}
	here, there := s.Store, s.Tokens.Beside(s.T)
	all, once := s.lineage("anna", newID(), 1), s.record("anna")
	once.Left = 1
	s.stored(once)
	s.hasIn(there, all...)
	_, err := there.Use(s.Context(), once.Key)
	s.ok("Use there", err)
	_, err = here.Use(s.Context(), once.Key)
	s.refused("Use here of what was used up there", err, token.ErrSpent)
	next := s.member("anna", all[0].Family)
	got, err := there.Rotate(s.Context(), all[1].Key, s.now, []byte("sealed"), next)
	s.ok("Rotate there", err)
	all[1].Used, all[1].Next, all[1].Sealed = s.now, next.Key, []byte("sealed")
	s.is("Rotate there", got, all[1])
	got, err = here.Rotate(s.Context(), all[1].Key, s.now, nil, s.member("anna", all[0].Family))
	s.refused("Rotate here of what was rotated there", err, token.ErrSpent)
	s.is("Rotate here", got, all[1])
	s.has(all...)
	s.has(next)
	s.ok("Delete of a family here", here.Delete(s.Context(), none, all[0].Family))
	s.goneIn(there, append(all, next)...)
	other := s.member("anna", newID())
	s.ok("Create there", there.Create(s.Context(), other))
	s.deletes("anna", nil, other.Family)
	s.goneIn(there, other, once)
}

// reopen: what was acknowledged is still there after a restart, and what was ended is not.
func (s *tokenSuite) reopen() {
	if s.Tokens.Reopen == nil {
		s.Log("does not apply: the records do not survive the process: Tokens.Reopen is nil")
		return
	}
	stays, ended, subject, used, spent, deleted := s.lineage("anna", newID(), 2), s.lineage("anna", newID(), 1), s.lineage("bert", newID(), 1), s.record("anna"), s.record("anna"), s.record("anna")
	used.Left, spent.Left = 3, 1
	s.stored(used, spent, deleted)
	for _, rec := range []*token.Record{&used, &used, &spent} {
		rec.Left--
		_, err := s.Store.Use(s.Context(), rec.Key)
		s.ok("Use", err)
	}
	s.ok("Delete", s.Store.Delete(s.Context(), deleted.Key, ""))
	s.ok("Delete of a family", s.Store.Delete(s.Context(), none, ended[0].Family))
	s.deletes("bert", nil, subject[0].Family)

	s.Store = s.Tokens.Reopen(s.T)
	s.has(stays...)
	s.has(used, spent)
	s.gone(ended...)
	s.gone(subject...)
	s.gone(deleted)
	_, err := s.Store.Use(s.Context(), spent.Key)
	s.refused("Use of what was used up", err, token.ErrSpent)
	got, err := s.Store.Rotate(s.Context(), stays[0].Key, s.now, nil, s.member("anna", stays[0].Family))
	s.refused("Rotate of what was rotated", err, token.ErrSpent)
	s.is("Rotate again", got, stays[0])
	stays = s.rotated(stays, s.member("anna", stays[0].Family))
	s.deletes("anna", []string{"refresh"}, stays[0].Family)
	s.gone(stays...)
}
