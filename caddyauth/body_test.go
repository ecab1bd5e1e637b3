package caddyauth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func TestMemoryIsNotReusedWhileItIsRead(t *testing.T) {
	b := newRequestBody(5000)
	copy(b.content, "mine")
	memory := b.memory
	first, second := b.open(), b.open()
	b.release()
	b.release()
	if _, err := io.CopyN(io.Discard, first, 1000); err != nil {
		t.Errorf("an open reader fails after the handler has released the body: %v", err)
	}
	_ = first.Close()
	_ = first.Close()
	if b.memory == nil {
		t.Error("the memory is free while a reader is open")
	}
	if start := make([]byte, 4); !readsFully(second, start) || string(start) != "mine" {
		t.Errorf("the second reader gives %q", start)
	}
	_ = second.Close()
	if b.memory != nil || b.content != nil {
		t.Error("the memory is held although there is no reader")
	}
	copy(*memory, "someone else's")
	for name, reader := range map[string]io.Reader{"a closed reader": first, "one that is opened too late": b.open()} {
		if n, err := reader.Read(make([]byte, 10)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("%s gives %d bytes, error %v", name, n, err)
		}
	}
}

func TestLentMemoryIsNotReusedUntilItIsGivenBack(t *testing.T) {
	b := newRequestBody(5000)
	first, second := b.lend(), b.lend()
	b.release()
	b.giveBack()
	if b.memory == nil {
		t.Error("the memory is free although one of two readers has not given it back")
	}
	if n, err := io.Copy(io.Discard, first); n != 5000 || err != nil {
		t.Errorf("the first gets %d bytes, error %v", n, err)
	}
	_ = second.Close()
	b.giveBack()
	if b.memory != nil || b.content != nil {
		t.Error("the memory is held although both readers have given it back")
	}
	late := b.lend()
	if n, _ := io.Copy(io.Discard, late); n != 0 {
		t.Errorf("a late reader gets %d bytes", n)
	}
	b.giveBack()
}

func TestTheMemoryOfAShortBodyIsReusedAfterItWasSent(t *testing.T) {
	carried := &handoff{authorization: []string{"Bearer " + testToken}, body: newRequestBody(0)}
	ctx := httptrace.WithClientTrace(t.Context(), new(httptrace.ClientTrace))
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1", io.NopCloser(strings.NewReader("short")))
	if err != nil {
		t.Fatal(err)
	}
	out.ContentLength = 5
	if err := carried.gather(out); err != nil {
		t.Fatal(err)
	}
	carried.release()
	if carried.short.memory == nil {
		t.Error("the memory is free before the request was sent")
	}
	httptrace.ContextClientTrace(ctx).WroteRequest(httptrace.WroteRequestInfo{})
	if carried.short.memory != nil {
		t.Error("the memory is held although the request was sent")
	}
}

func TestABodyThatAnotherHandlerReplacedIsNotSentAgain(t *testing.T) {
	h := &Handler{}
	for body, again := range map[string]bool{"body": true, "another": false} {
		carried := &handoff{streamed: true, body: newRequestBody(4)}
		copy(carried.body.content, "body")
		out := h.upstreamRequest(httptest.NewRequest(http.MethodPost, "/", nil), carried, &hub.Call{Path: "x"})
		out.Body, out.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if err := carried.gather(out); err != nil {
			t.Fatal(err)
		}
		if got := out.GetBody != nil; got != again {
			t.Errorf("%q in place of \"body\" can be sent again: %t, want %t", body, got, again)
		}
	}
}

func readsFully(r io.Reader, p []byte) bool {
	_, err := io.ReadFull(r, p)
	return err == nil
}

func TestOnlyBodiesUpTo4MBComeFromAPool(t *testing.T) {
	for _, size := range []int{0, 1, 4 << 10, 4<<10 + 1, 200 << 10, 4 << 20, 4<<20 + 1} {
		for range 3 {
			b := newRequestBody(size)
			if len(b.content) != size {
				t.Errorf("a body of %d bytes has %d", size, len(b.content))
			}
			if pooled := b.memory != nil; pooled != (size <= 4<<20) {
				t.Errorf("a body of %d bytes is from a pool: %t", size, pooled)
			}
			b.release()
		}
	}
}

