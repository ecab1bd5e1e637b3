package compat

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

func callFor(t *testing.T, endpoint hub.Endpoint, model, members string) (*hub.Call, error) {
	t.Helper()
	r, err := openai.ParseRequest(endpoint, []byte(`{"model":"`+model+`",`+members+`}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Provider, r.Model, _ = strings.Cut(model, "/")
	return Provider{}.Call(r)
}

func TestBodiesAreAdapted(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint            hub.Endpoint
		model, members      string
		wantModel, wantRest string
	}{
		"a chat":                      {hub.Chat, "groq/llama", `"messages": [ ],"x":1.50`, "groq/llama", `,"messages": [ ],"x":1.50`},
		"a chat with many stop words": {hub.Chat, "groq/llama", `"stop":["1","2","3","4","5"],"x":1.50`, "groq/llama", `,"stop":["1","2","3","4"],"x":1.50`},
		"a response of OpenAI's":      {hub.Responses, "openai/gpt-5", `"input":"x"`, "gpt-5", `,"input":"x"`},
		"embeddings":                  {hub.Embeddings, "openai/e", `"input":"x"`, "openai/e", `,"input":"x"`},
		"a text completion":           {hub.Completions, "openai/gpt-4o-mini", `"prompt":"x","stop":["1","2","3","4","5"],"max_tokens":5`, "openai/gpt-4o-mini", `,"messages":[{"role":"user","content":"x"}],"stop":["1","2","3","4"],"max_tokens":5`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := callFor(t, test.endpoint, test.model, test.members)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"model":"` + test.wantModel + `"` + test.wantRest + `}`; string(call.Body) != want {
				t.Errorf("body %s, want %s", call.Body, want)
			}
		})
	}
}

func TestInvalidRequestsAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint       hub.Endpoint
		model, members string
	}{
		"an object for stop words":       {hub.Chat, "groq/llama", `"stop":{}`},
		"a list of numbers for a prompt": {hub.Completions, "groq/llama", `"prompt":[1]`},
		"a suffix that is not a string":  {hub.Completions, "groq/llama", `"prompt":"x","suffix":1`},
		"stop words without a string":    {hub.Completions, "groq/llama", `"prompt":"x","stop":[null]`},
	} {
		if call, err := callFor(t, test.endpoint, test.model, test.members); err == nil {
			t.Errorf("%s: sent %s", name, call.Body)
		}
	}
}

func TestATextCompletionIsAnsweredAsOne(t *testing.T) {
	call, err := callFor(t, hub.Completions, "openai/gpt-4o-mini", `"prompt":"x","stream":true,"stop":["1","2","3","4","END"]`)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	translator := call.Translate(&out, true)
	if _, err := io.WriteString(translator, `data: {"choices":[{"index":0,"delta":{"content":"text EN"}}]}`+"\n\n"+`data: {"choices":[{"index":0,"delta":{"content":"D more"}}]}`+"\n\n"); err != nil {
		t.Fatal(err)
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `"object":"text_completion"`) || !strings.Contains(got, `"text":"text "`) || strings.Contains(got, "more") || !strings.Contains(got, `"model":"openai/gpt-4o-mini"`) {
		t.Errorf("stream\n%s", got)
	}
}
