package gatewaytest

import (
	"net/http"
	"strings"
	"testing"
)

const (
	declareF = `"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object","properties":{"path":{"type":"string"}}}}]}]`
	userHi   = `{"role":"user","parts":[{"text":"hi"}]}`
	callF    = `{"functionCall":{"name":"f","args":{}}}`
	resultF  = `{"functionResponse":{"name":"f","response":{"output":"x"}}}`
)

func TestGeminiRefusesUnknownNames(t *testing.T) {
	hi := `"contents":[` + userHi + `]`
	tests := map[string]refusal{}
	for body, want := range map[string]string{
		`{"model":"gemini-2.5-flash",` + hi + `}`:                                                           `Unknown name \"model\": Cannot find field.`,
		`{"messages":[],` + hi + `}`:                                                                        `Unknown name \"messages\": Cannot find field.`,
		`{"system_instruction":{},` + hi + `}`:                                                              `Unknown name \"system_instruction\"`,
		`{"stream":true,"n":1,` + hi + `}`:                                                                  `Unknown name \"n\": Cannot find field.\nInvalid JSON payload received. Unknown name \"stream\"`,
		`{"contents":[{"role":"user","parts":[{"text":"hi"}],"name":"x"}]}`:                                 `Unknown name \"name\" at 'contents[0]'`,
		`{"contents":[{"parts":[{"text":"hi","type":"text"}]}]}`:                                            `Unknown name \"type\" at 'contents[0].parts[0]'`,
		`{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA==","detail":"auto"}}]}]}`:  `Unknown name \"detail\" at 'contents[0].parts[0].inline_data'`,
		`{"contents":[{"parts":[{"functionCall":{"name":"f","arguments":{}}}]}]}`:                           `Unknown name \"arguments\" at 'contents[0].parts[0].function_call'`,
		`{"contents":[{"parts":[{"functionCall":{"name":"f","thoughtSignature":"AA=="}}]}]}`:                `Unknown name \"thoughtSignature\" at 'contents[0].parts[0].function_call'`,
		`{"contents":[{"parts":[{"functionResponse":{"name":"f","content":"x"}}]}]}`:                        `Unknown name \"content\" at 'contents[0].parts[0].function_response'`,
		`{"systemInstruction":{"parts":[{"content":"x"}]},` + hi + `}`:                                      `Unknown name \"content\" at 'system_instruction.parts[0]'`,
		`{"generationConfig":{"max_tokens":9},` + hi + `}`:                                                  `Unknown name \"max_tokens\" at 'generation_config'`,
		`{"generationConfig":{"thinkingConfig":{"effort":"low"}},` + hi + `}`:                               `Unknown name \"effort\" at 'generation_config.thinking_config'`,
		`{"generationConfig":{"responseSchema":{"additionalProperties":false}},` + hi + `}`:                 `Unknown name \"additionalProperties\" at 'generation_config.response_schema'`,
		`{"tools":[{"type":"function"}],` + hi + `}`:                                                        `Unknown name \"type\" at 'tools[0]'`,
		`{"tools":[{"functionDeclarations":[{"name":"f","strict":true}]}],` + hi + `}`:                      `Unknown name \"strict\" at 'tools[0].function_declarations[0]'`,
		`{"tools":[{"functionDeclarations":[{"name":"f","parameters":{"$schema":"x"}}]}],` + hi + `}`:       `Unknown name \"$schema\" at 'tools[0].function_declarations[0].parameters'`,
		`{"tools":[{"functionDeclarations":[{"name":"f","parameters":{"items":{"const":1}}}]}],` + hi + `}`: `Unknown name \"const\" at 'tools[0].function_declarations[0].parameters.items'`,
		`{"tools":[{"functionDeclarations":[{"parameters":{"properties":{"a":{"$ref":1}}}}]}],` + hi + `}`:  `Unknown name \"$ref\" at 'tools[0].function_declarations[0].parameters.properties.a'`,
		`{"toolConfig":{"mode":"AUTO"},` + declareF + `,` + hi + `}`:                                        `Unknown name \"mode\" at 'tool_config'`,
		`{"toolConfig":{"functionCallingConfig":{"function":"f"}},` + declareF + `,` + hi + `}`:             `Unknown name \"function\" at 'tool_config.function_calling_config'`,
		`{"safetySettings":[{"kind":"x"}],` + hi + `}`:                                                      `Unknown name \"kind\" at 'safety_settings[0]'`,
		`{"contents":{"parts":[]}}`:                                                                         `Invalid value at 'contents'`,
		`{"contents":[{"parts":[{"text":1}]}]}`:                                                             `Invalid value at 'contents[0].parts[0].text': 1`,
		`{"contents":[{"parts":[{"functionCall":{"name":"f","args":"{}"}}]}]}`:                              `Invalid value at 'contents[0].parts[0].function_call.args'`,
		`{"contents":[{"parts":[{"functionResponse":{"name":"f","response":"x"}}]}]}`:                       `Invalid value at 'contents[0].parts[0].function_response.response'`,
		`{"contents":[{"parts":[{"inlineData":{"data":"!"}}]}]}`:                                            `Invalid value at 'contents[0].parts[0].inline_data.data'`,
		`{"contents":[{"parts":[{"text":"a","thoughtSignature":"no base64"}]}]}`:                            `Invalid value at 'contents[0].parts[0].thought_signature'`,
		`{"generationConfig":{"seed":1.5},` + hi + `}`:                                                      `Invalid value at 'generation_config.seed'`,
		`{"generationConfig":{"stopSequences":"a"},` + hi + `}`:                                             `Invalid value at 'generation_config.stop_sequences'`,
		`{"toolConfig":{"functionCallingConfig":{"mode":"required"}},` + declareF + `,` + hi + `}`:          `Invalid value at 'tool_config.function_calling_config.mode': \"required\"`,
		`{"generationConfig":{"thinkingConfig":{"thinkingLevel":"XHIGH"}},` + hi + `}`:                      `Invalid value at 'generation_config.thinking_config.thinking_level'`,
		`{"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":["string"]}}]}],` + hi + `}`:   `Invalid value at 'tools[0].function_declarations[0].parameters.type'`,
		`{"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":"object"}]}],` + hi + `}`:    `Invalid value at 'tools[0].function_declarations[0].parameters_json_schema'`,
		`{"safetySettings":[{"category":"HARASSMENT","threshold":"BLOCK_NONE"}],` + hi + `}`:                `Invalid value at 'safety_settings[0].category'`,
		`{"generationConfig":{"responseJsonSchema":true,"responseMimeType":"application/json"},` + hi + `}`: `Invalid value at 'generation_config.response_json_schema'`,
	} {
		tests[body] = refusal{geminiFlash, body, 400, want}
		tests[body+" says INVALID_ARGUMENT"] = refusal{geminiFlash, body, 400, `"status":"INVALID_ARGUMENT"`}
	}
	testRefusals(t, tests)
}

