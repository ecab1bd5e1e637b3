//go:build redis

package servers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
)

// everyone sends chats through all servers at once, and returns how many got each status.
func (f *fleet) everyone(n int, email, key string) map[int]int {
	f.Helper()
	var mu sync.Mutex
	statuses := make(map[int]int)
	var all sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				status := f.servers[int(i)%len(f.servers)].chat(email, key)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return statuses
}

func TestTwoServersAllowALimitOnce(t *testing.T) {
	f := start(t, 2, "limits {\nrequests 40 1h\n}")
	key := f.newKey(dev)
	if got := f.everyone(120, dev, key); got[200] != 40 || got[429] != 80 {
		t.Errorf("%v, want 40 of 120 requests", got)
	}
}

func TestThreeServersAllowATeamsLimitOnce(t *testing.T) {
	f := start(t, 3, "limits {\nrequests 100 day\nteam team {\nrequests 50 1h\n}\n}")
	var keys []string
	for i := range 3 {
		keys = append(keys, f.newKey(fmt.Sprintf("dev%d@example.com", i), "--metadata", "team=core"))
	}
	total := map[int]int{}
	for i, key := range keys {
		for status, n := range f.everyone(40, fmt.Sprintf("dev%d@example.com", i), key) {
			total[status] += n
		}
	}
	if total[200] != 50 || total[429] != 70 {
		t.Errorf("%v, want 50 of 120 requests", total)
	}
	other := f.newKey("other@example.com", "--metadata", "team=other")
	if got := f.servers[2].chat("other@example.com", other); got != 200 {
		t.Errorf("another team: status %d", got)
	}
}

// A limit of tokens is passed by no more than the requests in flight.
func TestThreeServersCountTokensTogether(t *testing.T) {
	f := start(t, 3, "limits {\ntokens 300 1h\n}")
	key := f.newKey(dev)
	used := int64(0)
	for i := range 200 {
		res := f.servers[i%3].send(t.Context(), dev, key, body(llama, "hi", false))
		answer, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusTooManyRequests {
			if used < 300 || i < 3 {
				t.Errorf("refused after %d tokens in %d requests", used, i)
			}
			return
		}
		each := gjson.GetBytes(answer, "usage.total_tokens").Int()
		if used >= 300 {
			t.Fatalf("request %d is admitted after %d tokens", i, used)
		}
		used += each
		f.becomes("the tokens are counted", 10*time.Second, func() bool { return f.usedTokens(i, key) == used })
	}
	t.Errorf("never refused after %d tokens", used)
}

// usedTokens asks a server how many tokens are used of the first limit.
func (f *fleet) usedTokens(i int, key string) int64 {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), http.MethodGet, f.servers[i%len(f.servers)].site+"/usage", nil)
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+dev+":"+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		f.Fatal(err)
	}
	return gjson.GetBytes(answer, "limits.0.used").Int()
}

func TestAKeyThatIsDisabledIsRefusedByAllServersAtOnce(t *testing.T) {
	f := start(t, 2, "")
	key := f.newKey(dev)
	for _, change := range []struct {
		command string
		status  int
	}{{"disable", 401}, {"enable", 200}, {"disable", 401}} {
		for _, s := range f.servers {
			s.chat(dev, key) // now its cache knows the user for an hour
		}
		if _, says := f.command("keys", change.command, dev); !strings.Contains(says, "All servers that share a store were told.") {
			t.Errorf("the operator reads %q", says)
		}
		for i, s := range f.servers {
			f.becomes(fmt.Sprint(change.command, " on server ", i), 5*time.Second, func() bool { return s.chat(dev, key) == change.status })
		}
	}
}

func TestFailedSignInsCountTogether(t *testing.T) {
	f := start(t, 2, "failed_attempts 3 1h")
	key := f.newKey(dev)
	for _, s := range f.servers {
		if got := s.chat(dev, key); got != 200 {
			t.Fatalf("status %d", got)
		}
	}
	for i := range 3 {
		if got := f.servers[0].chat(dev, fmt.Sprint("guess", i)); got != 401 {
			t.Errorf("guess %d: status %d", i, got)
		}
	}
	for i, s := range f.servers {
		f.becomes(fmt.Sprint("the right key waits on server ", i), 5*time.Second, func() bool { return s.chat(dev, key) == 429 })
	}
}

func TestAServerThatWasCutOffForgetsItsCache(t *testing.T) {
	f := start(t, 2, "")
	key := f.newKey(dev)
	for _, s := range f.servers {
		if got := s.chat(dev, key); got != 200 {
			t.Fatalf("status %d", got)
		}
	}
	f.redis.Signal(syscall.SIGSTOP)
	if _, says := f.command("keys", "disable", dev); !strings.Contains(says, "not told") {
		t.Errorf("the operator reads %q", says)
	}
	for i, s := range f.servers {
		if got := s.chat(dev, key); got != 200 {
			t.Errorf("server %d, which does not know yet: status %d", i, got)
		}
	}
	f.redis.Signal(syscall.SIGCONT)
	f.redis.Do("CLIENT", "KILL", "TYPE", "pubsub")
	for i, s := range f.servers {
		f.becomes(fmt.Sprint("server ", i, " forgets"), 15*time.Second, func() bool { return s.chat(dev, key) == 401 })
	}
}

