package redis

import (
	"context"
	"testing"
	"time"
)

// listener gets what a store's Listen calls.
type listener struct {
	testing.TB
	events chan string
}

func listen(t testing.TB, s *Store) (l listener, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	l = listener{t, make(chan string, 1000)}
	s.Listen(ctx, func(message string) { l.events <- message }, func() { l.events <- "missed" })
	return l, cancel
}

// want waits for the next event, but for those of begun.
func (l listener) want(want string) {
	l.Helper()
	for {
		select {
		case got := <-l.events:
			if got == want {
				return
			}
			if got != begun {
				l.Fatalf("%q, want %q", got, want)
			}
		case <-time.After(time.Minute):
			l.Fatalf("nothing, want %q", want)
		}
	}
}

// begun is a message that means nothing.
const begun = "begun"

// begin publishes messages until one arrives: it takes a moment until a channel is heard.
func (l listener) begin(s *Store) {
	l.Helper()
	for range 1000 {
		_ = s.Publish(l.Context(), begun)
		select {
		case got := <-l.events:
			if got != begun {
				l.Fatalf("%q", got)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	l.Fatal("no message arrives")
}

func TestAMessageReachesEveryServer(t *testing.T) {
	server := simulate(t)
	a, b := store(t, server.Addr()), store(t, server.Addr())
	one, stop := listen(t, a)
	two, _ := listen(t, b)
	one.begin(b)
	two.begin(b)
	for _, message := range []string{"forget someone@example.com", "", "\x00\r\n"} {
		if err := a.Publish(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		one.want(message)
		two.want(message)
	}
	stop()
	if err := b.Close(); err != nil { // must not wait for listeners
		t.Error(err)
	}
}

func TestAListenerThatWasCutOffHasMissedMessages(t *testing.T) {
	server := simulate(t)
	s := store(t, server.Addr())
	l, _ := listen(t, s)
	l.begin(s)
	server.Close()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	l.want("missed")
	l.begin(s)
}

func TestAListenerOfAStoreThatIsAwayAtFirstHasMissedMessages(t *testing.T) {
	server := simulate(t)
	address := server.Addr()
	server.Close()
	s := open(t, Config{Addresses: []string{address}, Timeout: time.Second})
	l, _ := listen(t, s)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	l.want("missed")
	l.begin(s)
}

// Something that answers is not yet Redis. No messages come from it.
func TestAListenerWhosePingsGetAnotherAnswerHasMissedMessages(t *testing.T) {
	r := startRelay(t, simulate(t).Addr())
	s := store(t, r.address)
	l, _ := listen(t, s)
	l.begin(s)
	pinged := make(chan bool, 100)
	r.echo(func(string) string { pinged <- true; return "+OK\r\n" })
	<-pinged
	r.pass()
	l.want("missed")
	l.begin(s)
}
