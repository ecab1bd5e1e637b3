package hub

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// SetModel puts model in the place of the client's in r.Body. It writes where ParseRequest read,
// so that what was checked is what is replaced, and in place where model is no longer than what
// it replaces. Where the URL names the model and not the body, it does nothing.
func (r *Request) SetModel(model string) {
	if r.model == (span{}) {
		return
	}
	quoted := jsontext.AppendString(make([]byte, 0, len(model)+2), model)
	at := r.model
	if at.start+len(quoted) > at.end {
		r.replace([]replacement{{at, quoted}})
		return
	}
	copy(r.Body[at.start:], quoted)
	end := at.start + len(quoted)
	r.Body = r.Body[:end+copy(r.Body[end:], r.Body[at.end:])]
	r.shift(at, len(quoted))
}

// LimitStop leaves the first n stop words in r.Body and returns the others, which are left to us.
func (r *Request) LimitStop(n int) (rest []string, err error) {
	stop, err := r.StopWords()
	if err != nil {
		return nil, err
	}
	if sent := gjson.ParseBytes(r.Body[r.stop.start:r.stop.end]); !sent.IsArray() || len(sent.Array()) <= n {
		return nil, nil
	}
	kept := stop[:min(len(stop), n)]
	r.replace([]replacement{{r.stop, jsontext.AppendStrings(nil, kept)}})
	return stop[len(kept):], nil
}

// includeUsage asks for the token counts of a stream
// (https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options).
const includeUsage = `{"include_usage":true}`

// AskForUsage has r.Body ask for the token counts, where r.AskUsage wants them of a stream whose
// client did not. They are taken out of the answer again.
func (r *Request) AskForUsage() {
	if !r.AskUsage || !r.Stream || r.IncludeUsage {
		return
	}
	r.asked = true
	if r.options == (span{}) {
		end := bytes.LastIndexByte(r.Body, '}')
		r.replace([]replacement{{span{end, end}, []byte(`,"stream_options":` + includeUsage)}})
		return
	}
	options := r.Body[r.options.start:r.options.end]
	if options[0] != '{' {
		options = []byte(`{}`)
	}
	r.replace([]replacement{{r.options, jsontext.Merge(options, []byte(includeUsage))}})
}

// FlattenText makes the contents of messages that are arrays of text alone into strings, for
// models that know of no arrays.
func (r *Request) FlattenText() {
	raw := r.Body[r.messages.start:r.messages.end]
	if !arrayContent.Match(raw) { // which spares most requests a copy
		return
	}
	var all []replacement
	reader := jsontext.NewRereader(raw)
	reader.Array(func() {
		reader.Object(func(name []byte) {
			if string(name) != "content" {
				return
			}
			content := reader.Raw()
			if text, ok := textAlone(content); ok {
				start := r.messages.start + cap(raw) - cap(content) // of a part of raw
				all = append(all, replacement{span{start, start + len(content)}, jsontext.AppendString(nil, text)})
			}
		})
	})
	r.replace(all)
}

var arrayContent = regexp.MustCompile(`"content"[ \t\r\n]*:[ \t\r\n]*\[`)

// textAlone returns the text of a content that is an array with nothing but text in it.
func textAlone(content []byte) (text string, ok bool) {
	if len(content) == 0 || content[0] != '[' {
		return "", false
	}
	var all strings.Builder
	gjson.ParseBytes(content).ForEach(func(_, part gjson.Result) bool {
		value := part.Get("text")
		ok = part.Get("type").Str == "text" && value.Type == gjson.String
		all.WriteString(value.Str)
		return ok
	})
	return all.String(), ok
}

// replacement is what is to stand in the place of a value.
type replacement struct {
	at   span
	with []byte
}

// replace replaces values, which must stand in their order, in a copy of r.Body.
func (r *Request) replace(all []replacement) {
	if len(all) == 0 {
		return
	}
	size := len(r.Body)
	for _, one := range all {
		size += len(one.with)
	}
	body := make([]byte, 0, size)
	from := 0
	for _, one := range all {
		body = append(append(body, r.Body[from:one.at.start]...), one.with...)
		from = one.at.end
	}
	r.Body = append(body, r.Body[from:]...)
	for i := len(all) - 1; i >= 0; i-- { // from the end, so that none moves those to come
		r.shift(all[i].at, len(all[i].with))
	}
}

// shift moves the spans to where they are once the value at a place has another length.
func (r *Request) shift(at span, length int) {
	by := length - (at.end - at.start)
	for _, s := range []*span{&r.model, &r.stop, &r.messages, &r.options, &r.limit, &r.effort} {
		if s.start > at.start {
			s.start += by
		}
		if s.end >= at.end && s.end > at.start {
			s.end += by
		}
	}
}
