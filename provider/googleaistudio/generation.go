package googleaistudio

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

const (
	// stopWords is how many stop words Gemini accepts.
	stopWords = 5

	// maxChoices is OpenAI's limit for n.
	maxChoices = 128
)

// splitStop returns the stop words to send to Gemini, and the rest, which this server must apply: blank ones,
// which Gemini refuses, and all after the first five others.
func splitStop(stop []string) (sent, rest []string) {
	for _, word := range stop {
		if len(sent) < stopWords && strings.TrimSpace(word) != "" {
			sent = append(sent, word)
		} else {
			rest = append(rest, word)
		}
	}
	return sent, rest
}

// generation holds parameters of a generation that are not read from the fields.
type generation struct {
	stop       []string
	thinking   thinking
	resolution resolution // for all images
}

// writeGenerationConfig adds the parameters of r to the body of a request. It drops those that Gemini does
// not have, such as `user`, `logit_bias` and Continue's `prediction`.
func writeGenerationConfig(body *object, r *hub.Request, f fields, g generation) error {
	var config object
	if err := f.writeNumbers(&config, takesPenalties(r.Model)); err != nil {
		return err
	}
	if err := f.writeIntegers(&config); err != nil {
		return err
	}
	if len(g.stop) > 0 {
		config.strings("stopSequences", g.stop)
	}
	if major, _ := version(r.Model); major > 0 && g.resolution != unspecified {
		config.string("mediaResolution", g.resolution.name())
	}
	if r.Endpoint != hub.Completions {
		if err := f.writeLogprobs(&config); err != nil {
			return err
		}
		if err := f.writeResponseFormat(&config); err != nil {
			return err
		}
	}
	if err := f.writeThinking(&config, r.Model, g.thinking); err != nil {
		return err
	}
	if err := f.onlyText(r.Endpoint); err != nil {
		return err
	}
	if len(config.b) > 0 {
		body.raw("generationConfig", string(config.end()))
	}
	return nil
}

func (f fields) writeNumbers(config *object, penalties bool) error {
	for _, field := range []struct {
		ours, theirs string
		known        bool
	}{
		{"temperature", "temperature", true},
		{"top_p", "topP", true},
		{"top_k", "topK", true},
		{"presence_penalty", "presencePenalty", penalties},
		{"frequency_penalty", "frequencyPenalty", penalties},
	} {
		switch value := f[field.ours]; {
		case value.Type == gjson.Null:
		case value.Type != gjson.Number:
			return hub.BadRequest(field.ours, "Send `"+field.ours+"` as a number.")
		case field.known:
			config.raw(field.theirs, value.Raw)
		}
	}
	return nil
}

func (f fields) writeIntegers(config *object) error {
	limit := "max_completion_tokens"
	if f[limit].Type == gjson.Null {
		limit = "max_tokens"
	}
	for _, field := range []struct {
		ours, theirs string
		least, most  int64
	}{
		{limit, "maxOutputTokens", 1, math.MaxInt32},
		{"n", "candidateCount", 1, maxChoices},
		{"seed", "seed", math.MinInt64, math.MaxInt64},
	} {
		value, ok, err := f.integer(field.ours, field.least, field.most)
		if err != nil {
			return err
		}
		if ok && (field.ours != "n" || value > 1) {
			config.raw(field.theirs, strconv.Itoa(int(int32(value)))) // Gemini's seeds have 32 bits only
		}
	}
	return nil
}

// integer reads a field that is a whole number from least to most. ok is false if the field is missing.
func (f fields) integer(name string, least, most int64) (value int64, ok bool, err error) {
	field := f[name]
	if field.Type == gjson.Null {
		return 0, false, nil
	}
	value, err = strconv.ParseInt(field.Raw, 10, 64)
	if err != nil || value < least || value > most {
		message := "Send `" + name + "` as a whole number."
		if least != math.MinInt64 {
			message = "Send `" + name + "` as a whole number from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10) + "."
		}
		return 0, false, hub.BadRequest(name, message)
	}
	return value, true, nil
}

func (f fields) writeLogprobs(config *object) error {
	switch f["logprobs"].Type {
	case gjson.Null, gjson.False:
		return nil
	case gjson.True:
	default:
		return hub.BadRequest("logprobs", "Send `logprobs` as true or false.")
	}
	config.raw("responseLogprobs", "true")
	top, ok, err := f.integer("top_logprobs", 0, maxTopLogprobs)
	if ok {
		config.raw("logprobs", strconv.FormatInt(top, 10))
	}
	return err
}

// maxTopLogprobs is the limit of both OpenAI and Gemini.
const maxTopLogprobs = 20

func (f fields) writeResponseFormat(config *object) error {
	format := f["response_format"]
	if format.Type == gjson.Null {
		return nil
	}
	switch format.Get("type").Str {
	case "text":
		return nil
	case "json_object", "json_schema":
		config.string("responseMimeType", "application/json")
	default:
		return hub.BadRequest("response_format.type", "Send the `type` of `response_format` as text, json_object or json_schema.")
	}
	if format.Get("type").Str == "json_object" {
		return nil
	}
	switch wanted := format.Get("json_schema.schema"); {
	case wanted.IsObject():
		config.raw("responseJsonSchema", schema(wanted))
	case wanted.Type != gjson.Null || !format.Get("json_schema").IsObject():
		return hub.BadRequest("response_format.json_schema", "Send `json_schema` as an object with a `schema`.")
	}
	return nil
}

// onlyText refuses requests for content that the answer's format cannot hold.
func (f fields) onlyText(endpoint hub.Endpoint) error {
	if modalities := f["modalities"]; modalities.Type != gjson.Null && !isText(modalities) {
		return hub.BadRequest("modalities", "Send `modalities` as [\"text\"]: Gemini's other answers are not translated.")
	}
	if endpoint == hub.Completions && f["web_search_options"].Type != gjson.Null {
		return hub.BadRequest("web_search_options", "Send `web_search_options` to /chat/completions: a text completion cannot contain sources.")
	}
	return nil
}

// isText reports whether `modalities` asks for text only.
func isText(modalities gjson.Result) bool {
	only := !modalities.IsObject()
	modalities.ForEach(func(_, modality gjson.Result) bool {
		only = only && modality.Str == "text"
		return only
	})
	return only
}
