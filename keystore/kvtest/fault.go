package kvtest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// Fault answers a request in the server's place. next is the server's own answer.
type Fault func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc)

// FailNext lets the next n requests meet f, after those that an earlier call has claimed.
func (s *Server) FailNext(n int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.faults = append(s.faults, f)
	}
}

// FailAll lets all requests meet f that FailNext has not claimed, until Heal.
func (s *Server) FailAll(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasting = f
}

// Heal takes all faults away.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.lasting = nil, nil
}

// Hold keeps all requests waiting, each from when its body has arrived, until release is called;
// then they are answered as ever, and all faults are gone. arrived receives once for each of them.
func (s *Server) Hold() (arrived <-chan struct{}, release func()) {
	came, released := make(chan struct{}), make(chan struct{})
	s.FailAll(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		go func() {
			select {
			case came <- struct{}{}:
			case <-s.closed:
			}
		}()
		select {
		case <-released:
			next(w, r)
		case <-r.Context().Done():
		case <-s.closed:
			reset(w)
		}
	})
	return came, sync.OnceFunc(func() {
		s.Heal()
		close(released)
	})
}

// Reply answers with a status, a body and headers, given as name, value, name, value. The body is
// taken for JSON unless there is a Content-Type.
func Reply(status int, body string, header ...string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Hang never answers. It ends when the client gives up or the server is closed.
func Hang(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
	// The server notices that a client has gone only once it has read the body.
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// Reset resets the connection without an answer.
func Reset(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) { reset(w) }

// Truncate answers, whole as HTTP goes, with the first half of the server's own answer.
func Truncate(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	a := record(r, next)
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()[:a.body.Len()/2])
}

// CutOff resets the connection in the middle of the server's own answer.
func CutOff(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	a := record(r, next)
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()[:a.body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	reset(w)
}

// HalfApplied makes the first half of a bulk write or delete, and then resets the connection.
func HalfApplied(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	halve(r)
	record(r, next)
	reset(w)
}

// HalfUnsuccessful makes the first half of a bulk write or delete, and answers that it was one, but
// for the names of the other half.
func HalfUnsuccessful(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	first, others := halve(r)
	record(r, next)
	succeed(w, bulkResult{first, others}, nil)
}

// halve leaves the first half of a bulk write or delete in r, and returns how many that are, and the
// names of the others.
func halve(r *http.Request) (first int, others []string) {
	var all []json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&all)
	first = len(all) / 2
	body, _ := json.Marshal(all[:first])
	r.Body = io.NopCloser(bytes.NewReader(body))
	others = []string{}
	for _, one := range all[first:] {
		var name string
		if json.Unmarshal(one, &name) != nil {
			var p pair
			_ = json.Unmarshal(one, &p)
			name = p.Key
		}
		others = append(others, name)
	}
	return first, others
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset instead of an orderly end
	}
	_ = conn.Close()
}

// answer is an answer that has not been sent. (httptest.ResponseRecorder would add a flag to every
// program that starts a Server outside a test.)
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func record(r *http.Request, next http.HandlerFunc) *answer {
	a := &answer{header: make(http.Header), status: http.StatusOK}
	next(a, r)
	return a
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
