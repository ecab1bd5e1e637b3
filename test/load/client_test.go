package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

const (
	answerOK   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	answerLast = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	hangUp     = "HTTP/1.1 " // nothing follows
)

// answering starts a server that reads one request from each connection and sends the next of
// answers. It closes the connection unless the answer is complete and not the last one.
func answering(t *testing.T, answers ...string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for _, answer := range answers {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			_, _ = io.WriteString(conn, answer)
			if answer == answerOK {
				t.Cleanup(func() { _ = conn.Close() })
				continue
			}
			_ = conn.Close()
		}
		_ = listener.Close() // further connections are refused
	}()
	return listener.Addr().String()
}

func dialed(t *testing.T, address string) *conn {
	t.Helper()
	c, err := dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAConnectionIsReusedOnlyAfterACompleteAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		answer              string
		works, last, closed bool
	}{
		"a good answer": {answerOK, true, false, false},
		"a good answer that is the connection's last": {answerLast, true, true, true},
		"an answer that breaks off":                   {hangUp, false, false, true},
		"a connection closed without word":            {"", false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialed(t, answering(t, test.answer))
			err := c.ok(chats.request(passing, 256, false, 0), nil)
			if (err == nil) != test.works || c.last != test.last {
				t.Errorf("error %v, last %t", err, c.last)
			}
			if test.closed {
				_, _ = c.reader.Peek(1) // wait until the client knows it
			}
			if c.closed() != test.closed {
				t.Errorf("closed: %t", !test.closed)
			}
		})
	}
}

func TestOnlyAnUnreadRequestHasRaced(t *testing.T) {
	failed := func(answer string, deadline time.Duration) (c *conn, err error) {
		c = dialed(t, answering(t, answer))
		_ = c.SetReadDeadline(time.Now().Add(deadline))
		return c, c.ok(chats.request(passing, 256, false, 0), nil)
	}
	if c, err := failed("", time.Minute); !c.raced(err) {
		t.Errorf("closed without a word: %v is none", err)
	}
	if c, err := failed(hangUp, time.Minute); c.raced(err) {
		t.Errorf("an answer that breaks off: %v is one", err)
	}
	if c, err := failed(answerOK, -time.Second); err == nil || c.raced(err) {
		t.Errorf("a deadline: %v is one", err)
	}
	var none *conn
	if err := os.NewSyscallError("connect", syscall.ECONNRESET); !none.raced(err) {
		t.Errorf("a connection that was reset while it was made: %v is none", err)
	}
	if err := os.NewSyscallError("connect", syscall.ECONNREFUSED); none.raced(err) {
		t.Errorf("a connection that was refused: %v is one", err)
	}
}
