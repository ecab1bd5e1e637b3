package caddyauth

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// compressed returns content in that encoding, as a client sends it.
func compressed(tb testing.TB, encoding, content string) string {
	tb.Helper()
	var b bytes.Buffer
	w := compressor(tb, encoding, &b)
	if _, err := io.WriteString(w, content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func compressor(tb testing.TB, encoding string, to io.Writer) io.WriteCloser {
	tb.Helper()
	if encoding == "gzip" {
		return gzip.NewWriter(to)
	}
	w, err := zstd.NewWriter(to)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func TestACompressedBodyIsSentUpstreamDecompressed(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "client_headers Content-Encoding"})
	long := `{"messages":[{"role":"user","content":"` + strings.Repeat("x ", 500<<10) + `"}],"model":"` + groq + `"}`
	for name, test := range map[string]struct{ says, encoding, body string }{
		"gzip":                 {"gzip", "gzip", chatBody(groq)},
		"gzip in capitals":     {"GZIP", "gzip", chatBody(groq)},
		"gzip by its old name": {"x-gzip", "gzip", chatBody(groq)},
		"gzip, long":           {"gzip", "gzip", long},
		"zstd":                 {"zstd", "zstd", chatBody(groq)},
		"zstd in mixed case":   {" Zstd", "zstd", chatBody(groq)},
		"zstd, long":           {"zstd", "zstd", long},
		"zstd and nothing":     {"identity, zstd,", "zstd", chatBody(groq)},
		"nothing":              {"identity", "", chatBody(groq)},
		"nothing at all":       {"", "", chatBody(groq)},
	} {
		t.Run(name, func(t *testing.T) {
			header := as(testEmail, testKey)
			header["Content-Encoding"] = test.says
			sent := test.body
			if test.encoding != "" {
				sent = compressed(t, test.encoding, test.body)
			}
			res := p.do(request{path: "/v1/chat/completions", header: header, body: sent})
			if res.StatusCode != 200 {
				t.Fatalf("status %d: %s", res.StatusCode, read(t, res))
			}
			r, body := u.seen()
			if body != test.body {
				t.Errorf("%d bytes went upstream, want %d: %.100s", len(body), len(test.body), body)
			}
			if got := r.Header.Get("Content-Encoding"); got != "" {
				t.Errorf("Content-Encoding went upstream as %q", got)
			}
			if r.ContentLength != int64(len(test.body)) {
				t.Errorf("Content-Length went upstream as %d", r.ContentLength)
			}
		})
	}
}

func TestInvalidCompressedBodiesAreRefused(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "max_body_size 100KB"})
	good := map[string]string{"gzip": compressed(t, "gzip", chatBody(groq)), "zstd": compressed(t, "zstd", chatBody(groq))}
	flipped := func(s string) string {
		b := []byte(s)
		b[len(b)-6] ^= 0x10 // in the checksum of gzip, in the content of zstd
		return string(b)
	}
	spaces := strings.Repeat(" ", 200<<10)
	for name, test := range map[string]struct {
		encoding, body string
		status         int
		code, says     string
	}{
		"br":                         {"br", good["gzip"], 415, "unsupported_encoding", "gzip or zstd"},
		"deflate":                    {"deflate", good["gzip"], 415, "unsupported_encoding", "gzip or zstd"},
		"a made-up encoding":         {"gzipp", good["gzip"], 415, "unsupported_encoding", "gzip or zstd"},
		"two encodings":              {"gzip, zstd", good["gzip"], 415, "unsupported_encoding", "alone"},
		"the same twice":             {"gzip, gzip", good["gzip"], 415, "unsupported_encoding", "alone"},
		"JSON called gzip":           {"gzip", chatBody(groq), 400, "invalid_request_error", "gzip"},
		"JSON called zstd":           {"zstd", chatBody(groq), 400, "invalid_request_error", "zstd"},
		"gzip called zstd":           {"zstd", good["gzip"], 400, "invalid_request_error", "zstd"},
		"gzip without its end":       {"gzip", good["gzip"][:len(good["gzip"])-1], 400, "invalid_request_error", "not all"},
		"zstd without its end":       {"zstd", good["zstd"][:len(good["zstd"])-1], 400, "invalid_request_error", "not all"},
		"gzip with a byte after it":  {"gzip", good["gzip"] + "x", 400, "invalid_request_error", "gzip"},
		"gzip with text after it":    {"gzip", good["gzip"] + chatBody(groq), 400, "invalid_request_error", "gzip"},
		"zstd with a byte after it":  {"zstd", good["zstd"] + "x", 400, "invalid_request_error", "zstd"},
		"zstd with text after it":    {"zstd", good["zstd"] + chatBody(groq), 400, "invalid_request_error", "zstd"},
		"gzip that has been changed": {"gzip", flipped(good["gzip"]), 400, "invalid_request_error", "gzip"},
		"zstd that has been changed": {"zstd", flipped(good["zstd"]), 400, "invalid_request_error", "zstd"},
		"an empty body called gzip":  {"gzip", "", 400, "invalid_request_error", "gzip"},
		"an empty body called zstd":  {"zstd", "", 400, "invalid_request_error", "JSON"},
		"a window too large":         {"zstd", zstdWindow(14), 400, "invalid_request_error", "8 MB"},
		"the largest allowed window": {"zstd", zstdWindow(13), 400, "invalid_request_error", "JSON"},
		"gzip with too much content": {"gzip", compressed(t, "gzip", spaces), 413, "request_too_large", "100 kB"},
		"zstd with too much content": {"zstd", compressed(t, "zstd", spaces), 413, "request_too_large", "100 kB"},
		"too much gzip":              {"gzip", strings.Repeat(good["gzip"], 2000), 413, "request_too_large", "100 kB"},
	} {
		t.Run(name, func(t *testing.T) {
			header := as(testEmail, testKey)
			header["Content-Encoding"] = test.encoding
			res := p.do(request{path: "/v1/chat/completions", header: header, body: test.body})
			accepts := ""
			if test.status == 415 {
				accepts = "gzip, zstd"
			}
			if got := res.Header.Get("Accept-Encoding"); got != accepts {
				t.Errorf("Accept-Encoding is %q, want %q", got, accepts)
			}
			if res.Header.Get("X-Should-Retry") != "false" {
				t.Error("X-Should-Retry is not false")
			}
			if e := wantError(t, res, test.status, test.code); !strings.Contains(e.Get("message").Str, test.says) {
				t.Errorf("message %q, want the words %q", e.Get("message").Str, test.says)
			}
		})
	}
	if seen, _ := u.seen(); seen != nil {
		t.Error("a request reached the gateway")
	}
	header := map[string]string{"Content-Encoding": "br"}
	wantError(t, p.do(request{path: "/v1/chat/completions", header: header, body: "x"}), 401, "invalid_api_key")
}

