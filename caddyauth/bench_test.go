package caddyauth

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider"
)

// bare stands for the rest of the chain. It answers with a very short stream. Like the transport, it notes
// that it was reached and closes the body.
var bare = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
	if carried, ok := r.Context().Value(handoffKey{}).(*handoff); ok {
		carried.sent = true
		_ = r.Body.Close()
	}
	w.Header()["Content-Type"] = eventStream
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(doneEvent)
	return err
})

var (
	eventStream = []string{"text/event-stream"}
	doneEvent   = []byte("data: [DONE]\n\n")
)

// groq is a model whose answers pass unchanged.
const groq = "groq/llama-3.3-70b-versatile"

// chatOf returns a body of about that size with source code in it and the model at its end.
func chatOf(model string, size int) []byte {
	line := `    return self.values[index] + offset\n`
	return []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat(line, size/len(line)) + `"}],"stream":true,"model":"` + model + `"}`)
}

// discard is a client that discards the answer.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// sending returns a function that sends a request with that body through next, as Caddy's server does.
func sending(body []byte, next caddyhttp.Handler) func() error {
	template := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil)
	template.Header = http.Header{"Authorization": {"Bearer " + testKey}, "X-User-Email": {testEmail}, "Content-Type": {"application/json"}}
	template.ContentLength = int64(len(body))
	return func() error {
		repl := caddy.NewEmptyReplacer()
		w := &discard{make(http.Header)}
		ctx := context.WithValue(context.Background(), caddy.ReplacerCtxKey, repl)
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "127.0.0.1"})
		r := template.WithContext(ctx)
		r.Header = maps.Clone(template.Header)
		r.Body = io.NopCloser(bytes.NewReader(body))
		return next.ServeHTTP(w, r)
	}
}

// threeLimits are options of the handler that limit all that can be limited.
const threeLimits = `,"limits":{"requests":["1000000000/1m"],"tokens":["1000000000000/day"],"parallel":1000}`

// withUs returns the handler in front of bare, with its user in memory.
func withUs(tb testing.TB, options string) caddyhttp.Handler {
	tb.Helper()
	h, err := provision(tb, `{"account_id":"acc","gateway":"gw","gateway_token":"token","keystore":`+files(tb)+options+`}`)
	if err != nil {
		tb.Fatal(err)
	}
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, bare) })
}

func TestTheHandlerMakesFewAllocations(t *testing.T) {
	body := chatOf(groq, 4<<10)
	for _, test := range []struct {
		name, options string
		want          float64
	}{{"without limits", "", 30}, {"with three limits", threeLimits, 40}} {
		ours, theirs := sending(body, withUs(t, test.options)), sending(body, bare)
		if err := ours(); err != nil {
			t.Fatal(err)
		}
		with := testing.AllocsPerRun(200, func() { _ = ours() })
		without := testing.AllocsPerRun(200, func() { _ = theirs() })
		t.Logf("%s: %v allocations with the handler, %v without", test.name, with, without)
		if with-without > test.want {
			t.Errorf("%s: the handler makes %v allocations, want at most %v", test.name, with-without, test.want)
		}
	}
}

func TestABodyOf1MBIsCopiedAtMostOnce(t *testing.T) {
	h := withUs(t, "")
	for _, model := range []string{groq, llama} {
		body := chatOf(model, 1<<20)
		ours := sending(body, h)
		if err := ours(); err != nil {
			t.Fatal(err)
		}
		result := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = ours()
			}
		})
		if got := result.AllocedBytesPerOp(); got > int64(len(body))+64<<10 {
			t.Errorf("%s: %d bytes allocated for a body of %d", model, got, len(body))
		}
	}
}

