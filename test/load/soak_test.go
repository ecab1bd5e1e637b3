package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEveryFaultMeetsAReload(t *testing.T) {
	met := map[int]bool{}
	begun := 0
	for tick := 1; tick <= 4*len(faults); tick++ {
		fault, reload := disturbance(tick)
		if reload {
			if fault != begun {
				t.Errorf("tick %d reloads with fault %d, but %d has begun", tick, fault, begun)
			}
			met[fault] = true
		}
		begun = fault
	}
	if len(met) != len(faults) {
		t.Errorf("%d of %d faults are met by a reload", len(met), len(faults))
	}
}

func TestEveryFaultOfRedisMeetsAReload(t *testing.T) {
	met := map[redisEvent]bool{}
	last := nothing
	for tick := 1; tick <= 16; tick++ {
		if event := redisEventAt(tick); event != nothing {
			last = event
		}
		if _, reload := disturbance(tick); reload {
			met[last] = true
		}
	}
	if !met[hangs] || !met[ends] || len(met) != 2 {
		t.Errorf("reloads meet %v", met)
	}
}

func TestARequestIsSentAgainOnlyAtAReload(t *testing.T) {
	for name, test := range map[string]struct {
		answers               []string
		calm                  bool // there is no reload
		answered, again, lost int64
		kept                  bool
	}{
		"answered":                             {answers: []string{answerOK}, answered: 1, kept: true},
		"answered, but the connection ends":    {answers: []string{answerLast}, answered: 1},
		"sent again at a reload":               {answers: []string{"", answerOK}, answered: 1, again: 1, kept: true},
		"not sent again without a reload":      {answers: []string{"", answerOK}, calm: true, lost: 1},
		"not sent again twice at a reload":     {answers: []string{"", "", answerOK}, again: 1, lost: 1},
		"lost, because its answer breaks off":  {answers: []string{hangUp, answerOK}, lost: 1},
		"lost, because its status is an error": {answers: []string{strings.Replace(answerOK, "200", "503", 1)}, lost: 1},
		"lost, because there is no connection": {lost: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := soaking{server: &server{address: answering(t, test.answers...)}, reloading: !test.calm, begun: 1}
			if len(test.answers) == 0 {
				for {
					c, err := dial(t.Context(), s.server.address)
					if err != nil {
						break
					}
					_ = c.Close()
				}
			}
			c := s.request(nil, usersChat(0), false)
			if s.answered != test.answered || s.again != test.again || s.lost != test.lost {
				t.Errorf("%d answered, %d again, %d lost: %q", s.answered, s.again, s.lost, s.said)
			}
			if (c != nil) != test.kept {
				t.Errorf("kept: %t", c != nil)
			}
			if c != nil {
				_ = c.Close()
			}
		})
	}
}

func TestARequestIsSentAgainAtEachReload(t *testing.T) {
	s := soaking{reloading: true}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.begun++; s.begun <= 2 {
			panic(http.ErrAbortHandler) // closes the connection
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer site.Close()
	s.server = &server{address: site.Listener.Addr().String()}
	c := s.request(nil, usersChat(0), false)
	if c == nil || s.answered != 1 || s.again != 2 {
		t.Fatalf("%d answered, %d again, %d lost: %q", s.answered, s.again, s.lost, s.said)
	}
	_ = c.Close()
}

func TestAClosedConnectionIsNotUsed(t *testing.T) {
	address := answering(t, answerLast, answerOK)
	c := dialed(t, address)
	if err := c.ok(usersChat(0), nil); err != nil {
		t.Fatal(err)
	}
	_, _ = c.reader.Peek(1) // wait until it is closed
	s := soaking{server: &server{address: address}, reloading: true, begun: 1}
	if c = s.request(c, usersChat(0), false); c == nil || s.answered != 1 || s.again != 0 {
		t.Errorf("%d answered, %d again, %d lost: %q", s.answered, s.again, s.lost, s.said)
	}
}

func TestConnectionsMayCloseForASecondAfterAReload(t *testing.T) {
	for name, test := range map[string]struct {
		during bool
		before time.Duration
		want   int
	}{
		"during a reload":      {true, time.Minute, 3},
		"right after a reload": {false, 0, 3},
		"long after a reload":  {false, 2 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := soaking{reloading: test.during, begun: 3, reloaded: time.Now().Add(-test.before)}
			if got := s.closing(); got != test.want {
				t.Errorf("reload %d, want %d", got, test.want)
			}
		})
	}
}
