package openai

import "strconv"

// attached is what stands beside a message's text, as the elements of JSON arrays.
type attached struct{ annotations, images []byte }

// URLCitation is a web page that a passage of a choice's text stands on.
type URLCitation struct {
	// Start and End are where the passage begins and ends in the text, in Unicode characters.
	Start, End int

	URL, Title string
}

// Annotations adds sources of a choice's text, as OpenAI's search models have them
// (https://platform.openai.com/docs/guides/tools-web-search). Text completions have no place for them.
func (a *Answer) Annotations(index int, citations []URLCitation) {
	if len(citations) == 0 {
		return
	}
	var b []byte
	for i, c := range citations {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"type":"url_citation","url_citation":{"start_index":`...)
		b = strconv.AppendInt(b, int64(c.Start), 10)
		b = strconv.AppendInt(append(b, `,"end_index":`...), int64(c.End), 10)
		b = AppendString(append(b, `,"url":`...), c.URL)
		b = AppendString(append(b, `,"title":`...), c.Title)
		b = append(b, "}}"...)
	}
	c := a.choice(index)
	a.attach(index, c, &c.attached.annotations, "annotations", b)
}

// Image adds an image by its URL, which may hold its data. OpenAI's chats have no place for it; `images` is OpenRouter's
// (https://openrouter.ai/docs/features/multimodal/image-generation). Text completions have no place for it at all.
func (a *Answer) Image(index int, url string) {
	b := AppendString([]byte(`{"type":"image_url","image_url":{"url":`), url)
	c := a.choice(index)
	a.attach(index, c, &c.attached.images, "images", append(b, "}}"...))
}

// attach adds elements to one of a message's lists.
func (a *Answer) attach(index int, c *choice, list *[]byte, name string, elements []byte) {
	if a.form.Completion || c.finish != "" {
		return
	}
	if !a.form.Stream {
		if len(*list) > 0 {
			*list = append(*list, ',')
		}
		*list = append(*list, elements...)
		return
	}
	a.begin(index, c)
	b := append(append(a.delta(index), '"'), name...)
	a.endDelta(append(append(append(b, `":[`...), elements...), ']'), "")
}

// append appends the lists to the members of a message.
func (l *attached) append(b []byte) []byte {
	if len(l.annotations) > 0 {
		b = append(append(append(b, `,"annotations":[`...), l.annotations...), ']')
	}
	if len(l.images) > 0 {
		b = append(append(append(b, `,"images":[`...), l.images...), ']')
	}
	return b
}
