// Package workersai implements the provider for Cloudflare Workers AI behind the AI Gateway
// (https://developers.cloudflare.com/ai-gateway/usage/providers/workersai/).
package workersai

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// Provider sends requests to Workers AI's OpenAI-compatible endpoints. Text completions go to the models' own
// endpoints, because only these accept a raw prompt.
type Provider struct{}

// Accepts accepts names that begin with @cf/ or @hf/.
func (Provider) Accepts(model string) error {
	if !strings.HasPrefix(model, "@cf/") && !strings.HasPrefix(model, "@hf/") {
		return hub.ModelNotFound("Name the model as \"workers-ai/@cf/<author>/<model>\".")
	}
	return nil
}

// Call returns the request to the gateway for r.
func (Provider) Call(r *hub.Request) (*hub.Call, error) {
	switch r.Endpoint {
	case hub.Chat:
		return chat(r)
	case hub.Completions:
		return completion(r)
	}
	r.SetModel(r.Model)
	return &hub.Call{Path: "workers-ai/v1/embeddings", Body: r.Body}, nil // hub.Embeddings
}

// stopWords is how many stop words are sent. OpenAI accepts no more.
const stopWords = 4

// chat sends the client's body in a form that every model accepts. No documentation says which models know
// stop words, so this server applies all of them too.
func chat(r *hub.Request) (*hub.Call, error) {
	if r.File != "" {
		return nil, hub.BadRequest(r.File, "Send the document's text: the models of Workers AI read no files.")
	}
	r.AskForUsage()
	stop, err := r.StopWords()
	if err != nil {
		return nil, err
	}
	if _, err := r.LimitStop(stopWords); err != nil {
		return nil, err
	}
	r.FlattenText()
	r.SetModel(r.Model)
	form := r.Form(stop)
	form.Pass = openai.Passes(form)
	return &hub.Call{
		Path:      "workers-ai/v1/chat/completions",
		Body:      r.Body,
		Translate: hub.Translate(form, newDecode),
	}, nil
}

// completion asks the model's own endpoint with a raw prompt (`raw`). The OpenAI-compatible endpoints would
// put the prompt into a chat template, which breaks fill-in-the-middle.
func completion(r *hub.Request) (*hub.Call, error) {
	prompt, err := r.Prompt()
	if err != nil {
		return nil, err
	}
	suffix, err := r.Suffix()
	if err != nil {
		return nil, err
	}
	if suffix != "" {
		prompt = fillInTheMiddle(r.Model, prompt, suffix)
	}
	stop, err := r.StopWords()
	if err != nil {
		return nil, err
	}
	body := append(make([]byte, 0, len(r.Body)), `{"prompt":`...)
	body = jsontext.AppendString(body, prompt)
	body = append(body, `,"raw":true,"stream":`...)
	body = strconv.AppendBool(body, r.Stream)
	for _, field := range []struct{ ours, theirs string }{
		{"max_tokens", "max_tokens"},
		{"max_completion_tokens", "max_tokens"},
		{"temperature", "temperature"},
		{"top_p", "top_p"},
		{"top_k", "top_k"},
		{"seed", "seed"},
		{"frequency_penalty", "frequency_penalty"},
		{"presence_penalty", "presence_penalty"},
	} {
		value := gjson.GetBytes(r.Body, field.ours)
		if value.Type != gjson.Number || field.ours == "max_completion_tokens" && gjson.GetBytes(r.Body, "max_tokens").Type == gjson.Number {
			continue
		}
		body = jsontext.AppendString(append(body, ','), field.theirs)
		body = append(append(body, ':'), value.Raw...)
	}
	return &hub.Call{
		Path:      "workers-ai/" + r.Model,
		Body:      append(body, '}'),
		Translate: hub.Translate(r.Form(stop), newDecode), // the endpoint accepts no stop words, so this server applies all of them
	}, nil
}
