package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	sdk "github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func TestNothingChangesButTheModel(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint hub.Endpoint
		body     string
		path     string
	}{
		"messages":     {hub.Messages, `{"model":"anthropic/claude-x","max_tokens":1}`, "anthropic/v1/messages"},
		"count_tokens": {hub.MessageTokens, `{"model":"anthropic/claude-x"}`, "anthropic/v1/messages/count_tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRequest(test.endpoint, []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Provider, r.Model = "anthropic", "claude-x"
			call, err := Provider{}.Call(r)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Replace(test.body, "anthropic/", "", 1); call.Path != test.path || string(call.Body) != want {
				t.Errorf("path %s, body %s", call.Path, call.Body)
			}
		})
	}
	var e *hub.Error
	if _, err := ParseRequest(hub.Messages, []byte(`{"model":"a","model":"b"}`)); !errors.As(err, &e) || e.Status != 400 {
		t.Errorf("two models: %v", err)
	}
}

func TestErrorsAsTheOfficialClientReadsThem(t *testing.T) {
	for status, kind := range map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 405: "invalid_request_error",
		413: "request_too_large", 415: "invalid_request_error", 429: "rate_limit_error", 500: "api_error", 502: "api_error", 503: "overloaded_error",
		504: "timeout_error", 529: "overloaded_error",
	} {
		var read sdk.ErrorResponse
		if err := json.Unmarshal(Format{}.AppendError(nil, &hub.Error{Status: status, Message: "a \"b\""}, "id"), &read); err != nil {
			t.Fatal(err)
		}
		if read.Error.Type != kind || read.Error.Message != "a \"b\"" || read.RequestID != "id" || string(read.Type) != "error" {
			t.Errorf("status %d: %+v", status, read)
		}
	}
	frame := string(Format{}.AppendErrorFrame(nil, &hub.Error{Status: 502, Message: "gone"}))
	if want := "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"gone\"}}\n\n"; frame != want {
		t.Errorf("frame %q", frame)
	}
}

func TestUsageAddsUp(t *testing.T) {
	var u Usage
	u.Read([]byte(`{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":20},"output_tokens":1}`))
	u.Read([]byte(`{"output_tokens":15,"server_tool_use":{"web_search_requests":1}}`))
	if got, want := u.Counts(), (hub.Usage{Prompt: 60, Completion: 15, Total: 75, Cached: 30}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

// FuzzLook holds that an event either passes or is an error, whatever it holds, and that a stream ends only
// with an event that says so.
func FuzzLook(f *testing.F) {
	f.Add([]byte(`{"type":"message_stop"}`))
	f.Add([]byte(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`))
	f.Add([]byte(`{"success":false,"errors":[{"code":2003,"message":"slow"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p hub.Progress
		e := Format{}.Look(data, &p)
		if e != nil && (p.Ended || e.Status < 400 || e.Message == "") {
			t.Errorf("%q: %+v, %+v", data, p, e)
		}
		if p.Ended && !bytes.Contains(data, []byte("message_stop")) && !p.Failed {
			t.Errorf("%q ends a stream", data)
		}
	})
}
