package explain

import (
	"context"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// tests decodes the root of a file.
func (l *loader) tests(root *yaml.Node) []policyTest {
	if root.Kind != yaml.MappingNode {
		l.fault(root, "a policy test file is a mapping with the key tests and is %s; see %s", kindOf(root), guide)
		return nil
	}
	before := len(l.faults)
	list, ok := l.mapping(root, "tests")["tests"]
	switch {
	case list == nil && !ok && len(l.faults) == before:
		l.fault(root, "there are no tests; write tests: and a list of tests below it, see %s", guide)
		return nil
	case list == nil:
		return nil
	case list.Kind == yaml.SequenceNode && len(list.Content) == 0:
		l.fault(list, "the list of tests is empty: nothing would be tested; see %s", guide)
		return nil
	}
	var tests []policyTest
	for _, n := range l.list(list, "tests", false) {
		tests = append(tests, l.test(n))
	}
	return tests
}

// test decodes one entry. What is wrong with it is in the faults.
func (l *loader) test(n *yaml.Node) policyTest {
	t := policyTest{file: l.file, line: n.Line}
	if n.Kind != yaml.MappingNode {
		l.fault(n, "a test is a mapping with request and expect and is %s; see %s", kindOf(n), guide)
		return t
	}
	before := len(l.faults)
	keys := l.mapping(n, "name", "request", "headers", "as", "expect")
	spelt := len(l.faults) == before // else what is missing is mostly what was misspelt
	for _, required := range []string{"request", "expect"} {
		if _, ok := keys[required]; !ok && spelt {
			l.fault(n, "the test has no %s; a test says what is asked and what must come of it, see %s", required, guide)
		}
	}
	if name := keys["name"]; name != nil {
		t.name, _ = l.text(name, "name")
	}
	authorization := false
	if headers := keys["headers"]; headers != nil {
		t.headers, authorization = l.headers(headers)
	}
	if requests := keys["request"]; requests != nil {
		t.requests = l.requests(requests, t.headers)
	}
	t.callers = l.callers(n, keys["as"], len(t.headers) > 0)
	if authorization && keys["as"] != nil {
		l.fault(keys["as"], "as and an Authorization header exclude each other: nobody would read the header; remove one of them")
	}
	if expect := keys["expect"]; expect != nil {
		t.want = l.expectation(expect)
	}
	return t
}

// headers decodes header lines, and reports whether one of them is Authorization. Only good ones are returned.
func (l *loader) headers(n *yaml.Node) (lines []string, authorization bool) {
	for _, item := range l.list(n, "headers", false) {
		line, ok := l.text(item, "a header")
		if !ok {
			continue
		}
		name, _, err := splitHeader(line)
		if err != nil {
			l.fault(item, "a header: %v", err)
			continue
		}
		lines, authorization = append(lines, line), authorization || strings.EqualFold(name, "Authorization")
	}
	return lines, authorization
}

// requests decodes one request or a list of them.
func (l *loader) requests(n *yaml.Node, headers []string) []asked {
	var requests []asked
	for _, item := range l.list(n, "request", true) {
		text, ok := l.text(item, "a request")
		if !ok {
			continue
		}
		method, target, ok := strings.Cut(text, " ")
		if !ok {
			l.fault(item, "a request is a method and a target with one space between them, such as GET /films/1")
			continue
		}
		if _, err := NewRequest(context.Background(), method, target, "", headers); err != nil {
			l.fault(item, "a request: %v", err)
			continue
		}
		requests = append(requests, asked{method, target})
	}
	return requests
}

const anonymous = "anonymous"

// callers decodes as. Without it the carriers look if there are headers for them to look at: without a credential that is the anonymous caller, too.
func (l *loader) callers(test, n *yaml.Node, headers bool) []caller {
	if n == nil {
		c := caller{title: anonymous, line: test.Line, column: test.Column}
		if headers {
			c.title, c.carriers = "whom the headers name", true
		}
		return []caller{c}
	}
	var callers []caller
	for _, item := range l.list(n, "as", true) {
		c := caller{line: item.Line, column: item.Column}
		switch {
		case item.Kind == yaml.MappingNode:
			c.id = l.identity(item)
			c.title = describe(c.id)
		default:
			name, _ := l.text(item, "as")
			c.title = name
			if name != anonymous {
				c.token, c.title = name, "token "+name
			}
		}
		callers = append(callers, c)
	}
	return callers
}

// identity decodes a caller that the test makes up.
func (l *loader) identity(n *yaml.Node) gatehouse.Identity {
	before := len(l.faults)
	keys := l.mapping(n, "subject", "roles", "scopes")
	id := gatehouse.Identity{Kind: gatehouse.KindUser, Roles: l.texts(keys["roles"], "roles"), Scopes: l.texts(keys["scopes"], "scopes")}
	subject, ok := keys["subject"]
	switch {
	case !ok && len(l.faults) > before: // it was mostly misspelt
	case !ok:
		l.fault(n, "the caller has no subject; write one such as {subject: alice}, or anonymous")
	case subject != nil:
		id.Value, _ = l.text(subject, "subject")
	}
	return id
}

func describe(id gatehouse.Identity) string {
	return PrincipalReport{Subject: id.Value, Kind: string(id.Kind), Roles: id.Roles, Scopes: id.Scopes}.String()
}

const expectForms = "allow, deny, a status such as 401, a code such as forbidden, or {decision, status, code, rule}"

// expectation decodes expect.
func (l *loader) expectation(n *yaml.Node) expectation {
	switch {
	case n.Kind == yaml.MappingNode:
		return l.expectations(n)
	case kindOf(n) == intType:
		return expectation{status: l.status(n)}
	case !isText(n):
		l.fault(n, "expect is %s; write %s", kindOf(n), expectForms)
	case n.Value == Allow || n.Value == Deny:
		return expectation{decision: n.Value}
	default:
		return expectation{code: l.code(n, Allow, Deny)}
	}
	return expectation{}
}

// expectations decodes the long form.
func (l *loader) expectations(n *yaml.Node) expectation {
	keys, e := l.mapping(n, "decision", "status", "code", "rule"), expectation{}
	if len(n.Content) == 0 {
		l.fault(n, "expect is empty: the test could not fail; write %s", expectForms)
	}
	if decision := keys["decision"]; decision != nil {
		e.decision = l.decision(decision)
	}
	if status := keys["status"]; status != nil {
		e.status = l.status(status)
	}
	if code := keys["code"]; code != nil {
		e.code = l.code(code)
	}
	if rule := keys["rule"]; rule != nil {
		e.rule, _ = l.text(rule, "rule")
	}
	if e.decision == Allow && (e.status != 0 || e.code != "") {
		l.fault(n, "a request that is allowed has no status and no code: the test would always fail; remove them, or write decision: deny")
	}
	return e
}

func (l *loader) decision(n *yaml.Node) string {
	text, ok := l.text(n, "decision")
	if ok && text != Allow && text != Deny {
		l.fault(n, "unknown decision %s%s", quote(text), didYouMean(text, []string{Allow, Deny}))
	}
	return text
}

// status decodes the status of a refusal.
func (l *loader) status(n *yaml.Node) int {
	status, err := strconv.Atoi(n.Value)
	switch {
	case kindOf(n) != intType:
		l.fault(n, "status must be a number such as 401 and is %s", kindOf(n))
	case err != nil || status < 400 || status > 599:
		l.fault(n, "%s is not a status of a refused request; write 400 to 599, or allow", quote(n.Value))
	}
	return status
}

// code decodes a problem code, where the words of also may stand, too.
func (l *loader) code(n *yaml.Node, also ...string) string {
	text, ok := l.text(n, "code")
	if !ok {
		return ""
	}
	if _, known := problem.Lookup(problem.Code(text)); known {
		return text
	}
	if _, err := strconv.Atoi(text); err == nil {
		l.fault(n, "%s is a status: write it without quotes, or as status", quote(text))
		return text
	}
	for _, info := range problem.Catalogue {
		also = append(also, string(info.Code))
	}
	l.fault(n, "unknown code %s%s", quote(text), didYouMean(text, also))
	return text
}
