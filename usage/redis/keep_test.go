package redis

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// operations are all operations that a request waits for.
var operations = map[string]func(s *Store) error{
	"Admit": func(s *Store) error {
		_, admitted, states, err := s.Admit(context.Background(), []usage.Scope{{Name: "operations", Limits: &usage.Limits{Parallel: 1000}}}, 0, nil)
		if err != nil && (admitted || states != nil) {
			return errors.New("an error, and an answer too")
		}
		return err
	},
	"States": func(s *Store) error {
		_, err := s.States(context.Background(), []usage.Scope{{Name: "operations", Limits: &usage.Limits{Parallel: 1000}}}, nil)
		return err
	},
	"Count":   func(s *Store) error { _, _, err := s.Count(context.Background(), "x", time.Minute); return err },
	"Take":    func(s *Store) error { _, err := s.Take(context.Background(), "x", 1000, 1000); return err },
	"Get":     func(s *Store) error { _, err := s.Get(context.Background(), "x"); return err },
	"Publish": func(s *Store) error { return s.Publish(context.Background(), "x") },
}

// checkAway checks that all operations fail at once.
func checkAway(t testing.TB, s *Store) {
	t.Helper()
	for name, operation := range operations {
		began := time.Now()
		err := operation(s)
		if took := time.Since(began); !errors.Is(err, usage.ErrAway) || took > time.Second {
			t.Errorf("%s of a store that is away: %v, after %v", name, err, took)
		}
	}
	s.Settle(nil, "x", 5)
	s.Put("x", []byte("x"), time.Minute)
}

// back waits until all operations work.
func back(t testing.TB, s *Store) {
	t.Helper()
	eventually(t, s.Up, func() string { return "the store is away: it " + *s.why.Load() })
	for name, operation := range operations {
		if err := operation(s); err != nil {
			t.Errorf("%s of a store that is back: %v", name, err)
		}
	}
}

func TestEveryErrorOfRedisMakesTheStoreAway(t *testing.T) {
	for answer, want := range map[string]string{
		"OOM command not allowed when used memory > 'maxmemory'.":                                "it is out of memory",
		"READONLY You can't write against a read only replica.":                                  "it is a replica, which takes no changes",
		"LOADING Redis is loading the dataset in memory":                                         "it is loading its data",
		"MASTERDOWN Link with MASTER is down":                                                    "it has lost its master",
		"MISCONF Redis is configured to save RDB snapshots":                                      "it cannot save its data",
		"BUSY Redis is busy running a script.":                                                   "it is busy with a script",
		"NOAUTH Authentication required.":                                                        "it wants a password",
		"NOPERM User someone-secret has no permissions to run the 'evalsha' command":             "it does not allow the user what is needed",
		"CLUSTERDOWN The cluster is down":                                                        "it is a Cluster that is down",
		"ERR value is someone-secret":                                                            "it answers with an error",
		"SOMEONE-SECRET":                                                                         "it answers with an error",
		"WRONGTYPE Operation against a key holding the wrong kind of value, such as the secrets": "it answers with an error",
	} {
		code, _, _ := strings.Cut(answer, " ")
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			server := simulate(t)
			s := store(t, server.Addr())
			for name, operation := range operations {
				server.SetError(answer)
				err := operation(s)
				if !errors.Is(err, usage.ErrAway) || err.Error() != "the shared store cannot be reached: "+want {
					t.Errorf("%s: %v", name, err)
				}
				if s.Up() {
					t.Errorf("%s: the store is up", name)
				}
				server.SetError("")
				s.conn.Store(s.latest) // do not wait for the next attempt
			}
			server.SetError(answer)
			_ = operations["Count"](s)
			checkAway(t, s)
			server.SetError("")
			back(t, s)
		})
	}
}

func TestAStoreThatIsAwayAtFirstIsUsedOnceItAnswers(t *testing.T) {
	server := simulate(t)
	address := server.Addr()
	server.Close()
	s := open(t, Config{Addresses: []string{address}, Timeout: time.Second})
	checkAway(t, s)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	back(t, s)
}

