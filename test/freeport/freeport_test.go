package freeport

import (
	"net"
	"strconv"
	"testing"
)

func TestAPortIsTakenOnceAndNotWhereSomebodyListens(t *testing.T) {
	seen := map[int]bool{}
	next := first + int((taken.Load()+1)%count)
	if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(next))); err == nil {
		defer func() { _ = listener.Close() }()
	}
	for range 100 {
		port := Take()
		if port == next || seen[port] || port < first || port >= first+count {
			t.Errorf("port %d was not to be taken", port)
		}
		seen[port] = true
	}
}
