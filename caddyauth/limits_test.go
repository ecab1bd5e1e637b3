package caddyauth

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// limitedUsers returns users with limits of their own, and two of one team.
func limitedUsers() map[string]string {
	users := defaultUsers()
	user := func(email, more string) {
		users[email] = `{"apiKey":"plain-key","status":"Enabled"` + more + `}`
	}
	user("own@example.com", `,"limits":{"requests":["1/1h"]}`)
	user("lifted@example.com", `,"limits":{"requests":[],"tokens":[],"parallel":0}`)
	user("bad@example.com", `,"limits":{"requests":["many/1h"],"tokens":["5/1h"]}`)
	user("red1@example.com", `,"metadata":{"team":"red"}`)
	user("red2@example.com", `,"metadata":{"team":"red"}`)
	user("blue@example.com", `,"metadata":{"team":"blue"}`)
	return users
}

// ask sends a chat of a user with a plain key and returns the status.
func (p *proxy) ask(email string) *http.Response {
	return p.do(request{path: "/v1/chat/completions", body: chatBody(llama), header: as(email, "plain-key")})
}

func wantStatus(t *testing.T, res *http.Response, status int) {
	t.Helper()
	if body := read(t, res); res.StatusCode != status {
		t.Errorf("status %d, want %d: %s", res.StatusCode, status, body)
	}
}

func TestALimitOfRequestsRefusesTheNextOne(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "limits {\nrequests 3 1h\nrequests 100 day\n}", users: limitedUsers()})
	for i := range 3 {
		res := p.ask("worker@example.com")
		wantStatus(t, res, http.StatusOK)
		wantHeaders(t, res.Header, map[string]string{
			"X-Ratelimit-Limit-Requests": "3", "X-Ratelimit-Remaining-Requests": fmt.Sprint(2 - i), "X-Ratelimit-Reset-Requests": "1h0m0s",
			"X-Ratelimit-Limit-Tokens": "",
		})
	}
	res := p.ask("worker@example.com")
	e := wantError(t, res, http.StatusTooManyRequests, "limit_reached")
	if !strings.Contains(e.Get("message").Str, "you have used 3 of 3 requests in 1h.") || e.Get("type").Str != "rate_limit_error" {
		t.Errorf("%s", e)
	}
	wantHeaders(t, res.Header, map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Should-Retry": ""})
	if wait := res.Header.Get("Retry-After"); wait != "3600" && wait != "3599" {
		t.Errorf("Retry-After is %q", wait)
	}
	p.log.WaitFor(t, `"limit":"requests 3/1h"`)
	wantStatus(t, p.ask("red1@example.com"), http.StatusOK) // another user
}

func wantHeaders(t *testing.T, header http.Header, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

func TestALongLimitIsFinal(t *testing.T) {
	u := newUpstream(t, answerChat)
	for _, window := range []string{"24h", "day", "month"} {
		p := start(t, setup{upstream: u.URL, options: "limits {\nrequests 1 " + window + "\n}"})
		wantStatus(t, p.ask("worker@example.com"), http.StatusOK)
		res := p.ask("worker@example.com")
		wantError(t, res, http.StatusTooManyRequests, "limit_reached")
		wantHeaders(t, res.Header, map[string]string{"X-Should-Retry": "false"})
	}
}

func TestTokensAreCountedWhenTheAnswerHasEnded(t *testing.T) {
	u := newUpstream(t, answerWith("application/json", strings.Replace(chatAnswer, `"prompt_tokens":1,"completion_tokens":1`, `"prompt_tokens":900,"completion_tokens":100`, 1)))
	p := start(t, setup{upstream: u.URL, options: "limits {\ntokens 1500 1h\n}"})
	for range 2 { // the first leaves 500, so the second is admitted
		wantStatus(t, p.ask("worker@example.com"), http.StatusOK)
	}
	e := wantError(t, p.ask("worker@example.com"), http.StatusTooManyRequests, "limit_reached")
	if !strings.Contains(e.Get("message").Str, "you have used 2000 of 1500 tokens in 1h.") {
		t.Errorf("%s", e)
	}
}

func TestTokensAreEstimatedIfNobodyCountsThem(t *testing.T) {
	u := newUpstream(t, answerWith("application/json", strings.Replace(chatAnswer, `,"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}`, "", 1)))
	p := start(t, setup{upstream: u.URL, options: "limits {\ntokens 1500 1h\n}"})
	body := strings.Replace(chatBody("groq/x"), "hi", strings.Repeat("word", 100), 1)
	wantStatus(t, p.do(request{path: "/v1/chat/completions", body: body, header: as("worker@example.com", "plain-key")}), http.StatusOK)
	limit := p.usage("worker@example.com").Get("limits.0")
	if got, want := limit.Get("used").Int(), int64(len(body)/4+len("Hi")/4); got != want {
		t.Errorf("%d tokens are used, want %d", got, want)
	}
}

func TestTheTextOfATranslatedAnswerCountsIfItHasNoCounts(t *testing.T) {
	const text = "one two three four"
	body := chatBody(gemini)
	for name, test := range map[string]struct {
		counts string
		want   int
	}{
		"no counts":         {"", len(body)/4 + len(text)/4},
		"counts of zero":    {`,"usageMetadata":{"promptTokenCount":0,"candidatesTokenCount":0,"totalTokenCount":0}`, len(body)/4 + len(text)/4},
		"counts":            {`,"usageMetadata":{"promptTokenCount":300,"candidatesTokenCount":40,"totalTokenCount":340}`, 340},
		"only the prompt's": {`,"usageMetadata":{"promptTokenCount":300,"totalTokenCount":300}`, 300},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith("application/json", `{"candidates":[{"content":{"role":"model","parts":[{"text":"`+text+`"}]},"finishReason":"STOP"}]`+test.counts+`}`))
			p := start(t, setup{upstream: u.URL, options: "limits {\ntokens 15000 1h\n}"})
			wantStatus(t, p.do(request{path: "/v1/chat/completions", body: body, header: as("worker@example.com", "plain-key")}), http.StatusOK)
			if got := p.usage("worker@example.com").Get("limits.0.used").Int(); got != int64(test.want) {
				t.Errorf("%d tokens are used, want %d", got, test.want)
			}
		})
	}
}

