package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// conn is a client's connection. It does as little as possible: a request is prepared once and sent
// in one write. Of an answer it reads only the status and where it ends.
type conn struct {
	net.Conn
	reader *bufio.Reader
	piece  []byte
	heard  bool // a part of the last request's answer has arrived
	last   bool // the server has said that it closes the connection after this answer
}

func dial(ctx context.Context, address string) (*conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, reader: bufio.NewReaderSize(c, 16<<10)}, nil
}

// closed reports whether the server has closed the connection, as far as this end knows.
func (c *conn) closed() bool {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	var peeked error
	err = raw.Read(func(fd uintptr) bool {
		_, _, peeked = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	return err != nil || peeked != syscall.EAGAIN
}

// raced reports whether the server closed the connection without reading the request. Such a
// request may be sent again (RFC 9112, section 9.3.1). Every other failure, such as a time-out, is
// a lost request.
//
// If there is no connection, err is the error of dial. A reload can cause it: Caddy opens a second
// socket and closes the first one, and Linux resets the connections that wait in the queue of the
// first (net.ipv4.tcp_migrate_req).
func (c *conn) raced(err error) bool {
	return (c == nil || !c.heard) && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
}

// message is a request in the form in which it is sent.
type message []byte

// api is a format in which clients ask for a model.
type api struct {
	path  string
	start string // the body up to the first message
	item  string // the members of each message before its role
}

var (
	chats     = api{path: "/v1/chat/completions", start: `{"messages":[`}
	messages  = api{path: "/v1/messages", start: `{"max_tokens":1024,"messages":[`}
	responses = api{path: "/v1/responses", start: `{"input":[`, item: `"type":"message",`}
)

// request returns a user's request. The model comes after the messages, which have about size bytes: a
// conversation about code, in turns of 2 KB.
func (a *api) request(model string, size int, streamed bool, connection int, header ...string) message {
	line := `    return self.values[index] + offset\n`
	var body strings.Builder
	body.WriteString(a.start)
	for turn := 0; body.Len() < size-128 || turn == 0; turn++ {
		if turn > 0 {
			body.WriteByte(',')
		}
		length := min(2<<10, size-128-body.Len())
		fmt.Fprintf(&body, `{%s"role":%q,"content":"%s"}`, a.item, []string{"user", "assistant"}[turn%2], strings.Repeat(line, max(1, length/len(line))))
	}
	fmt.Fprintf(&body, `],"stream":%t,"model":%q}`, streamed, model)
	if len(header) == 0 {
		header = []string{"X-User-Email: " + knownUser, "Authorization: Bearer " + key}
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: load/%d\r\nAccept: application/json\r\nContent-Type: application/json\r\n%s\r\nContent-Length: %d\r\n\r\n%s",
		a.path, connection, strings.Join(header, "\r\n"), body.Len(), body.String())
}

// do sends m and reads the answer. It calls each with every chunk of a chunked answer.
func (c *conn) do(m message, each func(piece []byte)) (status int, err error) {
	c.heard = false
	if _, err := c.Write(m); err != nil {
		return 0, err
	}
	return c.answer(each)
}

func (c *conn) answer(each func(piece []byte)) (status int, err error) {
	line, err := c.reader.ReadSlice('\n')
	c.heard = len(line) > 0
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("status line %q", line)
	}
	status, _ = strconv.Atoi(string(line[9:12]))
	length := -1
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return status, err
		}
		if len(line) == 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		} else if string(line) == "Connection: close\r\n" {
			c.last = true
		}
	}
	if length >= 0 {
		_, err = c.reader.Discard(length)
		return status, err
	}
	return status, c.chunks(each)
}

func (c *conn) chunks(each func(piece []byte)) error {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		length, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if cap(c.piece) < int(length)+2 {
			c.piece = make([]byte, length+2)
		}
		piece := c.piece[:length+2]
		if _, err := io.ReadFull(c.reader, piece); err != nil {
			return err
		}
		switch {
		case length == 0:
			return nil
		case each != nil:
			each(piece[:length])
		}
	}
}

// ok sends m and returns an error unless the answer is good.
func (c *conn) ok(m message, each func(piece []byte)) error {
	status, err := c.do(m, each)
	if err == nil && status != 200 {
		err = errors.New("status " + strconv.Itoa(status))
	}
	return err
}
