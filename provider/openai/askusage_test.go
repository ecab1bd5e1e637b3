package openai

import (
	"bytes"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// removed returns what a client sees of a stream that came in these pieces.
func removed(t testing.TB, pieces ...string) string {
	t.Helper()
	var client bytes.Buffer
	form := hub.Form{Format: Format{}, Stream: true, Asked: true}
	translator := TranslateOdd(form)(&client, true)
	for _, piece := range pieces {
		if n, err := translator.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	return client.String()
}

// incomplete is what ends an answer without a reason to finish.
var incomplete = string(Format{}.AppendErrorFrame(nil, hub.ErrIncomplete))

var usageStreams = map[string]struct{ came, seen string }{
	"OpenAI's": {
		"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n",
	},
	"with CRLF and white space": {
		"data: {\"usage\" : null , \"choices\":[1]}\r\n\r\ndata: {\"choices\":[] , \"usage\": {\"a\":1} }\r\n\r\ndata: [DONE]\r\n\r\n",
		"data: { \"choices\":[1]}\r\n\r\ndata: [DONE]\r\n\r\n",
	},
	"counts beside the last choice": {
		"data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"a\":{\"b\":[1]}},\"x\":1}\n\n",
		"data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"x\":1}\n\n",
	},
	"a filter's chunk without choices": {
		"data: {\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}\n\n",
		"data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n" + incomplete,
	},
	"text that speaks of it": {
		"data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{}\"}}]}\n\n: \"usage\"\n\nevent: \"usage\"\ndata: \"usage\"\n\ndata: {\"usage\"\n\n",
		"data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{}\"}}]}\n\n: \"usage\"\n\nevent: \"usage\"\ndata: \"usage\"\n\ndata: {\"usage\"\n\n" + incomplete,
	},
	"a stream without its last line feed": {
		"data: {\"choices\":[1]}\n\ndata: {\"choices\":[2],\"usage\":null}",
		"data: {\"choices\":[1]}\n\ndata: {\"choices\":[2]}\n\n" + incomplete,
	},
	"nothing but what is taken out": {"data: {\"choices\":[],\"usage\":{}}\n\n", incomplete},
	"an error that the provider reports": {
		"data: {\"choices\":[1],\"usage\":null}\n\ndata: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[1]}\n\ndata: {\"error\":{\"message\":\"overloaded\",\"type\":\"api_error\",\"param\":null,\"code\":null}}\n\n",
	},
}

func TestUsageThatTheClientDidNotAskForIsTakenOut(t *testing.T) {
	for name, test := range usageStreams {
		t.Run(name, func(t *testing.T) {
			for i := range len(test.came) + 1 {
				if got := removed(t, test.came[:i], test.came[i:]); got != test.seen {
					t.Fatalf("torn at %d: %q, want %q", i, got, test.seen)
				}
			}
			if got := removed(t, strings.Split(test.came, "")...); got != test.seen {
				t.Errorf("byte by byte: %q, want %q", got, test.seen)
			}
		})
	}
}

func TestAStreamThatIsCutOffEndsWithAnError(t *testing.T) {
	var complete bytes.Buffer
	translator := TranslateOdd(hub.Form{Format: Format{}, Stream: true, Asked: true})(&complete, true)
	_, _ = translator.Write([]byte("data: [DONE]\n\n"))
	if err := translator.Abort(hub.UpstreamBroken("cut")); err != nil || complete.String() != "data: [DONE]\n\n" {
		t.Errorf("once it is complete: error %v, %q", err, complete.String())
	}
	for came, want := range map[string]string{
		"data: {\"choices\":[1]}\n\ndata: {\"cho": "data: {\"choices\":[1]}\n\n",
		"data: {\"choices\":[1]}\n":               "data: {\"choices\":[1]}\n\n",
		"":                                        "",
	} {
		var client bytes.Buffer
		translator := TranslateOdd(hub.Form{Format: Format{}, Stream: true, Asked: true})(&client, true)
		_, _ = translator.Write([]byte(came))
		e := hub.UpstreamBroken("cut")
		if err := translator.Abort(e); err != nil {
			t.Error(err)
		}
		if want += string(Format{}.AppendErrorFrame(nil, e)); client.String() != want {
			t.Errorf("%q, want %q", client.String(), want)
		}
	}
}

func TestALineWithoutEndEndsTheAnswer(t *testing.T) {
	translator := TranslateOdd(hub.Form{Format: Format{}, Stream: true, Asked: true})(new(bytes.Buffer), true)
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for range maxLine >> 20 {
		if _, err := translator.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := translator.Write(piece); err == nil {
		t.Error("no error")
	}
}

// FuzzUsageRemover holds that it does not matter where a stream is torn, and that what has no usage
// passes byte for byte.
func FuzzUsageRemover(f *testing.F) {
	for _, test := range usageStreams {
		f.Add(test.came, len(test.came)/3)
	}
	f.Fuzz(func(t *testing.T, came string, at int) {
		at = max(0, min(at, len(came)))
		whole := removed(t, came)
		if torn := removed(t, came[:at], came[at:]); torn != whole {
			t.Errorf("%q torn at %d: %q, want %q", came, at, torn, whole)
		}
		if !strings.Contains(came, `"usage"`) && !strings.Contains(came, `"error"`) && !strings.HasPrefix(whole, came) {
			t.Errorf("%q became %q", came, whole)
		}
	})
}
