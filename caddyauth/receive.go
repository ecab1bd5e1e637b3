package caddyauth

import (
	"errors"
	"io"
	"net/http"

	"github.com/dustin/go-humanize"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// The memory of a body grows with what has come of it. A client may promise 20 MB, send one byte and wait.
//
// Most bodies are at most smallBody long and get their memory at once. A longer one pays with a copy of its
// firstPart, up to 2 MB: each step further costs a copy of what has come.
const (
	smallBody   = 256 << 10
	firstPart   = 128 << 10
	growth      = 16       // how many times as much memory as has come a body of known length may have
	blindPart   = 64 << 10 // the first part of a body whose length nobody has said
	blindGrowth = 4
)

// readBody reads the whole request body and decompresses it. The caller has to release it.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (*requestBody, error) {
	limit := h.settings.maxBodySize
	encoding, err := contentEncoding(w, r)
	if err != nil {
		return nil, err
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	from := io.Reader(r.Body)
	if r.ContentLength < 0 {
		from = http.MaxBytesReader(w, r.Body, limit) // which closes the connection beyond the limit
	}
	body, err := receive(from, r.ContentLength, limit)
	broken := "Send the request again: its body could not be read to the end."
	if err == nil && encoding != "" {
		sent := body
		body, err = decompress(r.Context(), encoding, sent.content, limit)
		sent.release()
		broken = "Check how the request body is compressed: it is not all of a " + encoding + " stream" + limits[encoding] + "."
	}
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLarge(limit)
	case r.Context().Err() != nil:
		return nil, clientGone(r.Context())
	}
	return nil, hub.BadRequest("", broken)
}

// receive reads a body of that length, or to its end if length is negative. A body that is longer than limit
// is a *http.MaxBytesError. The caller has to release the body.
func receive(from io.Reader, length, limit int64) (*requestBody, error) {
	known := length >= 0
	size, room, factor := length, int64(firstPart), int64(growth)
	switch {
	case !known:
		size, room, factor = limit+1, blindPart, blindGrowth // one byte more shows that the body is too long
	case size <= smallBody:
		room = size
	}
	body := newRequestBody(int(min(size, room)))
	n := 0
	var err error
	for err == nil && int64(n) < size {
		if n == len(body.content) {
			body = body.grown(int(min(size, factor*int64(n))))
		}
		var got int
		got, err = from.Read(body.content[n:])
		n += got
	}
	switch {
	case known && int64(n) == size:
		return body, nil
	case !known && int64(n) == size:
		err = &http.MaxBytesError{Limit: limit}
	case !known && err == io.EOF:
		body.content = body.content[:n]
		return body, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	body.release()
	return nil, err
}

// grown returns a body of that size that begins with the content of b, which it releases.
func (b *requestBody) grown(size int) *requestBody {
	larger := newRequestBody(size)
	copy(larger.content, b.content)
	b.release()
	return larger
}

func tooLarge(limit int64) *hub.Error {
	return &hub.Error{
		Status: http.StatusRequestEntityTooLarge, Code: "request_too_large", Final: true,
		Message: "Send less: the request body is larger than " + humanize.Bytes(uint64(limit)) + ".",
	}
}
