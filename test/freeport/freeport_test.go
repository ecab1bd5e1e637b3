package freeport

import (
	"net"
	"strconv"
	"testing"
)

func TestAFreePortIsTakenOnlyOnce(t *testing.T) {
	seen := map[int]bool{}
	next := first + int((taken.Load()+1)%count)
	if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(next))); err == nil {
		defer func() { _ = listener.Close() }()
	}
	for range 100 {
		port := For(t)
		if port == next || seen[port] || port < first || port >= first+count {
			t.Errorf("port %d was not to be taken", port)
		}
		seen[port] = true
	}
}

func TestTakeFailsIfNoPortIsFree(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if port, err := take(listener.Addr().(*net.TCPAddr).Port, 1); err == nil {
		t.Errorf("port %d was taken", port)
	}
}
