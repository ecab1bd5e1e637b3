// Package output collects what a program prints, so that a test can wait for a part of it.
package output

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits at most. It only ends a test that hangs.
const patience = 2 * time.Minute

// Output is a writer for what a program prints. Any number of goroutines may use it.
type Output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

// New returns an Output that is empty.
func New() *Output { return &Output{changed: make(chan struct{}, 1)} }

// Write adds to the output. It never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.text.Write(p)
	o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

// String returns the output so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// WaitFor waits until the output contains text. The test fails if that takes too long.
func (o *Output) WaitFor(t testing.TB, text string) {
	t.Helper()
	o.Wait(t, strconv.Quote(text), func(output string) bool { return strings.Contains(output, text) })
}

// Wait waits until has returns true for the output. what describes that. The test fails if it takes too long.
func (o *Output) Wait(t testing.TB, what string, has func(output string) bool) {
	t.Helper()
	deadline := time.After(patience)
	for !has(o.String()) {
		select {
		case <-o.changed:
		case <-deadline:
			t.Fatalf("the output does not contain %s:\n%s", what, o)
		}
	}
}
