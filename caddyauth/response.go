package caddyauth

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// mode is what a response does with the upstream's body.
type mode int

const (
	undecided     mode = iota // holds it until its kind is known
	passing                   // sends it to the client unchanged
	translating               // gives it to the translator, which writes to the client
	failing                   // collects it to make an error of it
	misconfigured             // drops it
)

// maxErrorBody limits how much of an upstream's error is read.
const maxErrorBody = 256 << 10

// response is the http.ResponseWriter that next writes the upstream's answer to. The first byte of the body
// tells whether it is a stream of events or an object, because the Content-Type may be missing or wrong. The
// header of a JSON object is sent only when it is known to be an answer.
//
// It is for use by one goroutine at a time.
type response struct {
	http.ResponseWriter

	carried *handoff
	call    *hub.Call
	rec     *record

	status     int // the upstream's status; 0 before its header
	mode       mode
	begun      bool // the header has been sent to the client
	events     bool // the upstream's answer is a stream of events
	looked     bool // the first byte of the body has been checked
	translator hub.Translator
	scanner    provider.UsageScanner // counts the tokens of an answer that passes
	body       bytes.Buffer          // the body of an error or of an undecided answer
	passage    hub.Passage           // a stream that passes
	object     hub.ObjectPassage     // an object that passes
}

// WriteHeader takes the upstream's status. The upstream's header is in Header().
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return // informational answers concern only the upstream's connection
	}
	w.status = status
	w.carried.release()
	header := w.Header()
	w.rec.upstream(header)
	switch {
	case !w.carried.sent:
		w.mode = misconfigured
	case status >= 300, header.Get("Content-Encoding") != "": // the transport has removed the encodings that it can read
		w.mode = failing
	case w.carried.streamed && isEvents(header): // the header must not wait for the first event
		w.events = true
		w.pass()
	}
}

// isEvents reports whether the Content-Type is that of a stream of events.
func isEvents(header http.Header) bool {
	contentType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(contentType), "text/event-stream")
}

// decide takes a part of a body whose kind is not known yet.
func (w *response) decide(p []byte) error {
	w.body.Write(p)
	switch hub.ContentOf(w.body.Bytes()) {
	case hub.Unknown:
		if w.body.Len() > maxErrorBody {
			w.mode = failing
		}
		return nil
	case hub.Other:
		w.mode = failing
		return nil
	case hub.Events:
		w.events = true
	}
	w.looked = true
	w.pass()
	if w.mode == failing {
		return nil
	}
	_, err := w.Write(w.body.Bytes())
	w.body = bytes.Buffer{}
	return err
}

// pass begins an answer with status 2xx, translated or unchanged.
func (w *response) pass() {
	if w.call.Translate != nil {
		w.translator = w.call.Translate(client{w}, w.events)
	}
	if w.translator != nil {
		w.translate()
		return
	}
	if w.events && !w.carried.streamed {
		w.mode = failing // there is no translator that makes an object of them
		return
	}
	w.mode = passing
	w.rec.counter = &w.scanner
	header := w.Header()
	switch {
	case w.events:
		header.Del("Content-Length") // an error may be appended
		if !isEvents(header) {
			header.Set("Content-Type", "text/event-stream")
		}
		w.begin(w.status)
	case !strings.HasPrefix(header.Get("Content-Type"), "application/json"):
		header.Set("Content-Type", "application/json")
	}
}

// translate begins an answer that the translator writes.
func (w *response) translate() {
	w.mode = translating
	w.rec.counter = w.translator
	header := w.Header()
	header.Del("Content-Length")
	header.Del("Etag")
	if !w.translator.Stream() {
		header.Set("Content-Type", "application/json")
		return
	}
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-cache")
	if w.events && !w.begun { // for JSON, wait until it is known to be an answer
		w.begin(http.StatusOK)
	}
}

