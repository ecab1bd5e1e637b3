// Package gatewaytest is a simulated Cloudflare AI Gateway with the AI providers behind it, for
// tests and for the demo. It answers over real HTTP on loopback, with deterministic text, and is as
// strict as the parties that it stands for:
//
//	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
//	…
//	defer gateway.Close()
//	gateway.Next(gatewaytest.Scenario{Cut: &gatewaytest.Cut{After: 2}})
//
// It shares no code with the packages that it is there to test. A request that no correct client of
// the gateway would send, such as one with a user's own headers, is a complaint: it is answered with
// 400 and kept for Complaints.
//
// Tools are called where a request has some and the user's last message contains "USETOOL". The tool and
// the files that the message names after that are called, each file with a call of its own. An answer
// that is to be JSON fits the schema that the request has.
package gatewaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Config is what a Server knows. All of it has defaults.
type Config struct {
	// Account and Gateway are the first two parts of the path behind /v1/.
	Account, Gateway string

	// Token is what cf-aig-authorization must carry.
	Token string

	// ProviderHeaders are the headers that a provider's requests must carry, by the provider's
	// name. The default has credentials for workers-ai, azure-openai, google-ai-studio, openai,
	// anthropic and groq. A provider that is not named has its key stored at the gateway, and no
	// credentials may arrive for it.
	ProviderHeaders map[string]map[string]string

	// ClientHeaders are further request headers that may arrive, by default none: those that the
	// operator lets clients send upstream.
	ClientHeaders []string
}

// useTool in the user's last message makes a model call tools.
const useTool = "USETOOL"

// maxBody bounds a request's body.
const maxBody = 100 << 20

// Server is the simulated gateway, and an http.Handler. Its methods are safe for concurrent use.
//
// It speaks HTTP/1.1. For TLS, give it to httptest.NewTLSServer as the handler.
type Server struct {
	// URL is http://127.0.0.1:<port>, without a path.
	URL string

	// Config is the one given, completed with the defaults. It must not be changed.
	Config Config

	close func() error

	mu         sync.Mutex
	requests   []*Request
	arrived    chan struct{} // closed when another request arrives
	complaints []string
	next       []Scenario
	always     Scenario
}

// NewServer starts a Server on a free port of loopback.
func NewServer(c Config) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:     "http://" + listener.Addr().String(),
		Config:  c.withDefaults(),
		arrived: make(chan struct{}),
	}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.close = sync.OnceValue(server.Close)
	go func() { _ = server.Serve(listener) }()
	return s, nil
}

func (c Config) withDefaults() Config {
	c.Account = orDefault(c.Account, "0000000000000000000000000000acc1")
	c.Gateway = orDefault(c.Gateway, "gatewaytest")
	c.Token = orDefault(c.Token, "gatewaytest-token")
	if c.ProviderHeaders == nil {
		c.ProviderHeaders = map[string]map[string]string{
			"workers-ai":       {"Authorization": "Bearer gatewaytest-workers-ai-token"},
			"azure-openai":     {"api-key": "gatewaytest-azure-openai-key"},
			"google-ai-studio": {"x-goog-api-key": "gatewaytest-google-ai-studio-key"},
			"openai":           {"Authorization": "Bearer gatewaytest-openai-key"},
			"anthropic":        {"Authorization": "Bearer sk-ant-gatewaytest-key"},
			"groq":             {"Authorization": "Bearer gatewaytest-groq-key"},
		}
	}
	return c
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// Close ends all connections, also those that a scenario holds.
func (s *Server) Close() error { return s.close() }

// Next makes the next requests meet these scenarios, one each, in the order in which their bodies
// have arrived and after those that an earlier call has claimed. Requests that are refused use up
// theirs too.
func (s *Server) Next(scenarios ...Scenario) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, scenarios...)
}

// Always makes all requests meet sc that Next has not claimed. Scenario{} takes it back.
func (s *Server) Always(sc Scenario) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = sc
}

// Requests returns all requests so far, in the order in which their bodies have arrived.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Wait returns the nth request since the server was started, counted from 1, as soon as its body
// has arrived.
func (s *Server) Wait(ctx context.Context, n int) (*Request, error) {
	for {
		s.mu.Lock()
		requests, arrived := s.requests, s.arrived
		s.mu.Unlock()
		if n = max(n, 1); len(requests) >= n {
			return requests[n-1], nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Complaints returns what was wrong with requests that should never have been sent: nothing, after
// a good test.
func (s *Server) Complaints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.complaints)
}

// ServeHTTP answers as the gateway does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	request := newRequest(r, body.Bytes())
	defer close(request.ended)
	number, sc := s.record(request)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		request.clientGone = true
		return
	}
	c := s.newCall(request, sc, number)
	request.clientGone = !deliver(w, r, sc, c, s.answer(c))
}

// record keeps a request, and returns its number and the scenario that it meets.
func (s *Server) record(r *Request) (number int, sc Scenario) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	close(s.arrived)
	s.arrived = make(chan struct{})
	sc = s.always
	if len(s.next) > 0 {
		sc, s.next = s.next[0], s.next[1:]
	}
	return len(s.requests), sc
}

// complain keeps complaints about a request.
func (s *Server) complain(r *Request, complaints []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, complaint := range complaints {
		s.complaints = append(s.complaints, r.Method+" "+r.Path+": "+complaint)
	}
}

// encode returns v, which is made of maps, slices and plain values, as JSON.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
