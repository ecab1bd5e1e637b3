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
	var candidates, usage, feedback gjson.Result
	m.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "responseId":
			a.SetID(value.Str)
		case "candidates":
			candidates = value
		case "usageMetadata":
			usage = value
		case "promptFeedback":
			feedback = value
		}
		return true
	})
	if err := d.candidates(candidates, a); err != nil {
		return err
	}
	decodeUsage(usage, a)
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
	var index int
	var reason, message string
	var parts, probabilities gjson.Result
	candidate.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "index":
			index = int(value.Int())
		case "finishReason":
			reason = value.Str
		case "finishMessage":
			message = value.Str
		case "content":
			parts = value.Get("parts")
		case "logprobsResult":
			probabilities = value
		}
		return true
	})
	if index < 0 || index >= maxChoices {
		return openai.UpstreamBroken("Try again: the provider's answer has a candidate out of range.")
	}
	for len(d.choices) <= index {
		d.choices = append(d.choices, choice{})
	}
	said := &d.choices[index]
	said.broken = said.broken || brokenCall(reason)

	var err error
	parts.ForEach(func(_, part gjson.Result) bool {
		err = d.part(index, said, part, a)
		return err == nil
	})
	if err != nil {
		return err
	}
	a.Logprobs(index, logprobs(probabilities))
	if brokenCall(reason) && (said.calls || !said.text) {
		// Clients run what calls they have got unless the answer fails.
		return openai.UpstreamBroken(sentences("Try again: the model called a function in a way that makes no sense ("+reason+").", message))
	}
	if reason != "" {
		a.FinishLast(index, finishReason(reason))
	}
	return nil
}

// part says one part of a candidate's content. Kinds that OpenAI has no place for are left out.
func (d *decoder) part(index int, said *choice, part gjson.Result, a *openai.Answer) error {
	var text, signature string
	var thought bool
	var function gjson.Result
	part.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "text":
			text = value.Str
		case "thought":
			thought = value.Type == gjson.True
		case "thoughtSignature":
			signature = value.Str
		case "functionCall":
			function = value
		}
		return true
	})
	switch {
	case function.IsObject():
		if said.broken {
			return nil
		}
		said.calls = true
		return d.call(index, function, signature, a)
	case thought:
		a.Reasoning(index, text)
		return nil
	}
	said.text = said.text || text != ""
	a.Text(index, text)
	if signature != "" {
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
	var u openai.Usage
	usage.ForEach(func(name, count gjson.Result) bool {
		switch name.Str {
		case "promptTokenCount", "toolUsePromptTokenCount":
			u.Prompt += count.Int()
		case "candidatesTokenCount":
			u.Completion += count.Int()
		case "thoughtsTokenCount":
			u.Reasoning = count.Int()
			u.Completion += u.Reasoning
		case "totalTokenCount":
			u.Total = count.Int()
		case "cachedContentTokenCount":
			u.Cached = count.Int()
		}
		return true
	})
	return u
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
