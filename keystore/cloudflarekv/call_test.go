package cloudflarekv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

const (
	name = "dev+secret@example.com"

	// leaky is a body with data that no error may contain.
	leaky = `{"result":{"values":{"` + name + `":1}},"success":false,"errors":[{"code":%d,"message":"` + name + ` record-secret"}],"messages":[]}`
)

// wantNoSecret checks that err contains no secret, however it is printed.
func wantNoSecret(t *testing.T, server *kvtest.Server, err error) {
	t.Helper()
	endpoint, _ := url.Parse(server.URL)
	for ; err != nil; err = errors.Unwrap(err) {
		text := fmt.Sprintf("%v %+v %#v", err, err, err)
		for _, secret := range []string{name, "secret", kvtest.AccountID, kvtest.APIKeys, kvtest.ReadOnlyToken, endpoint.Host, "127.0.0.1", "http:", "{"} {
			if secret != "{" && strings.Contains(text, secret) || strings.Contains(err.Error(), secret) {
				t.Errorf("%s has %q in it", text, secret)
			}
		}
	}
}

func code(n int) string { return fmt.Sprintf(leaky, n) }

func TestEachFailureHasItsOwnError(t *testing.T) {
	const (
		unauthorized = "the keystore refuses the API token"
		notFound     = "the keystore does not know the account or the namespace"
		limited      = "the keystore's rate limit is exceeded"
		unavailable  = "the keystore is unavailable"
		nonsense     = unavailable + ": the reply to a bulk read makes no sense"
		html         = "<html>" + name + "</html>"
	)
	for what, tt := range map[string]struct {
		fault kvtest.Fault
		is    error
		text  string
		calls int
	}{
		"a wrong token":                  {kvtest.Reply(401, code(10000)), keystore.ErrUnauthorized, unauthorized + ": HTTP status 401, code 10000", 1},
		"a token that may not":           {kvtest.Reply(403, code(10000)), keystore.ErrUnauthorized, unauthorized + ": HTTP status 403, code 10000", 1},
		"a token of the wrong form":      {kvtest.Reply(400, code(6003)), keystore.ErrUnauthorized, unauthorized + ": HTTP status 400, code 6003", 1},
		"a firewall's page":              {kvtest.Reply(403, html, "Content-Type", "text/html"), keystore.ErrUnauthorized, unauthorized + ": HTTP status 403", 1},
		"another namespace":              {kvtest.Reply(404, code(10013)), keystore.ErrNamespaceNotFound, notFound + ": HTTP status 404, code 10013", 1},
		"another account":                {kvtest.Reply(404, code(7003)), keystore.ErrNamespaceNotFound, notFound + ": HTTP status 404, code 7003", 1},
		"a 404 without a body":           {kvtest.Reply(404, ""), keystore.ErrNamespaceNotFound, notFound + ": HTTP status 404", 1},
		"a route that is not there":      {kvtest.Reply(400, code(7003)), keystore.ErrNamespaceNotFound, notFound + ": HTTP status 400, code 7003", 1},
		"no route":                       {kvtest.Reply(400, code(7000)), keystore.ErrNamespaceNotFound, notFound + ": HTTP status 400, code 7000", 1},
		"another namespace, with 400":    {kvtest.Reply(400, code(10013)), keystore.ErrNamespaceNotFound, notFound + ": HTTP status 400, code 10013", 1},
		"the second code decides":        {kvtest.Reply(400, `{"errors":[{"code":1},{"code":7000}]}`), keystore.ErrNamespaceNotFound, notFound + ": HTTP status 400, code 1", 1},
		"too many calls":                 {kvtest.Reply(429, code(971)), keystore.ErrRateLimited, limited, 1},
		"too many calls, in plain text":  {kvtest.Reply(429, "slow down", "Content-Type", "text/plain"), keystore.ErrRateLimited, limited, 1},
		"a bad request":                  {kvtest.Reply(400, code(10001)), keystore.ErrUnavailable, unavailable + ": HTTP status 400, code 10001", 1},
		"errors that have another form":  {kvtest.Reply(400, `{"errors":"secret"}`), keystore.ErrUnavailable, unavailable + ": HTTP status 400", 1},
		"a body that is half JSON":       {kvtest.Reply(400, `{"errors":[{"code":7003`), keystore.ErrNamespaceNotFound, "", 1},
		"a request timeout":              {kvtest.Reply(408, ""), keystore.ErrUnavailable, unavailable + ": HTTP status 408", 1},
		"a conflict":                     {kvtest.Reply(409, ""), keystore.ErrUnavailable, unavailable + ": HTTP status 409", 1},
		"a reply that is too large":      {kvtest.Reply(413, ""), keystore.ErrUnavailable, unavailable + ": HTTP status 413", 1},
		"a wish to be asked again":       {kvtest.Reply(400, "", "X-Should-Retry", "true"), keystore.ErrUnavailable, unavailable + ": HTTP status 400", 1},
		"a redirect":                     {kvtest.Reply(307, "", "Location", "/elsewhere"), keystore.ErrUnavailable, unavailable + ": HTTP status 307", 1},
		"no content":                     {kvtest.Reply(204, ""), keystore.ErrUnavailable, unavailable + ": HTTP status 204", 1},
		"a server error":                 {kvtest.Reply(500, code(10001)), keystore.ErrUnavailable, unavailable + ": HTTP status 500, code 10001", 2},
		"a server error in HTML":         {kvtest.Reply(502, html, "Content-Type", "text/html"), keystore.ErrUnavailable, unavailable + ": HTTP status 502", 2},
		"a server error, and a long one": {kvtest.Reply(503, "", "Retry-After", "300"), keystore.ErrUnavailable, unavailable + ": HTTP status 503", 2},
		"a wish to wait long":            {kvtest.Reply(503, "", "Retry-After-Ms", "300000"), keystore.ErrUnavailable, unavailable + ": HTTP status 503", 2},
		"a server error, not to repeat":  {kvtest.Reply(500, "", "X-Should-Retry", "false"), keystore.ErrUnavailable, unavailable + ": HTTP status 500", 2},
		"Cloudflare's own status":        {kvtest.Reply(530, "error code: 1033"), keystore.ErrUnavailable, unavailable + ": HTTP status 530", 2},
		"a connection that is reset":     {kvtest.Reset, keystore.ErrUnavailable, "", 2},
		"a connection cut in the reply":  {kvtest.CutOff, keystore.ErrUnavailable, "", 2},
		"half of the JSON":               {kvtest.Truncate, keystore.ErrUnavailable, nonsense, 1},
		"other JSON":                     {kvtest.Reply(200, `["`+name+`"]`), keystore.ErrUnavailable, nonsense, 1},
		"no JSON":                        {kvtest.Reply(200, html, "Content-Type", "text/html"), keystore.ErrUnavailable, nonsense, 1},
		"no body":                        {kvtest.Reply(200, ""), keystore.ErrUnavailable, nonsense, 1},
		"a failure with 200":             {kvtest.Reply(200, code(10000)), keystore.ErrUnavailable, nonsense, 1},
		"no values":                      {kvtest.Reply(200, `{"success":true,"result":{}}`), keystore.ErrUnavailable, nonsense, 1},
		"a value that is a number":       {kvtest.Reply(200, `{"success":true,"result":{"values":{"`+name+`":1}}}`), keystore.ErrUnavailable, nonsense, 1},
		"a reply without end":            {kvtest.Reply(200, strings.Repeat(" ", maxReply+1)), keystore.ErrUnavailable, unavailable + ": the reply is larger than 32 MB", 1},
		"an error without end":           {kvtest.Reply(403, strings.Repeat(" ", maxReply+1)), keystore.ErrUnauthorized, unauthorized + ": HTTP status 403", 1},
	} {
		t.Run(what, func(t *testing.T) {
			server := kvtest.NewServer(t)
			server.Put(kvtest.APIKeys, name, "record-secret")
			server.FailAll(tt.fault)
			c := config(server)
			c.Timeout = time.Minute // 32 MB take long under the race detector
			start := time.Now()
			values, err := open(t, c).Get(t.Context(), keystore.APIKeys, []string{name})
			if !errors.Is(err, tt.is) || tt.text != "" && err.Error() != tt.text || values != nil {
				t.Errorf("%q, %v, want %s", values, err, tt.text)
			}
			if took := time.Since(start); took > 2*time.Minute { // some replies ask for five
				t.Errorf("took %s", took)
			}
			if n := server.Requests(kvtest.BulkRead); n != tt.calls || len(server.URLs()) != tt.calls {
				t.Errorf("%d calls, want %d: %q", n, tt.calls, server.URLs())
			}
			wantNoSecret(t, server, err)
		})
	}
}