// An upstream may answer or hang up before it has read a request. The transport may then read the body while
// it is closed. It must never send bytes of another request.
func TestNoBodyIsMixedUpWithAnother(t *testing.T) {
	for name, versions := range map[string]string{"HTTP/1.1": "1.1", "HTTP/2": "h2c 2"} {
		t.Run(name, func(t *testing.T) {
			u := &impatient{t: t, arrived: make(chan struct{})}
			server := httptest.NewUnstartedServer(u)
			server.Listener = smallWindows{server.Listener}
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(true)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			t.Cleanup(server.Close)
			p := start(t, setup{upstream: server.URL, proxy: "transport continue_auth {\nversions " + versions + "\n}"})
			var clients sync.WaitGroup
			rounds := 40
			if testing.Short() {
				rounds = 8
			}
			for client := range 16 {
				clients.Go(func() {
					for n := range rounds {
						size := 1 << 20
						if n%2 == 0 {
							size = 4 << 10 // a body of this size is sent from other memory
						}
						p.sendLetters(byte('a'+client), size, (client+n/2)%len(patience))
					}
				})
			}
			clients.Wait()
			for i, kind := range patience {
				if u.seen[i].Load() == 0 {
					t.Errorf("no upstream answered %s", kind)
				}
			}
		})
	}
}

// smallWindows makes a listener with small buffers, so that the client has to wait.
type smallWindows struct{ net.Listener }

func (l smallWindows) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	return conn, err
}

// patience is how much of a request's body an upstream reads before it answers.
var patience = []string{"at its end", "in its middle", "at once", "by hanging up"}

// sendLetters sends a request that consists of one letter, which its User-Agent names.
func (p *proxy) sendLetters(letter byte, size, kind int) {
	text := strings.Repeat(string(letter), size+int(letter)*10)
	body := `{"model":"` + groq + `","messages":[{"role":"user","content":"` + text + `"}]}`
	req, err := http.NewRequest(http.MethodPost, p.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+testEmail+":"+testKey)
	req.Header.Set("User-Agent", fmt.Sprintf("%c%d", letter, kind))
	if res, err := http.DefaultClient.Do(req); err == nil { // if the upstream hangs up, the client may get any answer
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

// impatient is an upstream that checks that a request has no letters of another request.
type impatient struct {
	t       *testing.T
	seen    [4]atomic.Int64
	arrived chan struct{} // gets a value at each request, if a test waits for it
}

func (u *impatient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	letter, kind := r.UserAgent()[0], int(r.UserAgent()[1]-'0')
	u.seen[kind].Add(1)
	select {
	case u.arrived <- struct{}{}:
	default:
	}
	answer := func() {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, chatAnswer)
		_ = http.NewResponseController(w).Flush()
	}
	switch kind {
	case 1:
		u.look(letter, io.LimitReader(r.Body, 100<<10))
		answer()
	case 2:
		answer()
		select { // so that another request would get the memory if it were free
		case <-u.arrived:
		case <-time.After(50 * time.Millisecond):
		}
	case 3:
		u.look(letter, io.LimitReader(r.Body, 50<<10))
		panic(http.ErrAbortHandler)
	}
	u.look(letter, r.Body)
	if kind == 0 {
		answer()
	}
}

func (u *impatient) look(letter byte, body io.Reader) {
	got, _ := io.ReadAll(body)
	_, text, found := bytes.Cut(got, []byte(`"content":"`))
	if !found {
		text = got
	}
	text = bytes.TrimRight(text, `"}]`)
	if rest := bytes.Trim(text, string(letter)); len(rest) > 0 {
		u.t.Errorf("a request of %q has %d bytes of another: %.50q", letter, len(rest), rest)
	}
}
