package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// parsed reads a chat.
func parsed(t testing.TB, body string) *Request {
	t.Helper()
	r, err := ParseRequest(Chat, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLimitStop(t *testing.T) {
	for name, test := range map[string]struct{ stop, want, rest string }{
		"none":                     {``, ``, ``},
		"null":                     {`,"stop":null`, `,"stop":null`, ``},
		"a string":                 {`,"stop":"a"`, `,"stop":"a"`, ``},
		"as many":                  {`,"stop": [ "a","b" ]`, `,"stop": [ "a","b" ]`, ``},
		"more":                     {`,"stop": ["a","b","\n","d\u0065"]`, `,"stop": ["a","b"]`, "\n|de"},
		"more, some of them empty": {`,"stop":["","a","","b"]`, `,"stop":["a","b"]`, ``},
		"more in two lists":        {`,"stop":["x"],"stop":["a","b","c"]`, `,"stop":["x"],"stop":["a","b"]`, `c`},
	} {
		t.Run(name, func(t *testing.T) {
			const before, after = `{"model":"p/m","messages":[]`, `,"x":1.50}`
			r := parsed(t, before+test.stop+after)
			rest, err := r.LimitStop(2)
			if got := strings.Join(rest, "|"); err != nil || got != test.rest || string(r.Body) != before+test.want+after {
				t.Errorf("rest %q, error %v, body %s", got, err, r.Body)
			}
		})
	}
	if _, err := parsed(t, `{"model":"p/m","stop":[1]}`).LimitStop(2); err == nil {
		t.Error("a stop word that is a number is taken")
	}
}

func TestFlattenText(t *testing.T) {
	for name, test := range map[string]struct{ messages, want string }{
		"strings":                               {`[{"role":"user","content":"a"}]`, `[{"role":"user","content":"a"}]`},
		"text alone":                            {`[{"role":"user","content":[{"type":"text","text":"a\n"},{"type":"text","text":"b"}],"name":"n"}]`, `[{"role":"user","content":"a\nb","name":"n"}]`},
		"several":                               {`[{"content" : [ {"type":"text","text":"a"} ]},{"content":"b"},{"content":[{"text":"\"c","type":"text"}]}]`, `[{"content" : "a"},{"content":"b"},{"content":"\"c"}]`},
		"text beside an image":                  {`[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:"}}]}]`, `[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:"}}]}]`},
		"none":                                  {`[{"content":[]}]`, `[{"content":[]}]`},
		"a text that is a number":               {`[{"content":[{"type":"text","text":1}]}]`, `[{"content":[{"type":"text","text":1}]}]`},
		"an array in a field with another name": {`[{"contents":[{"type":"text","text":"a"}],"content":"x"}]`, `[{"contents":[{"type":"text","text":"a"}],"content":"x"}]`},
		"no messages":                           {`{"content":[1]}`, `{"content":[1]}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := parsed(t, `{"stop":["s"],"messages": `+test.messages+`,"model":"p/m"}`)
			r.FlattenText()
			if want := `{"stop":["s"],"messages": ` + test.want + `,"model":"p/m"}`; string(r.Body) != want {
				t.Errorf("body %s, want %s", r.Body, want)
			}
		})
	}
}

// The members and the edits come in every order.
func TestEditsChangeTheRightPlacesInAnyOrder(t *testing.T) {
	members := []string{`"model":"p/model"`, `"stop":["a","b","c"]`, `"messages":[{"content":[{"type":"text","text":"hi"}]}]`, `"x":{"model":"y"}`}
	edits := []func(*Request){
		func(r *Request) { r.SetModel("much-longer-than-before") },
		func(r *Request) { r.SetModel("m") },
		func(r *Request) { _, _ = r.LimitStop(1) },
		func(r *Request) { r.FlattenText() },
	}
	permute(members, func(members []string) {
		permute(edits, func(edits []func(*Request)) {
			r := parsed(t, "{"+strings.Join(members, ",")+"}")
			for _, edit := range edits {
				edit(r)
			}
			r.SetModel("last")
			body := gjson.ParseBytes(r.Body)
			if !gjson.ValidBytes(r.Body) || body.Get("model").Str != "last" || body.Get("stop").Raw != `["a"]` || body.Get("messages.0.content").Raw != `"hi"` || body.Get("x").Raw != `{"model":"y"}` {
				t.Fatalf("%v became %s", members, r.Body)
			}
		})
	})
}

// permute calls visit with every order of all.
func permute[T any](all []T, visit func([]T)) {
	var next func(done int)
	all = slices.Clone(all)
	next = func(done int) {
		if done == len(all) {
			visit(all)
			return
		}
		for i := done; i < len(all); i++ {
			all[done], all[i] = all[i], all[done]
			next(done + 1)
			all[done], all[i] = all[i], all[done]
		}
	}
	next(0)
}

// FuzzEdits checks that edits change nothing else in a request. It compares the values as encoding/json reads
// them.
func FuzzEdits(f *testing.F) {
	f.Add([]byte(`{"stop":["a","b","c","d","e"],"model":"p/m","stream":true,"x":1.50}`), "m")
	f.Add([]byte(`{"stream_options":{"x":[1, 2],"include_usage":false},"st\u006fp":"a","model":"p/m", "stream": true }`), "a/much/longer/model")
	f.Add([]byte(`{"stream":true,"stream_options":null,"stop":["","a","","b","c","d","e"],"model":"p/m","messages":[]}`), "é\n\"")
	f.Fuzz(func(t *testing.T, body []byte, model string) {
		r, err := ParseRequest(Chat, bytes.Clone(body))
		if err != nil || !utf8.ValidString(model) { // provider.Split refuses such a name
			return
		}
		r.AskUsage = true
		r.AskForUsage()
		rest, err := r.LimitStop(4)
		if err != nil {
			return
		}
		r.SetModel(model)
		sent, got := readMembers(string(body)), readMembers(string(r.Body))

		var words, kept []string
		if json.Unmarshal([]byte(sent["stop"]), &words) == nil && len(words) > 4 {
			words = slices.DeleteFunc(words, func(word string) bool { return word == "" })
			if json.Unmarshal([]byte(got["stop"]), &kept) != nil || !slices.Equal(append(kept, asRead(rest)...), words) || len(kept) > 4 {
				t.Fatalf("%s became %s, and the rest is %q", sent["stop"], got["stop"], rest)
			}
			sent["stop"] = got["stop"]
		}
		if r.Stream && !r.IncludeUsage {
			before, after := readMembers(sent["stream_options"]), readMembers(got["stream_options"])
			if after["include_usage"] != "true" {
				t.Fatalf("%s became %s", sent["stream_options"], got["stream_options"])
			}
			delete(before, "include_usage")
			delete(after, "include_usage")
			if !maps.Equal(before, after) {
				t.Fatalf("%s became %s", sent["stream_options"], got["stream_options"])
			}
			sent["stream_options"] = got["stream_options"]
		}
		var named string
		if json.Unmarshal([]byte(got["model"]), &named) != nil || named != model {
			t.Fatalf("the model %q became %s", model, got["model"])
		}
		sent["model"] = got["model"]
		if !maps.Equal(sent, got) {
			t.Fatalf("%s became %s", body, r.Body)
		}
	})
}

// readMembers returns the members of a JSON object, each with its value's JSON. It returns no members for
// other input.
func readMembers(object string) map[string]string {
	var members map[string]json.RawMessage
	_ = json.Unmarshal([]byte(object), &members)
	written := make(map[string]string)
	for name, value := range members {
		written[name] = string(value)
	}
	return written
}

// asRead returns texts as encoding/json writes and reads them. They may contain invalid UTF-8.
func asRead(texts []string) (read []string) {
	written, _ := json.Marshal(texts)
	_ = json.Unmarshal(written, &read)
	return read
}

func TestAskForUsage(t *testing.T) {
	const asked = `"stream_options":{"include_usage":true}`
	for name, test := range map[string]struct{ body, want string }{
		"a stream":                        {`{"model":"p/m","stream":true}`, `{"model":"p/m","stream":true,` + asked + `}`},
		"a model at the end, white space": {`{"stream":true, "model": "p/m" } ` + "\n", `{"stream":true, "model": "p/m" ,` + asked + `} ` + "\n"},
		"a model right before the end":    {`{"stream":true,"model":"p/m"}`, `{"stream":true,"model":"p/m",` + asked + `}`},
		"options that are null":           {`{"model":"p/m","stream":true,"stream_options":null}`, `{"model":"p/m","stream":true,` + asked + `}`},
		"options of another kind":         {`{"stream_options":{"include_obfuscation":false},"model":"p/m","stream":true}`, `{"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"p/m","stream":true}`},
		"a client that wants none":        {`{"stream_options":{"include_usage":false},"model":"p/m","stream":true}`, `{"stream_options":{"include_usage":true},"model":"p/m","stream":true}`},
		"a client that asks":              {`{"model":"p/m","stream":true,"stream_options":{"include_usage":true}}`, ""},
		"no stream":                       {`{"model":"p/m"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := parsed(t, test.body)
			r.AskForUsage()
			if string(r.Body) != test.body {
				t.Errorf("no usage was asked for, and the body became %s", r.Body)
			}
			r.AskUsage = true
			r.AskForUsage()
			if test.want == "" {
				test.want = test.body
			}
			if string(r.Body) != test.want {
				t.Errorf("body %s, want %s", r.Body, test.want)
			}
			r.SetModel("a-longer-name")
			if want := strings.Replace(test.want, "p/m", "a-longer-name", 1); string(r.Body) != want {
				t.Errorf("with another model: %s, want %s", r.Body, want)
			}
		})
	}
}

func TestAMemberIsTakenOut(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"the first":            {`{"private":{"a":[1]} , "model":"old","x":1.50}`, `{ "model":"model","x":1.50}`},
		"the last":             {`{"model":"old", "private" : "}" }`, `{"model":"model" }`},
		"one in the middle":    {`{"model":"old","private":null,"messages":[1]}`, `{"model":"model","messages":[1]}`},
		"one behind messages":  {`{"messages":[1],"private":1,"model":"old"}`, `{"messages":[1],"model":"model"}`},
		"one by another name":  {`{"model":"old","priv\u0061te":1}`, `{"model":"model"}`},
		"none":                 {`{"model":"old","x":{"private":1}}`, `{"model":"model","x":{"private":1}}`},
		"the name as a value":  {`{"x":"private","model":"old"}`, `{"x":"private","model":"model"}`},
		"one with white space": {"{\n \"private\" : 1 \n,\n \"model\":\"old\"\n}", "{\n \n \"model\":\"model\"\n}"},
	} {
		r, err := ParseRequest(Chat, []byte(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Remove("private"); err != nil {
			t.Fatal(err)
		}
		r.SetModel("model")
		if string(r.Body) != test.want || len(r.Messages()) > 0 && string(r.Messages()) != "[1]" {
			t.Errorf("%s: %s, want %s", name, r.Body, test.want)
		}
	}
	r, err := ParseRequest(Chat, []byte(`{"private":1,"model":"m","private":2}`))
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if err := r.Remove("private"); !errors.As(err, &e) || e.Status != 400 || e.Param != "private" {
		t.Errorf("two of a name: %v", err)
	}
}

// FuzzRemove: what is left is JSON, and what it was but for the member.
func FuzzRemove(f *testing.F) {
	f.Add([]byte(`{"private":{"a":[1]} , "model":"m","x":1.50}`))
	f.Add([]byte(`{"model":"m","priv\u0061te":"}" }`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var before, after map[string]json.RawMessage
		r, err := ParseRequest(Chat, body)
		if err != nil || json.Unmarshal(body, &before) != nil {
			return
		}
		if r.Remove("private") != nil {
			return
		}
		if err := json.Unmarshal(r.Body, &after); err != nil {
			t.Fatalf("%v in %s", err, r.Body)
		}
		delete(before, "private")
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%s is left", r.Body)
		}
	})
}
