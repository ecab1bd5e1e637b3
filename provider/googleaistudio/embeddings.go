package googleaistudio

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

func embeddings(r *hub.Request) (*hub.Call, error) {
	f := readFields(r)
	inputs, err := readInput(f["input"])
	if err != nil {
		return nil, err
	}
	dimensions, ok, err := f.integer("dimensions", 1, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	options := ""
	if ok {
		options = `,"outputDimensionality":` + strconv.FormatInt(dimensions, 10)
	}
	e := embedding{model: r.Name, count: len(inputs)}
	switch format := f["encoding_format"]; {
	case format.Type == gjson.Null || format.Str == "float":
	case format.Str == "base64":
		e.base64 = true
	default:
		return nil, hub.BadRequest("encoding_format", "Send `encoding_format` as float or base64.")
	}
	call := &hub.Call{Translate: hub.TranslateBody(e.convert)}
	if len(inputs) == 1 {
		call.Path = method(r.Model, "embedContent")
		call.Body = append(appendInput([]byte("{"), inputs[0], options), '}')
		return call, nil
	}
	call.Path = method(r.Model, "batchEmbedContents")
	body := append(make([]byte, 0, len(r.Body)+len(inputs)*128), `{"requests":[`...)
	for _, input := range inputs {
		body = append(jsontext.AppendString(append(separate(body), `{"model":`...), "models/"+r.Model), ',')
		body = append(appendInput(body, input, options), '}')
	}
	call.Body = append(body, "]}"...)
	return call, nil
}

// readInput reads `input`, a string or an array of strings. It refuses token numbers, because those of
// OpenAI's models mean nothing to Gemini.
func readInput(input gjson.Result) ([]string, error) {
	if input.Type != gjson.String && !input.IsArray() {
		return nil, errInput
	}
	var inputs []string
	var err error
	input.ForEach(func(_, value gjson.Result) bool {
		switch {
		case value.Type != gjson.String || value.Str == "":
			err = errInput
		case len(inputs) == maxInputs:
			err = errInputs
		default:
			inputs = append(inputs, value.Str)
		}
		return err == nil
	})
	if err == nil && len(inputs) == 0 {
		err = hub.BadRequest("input", "Send at least one `input`.")
	}
	return inputs, err
}

var (
	errInput  = hub.BadRequest("input", "Send `input` as a string or an array of strings, none of them empty.")
	errInputs = hub.BadRequest("input", "Send at most 100 inputs in one request, because Google accepts no more: set `embedOptions: {maxBatchSize: 100}` in Continue's configuration.")
)

// maxInputs is how many inputs Google accepts in one batch.
const maxInputs = 100

func appendInput(b []byte, input, options string) []byte {
	b = append(b, `"content":{"parts":[`...)
	b = append(appendText(b, input), "]}"...)
	return append(b, options...)
}

// embedding holds what the client asked for, to convert and check the answer.
type embedding struct {
	model  string
	count  int
	base64 bool
}

// convert turns Gemini's answer into OpenAI's. Gemini does not count tokens for embeddings.
func (e embedding) convert(body []byte) ([]byte, error) {
	if !jsontext.ValidObject(body) {
		return nil, hub.ErrUnreadable
	}
	m := gjson.ParseBytes(body)
	if e := hub.Reported(m); e != nil {
		return nil, e
	}
	all := m.Get("embeddings").Array()
	if single := m.Get("embedding"); single.IsObject() {
		all = []gjson.Result{single}
	}
	if len(all) != e.count {
		return nil, hub.UpstreamBroken("Try again: the provider answered with " + strconv.Itoa(len(all)) + " embeddings for " + strconv.Itoa(e.count) + " inputs.")
	}
	b := append(make([]byte, 0, len(body)+256), `{"object":"list","data":[`...)
	for i, one := range all {
		values := one.Get("values").Array()
		if len(values) == 0 {
			return nil, errNoEmbedding
		}
		b = append(separate(b), `{"object":"embedding","index":`...)
		b = append(strconv.AppendInt(b, int64(i), 10), `,"embedding":`...)
		var ok bool
		if b, ok = e.appendValues(b, values); !ok {
			return nil, errNoEmbedding
		}
		b = append(b, '}')
	}
	b = jsontext.AppendString(append(b, `],"model":`...), e.model)
	return append(b, `,"usage":{"prompt_tokens":0,"total_tokens":0}}`...), nil
}

var errNoEmbedding = hub.UpstreamBroken("Try again: the provider's answer has an embedding that is not a list of numbers.")

// appendValues appends an embedding: as a list of numbers, or as base64 of 32-bit floats in little-endian
// order. ok is false if a value is not a number.
func (e embedding) appendValues(b []byte, values []gjson.Result) (_ []byte, ok bool) {
	var packed []byte
	b = append(b, '[')
	start := len(b) - 1
	for _, value := range values {
		if value.Type != gjson.Number {
			return b, false
		}
		if e.base64 {
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(float32(value.Num)))
		} else {
			b = append(separate(b), value.Raw...)
		}
	}
	if !e.base64 {
		return append(b, ']'), true
	}
	b = append(b[:start], '"')
	return append(base64.StdEncoding.AppendEncode(b, packed), '"'), true
}
