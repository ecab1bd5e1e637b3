package gatewaytest

import (
	"strings"
	"testing"
)

func TestCompatRefusesInvalidRequests(t *testing.T) {
	chat := func(model string) string { return `{"model":"` + model + `",` + hi + `}` }
	testRefusals(t, map[string]refusal{
		"Azure":                                      {"compat/chat/completions", chat("azure-openai/myinstance/gpt-4o"), 400, `"internalCode":2008`},
		"a model that only Workers AI has":           {"compat/chat/completions", chat(llama), 400, `"internalCode":2008`},
		"an unknown provider":                        {"compat/chat/completions", chat("no-such/model"), 400, `"internalCode":2008`},
		"a model without provider":                   {"compat/chat/completions", chat("gpt-4o"), 400, `"internalCode":2019`},
		"a provider without model":                   {"compat/chat/completions", chat("openai/"), 400, `"internalCode":2019`},
		"no model":                                   {"compat/chat/completions", `{` + hi + `}`, 400, `"internalCode":2019`},
		"a body that is not JSON":                    {"compat/chat/completions", `{"model":"openai/x"`, 400, `"internalCode":2019`},
		"no messages":                                {"compat/chat/completions", `{"model":"groq/x"}`, 400, `"param":"messages"`},
		"another endpoint":                           {"compat/completions", `{"model":"openai/x","prompt":"x"}`, 404, `"code":7000`},
		"a field that OpenAI does not know":          {"compat/chat/completions", `{"model":"openai/gpt-4o","prompt":"x",` + hi + `}`, 400, "Unrecognized request argument supplied: prompt"},
		"five stop words for OpenAI":                 {"compat/chat/completions", `{"model":"openai/gpt-4o","stop":["a","b","c","d","e"],` + hi + `}`, 400, "array_above_max_length"},
		"a parameter that a reasoning model refuses": {"compat/chat/completions", `{"model":"openai/gpt-5","max_tokens":9,` + hi + `}`, 400, "unsupported_parameter"},
		"embeddings of nothing":                      {"compat/embeddings", `{"model":"openai/e","input":""}`, 400, "input"},
		"embeddings of something else":               {"compat/embeddings", `{"model":"openai/e","inputs":"a"}`, 400, "Unrecognized"},

		"a chat at OpenAI's own route":   {"openai/chat/completions", chat("gpt-4o"), 404, "Invalid URL (POST /v1/chat/completions)"},
		"responses that are not JSON":    {"openai/responses", `{`, 400, "could not parse"},
		"responses with the whole name":  {"openai/responses", `{"model":"openai/gpt-5","input":"x"}`, 404, "model_not_found"},
		"responses without input":        {"openai/responses", `{"model":"gpt-5"}`, 400, `"param":"input"`},
		"responses with unknown options": {"openai/responses", `{"model":"gpt-5","input":"x","max_tokens":1}`, 400, "Unknown parameter: 'max_tokens'"},
	})
}

func TestCompatNeedsTheProvidersKey(t *testing.T) {
	s := start(t)
	for name, test := range map[string]struct{ path, provider, model, authorization, want string }{
		"none":                        {"compat/chat/completions", "openai", "openai/gpt-4o", "", "You didn't provide an API key"},
		"another":                     {"compat/chat/completions", "openai", "openai/gpt-4o", "Bearer sk-another-key-than-ours", "provided: sk-a****************ours."},
		"a short key":                 {"openai/responses", "openai", "gpt-5", "Bearer short", "provided: *****."},
		"Workers AI's key":            {"compat/chat/completions", "workers-ai", "workers-ai/" + llama, "", `"code":10000`},
		"the key of another provider": {"compat/chat/completions", "anthropic", "anthropic/claude", "Bearer gatewaytest-openai-key", "Incorrect API key"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPost(t.Context(), s, test.path, test.provider, `{"model":"`+test.model+`","input":"x"}`)
			r.Header.Set("Authorization", test.authorization)
			if test.authorization == "" {
				r.Header.Del("Authorization")
			}
			if res := send(t, r); res.status != 401 || !strings.Contains(res.body, test.want) {
				t.Error(res)
			}
		})
	}
}

func TestDynamicRoutesNameTheModelThatAnswered(t *testing.T) {
	s := start(t)
	res := post(t, s, "compat/chat/completions", `{"model":"dynamic/fast",`+hi+`}`)
	if res.status != 200 || res.header.Get("Cf-Aig-Model") != "fast" || res.header.Get("Cf-Aig-Provider") == "" {
		t.Error(res)
	}
}
