package caddyauth

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestARewrittenBodyReplacesTheClients(t *testing.T) {
	for name, test := range map[string]struct {
		content func(w *rewritten) []byte
		anew    bool // whether the rewritten body is used
	}{
		"the client's, unchanged":           {func(*rewritten) []byte { return []byte("{}") }, false},
		"a new one":                         {func(w *rewritten) []byte { return append(w.memory(10)[:0], "{}"...) }, true},
		"a second one, made from the first": {func(w *rewritten) []byte { w.memory(10); return append(w.memory(10)[:0], "{}"...) }, false},
		"one that has outgrown its memory":  {func(w *rewritten) []byte { w.memory(10); return make([]byte, 10<<10) }, false},
		"one without content":               {func(w *rewritten) []byte { return w.memory(10)[:0] }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var anew rewritten
			client := newRequestBody(2)
			got := anew.instead(client, test.content(&anew))
			if test.anew != (got != client) {
				t.Errorf("the new one is used: %v", got != client)
			}
			if client.held == test.anew {
				t.Errorf("the client's is held: %v", client.held)
			}
			if anew.body != nil && anew.body.held != test.anew {
				t.Errorf("the new one is held: %v", anew.body.held)
			}
		})
	}
}

// Many requests at the same time write to memory that is reused.
func TestTranslatedBodiesAreNeverMixedUp(t *testing.T) {
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		number, rest, _ := strings.Cut(strings.TrimPrefix(string(body), `{"contents":[{"role":"user","parts":[{"text":"`), " ")
		if strings.TrimLeft(strings.ReplaceAll(rest, "<"+number+">", ""), `"}]`) != "" {
			number = "another's: " + rest
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"candidates":[{"content":{"parts":[{"text":"number %s"}]},"finishReason":"STOP"}]}`, number)
	}))
	t.Cleanup(u.Close)
	p := start(t, setup{upstream: u.URL})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 10 {
				number := fmt.Sprint(1000 + 10*i + j)
				text := number + " " + strings.Repeat("<"+number+">", 100*(1+(i+j)%40))
				res := p.do(request{path: "/v1/chat/completions", body: `{"model":"google-ai-studio/gemini-2.5-flash","messages":[{"role":"user","content":"` + text + `"}]}`})
				answer, _ := io.ReadAll(res.Body)
				if !strings.Contains(string(answer), `"number `+number+`"`) {
					t.Errorf("%s is answered with %.300s", number, answer)
				}
			}
		})
	}
	all.Wait()
}
