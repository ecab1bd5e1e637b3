package gatewaytest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"google.golang.org/genai"
)

const geminiEvents = "google-ai-studio/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse"

// gemini sends a request made of Google's own types and decodes the answer into them.
func gemini[T any](t *testing.T, s *Server, path string, request any) T {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	res := post(t, s, path, string(body))
	if res.status != 200 {
		t.Fatal(res.status, res.body)
	}
	var answer T
	if err := json.Unmarshal([]byte(res.body), &answer); err != nil {
		t.Fatal(err, res.body)
	}
	return answer
}

// textOf returns the text of the first candidate. The types' own method prints a warning about
// everything else.
func textOf(answer *genai.GenerateContentResponse) string {
	var b strings.Builder
	for _, part := range answer.Candidates[0].Content.Parts {
		b.WriteString(part.Text)
	}
	return b.String()
}

func readTool(names ...string) map[string]any {
	var functions []*genai.FunctionDeclaration
	for _, name := range names {
		functions = append(functions, &genai.FunctionDeclaration{Name: name, ParametersJsonSchema: map[string]any{
			"type": "object", "required": []string{"path"},
			"properties": map[string]any{"path": map[string]any{"type": "string"}, "lines": map[string]any{"type": "integer"}},
		}})
	}
	return map[string]any{"functionDeclarations": functions}
}

func TestGooglesTypesReadAnswers(t *testing.T) {
	s := start(t)
	answer := gemini[genai.GenerateContentResponse](t, s, geminiThree, map[string]any{
		"contents":          genai.Text("What is it?"),
		"systemInstruction": genai.NewContentFromText("Be brief.", ""),
		"generationConfig":  genai.GenerationConfig{CandidateCount: 2, MaxOutputTokens: 500, StopSequences: []string{"never"}},
		"safetySettings":    []genai.SafetySetting{{Category: genai.HarmCategoryHarassment, Threshold: genai.HarmBlockThresholdBlockNone}},
	})
	usage := answer.UsageMetadata
	if len(answer.Candidates) != 2 || answer.Candidates[1].Index != 1 || answer.Candidates[0].FinishReason != genai.FinishReasonStop ||
		!strings.Contains(textOf(&answer), `You said "What is it?"`) || len(answer.Candidates[0].Content.Parts[0].ThoughtSignature) == 0 || answer.ResponseID == "" ||
		usage.PromptTokenCount+usage.CandidatesTokenCount+usage.ThoughtsTokenCount != usage.TotalTokenCount || usage.ThoughtsTokenCount == 0 {
		t.Errorf("%+v", answer)
	}
	answer = gemini[genai.GenerateContentResponse](t, s, geminiFlash, map[string]any{
		"contents": genai.Text("What is it?"), "generationConfig": genai.GenerationConfig{MaxOutputTokens: 2},
	})
	if answer.Candidates[0].FinishReason != genai.FinishReasonMaxTokens || textOf(&answer) != "This is " {
		t.Errorf("%+v", answer)
	}
}

func TestGeminiUsesToolResults(t *testing.T) {
	s := start(t)
	for _, model := range []string{geminiFlash, geminiThree} {
		contents := []*genai.Content{genai.NewContentFromText("USETOOL and read a.py and b.py.", genai.RoleUser)}
		request := map[string]any{"contents": contents, "tools": []any{readTool("list", "read")}}
		answer := gemini[genai.GenerateContentResponse](t, s, model, request)
		calls := answer.FunctionCalls()
		if len(calls) != 2 || calls[0].Name != "read" || calls[0].Args["path"] != "a.py" || calls[1].Args["path"] != "b.py" || len(calls[0].Args) != 1 {
			t.Fatalf("%+v", calls)
		}
		parts := answer.Candidates[0].Content.Parts
		if len(parts[0].ThoughtSignature) == 0 || len(parts[1].ThoughtSignature) != 0 {
			t.Error("the first call alone is signed")
		}
		if (calls[0].ID != "") != (model == geminiThree) {
			t.Error("ids:", calls[0].ID)
		}
		var results []*genai.Part
		for _, call := range calls {
			results = append(results, &genai.Part{FunctionResponse: &genai.FunctionResponse{ID: call.ID, Name: call.Name, Response: map[string]any{"output": "forty two"}}})
		}
		request["contents"] = append(contents, answer.Candidates[0].Content, genai.NewContentFromParts(results, genai.RoleUser))
		if answer := gemini[genai.GenerateContentResponse](t, s, model, request); !strings.Contains(textOf(&answer), "forty two") {
			t.Error(textOf(&answer))
		}
		results = append(results, genai.NewPartFromText("And now?"))
		request["contents"] = append(contents, answer.Candidates[0].Content, genai.NewContentFromParts(results, genai.RoleUser))
		if answer := gemini[genai.GenerateContentResponse](t, s, model, request); !strings.Contains(textOf(&answer), `"And now?"`) {
			t.Error(textOf(&answer))
		}
	}
}