// Anthropic says at the beginning of a stream how long the prompt is, and that the answer has one token so far.
func TestTheTextOfAStreamThatEndsEarlyCounts(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"x\",\"usage\":{\"input_tokens\":50,\"output_tokens\":1}}}\n\n")
		_, _ = fmt.Fprintf(w, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":%q}}\n\n", strings.Repeat("word", 300))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	p := start(t, setup{upstream: u.URL, providers: messagesProviders(), options: "limits {\ntokens 15000 1h\n}"})
	body := strings.Replace(strings.Replace(messagesBody, "claude-sonnet", "anthropic/claude-sonnet", 1), `"max`, `"stream":true,"max`, 1)
	res := p.do(request{path: "/v1/messages", body: body, header: as("worker@example.com", "plain-key")})
	_, _ = io.Copy(io.Discard, res.Body)
	waitUntil(t, func() bool { return p.usage("worker@example.com").Get("limits.0.used").Int() == 50+300 })
}

// usage returns the answer to GET /usage of a user with a plain key. What has ended counts in it.
func (p *proxy) usage(email string) gjson.Result {
	p.t.Helper()
	res := p.do(request{method: http.MethodGet, path: "/v1/usage", header: as(email, "plain-key")})
	body := read(p.t, res)
	if res.StatusCode != http.StatusOK {
		p.t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	return gjson.Parse(body)
}

func TestAnErrorUsesNoTokens(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprint(w, `{"error":{"message":"broken"}}`)
	})
	p := start(t, setup{upstream: u.URL, options: "limits {\ntokens 1500 1h\nrequests 5 1h\n}"})
	wantStatus(t, p.ask("worker@example.com"), http.StatusInternalServerError)
	limits := p.usage("worker@example.com").Get("limits")
	if limits.Get("#(kind==tokens).used").Int() != 0 || limits.Get("#(kind==requests).used").Int() != 1 {
		t.Errorf("%s", limits)
	}
}

func TestTooManyRequestsInFlightAreRefused(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		answerChat(w, r)
	})
	p := start(t, setup{upstream: u.URL, options: "limits {\nparallel 1\n}"})
	done := make(chan *http.Response)
	go func() { done <- p.ask("worker@example.com") }()
	<-arrived
	res := p.ask("worker@example.com")
	e := wantError(t, res, http.StatusTooManyRequests, "too_many_parallel_requests")
	if !strings.Contains(e.Get("message").Str, "you have 1 requests in flight, and 1 are allowed") {
		t.Errorf("%s", e)
	}
	wantHeaders(t, res.Header, map[string]string{"Retry-After": "1", "X-Ratelimit-Limit-Requests": ""})
	p.log.WaitFor(t, `"limit":"parallel 1"`)
	close(release)
	wantStatus(t, <-done, http.StatusOK)
	waitUntil(t, func() bool { return p.usage("worker@example.com").Get("limits.0.used").Int() == 0 })
	wantStatus(t, p.ask("worker@example.com"), http.StatusOK)
}

