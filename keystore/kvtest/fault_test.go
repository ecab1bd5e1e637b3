package kvtest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// get reads keys. It returns the status, or 0, and the error.
func get(ctx context.Context, s *Server) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/accounts/"+AccountID+"/storage/kv/namespaces/"+APIKeys+"/keys", nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+APIToken)
	transport := &http.Transport{DisableKeepAlives: true} // net/http repeats a request if a kept connection breaks
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func TestFaultsAreUsedInOrderAndThenRemoved(t *testing.T) {
	s := NewServer(t)
	s.FailAll(Reply(503, "busy"))
	s.FailNext(1, Reply(429, "", "Retry-After", "300"))
	s.FailNext(2, Reply(500, "<html>", "Content-Type", "text/html"))
	for i, want := range []int{429, 500, 500, 503, 503} {
		if status, _, err := get(t.Context(), s); status != want || err != nil {
			t.Errorf("request %d: %d, %v", i, status, err)
		}
	}
	s.FailNext(5, Reset)
	s.Heal()
	if status, _, err := get(t.Context(), s); status != 200 || err != nil {
		t.Error(status, err)
	}
}

func TestAReplyHasItsHeaders(t *testing.T) {
	s := NewServer(t)
	s.FailAll(Reply(429, "slow down", "Retry-After", "300", "Content-Type", "text/plain"))
	res, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.Header.Get("Retry-After") != "300" || res.Header.Get("Content-Type") != "text/plain" {
		t.Error(res.Header)
	}
}

func TestFaultsBreakConnections(t *testing.T) {
	s := NewServer(t)
	s.FailNext(1, Reset)
	if status, _, err := get(t.Context(), s); status != 0 || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Error("Reset:", status, err)
	}
	s.FailNext(1, CutOff)
	if status, _, err := get(t.Context(), s); status != 200 || err == nil {
		t.Error("CutOff:", status, err)
	}
	s.FailNext(1, Truncate)
	if status, body, err := get(t.Context(), s); status != 200 || err != nil || !strings.HasPrefix(body, `{"result":[]`) || strings.Contains(body, "result_info") {
		t.Error("Truncate:", status, body, err)
	}
}

func TestHangEndsWithTheClientOrTheServer(t *testing.T) {
	s := NewServer(t)
	arrived := make(chan struct{})
	ended := make(chan struct{})
	s.FailAll(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		arrived <- struct{}{}
		Hang(w, r, next)
		ended <- struct{}{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	go func() { _, _, err := get(ctx, s); errs <- err }()
	<-arrived
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-ended

	go func() { _, _, err := get(t.Context(), s); errs <- err }()
	<-arrived
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-errs; err == nil {
		t.Error("a closed server has answered")
	}
	<-ended
}

func TestHeldRequestsWaitUntilTheyAreReleased(t *testing.T) {
	s := NewServer(t)
	arrived, release := s.Hold()
	type answer struct {
		status int
		err    error
	}
	answers := make(chan answer, 2)
	for range 2 {
		go func() { status, _, err := get(t.Context(), s); answers <- answer{status, err} }()
	}
	<-arrived
	<-arrived
	select {
	case a := <-answers:
		t.Fatal("answered while held:", a)
	default:
	}
	release()
	for range 2 {
		if a := <-answers; a.status != 200 || a.err != nil {
			t.Error(a)
		}
	}
	if status, _, err := get(t.Context(), s); status != 200 || err != nil {
		t.Error("after the release:", status, err)
	}

	arrived, _ = s.Hold()
	go func() { status, _, err := get(t.Context(), s); answers <- answer{status, err} }()
	<-arrived
	_ = s.Close()
	if a := <-answers; a.err == nil {
		t.Error("a closed server has answered")
	}
}

func TestHalfOfABulkWriteIsApplied(t *testing.T) {
	for name, tt := range map[string]struct{ method, path, body string }{
		"a write":  {"PUT", "/bulk", `[{"key":"a","value":"1"},{"key":"b","value":"1"},{"key":"c","value":"1"}]`},
		"a delete": {"POST", "/bulk/delete", `["a","b","c"]`},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			want := func() {
				t.Helper()
				_, a := c.Get(APIKeys, "a")
				_, b := c.Get(APIKeys, "b")
				if made := tt.method == "PUT"; a != made || b == made {
					t.Errorf("a is there: %t, b: %t", a, b)
				}
			}
			start := func() {
				for _, name := range []string{"a", "b", "c"} {
					c.Delete(APIKeys, name)
					if tt.method == "POST" {
						c.Put(APIKeys, name, "0")
					}
				}
			}
			start()
			c.FailNext(1, HalfUnsuccessful)
			c.want(tt.method, tt.path, tt.body, 200, `{"result":{"successful_key_count":1,"unsuccessful_keys":["b","c"]},"success":true,"errors":[],"messages":[]}`)
			want()

			start()
			c.FailNext(1, HalfApplied)
			req, err := http.NewRequestWithContext(t.Context(), tt.method, c.URL+"/accounts/"+AccountID+"/storage/kv/namespaces/"+APIKeys+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+APIToken)
			if res, err := new(http.Transport).RoundTrip(req); err == nil {
				t.Error(res.Status)
			}
			want()
			c.want(tt.method, tt.path, tt.body, 200, `{"result":{"successful_key_count":3,"unsuccessful_keys":[]},"success":true,"errors":[],"messages":[]}`)
		})
	}
}
