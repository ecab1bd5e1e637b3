package googleaistudio

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// decoder reads Gemini's answer: frames of a stream, or one object.
type decoder struct {
	remember func(id, signature string)
	answered bool            // whether there has been a candidate
	choices  []choice        // by a candidate's index
	ids      map[string]bool // the ids of calls so far
}

// choice is what a candidate has said so far.
type choice struct{ text, calls, broken bool }

var errUnreadable = openai.UpstreamBroken("Try again: the provider's answer is not valid JSON.")

// decode reads one frame of a stream, or the whole answer, which are alike.
func (d *decoder) decode(message []byte, a *openai.Answer) error {
	if !openai.ValidObject(message) {
		return errUnreadable
	}
	m := gjson.ParseBytes(message)
	if e := openai.Reported(m); e != nil {
		return e
	}
	a.SetID(m.Get("responseId").Str)
	if err := d.candidates(m.Get("candidates"), a); err != nil {
		return err
	}
	decodeUsage(m.Get("usageMetadata"), a)
	reason := m.Get("promptFeedback.blockReason").Str
	switch {
	case reason == "":
	case d.answered:
		for index := range d.choices {
			a.FinishLast(index, openai.FinishContentFilter)
		}
	default:
		d.answered = true
		a.Refusal(0, sentences("Rephrase the request: Google's filters blocked it ("+reason+").", m.Get("promptFeedback.blockReasonMessage").Str))
		a.Finish(0, openai.FinishContentFilter)
	}
	return nil
}

func (d *decoder) candidates(all gjson.Result, a *openai.Answer) error {
	if !all.IsArray() {
		return nil
	}
	var err error
	all.ForEach(func(_, candidate gjson.Result) bool {
		if !candidate.IsObject() {
			err = errUnreadable
			return false
		}
		d.answered = true
		err = d.candidate(candidate, a)
		return err == nil
	})
	return err
}

func (d *decoder) candidate(candidate gjson.Result, a *openai.Answer) error {
	index := int(candidate.Get("index").Int())
	if index < 0 || index >= maxChoices {
		return openai.UpstreamBroken("Try again: the provider's answer has a candidate out of range.")
	}
	for len(d.choices) <= index {
		d.choices = append(d.choices, choice{})
	}
	said := &d.choices[index]
	reason := candidate.Get("finishReason").Str
	said.broken = said.broken || brokenCall(reason)

	var err error
	candidate.Get("content.parts").ForEach(func(_, part gjson.Result) bool {
		err = d.part(index, said, part, a)
		return err == nil
	})
	if err != nil {
		return err
	}
	a.Logprobs(index, logprobs(candidate.Get("logprobsResult")))
	if brokenCall(reason) && (said.calls || !said.text) {
		// Clients run what calls they have got unless the answer fails.
		return openai.UpstreamBroken(sentences("Try again: the model called a function in a way that makes no sense ("+reason+").", candidate.Get("finishMessage").Str))
	}
	if reason != "" {
		a.FinishLast(index, finishReason(reason))
	}
	return nil
}

// part says one part of a candidate's content. Kinds that OpenAI has no place for are left out.
func (d *decoder) part(index int, said *choice, part gjson.Result, a *openai.Answer) error {
	if function := part.Get("functionCall"); function.IsObject() {
		if said.broken {
			return nil
		}
		said.calls = true
		return d.call(index, function, part.Get("thoughtSignature").Str, a)
	}
	text := part.Get("text").Str
	if part.Get("thought").Type == gjson.True {
		a.Reasoning(index, text)
		return nil
	}
	said.text = said.text || text != ""
	a.Text(index, text)
	if signature := part.Get("thoughtSignature").Str; signature != "" {
		a.Extra(index, extraContent(signature))
	}
	return nil
}

func (d *decoder) call(index int, function gjson.Result, signature string, a *openai.Answer) error {
	call := openai.ToolCall{ID: function.Get("id").Str, Name: function.Get("name").Str}
	if call.Name == "" {
		return openai.UpstreamBroken("Try again: the model called a function without naming it.")
	}
	if call.ID == "" || d.ids[call.ID] {
		call.ID = openai.NewCallID()
	}
	if d.ids == nil {
		d.ids = map[string]bool{}
	}
	d.ids[call.ID] = true
	if args := function.Get("args"); args.IsObject() {
		call.Arguments = openai.Compact(args.Raw)
	}
	if signature != "" {
		call.Extra = extraContent(signature)
		d.remember(call.ID, signature)
	}
	a.ToolCall(index, call)
	return nil
}

// extraContent is where Google's own OpenAI dialect has a thought signature.
func extraContent(signature string) []byte {
	b := openai.AppendString([]byte(`{"google":{"thought_signature":`), signature)
	return append(b, "}}"...)
}

// sentences is ours, and Google's if there is one.
func sentences(ours, googles string) string {
	if googles == "" {
		return ours
	}
	return ours + " " + googles
}

// brokenCall reports whether a candidate ended because of a call that must not be run.
func brokenCall(reason string) bool {
	switch reason {
	case "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS":
		return true
	}
	return false
}

// finishReason is OpenAI's word for Gemini's. Unknown ones are as good as STOP.
func finishReason(reason string) string {
	switch reason {
	case "MAX_TOKENS", "CONTINUATION":
		return openai.FinishLength
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
		return openai.FinishContentFilter
	}
	return openai.FinishStop
}

// decodeUsage notes the token counts, which every frame may have, for all that came so far.
// Gemini counts thoughts apart from the answer; OpenAI counts them in.
func decodeUsage(usage gjson.Result, a *openai.Answer) {
	if usage.IsObject() {
		a.Usage(ParseUsage(usage))
	}
}

// ParseUsage reads Gemini's usageMetadata
// (https://ai.google.dev/api/generate-content#UsageMetadata).
func ParseUsage(usage gjson.Result) openai.Usage {
	thoughts := usage.Get("thoughtsTokenCount").Int()
	return openai.Usage{
		Prompt:     usage.Get("promptTokenCount").Int() + usage.Get("toolUsePromptTokenCount").Int(),
		Completion: usage.Get("candidatesTokenCount").Int() + thoughts,
		Total:      usage.Get("totalTokenCount").Int(),
		Cached:     usage.Get("cachedContentTokenCount").Int(),
		Reasoning:  thoughts,
	}
}

func logprobs(result gjson.Result) []openai.TokenLogprob {
	var tokens []openai.TokenLogprob
	top := result.Get("topCandidates").Array()
	for i, chosen := range result.Get("chosenCandidates").Array() {
		token := tokenLogprob(chosen)
		if i < len(top) {
			for _, other := range top[i].Get("candidates").Array() {
				token.Top = append(token.Top, tokenLogprob(other))
			}
		}
		tokens = append(tokens, token)
	}
	return tokens
}

func tokenLogprob(t gjson.Result) openai.TokenLogprob {
	return openai.TokenLogprob{Token: t.Get("token").Str, Logprob: t.Get("logProbability").Float()}
}
