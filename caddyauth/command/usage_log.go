package command

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// sum is the sum of the requests under one name.
type sum struct {
	Name             string `json:"name"`
	Requests         int64  `json:"requests"`
	Refused          int64  `json:"refused"`
	PromptTokens     int64  `json:"prompt_tokens"`
	CachedTokens     int64  `json:"cached_tokens"`
	CompletionTokens int64  `json:"completion_tokens"`
}

// tally is a sum with what only the access log knows.
type tally struct {
	sum
	TokensPartial int64     `json:"tokens_partial"` // the number of requests whose tokens are not all known
	Last          time.Time `json:"last,omitzero"`
}

func (s *sum) add(v sum) {
	s.Requests += v.Requests
	s.Refused += v.Refused
	s.PromptTokens += v.PromptTokens
	s.CachedTokens += v.CachedTokens
	s.CompletionTokens += v.CompletionTokens
}

func (u *tally) add(v tally) {
	u.sum.add(v.sum)
	u.TokensPartial += v.TokensPartial
	if v.Last.After(u.Last) {
		u.Last = v.Last
	}
}

// usageLog adds up access logs. It keeps only names, sums and one line in memory, however long the
// logs are.
type usageLog struct {
	by     string
	user   string    // the only user that counts, or "" for all
	since  time.Time // the zero time means from the beginning
	byName map[string]*tally

	// each is called with each request in place of adding it up.
	each func(line []byte, entry *logLine, at time.Time) error

	notJSON, tooLong int64 // the number of lines that were left out
}

// longestLine is the longest line that is read, in bytes. Caddy logs no bodies, and Go's server
// accepts 1 MB of headers.
const longestLine = 1 << 20

// read adds a log. where is its name in errors.
func (l *usageLog) read(where string, in io.Reader) error {
	lines := bufio.NewReaderSize(in, longestLine)
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			l.tooLong++
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
		} else if lineErr := l.line(bytes.TrimSpace(line)); lineErr != nil {
			return fmt.Errorf("%s, line %d: %w", where, number, lineErr)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
}

func (l *usageLog) line(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	if !mayBeOurs(line) {
		if line[0] != '{' || line[len(line)-1] != '}' {
			l.notJSON++
		}
		return nil
	}
	if !gjson.ValidBytes(line) {
		l.notJSON++
		return nil
	}
	entry := parseLogLine(line)
	if !entry.ours() {
		return nil
	}
	at, ok := logTime(entry.time)
	if !ok && (!l.since.IsZero() || l.by == byDay || l.each != nil) {
		return fmt.Errorf("the time is needed in `ts`, as a number, in RFC 3339, ISO 8601 or the common log format, not as %s: see time_format of the log", entry.shownTime())
	}
	switch {
	case at.Before(l.since), l.user != "" && entry.user != l.user:
	case l.each != nil:
		return l.each(line, &entry, at)
	default:
		l.count(&entry, at)
	}
	return nil
}

func (l *usageLog) count(entry *logLine, at time.Time) {
	name := entry.name(l.by, at)
	sum := l.byName[name]
	if sum == nil {
		sum = new(tally)
		sum.Name = strings.Clone(name) // a substring would keep the whole line in memory
		l.byName[sum.Name] = sum
	}
	entry.usage.Last = at
	sum.add(entry.usage)
}

// logLine is the part of a log line that counts.
type logLine struct {
	user, team, provider, model, client string

	run   string // the run of the ledger that counted the request, or ""
	usage tally

	time        gjson.Result
	logger      string
	method, uri string
	isAccess    bool // only the access log has the duration of a request
	handled     bool // handled by continue_auth
}

// ours reports whether the line is from an access log and about a request that continue_auth
// handled. The logger's name may be missing, because operators can leave it out.
func (e *logLine) ours() bool {
	return e.handled && e.isAccess && (e.logger == "" || e.logger == accessLogger || strings.HasPrefix(e.logger, accessLogger+".")) && !e.free()
}

// free reports whether a user asked for what is no use of a model: the list of models, or how many
// tokens a prompt has. The ledger counts by the same rule, and sign-ins that failed not at all.
func (e *logLine) free() bool {
	path, _, _ := strings.Cut(e.uri, "?")
	return e.user != "" && (e.method == http.MethodGet || e.method == http.MethodHead || strings.HasSuffix(path, "/count_tokens") || strings.HasSuffix(path, ":countTokens"))
}

