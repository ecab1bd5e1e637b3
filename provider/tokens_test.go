package provider

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func TestAPromptIsEstimatedByItsTextAlone(t *testing.T) {
	file := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb, 1, 2}, 4000))
	text := strings.Repeat("word ", 300)
	for name, test := range map[string]struct {
		endpoint hub.Endpoint
		body     string
		file     int // how many bytes of body are a file
	}{
		"text":                              {hub.Chat, `{"messages":[{"role":"user","content":"` + text + `"}]}`, 0},
		"an image in a data URL":            {hub.Chat, `{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + file + `"}}]}`, len(file)},
		"two images":                        {hub.Chat, `["data:image/png;base64,` + file + `","data:image/png;base64,` + file + `"]`, 2 * len(file)},
		"Anthropic's image":                 {hub.Messages, `{"source":{"type":"base64","media_type":"image/png","data":"` + file + `"}}`, len(file)},
		"Gemini's image, with spaces":       {hub.Gemini, `{"inlineData": {"mimeType": "image/png", "data": "` + file + `"}}`, len(file)},
		"a member data that is text":        {hub.Gemini, `{"data":"` + text + `"}`, 0},
		"a member data that is no string":   {hub.Gemini, `{"data":{"text":"` + text + `"}}`, 0},
		"a short member data":               {hub.Gemini, `{"data":"abcd"}`, 0},
		"text about a data URL":             {hub.Chat, `{"content":"use ;base64, for ` + text + `"}`, 0},
		"a body that is cut after the name": {hub.Gemini, `{"data"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := PromptTokens(test.endpoint, []byte(test.body)), int64(len(test.body)-test.file)/4; got != want {
				t.Errorf("%d tokens, want %d", got, want)
			}
		})
	}
}

func TestAFileIsFoundWhereverItBegins(t *testing.T) {
	for length := minFile; length < minFile+4; length++ {
		for before := range 2 * minFile {
			body := `{"text":"` + strings.Repeat(" ", before) + `","url":"data:image/png;base64,` + strings.Repeat("A", length) + `"}`
			if got, want := PromptTokens(hub.Chat, []byte(body)), int64(len(body)-length)/4; got != want {
				t.Fatalf("a file of %d bytes behind %d spaces: %d tokens, want %d", length, before, got, want)
			}
		}
	}
}

func TestTheTextOfAnAnswerIsCounted(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint hub.Endpoint
		stream   bool
		answer   string
		want     int64 // bytes
	}{
		"a chat":               {hub.Chat, false, `{"id":"x","choices":[{"message":{"role":"assistant","content":"12345678","reasoning_content":"1234"}}]}`, 12},
		"a stream of a chat":   {hub.Chat, true, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"1234\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"5678\"}}]}\n\n", 8},
		"a call":               {hub.Chat, false, `{"tool_calls":[{"id":"call","function":{"name":"f","arguments":"{\"a\":1}"}}]}`, 9},
		"a text completion":    {hub.Completions, false, `{"choices":[{"text":"1234"}]}`, 4},
		"a stream of Messages": {hub.Messages, true, `data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"1234"}}` + "\n\n" + `data: {"delta":{"type":"input_json_delta","partial_json":"5678"}}` + "\n\n", 8},
		"a stream of a response, whose end repeats the text": {hub.Responses, true, `data: {"type":"response.output_text.delta","delta":"1234"}` + "\n\n" + `data: {"type":"response.output_text.done","text":"1234"}` + "\n\n", 4},
		"a response":                {hub.Responses, false, `{"output":[{"content":[{"type":"output_text","text":"1234"}]}]}`, 4},
		"Gemini":                    {hub.Gemini, false, `{"candidates":[{"content":{"parts":[{"text":"1234"}]}}]}`, 4},
		"text that quotes a member": {hub.Chat, false, `{"content":"{\"content\":\"x\"}\\"}`, 21},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewTextCounter(test.endpoint, test.stream)
			c.Write([]byte(test.answer))
			if c.bytes != test.want || c.Tokens() != test.want/4 {
				t.Errorf("%d bytes, want %d", c.bytes, test.want)
			}
		})
	}
}

func TestTextIsCountedAcrossPieces(t *testing.T) {
	const text = `12\"34\\\\\"56\n78\\`
	const answer = `{"content":"` + text + `","role":"assistant"}`
	begins := strings.Index(answer, text)
	for first := begins; first < len(answer); first++ {
		for second := first; second < len(answer); second++ {
			c := NewTextCounter(hub.Chat, true)
			for _, piece := range []string{answer[:first], answer[first:second], answer[second:]} {
				c.Write([]byte(piece))
			}
			if c.bytes != int64(len(text)) {
				t.Errorf("cut at %d and %d: %d bytes, want %d", first, second, c.bytes, len(text))
			}
		}
	}
}