func TestTokensThatWereSettledWhileAwayCountWhenTheStoreIsBack(t *testing.T) {
	server := simulate(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 1000/day", "parallel 2")}}
	before, _ := a.admit(10)
	during, _ := a.admit(10)
	server.SetError("LOADING")
	a.store.Settle(a.scopes, before, 5) // the store does not know yet
	eventually(t, func() bool { return !a.store.Up() }, func() string { return "the store is up" })
	a.store.Settle(a.scopes, during, 7)
	server.SetError("")
	back(t, a.store)
	a.wantUsed(12, 0)
}

func TestSettlementsForAStoreThatIsAwayAreBounded(t *testing.T) {
	s := &Store{leases: make(map[usage.Lease][]held), ended: make(map[string][]string), wake: make(chan struct{}, 1)}
	limited := scope(t, "u", "tokens 1000/day")
	for range 3 * maxQueue {
		lease := s.newLease()
		s.keepLease(lease, []held{s.hold(&limited, lease, 0)})
		s.Settle(nil, lease, 1)
	}
	if n := len(s.queue); n > maxQueue || n < maxQueue-batch {
		t.Errorf("%d wait", n)
	}
	last := s.queue[len(s.queue)-1].args[0]
	if want := leaseMember(s.newLease(), limited.Limits, 0); !strings.HasPrefix(want, s.server) || last == "" {
		t.Errorf("%v", last)
	}
}

func TestAQueueThatNeverEndsDoesNotKeepLeasesFromBeingRenewed(t *testing.T) {
	s := store(t, simulate(t).Addr())
	s.close() // the test does what is done in the background
	s.tasks.Wait()
	var filling sync.WaitGroup
	filled := make(chan struct{})
	filling.Go(func() {
		for {
			select {
			case <-filled:
				return
			default:
				s.Put("x", nil, time.Minute)
			}
		}
	})
	waiting := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.queue)
	}
	eventually(t, func() bool { return waiting() >= maxQueue/2 }, func() string { return "the queue is not filled" })
	flushed := make(chan struct{})
	go func() {
		s.flush(s.conn.Load())
		close(flushed)
	}()
	select {
	case <-flushed:
	case <-time.After(time.Minute):
		t.Error("it is sent for ever")
	}
	close(filled)
	filling.Wait()
	<-flushed
}

func TestNonsenseMakesTheStoreAway(t *testing.T) {
	for name, nonsense := range map[string]string{
		"nothing":                     "",
		"a web server's answer":       "HTTP/1.1 400 Bad Request\r\n\r\n",
		"an SSH server's greeting":    "SSH-2.0-OpenSSH_9.2\r\n",
		"random bytes":                "\x00\x9f\xff\n\r\x01*",
		"replies that nobody awaits":  strings.Repeat("+OK\r\n", 10_000),
		"a string too long":           "$99999999999\r\n",
		"a string far too long":       "$9223372036854775807\r\n",
		"a string of negative length": "$-5\r\n",
		"an array too long":           "*99999999999\r\n",
		"a map too long":              "%99999999999\r\n",
		"arrays in arrays":            strings.Repeat("*1\r\n", 100_000),
		"a line without end":          strings.Repeat("+aaaaaaaaaaaaaaaa", 100_000),
		"a message of a channel":      "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\ny\r\n",
		"an array of arrays":          "*1\r\n*1\r\n*0\r\n",
		"a refusal without a reason":  "*4\r\n:0\r\n:5\r\n:5\r\n:0\r\n",
		"negative numbers":            "*4\r\n:1\r\n:5\r\n:5\r\n:-1\r\n",
		"too few numbers":             "*1\r\n:5\r\n",
		"too many numbers":            "*9\r\n" + strings.Repeat(":5\r\n", 9),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRelay(t, simulate(t).Addr())
			s := open(t, Config{Addresses: []string{r.address}, Timeout: time.Second})
			l, _ := listen(t, s)
			l.begin(s)
			s.Timeout = 50 * time.Millisecond
			for name, operation := range operations {
				r.answer(nonsense)
				err := operation(s)
				// A message is published, and a value is there or not, whatever Redis answers.
				if name != "Publish" && name != "Get" && err == nil || err != nil && !errors.Is(err, usage.ErrAway) {
					t.Errorf("%s: %v", name, err)
				}
			}
			_ = operations["Count"](s)
			checkAway(t, s)
			s.Timeout = time.Second
			r.pass()
			l.want("missed")
			back(t, s)
		})
	}
}

func TestNonsenseFromTheFirstAnswerOnMakesTheStoreAway(t *testing.T) {
	r := startRelay(t, simulate(t).Addr())
	r.answer("HTTP/1.1 400 Bad Request\r\n\r\n")
	s := open(t, Config{Addresses: []string{r.address}, Timeout: time.Second})
	if got := *s.why.Load(); got != "answers nonsense" {
		t.Errorf("it %s", got)
	}
	checkAway(t, s)
	r.pass()
	back(t, s)
}

