package usage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// flushInterval and writeTimeout together are the most that a crash loses while the ledger works.
	flushInterval = 2 * time.Second
	writeTimeout  = 3 * time.Second

	// batchRows is how many rows are written in one transaction, so that each is short.
	batchRows = 1000

	// maxPending is how many rows wait in memory at most while the ledger cannot be written. A row takes about
	// 400 bytes. 50,000 users with five models each make that many in an hour.
	maxPending = 250_000

	// maxUserRows is how many rows a user can have in an hour. Users choose the names of models, so one user
	// could otherwise fill the memory and the ledger with made-up names.
	maxUserRows = 100

	// otherModel is the model of a user's further rows.
	otherModel = "other"

	// pruneInterval is how often old rows are looked for.
	pruneInterval = time.Hour
)

// RecorderOptions are the settings of a Recorder.
type RecorderOptions struct {
	// Keep is how long rows are kept. 0 means forever.
	Keep time.Duration

	// Log returns the logger. It is called for each message.
	Log func() *zap.Logger
}

// Recorder counts requests in memory and writes them to a ledger every two seconds. While the ledger cannot be
// written, up to 250,000 rows wait in memory. Beyond that, the oldest are dropped, and the log says how many.
type Recorder struct {
	ledger  Ledger
	options RecorderOptions
	run     string

	mu      sync.Mutex
	hour    int64            // the current hour, as the number of hours since 1970
	rows    map[names]*entry // of the current hour
	perUser map[string]int   // the number of rows in the map
	pending []*entry         // entries with counts that are in no batch, oldest first
	doubt   *Batch           // a batch that may or may not have been written
	number  int64            // of the last batch
	lost    Row              // what was dropped since the last message
	ended   bool             // Close was called
	working bool             // a goroutine writes

	outage outage
	away   atomic.Bool // the last write failed
	pruned time.Time   // when nothing was left to delete

	flushNow   chan chan struct{} // a goroutine waits for what is pending to be written
	stop, done chan struct{}
}

// names are the names of a row.
type names struct{ user, team, provider, model, client string }

// entry is a row in memory.
type entry struct {
	names
	hour    int64
	counts  Row // without names
	pending bool
}

// NewRecorder begins to record. It opens the ledger in the background, after two seconds. An error only goes to
// the log.
func NewRecorder(ledger Ledger, options RecorderOptions) *Recorder {
	r := &Recorder{ledger: ledger, options: options, run: newRun(), working: true, flushNow: make(chan chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	go r.work()
	return r
}

func newRun() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// Run returns the name under which the ledger knows this recorder.
func (r *Recorder) Run() string { return r.run }

// Add counts a request that has ended at a time. It does not wait for the ledger. row.Hour is ignored.
func (r *Recorder) Add(at time.Time, row *Row) {
	hour := at.Unix() / 3600
	key := names{row.User, row.Team, row.Provider, row.Model, row.Client}
	r.mu.Lock()
	defer r.mu.Unlock()
	if hour != r.hour || r.rows == nil || len(r.rows) >= maxPending {
		r.hour, r.rows, r.perUser = hour, make(map[names]*entry), make(map[string]int)
	}
	e := r.rows[key]
	if e == nil {
		e = r.enter(key)
	}
	e.counts.Requests += possible(row.Requests)
	e.counts.Refused += possible(row.Refused)
	e.counts.Prompt += possible(row.Prompt)
	e.counts.Completion += possible(row.Completion)
	e.counts.Cached += possible(row.Cached)
	if !e.pending {
		e.pending = true
		r.pending = append(r.pending, e)
		if len(r.pending) > maxPending {
			r.drop(maxPending / 10)
		}
	}
	if r.ended && !r.working { // a request that outlived its configuration
		r.working = true
		go r.finish()
	}
}

// enter makes the entry of a request whose names are not in the map.
func (r *Recorder) enter(key names) *entry {
	if r.perUser[key.user] >= maxUserRows {
		key.model = otherModel
		if e := r.rows[key]; e != nil {
			return e
		}
	}
	// The names may be parts of larger texts, such as the request's body.
	key = names{clean(key.user), clean(key.team), clean(key.provider), clean(key.model), clean(key.client)}
	if e := r.rows[key]; e != nil {
		return e
	}
	e := &entry{names: key, hour: r.hour}
	r.rows[key] = e
	r.perUser[key.user]++
	return e
}

// drop removes the oldest n pending entries.
func (r *Recorder) drop(n int) {
	for _, e := range r.pending[:n] {
		r.lost.Add(&e.counts)
		e.counts, e.pending = Row{}, false
	}
	r.forget(n)
}

// forget removes the oldest n entries from the list.
func (r *Recorder) forget(n int) {
	left := copy(r.pending, r.pending[n:])
	clear(r.pending[left:])
	r.pending = r.pending[:left]
}

// Pending returns how many rows wait to be written.
func (r *Recorder) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.pending)
	if r.doubt != nil {
		n += len(r.doubt.Rows)
	}
	return n
}

