package openai

import (
	"math"
	"strconv"

	"github.com/tidwall/gjson"
)

// TokenLogprob is how likely a token was, as the natural logarithm of its probability, and the
// most likely tokens in its place.
type TokenLogprob struct {
	Token   string
	Logprob float64
	Bytes   string // a JSON array; empty means null
	Top     []TokenLogprob
}

// Logprobs adds the log probabilities of a choice's next tokens. Text completions have another
// form of them, which is not served.
func (a *Answer) Logprobs(index int, tokens []TokenLogprob) {
	c := a.choice(index)
	if len(tokens) == 0 || a.form.Completion || c.finish != "" {
		return
	}
	if !a.form.Stream {
		if len(c.logprobs) > 0 {
			c.logprobs = append(c.logprobs, ',')
		}
		c.logprobs = appendTokens(c.logprobs, tokens)
		return
	}
	a.begin(index, c)
	b := append(a.start(), `{"index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, `,"delta":{},"logprobs":{"content":[`...)
	b = appendTokens(b, tokens)
	a.buf = a.endChunk(append(b, `],"refusal":null},"finish_reason":null`...))
}

func (c *choice) appendLogprobs(b []byte) []byte {
	if len(c.logprobs) == 0 {
		return append(b, `,"logprobs":null`...)
	}
	b = append(b, `,"logprobs":{"content":[`...)
	b = append(b, c.logprobs...)
	return append(b, `],"refusal":null}`...)
}

// appendTokens appends tokens as JSON, separated by commas.
func appendTokens(b []byte, tokens []TokenLogprob) []byte {
	for i, token := range tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = token.append(b)
		b = append(b, `,"top_logprobs":[`...)
		for i, top := range token.Top {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(top.append(b), '}')
		}
		b = append(b, "]}"...)
	}
	return b
}

// append appends the members of both a token and one of those in its place, and leaves the object
// open.
func (t *TokenLogprob) append(b []byte) []byte {
	b = append(b, `{"token":`...)
	b = AppendString(b, t.Token)
	b = append(b, `,"logprob":`...)
	logprob := t.Logprob
	if math.IsInf(logprob, 0) || math.IsNaN(logprob) {
		logprob = -9999 // how OpenAI writes what JSON has no number for
	}
	b = strconv.AppendFloat(b, logprob, 'g', -1, 64)
	b = append(b, `,"bytes":`...)
	if t.Bytes == "" {
		return append(b, "null"...)
	}
	return append(b, t.Bytes...)
}

// decodeLogprobs reads the log probabilities of a choice in OpenAI's form.
func decodeLogprobs(index int, content gjson.Result, a *Answer) {
	if !content.IsArray() {
		return
	}
	var tokens []TokenLogprob
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

func decodeToken(t gjson.Result) TokenLogprob {
	token := TokenLogprob{Token: t.Get("token").Str, Logprob: t.Get("logprob").Float()}
	if bytes := t.Get("bytes"); bytes.IsArray() {
		token.Bytes = Compact(bytes.Raw)
	}
	return token
}
