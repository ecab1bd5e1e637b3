package gatewaytest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

func TestNamesAreReturnedInOrder(t *testing.T) {
	for body, want := range map[string][]string{
		`{"b":{"x":1},"a":[1,2],"b":null}`: {"b", "a", "b"},
		`{}`:                               nil,
		`[1]`:                              nil,
		``:                                 nil,
	} {
		if got := names([]byte(body)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestAWholeNumberMayHaveAnExponent(t *testing.T) {
	for n, want := range map[string]bool{"1": true, "-7": true, "1.0": true, "1e3": true, "1.5": false, "1e999999999": false, "99999999999999999999": false, "x": false} {
		if whole(n) != want {
			t.Error(n)
		}
	}
}

func FuzzDecodeObject(f *testing.F) {
	for _, seed := range []string{`{"a":1,"a":{"b":[true,null,"x",1e9]}}`, `[]`, `{`, `{"a\u0062":1}`, ``, `nul`, `{"a":1} x`, `{"a":1e999}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, twice, err := decodeObject(body)
		want := reference(body)
		if (err == nil) != (want != nil) {
			t.Fatalf("%v, encoding/json says %v", err, want)
		}
		if err != nil || len(twice) > 0 {
			return // encoding/json merges objects of the same name
		}
		if got := reference(encode(o)); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// reference returns the object as encoding/json reads it, or nil if it is not an object. Numbers
// are kept as text, because 1e999 is valid JSON but not a float64.
func reference(body []byte) (object map[string]any) {
	if !json.Valid(body) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&object) != nil {
		return nil
	}
	return object
}

// FuzzAnswer sends any bodies to every route. Each must get an answer, and no stream may be empty.
func FuzzAnswer(f *testing.F) {
	paths := []string{
		chatPath, "workers-ai/v1/embeddings", "workers-ai/v1/responses", "workers-ai/" + llama,
		"azure-openai/i/gpt-5/chat/completions", "azure-openai/i/d/completions", "azure-openai/i/d/embeddings", "azure-openai/i/openai/responses",
		"google-ai-studio/v1beta/models/gemini-3:generateContent", "google-ai-studio/v1beta/models/gemini-3:streamGenerateContent",
		"google-ai-studio/v1beta/models/embedding:batchEmbedContents", "google-ai-studio/v1beta/models/embedding:embedContent",
		"compat/chat/completions", "compat/embeddings", "openai/responses",
	}
	for i, body := range []string{
		chatStream, `{"model":"` + llama + `","input":["a"]}`, `{"model":"@cf/openai/gpt-oss-20b","input":[{"role":"user","content":"x"}]}`,
		`{"prompt":"x","raw":true}`, `{"messages":[{"role":"user","content":"USETOOL"}],"tools":[{"function":{"name":"f"}}]}`, `{"prompt":["x"]}`, `{"input":[1,2]}`,
		`{"model":"gpt-5","input":"x","stream":true}`, `{"contents":[` + userHi + `],` + declareF + `,"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}`,
		`{"contents":[{"parts":[{"text":"USETOOL"}]}],` + declareF + `}`, `{"requests":[{"model":"models/embedding","content":{"parts":[{"text":"x"}]}}]}`,
		`{"content":{"parts":[{"text":"x"}]}}`, `{"model":"openai/gpt-4o","messages":[{"role":"user","content":"x"}]}`, `{"model":"openai/e","input":"x"}`, `{}`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	s := &Server{Config: Config{ProviderHeaders: map[string]map[string]string{}}.withDefaults()}
	f.Fuzz(func(t *testing.T, route uint8, body []byte) {
		path := paths[int(route)%len(paths)]
		r := &Request{
			Method: "POST", Path: "/v1/" + s.Config.Account + "/" + s.Config.Gateway + "/" + path, RawQuery: "api-version=2024-10-21", Body: body,
			Header: map[string][]string{
				"Content-Type": {"application/json"}, "Cf-Aig-Authorization": {"Bearer " + s.Config.Token}, "Cf-Aig-Metadata": {`{"user":"u"}`},
			},
		}
		if path[:6] == "google" {
			r.RawQuery = ""
		}
		a := s.answer(s.newCall(r, Scenario{}, 1))
		if a.status < 200 || a.status > 599 || len(a.frames) == 0 || a.contentType == "" {
			t.Errorf("%+v", a)
		}
	})
}
