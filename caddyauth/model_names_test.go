package caddyauth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// namesOf returns the names for aliases of the form `<name> <model>`.
func namesOf(t *testing.T, aliases ...string) *modelNames {
	t.Helper()
	h := &Handler{AccountID: "acc", Gateway: "gw", GatewayToken: "token"}
	for _, alias := range aliases {
		name, model, _ := strings.Cut(alias, " ")
		h.Aliases = append(h.Aliases, Alias{name, model})
	}
	s, err := h.resolve()
	if err != nil {
		t.Fatal(err)
	}
	return &s.names
}

func TestANameIsLookedUpOnce(t *testing.T) {
	names := namesOf(t, "fast groq/llama", "quick groq/fast", "gpt-* azure-openai/inst/gpt-*", "gpt-4* openai/gpt-4*", "gpt-4o openai/gpt-4o-mini",
		"sonnet* anthropic/claude-sonnet-4-5", "openai/gpt-5 azure-openai/inst/dep", "mistral/* groq/*", "groq/x fast/y", "@cf/old workers-ai/@cf/new", "deepseek* openrouter/deepseek/deepseek*")
	for name, want := range map[string]string{
		"fast":              "groq/llama",
		"quick":             "groq/fast",               // not groq/llama
		"gpt-5":             "azure-openai/inst/gpt-5", // the pattern is tried before the family
		"gpt-4.1":           "openai/gpt-4.1",          // the longer pattern
		"gpt-4o":            "openai/gpt-4o-mini",      // the exact name
		"gpt-4":             "openai/gpt-4",            // * matches nothing here
		"gpt-":              "azure-openai/inst/gpt-",
		"sonnet":            "anthropic/claude-sonnet-4-5",
		"sonnet-latest":     "anthropic/claude-sonnet-4-5",
		"openai/gpt-5":      "azure-openai/inst/dep",
		"openai/gpt-5-mini": "openai/gpt-5-mini",
		"mistral/large":     "groq/large",
		"groq/x":            "fast/y", // not groq/llama/y
		"@cf/old":           "workers-ai/@cf/new",
		"@cf/meta/llama":    "workers-ai/@cf/meta/llama",
		"@hf/x/y":           "workers-ai/@hf/x/y",
		"deepseek-v3":       "openrouter/deepseek/deepseek-v3",
		"claude-opus-4-5":   "anthropic/claude-opus-4-5",
		"gemini-2.5-flash":  "google-ai-studio/gemini-2.5-flash",
		"groq/llama":        "groq/llama",
		"FAST":              "FAST",
		"unknown":           "unknown",
		"":                  "",
	} {
		if got := names.full(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if got := namesOf(t, "* openai/gpt-5").full("groq/llama"); got != "openai/gpt-5" {
		t.Errorf("a name that only * matches is %q", got)
	}
}

func TestFindingAFullNameAllocatesNothing(t *testing.T) {
	without, with := namesOf(t), namesOf(t, "fast groq/llama", "gpt-* openai/gpt-*", "o* openai/o*")
	for name, test := range map[string]struct {
		names *modelNames
		model string
	}{
		"without aliases":   {without, llama},
		"with aliases":      {with, llama},
		"of an exact alias": {with, "fast"},
	} {
		if n := testing.AllocsPerRun(100, func() { test.names.full(test.model) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

const theAliases = `alias fast groq/llama-3.3
alias gpt-* azure-openai/myinstance/gpt-*
alias lightning workers-ai/@cf/meta/llama-3.1-8b-instruct
alias openai/o3 openai/o4-mini-of-another-name
alias "of \"quotes\"" openai/gpt-4o-mini
alias nowhere mistral/large
alias broken broken/x`

func TestARequestIsSentToTheModelThatItsNameMeans(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: theAliases})
	completion := func(model string) string { return `{"prompt":"x","model":"` + model + `"}` }
	for name, test := range map[string]struct {
		path, body string
		sentTo     string // the path below the gateway
		model      string // the model in the body; empty if it is in the path
		answered   string // the model in the answer
		logged     string
	}{
		"an alias":                           {"/v1/chat/completions", chatBody("fast"), "compat/chat/completions", "groq/llama-3.3", "m", "groq/llama-3.3"},
		"an alias for a longer name":         {"/v1/chat/completions", chatBody("openai/o3"), "compat/chat/completions", "openai/o4-mini-of-another-name", "m", "openai/o4-mini-of-another-name"},
		"an alias with quotes":               {"/v1/chat/completions", chatBody(`of \"quotes\"`), "compat/chat/completions", "openai/gpt-4o-mini", "m", "openai/gpt-4o-mini"},
		"an alias of embeddings":             {"/v1/embeddings", `{"input":"x","model":"fast"}`, "compat/embeddings", "groq/llama-3.3", "m", "groq/llama-3.3"},
		"an alias of a text completion":      {"/v1/completions", completion("fast"), "compat/chat/completions", "groq/llama-3.3", "fast", "groq/llama-3.3"},
		"a pattern":                          {"/v1/chat/completions", chatBody("gpt-5"), "azure-openai/myinstance/gpt-5/chat/completions", "gpt-5", "m", "azure-openai/myinstance/gpt-5"},
		"a pattern of a text completion":     {"/v1/completions", completion("gpt-5"), "azure-openai/myinstance/gpt-5/chat/completions", "gpt-5", "gpt-5", "azure-openai/myinstance/gpt-5"},
		"an alias of Workers AI":             {"/v1/chat/completions", chatBody("lightning"), "workers-ai/v1/chat/completions", "@cf/meta/llama-3.1-8b-instruct", "m", llama},
		"a family":                           {"/v1/chat/completions", chatBody("o1-mini"), "compat/chat/completions", "openai/o1-mini", "m", "openai/o1-mini"},
		"a family with slashes":              {"/v1/chat/completions", chatBody("@cf/meta/llama-4"), "workers-ai/v1/chat/completions", "@cf/meta/llama-4", "m", "workers-ai/@cf/meta/llama-4"},
		"a family of responses":              {"/v1/responses", `{"input":"x","model":"o3-mini"}`, "openai/responses", "o3-mini", "m", "openai/o3-mini"},
		"a family of Workers AI completions": {"/v1/completions", completion("@cf/qwen/coder"), "workers-ai/@cf/qwen/coder", "", "@cf/qwen/coder", "workers-ai/@cf/qwen/coder"},
		"a full name":                        {"/v1/chat/completions", chatBody("openai/gpt-5"), "compat/chat/completions", "openai/gpt-5", "m", "openai/gpt-5"},
	} {
		t.Run(name, func(t *testing.T) {
			res := p.do(request{path: test.path, body: test.body})
			answer := read(t, res)
			if res.StatusCode != 200 {
				t.Fatalf("status %d: %s", res.StatusCode, answer)
			}
			seen, sent := u.seen()
			if got := strings.TrimPrefix(seen.URL.Path, "/v1/acc/gw/"); got != test.sentTo {
				t.Errorf("it goes to %s, want %s", got, test.sentTo)
			}
			if got := gjson.Get(sent, "model").Str; got != test.model {
				t.Errorf("the model %q was sent, want %q, in %s", got, test.model, sent)
			}
			if got := gjson.Get(answer, "model").Str; got != test.answered {
				t.Errorf("the answer names %q, want %q: %s", got, test.answered, answer)
			}
			line := p.logged(res.Header.Get("X-Request-Id"))
			if got := line.Get("provider").Str + "/" + line.Get("model").Str; got != test.logged {
				t.Errorf("the log has %s, want %s", got, test.logged)
			}
		})
	}
}

func TestAllowListsApplyToTheFullName(t *testing.T) {
	users := map[string]string{}
	for i, list := range []string{`["groq/*"]`, `["fast"]`, `["gpt-*","openai/gpt-*"]`, `["azure-openai/*"]`} {
		users[fmt.Sprintf("user%d@example.com", i)] = `{"apiKey":"plain-key","status":"Enabled","models":` + list + `}`
	}
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: theAliases, users: users})
	for i, statuses := range []map[string]int{
		{"fast": 200, "gpt-5": 403, "o3": 403, "nowhere": 403},
		{"fast": 403},
		{"gpt-5": 403, "openai/gpt-5": 200},
		{"gpt-5": 200, "openai/gpt-5": 403},
	} {
		for name, want := range statuses {
			res := p.do(request{path: "/v1/chat/completions", header: as(fmt.Sprintf("user%d@example.com", i), "plain-key"), body: chatBody(name)})
			if res.StatusCode != want {
				t.Errorf("user %d gets status %d for %s, want %d", i, res.StatusCode, name, want)
			}
		}
	}
}

func TestMetricsContainTheFullName(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: theAliases, before: "metrics /metrics"})
	read(t, p.do(request{path: "/v1/chat/completions", body: chatBody("lightning")}))
	metrics := read(t, p.do(request{method: "GET", path: "/metrics"}))
	if want := `tokens_total{kind="prompt",model="@cf/meta/llama-3.1-8b-instruct",provider="workers-ai"}`; !strings.Contains(metrics, want) {
		t.Errorf("the metrics do not contain %s", want)
	}
	if strings.Contains(metrics, "lightning") {
		t.Error("the metrics contain an alias")
	}
}

