package googleaistudio

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// decoder reads Gemini's answer: the frames of a stream, or one object.
type decoder struct {
	remember   func(id, signature string)
	search     bool // whether the client wants the sources
	completion bool // whether the client's format has fields for text only

	answered bool            // whether there has been a candidate
	choices  []choice        // by a candidate's index
	ids      map[string]bool // the ids of calls so far
	frame    frame
}

// choice is the state of a choice.
type choice struct {
	text, calls, broken bool
	sources             sources
}

var (
	errOutOfRange = hub.UpstreamBroken("Try again: the provider's answer has a candidate out of range.")
)

// decode reads one frame of a stream, or the whole answer, and reports it to a.
func (d *decoder) decode(message []byte, a *hub.Answer) error {
	f := &d.frame
	if !f.read(message) {
		return hub.ErrUnreadable
	}
	if f.counts {
		a.Usage(f.usage)
	}
	if f.reports {
		if e := hub.Reported(gjson.ParseBytes(message)); e != nil {
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

// feedback reports that Google's filters have blocked the prompt, if they have.
func (d *decoder) feedback(feedback gjson.Result, a *hub.Answer) {
	reason := feedback.Get("blockReason").Str
	switch {
	case reason == "":
	case d.answered:
		for index := range d.choices {
			a.FinishLast(index, hub.FinishContentFilter)
		}
	default:
		d.answered = true
		a.Refusal(0, sentences("Rephrase the request: Google's filters blocked it ("+reason+").", feedback.Get("blockReasonMessage").Str))
		a.Finish(0, hub.FinishContentFilter)
	}
}

func (d *decoder) candidate(c *candidate, a *hub.Answer) error {
	if !c.object {
		return hub.ErrUnreadable
	}
	d.answered = true
	if c.index < 0 || c.index >= maxChoices {
		return errOutOfRange
	}
	for len(d.choices) <= c.index {
		d.choices = append(d.choices, choice{})
	}
	said := &d.choices[c.index]
	said.broken = said.broken || brokenCall(c.reason) || c.reason == missingSignature

	for i := range c.parts {
		if err := d.part(c.index, said, &c.parts[i], a); err != nil {
			return err
		}
	}
	a.Logprobs(c.index, logprobs(c.logprobs))
	if e := ending(c, said); e != nil {
		return e
	}
	said.sources.read(c.index, c.grounding, c.reason != "", a)
	if c.reason != "" {
		a.FinishLast(c.index, finishReason(c.reason))
	}
	return nil
}

// ending returns the error that a candidate ends with, or nil. Without an error, clients would run the calls
// that they have got, and take the text so far for the whole answer.
func ending(c *candidate, said *choice) error {
	switch {
	case c.reason == missingSignature:
		e := hub.UpstreamBroken(sentences("Begin a new conversation: Gemini misses a thought signature in this one ("+c.reason+").", c.message))
		e.Final = true
		return e
	case brokenCall(c.reason) && (said.calls || !said.text):
		return hub.UpstreamBroken(sentences("Try again: the model made an invalid function call ("+c.reason+").", c.message))
	case !ordinary(c.reason) && !said.calls && !said.text:
		return hub.UpstreamBroken(sentences("Try again: the model ended without an answer ("+c.reason+").", c.message))
	}
	return nil
}

// part reports one part of a candidate's content. OpenAI's format has no field for some kinds. Of these, the
// steps of a search and images in thoughts are dropped, and all others are refused.
func (d *decoder) part(index int, said *choice, part *piece, a *hub.Answer) error {
	switch {
	case part.function != nil:
		if said.broken {
			return nil
		}
		said.calls = true
		return d.call(index, part.function, part.signature, a)
	case part.thought:
		a.Reasoning(index, part.text)
		return nil
	case part.data != nil:
		if d.completion || !strings.HasPrefix(part.data.mime, "image/") {
			return untranslated("a file of the type " + part.data.mime)
		}
		said.text = true
		a.Image(index, "data:"+part.data.mime+";base64,"+part.data.base64)
	case part.code != nil:
		d.text(index, said, part.code.program(), a)
	case part.result != nil:
		d.text(index, said, part.result.output(), a)
	case part.other != "" && !part.plain && part.signature == "":
		return untranslated("a part of the kind " + part.other)
	default:
		d.text(index, said, part.text, a)
	}
	if part.signature != "" {
		a.Extra(index, extraContent(part.signature))
	}
	return nil
}

func (d *decoder) text(index int, said *choice, text string, a *hub.Answer) {
	said.text = said.text || text != ""
	if d.search {
		said.sources.text = append(said.sources.text, text...)
	}
	a.Text(index, text)
}

// untranslated returns the error for an answer with a part that would be lost.
func untranslated(what string) error {
	e := hub.UpstreamBroken("Ask for text: the model's answer has " + what + ", which this endpoint cannot return.")
	e.Final = true
	return e
}

func (d *decoder) call(index int, function *functionCall, signature string, a *hub.Answer) error {
	call := hub.ToolCall{ID: function.id, Name: function.name}
	if call.Name == "" {
		return hub.ErrUnnamedCall
	}
	if call.ID == "" || d.ids[call.ID] {
		call.ID = hub.NewCallID()
	}
	if d.ids == nil {
		d.ids = map[string]bool{}
	}
	d.ids[call.ID] = true
	if kind(function.args) == '{' {
		call.Arguments = jsontext.Compact(string(function.args))
	}
	if signature != "" {
		call.Extra = extraContent(signature)
		d.remember(call.ID, signature)
	}
	a.ToolCall(index, call)
	return nil
}

// extraContent returns the `extra_content` for a thought signature, as in Google's own OpenAI API.
func extraContent(signature string) []byte {
	b := jsontext.AppendString([]byte(`{"google":{"thought_signature":`), signature)
	return append(b, "}}"...)
}

// sentences joins this server's message and Google's, which may be empty.
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

// ordinary reports whether a candidate may be without text and calls at this reason. An empty reason means
// that the candidate goes on.
func ordinary(reason string) bool {
	return reason == "" || reason == "STOP" || finishReason(reason) != hub.FinishStop
}

// missingSignature is the finish reason of a candidate if the conversation lacks a thought signature.
const missingSignature = "MISSING_THOUGHT_SIGNATURE"

// finishReason returns OpenAI's finish reason for Gemini's. Unknown reasons count as STOP.
func finishReason(reason string) string {
	switch reason {
	case "MAX_TOKENS", "CONTINUATION":
		return hub.FinishLength
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
		return hub.FinishContentFilter
	}
	return hub.FinishStop
}

func logprobs(raw []byte) []hub.TokenLogprob {
	if len(raw) == 0 {
		return nil
	}
	var tokens []hub.TokenLogprob
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

func tokenLogprob(t gjson.Result) hub.TokenLogprob {
	return hub.TokenLogprob{Token: t.Get("token").Str, Logprob: t.Get("logProbability").Float()}
}
