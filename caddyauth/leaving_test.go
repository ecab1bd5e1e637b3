package caddyauth

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// readerOf reads from one body and closes another.
type readerOf struct {
	io.Reader
	io.Closer
}

// upper changes what has been read, in place.
type upper struct{ io.Reader }

func (u upper) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	copy(p, bytes.ToUpper(p[:n]))
	return n, err
}

// inserting inserts a text after a certain number of bytes.
type inserting struct {
	io.Reader
	behind int
	what   string
}

func (i *inserting) Read(p []byte) (int, error) {
	if i.behind > 0 {
		n, err := i.Reader.Read(p[:min(len(p), i.behind)])
		i.behind -= n
		return n, err
	}
	given := copy(p, i.what)
	i.what = i.what[given:]
	n, err := i.Reader.Read(p[given:])
	return given + n, err
}

// A body of this length is sent in more than one piece.
const longLength = 600 << 10

// lettersAndNumbers returns a text in which no part is like another.
func lettersAndNumbers() string {
	var b strings.Builder
	for n := 0; b.Len() < longLength; n++ {
		fmt.Fprintf(&b, "line %d\n", n)
	}
	return b.String()[:longLength]
}

func TestALongBodyIsSentAsOtherHandlersChangeIt(t *testing.T) {
	u := newUpstream(t, answerChat)
	transport, _ := transportOf(t)
	body := lettersAndNumbers()
	var log bytes.Buffer
	for name, test := range map[string]struct {
		between func(io.Reader) io.Reader
		want    string
	}{
		"nothing":                              {func(r io.Reader) io.Reader { return r }, body},
		"a log of it":                          {func(r io.Reader) io.Reader { return io.TeeReader(r, &log) }, body},
		"half of what is asked":                {iotest.HalfReader, body},
		"the end together with the last bytes": {iotest.DataErrReader, body},
		"read ahead":                           {func(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 10<<10) }, body},
		"changed in place":                     {func(r io.Reader) io.Reader { return upper{r} }, strings.ToUpper(body)},
		"another body of the same length":      {func(io.Reader) io.Reader { return strings.NewReader(strings.ToUpper(body)) }, strings.ToUpper(body)},
		"its beginning changed": {func(r io.Reader) io.Reader {
			return io.MultiReader(strings.NewReader("ten bytes!"), io.LimitReader(r, longLength-10))
		}, "ten bytes!" + body[:longLength-10]},
	} {
		t.Run(name, func(t *testing.T) {
			r := carrying(t, u.URL, body)
			ours := r.Context().Value(handoffKey{}).(*handoff).holding(body)
			r.Body = readerOf{test.between(ours), ours}
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if _, seen := u.seen(); seen != test.want {
				t.Errorf("%d bytes went upstream, of %d, or others", len(seen), len(test.want))
			}
		})
	}
	if log.String() != body {
		t.Errorf("the log has %d bytes of %d", log.Len(), len(body))
	}
}

// Bytes that a handler adds in the middle would overwrite the next bytes, which have not been read.
func TestABodyWithBytesAddedInTheMiddleIsRefused(t *testing.T) {
	u := newUpstream(t, answerChat)
	transport, _ := transportOf(t)
	body := lettersAndNumbers()
	for name, between := range map[string]func(io.Reader) io.Reader{
		"inserted": func(r io.Reader) io.Reader { return &inserting{r, firstPiece + 100, "inserted"} },
		"another body from there on": func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, firstPiece+100), strings.NewReader(strings.Repeat("another", longLength)))
		},
	} {
		r := carrying(t, u.URL, body)
		ours := r.Context().Value(handoffKey{}).(*handoff).holding(body)
		r.Body = readerOf{between(ours), ours}
		if res, err := transport.RoundTrip(r); !errors.Is(err, errOutOfStep) {
			t.Errorf("%s: error %v, answer %v", name, err, res)
		}
		if _, seen := u.seen(); strings.Contains(seen, name) {
			t.Errorf("%s: the upstream got the request", name)
		}
	}
}

// writing is a connection that calls a function for each write.
type writing func(p []byte) (int, error)

func (w writing) Write(p []byte) (int, error) { return w(p) }

func TestMemoryIsNotReusedWhileABodyIsSentFromIt(t *testing.T) {
	body := lettersAndNumbers()
	carried := new(handoff)
	leaving := &leavingBody{body: carried.holding(body)}
	leaving.reader = carried.reader
	var got bytes.Buffer
	sent, err := leaving.writeTo(writing(func(p []byte) (int, error) {
		if got.Len() >= firstPiece { // the transport and the handler give up
			_ = leaving.Close()
			carried.release()
			if carried.body.content == nil {
				t.Error("the memory is free while it is sent")
			}
		}
		return got.Write(p)
	}), longLength)
	if sent != longLength || err != nil || got.String() != body {
		t.Errorf("%d bytes sent, error %v", sent, err)
	}
	if carried.body.content != nil || carried.body.readers != 0 {
		t.Error("the memory is held although it is not used")
	}
}

func TestAClosedBodyIsNotSentAnyFurther(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		write func(leaving *leavingBody, p []byte) (int, error)
		want  error
	}{
		"a connection that breaks": {func(_ *leavingBody, p []byte) (int, error) { return len(p) / 2, broken }, broken},
		"a transport that gives up": {func(l *leavingBody, p []byte) (int, error) {
			_ = l.Close()
			return len(p), nil
		}, http.ErrBodyReadAfterClose},
	} {
		carried := new(handoff)
		leaving := &leavingBody{body: carried.holding(lettersAndNumbers())}
		leaving.reader = carried.reader
		if _, err := leaving.writeTo(writing(func(p []byte) (int, error) { return test.write(leaving, p) }), longLength); err != test.want {
			t.Errorf("%s: error %v, want %v", name, err, test.want)
		}
		_ = leaving.Close()
		carried.release()
		if carried.body.content != nil {
			t.Errorf("%s: the memory is held", name)
		}
	}
}

func TestMemoryIsFreeAgainIfNoUpstreamAnswers(t *testing.T) {
	h, err := provision(t, `{"account_id":"acc","gateway":"gw","gateway_token":"token","keystore":`+files(t)+`}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(*http.Request) error{
		"no upstream can be reached": func(*http.Request) error {
			return caddyhttp.Error(http.StatusBadGateway, reverseproxy.DialError{})
		},
		"an upstream fails while it reads": func(r *http.Request) error {
			_, _ = r.Body.Read(make([]byte, 10))
			return caddyhttp.Error(http.StatusBadGateway, io.ErrUnexpectedEOF)
		},
		"the client has gone": func(*http.Request) error { return caddyhttp.Error(499, context.Canceled) },
	} {
		var carried *handoff
		_ = sending(chatOf(groq, 100<<10), caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
				carried = r.Context().Value(handoffKey{}).(*handoff)
				carried.sent = true
				return answer(r)
			}))
		}))()
		if carried == nil || carried.body.content != nil {
			t.Errorf("%s: the memory is held", name)
		}
	}
}
