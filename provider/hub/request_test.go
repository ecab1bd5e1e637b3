package hub

import (
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestParseRequest(t *testing.T) {
	for name, test := range map[string]struct {
		body   string
		model  string
		stream bool
		usage  bool
	}{
		"a chat":                       {`{"model":"a/b","messages":[]}`, "a/b", false, false},
		"a stream":                     {`{"stream":true,"model":"a/b"}`, "a/b", true, false},
		"stream is false":              {`{"stream":false,"model":"a/b"}`, "a/b", false, false},
		"stream is null":               {`{"stream":null,"model":"a/b"}`, "a/b", false, false},
		"usage":                        {`{"stream":true,"stream_options":{"include_usage":true},"model":"a/b"}`, "a/b", true, true},
		"usage that is false":          {`{"stream":true,"stream_options":{"include_usage":false},"model":"a/b"}`, "a/b", true, false},
		"a model within another value": {`{"x":{"model":"c/d"},"model":"a/b","y":[{"model":"e/f"}]}`, "a/b", false, false},
		"an escaped name":              {`{"mod\u0065l":"a/b"}`, "a/b", false, false},
		"an escaped model":             {`{"model":"a\/b\u0063"}`, "a/bc", false, false},
		"white space everywhere":       {" {\n\t\"model\" :\r \"a/b\" } \n", "a/b", false, false},
		"all kinds of values":          {`{"a":-1.5e+10,"b":[true,false,null,0,"\"\\\u00e9"],"c":{},"d":[],"model":"a/b"}`, "a/b", false, false},
		"another member in upper case": {`{"Model":"c/d","model":"a/b"}`, "a/b", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRequest(Chat, []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if r.Name != test.model || r.Stream != test.stream || r.IncludeUsage != test.usage {
				t.Errorf("model %q, stream %v, usage %v", r.Name, r.Stream, r.IncludeUsage)
			}
		})
	}
}

func TestInvalidBodiesAreRefused(t *testing.T) {
	deep := strings.Repeat("[", 2000) + strings.Repeat("]", 2000)
	for name, test := range map[string]struct{ body, param, says string }{
		"nothing":                       {``, "", "not valid JSON"},
		"an array":                      {`["model"]`, "", "not valid JSON"},
		"a string":                      {`"model"`, "", "not valid JSON"},
		"text":                          {`model=a/b`, "", "not valid JSON"},
		"no end":                        {`{"model":"a/b"`, "", "not valid JSON"},
		"a string without end":          {`{"model":"a/b`, "", "not valid JSON"},
		"text after the end":            {`{"model":"a/b"}x`, "", "not valid JSON"},
		"a comma too many":              {`{"model":"a/b",}`, "", "not valid JSON"},
		"a comma too many in an array":  {`{"model":"a/b","x":[1,]}`, "", "not valid JSON"},
		"a missing comma":               {`{"model":"a/b" "x":1}`, "", "not valid JSON"},
		"a missing comma in an array":   {`{"model":"a/b","x":[1 2]}`, "", "not valid JSON"},
		"a missing colon":               {`{"model" "a/b"}`, "", "not valid JSON"},
		"a name without quotes":         {`{model:"a/b"}`, "", "not valid JSON"},
		"a name without end":            {`{"model`, "", "not valid JSON"},
		"no value":                      {`{"model":}`, "", "not valid JSON"},
		"a control character":           {"{\"model\":\"a/b\n\"}", "", "not valid JSON"},
		"an unknown escape":             {`{"model":"a\x62"}`, "", "not valid JSON"},
		"a broken \\u":                  {`{"model":"\u00g0"}`, "", "not valid JSON"},
		"a short \\u":                   {`{"model":"\u00`, "", "not valid JSON"},
		"an unknown word":               {`{"model":"a/b","x":tru}`, "", "not valid JSON"},
		"a leading zero":                {`{"model":"a/b","x":01}`, "", "not valid JSON"},
		"a lone minus":                  {`{"model":"a/b","x":-}`, "", "not valid JSON"},
		"a lone dot":                    {`{"model":"a/b","x":1.}`, "", "not valid JSON"},
		"an empty exponent":             {`{"model":"a/b","x":1e+}`, "", "not valid JSON"},
		"a byte order mark":             {"\ufeff{\"model\":\"a/b\"}", "", "not valid JSON"},
		"2000 levels":                   {`{"model":"a/b","x":` + deep + `}`, "", "1000 levels"},
		"20 MB of brackets":             {`{"x":` + strings.Repeat("[", 20<<20), "", "1000 levels"},
		"20 MB of braces":               {strings.Repeat(`{"":`, 5<<20), "", "1000 levels"},
		"no model":                      {`{"messages":[]}`, "model", "no `model`"},
		"two models":                    {`{"model":"a/b","model":"c/d"}`, "model", "more than one"},
		"two models, both the same":     {`{"model":"a/b","model":"a/b"}`, "model", "more than one"},
		"two models, the first escaped": {`{"\u006dodel":"a/b","model":"c/d"}`, "model", "more than one"},
		"a model that is null":          {`{"model":null}`, "model", "as a string"},
		"a model that is a list":        {`{"model":["a/b"]}`, "model", "as a string"},
		"stream as text":                {`{"model":"a/b","stream":"true"}`, "stream", "true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRequest(Chat, []byte(test.body))
			var e *Error
			if !errors.As(err, &e) || e.Status != 400 || e.Param != test.param || !strings.Contains(e.Message, test.says) {
				t.Errorf("error %+v, want 400 about %q with %q", err, test.param, test.says)
			}
		})
	}
}

