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

// Fault answers a request instead of the server. next writes the server's own answer.
type Fault func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc)

// FailNext makes f answer n requests, after those that earlier calls of FailNext take.
func (s *Server) FailNext(n int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.faults = append(s.faults, f)
	}
}

// FailAll makes f answer all requests that FailNext does not take, until Heal is called.
func (s *Server) FailAll(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasting = f
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.lasting = nil, nil
}

// Hold stops every request after its body has arrived. arrived receives once for each of them. When
// release is called, the server answers them normally, and all faults are removed.
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

// Reply answers with a status, a body and headers. The headers are given as name, value, name,
// value. Without a Content-Type among them, the body is JSON.
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

// Hang never answers. It returns when the client gives up or the server is closed.
func Hang(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
	// The server notices that a client has gone only after it has read the body.
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// Reset resets the connection without an answer.
func Reset(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) { reset(w) }

// Truncate sends the first half of the server's own answer, as a complete HTTP answer.
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

// HalfApplied applies the first half of a bulk write or delete, and then resets the connection.
func HalfApplied(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	halve(r)
	record(r, next)
	reset(w)
}

// HalfUnsuccessful applies the first half of a bulk write or delete. Its answer is a success that
// lists the names of the other half as not written.
func HalfUnsuccessful(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	first, others := halve(r)
	record(r, next)
	succeed(w, bulkResult{first, others}, nil)
}

// halve keeps the first half of a bulk write or delete in r. It returns the size of that half, and
// the names of the other half.
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
		_ = tcp.SetLinger(0) // reset the connection instead of closing it
	}
	_ = conn.Close()
}

// answer is an answer that has not been sent yet. (httptest.ResponseRecorder would add a flag to
// every program that starts a Server outside of a test.)
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