func TestTheListHasTheAliasesThatTheUserMayUse(t *testing.T) {
	users := defaultUsers()
	users["groq@example.com"] = `{"apiKey":"plain-key","status":"Enabled","models":["groq/*"]}`
	users["azure@example.com"] = `{"apiKey":"plain-key","status":"Enabled","models":["azure-openai/*"]}`
	providers := defaultProviders()
	providers["openai"] = `{"models":["gpt-4o-mini","gpt-4o","o3"]}` // all of these are redirected
	options := theAliases + "\nalias openai/gpt-4o* azure-openai/myinstance/gpt-4o*"
	p := start(t, setup{upstream: "127.0.0.1:1", options: options, users: users, providers: providers})
	for email, want := range map[string]string{
		testEmail: `["fast","lightning","openai/o3","of \"quotes\"","azure-openai/myinstance/gpt-4o","google-ai-studio/gemini-2.5-flash","openai/gpt-4o",` +
			`"workers-ai/@cf/meta/llama-3.1-8b-instruct","workers-ai/@cf/baai/bge-m3"]`,
		"groq@example.com":  `["fast"]`,
		"few@example.com":   `["lightning","workers-ai/@cf/meta/llama-3.1-8b-instruct"]`,
		"azure@example.com": `["azure-openai/myinstance/gpt-4o","openai/gpt-4o"]`,
		"none@example.com":  `[]`,
	} {
		key := "plain-key"
		if email == testEmail {
			key = testKey
		}
		list := read(t, p.do(request{method: "GET", path: "/v1/models", header: as(email, key)}))
		if got := gjson.Get(list, "data.#.id").Raw; got != want {
			t.Errorf("%s gets %s, want %s", email, got, want)
		}
		for _, model := range gjson.Get(list, "data").Array() {
			one := read(t, p.do(request{method: "GET", path: "/v1/models/" + strings.ReplaceAll(model.Get("id").Str, `"`, "%22"), header: as(email, key)}))
			if one != model.Raw {
				t.Errorf("%s: the list has %s, and the single model is %s", email, model.Raw, one)
			}
		}
	}
	one := read(t, p.do(request{method: "GET", path: "/v1/models/fast"}))
	if want := `{"id":"fast","object":"model","created":0,"owned_by":"groq"}`; one != want {
		t.Errorf("an alias is %s, want %s", one, want)
	}
	for name, status := range map[string]int{"gemini-2.5-flash": 200, "gemini-1.0": 404, "gpt-4o": 200, "gpt-9": 404, "nowhere": 404, "broken": 500, "unknown": 404} {
		if res := p.do(request{method: "GET", path: "/v1/models/" + name}); res.StatusCode != status {
			t.Errorf("%s has status %d, want %d", name, res.StatusCode, status)
		}
	}
}