func TestGeminiRefusesInconsistentRequests(t *testing.T) {
	contents := func(all string) string { return `{"contents":[` + all + `]}` }
	config := func(c string) string { return `{"contents":[` + userHi + `],"generationConfig":` + c + `}` }
	functions := func(f string) string {
		return `{"contents":[` + userHi + `],"tools":[{"functionDeclarations":[` + f + `]}]}`
	}
	calling := func(c string) string {
		return `{"contents":[` + userHi + `],` + declareF + `,"toolConfig":{"functionCallingConfig":` + c + `}}`
	}
	model := func(parts string) string { return `{"role":"model","parts":[` + parts + `]}` }
	user := func(parts string) string { return `{"role":"user","parts":[` + parts + `]}` }
	tests := map[string]refusal{}
	for name, test := range map[string]struct{ body, want string }{
		"no contents":                      {`{}`, "contents is not specified"},
		"empty contents":                   {contents(``), "contents is not specified"},
		"another role":                     {contents(`{"role":"assistant","parts":[{"text":"x"}]}`), "valid role: user, model"},
		"the role function":                {contents(`{"role":"function","parts":[` + resultF + `]}`), "valid role: user, model"},
		"no parts":                         {contents(`{"role":"user"}`), "contents[0].parts: contents.parts must not be empty"},
		"a part without data":              {contents(user(`{"thought":true}`)), "contents[0].parts[0].data: required oneof"},
		"a part with two kinds of data":    {contents(user(`{"text":"x","inlineData":{}}`)), "contents[0].parts[0].data: required oneof"},
		"a system instruction of nothing":  {`{"contents":[` + userHi + `],"systemInstruction":{"parts":[]}}`, "system_instruction.parts: contents.parts must not be empty"},
		"a system instruction with images": {`{"contents":[` + userHi + `],"systemInstruction":{"parts":[{"inlineData":{}}]}}`, "text alone"},

		"fewer results than calls":              {contents(userHi + `,` + model(callF+`,`+callF) + `,` + user(resultF)), "number of function response parts is equal to"},
		"more results than calls":               {contents(userHi + `,` + model(callF) + `,` + user(resultF+`,`+resultF)), "number of function response parts is equal to"},
		"results in two turns":                  {contents(userHi + `,` + model(callF+`,`+callF) + `,` + user(resultF) + `,` + user(resultF)), "number of function response parts is equal to"},
		"no results":                            {contents(userHi + `,` + model(callF) + `,` + userHi), "number of function response parts is equal to"},
		"results without calls":                 {contents(userHi + `,` + user(resultF)), "function response turn comes immediately after a function call turn"},
		"results at the start":                  {contents(user(resultF)), "function response turn comes immediately after a function call turn"},
		"calls at the start":                    {contents(model(callF)), "function call turn comes immediately after a user turn"},
		"calls after another turn of the model": {contents(userHi + `,` + model(`{"text":"x"}`) + `,` + model(callF) + `,` + user(resultF)), "function call turn comes immediately after a user turn"},
		"calls in the user's turn":              {contents(user(callF)), "belong to the model's turns"},
		"results in the model's turn":           {contents(userHi + `,` + model(resultF)), "belong to the model's turns"},
		"results of another function":           {contents(userHi + `,` + model(callF) + `,` + user(`{"functionResponse":{"name":"g","response":{}}}`)), "response part g does not belong"},
		"results of another call":               {contents(userHi + `,` + model(`{"functionCall":{"id":"a","name":"f","args":{}}}`) + `,` + user(`{"functionResponse":{"id":"b","name":"f","response":{}}}`)), "response part f does not belong"},
		"results without a name":                {contents(userHi + `,` + model(callF) + `,` + user(`{"functionResponse":{"response":{}}}`)), "function_response.name: Name cannot be empty"},
		"calls without a name":                  {contents(userHi + `,` + model(`{"functionCall":{"args":{}}}`) + `,` + user(resultF)), "function_call.name: Name cannot be empty"},
		"results of nothing":                    {contents(userHi + `,` + model(callF) + `,` + user(`{"functionResponse":{"name":"f"}}`)), "without references"},
		"results with references":               {contents(userHi + `,` + model(callF) + `,` + user(`{"functionResponse":{"name":"f","response":{"a":[{"$ref":"x"}]}}}`)), "without references"},

		"a function's name with a space":   {functions(`{"name":"a b"}`), "Invalid function name"},
		"a function's name with a digit":   {functions(`{"name":"1f"}`), "Invalid function name"},
		"a function twice":                 {functions(`{"name":"f"},{"name":"f"}`), "Duplicate function declaration found: f"},
		"two kinds of parameters":          {functions(`{"name":"f","parameters":{"type":"STRING"},"parametersJsonSchema":{}}`), "Only one of parameters"},
		"parameters without properties":    {functions(`{"name":"f","parameters":{"type":"object","properties":{}}}`), "should be non-empty for OBJECT type"},
		"a calling mode without functions": {`{"contents":[` + userHi + `],"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}}`, "without function_declarations"},
		"allowed names in mode AUTO":       {calling(`{"mode":"AUTO","allowedFunctionNames":["f"]}`), "only when function calling mode is ANY"},
		"an allowed name that is unknown":  {calling(`{"mode":"ANY","allowedFunctionNames":["g"]}`), "function name g is not in f"},

		"six stop words":                   {config(`{"stopSequences":["a","b","c","d","e","f"]}`), "at most 5, but 6"},
		"an empty stop word":               {config(`{"stopSequences":[""]}`), "must not have an empty one"},
		"no candidates":                    {config(`{"candidateCount":0}`), "candidate count"},
		"nine candidates":                  {config(`{"candidateCount":9}`), "candidate count"},
		"a temperature of 3":               {config(`{"temperature":3}`), "temperature must be"},
		"no tokens":                        {config(`{"maxOutputTokens":0}`), "must be positive"},
		"two schemas":                      {config(`{"responseMimeType":"application/json","responseSchema":{},"responseJsonSchema":{}}`), "Only one of response_schema"},
		"a schema without a type":          {config(`{"responseJsonSchema":{}}`), "needs the response mime type"},
		"two ways to think":                {config(`{"thinkingConfig":{"thinkingBudget":1,"thinkingLevel":"LOW"}}`), "only one of thinking budget and thinking level"},
		"a thinking level of older models": {config(`{"thinkingConfig":{"thinkingLevel":"LOW"}}`), "not supported for this model"},
	} {
		tests[name] = refusal{geminiFlash, test.body, 400, test.want}
	}
	tests["penalties of newer models"] = refusal{geminiThree, config(`{"presencePenalty":0.5}`), 400, "Penalty is not enabled"}
	testRefusals(t, tests)
}