func (w *response) begin(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// client is the writer for a translator. A stream is written in pieces, an object in one.
type client struct{ *response }

func (c client) Write(p []byte) (int, error) {
	n := len(p)
	if endsInError(p) { // the provider may quote the key that it refuses
		p = []byte(c.carried.redact(string(p)))
		c.rec.outcome = cmp.Or(c.rec.outcome, outcomeServerError)
	}
	c.rec.wrote()
	c.rec.translated(p, c.translator)
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

// failures are the beginnings of the events that end streams with an error, of chats, of responses and of
// Messages. No text can contain them, because its quotes are escaped.
var failures = [][]byte{[]byte(`data: {"error":`), []byte(`data: {"type":"response.failed"`), []byte(`data: {"type":"error",`)}

// endsInError reports whether a part of a translated stream ends it with an error.
func endsInError(p []byte) bool {
	return slices.ContainsFunc(failures, func(event []byte) bool { return bytes.Contains(p, event) })
}

// Write takes a part of the upstream's body.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK) // if the upstream's header has not been written
	switch w.mode {
	case undecided:
		return len(p), w.decide(p)
	case passing:
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

// passOn sends the client a part of an answer that passes.
func (w *response) passOn(p []byte) error {
	if w.events && !w.looked && w.isObject(p) {
		_, err := w.translator.Write(p)
		return err
	}
	w.rec.wrote()
	w.scanner.Write(p)
	if !w.events {
		return w.send(w.object.Pass(p), nil)
	}
	return w.send(w.passage.Pass(p))
}

// isObject checks the first byte of a body that is labeled as events. If it is JSON, a translator turns it
// into events.
func (w *response) isObject(p []byte) bool {
	content := hub.ContentOf(p)
	w.looked = content != hub.Unknown
	if content != hub.JSON || w.call.Translate == nil {
		return false
	}
	if w.translator = w.call.Translate(client{w}, false); w.translator == nil {
		return false
	}
	w.mode = translating
	w.rec.counter = w.translator
	return true
}

// send sends p to the client, and then the error that the provider reports after it, if any.
func (w *response) send(p []byte, reported *hub.Error) error {
	if hub.ErrorMember.In(p) {
		p = w.carried.mask(p)
	}
	if reported != nil {
		w.rec.refuse(reported)
		w.carried.done = true
		p = w.passage.AppendFrame(p, w.clean(reported))
	}
	if len(p) == 0 {
		return nil
	}
	if !w.begun {
		w.begin(w.status)
	}
	if w.events || !w.scanner.Found() { // token counts are for the whole object
		w.rec.said(p)
	}
	_, err := w.ResponseWriter.Write(p)
	return err
}

// FlushError flushes what the client may have already. reverse_proxy calls it after each Write.
func (w *response) FlushError() error {
	if !w.begun {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap returns the client's writer, for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// close ends the answer after the upstream's body has ended. If the client must get an error instead of the
// answer, close returns it as *hub.Error.
func (w *response) close() error {
	w.WriteHeader(http.StatusOK) // if nothing has been written at all
	switch w.mode {
	case undecided:
		_, e := w.object.Close() // the body is empty
		return w.told(e)
	case passing:
		if w.events {
			return w.endStream(nil)
		}
		rest, e := w.object.Close()
		if e != nil {
			return w.told(e)
		}
		return w.send(rest, nil)
	case translating:
		return w.told(w.translator.Close())
	case failing:
		return w.fail()
	case misconfigured:
		clear(w.Header()) // the answer has nothing to do with the request
		return &hub.Error{
			Status: http.StatusInternalServerError, Code: "misconfigured", Final: true,
			Message: "Tell whoever runs this server: a line is missing in its reverse_proxy block. The log names the line.",
		}
	}
	return nil
}

// fail ends an answer that is an error. An error in the client's own format passes, because clients depend on
// its wording. An error about the operator's credentials never passes.
func (w *response) fail() error {
	e := hub.UpstreamError(w.status, w.Header(), w.body.Bytes())
	if w.call.OwnError == nil || w.status < 400 || e.Code == "upstream_auth_failed" || e.Code == "upstream_misconfigured" {
		return w.told(e)
	}
	body := w.call.OwnError(w.body.Bytes())
	if body == nil {
		return w.told(e)
	}
	w.rec.refuse(e)
	body = w.carried.mask(body)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.begin(w.status)
	_, err := w.ResponseWriter.Write(body)
	return err
}

// abort ends the answer after the upstream's was cut off. A stream reports that in its last event. An object
// that has begun can only be cut off too.
func (w *response) abort() error {
	cut := hub.UpstreamBroken("Try again: the provider's answer was cut off.")
	switch {
	case w.mode == translating:
		return w.told(w.translator.Abort(cut))
	case w.mode == undecided:
		return w.told(cut)
	case w.mode != passing:
		return w.close()
	case w.events:
		return w.endStream(cut)
	case w.begun:
		panic(http.ErrAbortHandler)
	}
	return w.told(cut)
}

// endStream ends a stream that has passed. It reports e, or the error that the end of the stream shows.
func (w *response) endStream(e *hub.Error) error {
	rest, incomplete := w.passage.Close()
	if w.passage.Failed() {
		w.rec.outcome = cmp.Or(w.rec.outcome, outcomeServerError)
	}
	if e == nil && incomplete != nil {
		w.rec.outcome = cmp.Or(w.rec.outcome, outcomeCut)
		e = incomplete
	}
	if hub.ErrorMember.In(rest) {
		rest = w.carried.mask(rest)
	}
	if e != nil {
		rest = w.passage.AppendFrame(rest, w.clean(e))
	}
	if len(rest) == 0 {
		return nil
	}
	if _, err := w.ResponseWriter.Write(rest); err != nil {
		return err
	}
	return w.FlushError()
}

// complete reports whether a stream that passes has ended, so that it does not matter how the connection
// ends.
func (w *response) complete() bool { return w.mode == passing && w.passage.Complete() }

// told prepares an error for the client: it removes secrets that a provider may have quoted, and the headers
// that describe the upstream's body. If the answer has begun, told writes the error as its last event.
func (w *response) told(err error) error {
	var e *hub.Error
	if !errors.As(err, &e) {
		return err
	}
	if w.begun {
		w.rec.outcome = cmp.Or(w.rec.outcome, outcomeServerError)
		_, err := w.ResponseWriter.Write(w.rec.wire.AppendErrorFrame(nil, w.clean(e)))
		return err
	}
	for _, name := range describing {
		delete(w.Header(), name)
	}
	return w.clean(e)
}

// describing are the headers of the upstream's answer that do not apply to an error of this server.
var describing = []string{
	"Content-Encoding", "Content-Length", "Content-Disposition", "Etag", "Last-Modified", "Location",
	"Retry-After", "Trailer", "Www-Authenticate", "Proxy-Authenticate", "X-Should-Retry",
}

// clean returns e without secrets that a provider may have quoted.
func (w *response) clean(e *hub.Error) *hub.Error {
	clean := *e
	clean.Message = w.carried.redact(e.Message)
	return &clean
}