// waitUntil waits for something that follows the answer that a client got.
func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if is() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen within a minute")
}

func TestARecordsLimitsReplaceTheServers(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "limits {\nrequests 2 1h\nparallel 50\n}", users: limitedUsers()})
	for email, allowed := range map[string]int{"own@example.com": 1, "worker@example.com": 2, "bad@example.com": 2} {
		for range allowed {
			wantStatus(t, p.ask(email), http.StatusOK)
		}
		wantError(t, p.ask(email), http.StatusTooManyRequests, "limit_reached")
	}
	for range 4 {
		wantStatus(t, p.ask("lifted@example.com"), http.StatusOK)
	}
	if limits := p.usage("lifted@example.com").Get("limits"); limits.Raw != "[]" {
		t.Errorf("%s", limits)
	}
	p.log.WaitFor(t, "a user's record has limits that cannot be read")
}

func TestATeamSharesItsLimits(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "limits {\nrequests 5 1h\nteam team {\nrequests 2 1h\n}\n}", users: limitedUsers()})
	wantStatus(t, p.ask("red1@example.com"), http.StatusOK)
	res := p.ask("red2@example.com")
	wantStatus(t, res, http.StatusOK)
	wantHeaders(t, res.Header, map[string]string{"X-Ratelimit-Limit-Requests": "2", "X-Ratelimit-Remaining-Requests": "0"})
	e := wantError(t, p.ask("red1@example.com"), http.StatusTooManyRequests, "limit_reached")
	if !strings.Contains(e.Get("message").Str, "your team has used 2 of 2 requests in 1h.") {
		t.Errorf("%s", e)
	}
	p.log.WaitFor(t, `"limit":"team requests 2/1h"`)
	wantStatus(t, p.ask("blue@example.com"), http.StatusOK)
	for range 3 { // who has no team has no team's limits
		wantStatus(t, p.ask("worker@example.com"), http.StatusOK)
	}
	report := p.usage("red1@example.com")
	if own := report.Get(`limits.#(limit==5)`); report.Get("limits.#").Int() != 2 || report.Get(`limits.#(team=="red").used`).Int() != 2 || own.Get("used").Int() != 1 {
		t.Errorf("a refused request counts: %s", report)
	}
}

func TestFreeRequestsCountForNothing(t *testing.T) {
	u := newUpstream(t, answerWith("application/json", `{"input_tokens":7}`))
	p := start(t, setup{upstream: u.URL, options: "limits {\nrequests 1 1h\n}", providers: messagesProviders()})
	header := as("worker@example.com", "plain-key")
	for range 2 {
		wantStatus(t, p.do(request{path: "/v1/messages/count_tokens", body: messagesBody, header: header}), http.StatusOK)
		wantStatus(t, p.do(request{method: http.MethodGet, path: "/v1/models", header: header}), http.StatusOK)
	}
	if used := p.usage("worker@example.com").Get("limits.0.used").Int(); used != 0 {
		t.Errorf("%d requests are used", used)
	}
}

func TestUpstreamsLimitsAreTakenOutWhereThereAreLimits(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Requests", "Anthropic-Ratelimit-Unified-Status", "Anthropic-Ratelimit-Requests-Limit"} {
			w.Header().Set(name, "upstream")
		}
		answerWith("application/json", messagesAnswer)(w, nil)
	})
	headerOf := func(p *proxy) http.Header {
		header := as("worker@example.com", "plain-key")
		res := p.do(request{path: "/v1/messages", body: messagesBody, header: header})
		wantStatus(t, res, http.StatusOK)
		return res.Header
	}
	p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
	wantHeaders(t, headerOf(p), map[string]string{"X-Ratelimit-Remaining-Tokens": "upstream", "Anthropic-Ratelimit-Unified-Status": "upstream"})
	p = start(t, setup{upstream: u.URL, providers: messagesProviders(), options: "limits {\nrequests 9 day\ntokens 1000 1h\n}"})
	header := headerOf(p)
	wantHeaders(t, header, map[string]string{
		"X-Ratelimit-Remaining-Tokens": "", "X-Ratelimit-Reset-Requests": "", "Anthropic-Ratelimit-Unified-Status": "",
		"Anthropic-Ratelimit-Requests-Limit": "9", "Anthropic-Ratelimit-Requests-Remaining": "8", "Anthropic-Ratelimit-Tokens-Limit": "1000",
	})
	now := time.Now().UTC()
	midnight := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339)
	wantHeaders(t, header, map[string]string{"Anthropic-Ratelimit-Requests-Reset": midnight})
	if at, err := time.Parse(time.RFC3339, header.Get("Anthropic-Ratelimit-Tokens-Reset")); err != nil || time.Until(at) > time.Hour+time.Second {
		t.Errorf("%v, %v", at, err)
	}
}

