package caddyauth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The names of the semantic conventions are written out, because dashboards use them.
func TestTheCurrentSpanHasTheModelAndTheTokens(t *testing.T) {
	h, err := provision(t, `{"account_id":"acc","gateway":"gw","gateway_token":"token","keystore":`+files(t)+`}`)
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewInMemoryExporter()
	tracer := trace.NewTracerProvider(trace.WithSyncer(spans)).Tracer("test")
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		r.Context().Value(handoffKey{}).(*handoff).sent = true
		answerEverything(w, r)
		return nil
	})
	for name, test := range map[string]struct {
		path, key, body string
		want            map[attribute.Key]string
	}{
		"a chat": {"chat/completions", testKey, chatBody("azure-openai/myinstance/gpt-4o"), map[attribute.Key]string{
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "azure.ai.openai", "gen_ai.request.model": "myinstance/gpt-4o",
			"gen_ai.usage.input_tokens": "50", "gen_ai.usage.output_tokens": "7",
		}},
		"a completion": {"completions", testKey, `{"prompt":"a","model":"google-ai-studio/gemini-2.5-flash"}`, map[attribute.Key]string{
			"gen_ai.operation.name": "text_completion", "gen_ai.provider.name": "gcp.gemini", "gen_ai.request.model": "gemini-2.5-flash",
			"gen_ai.usage.input_tokens": "50", "gen_ai.usage.output_tokens": "7",
		}},
		"embeddings": {"embeddings", testKey, `{"input":"a","model":"openai/gpt-4o-mini"}`, map[attribute.Key]string{
			"gen_ai.operation.name": "embeddings", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
			"gen_ai.usage.input_tokens": "50", "gen_ai.usage.output_tokens": "0",
		}},
		"a wrong key": {"chat/completions", "wrong", chatBody("groq/x"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			spans.Reset()
			ctx, span := tracer.Start(t.Context(), "handler")
			r := asCaddy(httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/"+test.path, strings.NewReader(test.body)), "127.0.0.1")
			r.Header.Set("Authorization", "Bearer "+testEmail+":"+test.key)
			if err := h.ServeHTTP(httptest.NewRecorder(), r, next); err != nil {
				t.Error(err)
			}
			span.End()
			got := map[attribute.Key]string{}
			for _, a := range spans.GetSpans()[0].Attributes {
				got[a.Key] = a.Value.String()
			}
			if len(got) != len(test.want) {
				t.Errorf("attributes %v, want %v", got, test.want)
			}
			for name, want := range test.want {
				if got[name] != want {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
		})
	}
}

func TestASpanNamesTheError(t *testing.T) {
	h, err := provision(t, `{"account_id":"acc","gateway":"gw","gateway_token":"token","keystore":`+files(t)+`}`)
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewInMemoryExporter()
	ctx, span := trace.NewTracerProvider(trace.WithSyncer(spans)).Tracer("test").Start(t.Context(), "handler")
	r := asCaddy(httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(chatBody("groq/x"))), "127.0.0.1")
	r.Header.Set("Authorization", "Bearer "+testEmail+":"+testKey)
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		r.Context().Value(handoffKey{}).(*handoff).sent = true
		w.WriteHeader(http.StatusTooManyRequests)
		return nil
	})
	if err := h.ServeHTTP(httptest.NewRecorder(), r, next); err != nil {
		t.Error(err)
	}
	span.End()
	for _, a := range spans.GetSpans()[0].Attributes {
		if a.Key == "error.type" && a.Value.AsString() == "upstream_rate_limited" {
			return
		}
	}
	t.Errorf("attributes %v", spans.GetSpans()[0].Attributes)
}