func TestNewerGeminisNeedThoughtSignatures(t *testing.T) {
	s := start(t)
	signature := `"thoughtSignature":"` + thoughtSignature("f", object{}) + `",`
	signed := func(with string) string { return `{` + with + callF[1:] }
	for name, test := range map[string]struct {
		path, call, after string
		status            int
		want              string
	}{
		"the call's signature":                 {geminiThree, signed(signature), "", 200, ""},
		"the documented dummy":                 {geminiThree, signed(`"thoughtSignature":"skip_thought_signature_validator",`), "", 200, ""},
		"the other dummy":                      {geminiThree, signed(`"thoughtSignature":"context_engineering_is_the_way_to_go",`), "", 200, ""},
		"the dummy in base64":                  {geminiThree, signed(`"thoughtSignature":"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",`), "", 200, ""},
		"only on the first call":               {geminiThree, signed(signature) + `,` + callF, "", 200, ""},
		"none":                                 {geminiThree, callF, "", 400, "missing a thought_signature"},
		"only on the second call":              {geminiThree, callF + `,` + signed(signature), "", 400, "missing a thought_signature"},
		"the signature of another call":        {geminiThree, signed(`"thoughtSignature":"` + thoughtSignature("g", object{}) + `",`), "", 400, "Corrupted thought signature."},
		"no signature in an older turn":        {geminiThree, callF, `,{"role":"model","parts":[{"text":"x"}]},` + userHi, 200, ""},
		"a wrong signature in an older turn":   {geminiThree, signed(`"thoughtSignature":"AAAA",`), `,{"role":"model","parts":[{"text":"x"}]},` + userHi, 400, "Corrupted thought signature."},
		"no signature for an older model":      {geminiFlash, callF, "", 200, ""},
		"a wrong signature for an older model": {geminiFlash, signed(`"thoughtSignature":"AAAA",`), "", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			results := resultF + strings.Repeat(","+resultF, strings.Count(test.call, "functionCall")-1)
			body := `{"contents":[` + userHi + `,{"role":"model","parts":[` + test.call + `]},{"role":"user","parts":[` + results + `]}` + test.after + `],` + declareF + `}`
			if res := post(t, s, test.path, body); res.status != test.status || !strings.Contains(res.body, test.want) {
				t.Error(res.status, res.body)
			}
		})
	}
}