func TestASecondAttemptMaySucceed(t *testing.T) {
	for what, fault := range map[string]kvtest.Fault{
		"after a server error":           kvtest.Reply(503, "", "Retry-After", "300"),
		"after a connection that failed": kvtest.Reset,
		"after half of a reply":          kvtest.CutOff,
	} {
		t.Run(what, func(t *testing.T) {
			server := kvtest.NewServer(t)
			server.Put(kvtest.APIKeys, name, "1")
			server.FailNext(1, fault)
			s := open(t, config(server))
			start := time.Now()
			values, err := s.Get(t.Context(), keystore.APIKeys, []string{name})
			if took := time.Since(start); err != nil || string(values[name]) != "1" || took < pause || took > time.Minute { // one reply asks for five
				t.Errorf("%q, %v after %s", values, err, took)
			}
			server.FailNext(1, fault)
			if names, err := s.List(t.Context(), keystore.APIKeys); err != nil || len(names) != 1 {
				t.Errorf("%q, %v", names, err)
			}
		})
	}
}

func TestTheSecondFailureIsTheOneReported(t *testing.T) {
	server := kvtest.NewServer(t)
	server.FailNext(1, kvtest.Reply(500, ""))
	server.FailNext(1, kvtest.Reply(429, "", "Retry-After", "300"))
	_, err := open(t, config(server)).Get(t.Context(), keystore.APIKeys, []string{name})
	if !errors.Is(err, keystore.ErrRateLimited) || server.Requests(kvtest.BulkRead) != 2 {
		t.Error(err, server.Requests(kvtest.BulkRead))
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	for header, want := range map[string]struct{ least, most time.Duration }{
		"":            {0, 0},
		"300":         {300 * time.Second, 300 * time.Second},
		"0":           {0, 0},
		"-5":          {0, 0},
		"1.5":         {0, 0},
		"soon":        {0, 0},
		"99999":       {24 * time.Hour, 24 * time.Hour},
		"99999999999": {0, 0},
		time.Now().Add(time.Minute).UTC().Format(http.TimeFormat):      {time.Second, time.Minute},
		time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat):     {0, 0},
		time.Now().Add(1000 * time.Hour).UTC().Format(http.TimeFormat): {24 * time.Hour, 24 * time.Hour},
	} {
		server := kvtest.NewServer(t)
		server.FailAll(kvtest.Reply(429, code(971), "Retry-After", header))
		start := time.Now()
		_, err := open(t, config(server)).Get(t.Context(), keystore.APIKeys, []string{name})
		limit, ok := errors.AsType[*keystore.RateLimitError](err)
		if !ok || limit.RetryAfter < want.least || limit.RetryAfter > want.most {
			t.Errorf("%q: %#v", header, err)
		}
		if took := time.Since(start); took > time.Minute || server.Requests(kvtest.BulkRead) != 1 {
			t.Errorf("%q: took %s and %d calls", header, took, server.Requests(kvtest.BulkRead))
		}
	}
}