// name returns the name under which the request counts.
func (e *logLine) name(by string, at time.Time) string {
	switch by {
	case byDay:
		return at.UTC().Format(time.DateOnly)
	case byTeam:
		return e.team
	case byProvider:
		return e.provider
	case byModel:
		return modelName(e.provider, e.model)
	case byClient:
		return e.client
	}
	return e.user
}

// modelName returns a model's full name, or "" if no provider was found for a request.
func modelName(provider, model string) string {
	if provider == "" {
		return ""
	}
	return provider + "/" + model
}

// shownTime returns the time as it is in the log, for an error.
func (e *logLine) shownTime() string {
	if !e.time.Exists() {
		return "nothing"
	}
	const most = 60
	if len(e.time.Raw) > most {
		return printable(e.time.Raw[:most]) + "…"
	}
	return printable(e.time.Raw)
}

// Each request that continue_auth handled has at least one of these in the log.
var ourFields = [][]byte{[]byte(`"key_lookup"`), []byte(`"refused_by"`), []byte(`"provider"`)}

// mayBeOurs reports whether a line may be about continue_auth. Other lines need not be parsed.
func mayBeOurs(line []byte) bool {
	for _, name := range ourFields {
		if bytes.Contains(line, name) {
			return true
		}
	}
	return false
}

// parseLogLine reads a line of valid JSON.
func parseLogLine(line []byte) (entry logLine) {
	entry.usage.Requests = 1
	gjson.ParseBytes(line).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "ts":
			entry.time = value
		case "logger":
			entry.logger = value.Str
		case "duration":
			entry.isAccess = true
		case "user_id":
			entry.user = value.Str
		case "team":
			entry.team = value.Str
		case "client":
			entry.client = value.Str
		case "ledger_run":
			entry.run = value.Str
		case "request":
			entry.method, entry.uri = value.Get("method").Str, value.Get("uri").Str
		case "provider":
			entry.provider, entry.handled = value.Str, true
		case "model":
			entry.model = value.Str
		case "key_lookup":
			entry.handled = true
		case "refused_by":
			entry.usage.Refused, entry.handled = 1, true
		case "prompt_tokens":
			entry.usage.PromptTokens = tokens(value)
		case "cached_tokens":
			entry.usage.CachedTokens = tokens(value)
		case "completion_tokens":
			entry.usage.CompletionTokens = tokens(value)
		case "tokens_partial":
			entry.usage.TokensPartial = 0
			if value.Bool() {
				entry.usage.TokensPartial = 1
			}
		}
		return true
	})
	return entry
}

// tokens returns a count of tokens. An impossible count is 0.
func tokens(value gjson.Result) int64 {
	if value.Type != gjson.Number || value.Num < 0 || value.Num > math.MaxInt32 {
		return 0
	}
	return int64(value.Num)
}

// logTimes has the formats in which Caddy writes times, except those without a time zone.
var logTimes = []string{time.RFC3339, "2006-01-02T15:04:05.000Z0700", "02/Jan/2006:15:04:05 -0700"}

// logTime reads the time of a line.
func logTime(value gjson.Result) (time.Time, bool) {
	if value.Type == gjson.Number {
		return unixTime(value.Num)
	}
	if value.Type == gjson.String {
		for _, format := range logTimes {
			if at, err := time.Parse(format, value.Str); err == nil {
				return at.UTC(), true
			}
		}
	}
	return time.Time{}, false
}

// unixTime tells Caddy's three number formats apart by their size. Until the year 5138, a time in
// seconds is a smaller number than a time in milliseconds after 1973.
func unixTime(n float64) (time.Time, bool) {
	switch {
	case n <= 0 || n >= math.MaxInt64:
		return time.Time{}, false
	case n < 1e11:
		return time.UnixMilli(int64(n * 1e3)).UTC(), true
	case n < 1e14:
		return time.UnixMilli(int64(n)).UTC(), true
	}
	return time.Unix(0, int64(n)).UTC(), true
}