func TestALimitIsReportedInTheClientsFormat(t *testing.T) {
	u := newUpstream(t, answerWith("application/json", messagesAnswer))
	p := start(t, setup{upstream: u.URL, providers: messagesProviders(), options: "limits {\nrequests 1 1h\n}"})
	header := as("worker@example.com", "plain-key")
	wantStatus(t, p.do(request{path: "/v1/messages", body: messagesBody, header: header}), http.StatusOK)
	for path, test := range map[string]struct{ body, kind, message string }{
		"/v1/messages": {messagesBody, `error.type`, `rate_limit_error`},
		"/v1beta/models/gemini-2.5-flash:generateContent": {`{"contents":[]}`, `error.status`, `RESOURCE_EXHAUSTED`},
	} {
		res := p.do(request{path: path, body: test.body, header: header})
		if body := read(t, res); res.StatusCode != http.StatusTooManyRequests || gjson.Get(body, test.kind).Str != test.message || !strings.Contains(gjson.Get(body, "error.message").Str, "1 of 1 requests") {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}

func TestLimitsAreCountedOnOverAReload(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "limits {\nrequests 2 1h\n}"})
	wantStatus(t, p.ask("worker@example.com"), http.StatusOK)
	if err := p.load(strings.Replace(p.config, "requests 2 1h", "requests 3 1h\nparallel 7", 1)); err != nil {
		t.Fatal(err)
	}
	limits := p.usage("worker@example.com").Get("limits")
	if limits.Get("#(kind==requests).used").Int() != 1 || limits.Get("#(kind==requests).limit").Int() != 3 {
		t.Errorf("%s", limits)
	}
}

func TestUsageShowsTheKeyAndTheLimits(t *testing.T) {
	users := defaultUsers()
	maps.Copy(users, map[string]string{"ends@example.com": `{"apiKey":"plain-key","status":"Enabled","expiresAt":"2100-01-31T12:00:00.5Z"}`})
	p := start(t, setup{upstream: "127.0.0.1:1", options: "limits {\nrequests 2 1h\ntokens 7 month\nparallel 3\n}", users: users})
	report := p.usage("ends@example.com")
	if report.Get("user").Str != "ends@example.com" || report.Get("key.expires_at").Str != "2100-01-31T12:00:01Z" || len(report.Get("key.id").Str) != 8 || report.Get("days").Raw != "[]" {
		t.Errorf("%s", report)
	}
	want := `{"kind":"parallel","window":null,"limit":3,"used":0,"remaining":3,"resets_at":null,"team":null}`
	if got := report.Get("limits.#(kind==parallel)").Raw; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if p.usage("worker@example.com").Get("key.expires_at").Raw != "null" {
		t.Error("a key without an end has one")
	}
	wantError(t, p.do(request{method: http.MethodGet, path: "/usage", header: as("ends@example.com", "wrong")}), http.StatusUnauthorized, "invalid_api_key")
	res := p.do(request{method: http.MethodHead, path: "/usage", header: as("ends@example.com", "plain-key")})
	wantStatus(t, res, http.StatusOK)
	res = p.do(request{path: "/usage", header: as("ends@example.com", "plain-key")})
	wantError(t, res, http.StatusMethodNotAllowed, "method_not_allowed")
}

func TestUsageShowsTheDaysOfTheLedger(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "ledger {\npath " + t.TempDir() + "/usage.db\n}"})
	for range 2 {
		wantStatus(t, p.ask("worker@example.com"), http.StatusOK)
	}
	wantError(t, p.do(request{path: "/v1/chat/completions", body: chatBody("nobody/x"), header: as("worker@example.com", "plain-key")}), http.StatusNotFound, "model_not_found")
	today := time.Now().UTC().Format(time.DateOnly)
	want := `[{"date":"` + today + `","model":"","requests":1,"prompt_tokens":0,"completion_tokens":0,"cached_tokens":0},` +
		`{"date":"` + today + `","model":"` + llama + `","requests":2,"prompt_tokens":2,"completion_tokens":2,"cached_tokens":0}]`
	days := ""
	waitUntil(t, func() bool {
		days = p.usage("worker@example.com").Get("days").Raw
		return strings.Contains(days, `"model":""`) // of the last request
	})
	if days != want {
		t.Errorf("%s, want %s", days, want)
	}
	if days := p.usage("few@example.com").Get("days").Raw; days != "[]" {
		t.Errorf("another user sees %s", days)
	}
}