// Stuck returns how many rows wait because the ledger cannot be written. It is 0 while it can.
func (r *Recorder) Stuck() int {
	if !r.away.Load() {
		return 0
	}
	return r.Pending()
}

// Sum adds up what is in the ledger. It first lets this server's pending rows be written, and waits for that
// for half a second at most.
func (r *Recorder) Sum(ctx context.Context, query Query) ([]Row, error) {
	if r.Pending() > 0 {
		r.awaitFlush(ctx)
	}
	return r.ledger.Sum(ctx, query)
}

// flushWait is how long Sum waits for pending rows.
const flushWait = 500 * time.Millisecond

func (r *Recorder) awaitFlush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushWait)
	defer cancel()
	flushed := make(chan struct{})
	select {
	case r.flushNow <- flushed:
	case <-r.done:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-flushed:
	case <-ctx.Done():
	}
}

// Close writes what is pending and closes the ledger. It takes ten seconds at most. Requests that are added
// later are still written.
func (r *Recorder) Close() error {
	close(r.stop)
	<-r.done
	return nil
}

// work writes every flushInterval until Close.
func (r *Recorder) work() {
	defer close(r.done)
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	opened := false
	for {
		select {
		case <-ticker.C:
			// An empty batch opens the ledger before the first request. A configuration that is only validated
			// has ended by then, so it makes no file.
			opened = opened || r.write(&Batch{Run: r.run})
			if opened && r.flush() {
				r.prune()
			}
		case flushed := <-r.flushNow:
			r.flush()
			close(flushed)
		case <-r.stop:
			r.mu.Lock()
			r.ended = true
			r.mu.Unlock()
			r.finish()
			return
		}
	}
}

// finish writes what is pending and closes the ledger. What cannot be written is lost.
func (r *Recorder) finish() {
	for {
		written := r.flush()
		if err := r.ledger.Close(); err != nil {
			r.options.Log().Warn("ledger cannot be closed", zap.Error(err))
		}
		r.mu.Lock()
		if written && len(r.pending) > 0 { // added just now
			r.mu.Unlock()
			continue
		}
		if !written {
			r.drop(len(r.pending))
			if r.doubt != nil {
				for i := range r.doubt.Rows {
					r.lost.Add(&r.doubt.Rows[i])
				}
				r.doubt = nil
			}
		}
		r.working = false
		r.mu.Unlock()
		r.sayLost()
		return
	}
}

// flush writes all that is pending. It reports whether that worked.
func (r *Recorder) flush() bool {
	for {
		batch := r.take()
		if batch == nil {
			return true
		}
		if !r.write(batch) {
			return false
		}
		r.mu.Lock()
		r.doubt = nil
		r.mu.Unlock()
	}
}

// take returns the batch in doubt, or makes one of the oldest pending entries. It returns nil if there are
// none.
func (r *Recorder) take() *Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doubt != nil || len(r.pending) == 0 {
		return r.doubt
	}
	n := min(batchRows, len(r.pending))
	r.number++
	batch := &Batch{Run: r.run, Number: r.number, Rows: make([]Row, n)}
	for i, e := range r.pending[:n] {
		row := &batch.Rows[i]
		*row = e.counts
		row.Hour = time.Unix(e.hour*3600, 0).UTC()
		row.User, row.Team, row.Provider, row.Model, row.Client = e.user, e.team, e.provider, e.model, e.client
		e.counts, e.pending = Row{}, false
	}
	r.forget(n)
	r.doubt = batch
	return batch
}

func (r *Recorder) write(batch *Batch) bool {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	err := r.ledger.Write(ctx, batch)
	r.say(err)
	return err == nil
}

// prune deletes a few old rows. It is called after each flush, so a day's rows are deleted within minutes.
func (r *Recorder) prune() {
	now := time.Now()
	if r.options.Keep == 0 || now.Sub(r.pruned) < pruneInterval {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	deleted, err := r.ledger.Prune(ctx, now.Add(-r.options.Keep))
	if err != nil {
		r.options.Log().Warn("old rows of the ledger cannot be deleted", zap.Error(err))
	}
	if err != nil || deleted == 0 {
		r.pruned = now
	}
}
