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
	frame    frame
}

// choice is what a candidate has said so far.
type choice struct{ text, calls, broken bool }

var (
	errUnreadable = openai.UpstreamBroken("Try again: the provider's answer is not valid JSON.")
	errOutOfRange = openai.UpstreamBroken("Try again: the provider's answer has a candidate out of range.")
)

// decode says what one frame of a stream says, or the whole answer.
func (d *decoder) decode(message []byte, a *openai.Answer) error {
	f := &d.frame
	if !f.read(message) {
		return errUnreadable
	}
	if f.counts {
		a.Usage(f.usage)
	}
	if f.reports {
		if e := openai.Reported(gjson.ParseBytes(message)); e != nil {
			return e
		}
	}
	a.SetID(f.id)
	for i := range f.candidates {
		if err := d.candidate(&f.candidates[i], a); err != nil {
			return err
		}
	}
	if len(f.candidates) > maxChoices {
		return errOutOfRange
	}
	if len(f.feedback) > 0 {
		d.feedback(gjson.ParseBytes(f.feedback), a)
	}
	return nil
}

// feedback says what Google's filters think of the prompt.
func (d *decoder) feedback(feedback gjson.Result, a *openai.Answer) {
	reason := feedback.Get("blockReason").Str
	switch {
	case reason == "":
	case d.answered:
		for index := range d.choices {
			a.FinishLast(index, openai.FinishContentFilter)
		}
	default:
		d.answered = true
		a.Refusal(0, sentences("Rephrase the request: Google's filters blocked it ("+reason+").", feedback.Get("blockReasonMessage").Str))
		a.Finish(0, openai.FinishContentFilter)
	}
}

func (d *decoder) candidate(c *candidate, a *openai.Answer) error {
	if !c.object {
		return errUnreadable
	}
	d.answered = true
	if c.index < 0 || c.index >= maxChoices {
		return errOutOfRange
	}
	for len(d.choices) <= c.index {
		d.choices = append(d.choices, choice{})
	}
	said := &d.choices[c.index]
	said.broken = said.broken || brokenCall(c.reason)

	for i := range c.parts {
		if err := d.part(c.index, said, &c.parts[i], a); err != nil {
			return err
		}
	}
	a.Logprobs(c.index, logprobs(c.logprobs))
	if brokenCall(c.reason) && (said.calls || !said.text) {
		// Clients run what calls they have got unless the answer fails.
		return openai.UpstreamBroken(sentences("Try again: the model called a function in a way that makes no sense ("+c.reason+").", c.message))
	}
	if c.reason != "" {
		a.FinishLast(c.index, finishReason(c.reason))
	}
	return nil
}

// part says one part of a candidate's content. Kinds that OpenAI has no place for are left out.
func (d *decoder) part(index int, said *choice, part *piece, a *openai.Answer) error {
	switch {
	case len(part.function) > 0 && part.function[0] == '{':
		if said.broken {
			return nil
		}
		said.calls = true
		return d.call(index, gjson.ParseBytes(part.function), part.signature, a)
	case part.thought:
		a.Reasoning(index, part.text)
		return nil
	}
	said.text = said.text || part.text != ""
	a.Text(index, part.text)
	if part.signature != "" {
		a.Extra(index, extraContent(part.signature))
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

func logprobs(raw []byte) []openai.TokenLogprob {
	if len(raw) == 0 {
		return nil
	}
	var tokens []openai.TokenLogprob
	result := gjson.ParseBytes(raw)
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
