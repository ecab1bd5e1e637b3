package usage

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
)

func TestRequestsOfAnHourAreOneRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory)
		r, _ := recorder(m, 0)
		hour := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		for minute := range 90 {
			r.Add(hour.Add(time.Duration(minute)*time.Minute), one("a"))
			r.Add(hour.Add(time.Duration(minute)*time.Minute), one("b"))
		}
		if n := r.Pending(); n != 4 {
			t.Errorf("%d rows are pending, want 4", n)
		}
		time.Sleep(flushInterval)
		synctest.Wait()
		if n := r.Pending(); n != 0 {
			t.Errorf("%d rows are pending after a flush", n)
		}
		rows := m.rows()
		if got := rows[Row{Hour: hour, User: "a", Model: "m"}]; len(rows) != 4 || got.Requests != 60 || got.Prompt != 600 {
			t.Errorf("%d rows, %+v", len(rows), got)
		}
		r.Add(hour.Add(70*time.Minute), one("b"))
		_ = r.Close()
		if got := m.rows()[Row{Hour: hour.Add(time.Hour), User: "b", Model: "m"}]; got.Requests != 31 {
			t.Errorf("after Close: %+v", got)
		}
		if m.closed == 0 {
			t.Error("the ledger was not closed")
		}
	})
}

func TestAConfigurationThatIsOnlyValidatedMakesNoLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory)
		r, _ := recorder(m, time.Hour)
		time.Sleep(flushInterval - 1)
		_ = r.Close()
		if m.calls != 0 || len(m.pruned) != 0 {
			t.Errorf("%d writes, %d times pruned", m.calls, len(m.pruned))
		}
	})
}

func TestTheLedgerKnowsTheRunBeforeTheFirstRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{err: errors.New("away")}
		r, _ := recorder(m, 0)
		time.Sleep(flushInterval)
		synctest.Wait()
		m.breaks(nil)
		time.Sleep(flushInterval)
		synctest.Wait()
		if _, known := m.numbers[r.Run()]; !known || len(r.Run()) != 16 {
			t.Errorf("run %q is not known: %v", r.Run(), m.numbers)
		}
		_ = r.Close()
	})
}

// The answer of a write can be lost before or after the batch was added.
func TestNothingIsLostOrCountedTwiceWhateverWritesReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random, answers := rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(2, 2))
		m := new(memory)
		m.answer = func() error {
			if answers.IntN(2) == 0 {
				return errors.New("the answer was lost")
			}
			return nil
		}
		r, _ := recorder(m, 0)
		var want Row
		for step := range 2000 {
			if random.IntN(3) == 0 {
				m.breaks([]error{nil, errors.New("away")}[random.IntN(2)])
			}
			row := &Row{User: fmt.Sprint("user", random.IntN(50)), Requests: 1, Prompt: random.Int64N(100), Completion: random.Int64N(100), Cached: random.Int64N(100), Refused: random.Int64N(2)}
			want.Add(row)
			r.Add(time.Now(), row)
			if step%10 == 0 {
				time.Sleep(time.Duration(random.IntN(10)) * time.Second)
			}
		}
		m.breaks(nil)
		m.mu.Lock()
		m.answer = nil
		m.mu.Unlock()
		_ = r.Close()
		if got := m.total(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestTheOldestRowsAreDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{err: errors.New("away")}
		r, logs := recorder(m, 0)
		began := time.Now()
		const extra = 1000
		for i := range maxPending + extra {
			r.Add(began.Add(time.Duration(i)*time.Second/10), one(fmt.Sprint("user", i)))
		}
		if n := r.Pending(); n > maxPending || n < maxPending*8/10 {
			t.Errorf("%d rows are pending", n)
		}
		time.Sleep(complaintInterval + flushInterval)
		synctest.Wait()
		m.breaks(nil)
		_ = r.Close()
		var lost int64
		for _, entry := range logs.FilterMessageSnippet("requests are missing in the ledger").All() {
			lost += entry.ContextMap()["requests"].(int64)
		}
		got := m.total()
		if lost != maxPending/10 || got.Requests+lost != maxPending+extra {
			t.Errorf("%d requests written, %d lost, of %d", got.Requests, lost, maxPending+extra)
		}
		for row := range m.rows() {
			if row.User == "user0" {
				t.Error("the oldest row was not dropped")
			}
		}
	})
}

// A user chooses the names of models, and clients choose theirs.
func TestOneUserCannotFillTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory)
		r, _ := recorder(m, 0)
		began := time.Now().UTC().Truncate(time.Hour)
		for i := range 10_000 {
			r.Add(began.Add(time.Duration(i)*time.Second/10), &Row{User: "a", Provider: "openai", Model: fmt.Sprint("model", i), Requests: 1})
			if i%100 == 0 {
				time.Sleep(flushInterval)
			}
		}
		r.Add(began.Add(30*time.Minute), &Row{User: "b", Provider: "openai", Model: "model", Requests: 1})
		_ = r.Close()
		rows := m.rows()
		if got := rows[Row{Hour: began, User: "a", Provider: "openai", Model: otherModel}]; len(rows) != maxUserRows+2 || got.Requests != 10_000-maxUserRows {
			t.Errorf("%d rows, %+v for other models", len(rows), got)
		}
		if rows[Row{Hour: began, User: "b", Provider: "openai", Model: "model"}].Requests != 1 {
			t.Error("another user's model is missing")
		}
	})
}

func TestARequestAfterCloseIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory)
		r, _ := recorder(m, 0)
		r.Add(time.Now(), one("a"))
		_ = r.Close()
		for range 3 {
			r.Add(time.Now(), one("a"))
			synctest.Wait()
		}
		if got := m.total(); got.Requests != 4 || m.closed != 4 {
			t.Errorf("%+v, closed %d times", got, m.closed)
		}
	})
}

func TestWhatCannotBeWrittenAtTheEndIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{err: errors.New("away")}
		r, logs := recorder(m, 0)
		r.Add(time.Now(), one("a"))
		time.Sleep(2 * flushInterval)
		r.Add(time.Now(), one("b"))
		_ = r.Close()
		lost := logs.FilterMessageSnippet("requests are missing in the ledger").All()
		if len(lost) != 1 || lost[0].ContextMap()["requests"] != int64(2) || lost[0].ContextMap()["prompt_tokens"] != int64(20) || r.Pending() != 0 {
			t.Errorf("%v; %d pending", lost, r.Pending())
		}
	})
}

func TestAnOutageIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{err: errors.New("the disk is full")}
		r, logs := recorder(m, 0)
		for range 150 {
			r.Add(time.Now(), one("a"))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		said := logs.FilterMessageSnippet("ledger cannot be written").All()
		if n := r.Stuck(); n == 0 || n != r.Pending() {
			t.Errorf("%d rows are stuck, and %d pending", n, r.Pending())
		}
		if len(said) != 3 || said[0].Level != zapcore.ErrorLevel || said[2].ContextMap()["error"] != "the disk is full" || said[2].ContextMap()["pending_rows"] == int64(0) {
			t.Errorf("%d messages: %v", len(said), said)
		}
		m.breaks(nil)
		time.Sleep(2 * flushInterval)
		synctest.Wait()
		again := logs.FilterMessageSnippet("ledger can be written again").All()
		r.Add(time.Now(), one("a"))
		if n := r.Stuck(); n != 0 || r.Pending() != 1 {
			t.Errorf("%d rows are stuck while the ledger works, and %d pending", n, r.Pending())
		}
		if len(again) != 1 || again[0].ContextMap()["after"].(time.Duration) < 2*time.Minute {
			t.Errorf("%v", again)
		}
		_ = r.Close()
		if got := m.total(); got.Requests != 151 {
			t.Errorf("%+v", got)
		}
	})
}

func TestOldRowsAreDeletedInSmallSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{prunable: 2500}
		const keep = 48 * time.Hour
		r, _ := recorder(m, keep)
		time.Sleep(10*flushInterval + 1)
		synctest.Wait()
		pruned, left := m.prunes()
		if len(pruned) != 4 || left != 0 {
			t.Errorf("%d steps, %d rows left", len(pruned), left)
		}
		if before := time.Now().Add(-keep); pruned[0].After(before) || pruned[0].Before(before.Add(-time.Minute)) {
			t.Errorf("rows before %v are deleted, want %v", pruned[0], before)
		}
		time.Sleep(pruneInterval + flushInterval)
		synctest.Wait()
		if pruned, _ := m.prunes(); len(pruned) != 5 {
			t.Errorf("%d steps after an hour", len(pruned))
		}
		_ = r.Close()
		m = &memory{prunable: 1}
		r, _ = recorder(m, 0)
		time.Sleep(3 * pruneInterval)
		_ = r.Close()
		if pruned, _ := m.prunes(); len(pruned) != 0 {
			t.Error("rows are deleted although all are kept")
		}
	})
}

func TestNamesAndCountsAreMadePossible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory)
		r, _ := recorder(m, 0)
		r.Add(time.Now(), &Row{
			User: "a\x00b", Model: "\xFF\xFE", Team: strings.Repeat("é", 300), Client: strings.Repeat("x", 600),
			Requests: 1, Refused: 1, Prompt: -5, Completion: math.MaxInt64, Cached: math.MaxInt32,
		})
		_ = r.Close()
		for key, sum := range m.rows() {
			if key.User != "ab" || key.Model != "\uFFFD" || key.Team != strings.Repeat("é", 256) || key.Client != strings.Repeat("x", 512) {
				t.Errorf("names %+v", key)
			}
			if sum != (Row{Requests: 1, Refused: 1, Cached: math.MaxInt32}) {
				t.Errorf("counts %+v", sum)
			}
		}
		if len(m.rows()) != 1 {
			t.Errorf("%d rows", len(m.rows()))
		}
	})
}

func TestManyRequestsAtOnceAreAllCounted(t *testing.T) {
	m := new(memory)
	r, _ := recorder(m, 0)
	const goroutines, each = 8, 5000
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			for i := range each {
				r.Add(time.Now(), one(fmt.Sprint("user", (g+i)%20)))
			}
		})
	}
	group.Wait()
	_ = r.Close()
	if got := m.total(); got.Requests != goroutines*each {
		t.Errorf("%d requests, want %d", got.Requests, goroutines*each)
	}
}

func TestAKnownRowNeedsNoMemory(t *testing.T) {
	r, _ := recorder(new(memory), 0)
	defer func() { _ = r.Close() }()
	row, now := one("a"), time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	r.Add(now, row)
	if n := testing.AllocsPerRun(1000, func() { r.Add(now, row) }); n > 0.1 { // a flush can come between
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecorder(b *testing.B) {
	r, _ := recorder(new(memory), 0)
	defer func() { _ = r.Close() }()
	rows := make([]*Row, 10_000)
	for i := range rows {
		rows[i] = &Row{User: fmt.Sprintf("firstname.lastname%d@example.com", i), Team: "core", Provider: "openai", Model: "gpt-5-mini", Client: "codex", Requests: 1, Prompt: 1000}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r.Add(time.Now(), rows[i%len(rows)])
		i++
	}
}
