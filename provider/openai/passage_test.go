package openai

import (
	"regexp"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// passed sends pieces through a Passage, as far as an error that the provider reports.
func passed(pieces ...string) (came []string, reported, atEnd *hub.Error) {
	p := hub.Passage{Format: Format{}}
	for _, piece := range pieces {
		out, e := p.Pass([]byte(piece))
		if came = append(came, string(out)); e != nil {
			return came, e, nil
		}
	}
	rest, e := p.Close()
	return append(came, string(rest)), nil, e
}

const (
	textChunk   = `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n"
	finishChunk = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
)

func TestAStreamPassesLineByLineAsItComes(t *testing.T) {
	for name, test := range map[string]struct{ piece, passes string }{
		"an event":                     {textChunk, textChunk},
		"an event without blank line":  {textChunk[:len(textChunk)-1], textChunk[:len(textChunk)-1]},
		"half a line":                  {textChunk[:20], ""},
		"an event and half of another": {textChunk + textChunk[:20], textChunk},
		"nothing":                      {"", ""},
	} {
		p := hub.Passage{Format: Format{}}
		if out, e := p.Pass([]byte(test.piece)); string(out) != test.passes || e != nil {
			t.Errorf("%s: %q, error %v", name, out, e)
		}
	}
}

func TestAnErrorThatAProviderReportsWithinAStream(t *testing.T) {
	frame := `data: {"error":{"message":"overloaded","type":"server_error","param":null,"code":"busy"}}` + "\n\n"
	for name, test := range map[string]struct {
		pieces []string
		came   string
	}{
		"after a chunk":                 {[]string{textChunk, frame}, textChunk},
		"in a chunk's piece":            {[]string{textChunk + frame + textChunk}, textChunk},
		"torn":                          {[]string{textChunk, frame[:20], frame[20:], textChunk}, textChunk},
		"with CRLF":                     {[]string{textChunk, strings.ReplaceAll(frame, "\n", "\r\n")}, textChunk},
		"behind its event's name":       {[]string{"event: error\n" + frame}, "event: error\n"},
		"beside null for choices":       {[]string{`data: {"error":{"code":"busy","message":"overloaded"},"choices":null}` + "\n\n"}, ""},
		"Cloudflare's":                  {[]string{textChunk + `data: {"success":false,"errors":[{"code":8001,"message":"overloaded"}]}` + "\n\n"}, textChunk},
		"without a field":               {[]string{textChunk, frame[len("data: "):], "data: [DONE]\n\n"}, textChunk},
		"without a field, torn":         {[]string{textChunk, frame[len("data: "):20], frame[20:]}, textChunk},
		"without a field or a blank":    {[]string{textChunk, frame[len("data: "):len(frame)-1] + "data: [DONE]\n\n"}, textChunk},
		"without a field, in lines":     {[]string{textChunk + "{\n\"error\": {\"message\": \"overloaded\",\n\"code\": \"busy\"}\n}\n\n"}, textChunk},
		"beside choices, as OpenRouter": {[]string{`data: {"error":{"code":"busy","message":"overloaded"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}` + "\n\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code := "busy"
			if name == "Cloudflare's" {
				code = "8001"
			}
			came, e, _ := passed(test.pieces...)
			if strings.Join(came, "") != test.came {
				t.Errorf("before it, %q has come, want %q", came, test.came)
			}
			if e == nil || e.Message != "overloaded" || e.Code != code {
				t.Errorf("error %#v", e)
			}
		})
	}
}

func TestNothingPassesBehindAnError(t *testing.T) {
	p := hub.Passage{Format: Format{}}
	if _, e := p.Pass([]byte(`data: {"error":{"message":"overloaded"}}` + "\n\n")); e == nil {
		t.Fatal("no error")
	}
	if out, e := p.Pass([]byte(textChunk)); len(out) > 0 || e != nil {
		t.Errorf("%q, error %v", out, e)
	}
	if rest, e := p.Close(); len(rest) > 0 || e != nil {
		t.Errorf("at the end, %q, error %v", rest, e)
	}
	if !p.Complete() {
		t.Error("what comes then is taken for a connection that was cut off")
	}
}

func TestWhatLooksLikeAnErrorPasses(t *testing.T) {
	for name, stream := range map[string]string{
		"no error":                    `data: {"response":1,"error":null}` + "\n\n",
		"a member of that name below": `data: {"response":{"error":{"message":"x"}}}` + "\n\n",
		"text":                        `data: {"choices":[{"delta":{"content":"\"error\": {}"}}]}` + "\n\n",
		"a comment":                   `: "error"` + "\n\n",
		"data that is no JSON":        `data: {"error":` + "\n\n",
		"JSON that stands alone":      `{"response":1}` + "\n\n",
		"a line without its end":      `data: {"error":{"message":"x"`,
	} {
		pieces := strings.SplitAfter(stream+finishChunk, `"error"`)
		came, e, _ := passed(pieces...)
		if strings.Join(came, "") != stream+finishChunk || e != nil {
			t.Errorf("%s: %q became %q, error %v", name, stream, came, e)
		}
	}
}

func TestWhetherAStreamIsWhole(t *testing.T) {
	for name, test := range map[string]struct {
		stream          string
		whole, complete bool
	}{
		"nothing":                           {"", false, false},
		"text":                              {textChunk, false, false},
		"a reason to finish":                {textChunk + finishChunk, true, false},
		"a reason with white space":         {`data: {"finish_reason" : "stop"}` + "\n\n", true, false},
		"a reason behind one that is null":  {strings.TrimSuffix(textChunk, "\n") + finishChunk, true, false},
		"[DONE]":                            {textChunk + "data: [DONE]\n\n", true, true},
		"[DONE] without a space, with CRLF": {textChunk + "data:[DONE]\r\n\r\n", true, true},
		"text that speaks of [DONE]":        {`data: {"choices":"data: [DONE]"}` + "\n\n", false, false},
		"text that speaks of a reason":      {`data: {"choices":"\"finish_reason\":\"stop\""}` + "\n\n", false, false},
		"a reason that is empty":            {textChunk + `data: {"choices":[{"index":0,"delta":{},"finish_reason":""}]}` + "\n\n", false, false},
		"the API's own event of an error":   {`data: {"type":"response.created","response":{}}` + "\n\n" + `data: {"type":"error","code":"x","message":"m","param":null}` + "\n\n", true, true},
		"what is no answer":                 {"data: 1\n\n", true, false},
		"a response that is complete":       {`event: response.completed` + "\n" + `data: {"type":"response.completed","response":{}}` + "\n\n", true, true},
		"a response that is incomplete":     {`data: {"type":"response.incomplete","response":{}}` + "\n\n", true, true},
		"a response that has failed":        {`data: {"type":"response.failed","response":{}}` + "\n\n", true, true},
		"a response that goes on":           {`data: {"type":"response.output_text.delta","delta":"response.completed"}` + "\n\n", false, false},
		"a response that speaks of its end": {`data: {"type":"response.output_text.delta","delta":"\"response.completed\""}` + "\n\n", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			for at := range len(test.stream) + 1 {
				p := hub.Passage{Format: Format{}}
				if strings.Contains(test.stream, `"type":"response.`) {
					p.Format = ResponsesFormat{}
				}
				came := ""
				for _, piece := range []string{test.stream[:at], test.stream[at:]} {
					out, e := p.Pass([]byte(piece))
					if came += string(out); e != nil {
						t.Fatalf("%q: error %v", piece, e)
					}
				}
				rest, e := p.Close()
				if came += string(rest); came != test.stream {
					t.Fatalf("torn at %d, %q became %q", at, test.stream, came)
				}
				if whole := e == nil; whole != test.whole || p.Complete() != test.complete {
					t.Fatalf("torn at %d, whole %t, complete %t, want %t, %t", at, whole, p.Complete(), test.whole, test.complete)
				}
			}
		})
	}
}

