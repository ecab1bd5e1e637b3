package gatewaytest

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestScenariosAreUsedInOrder(t *testing.T) {
	s := start(t)
	s.Always(Respond(503, "busy"))
	s.Next(Respond(429, "", "retry-after", "7"), Scenario{})
	s.Next(EdgePage)
	for i, want := range []int{429, 200, 500, 503, 503} {
		if res := post(t, s, chatPath, chatBody); res.status != want {
			t.Errorf("request %d: %d, want %d", i, res.status, want)
		}
	}
	s.Always(Scenario{})
	if res := post(t, s, chatPath, chatBody); res.status != 200 {
		t.Error(res.status)
	}
}

func TestRequestsAreCheckedInEveryScenario(t *testing.T) {
	s := start(t)
	s.Always(Stream("data: fine\n\n"))
	if res := post(t, s, chatPath, `{"model":"workers-ai/`+llama+`"}`); res.status != 400 || !strings.Contains(res.body, "5007") {
		t.Error(res)
	}
}

func TestRespondSendsItsHeaders(t *testing.T) {
	s := start(t)
	s.Next(Respond(418, "short and stout", "content-type", "text/plain", "x-kind", "teapot", "x-kind", "pot"))
	res := post(t, s, chatPath, chatBody)
	if res.status != 418 || res.body != "short and stout" || res.header.Get("Content-Type") != "text/plain" || len(res.header["X-Kind"]) != 2 {
		t.Error(res)
	}
}

func TestStreamSendsItsFramesByteForByte(t *testing.T) {
	s := start(t)
	s.Next(Stream(": hello\n", "da", "ta: x\r\n\r\n"))
	res := post(t, s, chatPath, chatStream)
	if res.body != ": hello\ndata: x\r\n\r\n" || res.header.Get("Content-Type") != "text/event-stream" || res.header.Get("Content-Length") != "" {
		t.Error(res)
	}
}

func TestFramesAreSentStepByStep(t *testing.T) {
	s := start(t)
	step := make(chan struct{})
	sc := Stream("one\n", "two\n", "three\n")
	sc.Step = step
	s.Next(sc)
	res, err := http.DefaultClient.Do(newPost(t.Context(), s, chatPath, "workers-ai", chatStream)) // the header is sent before the first step
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body := bufio.NewReader(res.Body)
	for _, want := range []string{"one\n", "two\n"} {
		step <- struct{}{}
		if line, err := body.ReadString('\n'); line != want || err != nil {
			t.Error(line, err)
		}
	}
	close(step)
	if rest, err := io.ReadAll(body); string(rest) != "three\n" || err != nil {
		t.Error(string(rest), err)
	}
}

func TestFramesAreDelayed(t *testing.T) {
	s := start(t)
	sc := Stream("one\n", "two\n", "three\n")
	sc.Delay = 20 * time.Millisecond
	s.Next(sc)
	begun := time.Now()
	if res := post(t, s, chatPath, chatStream); res.body != "one\ntwo\nthree\n" || time.Since(begun) < 2*sc.Delay {
		t.Error(res, time.Since(begun))
	}
}

func TestConnectionsAreCutWhereTheScenarioSays(t *testing.T) {
	for name, test := range map[string]struct {
		cut  Cut
		want string
	}{
		"after the header":                 {Cut{}, ""},
		"between frames":                   {Cut{After: 2}, "one;two;"},
		"within a frame":                   {Cut{After: 2, MidFrame: true}, "one;two;thr"},
		"within the first":                 {Cut{MidFrame: true}, "on"},
		"before the end":                   {Cut{After: 3}, "one;two;three;"},
		"after more frames than there are": {Cut{After: 30, MidFrame: true}, "one;two;three;"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			sc := Stream("one;", "two;", "three;")
			sc.Cut = &test.cut
			s.Next(sc)
			res := post(t, s, chatPath, chatStream)
			if res.status != 200 || res.body != test.want || !errors.Is(res.err, io.ErrUnexpectedEOF) {
				t.Errorf("%d %q %v", res.status, res.body, res.err)
			}
			if s.Requests()[0].ClientGone() {
				t.Error("it was the server that has gone")
			}
		})
	}
	t.Run("within an object", func(t *testing.T) {
		s := start(t)
		s.Next(Scenario{Cut: &Cut{MidFrame: true}})
		if res := post(t, s, chatPath, chatBody); res.status != 200 || !strings.HasPrefix(res.body, "{") || !errors.Is(res.err, io.ErrUnexpectedEOF) {
			t.Error(res)
		}
	})
	t.Run("before anything", func(t *testing.T) {
		s := start(t)
		s.Next(Scenario{Drop: true})
		r := newPost(t.Context(), s, chatPath, "workers-ai", chatBody)
		r.GetBody = nil // otherwise net/http would send it again
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = res.Body.Close()
			t.Error(res.Status)
		}
		if s.Requests()[0].ClientGone() {
			t.Error("it was the server that has gone")
		}
	})
}

func TestBodiesAreCompressedWithoutBeingAsked(t *testing.T) {
	s := start(t)
	for _, body := range []string{chatBody, chatStream} {
		s.Next(Scenario{Gzip: true}, Scenario{})
		squeezed, plain := post(t, s, chatPath, body), post(t, s, chatPath, body)
		r, err := gzip.NewReader(strings.NewReader(squeezed.body))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil || squeezed.header.Get("Content-Encoding") != "gzip" || excerptOf(string(b)) != excerptOf(plain.body) {
			t.Error(string(b), plain.body, err)
		}
	}
}

// excerptOf removes the parts that differ between two requests.
func excerptOf(body string) int {
	return strings.Count(body, "gatewaytest") + strings.Count(body, "hello")
}

