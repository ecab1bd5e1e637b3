package googleaistudio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

const embedder = "gemini-embedding-001"

func TestEmbeddingRequestsAreTranslated(t *testing.T) {
	for name, test := range map[string]struct{ members, want string }{
		"a text":              {`"input":"a\nb"`, `{"content":{"parts":[{"text":"a\nb"}]}}`},
		"a list of one":       {`"input":["a"],"encoding_format":"base64","user":"u"`, `{"content":{"parts":[{"text":"a"}]}}`},
		"a size":              {`"input":"a","dimensions":256`, `{"content":{"parts":[{"text":"a"}]},"outputDimensionality":256}`},
		"several texts":       {`"input":["a","b"]`, `{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]}},{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]}}]}`},
		"several of one size": {`"input":["a","b"],"dimensions":2,"encoding_format":"float"`, `{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"outputDimensionality":2},{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]},"outputDimensionality":2}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Provider{}.Call(parse(t, hub.Embeddings, embedder, test.members))
			if err != nil {
				t.Fatal(err)
			}
			if string(call.Body) != test.want {
				t.Errorf("sends\n%s\nwant\n%s", call.Body, test.want)
			}
		})
	}
}

func TestInvalidEmbeddingRequestsAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ members, param string }{
		"no input":              {`"user":"u"`, "input"},
		"an empty text":         {`"input":""`, "input"},
		"no texts":              {`"input":[]`, "input"},
		"an empty text of many": {`"input":["a",""]`, "input"},
		"tokens":                {`"input":[1,2]`, "input"},
		"tokens of many":        {`"input":[[1],[2]]`, "input"},
		"a text and tokens":     {`"input":["a",1]`, "input"},
		"an object":             {`"input":{}`, "input"},
		"a string for a size":   {`"input":"a","dimensions":"256"`, "dimensions"},
		"a size of zero":        {`"input":"a","dimensions":0`, "dimensions"},
		"an unknown encoding":   {`"input":"a","encoding_format":"int8"`, "encoding_format"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, hub.Embeddings, test.members, test.param) })
	}
}

// answerEmbeddings returns what the client gets if Gemini answers with body.
func answerEmbeddings(t *testing.T, members, body string) (string, error) {
	t.Helper()
	call, err := Provider{}.Call(parse(t, hub.Embeddings, embedder, members))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	translator := call.Translate(&out, false)
	for piece := range slices.Chunk([]byte(body), 7) {
		if _, err := translator.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	err = translator.Close()
	return out.String(), err
}

func TestTooManyInputsAreRefused(t *testing.T) {
	wantRefused(t, hub.Embeddings, `"input":[`+strings.Repeat(`"a",`, 100)+`"a"]`, "input")
	if _, err := (Provider{}).Call(parse(t, hub.Embeddings, embedder, `"input":[`+strings.Repeat(`"a",`, 99)+`"a"]`)); err != nil {
		t.Error(err)
	}
}

func TestEmbeddingAnswersAreTranslated(t *testing.T) {
	const pretty = "{\n  \"embeddings\": [\n    { \"values\": [\n 0.5,\n -1e-3 ] },\n { \"values\": [ 2, 3 ] }\n  ]\n}\n"
	for name, test := range map[string]struct {
		members, body string
		want          [][]float64
	}{
		"of one text":       {`"input":"a"`, `{"embedding":{"values":[0.5,-1e-3]}}`, [][]float64{{0.5, -1e-3}}},
		"of a list of 1":    {`"input":["a"]`, `{"embedding":{"values":[0.5]}}`, [][]float64{{0.5}}},
		"of many, in order": {`"input":["a","b"]`, pretty, [][]float64{{0.5, -1e-3}, {2, 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answerEmbeddings(t, test.members, test.body)
			if err != nil {
				t.Fatal(err)
			}
			var read sdk.CreateEmbeddingResponse
			if err := json.Unmarshal([]byte(got), &read); err != nil {
				t.Fatal(err)
			}
			if read.Object != "list" || read.Model != "google-ai-studio/"+embedder || len(read.Data) != len(test.want) || !read.Usage.JSON.TotalTokens.Valid() || read.Usage.PromptTokens != 0 {
				t.Fatalf("answers %s", got)
			}
			for i, one := range read.Data {
				if one.Index != int64(i) || one.Object != "embedding" || !slices.Equal(one.Embedding, test.want[i]) {
					t.Errorf("answers %s", got)
				}
			}
			if strings.ContainsAny(got, " \n") {
				t.Errorf("answers with white space: %s", got)
			}

			packed, err := answerEmbeddings(t, test.members+`,"encoding_format":"base64"`, test.body)
			if err != nil {
				t.Fatal(err)
			}
			var encoded struct {
				Data []struct{ Embedding string }
			}
			if err := json.Unmarshal([]byte(packed), &encoded); err != nil || len(encoded.Data) != len(test.want) {
				t.Fatalf("%v in %s", err, packed)
			}
			for i, one := range encoded.Data {
				if got := unpack(t, one.Embedding); !slices.Equal(got, single(test.want[i])) {
					t.Errorf("unpacks to %v, want %v", got, test.want[i])
				}
			}
		})
	}
}

// unpack decodes base64 like OpenAI's Python client: 32-bit floats, the lowest byte first.
func unpack(t *testing.T, text string) []float32 {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data)%4 != 0 {
		t.Fatalf("%d bytes, error %v", len(data), err)
	}
	var values []float32
	for b := range slices.Chunk(data, 4) {
		values = append(values, math.Float32frombits(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24))
	}
	return values
}

func single(values []float64) []float32 {
	var all []float32
	for _, v := range values {
		all = append(all, float32(v))
	}
	return all
}

func TestInvalidEmbeddingAnswersBecomeErrors(t *testing.T) {
	for name, test := range map[string]struct {
		members, body string
		status        int
	}{
		"fewer than asked for":        {`"input":["a","b"]`, `{"embeddings":[{"values":[1]}]}`, 502},
		"more than asked for":         {`"input":["a","b"]`, `{"embeddings":[{"values":[1]},{"values":[1]},{"values":[1]}]}`, 502},
		"one for several":             {`"input":["a","b"]`, `{"embedding":{"values":[1]}}`, 502},
		"none":                        {`"input":"a"`, `{}`, 502},
		"an empty one":                {`"input":"a"`, `{"embedding":{"values":[]}}`, 502},
		"one without values":          {`"input":["a","b"]`, `{"embeddings":[{"values":[1]},{}]}`, 502},
		"one that is not all numbers": {`"input":"a"`, `{"embedding":{"values":[1,"2"]}}`, 502},
		"a page":                      {`"input":"a"`, `<html>`, 502},
		"half an answer":              {`"input":"a"`, `{"embedding":{"values":[1`, 502},
		"an error":                    {`"input":"a"`, `{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}`, 429},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answerEmbeddings(t, test.members, test.body)
			var e *hub.Error
			if got != "" || !errors.As(err, &e) || e.Status != test.status {
				t.Errorf("answers %q, error %#v", got, err)
			}
		})
	}
}

func FuzzEmbeddings(f *testing.F) {
	f.Add([]byte(`{"embeddings":[{"values":[1,2]},{"values":[3.5,-1e400]}]}`), true)
	f.Add([]byte(`{"embeddings":[{"values":[1,2]},{"values":[3.5]}]}`), false)
	f.Fuzz(func(t *testing.T, body []byte, packed bool) {
		e := embedding{model: "m", count: 2, base64: packed}
		got, err := e.convert(body)
		if err == nil && !json.Valid(got) {
			t.Fatalf("answers %s", got)
		}
	})
}
