package guard

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A Stage is a place on a request's way through the house.
type Stage string

// The stages, in the order in which a request meets them.
const (
	StageTarget     Stage = "target"
	StageRule       Stage = "rule"
	StageLimit      Stage = "limit"
	StageCarrier    Stage = "carrier"
	StageCredential Stage = "credential"
	StageOrigin     Stage = "origin"
	StagePolicy     Stage = "policy"
	StageDecision   Stage = "decision"
	StageBody       Stage = "body"
	StageFront      Stage = "front" // what a front refused by itself
)

// A Step is one thing that was looked at. It holds no credential.
type Step struct {
	Stage   Stage
	Subject string // what was looked at: a path, a rule's name, a carrier's name; may be empty
	Outcome string // what came of it
	Err     error  // why, or nil
}

// String returns the step as one line for people.
func (s Step) String() string {
	text := fmt.Sprintf("%-10s %s", s.Stage, s.Outcome)
	if s.Subject != "" {
		text = fmt.Sprintf("%-10s %s: %s", s.Stage, s.Subject, s.Outcome)
	}
	if s.Err != nil {
		text += " (" + s.Err.Error() + ")"
	}
	return text
}

// A Verdict is what the guard decided about one request, and how. Read it only.
type Verdict struct {
	// Request is the canonical request; its zero value if there is none.
	Request policy.Request
	// Rule is the rule that judged; nil if none matched.
	Rule *policy.Rule
	// Principal is the caller. Of a denied request it is who was refused, or the anonymous principal.
	Principal gatehouse.Principal
	// Carrier and TokenID name what the caller was known by; both may be empty.
	Carrier, TokenID string
	// Problem is the answer to a denied request, and nil exactly if the request may pass.
	Problem *problem.Problem

	match      policy.Match
	stale      *gatehouse.StaleError // why the caller was not sure to be who it is, and what the rule tolerated
	unknown    error                 // why the caller is not known, nil if it is
	ambient    bool                  // a browser may have sent the credential by itself
	unsaid     bool                  // its carrier does not say whether
	secure     bool                  // and over TLS only
	overlooked error                 // why something could not be checked; of a public path also what was wrong with the credential
	steps      []Step
	buffer     [8]Step // most requests need no more, and no second allocation
}

func (v *Verdict) begin() { v.steps = v.buffer[:0] }

func (v *Verdict) step(stage Stage, subject, outcome string, err error) {
	v.steps = append(v.steps, Step{stage, subject, outcome, err})
}

// Allowed reports whether the request may pass. The zero Verdict, which nobody has judged, may not.
func (v *Verdict) Allowed() bool { return v != nil && v.Problem == nil && len(v.steps) > 0 }

// guessed reports whether a public path overlooked a credential that is unknown: it must count like a refused one, or tokens could be tried there
// without end. One that has merely expired is nobody's guess, nor is a session that has ended.
func (v *Verdict) guessed() bool {
	return errors.Is(v.overlooked, gatehouse.ErrCredential) && !errors.Is(v.overlooked, gatehouse.ErrExpired) && !errors.Is(v.overlooked, gatehouse.ErrSession)
}

// Reason returns the code of the problem, or "" if the request may pass.
func (v *Verdict) Reason() problem.Code {
	if v.Problem == nil {
		return ""
	}
	return v.Problem.Code
}

// Requirement returns what was asked of the caller, as a person would write it.
func (v *Verdict) Requirement() string { return v.match.Allow.String() }

// Steps returns the steps in their order. The caller must not change the slice.
func (v *Verdict) Steps() []Step { return v.steps }

// RuleName returns the name of the rule that judged, those of all if several did, or "".
func (v *Verdict) RuleName() string {
	if v.Rule == nil {
		return ""
	}
	name := v.Rule.Name
	for _, also := range v.match.Also {
		name += " + " + also.Name
	}
	return name
}

// forDenied makes sure that a denied request's principal is never the zero value.
func forDenied(p gatehouse.Principal) gatehouse.Principal {
	if p.IsAnonymous() {
		return gatehouse.Anonymous()
	}
	return p
}

type contextKey int

const (
	verdictKey contextKey = iota
	observationKey
	exchangeKey
)

// FromContext returns the verdict of the request that ctx belongs to, or nil if no guard has let it pass.
func FromContext(ctx context.Context) *Verdict {
	v, _ := ctx.Value(verdictKey).(*Verdict)
	return v
}