// silent sends a status and half a body, and then nothing more.
func silent(status int) kvtest.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"success":true,`)
		_ = http.NewResponseController(w).Flush()
		kvtest.Hang(w, r, next)
	}
}

func TestHalfAServerErrorIsNotTriedAgain(t *testing.T) {
	server := kvtest.NewServer(t)
	server.FailAll(silent(500))
	c := config(server)
	c.Timeout = 100 * time.Millisecond
	_, err := open(t, c).Get(t.Context(), keystore.APIKeys, []string{name})
	if !errors.Is(err, keystore.ErrUnavailable) && !errors.Is(err, keystore.ErrTimeout) || server.Requests(kvtest.BulkRead) > 1 {
		t.Error(err, server.Requests(kvtest.BulkRead))
	}
}

func TestNoAnswerInTimeIsATimeoutAndNotTriedAgain(t *testing.T) {
	const timeout = 3 * time.Second // long enough for a busy machine to send a request and the other answers
	for what, faults := range map[string][]kvtest.Fault{
		"no answer":                     {kvtest.Hang},
		"half an answer":                {silent(200)},
		"no answer to the second try":   {kvtest.Reset, kvtest.Hang},
		"no answer after a server down": {kvtest.Reply(503, "", "Retry-After", "300"), kvtest.Hang},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			server := kvtest.NewServer(t)
			for _, fault := range faults {
				server.FailNext(1, fault)
			}
			c := config(server)
			c.Timeout = timeout
			s := open(t, c)
			start := time.Now()
			values, err := s.Get(t.Context(), keystore.APIKeys, []string{name})
			took := time.Since(start)
			if !errors.Is(err, keystore.ErrTimeout) || values != nil {
				t.Errorf("%q, %v", values, err)
			}
			if took < timeout || took > time.Minute {
				t.Errorf("took %s", took)
			}
			if n := server.Requests(kvtest.BulkRead); n != len(faults) {
				t.Errorf("%d calls, want %d", n, len(faults))
			}
			wantNoSecret(t, server, err)
			if values, err := s.Get(t.Context(), keystore.APIKeys, []string{name}); err != nil || len(values) != 0 {
				t.Errorf("afterwards: %q, %v", values, err)
			}
		})
	}
}

func TestTheCallersDeadlineCounts(t *testing.T) {
	server := kvtest.NewServer(t)
	server.FailAll(kvtest.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := open(t, config(server)).Get(ctx, keystore.APIKeys, []string{name}); !errors.Is(err, keystore.ErrTimeout) {
		t.Error(err)
	}

	// The deadline also counts between two attempts.
	server.FailAll(kvtest.Reply(500, ""))
	ctx, cancel = context.WithTimeout(t.Context(), pause/2)
	defer cancel()
	if _, err := open(t, config(server)).Get(ctx, keystore.APIKeys, []string{name}); !errors.Is(err, keystore.ErrTimeout) {
		t.Error(err)
	}
	if n := server.Requests(kvtest.BulkRead); n > 2 {
		t.Errorf("%d calls, want one each", n)
	}
}

func TestACallEndsWhenItsCallerLeaves(t *testing.T) {
	server := kvtest.NewServer(t)
	arrived, release := server.Hold()
	defer release()
	s := open(t, config(server))
	ctx, cancel := context.WithCancelCause(t.Context())
	errs := make(chan error, 2)
	go func() { _, err := s.Get(ctx, keystore.APIKeys, []string{name}); errs <- err }()
	go func() { _, err := s.List(ctx, keystore.APIKeys); errs <- err }()
	<-arrived
	<-arrived
	cancel(errors.New("secret"))
	for range 2 {
		err := <-errs
		if !errors.Is(err, context.Canceled) || errors.Is(err, keystore.ErrUnavailable) {
			t.Error(err)
		}
		wantNoSecret(t, server, err)
	}
	if n := len(server.URLs()); n != 2 {
		t.Errorf("%d calls, want one each", n)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	server, other := kvtest.NewServer(t), kvtest.NewServer(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		server.FailAll(kvtest.Reply(status, "", "Location", other.URL+"/accounts/"+kvtest.AccountID+"/storage/kv/namespaces/"+kvtest.APIKeys+"/bulk/get"))
		_, err := open(t, config(server)).Get(t.Context(), keystore.APIKeys, []string{name})
		if !errors.Is(err, keystore.ErrUnavailable) || len(other.URLs()) != 0 {
			t.Error(status, err, other.URLs())
		}
	}
}

func TestErrorsSayWhyAConnectionFailed(t *testing.T) {
	server := kvtest.NewServer(t)
	c := config(server)
	_ = server.Close()
	_, err := open(t, c).Get(t.Context(), keystore.APIKeys, []string{name})
	if !errors.Is(err, keystore.ErrUnavailable) || !strings.HasPrefix(err.Error(), "the keystore is unavailable: the connection failed: ") {
		t.Error(err)
	}
	wantNoSecret(t, server, err)

	untrusted := httptest.NewUnstartedServer(nil)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	c.Endpoint = untrusted.URL
	_, err = open(t, c).Get(t.Context(), keystore.APIKeys, []string{name})
	if !errors.Is(err, keystore.ErrUnavailable) || err.Error() != "the keystore is unavailable: the connection failed: the certificate cannot be trusted" {
		t.Error(err)
	}
	wantNoSecret(t, server, err)

	unknown := &url.Error{Op: "Post", URL: "http://secret", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "secret"}}}
	err = failed(t.Context(), unknown)
	if err.Error() != "the keystore is unavailable: the connection failed: the host's name cannot be resolved" {
		t.Error(err)
	}
	wantNoSecret(t, server, err)
}

func TestAServerWithoutHTTPIsUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 mail.example.com ESMTP\r\n")
			_ = conn.Close()
		}
	}()
	server := kvtest.NewServer(t)
	c := config(server)
	c.Endpoint = "http://" + listener.Addr().String()
	_, err = open(t, c).Get(t.Context(), keystore.APIKeys, []string{name})
	if !errors.Is(err, keystore.ErrUnavailable) {
		t.Error(err)
	}
	wantNoSecret(t, server, err)
}

// FuzzRetryAfter checks that no header stops the store for more than maxRetryAfter, and that a
// shorter wish is followed.
func FuzzRetryAfter(f *testing.F) {
	for _, header := range []string{"", "0", "300", "-1", "+5", "1e9", "2147483648", "99999999999999999999", "Sat, 31 Jan 2026 12:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := retryAfter(header)
		if got < 0 || got > maxRetryAfter {
			t.Errorf("%q: %v", header, got)
		}
		seconds, ok := new(big.Int).SetString(header, 10)
		if !ok || strings.Trim(header, "0123456789") != "" || seconds.BitLen() > 31 {
			return
		}
		want := maxRetryAfter
		if seconds.Cmp(big.NewInt(int64(maxRetryAfter/time.Second))) < 0 {
			want = time.Duration(seconds.Int64()) * time.Second
		}
		if got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	})
}
