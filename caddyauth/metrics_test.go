package caddyauth

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// metrics are the values that the current configuration exposes, by name and labels.
type metrics map[string]float64

func scrape(t *testing.T) metrics {
	t.Helper()
	w := httptest.NewRecorder()
	running := caddy.ActiveContext()
	promhttp.HandlerFor(running.GetMetricsRegistry(), promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	all := metrics{}
	for line := range strings.Lines(w.Body.String()) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if i := strings.LastIndex(line, "} "); i > 0 {
			name, value = line[:i+1], strings.TrimSpace(line[i+2:])
		}
		name, ours := strings.CutPrefix(name, "caddy_continue_auth_")
		if !ok || !ours {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[name] = number
	}
	return all
}

// since returns what has changed, except for the buckets and sums of histograms.
func (m metrics) since(before metrics) map[string]float64 {
	changed := map[string]float64{}
	for name, value := range m {
		if value != before[name] && !strings.Contains(name, "_bucket{") && !strings.Contains(name, "_sum") {
			changed[name] = value - before[name]
		}
	}
	return changed
}

// eventually waits until the metrics with these prefixes have changed as in want. A request is counted when
// it has ended completely, and its client may return before that.
func eventually(t *testing.T, before metrics, want map[string]float64, prefixes ...string) {
	t.Helper()
	var got map[string]float64
	for range 3000 {
		got = scrape(t).since(before)
		maps.DeleteFunc(got, func(name string, _ float64) bool {
			return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		})
		if maps.Equal(got, want) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("changed:\n%v, want\n%v", lines(got), lines(want))
}

func lines(m map[string]float64) (all string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all += fmt.Sprintf("  %s %v\n", name, m[name])
	}
	return all
}

// answerEverything answers like each provider, with the same counts in the provider's format.
func answerEverything(w http.ResponseWriter, r *http.Request) {
	const usage = `"usage":{"prompt_tokens":50,"completion_tokens":7,"total_tokens":57,"prompt_tokens_details":{"cached_tokens":3}}`
	const gemini = `"usageMetadata":{"promptTokenCount":50,"candidatesTokenCount":5,"thoughtsTokenCount":2,"cachedContentTokenCount":3,"totalTokenCount":57}`
	events := func(data ...string) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, one := range data {
			_, _ = io.WriteString(w, "data: "+one+"\n\n")
		}
	}
	object := func(body string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/acc/gw/")
	stream := r.Header.Get("Accept") == "text/event-stream"
	switch {
	case strings.HasSuffix(path, ":streamGenerateContent"):
		events(`{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":50}}`, `{"candidates":[{"finishReason":"STOP"}],`+gemini+`}`)
	case strings.HasSuffix(path, ":generateContent"):
		object(`{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],` + gemini + `}`)
	case strings.HasSuffix(path, "/embeddings"):
		object(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":50,"total_tokens":50}}`)
	case strings.HasSuffix(path, "/responses") && stream:
		events(`{"type":"response.created","response":{"usage":null}}`, `{"type":"response.completed","response":{"usage":{"input_tokens":50,"input_tokens_details":{"cached_tokens":3},"output_tokens":7,"total_tokens":57}}}`)
	case strings.HasSuffix(path, "/responses"):
		object(`{"object":"response","output":[],"usage":{"input_tokens":50,"input_tokens_details":{"cached_tokens":3},"output_tokens":7,"total_tokens":57}}`)
	case strings.HasPrefix(path, "workers-ai/@cf/"):
		object(`{"result":{"response":"a",` + usage + `},"success":true}`)
	case stream:
		events(`{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}`, `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`, `{"choices":[],`+usage+`}`, `[DONE]`)
	default:
		object(`{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],` + usage + `}`)
	}
}

func TestTokensOfEveryProviderAndFormatAreCounted(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerEverything).URL})
	const prompt = `{"prompt":"a","model":"`
	for name, test := range map[string]struct {
		path, body      string
		stream          bool
		provider, model string
		completion      float64
	}{
		"a chat on Azure":            {"chat/completions", chatBody("azure-openai/myinstance/gpt-4o"), false, "azure-openai", "myinstance/gpt-4o", 7},
		"a stream on Azure":          {"chat/completions", streamBody("azure-openai/myinstance/gpt-4o"), true, "azure-openai", "myinstance/gpt-4o", 7},
		"a completion on Azure":      {"completions", prompt + `azure-openai/myinstance/gpt-4o"}`, false, "azure-openai", "myinstance/gpt-4o", 7},
		"a response":                 {"responses", `{"input":"a","model":"openai/gpt-4o-mini"}`, false, "openai", "gpt-4o-mini", 7},
		"a stream of a response":     {"responses", `{"input":"a","stream":true,"model":"openai/gpt-4o-mini"}`, true, "openai", "gpt-4o-mini", 7},
		"embeddings":                 {"embeddings", `{"input":"a","model":"openai/gpt-4o-mini"}`, false, "openai", "gpt-4o-mini", 0},
		"a chat on Gemini":           {"chat/completions", chatBody("google-ai-studio/gemini-2.5-flash"), false, "google-ai-studio", "gemini-2.5-flash", 7},
		"a stream on Gemini":         {"chat/completions", streamBody("google-ai-studio/gemini-2.5-flash"), true, "google-ai-studio", "gemini-2.5-flash", 7},
		"a completion on Gemini":     {"completions", prompt + `google-ai-studio/gemini-2.5-flash"}`, false, "google-ai-studio", "gemini-2.5-flash", 7},
		"a stream on Workers AI":     {"chat/completions", streamBody(llama), true, "workers-ai", "@cf/meta/llama-3.1-8b-instruct", 7},
		"a completion on Workers AI": {"completions", prompt + llama + `"}`, false, "workers-ai", "@cf/meta/llama-3.1-8b-instruct", 7},
		"a model that is not listed": {"chat/completions", chatBody("groq/a-name-that-the-client-chose"), false, "groq", "other", 7},
	} {
		t.Run(name, func(t *testing.T) {
			header := as(testEmail, testKey)
			if test.stream {
				header["Accept"] = "text/event-stream"
			}
			before := scrape(t)
			res := p.do(request{path: "/v1/" + test.path, header: header, body: test.body})
			if body := read(t, res); res.StatusCode != 200 {
				t.Fatalf("status %d: %s", res.StatusCode, body)
			}
			labels := fmt.Sprintf(`model=%q,provider=%q}`, test.model, test.provider)
			want := map[string]float64{
				fmt.Sprintf(`requests_total{outcome="ok",provider=%q}`, test.provider):      1,
				fmt.Sprintf(`time_to_first_byte_seconds_count{provider=%q}`, test.provider): 1,
				`tokens_total{kind="prompt",` + labels:                                      50,
			}
			if test.completion > 0 {
				want[`tokens_total{kind="completion",`+labels], want[`tokens_total{kind="cached",`+labels] = test.completion, 3
			}
			eventually(t, before, want, "requests", "time_to_first_byte", "tokens")
		})
	}
}

