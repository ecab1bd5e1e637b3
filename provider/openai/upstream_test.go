package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

func gateway(code int, message string) string {
	return fmt.Sprintf(`{"success":false,"result":[],"messages":[],"error":[{"code":%d,"message":%q}],"name":"AiGatewayError","httpCode":400,"internalCode":%d,"message":%q,"description":%q}`, code, message, code, message, message)
}

func cloudflare(code int, message string) string {
	return fmt.Sprintf(`{"success":false,"errors":[{"code":%d,"message":%q}],"messages":[],"result":null}`, code, message)
}

func google(status, details string) string {
	return fmt.Sprintf(`{"error":{"code":400,"message":"Google says so","status":%q,"details":[%s]}}`, status, details)
}

// never is what no message may hold: a bucket, an account, a key, a project.
var never = []string{"canary", account, "123456789012"}

func TestErrorBodies(t *testing.T) {
	for _, test := range errorBodies {
		t.Run(test.name, func(t *testing.T) {
			check := func(e *hub.Error, how string) {
				t.Helper()
				if e.Status != test.status || e.Code != test.code || errorType(e.Status) != test.kind || e.From != test.from || e.Final != test.final || e.RetryAfter != test.wait {
					t.Errorf("%s: got %+v, type %s", how, *e, errorType(e.Status))
				}
				wantWords(t, e, test.says)
			}
			check(hub.UpstreamError(test.came, http.Header{}, []byte(test.body)), "as it is")
			if test.reported != 0 {
				for how, body := range asEvents(test.body) {
					check(hub.UpstreamError(test.came, http.Header{}, []byte(body)), how)
				}
			}
			if e := hub.UpstreamError(test.came, wait7, []byte(test.body)); test.status < 500 && test.came >= 400 && e.RetryAfter != "7" {
				t.Errorf("Retry-After is %q", e.RetryAfter)
			}

			e := hub.Reported(gjson.Parse(test.body))
			if test.reported == 0 {
				if json.Valid([]byte(test.body)) && e != nil {
					t.Errorf("reports %+v", *e)
				}
				return
			}
			if e == nil || e.Status != test.reported || e.From != test.from || test.reported == test.status && e.Code != test.code {
				t.Fatalf("reports %+v", e)
			}
			if test.says != "again" && test.reported == test.status {
				wantWords(t, e, test.says)
			}
			wantWords(t, e, "")
		})
	}
}

// asEvents are a body as an event of a stream, in the forms in which it may come.
func asEvents(body string) map[string]string {
	return map[string]string{
		"an event":                            "data: " + body + "\n\n",
		"an event without its end":            "data:" + body,
		"an event with a name, CRLF":          "event: error\r\ndata: " + body + "\r\n\r\n",
		"an event behind a byte order mark":   "\ufeffdata: " + body + "\n\n",
		"an event behind others":              ": comment\n\ndata: {\"choices\":[{\"index\":0}]}\n\ndata: " + body + "\n\ndata: [DONE]\n\n",
		"a line of a stream":                  "data: {\"choices\":[{\"index\":0}]}\n\n" + body + "\n",
		"JSON behind a byte order mark":       "\ufeff" + body,
		"JSON with white space":               "\r\n " + body + "\r\n",
		"an event of several lines":           "data: " + strings.Replace(body, ":", ":\ndata: ", 1) + "\n\n",
		"an event of which a part says more":  "event: error\nid: 1\nretry: 5\ndata: " + body + "\n\n",
		"an event in a list of Google's form": "data: [" + strings.Trim(body, "[]") + "]\n\n",
	}
}

func wantWords(t *testing.T, e *hub.Error, says string) {
	t.Helper()
	if e.Message == "" || !strings.Contains(e.Message, says) {
		t.Errorf("the message is %q, want the words %q", e.Message, says)
	}
	for _, word := range never {
		if strings.Contains(string(Format{}.AppendError(nil, e, "")), word) {
			t.Errorf("the message %q has %s", e.Message, word)
		}
	}
}

