package googleaistudio

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// search answers a chat that asks for a search, as a stream or as an object.
func search(t *testing.T, stream bool, frames ...string) (text, sources string) {
	t.Helper()
	members := `"messages":[{"role":"user","content":"x"}],"web_search_options":{}`
	if stream {
		members += `,"stream":true`
	}
	call, err := Provider{}.Call(parse(t, hub.Chat, "gemini-2.5-flash", members))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	translator := call.Translate(&out, true)
	for _, frame := range frames {
		if _, err := translator.Write([]byte("data: " + frame + "\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	at := "choices.0.message"
	if stream {
		at = "choices.0.delta"
	}
	var said []string
	for line := range strings.Lines(out.String()) {
		message := gjson.Get(strings.TrimPrefix(line, "data: "), at)
		text += message.Get("content").Str
		message.Get("annotations").ForEach(func(_, a gjson.Result) bool {
			c := a.Get("url_citation")
			said = append(said, fmt.Sprintf("%d-%d %s %s", c.Get("start_index").Int(), c.Get("end_index").Int(), c.Get("url").Str, c.Get("title").Str))
			return true
		})
	}
	return text, strings.Join(said, ", ")
}

func TestTheSourcesOfASearchBecomeAnnotations(t *testing.T) {
	frame := func(text, rest string) string {
		return `{"candidates":[{"content":{"parts":[{"text":"` + text + `"}]}` + rest + `}]}`
	}
	grounding := func(chunks, supports string) string {
		return `,"groundingMetadata":{"webSearchQueries":["q"],"groundingChunks":[` + chunks + `],"groundingSupports":[` + supports + `]}`
	}
	support := func(start, end int, text, chunks string) string {
		return fmt.Sprintf(`{"segment":{"startIndex":%d,"endIndex":%d,"text":"%s"},"groundingChunkIndices":[%s]}`, start, end, text, chunks)
	}
	const (
		a, b = `{"web":{"uri":"https://a","title":"A"}}`, `{"web":{"uri":"https://b","title":"B"}}`
		stop = `,"finishReason":"STOP"`
	)
	for name, test := range map[string]struct {
		frames []string
		want   string
	}{
		"of one frame":                         {[]string{frame("One. Two.", stop+grounding(a+","+b, support(0, 4, "One.", "0")+","+support(5, 9, "Two.", "0,1")))}, "0-4 https://a A, 5-9 https://a A, 5-9 https://b B"},
		"counted in characters, not in bytes":  {[]string{frame("Zürich ist schön. 😀 Ja.", stop+grounding(a, support(24, 27, "Ja.", "0")))}, "20-23 https://a A"},
		"with a missing start":                 {[]string{frame("One.", stop+grounding(a, `{"segment":{"endIndex":4},"groundingChunkIndices":[0]}`))}, "0-4 https://a A"},
		"after the text":                       {[]string{frame("On", ""), frame("e. Two.", ""), `{"candidates":[{` + (stop + grounding(a, support(5, 9, "Two.", "0")))[1:] + `}]}`}, "5-9 https://a A"},
		"after the finish reason":              {[]string{frame("One.", stop), `{"candidates":[{` + grounding(a, support(0, 4, "One.", "0"))[1:] + `}]}`}, "0-4 https://a A"},
		"of a part":                            {[]string{`{"candidates":[{"content":{"parts":[{"text":"One. "},{"text":"Two."}]}` + stop + grounding(a, `{"segment":{"partIndex":1,"endIndex":4,"text":"Two."},"groundingChunkIndices":[0]}`) + `}]}`}, "5-9 https://a A"},
		"in frames with only new sources":      {[]string{frame("One.", grounding(a, support(0, 4, "One.", "0"))), frame(" Two.", stop+grounding(b, support(5, 9, "Two.", "1")))}, "0-4 https://a A, 5-9 https://b B"},
		"in frames with all sources again":     {[]string{frame("One.", grounding(a, support(0, 4, "One.", "0"))), frame(" Two.", stop+grounding(a+","+b, support(0, 4, "One.", "0")+","+support(5, 9, "Two.", "1")))}, "0-4 https://a A, 5-9 https://b B"},
		"without a passage":                    {[]string{frame("é.", grounding(a, "")), frame("", stop)}, "2-2 https://a A"},
		"of maps and of documents":             {[]string{frame("One.", stop+grounding(`{"maps":{"uri":"https://m","title":"M"}},{"retrievedContext":{"uri":"https://d","title":"D"}}`, support(0, 4, "One.", "0,1")))}, "0-4 https://m M, 0-4 https://d D"},
		"without an address":                   {[]string{frame("One.", stop+grounding(`{"image":{}},{}`, support(0, 4, "One.", "0,1")))}, ""},
		"out of range":                         {[]string{frame("One.", stop+grounding(a, support(90, 99, "Nine.", "0,1,-1")+","+support(3, 1, "", "0")))}, "4-4 https://a A, 3-3 https://a A"},
		"for a text that is not in the answer": {[]string{frame("One.", stop+grounding(a, support(0, 3, "Un", "0")))}, "0-3 https://a A"},
		"none":                                 {[]string{frame("One.", stop+`,"groundingMetadata":{}`)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, stream := range []bool{false, true} {
				if _, got := search(t, stream, test.frames...); got != test.want {
					t.Errorf("stream %v: %s, want %s", stream, got, test.want)
				}
			}
		})
	}
}

// An operator may add the search to the body. Then the text is not kept, so the passages are not known.
func TestSourcesAreReportedWithoutBeingAskedFor(t *testing.T) {
	read := wholeAnswer(t, `{"candidates":[{"content":{"parts":[{"text":"One."}]},"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}}],"groundingSupports":[{"segment":{"endIndex":4,"text":"One."},"groundingChunkIndices":[0]}]}}]}`)
	all := read.Choices[0].Message.Annotations
	if len(all) != 1 || all[0].URLCitation.URL != "https://a" || all[0].URLCitation.EndIndex != 0 {
		t.Errorf("annotations %+v", all)
	}
}

// Image models answer with images, and Gemini may run code.
func TestImagesAndCodeAreTranslated(t *testing.T) {
	for name, test := range map[string]struct{ parts, text, images string }{
		"an image":                        {`{"text":"See:"},{"inlineData":{"mimeType":"image/png","data":"AA+/"}}`, "See:", "data:image/png;base64,AA+/"},
		"only an image, with a signature": {`{"inlineData":{"mimeType":"image/jpeg","data":"AAAA"},"thoughtSignature":"s"}`, "", "data:image/jpeg;base64,AAAA"},
		"two images":                      {`{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"inlineData":{"mimeType":"image/png","data":"BBBB"}}`, "", "data:image/png;base64,AAAA data:image/png;base64,BBBB"},
		"an image in a thought":           {`{"thought":true,"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"text":"Hi"}`, "Hi", ""},
		"code and its output":             {`{"text":"Let me see."},{"executableCode":{"language":"PYTHON","code":"print(1)\n"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1\n"}},{"text":"One."}`, "Let me see.\n```python\nprint(1)\n```\n\n```\n1\n```\nOne.", ""},
		"code that failed":                {`{"codeExecutionResult":{"outcome":"OUTCOME_FAILED","output":"NameError"}}`, "\n```\nOUTCOME_FAILED\nNameError\n```\n", ""},
		"code without a language":         {`{"executableCode":{"language":"LANGUAGE_UNSPECIFIED","code":"x"}}`, "\n```\nx\n```\n", ""},
		"code with fences in it":          {"{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"s = '````'\"}}", "\n`````python\ns = '````'\n`````\n", ""},
		"members of wrong types":          {`{"inlineData":1,"text":"a"},{"executableCode":null,"codeExecutionResult":[],"text":"b"}`, "ab", ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"candidates":[{"content":{"parts":[` + test.parts + `]},"finishReason":"STOP"}]}`
			for _, form := range []hub.Form{whole, streamed} {
				got, err := answer(t, form, form.Stream, map[bool]string{true: frames(body), false: body}[form.Stream])
				if err != nil {
					t.Fatal(err)
				}
				var text string
				var images []string
				for line := range strings.Lines(got) {
					choice := gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0")
					for _, of := range []gjson.Result{choice.Get("message"), choice.Get("delta")} {
						text += of.Get("content").Str
						of.Get("images.#.image_url.url").ForEach(func(_, url gjson.Result) bool {
							images = append(images, url.Str)
							return true
						})
					}
				}
				if text != test.text || strings.Join(images, " ") != test.images {
					t.Errorf("stream %v: text %q and images %v", form.Stream, text, images)
				}
			}
		})
	}
}

func TestATextCompletionRefusesAnImage(t *testing.T) {
	got, err := answer(t, hub.Form{Format: openai.Format{}, TextOnly: true}, false, `{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},"finishReason":"STOP"}]}`)
	if err == nil || got != "" || !strings.Contains(err.Error(), "image/png") {
		t.Errorf("error %v, answer %s", err, got)
	}
}