// BenchmarkHandler serves a request of a user who is in memory, with the handler and without it.
func BenchmarkHandler(b *testing.B) {
	for _, chain := range []struct {
		name string
		next caddyhttp.Handler
	}{{"with", withUs(b, "")}, {"limited", withUs(b, threeLimits)}, {"without", bare}} {
		for _, size := range []int{4 << 10, 200 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("handler=%s/size=%dKB", chain.name, size>>10), func(b *testing.B) {
				send := sending(chatOf(groq, size), chain.next)
				b.ReportAllocs()
				for b.Loop() {
					if err := send(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkRecord measures what metrics, the fields of the access log and a trace add to BenchmarkHandler:
// everything that is done with a request's record, except for the encoding of the log.
func BenchmarkRecord(b *testing.B) {
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		repl := caddy.NewEmptyReplacer()
		extra := new(caddyhttp.ExtraLogFields)
		r := (&http.Request{Header: http.Header{}}).WithContext(context.WithValue(context.WithValue(ctx, caddy.ReplacerCtxKey, repl), caddyhttp.ExtraLogFieldsCtxKey, extra))
		rec := newRecord(r)
		rec.email, rec.signedIn, rec.keyID, rec.lookup = testEmail, true, keystore.IDOf(testKey), cache.Fresh
		keyLookups[rec.lookup].Inc()
		rec.provider, rec.model, rec.outcome = "groq", "llama-3.3-70b-versatile", outcomeOK
		var scanner provider.UsageScanner
		scanner.Write(usageEvent)
		rec.counter = &scanner
		rec.wrote()
		rec.end(r.Context())
	}
}

var usageEvent = []byte(`data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}` + "\n\n")

// TestAnOpenStreamTakesAtMost16KB holds streams open through a whole Caddy, with the handler and with
// reverse_proxy alone.
func TestAnOpenStreamTakesAtMost16KB(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
	const streams = 200
	memory := func(path, body string, alone bool) float64 {
		release := make(chan struct{})
		u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			events(w)
			send(w, "data: {\"response\":\"a\"}\n\n")
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		s := setup{upstream: u.URL}
		if alone {
			s.matcher, s.proxy = "/never", "transport http"
		}
		p := start(t, s)
		open := func() {
			res := p.do(request{path: path, body: body})
			if _, err := io.ReadFull(res.Body, make([]byte, 10)); err != nil {
				t.Error(err)
			}
		}
		open() // memory that is allocated once does not count
		before := heap()
		var all sync.WaitGroup
		for range streams {
			all.Go(open)
		}
		all.Wait()
		used := float64(heap()-before) / streams
		close(release)
		return used
	}
	bareCaddy := memory("/v1/chat/completions", streamBody(llama), true)
	for name, body := range map[string]string{"/v1/chat/completions": streamBody(llama), "/v1/completions": completionBody(llama)} {
		ours := memory(name, body, false)
		t.Logf("%s: %.1f KB a stream, %.1f KB with reverse_proxy alone (client and upstream included)", name, ours/1024, bareCaddy/1024)
		if ours-bareCaddy > 16<<10 {
			t.Errorf("%s: an open stream takes %.1f KB more than with reverse_proxy alone, want at most 16", name, (ours-bareCaddy)/1024)
		}
	}
}

// heap returns the memory in use for objects and stacks.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkReceive compares receive with reading a body into memory of its announced length at once.
func BenchmarkReceive(b *testing.B) {
	for _, size := range []int{4 << 10, 200 << 10, 1 << 20, 3 << 20} {
		content := make([]byte, size)
		b.Run(fmt.Sprintf("grows=true/size=%dKB", size>>10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				body, err := receive(bytes.NewReader(content), int64(size), 20<<20)
				if err != nil {
					b.Fatal(err)
				}
				body.release()
			}
		})
		b.Run(fmt.Sprintf("grows=false/size=%dKB", size>>10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				body := newRequestBody(size)
				if _, err := io.ReadFull(bytes.NewReader(content), body.content); err != nil {
					b.Fatal(err)
				}
				body.release()
			}
		})
	}
}

// BenchmarkLeaving sends a body, the handler's own and a replaced one, without the work of a connection.
func BenchmarkLeaving(b *testing.B) {
	nowhere := writing(func(p []byte) (int, error) { return len(p), nil })
	for _, size := range []int{200 << 10, 1 << 20} {
		content := strings.Repeat("x", size)
		for _, ours := range []bool{true, false} {
			b.Run(fmt.Sprintf("ours=%t/size=%dKB", ours, size>>10), func(b *testing.B) {
				carried := new(handoff)
				carried.holding(content)
				b.ReportAllocs()
				for b.Loop() {
					reader := carried.body.open()
					leaving := &leavingBody{body: reader}
					if ours {
						leaving.reader = reader
					}
					if n, err := leaving.writeTo(nowhere, int64(size)); n != int64(size) || err != nil {
						b.Fatal(n, err)
					}
					_ = leaving.Close()
				}
			})
		}
	}
}

// BenchmarkDecompress reads a compressed body.
func BenchmarkDecompress(b *testing.B) {
	for _, encoding := range []string{"gzip", "zstd"} {
		for _, size := range []int{4 << 10, 200 << 10} {
			sent := []byte(compressed(b, encoding, string(chatOf(groq, size))))
			b.Run(fmt.Sprintf("%s/size=%dKB", encoding, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					body, err := decompress(b.Context(), encoding, sent, 20<<20)
					if err != nil {
						b.Fatal(err)
					}
					body.release()
				}
			})
		}
	}
}
