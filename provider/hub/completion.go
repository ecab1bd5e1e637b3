package hub

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Prompt reads `prompt` of a completions request: a string, or an array of one.
func (r *Request) Prompt() (string, error) {
	value := gjson.GetBytes(r.Body, "prompt")
	prompt, prompts := value, 1
	if value.IsArray() {
		prompts = 0
		value.ForEach(func(_, one gjson.Result) bool {
			prompt = one
			prompts++
			return prompts == 1
		})
	}
	if prompts != 1 || prompt.Type != gjson.String {
		return "", BadRequest("prompt", "Send `prompt` as a string, or an array of one string.")
	}
	return prompt.Str, nil
}

// Suffix reads `suffix` of a completions request. It is empty if the request has none.
func (r *Request) Suffix() (string, error) {
	suffix := gjson.GetBytes(r.Body, "suffix")
	if suffix.Type != gjson.String && suffix.Type != gjson.Null {
		return "", BadRequest("suffix", "Send `suffix` as a string.")
	}
	return suffix.Str, nil
}

// ChatPrompt returns the prompt of a completions request as the text of one user message. A chat has no field
// for a suffix, so the message asks for the text between the prompt and the suffix.
func (r *Request) ChatPrompt() (string, error) {
	prompt, err := r.Prompt()
	if err != nil {
		return "", err
	}
	suffix, err := r.Suffix()
	if err != nil || suffix == "" {
		return prompt, err
	}
	return "Write the text that belongs between the prefix and the suffix. Answer with that text alone, without quotes or explanations.\n" +
		"<prefix>" + prompt + "</prefix>\n<suffix>" + suffix + "</suffix>", nil
}

// ChatFromCompletion turns a completions request into the body of a chat request for model, with one user
// message. Fields that both endpoints know are copied byte for byte. rest are the stop words after the first
// maxWords: the provider is not told of them, and this server must apply them.
func (r *Request) ChatFromCompletion(model string, maxWords int) (body []byte, rest []string, err error) {
	prompt, err := r.ChatPrompt()
	if err != nil {
		return nil, nil, err
	}
	stop, err := r.StopWords()
	if err != nil {
		return nil, nil, err
	}
	// max_completion_tokens is not a field of this endpoint. Continue sends it for reasoning models only.
	// These refuse stop words and every temperature except their default.
	reasoning := gjson.GetBytes(r.Body, "max_completion_tokens").Exists()
	if reasoning {
		maxWords = 0
	}
	sent := stop[:min(len(stop), maxWords)]

	body = append(make([]byte, 0, len(r.Body)+128), `{"model":`...)
	body = jsontext.AppendString(body, model)
	body = append(body, `,"messages":[{"role":"user","content":`...)
	body = jsontext.AppendString(body, prompt)
	body = append(body, `}]`...)
	if len(sent) > 0 {
		body = jsontext.AppendStrings(append(body, `,"stop":`...), sent)
	}
	gjson.ParseBytes(r.Body).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "model", "prompt", "suffix", "stop", "messages", // written above
			"best_of", "echo", "logprobs": // not a field of a chat, or one with another meaning
			return true
		case "temperature", "top_p":
			if reasoning {
				return true
			}
		}
		body = jsontext.AppendString(append(body, ','), key.Str)
		body = append(append(body, ':'), strings.TrimSpace(value.Raw)...)
		return true
	})
	return append(body, '}'), stop[len(sent):], nil
}
