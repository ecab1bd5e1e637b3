package caddyauth

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// usageReport is the answer to GET /usage: what a user has used and may still use.
type usageReport struct {
	User   string        `json:"user"`
	Key    keyReport     `json:"key"`
	Limits []LimitReport `json:"limits"`
	Days   []dayReport   `json:"days"`

	unread bool // the ledger cannot be read, so that there are no days
}

type keyReport struct {
	ID        string     `json:"id"`
	ExpiresAt *time.Time `json:"expires_at"` // null if the key does not end
}

// LimitReport is how much of one limit is used. The window, and the time when it resets, are null for requests
// in flight.
type LimitReport struct {
	Kind      usage.Kind `json:"kind"`
	Window    *string    `json:"window"`
	Limit     int64      `json:"limit"`
	Used      int64      `json:"used"`
	Remaining int64      `json:"remaining"`
	ResetsAt  *time.Time `json:"resets_at"`
	Team      *string    `json:"team"` // null for a limit of the user's own
}

// dayReport is what a user used of one model on one day in UTC.
type dayReport struct {
	Date       string `json:"date"`
	Model      string `json:"model"`
	Requests   int64  `json:"requests"`
	Prompt     int64  `json:"prompt_tokens"`
	Completion int64  `json:"completion_tokens"`
	Cached     int64  `json:"cached_tokens"`
}

// serveUsage answers GET and HEAD requests for /usage.
func (h *Handler) serveUsage(w http.ResponseWriter, r *http.Request, u user, rec *record) error {
	report := h.usageReport(r.Context(), u)
	report.Key.ID = rec.keyID.String()
	body, err := json.Marshal(report)
	if err != nil {
		return err // impossible: the report has only texts, numbers and times
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err = w.Write(body)
	return err
}

// usageReport returns what a user has used, without the ID of the key.
func (h *Handler) usageReport(ctx context.Context, u user) usageReport {
	report := usageReport{User: u.email, Limits: []LimitReport{}, Days: []dayReport{}}
	if end := u.Expires(); !end.IsZero() {
		report.Key.ExpiresAt = utc(end)
	}
	for _, s := range h.limiter.States(ctx, h.scopes(u, h.settings.limits.teamOf(u)), nil) {
		report.Limits = append(report.Limits, reportOf(&s))
	}
	if h.ledger != nil {
		report.Days, report.unread = h.days(ctx, u.email)
	}
	return report
}

// reportedDays is how many days a report has, today included.
const reportedDays = 30

// days returns what a user has used in the last days, the oldest first. It returns none, and reports unread, if the
// ledger cannot be read: the limits are worth knowing even then.
func (h *Handler) days(ctx context.Context, email string) (days []dayReport, unread bool) {
	days = []dayReport{}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	rows, err := h.ledger.Sum(ctx, usage.Query{
		Since: today.AddDate(0, 0, 1-reportedDays), User: email, By: []usage.Dimension{usage.ByDay, usage.ByModel},
	})
	if err != nil {
		h.logger.Warn("the ledger cannot be read", zap.Error(err))
	}
	for _, row := range rows {
		model := row.Provider + "/" + row.Model
		if row.Provider == "" { // the requests were refused before that was known
			model = ""
		}
		days = append(days, dayReport{
			Date: row.Hour.Format(time.DateOnly), Model: model,
			Requests: row.Requests, Prompt: row.Prompt, Completion: row.Completion, Cached: row.Cached,
		})
	}
	slices.SortFunc(days, func(a, b dayReport) int {
		return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.Model, b.Model))
	})
	return days, err != nil
}

func reportOf(s *usage.State) LimitReport {
	one := LimitReport{Kind: s.Kind, Limit: s.Max, Used: s.Used, Remaining: s.Remaining()}
	if s.Kind != usage.Parallel {
		window := s.Window.String()
		one.Window, one.ResetsAt = &window, utc(s.Resets)
	}
	if s.Team != "" {
		one.Team = &s.Team
	}
	return one
}

// utc returns a time in UTC, rounded up to seconds.
func utc(t time.Time) *time.Time {
	t = t.Add(time.Second - 1).UTC().Truncate(time.Second)
	return &t
}
