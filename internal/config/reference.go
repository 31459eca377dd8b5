package config

import (
	"fmt"
	"strings"
)

// Reference returns the reference page of the configuration, in Markdown.
func Reference() []byte {
	w := &referenceWriter{}
	w.WriteString(referenceHead)
	for _, f := range configShape().fields {
		w.section(f)
	}
	w.later()
	return []byte(w.String())
}

// A referenceWriter writes one section for each key of the file.
type referenceWriter struct{ strings.Builder }

func (w *referenceWriter) section(f *field) {
	fmt.Fprintf(w, "\n## `%s`\n", f.key)
	if f.shape.kind == structShape { // everything else has a row of its own
		fmt.Fprintf(w, "\n%s\n", f.doc)
	}
	fmt.Fprintf(w, "\n| key | value | default | meaning |\n|---|---|---|---|\n")
	w.rows(f, f.key, map[*shape]bool{})
}

// rows writes the row of a field that stands at path, and the rows below it. above has the structs that are being written, so that one that
// contains itself is written once.
func (w *referenceWriter) rows(f *field, path string, above map[*shape]bool) {
	if f.shape.kind != structShape || f.shape.short != nil {
		w.row(f, path)
	}
	s, path := below(f.shape, path)
	if s == nil || above[s] {
		return
	}
	above[s] = true
	if s.short != nil && s.short.key == "" {
		w.row(s.short, path)
	}
	for _, child := range s.fields {
		w.rows(child, path+"."+child.key, above)
	}
	delete(above, s)
}

// below returns the struct whose keys stand at path or in what stands there, and how a path writes that; nil where there is none.
func below(s *shape, path string) (*shape, string) {
	switch s.kind {
	case structShape:
		return s, path
	case listShape:
		return below(s.elem, path+"[]")
	case dictShape:
		return below(s.elem, path+".*NAME*")
	case pointerShape:
		return below(s.elem, path)
	}
	return nil, path
}

func (w *referenceWriter) row(f *field, path string) {
	def := ""
	switch {
	case f.required:
		def = "required"
	case f.hasDefault && f.def == "":
		def = "empty"
	case f.hasDefault:
		def = code(f.def)
	}
	example := f.shape.example
	if example != "" {
		example = "<br>" + code(example)
	}
	fmt.Fprintf(w, "| %s | %s%s | %s | %s |\n", pathCode(path), describe(f.shape), example, def, cell(f.doc))
}

// pathCode writes a path with the names that are the user's outside the code.
func pathCode(path string) string {
	parts := strings.Split(path, "*NAME*")
	for i, part := range parts {
		if part != "" {
			parts[i] = code(part)
		}
	}
	return strings.Join(parts, "*name*")
}

func code(text string) string { return "`" + cell(text) + "`" }

// cell escapes what would end a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// describe names what may stand at s.
func describe(s *shape) string {
	switch s.kind {
	case listShape:
		return either(s.single, describe(s.elem)+", or a list of them", "list of: "+describe(s.elem))
	case dictShape:
		forms := "mapping of names to: " + describe(s.elem)
		return forms + either(s.ranked, "; or a list of names", "") + either(s.bare != "", "; or one value", "")
	case pointerShape:
		return describe(s.elem)
	case structShape:
		return either(s.short != nil, "a value or a mapping", "mapping")
	}
	if len(s.enum) > 0 {
		return "`" + strings.Join(s.enum, "`, `") + "`"
	}
	return strings.TrimPrefix(strings.TrimPrefix(s.scalar.expect, "an "), "a ") + bounds(s)
}

func bounds(s *shape) string {
	switch {
	case s.min != nil && s.max != nil:
		return fmt.Sprintf(", %d to %d", *s.min, *s.max)
	case s.min != nil:
		return fmt.Sprintf(", %d or more", *s.min)
	case s.least > 0 && s.most > 0:
		return fmt.Sprintf(", %v to %v", s.least, s.most)
	case s.most > 0:
		return fmt.Sprintf(", more than 0, %v at most", s.most)
	case s.positive:
		return ", more than 0"
	}
	return ""
}

func (w *referenceWriter) later() {
	fmt.Fprintf(w, "\n## Not yet\n\nThese sections are refused until they work: `%s`.\n", strings.Join(configShape().later, "`, `"))
}

const referenceHead = `# Configuration

This page is generated from the code that reads the configuration; ` + "`go test ./internal/config -update`" + ` writes it again. The same code
gives the JSON Schema, ` + "[gatehouse.schema.json](gatehouse.schema.json), which `gatehouse check --schema`" + ` prints.

The configuration is one file, YAML (` + "`.yaml`, `.yml`" + `) or JSON (` + "`.json`" + `) by its ending. An empty file is valid and means the defaults.
` + "`gatehouse check`" + ` prints every fault at once, as ` + "`file:line:column: message`" + `.

## What holds everywhere

- **Unknown keys are faults**, and so is what is not used. A key may stand once.
- **Empty values.** A section without keys (` + "`server:`" + `) is as good as none. Any other empty value is a fault: remove the key to get the default.
- **Texts and numbers are not the same.** A text that looks like a number, ` + "`true`" + ` or ` + "`null`" + ` needs quotes: ` + "`\"12345\"`" + `. The words of YAML 1.1
  (` + "`yes`, `no`, `on`, `off`" + `) are texts. Aliases, merge keys, tags and a second document are refused.
- **Durations** are seconds (` + "`90`" + `) or a number with a unit: ` + "`30d`, `10h`, `1.5h`, `.5m`, `10s`" + `.
- **Names** (of roles, rules, tokens, upstreams) have letters, digits and ` + "`. _ : -`" + `.
- **File names** are relative to the folder of the configuration file. The exceptions are the socket of ` + "`server.admin.listen`" + ` and
  the database of ` + "`store.url`" + `, which are relative to the working folder.
- **` + "`${NAME}`" + `** in a value is replaced by the environment variable of that name; one that is not set is a fault. ` + "`$${`" + ` stands for the two
  characters. What comes from the environment is never read as YAML or JSON, but counts as a number where one is needed. Inside ` + "`{…}`" + ` YAML wants it in quotes.
- **` + "`file:PATH`" + `** in place of a token, a hash, a password or the address of a store reads it from a file, without one newline at its end. A change of that file counts as a change of
  the configuration.
- **` + "`GATEHOUSE_SERVER__HTTP__PORT=9000`" + `** in the environment sets ` + "`server.http.port`" + `, whatever the file says: the keys in any case, with two
  underscores between them. Lists of words are separated by commas. A name of the user's that the file does not have is taken in lower case. Variables
  without two underscores are ignored; a path that does not exist is a fault.
`
