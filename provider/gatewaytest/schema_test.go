package gatewaytest

import (
	"encoding/json"
	"strings"
	"testing"
)

// stepsSchema uses everything that a structured answer may need.
const stepsSchema = `{"type":"object","additionalProperties":false,"required":["title","kind","steps","done","count","note","next"],"properties":{
	"title":{"type":"string"},"kind":{"type":"string","enum":["fix","feature"]},"done":{"type":"boolean"},"count":{"type":"integer","minimum":3},
	"note":{"type":["string","null"]},"next":{"anyOf":[{"$ref":"#/$defs/step"},{"type":"null"}]},
	"steps":{"type":"array","minItems":2,"items":{"$ref":"#/$defs/step"}}},
	"$defs":{"step":{"type":"object","additionalProperties":false,"required":["text"],"properties":{"text":{"type":"string"}}}}}`

const stepsAnswer = `{"count":3,"done":true,"kind":"fix","next":{"text":"Plan"},"note":"Plan","steps":[{"text":"Plan"},{"text":"Plan"}],"title":"Plan"}`

func TestStructuredAnswersFitTheirSchema(t *testing.T) {
	chat := `"messages":[{"role":"user","content":"Plan"}],"response_format":{"type":"json_schema","json_schema":{"name":"plan","strict":true,"schema":` + stepsSchema + `}}}`
	// text is the path to the answer's text in the format.
	for name, test := range map[string]struct {
		path, body string
		text       []string
	}{
		"a chat with OpenAI":           {"compat/chat/completions", `{"model":"openai/gpt-4o",` + chat, []string{"choices", "message", "content"}},
		"a chat with Azure":            {azureChat, `{` + chat, []string{"choices", "message", "content"}},
		"a chat with another provider": {chatPath, `{"model":"` + llama + `",` + chat, []string{"choices", "message", "content"}},
		"responses":                    {responsesPath, `{"model":"gpt-5","input":"Plan","text":{"format":{"type":"json_schema","name":"plan","strict":true,"schema":` + stepsSchema + `}}}`, []string{"output", "content", "text"}},
		"Gemini":                       {geminiFlash, `{"contents":[{"parts":[{"text":"Plan"}]}],"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":` + stepsSchema + `}}`, []string{"candidates", "content", "parts", "text"}},
		"Anthropic's message":          {messagesPath, `{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"Plan"}],"output_config":{"format":{"type":"json_schema","schema":` + stepsSchema + `}}}`, []string{"content", "text"}},
	} {
		t.Run(name, func(t *testing.T) {
			res := postAnthropic(t, start(t), test.path, test.body)
			var at any
			if err := json.Unmarshal([]byte(res.body), &at); err != nil || res.status != 200 {
				t.Fatal(res, err)
			}
			for _, name := range test.text {
				at = at.(map[string]any)[name]
				if list, ok := at.([]any); ok {
					at = list[0]
				}
			}
			if at != stepsAnswer {
				t.Errorf("%v, want %s", at, stepsAnswer)
			}
		})
	}
}

func TestAnAnswerCanBeAnyObject(t *testing.T) {
	res := post(t, start(t), responsesPath, `{"model":"gpt-5","input":"Some JSON, please","text":{"format":{"type":"json_object"}}}`)
	if res.status != 200 || !strings.Contains(res.body, `"text":"{\"answer\":\"Some JSON, please\"}"`) {
		t.Error(res)
	}
}

func TestASchemaMayReferToItself(t *testing.T) {
	schema, _, err := decodeObject([]byte(`{"type":"object","properties":{"child":{"$ref":"#"},"all":{"type":"array","items":{"$ref":"#"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(encode(fill(schema, schema, "x"))); n > 1<<20 {
		t.Error(n, "bytes")
	}
}
