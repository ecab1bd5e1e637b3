package googleaistudio

import (
	"errors"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func TestParametersAreTranslated(t *testing.T) {
	for name, test := range map[string]struct{ model, members, want string }{
		"nothing":                               {"gemini-2.5-flash", `"stream":false`, ``},
		"nulls":                                 {"gemini-2.5-flash", `"temperature":null,"max_tokens":null,"n":null,"stop":null,"seed":null,"logprobs":null,"response_format":null,"reasoning_effort":null,"modalities":null,"web_search_options":null`, ``},
		"sampling numbers keep their digits":    {"gemini-2.5-flash", `"temperature":0.10,"top_p":9e-1,"top_k":40`, `{"temperature":0.10,"topP":9e-1,"topK":40}`},
		"penalties":                             {"gemini-2.5-flash", `"presence_penalty":-0.5,"frequency_penalty":1`, `{"presencePenalty":-0.5,"frequencyPenalty":1}`},
		"no penalties for Gemini 3":             {"gemini-3-flash-preview", `"presence_penalty":-0.5,"frequency_penalty":1`, ``},
		"no penalties for previews of 2.5":      {"gemini-2.5-pro-preview-06-05", `"presence_penalty":-0.5`, ``},
		"no penalties for the latest":           {"gemini-flash-latest", `"presence_penalty":-0.5`, ``},
		"the limit of tokens":                   {"gemini-2.5-flash", `"max_tokens":1`, `{"maxOutputTokens":1}`},
		"the newer name of the limit counts":    {"gemini-2.5-flash", `"max_tokens":1,"max_completion_tokens":2`, `{"maxOutputTokens":2}`},
		"one answer":                            {"gemini-2.5-flash", `"n":1`, ``},
		"several answers":                       {"gemini-2.5-flash", `"n":3`, `{"candidateCount":3}`},
		"a seed":                                {"gemini-2.5-flash", `"seed":0`, `{"seed":0}`},
		"a seed below zero":                     {"gemini-2.5-flash", `"seed":-7`, `{"seed":-7}`},
		"a seed of more than 32 bits":           {"gemini-2.5-flash", `"seed":9223372036854775807`, `{"seed":-1}`},
		"a stop word":                           {"gemini-2.5-flash", `"stop":"END"`, `{"stopSequences":["END"]}`},
		"the first five stop words":             {"gemini-2.5-flash", `"stop":["1","2","","3","4","5","6","7"]`, `{"stopSequences":["1","2","3","4","5"]}`},
		"blank stop words are not sent":         {"gemini-2.5-flash", `"stop":["\n\n","1"," ","2"]`, `{"stopSequences":["1","2"]}`},
		"only blank stop words":                 {"gemini-2.5-flash", `"stop":["\n\n"]`, ``},
		"log probabilities":                     {"gemini-2.5-flash", `"logprobs":true`, `{"responseLogprobs":true}`},
		"the likeliest tokens":                  {"gemini-2.5-flash", `"logprobs":true,"top_logprobs":5`, `{"responseLogprobs":true,"logprobs":5}`},
		"no log probabilities":                  {"gemini-2.5-flash", `"logprobs":false`, ``},
		"text":                                  {"gemini-2.5-flash", `"response_format":{"type":"text"}`, ``},
		"JSON":                                  {"gemini-2.5-flash", `"response_format":{"type":"json_object"}`, `{"responseMimeType":"application/json"}`},
		"JSON by a schema":                      {"gemini-2.5-flash", `"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"$schema":"y","type":"object","properties":{}}}}`, `{"responseMimeType":"application/json","responseJsonSchema":{"type":"object","properties":{}}}`},
		"JSON by a schema that is left out":     {"gemini-2.5-flash", `"response_format":{"type":"json_schema","json_schema":{"name":"x"}}`, `{"responseMimeType":"application/json"}`},
		"text for a modality":                   {"gemini-2.5-flash", `"modalities":["text"]`, ``},
		"what Gemini does not have is left out": {"gemini-2.5-flash", `"user":"u","metadata":{"a":"b"},"store":true,"logit_bias":{"50256":-100},"service_tier":"auto","prediction":{"type":"content","content":"x"},"verbosity":"low","parallel_tool_calls":false,"stream_options":{"include_usage":true},"safety_identifier":"s","whatever":[1]`, ``},
		"effort of 2.5 flash: none":             {"gemini-2.5-flash", `"reasoning_effort":"none"`, `{"thinkingConfig":{"thinkingBudget":0}}`},
		"effort of 2.5 flash: minimal":          {"gemini-2.5-flash", `"reasoning_effort":"minimal"`, `{"thinkingConfig":{"thinkingBudget":512,"includeThoughts":true}}`},
		"effort of 2.5 flash-lite: low":         {"gemini-2.5-flash-lite", `"reasoning_effort":"low"`, `{"thinkingConfig":{"thinkingBudget":1024,"includeThoughts":true}}`},
		"effort of 2.5 flash: medium":           {"gemini-2.5-flash", `"reasoning_effort":"medium"`, `{"thinkingConfig":{"thinkingBudget":8192,"includeThoughts":true}}`},
		"effort of 2.5 flash: high":             {"gemini-2.5-flash", `"reasoning_effort":"high"`, `{"thinkingConfig":{"thinkingBudget":24576,"includeThoughts":true}}`},
		"effort of 2.5 pro: none":               {"gemini-2.5-pro", `"reasoning_effort":"none"`, `{"thinkingConfig":{"thinkingBudget":128}}`},
		"effort of 2.5 pro: minimal":            {"gemini-2.5-pro", `"reasoning_effort":"minimal"`, `{"thinkingConfig":{"thinkingBudget":128,"includeThoughts":true}}`},
		"effort of 2.5 pro: max":                {"gemini-2.5-pro", `"reasoning_effort":"max"`, `{"thinkingConfig":{"thinkingBudget":24576,"includeThoughts":true}}`},
		"effort of 3 flash: none":               {"gemini-3-flash-preview", `"reasoning_effort":"none"`, `{"thinkingConfig":{"thinkingLevel":"MINIMAL"}}`},
		"effort of 3 flash: minimal":            {"gemini-3-flash-preview", `"reasoning_effort":"minimal"`, `{"thinkingConfig":{"thinkingLevel":"MINIMAL","includeThoughts":true}}`},
		"effort of 3 flash: medium":             {"gemini-3-flash-preview", `"reasoning_effort":"medium"`, `{"thinkingConfig":{"thinkingLevel":"MEDIUM","includeThoughts":true}}`},
		"effort of 3 pro: minimal":              {"gemini-3-pro-preview", `"reasoning_effort":"minimal"`, `{"thinkingConfig":{"thinkingLevel":"LOW","includeThoughts":true}}`},
		"effort of 3 pro: low":                  {"gemini-3-pro-preview", `"reasoning_effort":"low"`, `{"thinkingConfig":{"thinkingLevel":"LOW","includeThoughts":true}}`},
		"effort of 3 pro: medium":               {"gemini-3-pro-preview", `"reasoning_effort":"medium"`, `{"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":true}}`},
		"effort of 3.1 pro: medium":             {"gemini-3.1-pro-preview", `"reasoning_effort":"medium"`, `{"thinkingConfig":{"thinkingLevel":"MEDIUM","includeThoughts":true}}`},
		"effort of 4 pro: medium":               {"gemini-4-pro", `"reasoning_effort":"medium"`, `{"thinkingConfig":{"thinkingLevel":"MEDIUM","includeThoughts":true}}`},
		"effort of 3 pro: xhigh":                {"gemini-3-pro-preview", `"reasoning_effort":"xhigh"`, `{"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":true}}`},
		"effort of the latest: high":            {"gemini-flash-latest", `"reasoning_effort":"high"`, `{"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":true}}`},
		"effort of a model that does not think": {"gemini-2.0-flash", `"reasoning_effort":"high"`, ``},
		"effort of a model of another family":   {"gemma-3-27b-it", `"reasoning_effort":"high"`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			body := send(t, test.model, messages+test.members)
			if got := gjson.GetBytes(body, "generationConfig").Raw; got != test.want {
				t.Errorf("sends %s, want %s", got, test.want)
			}
		})
	}
}

func TestInvalidParametersAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ members, param string }{
		"a text for a temperature":        {`"temperature":"hot"`, "temperature"},
		"a boolean for top_p":             {`"top_p":true`, "top_p"},
		"an array for top_k":              {`"top_k":[1]`, "top_k"},
		"a text for a penalty":            {`"presence_penalty":"1"`, "presence_penalty"},
		"an object for a penalty":         {`"frequency_penalty":{}`, "frequency_penalty"},
		"a text for a limit":              {`"max_tokens":"9"`, "max_tokens"},
		"a fraction for a limit":          {`"max_completion_tokens":1.5`, "max_completion_tokens"},
		"a limit of zero tokens":          {`"max_tokens":0`, "max_tokens"},
		"a limit beyond 32 bits":          {`"max_tokens":2147483648`, "max_tokens"},
		"zero answers":                    {`"n":0`, "n"},
		"more answers than OpenAI allows": {`"n":129`, "n"},
		"a fraction for a seed":           {`"seed":0.5`, "seed"},
		"a seed beyond 64 bits":           {`"seed":9223372036854775808`, "seed"},
		"a number for a stop word":        {`"stop":5`, "stop"},
		"a number among stop words":       {`"stop":["a",5]`, "stop"},
		"a number for logprobs":           {`"logprobs":3`, "logprobs"},
		"a text for top_logprobs":         {`"logprobs":true,"top_logprobs":"3"`, "top_logprobs"},
		"top_logprobs beyond the limit":   {`"logprobs":true,"top_logprobs":21`, "top_logprobs"},
		"a text for a format":             {`"response_format":"json"`, "response_format.type"},
		"an unknown format":               {`"response_format":{"type":"grammar"}`, "response_format.type"},
		"a format without its schema":     {`"response_format":{"type":"json_schema"}`, "response_format.json_schema"},
		"a schema that is an array":       {`"response_format":{"type":"json_schema","json_schema":{"schema":[]}}`, "response_format.json_schema"},
		"an unknown effort":               {`"reasoning_effort":"huge"`, "reasoning_effort"},
		"a number for an effort":          {`"reasoning_effort":1`, "reasoning_effort"},
		"speech":                          {`"modalities":["text","audio"]`, "modalities"},
		"an object for modalities":        {`"modalities":{"a":"text"}`, "modalities"},
		"a text for modalities":           {`"modalities":"audio"`, "modalities"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, hub.Chat, messages+test.members, test.param) })
	}
}

func TestAnUnknownEffortIsRefusedForEveryModel(t *testing.T) {
	_, err := Provider{}.Call(parse(t, hub.Chat, "gemini-2.0-flash", messages+`"reasoning_effort":"huge"`))
	var e *hub.Error
	if !errors.As(err, &e) || e.Param != "reasoning_effort" {
		t.Errorf("error %v", err)
	}
}
