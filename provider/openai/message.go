package openai

import (
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// AppendObject appends a chat.completion.
func (w *chatWriter) AppendObject(b []byte, choices []*hub.Choice, usage *hub.Usage) []byte {
	b = appendHead(b, w.id(), "chat.completion", w.head)
	for i, c := range choices {
		b = beginChoice(b, i)
		b = w.appendMessage(append(b, `,"message":`...), c)
		b = appendChoiceLogprobs(b, c.Logprobs)
		b = jsontext.AppendString(append(b, `,"finish_reason":`...), w.finish(c.Finish))
		b = append(b, '}')
	}
	return endObject(b, usage)
}

// beginChoice begins an element of choices.
func beginChoice(b []byte, index int) []byte {
	if index > 0 {
		b = append(b, ',')
	}
	return strconv.AppendInt(append(b, `{"index":`...), int64(index), 10)
}

// endObject ends an object behind its last choice.
func endObject(b []byte, usage *hub.Usage) []byte {
	b = append(b, ']')
	if usage != nil {
		b = appendUsage(append(b, `,"usage":`...), usage)
	}
	return append(b, '}')
}

func (w *chatWriter) appendMessage(b []byte, c *hub.Choice) []byte {
	b = append(b, `{"role":"assistant","content":`...)
	if len(c.Text) == 0 && (len(c.Calls) > 0 || len(c.Refusal) > 0) {
		b = append(b, "null"...)
	} else {
		b = jsontext.AppendString(b, string(c.Text))
	}
	b = appendNullable(append(b, `,"refusal":`...), string(c.Refusal))
	if len(c.Reasoning) > 0 {
		b = jsontext.AppendString(append(b, `,"reasoning_content":`...), string(c.Reasoning))
	}
	if len(c.Extra) > 0 {
		b = append(append(b, `,"extra_content":`...), c.Extra...)
	}
	if len(c.Citations) > 0 {
		b = append(appendCitations(append(b, `,"annotations":[`...), c.Citations), ']')
	}
	if len(c.Images) > 0 {
		b = append(b, `,"images":[`...)
		for i, url := range c.Images {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendImage(b, url)
		}
		b = append(b, ']')
	}
	return append(w.appendCalls(b, c.Calls), '}')
}

// appendCitations appends sources as OpenAI's search models have them
// (https://platform.openai.com/docs/guides/tools-web-search).
func appendCitations(b []byte, citations []hub.URLCitation) []byte {
	for i, c := range citations {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"type":"url_citation","url_citation":{"start_index":`...)
		b = strconv.AppendInt(b, int64(c.Start), 10)
		b = strconv.AppendInt(append(b, `,"end_index":`...), int64(c.End), 10)
		b = jsontext.AppendString(append(b, `,"url":`...), c.URL)
		b = jsontext.AppendString(append(b, `,"title":`...), c.Title)
		b = append(b, "}}"...)
	}
	return b
}

// appendImage appends an image. OpenAI's chats have no place for one; `images` is OpenRouter's
// (https://openrouter.ai/docs/features/multimodal/image-generation).
func appendImage(b []byte, url string) []byte {
	b = jsontext.AppendString(append(b, `{"type":"image_url","image_url":{"url":`...), url)
	return append(b, "}}"...)
}
