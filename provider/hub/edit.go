package hub

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// SetModel replaces the client's model in r.Body with model. It writes at the place where ParseRequest read
// the model, so the value that was checked is the value that is replaced. It edits r.Body in place if model
// is not longer than the old value. If the body does not name the model, because the URL does, SetModel does
// nothing.
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

// LimitStop leaves the first n stop words in r.Body and returns the others, which this server must apply.
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

// AskForUsage makes a streaming request ask for token counts if r.AskUsage is set and the client did not ask
// itself. The counts are then left out of the answer.
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

// FlattenText turns message contents that are arrays of text parts into strings, for models that do not
// accept arrays.
func (r *Request) FlattenText() {
	raw := r.Body[r.messages.start:r.messages.end]
	if !arrayContent.Match(raw) { // most requests end here, without a copy
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

// textAlone returns the text of a content that is an array of text parts only.
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

// replacement is a new value for a place in a body.
type replacement struct {
	at   span
	with []byte
}

// replace applies all to a copy of r.Body. They must be in the order of their places.
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
	for i := len(all) - 1; i >= 0; i-- { // from the end, so that no shift moves a place that is still to come
		r.shift(all[i].at, len(all[i].with))
	}
}

// shift updates the spans after the value at a place got another length.
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

// Remove takes the member of that name out of r.Body, and leaves the rest as it is. It edits in place. More than
// one such member is refused.
func (r *Request) Remove(name string) error {
	if !r.numbered && !bytes.Contains(r.Body, []byte(name)) {
		return nil
	}
	var found span
	end := 0 // of the member before
	_, err := jsontext.ScanObject(r.Body, func(m jsontext.Member) error {
		if string(unquote(r.Body[m.NameStart:m.NameEnd])) == name {
			if found != (span{}) {
				return BadRequest(name, "Send `"+name+"` once: the request body has more than one.")
			}
			found = r.withComma(m, end)
		}
		end = m.ValueEnd
		return nil
	})
	if err != nil || found == (span{}) {
		return err
	}
	r.Body = append(r.Body[:found.start], r.Body[found.end:]...)
	r.shift(found, 0)
	return nil
}

// withComma is where a member stands with a comma beside it: that before it, unless it is the first. before is where
// the member before it ends.
func (r *Request) withComma(m jsontext.Member, before int) span {
	if before > 0 {
		return span{before, m.ValueEnd}
	}
	rest := bytes.TrimLeft(r.Body[m.ValueEnd:], " \t\r\n")
	end := len(r.Body) - len(rest)
	if rest[0] != ',' {
		return span{m.NameStart, m.ValueEnd}
	}
	return span{m.NameStart, end + 1}
}
