package caddyauth

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// mode is what a response does with what is written to it.
type mode int

const (
	undecided     mode = iota // held, until it shows what it is
	passing                   // to the client as it is
	translating               // to the translator, which writes to the client
	failing                   // collected, for the error that it will become
	misconfigured             // dropped
)

// maxErrorBody bounds what is read of an upstream's error.
const maxErrorBody = 256 << 10

// response is what next writes the upstream's answer to. Whether that is events or an object, its first
// byte tells: labels may be missing or wrong. A JSON object gets its header only once it is known to be an
// answer.
//
// It is used by one goroutine at a time.
type response struct {
	http.ResponseWriter

	carried *handoff
	call    *hub.Call
	rec     *record

	status     int // of the upstream; 0 before its header
	mode       mode
	begun      bool // the client has the header
	events     bool // the upstream's answer is a stream of events
	looked     bool // and its first byte has shown it
	translator hub.Translator
	scanner    provider.UsageScanner // of an answer that passes
	body       bytes.Buffer          // of an error, or of what is undecided
	passage    hub.Passage           // of a stream that passes
	object     hub.ObjectPassage     // of an object that passes
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
	switch {
	case !w.carried.sent:
		w.mode = misconfigured
	case status >= 300, header.Get("Content-Encoding") != "": // the transport has taken off what it can read
		w.mode = failing
	case w.carried.streamed && isEvents(header): // whose header must not wait for them
		w.events = true
		w.pass()
	}
}

// isEvents reports whether a header says that its body is a stream of events.
func isEvents(header http.Header) bool {
	contentType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(contentType), "text/event-stream")
}

// decide takes more of an answer that is not known to be one.
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

// pass begins an answer that is good, as it is or translated.
func (w *response) pass() {
	if w.call.Translate != nil {
		w.translator = w.call.Translate(client{w}, w.events)
	}
	if w.translator != nil {
		w.translate()
		return
	}
	if w.events && !w.carried.streamed {
		w.mode = failing // nothing makes an object of them
		return
	}
	w.mode = passing
	w.rec.counter = &w.scanner
	header := w.Header()
	switch {
	case w.events:
		header.Del("Content-Length") // an error may end it
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
	if w.events && !w.begun { // of JSON, it shows only later whether it is an answer
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
	if bytes.Contains(p, errorEvent) || bytes.Contains(p, messagesError) { // a provider's, that may quote the key it refuses
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
var errorMember = jsontext.NewNeedle(`"e`, `rror`)

// errorEvent and messagesError are how the events begin that end streams with an error, in OpenAI's format and
// in Anthropic's. No text can hold them, because its quotes are escaped.
var (
	errorEvent    = []byte(`data: {"error":`)
	messagesError = []byte(`data: {"type":"error",`)
)

// Write takes a piece of the upstream's body.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK) // where the upstream's header has not come
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

// passOn gives the client a piece of an answer that passes.
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

// isObject looks at the first byte of what has been called events. Where it is JSON, a translator makes
// events of it.
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

// send sends the client what passes, and the error that the provider reports behind it.
func (w *response) send(p []byte, reported *hub.Error) error {
	if errorMember.In(p) {
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
// it is returned as *hub.Error.
func (w *response) close() error {
	w.WriteHeader(http.StatusOK) // where nothing has come at all
	switch w.mode {
	case undecided:
		_, e := w.object.Close() // it is empty
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
		clear(w.Header()) // of an answer that has nothing to do with the request
		return &hub.Error{
			Status: http.StatusInternalServerError, Code: "misconfigured", Final: true,
			Message: "Tell whoever runs this server: its reverse_proxy lacks a line, which the log names.",
		}
	}
	return nil
}

// fail ends an answer that is an error. One in the client's own format passes, because clients go by its
// wording, unless it is about the operator's credentials.
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

// abort ends the answer after the upstream's was cut off. A stream says so in its last event; an
// object that has begun can only break off too.
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

// endStream ends a stream that has passed, with e or what is wrong with it.
func (w *response) endStream(e *hub.Error) error {
	rest, incomplete := w.passage.Close()
	if w.passage.Failed() {
		w.rec.outcome = cmp.Or(w.rec.outcome, outcomeServerError)
	}
	if e == nil && incomplete != nil {
		w.rec.outcome = cmp.Or(w.rec.outcome, outcomeCut)
		e = incomplete
	}
	if errorMember.In(rest) {
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

// complete reports whether a stream that has passed came to its end, whatever the connection does then.
func (w *response) complete() bool { return w.mode == passing && w.passage.Complete() }

// told is err as the client is to be told of it: without the secrets that a provider may have put into it,
// and without the headers that describe the upstream's body. A stream that has begun ends with it.
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

// describing are the headers of the upstream's answer that an error of ours has none or others of.
var describing = []string{
	"Content-Encoding", "Content-Length", "Content-Disposition", "Etag", "Last-Modified", "Location",
	"Retry-After", "Trailer", "Www-Authenticate", "Proxy-Authenticate", "X-Should-Retry",
}

// clean is e without the secrets that a provider may have put into it.
func (w *response) clean(e *hub.Error) *hub.Error {
	clean := *e
	clean.Message = w.carried.redact(e.Message)
	return &clean
}