func TestRequestsAreCountedByOutcome(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if status, err := strconv.Atoi(r.Header.Get("Accept")); err == nil {
			w.WriteHeader(status)
			return
		}
		answerChat(w, r)
	})
	p := start(t, setup{upstream: u.URL, options: "failed_attempts 1000 1m"})
	read(t, p.do(request{path: "/v1/chat/completions", body: chatBody("groq/x")})) // now the key and the provider are in memory
	for name, test := range map[string]struct {
		key, body, accept string
		want              string
	}{
		"a request that is answered":        {testKey, chatBody("groq/x"), "", `outcome="ok",provider="groq"`},
		"a wrong key":                       {"wrong", chatBody("groq/x"), "", `outcome="invalid_api_key",provider="none"`},
		"a provider that is not served":     {testKey, chatBody("made-up-by-a-client/x"), "", `outcome="model_not_found",provider="none"`},
		"an invalid body":                   {testKey, `[`, "", `outcome="invalid_request_error",provider="none"`},
		"upstream is busy":                  {testKey, chatBody("groq/x"), "429", `outcome="upstream_rate_limited",provider="groq"`},
		"upstream refuses the request":      {testKey, chatBody("groq/x"), "422", `outcome="upstream_client_error",provider="groq"`},
		"upstream refuses the server's key": {testKey, chatBody("groq/x"), "401", `outcome="upstream_auth_failed",provider="groq"`},
		"upstream fails":                    {testKey, chatBody("groq/x"), "500", `outcome="upstream_server_error",provider="groq"`},
	} {
		t.Run(name, func(t *testing.T) {
			header := as(testEmail, test.key)
			header["Accept"] = test.accept
			before := scrape(t)
			read(t, p.do(request{path: "/v1/chat/completions", header: header, body: test.body}))
			got := scrape(t).since(before)
			if got[`requests_total{`+test.want+`}`] != 1 {
				t.Errorf("changed:\n%v, want %s", lines(got), test.want)
			}
			if got[`key_lookups_total{result="fresh"}`] != 1 {
				t.Errorf("changed:\n%v, want a fresh look-up", lines(got))
			}
		})
	}
	for name := range scrape(t) {
		if strings.Contains(name, "made-up") || strings.Contains(name, "@example.com") {
			t.Errorf("a client can make labels: %s", name)
		}
	}
}

