package caddyauth

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// dial opens a connection to the proxy, for requests that net/http's client would not send.
func (p *proxy) dial() *net.TCPConn {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn.(*net.TCPConn)
}

func head(key string, more ...string) string {
	return "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + testEmail + ":" + key + "\r\n" + strings.Join(more, "\r\n") + "\r\n\r\n"
}

// unreadable is a body that must not be read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestTheUserIsIdentifiedBeforeTheBodyIsRead(t *testing.T) {
	handler := withUs(t, "")
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", unreadable{t})
	r.Header.Set("Authorization", "Bearer "+testEmail+":wrong")
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{}))
	w := httptest.NewRecorder()
	if err := handler.ServeHTTP(w, r); err != nil || w.Code != 401 {
		t.Errorf("status %d, error %v, want 401", w.Code, err)
	}
}

func TestABodyOfUnknownLengthIsSentWithItsLength(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "max_body_size 1KB"})
	send := func(body string) *http.Response {
		conn := p.dial()
		_, _ = io.WriteString(conn, head(testKey, "Transfer-Encoding: chunked")+fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := send(chatBody(llama)); res.StatusCode != 200 {
		t.Errorf("status %d: %s", res.StatusCode, read(t, res))
	}
	if seen, body := u.seen(); seen.ContentLength != int64(len(body)) {
		t.Errorf("the gateway got %d bytes of a body of length %d", len(body), seen.ContentLength)
	}
	wantError(t, send(`{"x":"`+strings.Repeat("a", 2000)+`"}`), 413, "request_too_large")
}

func TestAnIncompleteBodyIsRefused(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL})
	conn := p.dial()
	_, _ = io.WriteString(conn, head(testKey, "Transfer-Encoding: chunked")+"zz\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, res, 400, "invalid_request_error")
	if seen, _ := u.seen(); seen != nil {
		t.Error("the request reached the gateway")
	}
}

func TestAClientThatHangsUpDuringALookUpIsNotLoggedAs503(t *testing.T) {
	p, kv := startOnKV(t, "", answersIn)
	kv.FailAll(kvtest.Hang)
	conn := p.dial()
	_, _ = io.WriteString(conn, strings.Replace(head(testKey), "POST /v1/chat/completions", "GET /v1/models", 1))
	_ = conn.Close()
	p.log.WaitFor(t, `"status":499`)
	if strings.Contains(p.log.String(), `"status":503`) {
		t.Error("the log has 503 for a client that has gone")
	}
}

// HTTP/2 upstreams refuse streams while they shut down. Go then sends the request again if it can get the
// body again.
func TestARequestCanBeSentAgain(t *testing.T) {
	h := &Handler{}
	carried := &handoff{streamed: true, body: newRequestBody(4)}
	copy(carried.body.content, "body")
	out := h.upstreamRequest(httptest.NewRequest(http.MethodPost, "/", nil), carried, &hub.Call{Path: "x"})
	if err := carried.gather(out); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		body, err := out.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != "body" {
			t.Errorf("the body is %q, error %v", got, err)
		}
	}
}
