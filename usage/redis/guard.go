package redis

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"syscall"
)

// errNonsense means that what answers does not speak Redis's protocol.
var errNonsense = errors.New("answers nonsense")

// The limits of an answer. None of ours comes near them.
const (
	maxLine   = 64 << 10
	maxString = 64 << 20
	maxArray  = 1 << 16
	maxDepth  = 8
)

// guardedConn checks what the server answers before the client library reads it. The library makes room for
// as much as an answer announces, so a wrong number would end the process.
type guardedConn struct {
	net.Conn
	guard guard
}

// Read reads from the connection. The error is errNonsense if the answer is not in Redis's protocol.
func (c *guardedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.guard.check(b[:n]) {
		_ = c.Close() // nothing that follows can be trusted
		return 0, errNonsense
	}
	return n, err
}

// SyscallConn lets the library see whether the server has closed a connection that was idle. With TLS it could
// not tell that from other records.
func (c *guardedConn) SyscallConn() (syscall.RawConn, error) {
	if conn, ok := c.Conn.(syscall.Conn); ok {
		return conn.SyscallConn()
	}
	return openConn{}, nil
}

// openConn is a syscall.RawConn that looks open and does nothing.
type openConn struct{}

func (openConn) Control(func(uintptr)) error    { return nil }
func (openConn) Read(func(uintptr) bool) error  { return nil }
func (openConn) Write(func(uintptr) bool) error { return nil }

// guard follows answers in Redis's protocol, RESP2 or RESP3, but for attributes, which Redis never sends unasked
// (https://redis.io/docs/latest/develop/reference/protocol-spec/). The zero value is at the beginning of an
// answer.
type guard struct {
	line []byte // what has come of the current line
	skip int    // how many bytes of a string are still to come
	open []int  // how many elements of each array are still to come, the innermost last
}

// check reports whether b can be the next part of the answers.
func (g *guard) check(b []byte) bool {
	for len(b) > 0 {
		if g.skip > 0 {
			n := min(g.skip, len(b))
			g.skip, b = g.skip-n, b[n:]
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			g.line = append(g.line, b...)
			return validStart(g.line) && len(g.line) <= maxLine
		}
		line := b[:end]
		if len(g.line) > 0 {
			line = append(g.line, line...)
		}
		if !g.checkLine(line) {
			return false
		}
		g.line, b = g.line[:0], b[end+1:]
	}
	return true
}

// The kinds of lines, by their first byte.
const (
	lines      = "+-:,(#_" // a line is all of it
	lengths    = "$!="     // the line has the length of what follows
	aggregates = "*~>%"    // the line has the number of elements that follow, or of pairs
)

// validStart reports whether a line that is not complete can be one of an answer.
func validStart(line []byte) bool { return isOneOf(line[0], lines+lengths+aggregates) }

func isOneOf(kind byte, kinds string) bool {
	for i := range len(kinds) {
		if kinds[i] == kind {
			return true
		}
	}
	return false
}

// checkLine checks a line without its line feed.
func (g *guard) checkLine(line []byte) bool {
	if len(line) < 2 || len(line) > maxLine || !validStart(line) || line[len(line)-1] != '\r' {
		return false
	}
	kind := line[0]
	if isOneOf(kind, lines) {
		g.end()
		return true
	}
	n, err := strconv.Atoi(string(line[1 : len(line)-1]))
	switch {
	case err != nil || n < -1:
		return false
	case n == -1: // nothing
		g.end()
		return true
	case isOneOf(kind, lengths):
		g.skip = n + len("\r\n")
		g.end()
		return n <= maxString
	case n == 0:
		g.end()
		return true
	}
	if kind == '%' {
		n = 2 * min(n, maxArray)
	}
	g.open = append(g.open, n)
	return n <= maxArray && len(g.open) <= maxDepth
}

// end ends an element, and all arrays whose last one it is.
func (g *guard) end() {
	for last := len(g.open) - 1; last >= 0; last-- {
		if g.open[last]--; g.open[last] > 0 {
			return
		}
		g.open = g.open[:last]
	}
}