func TestTheCallingModeDecidesWhichFunctionIsCalled(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		prompt string
		mode   genai.FunctionCallingConfig
		want   string // the function that is called
	}{
		{"hello", genai.FunctionCallingConfig{Mode: genai.FunctionCallingConfigModeAuto}, ""},
		{"hello", genai.FunctionCallingConfig{Mode: genai.FunctionCallingConfigModeAny}, "list"},
		{"hello", genai.FunctionCallingConfig{Mode: genai.FunctionCallingConfigModeAny, AllowedFunctionNames: []string{"read"}}, "read"},
		{"USETOOL", genai.FunctionCallingConfig{Mode: genai.FunctionCallingConfigModeNone}, ""},
		{"USETOOL", genai.FunctionCallingConfig{Mode: genai.FunctionCallingConfigModeAuto}, "list"},
	} {
		answer := gemini[genai.GenerateContentResponse](t, s, geminiFlash, map[string]any{
			"contents": genai.Text(test.prompt), "tools": []any{readTool("list", "read")},
			"toolConfig": genai.ToolConfig{FunctionCallingConfig: &test.mode},
		})
		called := ""
		for _, call := range answer.FunctionCalls() {
			called += call.Name
		}
		if called != test.want {
			t.Errorf("%+v: %q", test, called)
		}
	}
}

func TestGooglesTypesReadStreams(t *testing.T) {
	s := start(t)
	for prompt, calls := range map[string]int{"hello": 0, "USETOOL with a.py and b.py": 2} {
		body, _ := json.Marshal(map[string]any{"contents": genai.Text(prompt), "tools": []any{readTool("read")}})
		res := post(t, s, geminiEvents, string(body))
		var said strings.Builder
		var called []*genai.FunctionCall
		var last genai.GenerateContentResponse
		for frame := range strings.SplitSeq(strings.TrimSuffix(res.body, "\r\n\r\n"), "\r\n\r\n") {
			last = genai.GenerateContentResponse{}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(frame, "data: ")), &last); err != nil {
				t.Fatal(err, frame)
			}
			said.WriteString(textOf(&last))
			called = append(called, last.FunctionCalls()...)
		}
		if last.Candidates[0].FinishReason != genai.FinishReasonStop || len(called) != calls || strings.Contains(said.String(), `"hello"`) != (calls == 0) {
			t.Errorf("%q %d %+v", said.String(), len(called), last)
		}
	}
}

func TestGooglesTypesReadEmbeddings(t *testing.T) {
	s := start(t)
	type embedding struct{ Values []float32 }
	model := "models/gemini-embedding-001"
	one := gemini[struct{ Embedding embedding }](t, s, "google-ai-studio/v1beta/"+model+":embedContent", map[string]any{
		"content": genai.NewContentFromText("a", ""), "outputDimensionality": 3, "taskType": "RETRIEVAL_QUERY",
	})
	two := gemini[struct{ Embeddings []*genai.ContentEmbedding }](t, s, "google-ai-studio/v1beta/"+model+":batchEmbedContents", map[string]any{
		"requests": []any{
			map[string]any{"model": model, "content": genai.NewContentFromText("b", "")},
			map[string]any{"model": model, "content": genai.NewContentFromText("a", ""), "outputDimensionality": 3},
		},
	})
	if len(one.Embedding.Values) != 3 || len(two.Embeddings) != 2 || len(two.Embeddings[0].Values) != defaultDimensions ||
		two.Embeddings[1].Values[2] != one.Embedding.Values[2] || two.Embeddings[0].Values[0] == one.Embedding.Values[0] {
		t.Error(one, two)
	}
}

// Google's own client sends only what its types allow. It also reads errors.
func TestGooglesClientIsServed(t *testing.T) {
	s := start(t)
	client, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		APIKey:      s.Config.ProviderHeaders["google-ai-studio"]["x-goog-api-key"],
		Backend:     genai.BackendGeminiAPI,
		HTTPClient:  withGatewayHeaders(s),
		HTTPOptions: genai.HTTPOptions{BaseURL: s.URL + "/v1/" + s.Config.Account + "/" + s.Config.Gateway + "/google-ai-studio"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := &genai.GenerateContentConfig{Tools: []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{{Name: "f"}}}}}
	said := ""
	for answer, err := range client.Models.GenerateContentStream(t.Context(), "gemini-2.5-flash", genai.Text("hello"), config) {
		if err != nil {
			t.Fatal(err)
		}
		said += textOf(answer)
	}
	if !strings.Contains(said, `"hello"`) {
		t.Error(said)
	}
	s.Next(GoogleRetry("57.238s", "GenerateRequestsPerDayPerProjectPerModel"))
	var failed genai.APIError
	if _, err := client.Models.GenerateContent(t.Context(), "gemini-2.5-flash", genai.Text("hello"), nil); !errors.As(err, &failed) || failed.Code != 429 || failed.Status != "RESOURCE_EXHAUSTED" || len(failed.Details) != 2 {
		t.Error(err)
	}
}
