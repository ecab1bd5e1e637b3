package filestore

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// TestMain is also the program that the tests start as other processes: it edits a file.
func TestMain(m *testing.M) {
	path := os.Getenv("FILESTORE_WRITER_PATH")
	if path == "" {
		os.Exit(m.Run())
	}
	rounds, err := strconv.Atoi(os.Getenv("FILESTORE_WRITER_ROUNDS"))
	if err == nil {
		err = count(context.Background(), path, os.Getenv("FILESTORE_WRITER_NAME"), rounds, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// count increments the values of name and of "all", and writes a line after each edit.
func count(ctx context.Context, path, name string, rounds int, out io.Writer) error {
	s, err := Open(path, path, nil)
	if err != nil {
		return err
	}
	for range rounds {
		var n int
		err := s.Edit(ctx, keystore.APIKeys, []string{"all", name}, func(_ string, value []byte) ([]byte, error) {
			n, _ = strconv.Atoi(string(value))
			n++
			return strconv.AppendInt(nil, int64(n), 10), nil
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
	}
	return nil
}

// writer returns the command of a process that counts.
func writer(t *testing.T, path, name string, rounds int) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "FILESTORE_WRITER_PATH="+path, "FILESTORE_WRITER_NAME="+name, "FILESTORE_WRITER_ROUNDS="+strconv.Itoa(rounds))
	cmd.Stderr = os.Stderr
	return cmd
}

// others returns entries that no test edits.
func others() string {
	var file strings.Builder
	file.WriteString("[")
	for i := range 200 {
		fmt.Fprintf(&file, "\n{\"key\":\"user%d@example.com\",\"value\":\"{}\"},", i)
	}
	return strings.TrimSuffix(file.String(), ",") + "\n]\n"
}

func TestParallelWritersLoseNoEdit(t *testing.T) {
	const processes, routines, rounds = 3, 3, 20
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, others())
	var writers sync.WaitGroup
	want := map[string]string{"all": strconv.Itoa((processes + routines) * rounds)}
	for i := range processes {
		name := fmt.Sprint("process", i)
		want[name] = strconv.Itoa(rounds)
		writers.Go(func() {
			if err := writer(t, path, name, rounds).Run(); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range routines {
		name := fmt.Sprint("routine", i)
		want[name] = strconv.Itoa(rounds)
		writers.Go(func() {
			if err := count(t.Context(), path, name, rounds, io.Discard); err != nil {
				t.Error(err)
			}
		})
	}

	// A reader always finds a complete file, also during an edit.
	over, reader := make(chan struct{}), make(chan int, 1)
	go func() {
		reads := 0
		for ; ; reads++ {
			data, err := os.ReadFile(path)
			if err == nil {
				_, err = parse(data, time.Now())
			}
			if err != nil {
				t.Error(err)
			}
			select {
			case <-over:
				reader <- reads
				return
			default:
			}
		}
	}()
	writers.Wait()
	close(over)
	t.Logf("read %d times meanwhile", <-reader)

	entries, err := parse([]byte(read(t, path)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if entries[name].value != value {
			t.Errorf("%s: %q, want %s", name, entries[name].value, value)
		}
	}
	if len(entries) != 200+len(want) {
		t.Errorf("%d entries, want %d", len(entries), 200+len(want))
	}
}

func TestAKilledWriterLosesNoConfirmedEdit(t *testing.T) {
	const kills = 30
	s := open(t, others())
	previous := 0
	for range kills {
		cmd := writer(t, s.keys, "killed", 1_000_000)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		confirmed := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			confirmed, err = strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			if confirmed == previous+3 {
				// The process is writing again. The pause varies the moment at which it is killed.
				time.Sleep(rand.N(5 * time.Millisecond))
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if confirmed < previous+3 {
			t.Fatalf("confirmed %d after %d", confirmed, previous)
		}

		entries, err := parse([]byte(read(t, s.keys)), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		value, err := strconv.Atoi(entries["killed"].value)
		if err != nil || value != confirmed && value != confirmed+1 || entries["all"].value != entries["killed"].value || len(entries) != 202 {
			t.Fatalf("%v of %d entries, after %d was confirmed: %v", entries["killed"], len(entries), confirmed, err)
		}
		previous = value
	}
	s.edit("a", "1")
	s.want("1")
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")
	s.wantLogs()
}
