// Package gatewaytest is a simulated Cloudflare AI Gateway with the AI providers behind it, for
// tests and for the demo. It answers over HTTP on loopback, with deterministic text, and is as
// strict as the real gateway and providers:
//
//	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
//	…
//	defer gateway.Close()
//	gateway.Next(gatewaytest.Scenario{Cut: &gatewaytest.Cut{After: 2}})
//
// The package shares no code with the packages that it tests. If a request is one that a correct
// client of the gateway would not send, such as one with a user's own headers, the server answers
// with status 400 and adds a complaint to Complaints.
//
// A model calls tools if the request has some and the user's last message contains "USETOOL". For
// each file that the message names after that, it makes one call, with the file as an argument. An
// answer that must be JSON fits the schema of the request.
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

// Config configures a Server. Every field has a default.
type Config struct {
	// Account and Gateway are the first two parts of the path after /v1/.
	Account, Gateway string

	// Token is the token that cf-aig-authorization must have.
	Token string

	// ProviderHeaders are the headers that requests to a provider must have, by the provider's
	// name. The default has credentials for workers-ai, azure-openai, google-ai-studio, openai,
	// anthropic and groq. For any other provider, the gateway has a stored key, and requests must
	// not have credentials.
	ProviderHeaders map[string]map[string]string

	// ClientHeaders are additional request headers that may arrive, such as those that the operator
	// lets clients send upstream. The default is none.
	ClientHeaders []string
}

// useTool makes a model call tools if it is in the user's last message.
const useTool = "USETOOL"

// maxBody is the largest body of a request, in bytes.
const maxBody = 100 << 20

// Server is the simulated gateway. It is an http.Handler, and its methods are safe for concurrent
// use.
//
// It uses HTTP/1.1. For TLS, use it as the handler of httptest.NewTLSServer.
type Server struct {
	// URL is http://127.0.0.1:<port>, without a path.
	URL string

	// Config is the given configuration with the defaults filled in. Do not change it.
	Config Config

	close func() error

	mu         sync.Mutex
	requests   []*Request
	arrived    chan struct{} // closed when another request arrives
	complaints []string
	next       []Scenario
	always     Scenario
}

// NewServer starts a Server on a free loopback port.
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

// Close ends all connections, including those that a scenario holds.
func (s *Server) Close() error { return s.close() }

// Next sets the scenarios of the next requests, one for each, after those of earlier calls.
// Requests count in the order in which their bodies arrive. A request that is refused uses up its
// scenario too.
func (s *Server) Next(scenarios ...Scenario) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, scenarios...)
}

// Always sets the scenario of all requests that Next does not cover. Always(Scenario{}) removes it.
func (s *Server) Always(sc Scenario) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = sc
}

// Requests returns all requests so far, in the order in which their bodies arrived.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Wait waits until the body of the nth request has arrived, and returns that request. The first
// request is 1.
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

// Complaints returns what was wrong with requests that should not have been sent. After a good test
// it is empty.
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

// record stores a request. It returns the request's number and scenario.
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

// complain stores complaints about a request.
func (s *Server) complain(r *Request, complaints []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, complaint := range complaints {
		s.complaints = append(s.complaints, r.Method+" "+r.Path+": "+complaint)
	}
}

// encode returns v as JSON. v consists of maps, slices and plain values.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
