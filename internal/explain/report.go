package explain

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// The decisions of a [Report].
const (
	Allow = "allow"
	Deny  = "deny"
)

// A Report is a verdict for people and programs. It holds no credential: names of carriers and tokens, the path without its query, no header.
type Report struct {
	// RequestID and Time (RFC 3339) are known of a request that was served; empty otherwise.
	RequestID string `json:"request_id,omitempty"`
	Time      string `json:"time,omitempty"`
	// Method, Host and Path are those of the canonical request; empty if there is none, see [Report.For].
	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"`
	Path   string `json:"path,omitempty"`
	// Decision is [Allow] or [Deny].
	Decision string `json:"decision"`
	// Code is the problem's code and Status the answer's status; empty and 0 if unknown.
	Code   string `json:"code,omitempty"`
	Status int    `json:"status,omitempty"`
	// Detail is what the caller was told to do: the problem's own text, or the catalogue's. Empty if there is no problem.
	Detail string `json:"detail,omitempty"`
	// Principal is who was judged.
	Principal PrincipalReport `json:"principal"`
	// Carrier and Token name what the caller was known by.
	Carrier string `json:"carrier,omitempty"`
	Token   string `json:"token,omitempty"`
	// Rule is the name of the rule that judged, Requirement what was asked of the caller.
	Rule        string `json:"rule,omitempty"`
	Requirement string `json:"requirement,omitempty"`
	// Steps are what was looked at, in order.
	Steps []StepReport `json:"steps"`
}

// A PrincipalReport says who was judged. Subject is empty for the anonymous caller.
type PrincipalReport struct {
	Subject string   `json:"subject,omitempty"`
	Kind    string   `json:"kind"`
	Roles   []string `json:"roles,omitempty"`
	Scopes  []string `json:"scopes,omitempty"`
}

// A StepReport is one thing that was looked at: see [guard.Step].
type StepReport struct {
	Stage   string `json:"stage"`
	Subject string `json:"subject,omitempty"`
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// NewReport returns the report of v. status is the status of the answer, 0 if there is none. A nil verdict, which nobody has given, denies.
// The report shares no memory that v's owner changes.
func NewReport(v *guard.Verdict, status int) Report {
	r := Report{Decision: Deny, Status: status, Principal: PrincipalReport{Kind: string(gatehouse.KindAnonymous)}, Steps: []StepReport{}}
	if v == nil {
		return r
	}
	if v.Allowed() {
		r.Decision = Allow
	}
	r.Method, r.Host, r.Path = v.Request.Method, v.Request.Host, v.Request.Path
	r.Code, r.Carrier, r.Token, r.Rule = string(v.Reason()), v.Carrier, v.TokenID, v.RuleName()
	r.Requirement, r.Detail = requirement(v), catalogued(r.Code)
	if v.Problem != nil && v.Problem.Detail != "" {
		r.Detail = v.Problem.Detail
	}
	if p := v.Principal; !p.IsAnonymous() {
		r.Principal = PrincipalReport{Subject: p.Subject, Kind: string(p.Kind), Roles: p.Roles, Scopes: p.Scopes}
	}
	for _, s := range v.Steps() {
		r.Steps = append(r.Steps, stepReport(s))
	}
	return r
}

// catalogued returns what the catalogue tells callers to do about code, "" if it does not have it.
func catalogued(code string) string {
	info, _ := problem.Lookup(problem.Code(code))
	return info.Detail
}

// requirement is empty where nothing was required, because the request never reached a rule.
func requirement(v *guard.Verdict) string {
	if v.Request.Path == "" {
		return ""
	}
	return v.Requirement()
}

func stepReport(s guard.Step) StepReport {
	report := StepReport{Stage: string(s.Stage), Subject: s.Subject, Outcome: s.Outcome}
	if s.Err != nil {
		report.Error = scrub(s.Err.Error())
	}
	return report
}

// For returns the report with the method, host and raw path of req where the verdict has none: of a request that could not be judged.
func (r Report) For(req *http.Request) Report {
	if r.Path == "" && req != nil {
		r.Method, r.Host = req.Method, req.Host
		if req.URL != nil {
			r.Path = req.URL.EscapedPath()
		}
	}
	return r
}

// WriteText writes the report for people: the decision, who was judged by what, the steps, and what to do. The error is w's.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(r.headline() + "\n\n")
	for _, line := range [][2]string{
		{"request", strings.TrimSpace(r.RequestID + "  " + r.Time)},
		{"host", r.Host},
		{"who", r.Principal.String()},
		{"known by", r.knownBy()},
		{"rule", r.Rule},
		{"requirement", r.Requirement},
	} {
		if line[1] != "" {
			fmt.Fprintf(&b, "  %-11s  %s\n", line[0], clean(line[1]))
		}
	}
	b.WriteString("\n" + r.stepsText("  "))
	if r.Detail != "" {
		b.WriteString("\n" + clean(r.Detail) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// headline is the decision in one line: "DENY 403 forbidden  GET /films/1".
func (r Report) headline() string {
	line := strings.ToUpper(r.Decision)
	if r.Status != 0 {
		line += fmt.Sprintf(" %d", r.Status)
	}
	if r.Code != "" {
		line += " " + r.Code
	}
	if asked := strings.TrimSpace(r.Method + " " + r.Path); asked != "" {
		line += "  " + asked
	}
	return clean(line)
}

// String returns the principal in one line.
func (p PrincipalReport) String() string {
	if p.Subject == "" {
		return string(gatehouse.KindAnonymous)
	}
	text := p.Subject + " (" + p.Kind + ")"
	if len(p.Roles) > 0 {
		text += ", roles " + strings.Join(p.Roles, " ")
	}
	if len(p.Scopes) > 0 {
		text += ", scopes " + strings.Join(p.Scopes, " ")
	}
	return text
}

func (r Report) knownBy() string {
	if r.Token == "" {
		return r.Carrier
	}
	return strings.TrimPrefix(r.Carrier+", token "+r.Token, ", ")
}

// widest is how far subjects push the outcomes to the right.
const widest = 40

// stepsText returns the steps as numbered lines with columns.
func (r Report) stepsText(indent string) string {
	subjects := 0
	for _, s := range r.Steps {
		subjects = max(subjects, min(widest, utf8.RuneCountInString(clean(s.Subject))))
	}
	var b strings.Builder
	for i, s := range r.Steps {
		line := fmt.Sprintf("%s%2d  %-10s  %-*s  %s", indent, i+1, clean(s.Stage), subjects, clean(s.Subject), clean(s.Outcome))
		if s.Error != "" && s.Error != s.Outcome {
			line += " (" + clean(s.Error) + ")"
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}
