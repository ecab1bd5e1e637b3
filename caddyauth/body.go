package caddyauth

import (
	"errors"
	"io"
	"net/http"

	"github.com/dustin/go-humanize"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// readBody reads the whole request body, in one buffer of its very size where the client has said
// it.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := h.settings.maxBodySize
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var read []byte
	var err error
	if r.ContentLength >= 0 {
		read = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, read)
	} else {
		read, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	}
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLarge(limit)
	case r.Context().Err() != nil:
		return nil, clientGone(r.Context())
	case err != nil:
		return nil, openai.BadRequest("", "Send the request again: its body could not be read to the end.")
	}
	return read, nil
}

func tooLarge(limit int64) *openai.Error {
	return &openai.Error{
		Status: http.StatusRequestEntityTooLarge, Code: "request_too_large", Final: true,
		Message: "Send less: the request body is larger than " + humanize.Bytes(uint64(limit)) + ".",
	}
}