func TestSetModel(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"workers-ai/@cf/a","x":1}`:        `{"model":"@cf/a","x":1}`,
		`{ "x":[1, 2] , "model" : "a/b/@cf/a" }`:    `{ "x":[1, 2] , "model" : "@cf/a" }`,
		`{"model":"a","x":1}`:                       `{"model":"@cf/a","x":1}`,
		`{"m\u006fdel":"w\u002f@cf/a/long/enough"}`: `{"m\u006fdel":"@cf/a"}`,
	} {
		r, err := ParseRequest(Chat, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetModel("@cf/a")
		if string(r.Body) != want {
			t.Errorf("%s became %s, want %s", body, r.Body, want)
		}
		r.SetModel("b")
		if want := strings.Replace(want, "@cf/a", "b", 1); string(r.Body) != want {
			t.Errorf("the second time it became %s, want %s", r.Body, want)
		}
	}
}

func TestSetModelInPlaceAllocatesLittle(t *testing.T) {
	body := []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat("x", 1<<20) + `"}],"model":"workers-ai/@cf/a"}`)
	buffer := make([]byte, len(body))
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			copy(buffer, body)
			r, err := ParseRequest(Chat, buffer)
			if err != nil {
				b.Fatal(err)
			}
			r.SetModel("@cf/a")
		}
	})
	if got := result.AllocedBytesPerOp(); got > 1024 {
		t.Errorf("%d bytes allocated for a body of 1 MB, want no copy", got)
	}
}

func TestStopWordsAreRead(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"m"}`:                                                  "",
		`{"model":"m","stop":null}`:                                      "",
		`{"model":"m","stop":"a"}`:                                       "a",
		`{"model":"m","stop":["a","","b"]}`:                              "a|b",
		`{"model":"m","stop":[]}`:                                        "",
		`{"model":"m","stop":{"a":1}}`:                                   "error",
		`{"model":"m","stop":["a",1]}`:                                   "error",
		`{"model":"m","stop":["a",["b"]]}`:                               "error",
		`{"model":"m","stop":{}}`:                                        "error",
		`{"model":"m","stop":[` + strings.Repeat(`"a",`, 64) + `"a"]}`:   "error",
		`{"model":"m","stop":["` + strings.Repeat(`\n`, 1024) + `"]}`:    strings.Repeat("\n", 1024),
		`{"model":"m","stop":["a","` + strings.Repeat("b", 1025) + `"]}`: "error",
		`{"model":"m","stop":"` + strings.Repeat("b", 1025) + `"}`:       "error",
	} {
		r, err := ParseRequest(Completions, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		words, err := r.StopWords()
		got := strings.Join(words, "|")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%.100s: %.100s, want %.100s", body, got, want)
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

func TestReadingAListThatIsTooLongTakesLittleMemory(t *testing.T) {
	const elements = 1 << 20
	for name, list := range map[string]string{
		"of empty texts": strings.Repeat(`"",`, elements) + `""`,
		"of numbers":     strings.Repeat(`1,`, elements) + `1`,
	} {
		body := []byte(`{"model":"m","prompt":[` + list + `],"stop":[` + list + `]}`)
		r, err := ParseRequest(Completions, body)
		if err != nil {
			t.Fatal(err)
		}
		for field, read := range map[string]func() error{
			"stop":   func() error { _, err := r.StopWords(); return err },
			"prompt": func() error { _, err := r.Prompt(); return err },
		} {
			var err error
			if got := allocated(func() { err = read() }); err == nil || got > 2*len(body) {
				t.Errorf("%s %s: %d bytes for a body of %d, error %v", field, name, got, len(body), err)
			}
		}
	}
}

func TestChatFromCompletion(t *testing.T) {
	for name, test := range map[string]struct{ body, want, rest string }{
		"as Continue sends it": {
			`{"model":"p/m","max_tokens":4096,"temperature":0.01,"stream":true,"stop":["a","b","c","d","e","f"],"prompt":"def\n"}`,
			`{"model":"m","messages":[{"role":"user","content":"def\n"}],"stop":["a","b","c","d"],"max_tokens":4096,"temperature":0.01,"stream":true}`, "e|f"},
		"for a reasoning model": {
			`{"model":"p/m","max_completion_tokens":4096,"temperature":0.01,"top_p":1,"stop":["a"],"prompt":"x"}`,
			`{"model":"m","messages":[{"role":"user","content":"x"}],"max_completion_tokens":4096}`, "a"},
		"a prompt in an array": {`{"model":"p/m","prompt":["x"]}`, `{"model":"m","messages":[{"role":"user","content":"x"}]}`, ""},
		"numbers keep their text": {
			`{"model":"p/m","prompt":"x","seed":12345678901234567890,"temperature":1.50}`,
			`{"model":"m","messages":[{"role":"user","content":"x"}],"seed":12345678901234567890,"temperature":1.50}`, ""},
		"what a chat does not know is left out": {
			`{"model":"p/m","prompt":"x","best_of":2,"echo":true,"logprobs":3,"suffix":null,"messages":"forged","user":"u"}`,
			`{"model":"m","messages":[{"role":"user","content":"x"}],"user":"u"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRequest(Completions, []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			got, rest, err := r.ChatFromCompletion("m", 4)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want || strings.Join(rest, "|") != test.rest {
				t.Errorf("got %s, rest %q\nwant %s, rest %q", got, rest, test.want, test.rest)
			}
		})
	}
}

