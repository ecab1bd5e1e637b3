package caddyauth

import (
	"cmp"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// MarshalLogObject writes the fields for Caddy's access log. It leaves out fields that are not known.
func (rec *record) MarshalLogObject(log zapcore.ObjectEncoder) error {
	text := func(name, value string) {
		if value != "" {
			log.AddString(name, value)
		}
	}
	text("request_id", rec.id[0])
	text("team", rec.team)
	text("key_id", rec.keyID.String())
	text("key_lookup", string(rec.lookup))
	text("client", rec.client)
	text("client_format", rec.format)
	text("session_id", rec.session)
	text("provider", rec.provider)
	text("model", rec.model)
	text("upstream_log_id", rec.logID)
	text("upstream_request_id", rec.upstreamID)
	if rec.firstByte > 0 {
		log.AddDuration("time_to_first_byte", rec.firstByte)
	}
	if rec.usage != (hub.Usage{}) {
		log.AddInt64("prompt_tokens", rec.usage.Prompt)
		log.AddInt64("completion_tokens", rec.usage.Completion)
		log.AddInt64("cached_tokens", rec.usage.Cached)
	}
	if rec.partial() {
		log.AddBool("tokens_partial", true)
	}
	text("outcome", rec.outcome)
	text("ledger_run", rec.run)
	if e := rec.refused; e != nil {
		text("refused_by", cmp.Or(string(e.From), "proxy"))
		text("error_code", e.Code)
		text("error_param", e.Param)
	}
	text("limit", rec.limit)
	if rec.refused == invalidKey {
		if (rec.named || rec.key != nil) && strings.Contains(rec.email, "@") { // otherwise the email may be a part of a key
			text("claimed_user", rec.email)
		}
		text("reason", rec.reason())
	}
	return nil
}

// reason returns what is wrong with the credentials. The client is not told.
func (rec *record) reason() string {
	if rec.email == "" {
		return "no credentials, not of the form that is expected, or several that differ"
	}
	return rec.key.Refusal(time.Now())
}

// placeholder returns the values of the handler's placeholders.
func (rec *record) placeholder(name string) (value any, ok bool) {
	if name == "http.auth.user.id" && rec.signedIn {
		return rec.email, true
	}
	name, ok = strings.CutPrefix(name, "http.continue_auth.")
	if !ok {
		return nil, false
	}
	switch name {
	case "request_id":
		return rec.id[0], true
	case "key_id":
		return rec.keyID.String(), true
	case "key_lookup":
		return string(rec.lookup), true
	case "client":
		return rec.client, true
	case "client_format":
		return rec.format, true
	case "session_id":
		return rec.session, true
	case "provider":
		return rec.provider, true
	case "model":
		return rec.model, true
	case "outcome":
		return rec.outcome, true
	case "limit":
		return rec.limit, true
	case "prompt_tokens":
		return rec.usage.Prompt, true
	case "completion_tokens":
		return rec.usage.Completion, true
	case "cached_tokens":
		return rec.usage.Cached, true
	}
	return nil, false
}