func TestMetricsSurviveAReloadAndCountAllHandlers(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL})
	before := scrape(t)
	ask := func() { read(t, p.do(request{path: "/v1/chat/completions", body: chatBody(llama)})) }
	ask()
	second := strings.Replace(p.config, "continue_auth  {", "continue_auth /never {\naccount_id acc\ngateway gw\ngateway_token x\nkeystore file {\napi_keys "+p.keys+"\nprovider_settings "+p.settings+"\n}\n}\ncontinue_auth  {", 1)
	if second == p.config {
		t.Fatal("there is no second handler")
	}
	if err := p.load(second); err != nil {
		t.Fatal(err)
	}
	ask()
	after := scrape(t)
	if got := after.since(before)[`requests_total{outcome="ok",provider="workers-ai"}`]; got != 2 {
		t.Errorf("%v requests, want 2", got)
	}
	if after["cache_entries"] != 1 {
		t.Errorf("%v users in memory, want 1", after["cache_entries"])
	}
}

func TestRequestsToTheKeystoreAreCounted(t *testing.T) {
	p, kv := startOnKV(t, "cache {\nrefresh_after 0s\nmax_age 0s\nabsent 0s\nstale_if_error 1h\n}", hangsFor)
	before := scrape(t)
	read(t, p.chat(testEmail, testKey))
	eventually(t, before, map[string]float64{
		`key_lookups_total{result="loaded"}`: 1, `cache_entries`: 1,
		`keystore_requests_total{operation="read",outcome="ok"}`: 2, `keystore_request_duration_seconds_count`: 2,
		`requests_total{outcome="ok",provider="workers-ai"}`: 1, `time_to_first_byte_seconds_count{provider="workers-ai"}`: 1,
		`tokens_total{kind="prompt",model="@cf/meta/llama-3.1-8b-instruct",provider="workers-ai"}`:     1,
		`tokens_total{kind="completion",model="@cf/meta/llama-3.1-8b-instruct",provider="workers-ai"}`: 1,
	}, "")
	for name, test := range map[string]struct {
		fault   kvtest.Fault
		outcome string
	}{
		"unavailable":         {kvtest.Reply(500, "x"), "unavailable"},
		"unauthorized":        {kvtest.Reply(403, `{"success":false,"errors":[{"code":10000,"message":"x"}]}`), "unauthorized"},
		"namespace_not_found": {kvtest.Reply(404, `{"success":false,"errors":[{"code":10013,"message":"x"}]}`), "namespace_not_found"},
		"timeout":             {kvtest.Hang, "timeout"},
	} {
		kv.FailAll(test.fault)
		before = scrape(t)
		read(t, p.chat(testEmail, testKey))
		eventually(t, before, map[string]float64{ // a known user does not wait for all of it
			`keystore_requests_total{operation="read",outcome="` + test.outcome + `"}`: 2, `key_lookups_total{result="stale"}`: 1,
		}, "keystore_requests_total", "key_lookups")
		read(t, p.chat("nobody@example.com", "x"))
		if got := scrape(t).since(before); got[`key_lookups_total{result="error"}`] != 1 {
			t.Errorf("%s: changed\n%v", name, lines(got))
		}
	}
	kv.FailAll(kvtest.Reply(429, "x", "Retry-After", "1")) // it is not asked again for a second
	before = scrape(t)
	read(t, p.chat(testEmail, testKey))
	if got := scrape(t).since(before); got[`keystore_requests_total{operation="read",outcome="rate_limited"}`] == 0 {
		t.Errorf("changed\n%v", lines(got))
	}
}