// zstdWindow returns an empty frame that asks for a window of 2^log KB (RFC 8878, section 3.1.1).
func zstdWindow(log byte) string {
	return "\x28\xb5\x2f\xfd" + "\x00" + string([]byte{log << 3}) + "\x01\x00\x00"
}

// The size of a bomb must not show in memory, and so not in time either.
func TestADecompressionBombTakesNoMoreMemoryThanTheLimit(t *testing.T) {
	const limit = 1 << 20
	for _, encoding := range []string{"gzip", "zstd"} {
		var bomb bytes.Buffer
		w := compressor(t, encoding, &bomb)
		zeros := make([]byte, 1<<20)
		size := 128
		if testing.Short() { // with the race detector
			size = 32
		}
		for range size {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decompress(t.Context(), encoding, bomb.Bytes(), limit)
		runtime.ReadMemStats(&after)
		if !errors.As(err, new(*http.MaxBytesError)) {
			t.Errorf("%s: error %v", encoding, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 2*maxWindow+4*limit {
			t.Errorf("%s: %d bytes allocated for a bomb of %d MB", encoding, got, size)
		}
	}
}

func TestACanceledRequestDoesNotWaitForADecoder(t *testing.T) {
	for range cap(turns) {
		turns <- struct{}{}
	}
	defer func() {
		for range cap(turns) {
			<-turns
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := decompress(ctx, "gzip", []byte(compressed(t, "gzip", "{}")), 100); !errors.Is(err, ctx.Err()) {
		t.Errorf("error %v", err)
	}
}

func FuzzDecompress(f *testing.F) {
	for _, content := range []string{"", "{}", chatBody(groq), strings.Repeat("long ", 50<<10)} {
		f.Add("gzip", []byte(compressed(f, "gzip", content)))
		f.Add("zstd", []byte(compressed(f, "zstd", content)))
	}
	f.Fuzz(func(t *testing.T, encoding string, sent []byte) {
		if encoding != "gzip" {
			encoding = "zstd"
		}
		const limit = 100 << 10
		if body, err := decompress(t.Context(), encoding, sent, limit); err == nil {
			if len(body.content) > limit {
				t.Errorf("%d bytes", len(body.content))
			}
			body.release()
		}
		// Compressing and decompressing must give the same bytes.
		if len(sent) > limit {
			return
		}
		body, err := decompress(t.Context(), encoding, []byte(compressed(t, encoding, string(sent))), limit)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(body.content, sent) {
			t.Errorf("%s becomes %s", strconv.Quote(string(sent)), strconv.Quote(string(body.content)))
		}
		body.release()
	})
}
