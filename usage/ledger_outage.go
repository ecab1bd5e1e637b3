package usage

import (
	"time"

	"go.uber.org/zap"
)

// complaintInterval is the time between two messages about an outage.
const complaintInterval = time.Minute

// outage is a time in which the ledger cannot be written.
type outage struct {
	since, said time.Time
}

// say logs the beginning and the end of an outage, and once a minute that it goes on.
func (r *Recorder) say(err error) {
	now, o := time.Now(), &r.outage
	r.away.Store(err != nil)
	if err == nil {
		if !o.since.IsZero() {
			r.options.Log().Info("ledger can be written again", zap.Duration("after", now.Sub(o.since)), zap.Int("pending_rows", r.Pending()))
			r.sayLost()
		}
		*o = outage{}
		return
	}
	if o.since.IsZero() {
		o.since = now
	}
	if now.Sub(o.said) < complaintInterval {
		return
	}
	o.said = now
	r.options.Log().Error("ledger cannot be written; requests are counted in memory", zap.Error(err), zap.Int("pending_rows", r.Pending()), zap.Duration("for", now.Sub(o.since)))
	r.sayLost()
}

// sayLost logs what was dropped since it was last called.
func (r *Recorder) sayLost() {
	r.mu.Lock()
	lost := r.lost
	r.lost = Row{}
	r.mu.Unlock()
	if lost.Requests > 0 {
		r.options.Log().Error("requests are missing in the ledger, because it could not be written for too long",
			zap.Int64("requests", lost.Requests), zap.Int64("prompt_tokens", lost.Prompt), zap.Int64("completion_tokens", lost.Completion))
	}
}