func TestTokensSoFarAreCountedIfTheClientHangsUp(t *testing.T) {
	for name, test := range map[string]struct{ model, event, labels string }{
		"Workers AI": {llama, `{"response":"a","usage":{"prompt_tokens":50,"completion_tokens":7}}`, `model="@cf/meta/llama-3.1-8b-instruct",provider="workers-ai"}`},
		"Gemini":     {"google-ai-studio/gemini-2.5-flash", `{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":50,"candidatesTokenCount":7}}`, `model="gemini-2.5-flash",provider="google-ai-studio"}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, setup{upstream: newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				events(w)
				send(w, "data: "+test.event+"\n\n")
				<-r.Context().Done()
			}).URL})
			before := scrape(t)
			ctx, hangUp := context.WithCancel(t.Context())
			r, _ := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/v1/chat/completions", strings.NewReader(streamBody(test.model)))
			r.Header.Set("Authorization", "Bearer "+testEmail+":"+testKey)
			r.Header.Set("X-Request-Id", "of-a-client-that-hangs-up")
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(res.Body, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			hangUp()
			_ = res.Body.Close()
			wantFields(t, p.logged("of-a-client-that-hangs-up"), map[string]string{"tokens_partial": "true", "prompt_tokens": "50", "completion_tokens": "7", "outcome": "canceled"})
			got := scrape(t).since(before)
			if got[`tokens_total{kind="prompt",`+test.labels] != 50 || got[`tokens_total{kind="completion",`+test.labels] != 7 {
				t.Errorf("changed:\n%v", lines(got))
			}
		})
	}
}

func TestAskUsageGetsTokenCountsThatTheClientDoesNotSee(t *testing.T) {
	for _, asks := range []bool{false, true} {
		u := newUpstream(t, answerEverything)
		options := ""
		if asks {
			options = "ask_usage"
		}
		p := start(t, setup{upstream: u.URL, options: options})
		for path, body := range map[string]string{
			"/v1/chat/completions": streamBody("azure-openai/myinstance/gpt-4o"),
			"/v1/completions":      `{"prompt":"a","stream":true,"model":"azure-openai/myinstance/gpt-4o"}`,
		} {
			header := as(testEmail, testKey)
			header["Accept"] = "text/event-stream"
			seen := read(t, p.do(request{path: path, header: header, body: body}))
			if asked := strings.Contains(func() string { _, sent := u.seen(); return sent }(), `"stream_options":{"include_usage":true}`); asked != asks {
				t.Errorf("%s: ask_usage %v, upstream is asked %v", path, asks, asked)
			}
			if asks && strings.Contains(seen, "usage") || !strings.Contains(seen, `"a"`) || !strings.HasSuffix(seen, "data: [DONE]\n\n") {
				t.Errorf("%s: ask_usage %v, the client sees %s", path, asks, seen)
			}
		}
	}
}
