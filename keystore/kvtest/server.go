// Package kvtest is a simulated Cloudflare API with two Workers KV namespaces, for tests. It
// answers over HTTP on loopback, and can be told to fail:
//
//	server := kvtest.NewServer(t)
//	server.Put(kvtest.APIKeys, "dev@example.com", `{"status":"Enabled"}`)
//	server.FailNext(1, kvtest.Reply(http.StatusTooManyRequests, "", "Retry-After", "300"))
//
// The API is documented at
// https://developers.cloudflare.com/api/resources/kv/subresources/namespaces/.
package kvtest

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// These are the ids and tokens that a Server knows. It refuses others as Cloudflare does. A token
// may be followed by a dash and any text: it then has the same permissions, and a budget of its
// own.
const (
	AccountID = "0000000000000000000000000000acc1"

	APIToken      = "kvtest-token"
	ReadOnlyToken = "kvtest-read-only-token" // lacks Workers KV Storage Write

	APIKeys          = "000000000000000000000000000a0001"
	ProviderSettings = "000000000000000000000000000a0002"
)

// Operation is one of the API's calls.
type Operation string

// A Server knows these operations. All other requests are Unrouted and get status 404.
const (
	ReadValue    Operation = "read value"
	ReadMetadata Operation = "read metadata"
	WriteValue   Operation = "write value"
	DeleteValue  Operation = "delete value"
	ListKeys     Operation = "list keys"
	BulkRead     Operation = "bulk read"
	BulkWrite    Operation = "bulk write"
	BulkDelete   Operation = "bulk delete"
	Unrouted     Operation = "unrouted"
)

// entry is a key-value pair. As in the real KV, a deleted pair keeps its place in listings.
type entry struct {
	value      []byte
	metadata   json.RawMessage // nil if there is none
	expiration int64           // in Unix seconds; 0 means never
	deleted    bool
}

func (e *entry) live() bool {
	return e != nil && !e.deleted && (e.expiration == 0 || time.Now().Unix() < e.expiration)
}

// Server is the simulated API. Its methods are safe for concurrent use.
type Server struct {
	// URL is the API's endpoint, without a slash at the end.
	URL string

	http   *http.Server
	closed chan struct{}
	close  func() error

	mu         sync.Mutex
	namespaces map[string]map[string]*entry
	cursors    map[string]string // maps a cursor to the name that it comes after
	counts     map[Operation]int
	urls       []string
	faults     []Fault // for the next requests
	lasting    Fault   // for all requests after them, or nil
}

// NewServer starts a Server. It is closed when the test ends.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Listen starts a Server on a free loopback port. It is for programs that are not tests.
func Listen() (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:        "http://" + listener.Addr().String() + "/client/v4",
		closed:     make(chan struct{}),
		namespaces: map[string]map[string]*entry{APIKeys: {}, ProviderSettings: {}},
		cursors:    make(map[string]string),
		counts:     make(map[Operation]int),
	}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.close = sync.OnceValue(func() error {
		close(s.closed)
		return s.http.Close()
	})
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

// Close ends all connections, including those that a fault holds.
func (s *Server) Close() error { return s.close() }

// Put writes an entry, without counting a request.
func (s *Server) Put(namespace, name, value string) {
	s.put(namespace, name, &entry{value: []byte(value)})
}

// Delete removes entries, without counting a request.
func (s *Server) Delete(namespace string, names ...string) {
	for _, name := range names {
		if s.get(namespace, name) != nil {
			s.put(namespace, name, &entry{deleted: true})
		}
	}
}

// Get reads an entry, without counting a request.
func (s *Server) Get(namespace, name string) (value string, ok bool) {
	if e := s.get(namespace, name); e != nil {
		return string(e.value), true
	}
	return "", false
}

// Entries returns the names and values of a namespace.
func (s *Server) Entries(namespace string) map[string]string {
	entries := make(map[string]string)
	for _, name := range s.names(namespace) {
		if value, ok := s.Get(namespace, name); ok {
			entries[name] = value
		}
	}
	return entries
}

// Requests returns the number of requests for op, including those that a fault answered.
func (s *Server) Requests(op Operation) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[op]
}

// URLs returns the path and the query of each request, as they were sent.
func (s *Server) URLs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.urls)
}

func (s *Server) put(namespace, name string, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.namespaces[namespace][name] = e
}

// get returns an entry that is not deleted or expired, or nil. Entries are replaced, never changed.
func (s *Server) get(namespace, name string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.namespaces[namespace][name]; e.live() {
		return e
	}
	return nil
}

// names returns all names in order, including those of deleted entries.
func (s *Server) names(namespace string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.namespaces[namespace]))
}

// newCursor returns an opaque cursor for the names after name.
func (s *Server) newCursor(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	cursor := rand.Text()
	s.cursors[cursor] = name
	return cursor
}

// after returns the name of a cursor.
func (s *Server) after(cursor string) (name string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok = s.cursors[cursor]
	return name, ok || cursor == ""
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c := route(r)
	if fault := s.record(r, c.operation); fault != nil {
		fault(w, r, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, c) })
		return
	}
	s.answer(w, r, c)
}

// record counts a request. It returns the fault that answers it, or nil.
func (s *Server) record(r *http.Request, op Operation) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[op]++
	s.urls = append(s.urls, r.RequestURI)
	if len(s.faults) > 0 {
		fault := s.faults[0]
		s.faults = s.faults[1:]
		return fault
	}
	return s.lasting
}
