package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse"
)

// An Identifier says whom a token stands for: a [Verifier], or [Families] for refresh tokens.
type Identifier interface {
	// Purpose returns what the tokens are good for.
	Purpose() Purpose
	// Identity returns whom the token stands for; for errors see [Verifier.Identity].
	Identity(ctx context.Context, text string) (gatehouse.Identity, error)
}

// A Set has the verifiers of several purposes, and of foreign access tokens. Which one counts is not the token's to say, nor the client's: it is access, unless the rule that
// matches the request names another purpose (gatehouse.PurposeFrom). It is safe for concurrent use. Make it with [NewSet].
type Set struct {
	own     map[string]Identifier
	foreign []*Verifier
}

// NewSet returns the set of these verifiers, each for a purpose and with a type of its own, but for those of foreign tokens. The error says which have the same, or that foreign tokens
// would be tried against more than [MaxTries] keys that are given.
func NewSet(verifiers ...Identifier) (*Set, error) {
	s := &Set{own: map[string]Identifier{}}
	tries, types := 0, map[string]string{}
	for _, one := range verifiers {
		if v, ok := one.(*Verifier); ok && v.foreign != nil {
			s.foreign = append(s.foreign, v)
			if v.foreign.Keys != nil {
				tries += len(v.foreign.Keys.All())
			}
			continue
		}
		p := one.Purpose()
		if s.own[p.Name] != nil {
			return nil, fmt.Errorf("token: two verifiers for the purpose %q", p.Name)
		}
		if other := types[p.Type]; p.Form == JWT && other != "" {
			return nil, fmt.Errorf("token: the purposes %q and %q have the same type, %s", other, p.Name, p.Type)
		}
		s.own[p.Name] = one
		if p.Form == JWT {
			types[p.Type] = p.Name
		}
	}
	if tries > MaxTries {
		return nil, fmt.Errorf("token: foreign tokens would be tried against %d keys, and %d are the most", tries, MaxTries)
	}
	return s, nil
}

// Identity returns whom a token stands for, see [Verifier.Identity]. A token for which there is no verifier is [ErrPurpose]. Of several errors, that of our own verifier
// counts if the token claims to be ours.
func (s *Set) Identity(ctx context.Context, text string) (gatehouse.Identity, error) {
	purpose := gatehouse.PurposeFrom(ctx)
	if purpose == "" {
		purpose = PurposeAccess
	}
	err := error(ErrPurpose)
	if own := s.own[purpose]; own != nil {
		var id gatehouse.Identity
		if id, err = own.Identity(ctx, text); err == nil || !errors.Is(err, ErrInvalid) {
			return id, err
		}
	}
	if purpose != PurposeAccess {
		return gatehouse.Identity{}, err
	}
	var unreachable error
	for _, v := range s.foreign {
		id, other := v.Identity(ctx, text)
		if _, ok := errors.AsType[errNoKeys](other); ok {
			unreachable = other // which must not keep out the others' tokens
			continue
		}
		if other == nil || !errors.Is(other, ErrInvalid) {
			return id, other // good, or signed with the profile's key and not good any more
		}
		if errors.Is(err, ErrPurpose) {
			err = other
		}
	}
	if unreachable != nil {
		return gatehouse.Identity{}, unreachable
	}
	return gatehouse.Identity{}, err
}