func TestGoogleRefusesInvalidRequests(t *testing.T) {
	hi := `{"contents":[` + userHi + `]}`
	embed := func(request string) string { return `{"requests":[` + request + `]}` }
	const batch = "google-ai-studio/v1beta/models/gemini-embedding-001:batchEmbedContents"
	const single = "google-ai-studio/v1beta/models/gemini-embedding-001:embedContent"
	testRefusals(t, map[string]refusal{
		"the older API":                             {"google-ai-studio/v1/models/gemini-2.5-flash:generateContent", hi, 404, "<title>Error 404"},
		"a path without the model":                  {"google-ai-studio/v1beta/openai/chat/completions", hi, 404, "<title>Error 404"},
		"an unknown model":                          {"google-ai-studio/v1beta/models/gpt-4o:generateContent", hi, 404, `"status":"NOT_FOUND"`},
		"an unknown method":                         {"google-ai-studio/v1beta/models/gemini-2.5-flash:chat", hi, 404, `"status":"NOT_FOUND"`},
		"a model that embeds":                       {"google-ai-studio/v1beta/models/gemini-embedding-001:generateContent", hi, 404, "is not supported for generateContent"},
		"embeddings of a model that does not embed": {"google-ai-studio/v1beta/models/gemini-2.5-flash:embedContent", hi, 404, "is not supported for embedContent"},
		"an unknown query":                          {geminiFlash + "?api-version=2024-10-21", hi, 400, `Unknown name \"api-version\": Cannot bind query parameter`},
		"an unknown format":                         {geminiFlash + "?alt=proto", hi, 400, "alt"},
		"a body that is not JSON":                   {geminiFlash, `{`, 400, "Invalid JSON payload received"},
		"an error of an array is in an array":       {"google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent", `{}`, 400, `[{"error":{"code":400`},
		"an error of events is not":                 {"google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", `{}`, 400, `{"error":{"code":400`},

		"an embedding of nothing":                 {single, `{}`, 400, "content is not specified"},
		"an embedding of an empty text":           {single, `{"content":{"parts":[{"text":""}]}}`, 400, "content is not specified"},
		"an embedding with unknown names":         {single, `{"content":{"parts":[{"text":"x"}]},"dimensions":3}`, 400, `Unknown name \"dimensions\"`},
		"an embedding of another model":           {single, `{"model":"models/other","content":{"parts":[{"text":"x"}]}}`, 400, "model must be models/gemini-embedding-001"},
		"an embedding of no dimensions":           {single, `{"content":{"parts":[{"text":"x"}]},"outputDimensionality":0}`, 400, "out of range"},
		"a batch of nothing":                      {batch, `{"requests":[]}`, 400, "1 to 100 requests"},
		"a batch of too many":                     {batch, embed(strings.Repeat(`{},`, 100) + `{}`), 400, "1 to 100 requests"},
		"a batch without models":                  {batch, embed(`{"content":{"parts":[{"text":"x"}]}}`), 400, "requests[0].model: model must be models/gemini-embedding-001"},
		"a batch with a model without its prefix": {batch, embed(`{"model":"gemini-embedding-001","content":{"parts":[{"text":"x"}]}}`), 400, "requests[0].model"},
		"a batch with unknown names":              {batch, embed(`{"model":"models/gemini-embedding-001","input":"x"}`), 400, `Unknown name \"input\" at 'requests[0]'`},
	})
}

