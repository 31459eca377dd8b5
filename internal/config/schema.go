package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// An object is a JSON object; encoding/json sorts its keys.
type object = map[string]any

// environmentPattern is what the schema accepts in place of a value that is not any text: the value itself stands in the environment.
const environmentPattern = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`

// Schema returns the JSON Schema (draft 2020-12) of the configuration, indented, with a newline at the end. What it refuses is refused by
// Parse; Parse knows more, such as which roles there are.
func Schema() []byte {
	w := schemaWriter{defs: object{
		"environment": object{
			"type": "string", "pattern": environmentPattern,
			"description": "${NAME}: the environment variable NAME stands here.",
		},
	}}
	root := w.shape(configShape())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Gatehouse configuration"
	root["description"] = "One file, YAML or JSON. A section is accepted only once it works."
	root["$defs"] = w.defs
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic("config: the schema is made of maps, lists and words: " + err.Error())
	}
	return out.Bytes()
}

// A schemaWriter makes the schema of shapes; defs has those that contain themselves.
type schemaWriter struct{ defs object }

// shape returns the schema of s.
func (w schemaWriter) shape(s *shape) object {
	switch s.kind {
	case structShape:
		return w.structure(s)
	case listShape:
		return w.list(s)
	case dictShape:
		return w.dict(s)
	case pointerShape:
		made := w.shape(s.elem)
		made["type"] = "object"
		return made
	}
	return scalarSchema(s)
}

func (w schemaWriter) structure(s *shape) object {
	if !s.recursive {
		return w.fields(s)
	}
	name := strings.ToLower(s.typ.Name())
	if _, made := w.defs[name]; !made {
		w.defs[name] = object{} // so that the walk below ends
		w.defs[name] = w.fields(s)
	}
	return object{"$ref": "#/$defs/" + name}
}

func (w schemaWriter) fields(s *shape) object {
	properties, required := object{}, []any{}
	for _, f := range s.fields {
		properties[f.key] = w.field(f)
		if f.required {
			required = append(required, f.key)
		}
	}
	made := object{"type": "object", "additionalProperties": false, "properties": properties}
	if s.isSection() {
		made["type"] = []any{"object", "null"}
	}
	if len(required) > 0 {
		made["required"] = required
	}
	constrain(made, s)
	if s.short == nil {
		return made
	}
	short := w.shape(s.short.shape)
	short["description"] = s.short.doc
	return object{"anyOf": []any{short, made}}
}

// constrain says what the keys of a struct owe to each other.
func constrain(made object, s *shape) {
	if len(s.oneOf) > 0 {
		choices := []any{}
		for _, key := range s.oneOf {
			choices = append(choices, object{"required": []any{key}})
		}
		made["oneOf"] = choices
	}
	if len(s.together) > 0 {
		dependent := object{}
		for i, key := range s.together {
			dependent[key] = []any{s.together[(i+1)%len(s.together)]}
		}
		made["dependentRequired"] = dependent
	}
}

func (w schemaWriter) field(f *field) object {
	made := w.shape(f.shape)
	made["description"] = f.doc
	if f.hasDefault {
		made["default"] = defaultValue(f.def, f.shape)
	}
	return made
}

// defaultValue returns a default as JSON has it.
func defaultValue(text string, s *shape) any {
	if s.kind == listShape {
		return []any{defaultValue(text, s.elem)}
	}
	if s.kind != scalarShape || s.scalar.schema["type"] == "string" || s.scalar.expect == "a duration" {
		return text
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return text == "true"
}

func (w schemaWriter) list(s *shape) object {
	made := object{"type": "array", "items": w.shape(s.elem)}
	if s.top {
		made["type"] = []any{"array", "null"}
	}
	if s.nonempty {
		made["minItems"] = 1
	}
	if s.unique {
		made["uniqueItems"] = true
	}
	if s.single {
		return object{"anyOf": []any{w.shape(s.elem), made}}
	}
	return made
}

func (w schemaWriter) dict(s *shape) object {
	made := object{"type": []any{"object", "null"}, "additionalProperties": w.shape(s.elem)}
	if s.names != nil {
		made["propertyNames"] = object{"pattern": s.names.pattern}
	}
	switch {
	case s.ranked:
		names := object{"type": "array", "uniqueItems": true, "items": pattern(s.names.pattern)}
		return object{"anyOf": []any{made, names}}
	case s.bare != "":
		return object{"anyOf": []any{w.shape(s.elem.short.shape), made}}
	}
	return made
}

func pattern(p string) object {
	return orEnvironment(object{"type": "string", "pattern": p})
}

// scalarSchema returns the schema of one value. A value of the environment may stand wherever the schema would not accept any text.
func scalarSchema(s *shape) object {
	made := object{}
	for key, value := range s.scalar.schema {
		made[key] = value
	}
	if s.min != nil {
		made["minimum"] = *s.min
	}
	if s.max != nil {
		made["maximum"] = *s.max
	}
	if s.check != nil && s.check.pattern != "" {
		made["pattern"] = s.check.pattern
	}
	if s.check != nil && s.check.pattern == "" {
		made["minLength"] = 1
	}
	if len(s.enum) > 0 {
		made = object{"enum": s.enum}
	}
	if made["type"] == "string" && len(made) == 1 || made["minLength"] != nil {
		return made
	}
	return orEnvironment(made)
}

func orEnvironment(made object) object {
	return object{"anyOf": []any{made, object{"$ref": "#/$defs/environment"}}}
}
