package openai

import "strconv"

// object writes the whole answer as one JSON object.
func (a *Answer) object() {
	a.identify()
	b := append(a.buf, `{"id":`...)
	b = AppendString(b, a.id)
	if a.form.Completion {
		b = append(b, `,"object":"text_completion","created":`...)
	} else {
		b = append(b, `,"object":"chat.completion","created":`...)
	}
	b = strconv.AppendInt(b, a.created, 10)
	b = append(b, `,"model":`...)
	b = AppendString(b, a.form.Model)
	b = append(b, `,"choices":[`...)
	for i, c := range a.choices {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		if a.form.Completion {
			b = append(b, `,"text":`...)
			b = AppendString(b, string(c.text))
		} else {
			b = a.appendMessage(append(b, `,"message":`...), c)
		}
		b = c.appendLogprobs(b)
		b = AppendString(append(b, `,"finish_reason":`...), c.finish)
		b = append(b, '}')
	}
	b = append(b, ']')
	if a.usage != nil {
		b = append(b, `,"usage":`...)
		b = a.usage.append(b)
	}
	a.buf = append(b, '}')
}

func (a *Answer) appendMessage(b []byte, c *choice) []byte {
	b = c.appendContent(append(b, `{"role":"assistant",`...))
	if len(c.reasoning) > 0 {
		b = append(b, `,"reasoning_content":`...)
		b = AppendString(b, string(c.reasoning))
	}
	if len(c.extra) > 0 {
		b = append(append(b, `,"extra_content":`...), c.extra...)
	}
	b = c.attached.append(b)
	return append(a.appendCalls(b, c), '}')
}
