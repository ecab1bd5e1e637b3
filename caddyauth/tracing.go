package caddyauth

import (
	"context"

	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// trace adds attributes to the span of Caddy's `tracing` handler, according to the semantic conventions for
// generative AI (https://opentelemetry.io/docs/specs/semconv/gen-ai/).
func (rec *record) trace(ctx context.Context) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() || rec.provider == "" {
		return
	}
	operation := semconv.GenAIOperationNameChat
	switch rec.endpoint {
	case hub.Completions:
		operation = semconv.GenAIOperationNameTextCompletion
	case hub.Embeddings:
		operation = semconv.GenAIOperationNameEmbeddings
	}
	name := semconv.GenAIProviderNameKey.String(rec.provider)
	switch rec.provider { // these have other names in the conventions
	case "azure-openai":
		name = semconv.GenAIProviderNameAzureAIOpenAI
	case "google-ai-studio":
		name = semconv.GenAIProviderNameGCPGemini
	case "mistral":
		name = semconv.GenAIProviderNameMistralAI
	case "grok":
		name = semconv.GenAIProviderNameXAI
	}
	span.SetAttributes(operation, name, semconv.GenAIRequestModel(rec.model))
	if rec.usage != (hub.Usage{}) {
		span.SetAttributes(semconv.GenAIUsageInputTokens(int(rec.usage.Prompt)), semconv.GenAIUsageOutputTokens(int(rec.usage.Completion)))
	}
	if rec.outcome != outcomeOK {
		span.SetAttributes(semconv.ErrorTypeKey.String(rec.outcome))
	}
}