func TestGoogleNeedsItsKey(t *testing.T) {
	s := start(t)
	hi := `{"contents":[` + userHi + `]}`
	r := newPost(t.Context(), s, geminiFlash, "google-ai-studio", hi)
	r.Header.Set("X-Goog-Api-Key", "another")
	if res := send(t, r); res.status != 400 || !strings.Contains(res.body, `"reason":"API_KEY_INVALID"`) || !strings.Contains(res.body, `"status":"INVALID_ARGUMENT"`) {
		t.Error(res)
	}
	r = newPost(t.Context(), s, geminiFlash, "", hi)
	if res := send(t, r); res.status != http.StatusForbidden || !strings.Contains(res.body, `"status":"PERMISSION_DENIED"`) {
		t.Error(res)
	}
	r = newPost(t.Context(), s, geminiFlash+"?key=gatewaytest-google-ai-studio-key", "", hi)
	if res := send(t, r); res.status != 200 {
		t.Error(res)
	}
}

func TestGeminiStreamsAnArrayWithoutAltSse(t *testing.T) {
	s := start(t)
	res := post(t, s, "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent", `{"contents":[`+userHi+`]}`)
	if _, _, err := decodeObject([]byte(`{"all":` + res.body + `}`)); err != nil || !strings.HasPrefix(res.body, "[{") || !strings.Contains(res.body, "},\r\n{") {
		t.Error(res, err)
	}
	res = post(t, s, "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", `{"contents":[`+userHi+`]}`)
	frames := strings.Split(res.body, "\r\n\r\n")
	if len(frames) < 4 || frames[len(frames)-1] != "" || strings.Contains(res.body, "[DONE]") || res.header.Get("Content-Type") != "text/event-stream" {
		t.Error(res)
	}
	for i, frame := range frames[:len(frames)-1] {
		if !strings.HasPrefix(frame, `data: {"candidates":[{"content":{"parts":[{"text":`) || !strings.Contains(frame, `"usageMetadata":{"candidatesTokenCount":`) ||
			strings.Contains(frame, `"finishReason":"STOP"`) != (i == len(frames)-2) {
			t.Error(i, frame)
		}
	}
}

func TestGeminiCountsTokens(t *testing.T) {
	s := start(t)
	count := "google-ai-studio/v1beta/models/gemini-2.5-flash:countTokens"
	for body, want := range map[string]string{
		`{"contents":[{"parts":[{"text":"Hello there"}]}]}`:                                                        `"totalTokens":`,
		`{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"parts":[{"text":"Hello"}]}]}}`: `"totalTokens":`,
		`{"contents":[]}`:         "contents is not specified",
		`{"contents":[],"foo":1}`: `Unknown name \"foo\"`,
	} {
		if res := post(t, s, count, body); !strings.Contains(res.body, want) {
			t.Error(body, res)
		}
	}
}
