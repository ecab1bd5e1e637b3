package googleaistudio

import (
	"errors"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// Clients send `extra_body.google`, or `google` if their SDK puts the members of `extra_body` at the top.
func TestGooglesExtensionIsTranslated(t *testing.T) {
	for name, test := range map[string]struct{ model, google, want string }{
		"a budget":                        {"gemini-2.5-flash", `{"thinking_config":{"thinking_budget":800,"include_thoughts":true}}`, `{"thinkingBudget":800,"includeThoughts":true}`},
		"no budget":                       {"gemini-2.5-flash", `{"thinking_config":{"thinking_budget":0}}`, `{"thinkingBudget":0}`},
		"a budget that the model chooses": {"gemini-2.5-flash", `{"thinking_config":{"thinking_budget":-1,"thinking_level":null}}`, `{"thinkingBudget":-1}`},
		"a level":                         {"gemini-3-flash-preview", `{"thinking_config":{"thinking_level":"low","include_thoughts":false}}`, `{"thinkingLevel":"LOW"}`},
		"thoughts only":                   {"gemini-3-flash-preview", `{"thinking_config":{"include_thoughts":true}}`, `{"includeThoughts":true}`},
		"thoughts beside an effort":       {"gemini-3-flash-preview", `{"thinking_config":{"include_thoughts":false}},"reasoning_effort":"high"`, `{"thinkingLevel":"HIGH"}`},
		"thoughts of an effort of none":   {"gemini-2.5-flash", `{"thinking_config":{"include_thoughts":true}},"reasoning_effort":"none"`, `{"thinkingBudget":0,"includeThoughts":true}`},
		"nothing":                         {"gemini-2.5-flash", `{"thinking_config":{}}`, ``},
		"null":                            {"gemini-2.5-flash", `null`, ``},
		"null in the object":              {"gemini-2.5-flash", `{"thinking_config":null,"cached_content":null}`, ``},
		"an empty object":                 {"gemini-2.5-flash", `{}`, ``},
		"a member that comes twice":       {"gemini-2.5-flash", `{"thinking_config":{"thinking_budget":1,"thinking_budget":2}}`, `{"thinkingBudget":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			if test.google == "null" || test.google[len(test.google)-1] == '}' {
				body := send(t, test.model, messages+`"extra_body":{"google":`+test.google+`}`)
				if got := gjson.GetBytes(body, "generationConfig.thinkingConfig").Raw; got != test.want {
					t.Errorf("in extra_body: sends %s, want %s", got, test.want)
				}
			}
			body := send(t, test.model, messages+`"google":`+test.google)
			if got := gjson.GetBytes(body, "generationConfig.thinkingConfig").Raw; got != test.want {
				t.Errorf("sends %s, want %s", got, test.want)
			}
		})
	}
}

func TestACachedContentIsSent(t *testing.T) {
	for _, endpoint := range []struct {
		of      hub.Endpoint
		members string
	}{{hub.Chat, messages}, {hub.Completions, `"prompt":"p",`}} {
		call, err := Provider{}.Call(parse(t, endpoint.of, "gemini-2.5-flash", endpoint.members+`"extra_body":{"google":{"cached_content":"cachedContents/x"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := gjson.GetBytes(call.Body, "cachedContent").Str; got != "cachedContents/x" {
			t.Errorf("sends %s", call.Body)
		}
	}
}

func TestInvalidExtensionsAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ members, param string }{
		"a string for an extension":         {`"extra_body":"x"`, "extra_body"},
		"an extension of another provider":  {`"extra_body":{"vertex":{}}`, "extra_body.vertex"},
		"a field in the wrong place":        {`"extra_body":{"google":{},"top_k":1}`, "extra_body.top_k"},
		"an unknown member":                 {`"extra_body":{"google":{"safety_settings":[]}}`, "extra_body.google.safety_settings"},
		"an unknown member at the top":      {`"google":{"thinkingConfig":{}}`, "google.thinkingConfig"},
		"a number for an extension":         {`"google":5`, "google"},
		"both forms":                        {`"google":{},"extra_body":{"google":{}}`, "google"},
		"a string for a config":             {`"google":{"thinking_config":"low"}`, "google.thinking_config"},
		"an unknown member of the config":   {`"extra_body":{"google":{"thinking_config":{"effort":"low"}}}`, "extra_body.google.thinking_config.effort"},
		"a string for a budget":             {`"extra_body":{"google":{"thinking_config":{"thinking_budget":"low"}}}`, "extra_body.google.thinking_config.thinking_budget"},
		"a budget below -1":                 {`"google":{"thinking_config":{"thinking_budget":-2}}`, "google.thinking_config.thinking_budget"},
		"an unknown level":                  {`"google":{"thinking_config":{"thinking_level":"huge"}}`, "google.thinking_config.thinking_level"},
		"a number for a level":              {`"google":{"thinking_config":{"thinking_level":1}}`, "google.thinking_config.thinking_level"},
		"a string for thoughts":             {`"google":{"thinking_config":{"include_thoughts":"yes"}}`, "google.thinking_config.include_thoughts"},
		"a budget and a level":              {`"google":{"thinking_config":{"thinking_budget":1,"thinking_level":"low"}}`, "google.thinking_config"},
		"an effort and a budget":            {`"reasoning_effort":"low","google":{"thinking_config":{"thinking_budget":1}}`, "reasoning_effort"},
		"an effort and a level":             {`"reasoning_effort":"low","extra_body":{"google":{"thinking_config":{"thinking_level":"low"}}}`, "reasoning_effort"},
		"a number for a cached content":     {`"google":{"cached_content":5}`, "google.cached_content"},
		"an empty name of a cached content": {`"google":{"cached_content":""}`, "google.cached_content"},
		"a boolean for search options":      {`"web_search_options":true`, "web_search_options"},
		"a search with a location":          {`"web_search_options":{"user_location":{"type":"approximate"}}`, "web_search_options.user_location"},
		"a search of an unknown size":       {`"web_search_options":{"search_context_size":"huge"}`, "web_search_options.search_context_size"},
		"a search with an unknown option":   {`"web_search_options":{"filters":{}}`, "web_search_options.filters"},
		"a search beside functions":         {`"web_search_options":{},"tools":[{"type":"function","function":{"name":"f"}}]`, "web_search_options"},
		"a search beside old functions":     {`"web_search_options":{},"functions":[{"name":"f"}]`, "web_search_options"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, hub.Chat, messages+test.members, test.param) })
	}
	wantRefused(t, hub.Completions, `"prompt":"p","web_search_options":{}`, "web_search_options")
	wantRefused(t, hub.Completions, `"prompt":"p","google":1`, "google")
}

