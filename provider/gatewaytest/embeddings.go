package gatewaytest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/http"
)

// embeddingFields are the fields of an embeddings request.
var embeddingFields = all(text, "model", "user").with(
	all(integer, "dimensions"),
	fields{"encoding_format": {kind: text, enum: []string{"float", "base64"}}, "input": {kind: anything}},
)

const (
	maxInputs         = 2048 // in one request
	defaultDimensions = 16   // few, for tests: real models have hundreds
	maxDimensions     = 4096
)

// embeddings answers an embeddings request in OpenAI's format.
func (c *call) embeddings(model string) *answer {
	dimensions := defaultDimensions
	if c.body["dimensions"] != nil {
		dimensions = integerOf(c.body, "dimensions")
	}
	if dimensions < 1 || dimensions > maxDimensions {
		return invalid("Invalid value for 'dimensions'.", "dimensions", "invalid_value")
	}
	inputs, ok := embeddingInputs(c.body["input"])
	if !ok {
		return invalid("'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.", "", "")
	}
	size := 0
	data := make([]any, len(inputs))
	for i, input := range inputs {
		size += len(input)
		values := vector(input, dimensions)
		data[i] = object{"object": "embedding", "index": i, "embedding": values}
		if str(c.body, "encoding_format") == "base64" {
			data[i] = object{"object": "embedding", "index": i, "embedding": packed(values)}
		}
	}
	usage := object{"prompt_tokens": (size + 3) / 4, "total_tokens": (size + 3) / 4}
	return jsonAnswer(http.StatusOK, object{"object": "list", "data": data, "model": model, "usage": usage})
}

// embeddingInputs returns the inputs: one string, a list of strings, one list of tokens, or a list
// of such lists. Tokens are returned as JSON.
func embeddingInputs(v any) (inputs []string, ok bool) {
	if s, ok := v.(string); ok {
		return []string{s}, s != ""
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 || len(list) > maxInputs {
		return nil, false
	}
	for _, item := range list {
		switch item := item.(type) {
		case string:
			if item == "" {
				return nil, false
			}
			inputs = append(inputs, item)
		case []any:
			inputs = append(inputs, fmt.Sprint(item...))
		case json.Number:
			return []string{fmt.Sprint(list...)}, true
		default:
			return nil, false
		}
	}
	return inputs, true
}

// vector returns a deterministic vector of length 1 for a text.
func vector(text string, dimensions int) []float32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	random := rand.New(rand.NewPCG(h.Sum64(), 0))
	values := make([]float64, dimensions)
	sum := 0.0
	for i := range values {
		values[i] = random.NormFloat64()
		sum += values[i] * values[i]
	}
	unit := make([]float32, dimensions)
	for i, value := range values {
		unit[i] = float32(value / math.Sqrt(sum))
	}
	return unit
}

// packed returns a vector in OpenAI's base64 format.
func packed(values []float32) string {
	b := make([]byte, 0, 4*len(values))
	for _, value := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(value))
	}
	return base64.StdEncoding.EncodeToString(b)
}