func TestAStoreThatIsSlowIsAway(t *testing.T) {
	r := startRelay(t, simulate(t).Addr())
	s := open(t, Config{Addresses: []string{r.address}, Timeout: 2 * time.Second})
	l, _ := listen(t, s)
	l.begin(s)
	s.Timeout = 50 * time.Millisecond
	r.hang()
	began := time.Now()
	err := operations["Admit"](s)
	if took := time.Since(began); !errors.Is(err, usage.ErrAway) || took < s.Timeout || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
	checkAway(t, s)
	began = time.Now()
	for range 1000 {
		_ = operations["Admit"](s)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("a thousand requests waited for %v", took)
	}
	s.Timeout = 2 * time.Second
	r.pass()
	l.want("missed") // the connection of the channel hung, and nobody closed it
	back(t, s)
}

func TestAStoreThatCutsItsConnectionsIsBackSoon(t *testing.T) {
	r := startRelay(t, simulate(t).Addr())
	s := open(t, Config{Addresses: []string{r.address}, Timeout: time.Second})
	l, _ := listen(t, s)
	l.begin(s)
	r.cut()
	l.want("missed")
	back(t, s)
}

func TestSeveralAddressesAreAClusterOrSentinels(t *testing.T) {
	a, b := simulate(t), simulate(t)
	s := open(t, Config{Addresses: []string{a.Addr(), b.Addr()}, Timeout: time.Second})
	checkAway(t, s)
	if want := "is neither a Cluster nor a Sentinel, although there are several addresses"; *s.why.Load() != want {
		t.Errorf("it %s", *s.why.Load())
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	unused := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	silent := startRelay(t, "")
	silent.answer("")
	for address, want := range map[string]string{
		unused():                    "cannot be reached: connection refused",
		"no-such-host.invalid:6379": "has a host name that is not known",
		silent.address:              "does not answer in time",
	} {
		s := open(t, Config{Addresses: []string{address}, Timeout: time.Second})
		eventually(t, func() bool { return s.why.Load() != nil }, func() string { return "nothing is said" })
		if got := *s.why.Load(); got != want {
			t.Errorf("it %s, want it %s", got, want)
		}
	}
}

func TestDBsAreSeparate(t *testing.T) {
	server := simulate(t)
	limited := []usage.Scope{scope(t, "u", "requests 1/1m")}
	for db := range 3 {
		s := open(t, Config{Addresses: []string{server.Addr()}, DB: db, Timeout: 10 * time.Second})
		asker{t, s, limited}.admits(true)
		asker{t, s, limited}.admits(false)
	}
}

func TestTheDurationOfOperationsIsObserved(t *testing.T) {
	server := simulate(t)
	var mu sync.Mutex
	var observed []time.Duration
	s := open(t, Config{Addresses: []string{server.Addr()}, Timeout: 10 * time.Second, Observe: func(took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		observed = append(observed, took)
	}})
	for _, operation := range operations {
		if err := operation(s); err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(observed) != len(operations) || slices.Min(observed) <= 0 {
		t.Errorf("%v", observed)
	}
}

func TestThereIsAtMostOneMessageAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		s := &Store{Config: Config{Log: func() *zap.Logger { return zap.New(core) }}}
		conn, failed := new(connection), &command{}
		s.conn.Store(conn)
		pass := func(d time.Duration) {
			for range d / time.Second {
				s.report()
				time.Sleep(time.Second)
			}
		}
		said := func() (all []string) {
			for _, entry := range logs.TakeAll() {
				all = append(all, entry.Message)
			}
			return all
		}
		const isAway, isBack = "shared store is away: this server counts by itself", "shared store is back"
		pass(time.Hour)
		if got := said(); got != nil {
			t.Errorf("%q of a store that is up", got)
		}
		s.fail(conn, failed, context.DeadlineExceeded)
		pass(150 * time.Second)
		if got := said(); !slices.Equal(got, []string{isAway, isAway, isAway}) {
			t.Errorf("%q in two and a half minutes", got)
		}
		s.conn.Store(conn)
		pass(time.Hour)
		if got := said(); !slices.Equal(got, []string{isBack}) {
			t.Errorf("%q when it is back", got)
		}
		for range 150 { // it comes and goes
			s.fail(conn, failed, context.DeadlineExceeded)
			pass(time.Second)
			s.conn.Store(conn)
			pass(time.Second)
		}
		if got := said(); len(got) > 5 {
			t.Errorf("%q in five minutes", got)
		}
	})
}