func TestTheSearchIsTranslated(t *testing.T) {
	const functions = `,"tools":[{"type":"function","function":{"name":"f"}}]`
	for name, test := range map[string]struct{ model, members, tools, config string }{
		"alone":                              {"gemini-2.5-flash", `"web_search_options":{}`, `[{"googleSearch":{}}]`, ``},
		"of some size":                       {"gemini-2.5-flash", `"web_search_options":{"search_context_size":"low","user_location":null}`, `[{"googleSearch":{}}]`, ``},
		"not asked for":                      {"gemini-2.5-flash", `"web_search_options":null`, ``, ``},
		"beside no tools":                    {"gemini-2.5-flash", `"web_search_options":{},"tools":[],"tool_choice":"auto"`, `[{"googleSearch":{}}]`, ``},
		"beside functions":                   {"gemini-3-pro-preview", `"web_search_options":{}` + functions, `[{"functionDeclarations":[{"name":"f"}]},{"googleSearch":{}}]`, `{"includeServerSideToolInvocations":true}`},
		"beside functions and a tool choice": {"gemini-3-pro-preview", `"web_search_options":{},"tool_choice":"required"` + functions, `[{"functionDeclarations":[{"name":"f"}]},{"googleSearch":{}}]`, `{"functionCallingConfig":{"mode":"ANY"},"includeServerSideToolInvocations":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			body := send(t, test.model, messages+test.members)
			if got := gjson.GetBytes(body, "tools").Raw; got != test.tools {
				t.Errorf("sends the tools %s, want %s", got, test.tools)
			}
			if got := gjson.GetBytes(body, "toolConfig").Raw; got != test.config {
				t.Errorf("sends the config %s, want %s", got, test.config)
			}
		})
	}
}

func TestTheErrorAboutTheSearchNamesTheModelsThatAcceptIt(t *testing.T) {
	_, err := Provider{}.Call(parse(t, hub.Chat, "gemini-2.5-pro", messages+`"web_search_options":{},"functions":[{"name":"f"}]`))
	var e *hub.Error
	if !errors.As(err, &e) || !e.Final || e.Message != "Leave out `web_search_options` or the functions: this model does not take both, those from Gemini 3 on do." {
		t.Errorf("error %v", err)
	}
}
