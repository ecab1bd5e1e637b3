package usage

import (
	"context"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Row is what one user did with one model and one client within an hour, or a sum of such rows.
type Row struct {
	// Hour is when the hour began, in UTC.
	Hour time.Time

	// These are the names that the row is about. Each may be empty. Model is the name without the provider.
	User, Team, Provider, Model, Client string

	// Requests are all requests, and Refused are those of them that got an error. Cached is a part of Prompt.
	Requests, Refused, Prompt, Completion, Cached int64
}

// Add adds the counts of other.
func (r *Row) Add(other *Row) {
	r.Requests += other.Requests
	r.Refused += other.Refused
	r.Prompt += other.Prompt
	r.Completion += other.Completion
	r.Cached += other.Cached
}

// Dimension is one of the things that usage can be added up by.
type Dimension string

// The dimensions. ByModel sets the provider and the model of a row.
const (
	ByDay      Dimension = "day"
	ByUser     Dimension = "user"
	ByTeam     Dimension = "team"
	ByProvider Dimension = "provider"
	ByModel    Dimension = "model"
	ByClient   Dimension = "client"
)

// Dimensions are all dimensions, in the order of a table's columns.
var Dimensions = []Dimension{ByDay, ByUser, ByTeam, ByProvider, ByModel, ByClient}

// Query says what to add up.
type Query struct {
	// Since and Until are the beginning and the end. The hours that contain them count as a whole. The zero
	// time means no limit.
	Since, Until time.Time

	// User is the only user that counts, or "" for all.
	User string

	// By are the dimensions that stay apart. Without any, the sum is one row.
	By []Dimension
}

// Batch is a number of rows that are written together.
type Batch struct {
	// Run identifies the process that counted the rows. It is unique among all servers and restarts.
	Run string

	// Number distinguishes the batches of a run. It grows from batch to batch.
	Number int64

	// Rows may have the same hour and names as other rows of the batch. It may be empty.
	Rows []Row
}

// Line is a request that an access log has.
type Line struct {
	// Hash distinguishes the line from all other lines.
	Hash uint64

	// Run is the run that counted the request when it happened, or "" if none did.
	Run string

	// Row is about this one request.
	Row Row
}

// Ledger keeps usage. Its methods may be called by many goroutines. A ledger that cannot be opened now is
// opened when a method is called next. Errors contain no secrets.
type Ledger interface {
	// Write adds a batch. After an error it is not known whether the batch was added: writing it again, with
	// the same number and before any later batch of the run, adds it exactly once.
	Write(ctx context.Context, batch *Batch) error

	// Sum adds up the rows of a query. Of a sum's names, only those that the query keeps apart are set. Its
	// Hour is 00:00 UTC of the day with ByDay, and otherwise the zero time. The order is arbitrary.
	Sum(ctx context.Context, query Query) ([]Row, error)

	// Import adds requests of an access log. It leaves out lines that were imported before, and lines whose
	// run has written to this ledger. It returns how many it added. After an error it can be called again
	// with the same lines.
	Import(ctx context.Context, lines []Line) (added int, err error)

	// Prune deletes a small number of rows of days that ended before a time. It returns how many. When it
	// returns 0, nothing is left to delete.
	Prune(ctx context.Context, before time.Time) (deleted int, err error)

	// Close closes the ledger. A method that is called later opens it again.
	Close() error
}

// maxName is the length of the longest name in a ledger, in bytes. Users' emails have at most 512.
const maxName = 512

// clean returns a name as every ledger can keep it: UTF-8 without zero bytes, and not too long. It may be a
// part of a large text, so the result is a copy.
func clean(name string) string {
	if len(name) > maxName {
		cut := maxName
		for cut > 0 && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut]
	}
	if strings.IndexByte(name, 0) >= 0 {
		name = strings.ReplaceAll(name, "\x00", "")
	}
	return strings.Clone(strings.ToValidUTF8(name, "\uFFFD"))
}

// Clean makes a row fit for every ledger: names are UTF-8 and at most 512 bytes long, and impossible counts
// are 0.
func (r *Row) Clean() {
	for _, name := range []*string{&r.User, &r.Team, &r.Provider, &r.Model, &r.Client} {
		*name = clean(*name)
	}
	for _, count := range []*int64{&r.Requests, &r.Refused, &r.Prompt, &r.Completion, &r.Cached} {
		*count = possible(*count)
	}
}

// possible returns a count of one request. A provider may send any number, and sums must not overflow.
func possible(count int64) int64 {
	if count < 0 || count > math.MaxInt32 {
		return 0
	}
	return count
}