func TestASuffixBecomesPartOfThePrompt(t *testing.T) {
	r, err := ParseRequest(Completions, []byte(`{"model":"m","prompt":"before","suffix":"after"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.ChatPrompt()
	if err != nil || !strings.Contains(got, "<prefix>before</prefix>") || !strings.Contains(got, "<suffix>after</suffix>") {
		t.Errorf("prompt %q, error %v", got, err)
	}
}

func TestInvalidCompletionsAreRefused(t *testing.T) {
	for body, param := range map[string]string{
		`{"model":"m"}`:                             "prompt",
		`{"model":"m","prompt":["a","b"]}`:          "prompt",
		`{"model":"m","prompt":[1,2]}`:              "prompt",
		`{"model":"m","prompt":[]}`:                 "prompt",
		`{"model":"m","prompt":"x","suffix":["y"]}`: "suffix",
		`{"model":"m","prompt":"x","stop":5}`:       "stop",
	} {
		r, err := ParseRequest(Completions, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = r.ChatFromCompletion("m", 4)
		var e *Error
		if !errors.As(err, &e) || e.Status != 400 || e.Param != param {
			t.Errorf("%s: error %v, want 400 about %s", body, err, param)
		}
	}
}

func TestMessagesAndRestTogetherMakeTheRequest(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"model":"m","messages": [ {} ],"n":1}`:           {`[ {} ]`, `{"model":"m","messages": null,"n":1}`},
		`{"messages":"hi","model":"m"}`:                    {`"hi"`, `{"messages":null,"model":"m"}`},
		`{"messages":[1],"model":"m","m\u0065ssages":[2]}`: {`[2]`, `{"messages":[1],"model":"m","m\u0065ssages":null}`},
		`{"model":"m"}`: {``, `{"model":"m"}`},
	} {
		r, err := ParseRequest(Chat, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if messages, rest := string(r.Messages()), string(r.Rest()); messages != want[0] || rest != want[1] || string(r.Body) != body {
			t.Errorf("%s: messages %s, rest %s", body, messages, rest)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"model":"a/b","stream":true,"stream_options":{"include_usage":true},"stop":["x"]}`))
	f.Add([]byte(`{"mod\u0065l":"a","x":[1.5e-3,{"y":"\ud83d\ude00"}]}`))
	f.Add([]byte(`{"model":"a","model":"b"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(Chat, append([]byte(nil), body...))
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("took %q for JSON", body)
		}
		r.SetModel("model")
		if !json.Valid(r.Body) || gjson.GetBytes(r.Body, "model").Str != "model" && !strings.Contains(string(body), `\`) {
			t.Fatalf("%q became %q", body, r.Body)
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	for _, test := range []struct {
		size  string
		bytes int
	}{{"4KB", 4 << 10}, {"200KB", 200 << 10}, {"1MB", 1 << 20}} {
		body := []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat(`    return self.values[index] + offset\n`, test.bytes/40) + `"}],"model":"workers-ai/@cf/a","stream":true}`)
		b.Run("size="+test.size, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseRequest(Chat, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