// Requests must go on whatever Redis does, and nobody unknown may get in.
func TestNobodyIsRefusedBecauseOfRedis(t *testing.T) {
	f := start(t, 2, "limits {\nrequests 1000 1h\nparallel 50\n}")
	key := f.newKey(dev)
	check := func(when string) {
		t.Helper()
		for i, s := range f.servers {
			for range 3 {
				if got := s.chat(dev, key); got != 200 {
					t.Errorf("%s: server %d: status %d", when, i, got)
				}
			}
			if got := s.chat("nobody@example.com", key); got != 401 {
				t.Errorf("%s: server %d: somebody unknown: status %d", when, i, got)
			}
			if got := s.chat(dev, "wrong key "+when); got != 401 {
				t.Errorf("%s: server %d: a wrong key: status %d", when, i, got)
			}
		}
	}
	check("it works")
	f.redis.Signal(syscall.SIGSTOP)
	check("it hangs")
	f.redis.Signal(syscall.SIGCONT)
	f.redis.Do("CONFIG", "SET", "maxmemory", "1")
	check("it is out of memory")
	f.redis.Do("CONFIG", "SET", "maxmemory", "0")
	f.redis.Kill()
	check("it is dead")
	asked, stop := nonsense(t, f.redis.Address)
	for range 4 * len(f.servers) { // until all have tried it
		<-asked
	}
	check("it answers nonsense")
	stop()
	f.redis.Start()
	check("it is back, empty")
	for _, s := range f.servers {
		if strings.Contains(s.log.String(), "panic") {
			t.Error(s.log)
		}
	}
}

// nonsense answers nonsense at an address. asked gets something for each connection.
func nonsense(t *testing.T, address string) (asked <-chan bool, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	connections := make(chan bool, 10_000)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections <- true
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, strings.Repeat("$99999999999\r\n+OK\r\n*5\r\n:1\r\n", 10))
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return connections, func() { _ = l.Close() }
}

// A server that is killed must not hold back its users for longer than their leases.
func TestAServerThatIsKilledHoldsNobodyBack(t *testing.T) {
	f := start(t, 2, "limits {\nparallel 3\n}")
	key := f.newKey(dev)
	f.gateway.Always(gatewaytest.Scenario{Delay: time.Hour}) // answers that never end
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 3 {
		res := f.servers[0].send(ctx, dev, key, body(llama, "hi", true))
		defer res.Body.Close()
		if res.StatusCode != 200 {
			t.Fatalf("status %d", res.StatusCode)
		}
	}
	f.gateway.Always(gatewaytest.Scenario{})
	if got := f.servers[1].chat(dev, key); got != 429 {
		t.Fatalf("with three requests in flight on the other server: status %d", got)
	}
	if err := f.servers[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f.becomes("the user is let in", 35*time.Second, func() bool { return f.servers[1].chat(dev, key) == 200 })
	took := time.Since(began)
	t.Logf("the leases ended after %v", took)
	if took > 31*time.Second {
		t.Errorf("the user was held back for %v", took)
	}
}

// A client that drops thought signatures gets them back from a server that never saw them.
func TestAThoughtSignatureIsFoundByAnotherServer(t *testing.T) {
	f := start(t, 2, "")
	key := f.newKey(dev)
	const model = "google-ai-studio/gemini-2.5-flash"
	tools := `"tools":[{"type":"function","function":{"name":"read_file","parameters":{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}}}]`
	question := `{"role":"user","content":"USETOOL a.txt"}`
	first := f.servers[0].send(t.Context(), dev, key, fmt.Sprintf(`{"model":%q,"messages":[%s],%s}`, model, question, tools))
	answer, _ := io.ReadAll(first.Body)
	_ = first.Body.Close()
	call := gjson.GetBytes(answer, "choices.0.message.tool_calls.0")
	signature := call.Get("extra_content.google.thought_signature").Str
	if first.StatusCode != 200 || signature == "" {
		t.Fatalf("status %d, %s", first.StatusCode, answer)
	}
	id := call.Get("id").Str
	second := fmt.Sprintf(`{"model":%q,"messages":[%s,{"role":"assistant","tool_calls":[{"id":%q,"type":"function","function":{"name":"read_file","arguments":"{}"}}]},{"role":"tool","tool_call_id":%q,"content":"text"}],%s}`, model, question, id, id, tools)
	f.becomes("the signature is sent", 10*time.Second, func() bool {
		res := f.servers[1].send(t.Context(), dev, key, second)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		all := f.gateway.Requests()
		return res.StatusCode == 200 && strings.Contains(string(all[len(all)-1].Body), signature)
	})
}
