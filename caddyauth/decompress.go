package caddyauth

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// contentEncoding returns the encoding of a request's body: gzip, zstd, or "". For any other encoding it
// returns an error with status 415 and sets the Accept-Encoding header that this status requires (RFC 9110,
// section 15.5.16).
func contentEncoding(w http.ResponseWriter, r *http.Request) (string, error) {
	encoding := ""
	for _, line := range r.Header["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			coding = strings.ToLower(strings.TrimSpace(coding))
			switch {
			case coding == "", coding == "identity":
			case encoding != "":
				return "", unsupportedEncoding(w)
			case coding == "gzip", coding == "x-gzip": // the same (RFC 9110, section 8.4.1.3)
				encoding = "gzip"
			case coding == "zstd":
				encoding = coding
			default:
				return "", unsupportedEncoding(w)
			}
		}
	}
	return encoding, nil
}

func unsupportedEncoding(w http.ResponseWriter) *hub.Error {
	w.Header().Set("Accept-Encoding", "gzip, zstd")
	return &hub.Error{
		Status: http.StatusUnsupportedMediaType, Code: "unsupported_encoding", Final: true,
		Message: "Compress the request body with gzip or zstd alone, or not at all.",
	}
}

// maxWindow limits the window of a zstd stream, and so the memory of its decoder. It is the largest window
// that clients may use in HTTP (RFC 9659).
const maxWindow = 8 << 20

// limits are the limits of an encoding, as a part of an error message.
var limits = map[string]string{"zstd": " with a window of at most 8 MB"}

// turns limits how many bodies are decompressed at once, and so the memory of all decoders. There is one turn
// for each processor, so that all of them can work.
var turns = make(chan struct{}, runtime.GOMAXPROCS(0))

var gzipDecoders = sync.Pool{New: func() any { return new(gzip.Reader) }}

var zstdDecoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
	if err != nil {
		panic(err) // the options are constant, so this cannot happen
	}
	return d
}}

// decompress decompresses a body that has been received completely, so that no decoder waits for a client. If
// the result is longer than limit, the error is a *http.MaxBytesError. The caller must release the result.
func decompress(ctx context.Context, encoding string, compressed []byte, limit int64) (*requestBody, error) {
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	from := bytes.NewReader(compressed)
	if encoding == "gzip" {
		d := gzipDecoders.Get().(*gzip.Reader)
		defer func() {
			_ = d.Reset(new(bytes.Reader)) // so that it keeps no reference to the body
			gzipDecoders.Put(d)
		}()
		if err := d.Reset(from); err != nil {
			return nil, err
		}
		return receive(d, -1, limit)
	}
	d := zstdDecoders.Get().(*zstd.Decoder)
	defer func() {
		_ = d.Reset(nil)
		zstdDecoders.Put(d)
	}()
	if err := d.Reset(from); err != nil {
		return nil, err
	}
	return receive(d, -1, limit)
}
