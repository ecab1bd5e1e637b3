package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// TestHalfACharacterInAPiece waits for the other half, whatever it is a piece of.
func TestHalfACharacterInAPiece(t *testing.T) {
	for name, test := range map[string]struct {
		pieces []string // JSON strings
		want   string
	}{
		"a pair in two pieces":           {[]string{`"ok \ud83d"`, `"\ude00!"`}, "ok 😀!"},
		"a pair with nothing between":    {[]string{`"\ud83d"`, `""`, `"\ude00"`}, "😀"},
		"two pairs":                      {[]string{`"\ud83d"`, `"\ude00\ud83d"`, `"\ude01"`}, "😀😁"},
		"a half that stays one":          {[]string{`"a\ud83d"`, `"b"`}, "a\ufffdb"},
		"a half at the end":              {[]string{`"a\ud83d"`}, "a\ufffd"},
		"the second half alone":          {[]string{`"a"`, `"\ude00b"`}, "a\ufffdb"},
		"two first halves":               {[]string{`"\ud83d"`, `"\ud83d\ude00"`}, "\ufffd😀"},
		"a half within a piece":          {[]string{`"a\ud83db"`}, "a\ufffdb"},
		"bytes of one":                   {[]string{"\"ok \xf0\x9f\"", "\"\x98\x80!\""}, "ok 😀!"},
		"bytes of one, three pieces":     {[]string{"\"\xf0\"", "\"\x9f\x98\"", "\"\x80\""}, "😀"},
		"bytes of one that never end":    {[]string{"\"a\xf0\x9f\""}, "a\ufffd\ufffd"},
		"a pair in one piece":            {[]string{`"\ud83d\ude00"`, `"é"`}, "😀é"},
		"what is no character, unbroken": {[]string{"\"\xff\"", `"a"`}, "\ufffda"},
	} {
		for member, path := range map[string]string{
			`"content":%s`:           "content",
			`"reasoning_content":%s`: "reasoning_content",
			`"refusal":%s`:           "refusal",
			`"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":%s}}]`: "tool_calls.0.function.arguments",
		} {
			t.Run(name+", of "+path, func(t *testing.T) {
				var stream strings.Builder
				for _, piece := range test.pieces {
					fmt.Fprintf(&stream, `data: {"id":"1","choices":[{"index":0,"delta":{`+member+"}}]}\n\n", piece)
				}
				stream.WriteString("data: [DONE]\n\n")
				got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m", Stop: []string{"</code>"}}, true, stream.String())
				if err != nil {
					t.Fatal(err)
				}
				all := ""
				for line := range strings.Lines(got) {
					all += gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.delta."+path).Str
				}
				if all != test.want {
					t.Errorf("the stream says %q, want %q, in\n%s", all, test.want, got)
				}
				object, err := translated(t, hub.Form{Format: Format{}, Model: "p/m"}, true, stream.String())
				if said := gjson.Get(object, "choices.0.message."+path).Str; err != nil || said != test.want {
					t.Errorf("the object says %q, error %v", said, err)
				}
			})
		}
	}
}

// FuzzHalf: text that is cut anywhere, also within a character, comes out as it was.
func FuzzHalf(f *testing.F) {
	f.Add("ok 😀!é", uint8(4), true)
	f.Add("a\u2028\U0010ffff", uint8(2), false)
	f.Fuzz(func(t *testing.T, text string, at uint8, escaped bool) {
		text = string([]rune(text))
		var first, second []byte
		if escaped { // cut between the code units of UTF-16
			units := utf16.Encode([]rune(text))
			n := min(int(at), len(units))
			first, second = escapedUnits(units[:n]), escapedUnits(units[n:])
		} else {
			n := min(int(at), len(text))
			first, second = quotedBytes(text[:n]), quotedBytes(text[n:])
		}
		var out bytes.Buffer
		a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Model: "m"})
		for _, piece := range [][]byte{first, second} {
			r := jsontext.NewReader(piece)
			a.Text(0, r.String())
		}
		a.End()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		var read struct {
			Choices []struct{ Message struct{ Content string } }
		}
		if err := json.Unmarshal(out.Bytes(), &read); err != nil || read.Choices[0].Message.Content != text {
			t.Fatalf("%q, cut at %d, became %q (%v)", text, at, read.Choices[0].Message.Content, err)
		}
	})
}

func escapedUnits(units []uint16) []byte {
	b := []byte{'"'}
	for _, unit := range units {
		b = fmt.Appendf(b, `\u%04x`, unit)
	}
	return append(b, '"')
}

// quotedBytes is a JSON string that may end within a character.
func quotedBytes(s string) []byte {
	b := []byte{'"'}
	for _, c := range []byte(s) {
		if c < ' ' || c == '"' || c == '\\' {
			b = fmt.Appendf(b, `\u%04x`, c)
		} else {
			b = append(b, c)
		}
	}
	return append(b, '"')
}
