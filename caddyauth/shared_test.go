package caddyauth

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// asks sends a chat of a user and returns the status.
func (p *proxy) asks(email, key string) int {
	return p.do(request{path: "/v1/chat/completions", header: as(email, key), body: chatBody(llama)}).StatusCode
}

// sharingServer is a server with a cache that lasts, and a store that it shares.
func sharingServer(t *testing.T, shared string) *proxy {
	t.Helper()
	return start(t, setup{upstream: newUpstream(t, answerChat).URL, options: longCache + "\n" + shared})
}

// remembers looks up two users, and then empties the keystore: now only the cache knows them.
func (p *proxy) remembers() {
	p.t.Helper()
	for email, key := range map[string]string{testEmail: testKey, "worker@example.com": "plain-key"} {
		if got := p.asks(email, key); got != http.StatusOK {
			p.t.Fatalf("%s: status %d", email, got)
		}
	}
	writeEntries(p.t, p.keys, map[string]string{})
	if got := p.asks(testEmail, testKey); got != http.StatusOK {
		p.t.Fatalf("the cache forgot: status %d", got)
	}
}

func TestAServerForgetsWhomAnotherOneNames(t *testing.T) {
	server := miniredis.RunT(t)
	p := sharingServer(t, sharing(server))
	p.remembers()
	other := openRedis(t, server)
	for _, nonsense := range []string{"", "forget", "forget\x00", "forget\x00nobody@example.com", "forget all of them", "failed\x00", "failed\x00x 1", "a newer kind of message\x00dev@example.com"} {
		if err := other.Publish(t.Context(), nonsense); err != nil {
			t.Fatal(err)
		}
	}
	if err := TellForget(t.Context(), other, "DEV@example.com"); err != nil { // a user is stored in lower case
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return p.asks(testEmail, testKey) == http.StatusUnauthorized })
	if got := p.asks("worker@example.com", "plain-key"); got != http.StatusOK {
		t.Errorf("another user: status %d", got)
	}
	if err := TellForget(t.Context(), other, ""); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return p.asks("worker@example.com", "plain-key") == http.StatusUnauthorized })
}

func TestTheAdminEndpointTellsOtherServers(t *testing.T) {
	server := miniredis.RunT(t)
	_, admin := startAdmin(t, setup{upstream: newUpstream(t, answerChat).URL, options: sharing(server)})
	heard := make(chan string, 10)
	openRedis(t, server).Listen(t.Context(), func(message string) { heard <- message }, func() {})
	for path, want := range map[string]string{"cache/dev@example.com": "forget\x00dev@example.com", "cache": "forget all"} {
		waitUntil(t, func() bool { // until the listener is heard
			if res, body := admin("DELETE", AdminPath+path); res.StatusCode != http.StatusNoContent {
				t.Fatalf("status %d: %s", res.StatusCode, body)
			}
			select {
			case got := <-heard:
				if got != want {
					t.Errorf("%q, want %q", got, want)
				}
				return true
			default:
				return false
			}
		})
		for len(heard) > 0 {
			<-heard
		}
	}
}

func TestAServerThatWasCutOffForgetsEverything(t *testing.T) {
	server := miniredis.RunT(t)
	p := sharingServer(t, sharing(server))
	p.remembers()
	server.Close()
	if got := p.asks(testEmail, testKey); got != http.StatusOK {
		t.Errorf("while it is cut off: status %d", got)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return p.asks(testEmail, testKey) == http.StatusUnauthorized })
	if got := p.asks("worker@example.com", "plain-key"); got != http.StatusUnauthorized {
		t.Errorf("another user: status %d", got)
	}
}

// Whatever the store does, users are let in by their keys alone.
func TestNobodyUnknownGetsInWhateverTheSharedStoreDoes(t *testing.T) {
	silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	nonsense := func(conn net.Conn) {
		_, _ = io.WriteString(conn, strings.Repeat("+OK\r\n:1\r\n*2\r\n:1\r\n:0\r\n", 100))
		silent(conn)
	}
	for name, address := range map[string]func() string{
		"it is not there":         func() string { l := listenTCP(t, silent); _ = l.Close(); return l.Addr().String() },
		"it never answers":        func() string { return listenTCP(t, silent).Addr().String() },
		"it answers nonsense":     func() string { return listenTCP(t, nonsense).Addr().String() },
		"it refuses all":          func() string { s := miniredis.RunT(t); s.SetError("OOM command not allowed"); return s.Addr() },
		"it wants a password":     func() string { s := miniredis.RunT(t); s.RequireAuth("x"); return s.Addr() },
		"it works":                func() string { return miniredis.RunT(t).Addr() },
		"its host does not exist": func() string { return "no-such-host.invalid:6379" },
	} {
		t.Run(name, func(t *testing.T) {
			p := sharingServer(t, "limits {\nrequests 100 1m\nparallel 50\n}\nfailed_attempts 5 1m\nshared redis {\naddress "+address()+"\n}")
			for range 2 {
				if got := p.asks(testEmail, testKey); got != http.StatusOK {
					t.Errorf("a known user: status %d", got)
				}
			}
			for email, key := range map[string]string{testEmail: "wrong", "nobody@example.com": testKey, "disabled@example.com": "plain-key"} {
				if got := p.asks(email, key); got != http.StatusUnauthorized {
					t.Errorf("%s: status %d", email, got)
				}
			}
			for i := range 4 {
				p.asks(testEmail, "wrong"+strings.Repeat("x", i))
			}
			if got := p.asks("nobody@example.com", "x"); got != http.StatusTooManyRequests {
				t.Errorf("after too many failed sign-ins: status %d", got)
			}
		})
	}
}

// listenTCP listens until the test ends.
func listenTCP(t *testing.T, serve func(conn net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); serve(conn) }()
		}
	}()
	return l
}
