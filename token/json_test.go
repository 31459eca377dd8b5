package token_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	jose "github.com/go-jose/go-jose/v4/json" // refuses duplicate members
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/token"
)

// TestStrictJSON: what everybody reads alike is read, and nothing else.
func TestStrictJSON(t *testing.T) {
	nested := func(n int, open, inner, end string) string {
		return `{"x":` + strings.Repeat(open, n) + inner + strings.Repeat(end, n) + `}`
	}
	members := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf(`"%d":0`, i)
		}
		return "{" + strings.Join(names, ",") + "}"
	}
	for _, text := range []string{
		`{}`, ` { } `, "\t{\n}\r", `{"":""}`, `{"a":1}`, `{"a":-0}`, `{"a":0.0e-0}`, `{"a":1E+2}`, `{"a":[]}`, `{"a":[[],{},"",0,true,false,null]}`, `{"a":"\"\\\/\b\f\n\r\t\u0000\uD83D\ude00"}`, "{\"a\":\"\u007f\u2028\ufffd\"}",
		`{"a":"\ufffd"}`, `{"a":"\\ufffd"}`, `{"a":"\\\ufffd"}`, `{"a":{"b":1},"b":{"a":1}}`, `{"a":1,"A":2}`, members(16), members(17), members(token.MaxMembers), nested(token.MaxDepth-1, "[", "", "]"),
		nested(token.MaxDepth-1, `{"x":`, "0", "}"), nested(0, "", "1e308", ""),
	} {
		got, err := token.ReadJSON(text)
		var want map[string]any
		if err != nil || json.Unmarshal([]byte(text), &want) != nil || cmp.Diff(want, got) != "" {
			t.Errorf("ReadJSON(%s) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		``, ` `, `1`, `""`, `[]`, `null`, `true`, `{`, `}`, `{}}`, `{}{}`, `{},`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{"a":1 "b":2}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{"a":'1'}`, `{1:1}`, `{null:1}`, `{"a":1;"b":2}`, "\ufeff{}", "{}\ufeff",
		"{\u00a0}", "{\v}", "{\f}", "{\"a\"\u2003:1}", "\x00{}", `{"a":tru}`, `{"a":True}`, `{"a":nul}`, `{"a":nullx}`, `{"a":undefined}`, `{"a":NaN}`, `{"a":-NaN}`, `{"a":Infinity}`, `{"a":-Infinity}`, `{"a":+1}`, `{"a":01}`, `{"a":-01}`, `{"a":1.}`,
		`{"a":.1}`, `{"a":-}`, `{"a":--1}`, `{"a":1e}`, `{"a":1e+}`, `{"a":e1}`, `{"a":0x1}`, `{"a":1_0}`, `{"a":1,2}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[}`, `{"a":]}`, `{"a":[1}`, `{"a":{]}`, `{"a":"`, `{"a":"}`, `{"a":"\`, `{"a":"\"}`,
		`{"a":"\x41"}`, `{"a":"\a"}`, `{"a":"\'"}`, `{"a":"\U0041"}`, `{"a":"\u"}`, `{"a":"\u00"}`, `{"a":"\u00g0"}`, `{"a":"\u+041"}`, `{"a":"\u 041"}`, `{"a":"\u0x41"}`, "{\"a\":\"\t\"}", "{\"a\":\"\n\"}", "{\"a\":\"\x00\"}", "{\"a\":\"\x1f\"}",
		`{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800\ud800"}`, `{"a":"\udc00\ud800"}`, `{"a":"\ud800x"}`, `{"a":"\ud800\n"}`, `{"a":"\ud800\u0041"}`, `{"a":"\ud83d\ude0"}`, `{"a":"\ud800\\udc00"}`, `{"a":"\\ufffd\ud800"}`,
		"{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"\xff\":1}", "{}\xff", `{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `{"":1,"":2}`, `{"a":{"b":1,"b":2}}`, `{"a":[{"b":1,"b":2}]}`,
		`{"\ud83d\ude00":1,"😀":2}`, members(token.MaxMembers + 1), strings.Replace(members(40), `"39"`, `"20"`, 1), strings.Replace(members(40), `"39"`, `"3"`, 1), nested(token.MaxDepth, "[", "", "]"), nested(token.MaxDepth, `{"x":`, "0", "}"),
		nested(4000, "[", "", "]"), strings.Repeat("[", 8000), strings.Repeat(`{"a":`, 1600), `{"a":/**/1}`, "{\"a\":1}//", `{"a":1}#`, `{"a":1e400}`, `{"a":[-1e400]}`,
	} {
		if got, err := token.ReadJSON(text); err == nil {
			t.Errorf("ReadJSON(%.80s) = %v, want an error", text, got)
		}
	}
}

// agrees compares what is read of text with what two other readers make of it.
func agrees(t interface {
	Helper()
	Fatalf(string, ...any)
}, text string) {
	t.Helper()
	got, err := token.ReadJSON(text)
	var plain, strict map[string]any
	plainErr := json.Unmarshal([]byte(text), &plain)
	strictErr := jose.Unmarshal([]byte(text), &strict)
	if err != nil {
		return
	}
	if !utf8.ValidString(text) || plainErr != nil || strictErr != nil {
		t.Fatalf("ReadJSON(%q) = %v, and encoding/json says %v, go-jose %v: it must not take what they refuse", text, got, plainErr, strictErr)
	}
	opts := cmp.Transformer("float", func(n json.Number) float64 { f, _ := n.Float64(); return f })
	if diff := cmp.Diff(numbered(plain), numbered(got), opts); diff != "" {
		t.Fatalf("ReadJSON(%q) differs from encoding/json: %s", text, diff)
	}
}

// numbered has float64s in the place of numbers, at any depth.
func numbered(value any) any {
	switch v := value.(type) {
	case json.Number:
		f, _ := v.Float64()
		return f
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = numbered(list[i])
		}
		return list
	case map[string]any:
		all := map[string]any{}
		for name := range v {
			all[name] = numbered(v[name])
		}
		return all
	}
	return value
}

// TestJSONOfOthers: whatever encoding/json writes is read, and means the same.
func TestJSONOfOthers(t *testing.T) {
	value := rapid.Deferred(func() *rapid.Generator[any] { return anyJSON(3) })
	rapid.Check(t, func(r *rapid.T) {
		in := rapid.MapOf(rapid.String(), value).Draw(r, "object")
		text := string(must(json.Marshal(in)))
		if _, err := token.ReadJSON(text); err != nil {
			r.Fatalf("ReadJSON(%s) = %v, want nil", text, err)
		}
		agrees(r, text)
	})
}

// anyJSON draws values of JSON of a depth.
func anyJSON(depth int) *rapid.Generator[any] {
	some := []*rapid.Generator[any]{rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Float64().AsAny(), rapid.Int64().AsAny()}
	if depth > 0 {
		some = append(some, rapid.SliceOfN(anyJSON(depth-1), 0, 4).AsAny(), rapid.MapOfN(rapid.String(), anyJSON(depth-1), 0, 4).AsAny())
	}
	return rapid.OneOf(some...)
}