func TestTheErrorThatEndsAStreamIsAnEventOfItsOwn(t *testing.T) {
	for came, want := range map[string]string{
		"":                   "",
		textChunk:            "",
		"data: 1\r\n\r\n":    "",
		"data: 1\n":          "\n",
		"data: {\"choices\"": "\n\n",
	} {
		p := hub.Passage{Format: Format{}}
		_, _ = p.Pass([]byte(came))
		_, _ = p.Close()
		if got := string(p.AppendFrame(nil, hub.ErrIncomplete)); got != want+incomplete {
			t.Errorf("behind %q: %q", came, got)
		}
	}
}

// FuzzPassage holds that what passes is what came, wherever it is torn, and that no line is held back but
// JSON that stands alone.
func FuzzPassage(f *testing.F) {
	f.Add(textChunk+finishChunk+"data: [DONE]\n\n", 30)
	f.Add(textChunk+`data: {"error":{"message":"x"}}`+"\n\n"+textChunk, 100)
	f.Add(textChunk+`data: {"error":{"message":"x"}}`, 100)
	f.Add("event: error\r\ndata: {\"error\":null}\r\n", 20)
	f.Fuzz(func(t *testing.T, stream string, at int) {
		at = max(0, min(at, len(stream)))
		pieces := []string{stream[:at], stream[at:]}
		came, reported, atEnd := passed(pieces...)
		if atEnd != hub.ErrIncomplete && atEnd != nil { // in a line that has no end
			reported = atEnd
		}
		if all := strings.Join(came, ""); !strings.HasPrefix(stream, all) || reported == nil && all != stream {
			t.Errorf("%q became %q, error %v", stream, came, reported)
		}
		if lines := stream[:strings.LastIndexByte(stream[:at], '\n')+1]; reported == nil && !alone.MatchString(stream) && came[0] != lines {
			t.Errorf("%q has come as %q", pieces, came)
		}
	})
}

// alone is JSON that stands alone.
var alone = regexp.MustCompile(`(?m)^[{\[]`)

func BenchmarkPassage(b *testing.B) {
	chunk := []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" the"},"logprobs":null,"finish_reason":null}]}` + "\n\n")
	p := hub.Passage{Format: Format{}}
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		if _, e := p.Pass(chunk); e != nil {
			b.Fatal(e)
		}
	}
}
