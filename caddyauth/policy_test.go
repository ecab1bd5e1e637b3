package caddyauth

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/provider"
)

// GET /models, requests and client-config must agree on which models a user may use, whatever is allowed and
// listed.
func TestAllPartsAgreeOnWhichModelsAUserMayUse(t *testing.T) {
	u := newUpstream(t, answerChat)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	some := func(all ...string) []string {
		var chosen []string
		for _, one := range all {
			if random.IntN(2) == 0 {
				chosen = append(chosen, one)
			}
		}
		return chosen
	}
	patterns := []string{"workers-ai/*", "*", "", "openai/gpt-4o*", "azure-openai/inst/dep", "*/gpt-4o", "groq/llama", "google-ai-studio/gemini-*", "WORKERS-AI/*"}
	models := map[string][]string{
		"workers-ai":       {"@cf/meta/llama", "@hf/x/y", "llama", "@cf/../x", ""},
		"azure-openai":     {"inst/dep", "inst", "evil.com/x", "a/b/c"},
		"google-ai-studio": {"gemini-2.5-flash", "gemini:countTokens", "a/b"},
		"openai":           {"gpt-4o", "gpt-4o-mini", "x?y", "a b"},
		"groq":             {"llama", "%2e%2e"},
		"OpenAI":           {"gpt-4o"},
	}
	const users = 12
	records := map[string]string{}
	for i := range users {
		list := "null"
		if random.IntN(4) > 0 {
			quoted, _ := json.Marshal(append([]string{}, some(patterns...)...))
			list = string(quoted)
		}
		records[fmt.Sprintf("user%d@example.com", i)] = `{"apiKeyHash":"` + hashOf(testKey) + `","status":"Enabled","models":` + list + `}`
	}
	settings := map[string]string{}
	for name, all := range models {
		if random.IntN(4) > 0 {
			quoted, _ := json.Marshal(append([]string{}, some(all...)...))
			settings[name] = `{"models":` + string(quoted) + `}`
		}
	}
	p := start(t, setup{upstream: u.URL, users: records, providers: settings})
	for email, record := range records {
		user, err := keystore.ParseAPIKey([]byte(record))
		if err != nil {
			t.Fatal(err)
		}
		var handedOut []string
		for name, value := range settings {
			parsed, err := keystore.ParseSettings([]byte(value))
			if err != nil {
				t.Fatal(err)
			}
			handedOut = append(handedOut, Permitted(user, provider.New(), name, parsed)...)
		}
		var listed []string
		list := read(t, p.do(request{method: http.MethodGet, path: "/v1/models", header: as(email, testKey)}))
		for _, model := range gjson.Get(list, "data.#.id").Array() {
			listed = append(listed, model.Str)
		}
		slices.Sort(handedOut)
		slices.Sort(listed)
		if !slices.Equal(handedOut, listed) {
			t.Errorf("seed %d, %s: GET /models lists %q, client-config has %q", seed, record, listed, handedOut)
		}
		for name, value := range settings {
			for _, model := range gjson.Get(value, "models").Array() {
				full := name + "/" + model.Str
				quoted, _ := json.Marshal(full)
				res := p.do(request{path: "/v1/chat/completions", header: as(email, testKey), body: `{"messages":[{"role":"user","content":"x"}],"model":` + string(quoted) + `}`})
				refused := res.StatusCode == 403 || res.StatusCode == 404
				if refused == slices.Contains(listed, full) {
					t.Errorf("seed %d, %s: %q gets status %d, listed are %s", seed, record, full, res.StatusCode, strings.Join(listed, " "))
				}
			}
		}
	}
}
