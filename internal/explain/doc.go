// Package explain tells people what the guard decided, and why. It builds the request that a server would have received, renders a verdict
// with its steps as text and JSON, remembers the last denials for "explain --request", and runs policy tests from files.
//
//	r, err := explain.NewRequest(ctx, "GET", "/films/1", "", nil)
//	report := explain.NewReport(g.Judge(r), 0)
//	report.WriteText(os.Stdout)
//
// Nothing here decides anything: every answer is the guard's. Nothing here holds a credential: a report has the names of carriers and tokens,
// a path without its query, and no header.
package explain
