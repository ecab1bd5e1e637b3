package usage

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// memory is a ledger that a test can break.
type memory struct {
	Ledger // the methods that no test calls

	mu       sync.Mutex
	err      error            // of every Write
	answer   func() error     // what Write returns after it has added a batch
	batches  []*Batch         // that were added
	numbers  map[string]int64 // of the last batch of each run
	calls    int
	pruned   []time.Time
	prunable int
	closed   int
}

func (m *memory) Write(_ context.Context, batch *Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.err != nil {
		return m.err
	}
	if m.numbers == nil {
		m.numbers = make(map[string]int64)
	}
	if last, known := m.numbers[batch.Run]; !known || batch.Number > last {
		m.numbers[batch.Run] = batch.Number
		copied := *batch
		copied.Rows = append([]Row(nil), batch.Rows...)
		m.batches = append(m.batches, &copied)
	}
	if m.answer != nil {
		return m.answer()
	}
	return nil
}

func (m *memory) Prune(_ context.Context, before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pruned = append(m.pruned, before)
	n := min(m.prunable, 1000)
	m.prunable -= n
	return n, nil
}

// prunes returns the time that each Prune got, and how many rows are left to delete.
func (m *memory) prunes() ([]time.Time, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.pruned), m.prunable
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed++
	return nil
}

func (m *memory) breaks(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// rows returns the sums of all batches by names and hour.
func (m *memory) rows() map[Row]Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := make(map[Row]Row)
	for _, batch := range m.batches {
		for _, row := range batch.Rows {
			key := Row{Hour: row.Hour, User: row.User, Team: row.Team, Provider: row.Provider, Model: row.Model, Client: row.Client}
			sum := sums[key]
			sum.Add(&row)
			sums[key] = sum
		}
	}
	return sums
}

func (m *memory) total() (total Row) {
	for _, row := range m.rows() {
		total.Add(&row)
	}
	return total
}

func recorder(m *memory, keep time.Duration) (*Recorder, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	return NewRecorder(m, RecorderOptions{Keep: keep, Log: func() *zap.Logger { return zap.New(core) }}), logs
}

func one(user string) *Row { return &Row{User: user, Model: "m", Requests: 1, Prompt: 10} }
