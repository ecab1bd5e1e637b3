package main

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// The key is shown if it was written. If it was not written, the command does not claim that it
// was.
func TestAKeyIsShownIfItWasWrittenDespiteAnError(t *testing.T) {
	o := operators(t)["cloudflare_kv"]
	o.t = t
	writes := func(fault kvtest.Fault) kvtest.Fault {
		return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
			if r.Method == http.MethodPut {
				fault(w, r, next)
				return
			}
			next(w, r)
		}
	}
	o.kv.FailAll(writes(kvtest.CutOff)) // the write succeeds, but its answer is lost
	key := o.newKey("keys", "add", "dev@example.com")
	if o.hashes()["dev@example.com"] != keystore.HashKey(key) {
		t.Error("another key was written than was printed")
	}
	if key = o.newKey("keys", "rotate", "dev@example.com"); o.hashes()["dev@example.com"] != keystore.HashKey(key) {
		t.Error("rotated: another key was written than was printed")
	}
	o.kv.FailAll(writes(kvtest.Reply(http.StatusInternalServerError, "")))
	o.refused("unavailable", "keys", "add", "other@example.com")
	if len(o.hashes()) != 1 {
		t.Errorf("users %v", o.hashes())
	}
	o.kv.FailAll(kvtest.Reply(http.StatusInternalServerError, ""))
	for _, command := range []string{"add", "rotate"} {
		if _, stderr, _ := o.try("keys", command, "dev@example.com"); strings.Contains(stderr, "is not known") {
			t.Errorf("%s: nothing can have been written, but it says %s", command, stderr)
		}
	}
}

// The commands must not say that such a key was not written.
func TestAKeyThatWorkersKVShowsLateIsUncertain(t *testing.T) {
	o := operators(t)["cloudflare_kv"]
	o.t = t
	var wrote atomic.Bool
	late := func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		switch {
		case r.Method == http.MethodPut:
			kvtest.CutOff(w, r, next)
			wrote.Store(true)
		case wrote.Load():
			kvtest.Reply(http.StatusOK, `{"success":true,"result":{"values":{}}}`)(w, r, next)
		default:
			next(w, r)
		}
	}
	o.kv.FailAll(late)
	o.refused("whether the key was written is not known", "keys", "add", "dev@example.com")
	if o.hashes()["dev@example.com"] == "" {
		t.Error("the key has not been written, which proves nothing")
	}
	wrote.Store(false)
	o.write("team.csv", team(3))
	printed, stderr, status := o.try("keys", "import", "team.csv")
	if status != 1 || !strings.Contains(stderr, "3 of the last 3 keys may or may not have been written") {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	keys := keysOf(t, printed)
	for email, hash := range o.hashes() {
		if email != "dev@example.com" && hash != keystore.HashKey(keys[email]) {
			t.Errorf("%s has a key that was not printed", email)
		}
	}
	wrote.Store(false)
	o.kv.FailAll(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		if r.Method == http.MethodPut {
			kvtest.Reply(http.StatusForbidden, "")(w, r, next)
			return
		}
		next(w, r)
	})
	o.write("team.csv", team(6))
	if printed, stderr, _ := o.try("keys", "import", "team.csv"); len(keysOf(t, printed)) != 0 || strings.Contains(stderr, "may or may not") {
		t.Errorf("a token that may not write: printed %s\n%s", printed, stderr)
	}
}

// The command says that the key is lost. It tells a running server all the same.
func TestAKeyThatCannotBeShownIsReportedLost(t *testing.T) {
	withoutRaces(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer func() { _ = full.Close() }()
	reader, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closed.Close() }()
	_ = reader.Close()
	for name, out := range map[string]*os.File{"a full disk": full, "a pipe that nobody reads": closed} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t, "keystore file", "off")
			o.write("team.csv", team(3))
			for _, args := range [][]string{{"keys", "add", "dev@example.com"}, {"keys", "rotate", "dev@example.com"}, {"keys", "import", "team.csv"}} {
				cmd := o.command(args...)
				var stderr strings.Builder
				cmd.Stdout, cmd.Stderr = out, &stderr
				if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
					t.Errorf("%v: %v", args, err)
				}
				if args[1] != "import" && (!strings.Contains(stderr.String(), "make another with `keys rotate dev@example.com`") || !strings.Contains(stderr.String(), "admin endpoint is off")) {
					t.Errorf("%v: the operator reads %s", args, stderr.String())
				}
			}
			if users := o.hashes(); len(users) != 1 {
				t.Errorf("an import that cannot show keys made %d users", len(users)-1)
			}
		})
	}
}

// The import stops after a batch. The key of every user that was made has been printed.
func TestAnInterruptedImportPrintsEveryKeyItMade(t *testing.T) {
	o := operators(t)["cloudflare_kv"]
	o.t = t
	o.write("team.csv", team(500))
	second := make(chan struct{})
	var writes atomic.Int32
	var interrupted sync.WaitGroup
	interrupted.Add(1)
	o.kv.FailAll(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		if r.Method == http.MethodPut {
			switch n := writes.Add(1); {
			case n == 2:
				close(second)
				interrupted.Wait()
			case n > 2: // the signal may take a while to reach the program
				time.Sleep(time.Second)
			}
		}
		next(w, r)
	})
	cmd := o.command("keys", "import", "team.csv")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-second
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	interrupted.Done()
	if err := cmd.Wait(); err == nil || !strings.Contains(stderr.String(), "again for the others") {
		t.Errorf("ended with %v\n%s", err, stderr.String())
	}
	keys, hashes := keysOf(t, stdout.String()), o.hashes()
	if len(keys) != len(hashes) || len(keys) >= 500 || len(keys) == 0 {
		t.Errorf("%d keys, %d users", len(keys), len(hashes))
	}
	for email, key := range keys {
		if hashes[email] != keystore.HashKey(key) {
			t.Errorf("%s has another key than was printed", email)
		}
	}
}

// While the keystore is down, the other users still get in.
func TestACommandKeepsOtherUsersInMemory(t *testing.T) {
	o := operators(t)["cloudflare_kv"]
	o.t = t
	o.run("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}")
	key := o.newKey("keys", "add", "dev@example.com")
	o.serve()
	if got := o.chat("dev@example.com", key); got != 200 {
		t.Fatalf("status %d", got)
	}
	o.write("team.csv", team(1))
	o.run("keys", "import", "team.csv")
	o.run("providers", "set", "groq")
	o.kv.FailAll(kvtest.Reply(http.StatusInternalServerError, ""))
	if got := o.chat("dev@example.com", key); got != 200 {
		t.Errorf("status %d while KV is down, want 200 from memory", got)
	}
}
