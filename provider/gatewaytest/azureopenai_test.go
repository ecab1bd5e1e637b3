package gatewaytest

import (
	"strings"
	"testing"
)

const hi = `"messages":[{"role":"user","content":"hi"}]`

func TestAzureRefusesInvalidRequests(t *testing.T) {
	at := func(deployment, endpoint string) string {
		return "azure-openai/myinstance/" + deployment + "/" + endpoint + "?api-version=2024-10-21"
	}
	testRefusals(t, map[string]refusal{
		"no api-version":                    {"azure-openai/myinstance/gpt-4o/chat/completions", `{` + hi + `}`, 404, `{"error":{"code":"404","message":"Resource not found"}}`},
		"an api-version that is not a date": {"azure-openai/myinstance/gpt-4o/chat/completions?api-version=latest", `{` + hi + `}`, 404, `"code":"404"`},
		"a path as on Azure":                {"azure-openai/myinstance/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", `{` + hi + `}`, 404, `"code":"404"`},
		"the path of the newer API":         {"azure-openai/myinstance/openai/v1/chat/completions?api-version=2024-10-21", `{` + hi + `}`, 404, `"code":"404"`},
		"a resource that is not a host":     {"azure-openai/my@instance/gpt-4o/chat/completions?api-version=2024-10-21", `{` + hi + `}`, 404, `"code":"404"`},
		"no endpoint":                       {at("gpt-4o", "no-such"), `{}`, 404, `"code":"404"`},
		"a body that is not JSON":           {at("gpt-4o", "chat/completions"), `{`, 400, "could not parse"},
		"five stop words":                   {at("gpt-4o", "chat/completions"), `{` + hi + `,"stop":["a","b","c","d","e"]}`, 400, `"code":"array_above_max_length","message":"Invalid 'stop': array too long. Expected an array with maximum length 4, but instead got an array with length 5.","param":"stop","type":"invalid_request_error"`},
		"five for a completion":             {at("gpt-4o", "completions"), `{"prompt":"x","stop":["a","b","c","d","e"]}`, 400, "array_above_max_length"},
		"stream_options alone":              {at("gpt-4o", "chat/completions"), `{` + hi + `,"stream_options":{"include_usage":true}}`, 400, `"param":"stream_options"`},
		"a chat with a prompt":              {at("gpt-4o", "chat/completions"), `{` + hi + `,"prompt":"x"}`, 400, "Unrecognized request argument supplied: prompt"},
		"a chat with a suffix":              {at("gpt-4o", "chat/completions"), `{` + hi + `,"suffix":"x"}`, 400, "Unrecognized request argument supplied: suffix"},
		"a completion with messages":        {at("gpt-4o", "completions"), `{"prompt":"x",` + hi + `}`, 400, "Unrecognized request argument supplied: messages"},
		"a completion without prompt":       {at("gpt-4o", "completions"), `{}`, 400, `"param":"prompt"`},
		"a limit that is a string":          {at("gpt-4o", "chat/completions"), `{` + hi + `,"max_tokens":"1"}`, 400, `"code":"invalid_type"`},
		"an unknown stream option":          {at("gpt-4o", "chat/completions"), `{` + hi + `,"stream":true,"stream_options":{"usage":true}}`, 400, "stream_options.usage"},
		"no messages":                       {at("gpt-4o", "chat/completions"), `{"messages":[]}`, 400, `"param":"messages"`},
		"an unknown role":                   {at("gpt-4o", "chat/completions"), `{"messages":[{"role":"model","content":"x"}]}`, 400, `"param":"messages[0].role"`},
		"content that is a number":          {at("gpt-4o", "chat/completions"), `{"messages":[{"role":"user","content":1}]}`, 400, `"param":"messages[0].content"`},
		"no content":                        {at("gpt-4o", "chat/completions"), `{"messages":[{"role":"user"}]}`, 400, `"param":"messages[0].content"`},
		"a result without its call":         {at("gpt-4o", "chat/completions"), `{"messages":[{"role":"tool","content":"x"}]}`, 400, `"param":"messages[0].tool_call_id"`},

		"max_tokens for a reasoning model":   {at("gpt-5-mini", "chat/completions"), `{` + hi + `,"max_tokens":9}`, 400, `"code":"unsupported_parameter","message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens"`},
		"max_tokens for o1":                  {at("o1", "chat/completions"), `{` + hi + `,"max_tokens":9}`, 400, "unsupported_parameter"},
		"max_tokens for o3":                  {at("o3-mini", "chat/completions"), `{` + hi + `,"max_tokens":9}`, 400, "unsupported_parameter"},
		"max_tokens for o4":                  {at("o4-mini", "chat/completions"), `{` + hi + `,"max_tokens":9}`, 400, "unsupported_parameter"},
		"a temperature of a reasoning model": {at("gpt-5", "chat/completions"), `{` + hi + `,"temperature":0.01}`, 400, `"code":"unsupported_value"`},
		"stop words of a reasoning model":    {at("gpt-5", "chat/completions"), `{` + hi + `,"stop":["a"]}`, 400, `'stop' is not supported`},

		"responses without api-version":   {"azure-openai/myinstance/openai/responses", `{"model":"gpt-5","input":"x"}`, 404, `"code":"404"`},
		"responses with the whole name":   {"azure-openai/myinstance/openai/responses?api-version=2025-04-01-preview", `{"model":"azure-openai/myinstance/gpt-5","input":"x"}`, 404, "DeploymentNotFound"},
		"responses with messages":         {"azure-openai/myinstance/openai/responses?api-version=2025-04-01-preview", `{"model":"gpt-5","input":"x",` + hi + `}`, 400, "this parameter has moved to 'input'"},
		"responses without input":         {"azure-openai/myinstance/openai/responses?api-version=2025-04-01-preview", `{"model":"gpt-5"}`, 400, `"param":"input"`},
		"embeddings of nothing":           {at("ada", "embeddings"), `{"input":""}`, 400, "input"},
		"embeddings of an empty list":     {at("ada", "embeddings"), `{"input":[]}`, 400, "input"},
		"embeddings of an empty text":     {at("ada", "embeddings"), `{"input":["a",""]}`, 400, "input"},
		"embeddings of an object":         {at("ada", "embeddings"), `{"input":[{}]}`, 400, "input"},
		"embeddings in another encoding":  {at("ada", "embeddings"), `{"input":"a","encoding_format":"hex"}`, 400, `"param":"encoding_format"`},
		"embeddings of no dimensions":     {at("ada", "embeddings"), `{"input":"a","dimensions":0}`, 400, `"param":"dimensions"`},
		"embeddings of an unknown option": {at("ada", "embeddings"), `{"input":"a","dimension":1}`, 400, "Unrecognized"},
	})
}

