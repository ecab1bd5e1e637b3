package caddyauth

import (
	"crypto/sha256"
	"html"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/agents"
	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
)

// account answers with the page of the developer who is signed in.
func (v *visit) account(u user) error {
	models, err := v.h.models(v.r.Context(), u)
	if err != nil {
		return err
	}
	var names []string
	for _, model := range models {
		names = append(names, model.Name)
	}
	page := pages.Portal{Team: v.h.settings.limits.teamOf(u)}
	page.SetModels(names)
	v.setUsage(&page, u)
	v.setUp(&page, u, names)
	frame := v.frame("Your account")
	frame.User = u.email
	return pages.Write(v.w, http.StatusOK, frame, page)
}

// setUsage fills in the key, the limits and what has been used.
func (v *visit) setUsage(page *pages.Portal, u user) {
	now := time.Now()
	end, previous := u.EndOf([sha256.Size]byte(v.session.Key))
	page.Key = pages.NewKey(v.rec.keyID.String(), end, previous, now)
	report := v.h.usageReport(v.r.Context(), u)
	for _, limit := range report.Limits {
		page.Limits = append(page.Limits, limit.Shown(now))
	}
	if page.UsageUnread = report.unread; v.h.ledger == nil || report.unread {
		return
	}
	var entries []pages.Entry
	for _, day := range report.Days {
		at, _ := time.Parse(time.DateOnly, day.Date) // the report has just been made
		entries = append(entries, pages.Entry{At: at, Name: strings.TrimPrefix(day.Model, "/"), Counts: pages.Counts{
			Requests: day.Requests, Prompt: day.Prompt, Completion: day.Completion, Cached: day.Cached,
		}})
	}
	measure := v.measure()
	page.Usage = pages.NewUsage(entries, pages.Days(reportedDays, now), "model", measure)
	for _, one := range []pages.Measure{pages.Tokens, pages.Requests} {
		page.Usage.Measures = append(page.Usage.Measures, pages.Link{Text: string(one), Href: v.link(v.agent(), one, "usage"), Here: one == measure})
	}
}

// Shown returns what a page shows of a limit.
func (l *LimitReport) Shown(now time.Time) pages.Limit {
	var window, team string
	if l.Window != nil {
		window = *l.Window
	}
	if l.Team != nil {
		team = *l.Team
	}
	return pages.NewLimit(string(l.Kind), window, team, l.Limit, l.Used, l.ResetsAt, now)
}

// firstAgent is the agent whose set-up is shown first.
const firstAgent = "claude-code"

// agent returns the agent that the query names.
func (v *visit) agent() agents.Agent {
	chosen, _, err := agents.Find(v.r.URL.Query().Get("agent"), "")
	if err != nil {
		chosen, _, _ = agents.Find(firstAgent, "")
	}
	return chosen
}

// measure returns what the chart shows according to the query.
func (v *visit) measure() pages.Measure { return pages.ParseMeasure(v.r.URL.Query().Get("show")) }

// link returns the URL of the page with another choice.
func (v *visit) link(a agents.Agent, m pages.Measure, section string) string {
	return v.base() + "/?agent=" + a.Name + "&show=" + string(m) + "#" + section
}

// setUp fills in how to connect the agent that the query names.
func (v *visit) setUp(page *pages.Portal, u user, models []string) {
	chosen := v.agent()
	all := agents.All()
	slices.SortStableFunc(all, func(a, b agents.Agent) int { return later(a) - later(b) })
	for _, a := range all {
		page.Agents = append(page.Agents, pages.Link{Text: a.Title, Href: v.link(a, v.measure(), "set-up"), Here: a.Name == chosen.Name})
	}
	// client-config leaves out aliases too. Not every agent can use them.
	models = slices.DeleteFunc(models, func(name string) bool { return !strings.Contains(name, "/") })
	config := agents.Config{Email: u.email, EmailHeader: v.h.settings.emailHeader, APIBase: v.apiBase(), Models: models}
	page.Placeholder = agents.KeyPlaceholder
	page.Parts, page.LeftOut = setUpTexts(config, chosen)
}

// later is 0 for most agents. Continue has ended, so it is shown after them, and other programs come last.
func later(a agents.Agent) int { return slices.Index([]string{agents.Default, "env"}, a.Name) + 1 }

// maxParts is how many bytes of HTML the set-up of an agent may take, so that a page stays small.
const maxParts = 30 << 10

// maxBase is longer than any base URL that a browser reaches. A request can name a longer host, which the set-up of
// some agents would repeat for each model.
const maxBase = 1024

// setUpTexts returns what to do to connect an agent, or nil if it can use none of the models. If the text would be
// too long, models at the end are left out.
func setUpTexts(config agents.Config, a agents.Agent) (texts []pages.Code, leftOut int64) {
	if len(config.APIBase) > maxBase {
		return nil, 0
	}
	all := len(config.Models)
	for len(config.Models) > 0 {
		parts, err := config.Parts(a)
		if err != nil {
			return nil, 0
		}
		texts = nil
		size := 0
		for i, part := range parts {
			texts = append(texts, pages.Code{ID: "part" + strconv.Itoa(i+1), Heading: part.Heading, Text: part.Content})
			size += len(html.EscapeString(part.Content))
		}
		if size <= maxParts {
			return texts, int64(all - len(config.Models))
		}
		config.Models = config.Models[:len(config.Models)*maxParts/(size+size/10)]
	}
	return nil, 0
}

// apiBase returns the base URL for clients, as the browser reaches this server.
func (v *visit) apiBase() string {
	scheme := "http"
	if v.secure() {
		scheme = "https"
	}
	return scheme + "://" + v.r.Host + v.base() + "/v1"
}

// secure reports whether the browser uses HTTPS, perhaps with another server before this one. Browsers send
// Sec-Fetch-Site only over HTTPS and to loopback (https://www.w3.org/TR/fetch-metadata/#set-fetch-site).
func (v *visit) secure() bool {
	if v.r.TLS != nil {
		return true
	}
	if trusted, _ := caddyhttp.GetVar(v.r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted && v.r.Header.Get("X-Forwarded-Proto") != "" {
		return v.r.Header.Get("X-Forwarded-Proto") == "https"
	}
	return v.r.Header.Get("Sec-Fetch-Site") != "" && !loopback(v.r.Host)
}

// loopback reports whether a browser treats the host as its own machine.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}
