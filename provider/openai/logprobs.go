package openai

import (
	"math"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// appendLogprobs appends a chunk with nothing but log probabilities.
func (w *chatWriter) appendLogprobs(b []byte, e hub.Event) []byte {
	b = append(w.appendStart(b), `{"index":`...)
	b = strconv.AppendInt(b, int64(e.Choice), 10)
	b = append(b, `,"delta":{},"logprobs":{"content":[`...)
	b = appendTokens(b, e.Logprobs)
	return endChunk(append(b, `],"refusal":null},"finish_reason":null`...), w.form.Usage)
}

// appendChoiceLogprobs appends the log probabilities of a whole answer.
func appendChoiceLogprobs(b []byte, tokens []hub.TokenLogprob) []byte {
	if len(tokens) == 0 {
		return append(b, `,"logprobs":null`...)
	}
	b = appendTokens(append(b, `,"logprobs":{"content":[`...), tokens)
	return append(b, `],"refusal":null}`...)
}

// appendTokens appends tokens as JSON, separated by commas.
func appendTokens(b []byte, tokens []hub.TokenLogprob) []byte {
	for i := range tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendToken(b, &tokens[i])
		b = append(b, `,"top_logprobs":[`...)
		for j := range tokens[i].Top {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(appendToken(b, &tokens[i].Top[j]), '}')
		}
		b = append(b, "]}"...)
	}
	return b
}

// appendToken appends the members of both a token and one of those in its place, and leaves the object
// open.
func appendToken(b []byte, t *hub.TokenLogprob) []byte {
	b = jsontext.AppendString(append(b, `{"token":`...), t.Token)
	logprob := t.Logprob
	if math.IsInf(logprob, 0) || math.IsNaN(logprob) {
		logprob = -9999 // how OpenAI writes what JSON has no number for
	}
	b = strconv.AppendFloat(append(b, `,"logprob":`...), logprob, 'g', -1, 64)
	b = append(b, `,"bytes":`...)
	if t.Bytes == "" {
		return append(b, "null"...)
	}
	return append(b, t.Bytes...)
}

// decodeLogprobs reads the log probabilities of a choice.
func decodeLogprobs(index int, content gjson.Result, a *hub.Answer) {
	if !content.IsArray() {
		return
	}
	var tokens []hub.TokenLogprob
	content.ForEach(func(_, t gjson.Result) bool {
		token := decodeToken(t)
		t.Get("top_logprobs").ForEach(func(_, top gjson.Result) bool {
			token.Top = append(token.Top, decodeToken(top))
			return true
		})
		tokens = append(tokens, token)
		return true
	})
	a.Logprobs(index, tokens)
}

func decodeToken(t gjson.Result) hub.TokenLogprob {
	token := hub.TokenLogprob{Token: t.Get("token").Str, Logprob: t.Get("logprob").Float()}
	if bytes := t.Get("bytes"); bytes.IsArray() {
		token.Bytes = jsontext.Compact(bytes.Raw)
	}
	return token
}