func TestAzureNeedsItsKey(t *testing.T) {
	s := start(t)
	r := newPost(t.Context(), s, azureChat, "azure-openai", `{`+hi+`}`)
	r.Header.Del("Api-Key")
	if res := send(t, r); res.status != 401 || !strings.HasPrefix(res.body, `{"error":{"code":"401","message":"Access denied due to invalid subscription key`) {
		t.Error(res)
	}
}

func TestReasoningModelsAcceptTheirOwnParameters(t *testing.T) {
	s := start(t)
	for _, body := range []string{
		`{` + hi + `,"max_completion_tokens":99,"temperature":1,"reasoning_effort":"low"}`,
		`{` + hi + `,"max_tokens":null,"temperature":null,"stop":null}`,
	} {
		if res := post(t, s, strings.Replace(azureChat, "gpt-4o-mini", "gpt-5-mini", 1), body); res.status != 200 {
			t.Error(res)
		}
	}
}

func TestAzureStreamsBeginWithTheContentFilter(t *testing.T) {
	s := start(t)
	res := post(t, s, azureChat, `{`+hi+`,"stream":true}`)
	frames := strings.Split(res.body, "\n\n")
	if !strings.HasPrefix(frames[0], `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{`) ||
		!strings.Contains(frames[1], `"content_filter_results":{},"delta":{"content":"","role":"assistant"}`) {
		t.Error(frames[:2])
	}
	if res := post(t, s, azureChat, `{`+hi+`}`); !strings.Contains(res.body, `"prompt_filter_results":[{`) {
		t.Error(res)
	}
}

func TestPromptsForCodeAreContinued(t *testing.T) {
	s := start(t)
	for prompt, want := range map[string]string{
		`TASK: Fill the hole.\n\n<COMPLETION>`:                                  `"content":"return result</COMPLETION>"`,
		`<fim_prefix>func add(a, b) {\n<fim_suffix>}\nmain(x)<fim_middle>`:      `"content":"return a + b"`,
		`Write.\n<prefix>def add(a, b):\n</prefix>\n<suffix>add(1, 2)</suffix>`: `"content":"return a + b"`,
		`How do I add?`: `You said \"How do I add?\"`,
	} {
		if res := post(t, s, azureChat, `{"messages":[{"role":"user","content":"`+prompt+`"}]}`); !strings.Contains(res.body, want) {
			t.Error(prompt, res.body)
		}
	}
	res := post(t, s, azureChat, `{"messages":[{"role":"user","content":"x <COMPLETION>"}],"stop":["</COMPLETION>"]}`)
	if !strings.Contains(res.body, `"content":"return result"`) {
		t.Error(res.body)
	}
}
