// Package googleaistudio implements the provider for Google AI Studio's Gemini API behind the AI Gateway
// (https://developers.cloudflare.com/ai-gateway/usage/providers/google-ai-studio/). It translates OpenAI's
// requests into those of generateContent and embedContent, and translates the answers back
// (https://ai.google.dev/api/generate-content, https://ai.google.dev/api/embeddings).
package googleaistudio

import (
	"io"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Provider translates requests to Gemini's generateContent and embedContent. Requests in Gemini's own format
// pass unchanged.
type Provider struct {
	// Signatures restores thought signatures that clients do not send back. If nil, lost signatures are not
	// restored.
	Signatures *Signatures
}

// Accepts accepts Gemini's model ids without "models/". An id must be one segment of the path, and must not
// contain a colon, since that would end it.
func (Provider) Accepts(model string) error {
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if model == "" || strings.Trim(model, characters) != "" {
		return hub.ModelNotFound("Name the model as \"google-ai-studio/<model>\", for example \"google-ai-studio/gemini-2.5-flash\".")
	}
	return nil
}

// Call returns the request to the gateway for r.
func (p Provider) Call(r *hub.Request) (call *hub.Call, err error) {
	switch r.Endpoint {
	case hub.Gemini, hub.GeminiTokens:
		return native(r), nil
	case hub.Embeddings:
		call, err = embeddings(r)
	case hub.ChatTokens:
		call, err = p.count(r)
	default: // hub.Chat, hub.Completions
		call, err = p.chat(r)
	}
	if err != nil {
		return nil, err
	}
	call.WithoutQuery = "alt" // settings made for the Worker have this parameter
	return call, nil
}

// method returns the path of a model's method.
func method(model, name string) string {
	return "google-ai-studio/v1beta/models/" + model + ":" + name
}

// fields are the members of a request. If several have the same name, it holds the last one, as encoding/json
// does.
type fields map[string]gjson.Result

// known are the names of the members that fields holds. A client may send any number of others.
var known = map[string]bool{
	"temperature": true, "top_p": true, "top_k": true, "presence_penalty": true, "frequency_penalty": true,
	"max_completion_tokens": true, "max_tokens": true, "n": true, "seed": true, "logprobs": true, "top_logprobs": true,
	"response_format": true, "reasoning_effort": true, "modalities": true, "web_search_options": true,
	"tools": true, "functions": true, "tool_choice": true, "function_call": true,
	"extra_body": true, "google": true,
	"input": true, "dimensions": true, "encoding_format": true,
}

// readFields reads the known members of a valid request.
func readFields(request *hub.Request) fields {
	f := make(fields)
	r := jsontext.NewReader(request.Rest())
	r.Object(func(name []byte) {
		if known[string(name)] {
			f[string(name)] = gjson.ParseBytes(r.Raw())
		}
	})
	return f
}

func (p Provider) chat(r *hub.Request) (*hub.Call, error) {
	f := readFields(r)
	extension, err := f.readExtension()
	if err != nil {
		return nil, err
	}
	conversation, err := p.converse(r)
	if err != nil {
		return nil, err
	}
	body := object{b: r.NewBody(conversation.size() + 2*(len(r.Body)-len(r.Messages())) + 512)}
	if extension.cached != "" {
		body.string("cachedContent", extension.cached)
	}
	conversation.write(&body)
	search := false
	if r.Endpoint != hub.Completions {
		if search, err = f.readSearch(); err != nil {
			return nil, err
		}
		if err := writeTools(&body, f, search, hasLevels(r.Model)); err != nil {
			return nil, err
		}
	}
	stop, err := r.StopWords()
	if err != nil {
		return nil, err
	}
	sent, rest := splitStop(stop)
	if err := writeGenerationConfig(&body, r, f, generation{sent, extension.thinking, conversation.images.request()}); err != nil {
		return nil, err
	}
	call := &hub.Call{
		Path:      method(r.Model, "generateContent"),
		Body:      body.end(),
		Translate: p.translate(r.User, r.Peers, search, r.Form(rest)),
	}
	if r.Stream {
		call.Path, call.Query = method(r.Model, "streamGenerateContent"), "alt=sse"
	}
	return call, nil
}

// converse reads the messages of a chat, or a prompt as the user's only message.
func (p Provider) converse(r *hub.Request) (*conversation, error) {
	if r.Endpoint != hub.Completions {
		return readMessages(r.CleanMessages(), r.Model, func(id string) string { return p.Signatures.recall(r.User, id, r.Peers) })
	}
	prompt, err := r.ChatPrompt()
	if err != nil {
		return nil, err
	}
	if prompt == "" {
		return nil, hub.BadRequest("prompt", "Send a `prompt` that is not empty.")
	}
	return &conversation{turns: []*turn{{role: user, parts: appendText(nil, prompt)}}}, nil
}

// translate returns a function for Call.Translate. user is the email of the user who asks, and peers what other
// servers know of the user. search says that
// the client wants the sources of the answer.
func (p Provider) translate(user string, peers hub.Peers, search bool, form hub.Form) func(dst io.Writer, sse bool) hub.Translator {
	return func(dst io.Writer, sse bool) hub.Translator {
		d := &decoder{search: search, completion: form.TextOnly, remember: func(id, signature string) { p.Signatures.remember(user, id, signature, peers) }}
		return hub.NewTranslator(dst, sse, form, d.decode)
	}
}