func TestAnObjectIsSentInsteadOfAStream(t *testing.T) {
	for name, test := range map[string]struct{ path, body string }{
		"Workers AI": {chatPath, chatStream},
		"a model":    {"workers-ai/" + llama, `{"prompt":"x","stream":true}`},
		"Azure":      {azureChat, `{"messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}`},
		"Gemini":     {"google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", `{"contents":[{"parts":[{"text":"hi"}]}]}`},
		"OpenAI":     {"openai/responses", `{"model":"gpt-5","input":"hi","stream":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Next(Scenario{JSONForStream: true})
			res := post(t, s, test.path, test.body)
			if _, _, err := decodeObject([]byte(res.body)); err != nil || res.status != 200 || res.header.Get("Content-Type") != "application/json" {
				t.Error(res, err)
			}
		})
	}
}

func TestTheScenarioSetsTheText(t *testing.T) {
	s := start(t)
	s.Next(Scenario{Text: []string{"one ", "two ", "three"}})
	res := post(t, s, azureChat, `{"messages":[{"role":"user","content":"hi"}],"stop":["re",""]}`)
	if !strings.Contains(res.body, `"content":"one two th"`) || !strings.Contains(res.body, `"finish_reason":"stop"`) {
		t.Error("stop words:", res.body)
	}
	s.Next(Scenario{Text: []string{"one ", "two ", "three"}})
	res = post(t, s, azureChat, `{"messages":[{"role":"user","content":"hi"}],"max_tokens":2}`)
	if !strings.Contains(res.body, `"content":"one two "`) || !strings.Contains(res.body, `"finish_reason":"length"`) {
		t.Error("limit:", res.body)
	}
}

func TestTheLastBlankLineCanBeLeftOut(t *testing.T) {
	s := start(t)
	s.Always(Scenario{NoLastBlankLine: true})
	for range 2 { // the same scenario can answer several requests
		if res := post(t, s, chatPath, chatStream); !strings.HasSuffix(res.body, "}\n\ndata: [DONE]\n") {
			t.Errorf("%q", res.body)
		}
	}
	if res := post(t, s, chatPath, chatBody); strings.HasSuffix(res.body, "\n") {
		t.Errorf("%q", res.body)
	}
}

func TestToolCallIDsCanDiffer(t *testing.T) {
	s := start(t)
	s.Next(Scenario{ToolCallIDsDiffer: true})
	body := strings.Replace(chatStream, `"hello there"`, `"USETOOL a.go"`, 1)
	res := post(t, s, chatPath, strings.Replace(body, `"stream"`, `"tools":[{"type":"function","function":{"name":"read","parameters":{"properties":{"path":{}}}}}],"stream"`, 1))
	if !strings.Contains(res.body, `"id":"call_gatewaytest0000000100","index":0`) || !strings.Contains(res.body, `"id":"call_gatewaytest0000000100-1","index":0`) ||
		!strings.Contains(res.body, `"id":"call_gatewaytest0000000100-2","index":0`) {
		t.Error(res)
	}
}

func TestFinishReasonsCanBeEmpty(t *testing.T) {
	s := start(t)
	s.Next(Scenario{EmptyFinishReason: true})
	if res := post(t, s, chatPath, chatStream); strings.Contains(res.body, `"finish_reason":null`) || strings.Count(res.body, `"finish_reason":"stop"`) != 1 ||
		!strings.Contains(res.body, `"finish_reason":""`) {
		t.Error(res)
	}
}

func TestCharactersCanBeSplit(t *testing.T) {
	s := start(t)
	s.Always(Scenario{SplitCharacters: true})
	gemini := strings.Replace(geminiFlash, ":generateContent", ":streamGenerateContent?alt=sse", 1)
	for _, test := range []struct{ path, body string }{
		{chatPath, chatStream},
		{"workers-ai/" + llama, `{"prompt":"x","stream":true}`},
		{gemini, `{"contents":[{"parts":[{"text":"x"}]}]}`},
		{responsesPath, `{"model":"gpt-5","input":"x","stream":true}`},
		{messagesPath, `{"model":"claude-sonnet-4-5","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"x"}]}`},
	} {
		res := postAnthropic(t, s, test.path, test.body)
		first, rest, _ := strings.Cut(res.body, `ok \ud83d"`)
		if res.status != 200 || first == res.body || !strings.Contains(rest, `"\ude00!"`) || !strings.Contains(rest, `\ud83c"`) || !strings.Contains(rest, `"\udf89"`) {
			t.Errorf("%s: %s", test.path, res.body)
		}
	}
	if res := post(t, s, chatPath, chatBody); !strings.Contains(res.body, "ok 😀! It is 🎉") {
		t.Error(res)
	}
}

func TestTheScenarioSetsTheContentType(t *testing.T) {
	s := start(t)
	s.Next(Scenario{ContentType: "text/plain"}, Scenario{NoContentType: true}, Scenario{})
	for _, want := range []string{"text/plain", "", "text/event-stream"} {
		res := post(t, s, chatPath, chatStream)
		if got := res.header.Get("Content-Type"); got != want || !strings.HasPrefix(res.body, "data: {") {
			t.Errorf("%q, want %q: %s", got, want, res.body)
		}
	}
}

func TestErrorsCanHaveStatus200(t *testing.T) {
	s := start(t)
	s.Next(ErrorWithOK, ErrorBesideNoChoices, CloudflareErrorOK, PageWithOK, NothingWithOK, Stream(ErrorLine, ErrorEvent, CloudflareEvent))
	for _, want := range []string{`"code":429},"user_id"`, `"choices":null`, `"success":false`, "<html>", "", "{\"error\":"} {
		if res := post(t, s, chatPath, chatBody); res.status != 200 || !strings.Contains(res.body, want) || want == "" && res.body != "" {
			t.Error(res)
		}
	}
}
