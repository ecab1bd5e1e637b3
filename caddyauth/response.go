package caddyauth

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// mode is what a response does with what is written to it.
type mode int

const (
	passing       mode = iota // to the client as it is
	translating               // to the translator, which writes to the client
	failing                   // collected, for the error that it will become
	misconfigured             // dropped
)

// maxErrorBody bounds what is read of an upstream's error.
const maxErrorBody = 256 << 10

// response is what next writes the upstream's answer to. It decides at the header what becomes of
// the body. A JSON object of ours gets its header only at the end, which alone shows whether it
// can be made.
//
// It is used by one goroutine at a time.
type response struct {
	http.ResponseWriter

	carried *handoff
	call    *openai.Call
	rec     *record

	status     int // of the upstream; 0 before its header
	mode       mode
	begun      bool // the client has the header
	events     bool // the upstream's answer is a stream of events
	translator openai.Translator
	scanner    provider.UsageScanner // of an answer that passes
	body       bytes.Buffer          // of an error
	passage    openai.Passage        // of a stream that passes
}

// WriteHeader takes the upstream's status; its header is in Header().
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return // informational answers are about the upstream's own connection
	}
	w.status = status
	w.carried.release()
	header := w.Header()
	w.rec.upstream(header)
	contentType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	w.events = strings.EqualFold(strings.TrimSpace(contentType), "text/event-stream")
	switch {
	case !w.carried.sent:
		w.mode = misconfigured
	case status >= 300:
		w.mode = failing
	default:
		w.pass(status, header)
	}
}

// pass begins an answer that is good, as it is or translated.
func (w *response) pass(status int, header http.Header) {
	if w.call.Translate != nil {
		w.translator = w.call.Translate(client{w}, w.events)
	}
	if w.translator == nil {
		w.rec.counter = &w.scanner
		w.begin(status)
		return
	}
	if header.Get("Content-Encoding") != "" {
		w.mode = failing // the transport has taken off what it can read
		return
	}
	w.mode = translating
	w.rec.counter = w.translator
	header.Del("Content-Length")
	header.Del("Etag")
	if !w.translator.Stream() {
		header.Set("Content-Type", "application/json")
		return
	}
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-cache")
	if w.events { // of JSON, it shows only later whether it is an answer
		w.begin(http.StatusOK)
	}
}

func (w *response) begin(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// client is where a translator writes to: a stream in pieces, an object in one.
type client struct{ *response }

func (c client) Write(p []byte) (int, error) {
	n := len(p)
	if bytes.Contains(p, errorEvent) { // a provider's, that may quote the key it refuses
		p = []byte(c.carried.redact(string(p)))
		c.rec.outcome = cmp.Or(c.rec.outcome, outcomeServerError)
	}
	c.rec.wrote()
	if !c.begun {
		if !c.translator.Stream() {
			c.Header().Set("Content-Length", strconv.Itoa(len(p)))
		}
		c.begin(http.StatusOK)
	}
	if _, err := c.ResponseWriter.Write(p); err != nil {
		return 0, err
	}
	return n, nil
}

// errorMember is in each message that reports an error in an answer that passes.
var errorMember = openai.NewNeedle(`"e`, `rror`)

// errorEvent is how the event begins that ends a stream with an error.
var errorEvent = []byte(`data: {"error":`)

// Write takes a piece of the upstream's body.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK) // where the upstream's header has not come
	switch w.mode {
	case passing:
		w.rec.wrote()
		w.scanner.Write(p)
		return len(p), w.passOn(p)
	case translating:
		n, err := w.translator.Write(p)
		w.carried.done = w.translator.Done()
		return n, err
	case failing:
		w.body.Write(p[:min(len(p), maxErrorBody-w.body.Len())])
		w.carried.done = w.body.Len() == maxErrorBody
	}
	return len(p), nil
}

// passOn gives the client a piece of an answer that passes.
func (w *response) passOn(p []byte) error {
	var reported *openai.Error
	if w.events {
		p, reported = w.passage.Pass(p)
	}
	if errorMember.In(p) {
		p = w.carried.mask(p)
	}
	if reported != nil {
		w.rec.outcome = outcomeServerError
		p = w.passage.AppendFrame(p, w.clean(reported))
	}
	if len(p) == 0 {
		return nil
	}
	_, err := w.ResponseWriter.Write(p)
	return err
}

// FlushError flushes what the client may see already. reverse_proxy calls it after each Write.
func (w *response) FlushError() error {
	if !w.begun {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap returns the client's writer, for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// close ends the answer once the upstream's has ended. What the client has to be told instead of
// it is returned as *openai.Error.
func (w *response) close() error {
	w.WriteHeader(http.StatusOK) // where nothing has come at all
	switch w.mode {
	case passing:
		if w.events {
			return w.endStream(nil)
		}
	case translating:
		return w.redacted(w.translator.Close())
	case failing:
		return w.upstreamError()
	case misconfigured:
		clear(w.Header()) // of an answer that has nothing to do with the request
		return &openai.Error{
			Status: http.StatusInternalServerError, Code: "misconfigured", Final: true,
			Message: "Tell whoever runs this server: its reverse_proxy lacks a line, which the log names.",
		}
	}
	return nil
}

// abort ends the answer after the upstream's was cut off. A stream says so in its last event; an
// object that has begun can only break off too.
func (w *response) abort() error {
	cut := openai.UpstreamBroken("Try again: the provider's answer was cut off.")
	switch {
	case w.mode == translating:
		return w.redacted(w.translator.Abort(cut))
	case w.mode != passing:
		return w.close()
	case !w.events:
		panic(http.ErrAbortHandler)
	}
	return w.endStream(cut)
}

// endStream ends a stream that has passed, with e or what is wrong with it.
func (w *response) endStream(e *openai.Error) error {
	rest, incomplete := w.passage.Close()
	if e == nil && incomplete != nil {
		w.rec.outcome = outcomeCut
		e = incomplete
	}
	if errorMember.In(rest) {
		rest = w.carried.mask(rest)
	}
	if e != nil {
		rest = w.passage.AppendFrame(rest, e)
	}
	if len(rest) == 0 {
		return nil
	}
	if _, err := w.ResponseWriter.Write(rest); err != nil {
		return err
	}
	return w.FlushError()
}

// complete reports whether a stream that has passed came to its end, whatever the connection does then.
func (w *response) complete() bool { return w.mode == passing && w.passage.Complete() }

// redacted is err, clean.
func (w *response) redacted(err error) error {
	var e *openai.Error
	if !errors.As(err, &e) {
		return err
	}
	return w.clean(e)
}

// clean is e without the secrets that a provider may have put into it.
func (w *response) clean(e *openai.Error) *openai.Error {
	clean := *e
	clean.Message = w.carried.redact(e.Message)
	return &clean
}

// upstreamError is the upstream's error as the client is to see it, without the headers that
// describe the upstream's body.
func (w *response) upstreamError() error {
	header := w.Header()
	e := openai.UpstreamError(w.status, header, w.body.Bytes())
	for _, name := range []string{
		"Content-Encoding", "Content-Length", "Content-Disposition", "Etag", "Last-Modified", "Location",
		"Retry-After", "Trailer", "Www-Authenticate", "Proxy-Authenticate", "X-Should-Retry",
	} {
		delete(header, name)
	}
	e.Message = w.carried.redact(e.Message)
	return e
}
