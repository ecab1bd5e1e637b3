package azureopenai

import (
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

func callFor(t *testing.T, endpoint hub.Endpoint, members string) (*hub.Call, error) {
	t.Helper()
	const model = "azure-openai/inst/dep"
	r, err := openai.ParseRequest(endpoint, []byte(`{"model":"`+model+`",`+members+`}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Provider, r.Model, _ = strings.Cut(model, "/")
	return Provider{}.Call(r)
}

func TestBodiesAreAdapted(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint      hub.Endpoint
		members, want string
	}{
		"a chat":                      {hub.Chat, `"messages": [ ],"x":1.50`, `"messages": [ ],"x":1.50`},
		"a chat with many stop words": {hub.Chat, `"x":1.50,"stop":["1","2","3","4","5"]`, `"x":1.50,"stop":["1","2","3","4"]`},
		"a response":                  {hub.Responses, `"input":"x"`, `"input":"x"`},
		"embeddings":                  {hub.Embeddings, `"input":"x"`, `"input":"x"`},
		"a text completion":           {hub.Completions, `"prompt":"x","temperature":0.01`, `"messages":[{"role":"user","content":"x"}],"temperature":0.01`},
		"a text completion for a reasoning model": {hub.Completions, `"prompt":"x","temperature":0.01,"stop":["1"],"max_completion_tokens":9`, `"messages":[{"role":"user","content":"x"}],"max_completion_tokens":9`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := callFor(t, test.endpoint, test.members)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"model":"dep",` + test.want + `}`; string(call.Body) != want {
				t.Errorf("body %s, want %s", call.Body, want)
			}
		})
	}
}

func TestInvalidRequestsAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint hub.Endpoint
		members  string
	}{
		"a number for stop words": {hub.Chat, `"stop":7`},
		"an object for a prompt":  {hub.Completions, `"prompt":{}`},
	} {
		if call, err := callFor(t, test.endpoint, test.members); err == nil {
			t.Errorf("%s: sent %s", name, call.Body)
		}
	}
}
