package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// A client must get exactly the text that the model writes, as a stream or as an object, whatever the pieces
// in which it arrives.
func TestTheClientGetsTheModelsExactText(t *testing.T) {
	chunk := `data: {"id":"x","choices":[{"index":0,"delta":{"content":%s}}]}` + "\n\n"
	for name, test := range map[string]struct {
		model      string
		endpoint   hub.Endpoint
		frame, end string
	}{
		"a chat of Workers AI":                              {"workers-ai/@cf/a/b", hub.Chat, chunk, "data: [DONE]\n\n"},
		"a native chat of Workers AI":                       {"workers-ai/@cf/a/b", hub.Chat, "data: {\"response\":%s}\n\n", "data: [DONE]\n\n"},
		"a completion of Workers AI":                        {"workers-ai/@cf/a/b", hub.Completions, "data: {\"response\":%s}\n\n", "data: [DONE]\n\n"},
		"a completion of Azure":                             {"azure-openai/a/b", hub.Completions, chunk, "data: [DONE]\n\n"},
		"a chat of Groq with more stop words than are sent": {"groq/a", hub.Chat, chunk, "data: [DONE]\n\n"},
		"a chat of Gemini":                                  {"google-ai-studio/gemini-x", hub.Chat, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":%s}]}}]}\r\n\r\n", "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n"},
		"a completion of Gemini":                            {"google-ai-studio/gemini-x", hub.Completions, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":%s}]}}]}\r\n\r\n", "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n"},
		"messages from Workers AI":                          {"workers-ai/@cf/a/b", hub.Messages, chunk, "data: [DONE]\n\n"},
		"messages from Groq":                                {"groq/a", hub.Messages, chunk, "data: [DONE]\n\n"},
		"messages from Gemini":                              {"google-ai-studio/gemini-x", hub.Messages, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":%s}]}}]}\r\n\r\n", "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 0))
			for range 200 {
				var want, stream strings.Builder
				for range random.IntN(8) {
					piece := randomText(random)
					quoted, err := json.Marshal(piece)
					if err != nil {
						t.Fatal(err)
					}
					want.WriteString(piece)
					fmt.Fprintf(&stream, test.frame, quoted)
				}
				stream.WriteString(test.end)
				for _, streamed := range []bool{true, false} {
					body := fmt.Sprintf(`{"messages":[{"role":"user","content":"x"}],"prompt":"x","stream":%v,"stop":["\u0001\u0002 never","\u0001\u0002\u0003","]]]]]!","<<<<<!","-----!"]}`, streamed)
					if test.endpoint == hub.Messages {
						body = strings.Replace(body, `"stop"`, `"stop_sequences"`, 1)
					}
					made, err := call(test.endpoint, test.model, body)
					if err != nil {
						t.Fatal(err)
					}
					if got := textOf(t, made, stream.String(), random); got != want.String() {
						t.Fatalf("seed %d: text %q, want %q", seed, got, want.String())
					}
				}
			}
		})
	}
}

// randomText returns text with characters that are hard to translate, and with all stop words except for
// their last characters.
func randomText(random *rand.Rand) string {
	const characters = "ab \n\t\"\\{}[]:,'é\u2028😀\x00\x1f\x7f<>&\u0001\u0002]<-0"
	all := []rune(characters)
	text := make([]rune, random.IntN(6))
	for i := range text {
		text[i] = all[random.IntN(len(all))]
	}
	return string(text)
}

// textOf translates a stream in random pieces and returns the text that a client reads.
func textOf(t *testing.T, made *hub.Call, stream string, random *rand.Rand) string {
	t.Helper()
	var out bytes.Buffer
	translator := made.Translate(&out, true)
	for len(stream) > 0 {
		n := 1 + random.IntN(min(len(stream), 60))
		if _, err := translator.Write([]byte(stream[:n])); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	text := ""
	for line := range strings.Lines(out.String()) {
		data := gjson.Parse(strings.TrimPrefix(line, "data: "))
		choice := data.Get("choices.0")
		text += choice.Get("delta.content").Str + choice.Get("message.content").Str + choice.Get("text").Str
		text += data.Get("delta.text").Str + data.Get("content.0.text").Str // of messages
	}
	return text
}