// TestAnswersThatReportNothing are good, whatever they look like.
func TestAnswersThatReportNothing(t *testing.T) {
	const choices = `"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]`
	for name, body := range map[string]string{
		"a chat":                              `{` + choices + `}`,
		"a chat with null":                    `{"error":null,` + choices + `}`,
		"a chat with an empty text":           `{"error":"",` + choices + `}`,
		"a chat with false":                   `{"error":false,` + choices + `}`,
		"a chat with an empty object":         `{"error":{},` + choices + `}`,
		"a chat with an object of nothing":    `{"error":{"message":null,"code":0},` + choices + `}`,
		"a chat with an empty list":           `{"error":[],"errors":[],` + choices + `}`,
		"a chat with success":                 `{"success":true,"errors":[],"messages":[],"message":"ok","code":0,` + choices + `}`,
		"a chat that speaks of errors":        `{"choices":[{"index":0,"delta":{"content":"{\"error\":{\"message\":\"x\"},\"success\":false}"}}]}`,
		"a chunk with details":                `{"object":"chat.completion.chunk","detail":"x","message":"y","code":1,"choices":[]}`,
		"an envelope":                         `{"result":{"response":"a"},"success":true,"errors":[],"messages":[]}`,
		"an envelope with a warning":          `{"result":{"response":"a"},"success":true,"errors":[{"code":1,"message":"deprecated"}],"messages":[]}`,
		"a response":                          `{"id":"resp_1","object":"response","status":"completed","error":null,"output":[]}`,
		"a response that failed":              `{"id":"resp_1","object":"response","status":"failed","error":{"code":"server_error","message":"x"},"output":[]}`,
		"a response that is incomplete":       `{"object":"response","status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"}}`,
		"the event of a response that failed": `{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}`,
		"an event of a response":              `{"type":"response.output_text.delta","delta":"error","message":"x","code":1}`,
		"embeddings":                          `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1]}],"model":"m","message":"x","code":"y"}`,
		"a frame of Gemini's":                 `{"candidates":[{"content":{"parts":[{"text":"\"error\""}]}}],"message":"x","code":1}`,
		"a frame of Workers AI's":             `{"response":"a \"error\"","message":"x"}`,
		"a word of success":                   `{"code":200,"message":"ok"}`,
		"a word of success as text":           `{"code":"0","message":"success"}`,
		"a word while waiting":                `{"type":"ping","message":"still there"}`,
		"an empty list":                       `[]`,
		"a list of frames":                    `[{"candidates":[{"index":0}],"error":null},{"usageMetadata":{"promptTokenCount":1},"message":"x"}]`,
		"a list of numbers":                   `["\"error\"",1]`,
		"a text":                              `"\"error\""`,
		"an event of Anthropic's":             `{"type":"message_start","message":{"id":"msg_1","type":"message","content":[]}}`,
	} {
		if !json.Valid([]byte(body)) {
			t.Fatalf("%s is not JSON", name)
		}
		if e := hub.Reported(gjson.Parse(body)); e != nil {
			t.Errorf("%s reports %+v", name, *e)
		}
	}
}

func TestAnErrorInOpenAIsShapeKeepsItsParam(t *testing.T) {
	e := hub.UpstreamError(400, http.Header{}, []byte(`{"error":{"message":"m","type":"invalid_request_error","param":"tools","code":400}}`))
	if e.Param != "tools" || e.Status != 400 || e.Message != "m" {
		t.Errorf("got %+v", e)
	}
}

// TestAResponseInAnErrorsPlace: behind an error's status, its own error is what there is to tell.
func TestAResponseInAnErrorsPlace(t *testing.T) {
	e := hub.UpstreamError(500, http.Header{}, []byte(`{"object":"response","status":"failed","error":{"code":"x","message":"It failed"}}`))
	if e.Status != 500 || e.Code != "x" || e.Message != "It failed" {
		t.Errorf("got %+v", *e)
	}
}

func TestBracketsWithoutEnd(t *testing.T) {
	if e := hub.UpstreamError(400, http.Header{}, []byte(strings.Repeat("[", 1<<20))); e.Status != 400 || !strings.Contains(e.Message, "status 400") {
		t.Errorf("got %+v", *e)
	}
}

// FuzzUpstreamError holds that whatever comes becomes an error that a client can read, behind a status and within
// an answer, and that no bucket gets out.
func FuzzUpstreamError(f *testing.F) {
	for _, test := range errorBodies {
		f.Add(test.came, []byte(test.body))
	}
	f.Add(403, []byte("event: error\r\ndata: "+policy+"\r\n\r\n"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 999 {
			return
		}
		all := []*hub.Error{hub.UpstreamError(status, http.Header{}, body)}
		if json.Valid(body) {
			all = append(all, hub.Reported(gjson.ParseBytes(body)))
		}
		for _, e := range all {
			if e != nil {
				wantReadable(t, e, body)
			}
		}
	})
}

// FuzzBucket holds that the gateway's bucket stays here, whatever stands around it.
func FuzzBucket(f *testing.F) {
	f.Add(429, "Spending limit exceeded", "1000.42", true)
	f.Add(403, "bucket-canary-7f3a is used up", `"bucket-canary-7f3a"`, false)
	f.Fuzz(func(t *testing.T, status int, message, amount string, inList bool) {
		if status < 200 || status > 999 || !json.Valid([]byte(amount)) {
			return
		}
		quoted := jsontext.AppendString(nil, message)
		said := fmt.Sprintf(`{"message":%s,"bucket":"bucket-canary-7f3a","spent":%s,"limit":%[2]s}`, quoted, amount)
		if inList {
			said = "[" + said + "]"
		}
		body := []byte(`{"success":false,"error":` + said + `}`)
		for _, e := range []*hub.Error{hub.UpstreamError(status, http.Header{}, body), hub.Reported(gjson.ParseBytes(body))} {
			if e == nil {
				t.Fatalf("%s reports nothing", body)
			}
			wantReadable(t, e, body)
			if e.From != hub.Gateway || strings.Contains(string(Format{}.AppendError(nil, e, "")), "bucket-canary-7f3a") {
				t.Errorf("%d %s became %+v", status, body, *e)
			}
		}
	})
}

func wantReadable(t *testing.T, e *hub.Error, body []byte) {
	t.Helper()
	if e.Status < 400 || e.Status > 599 || e.Message == "" || !json.Valid(Format{}.AppendError(nil, e, "")) || e.From == hub.Proxy {
		t.Errorf("%q became %+v", body, *e)
	}
	if kind := errorType(e.Status); kind == "server_error" || kind == "rate_limit_exceeded" {
		t.Errorf("type %s", kind)
	}
}
