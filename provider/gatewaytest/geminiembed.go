package gatewaytest

import (
	"fmt"
	"net/http"
)

// maxEmbedRequests is the number of texts that batchEmbedContents accepts at once.
const maxEmbedRequests = 100

func (c *call) embedContent(model string) *answer {
	if refused := geminiCheck(c.body, geminiEmbed); refused != nil {
		return refused
	}
	values, refused := embed(c.body, model, "EmbedContentRequest", false)
	if refused != nil {
		return refused
	}
	return jsonAnswer(http.StatusOK, object{"embedding": object{"values": values}})
}

func (c *call) batchEmbedContents(model string) *answer {
	if refused := geminiCheck(c.body, geminiBatchEmbed); refused != nil {
		return refused
	}
	requests := objects(c.body, "requests")
	if len(requests) == 0 || len(requests) > maxEmbedRequests {
		return invalidArgument(fmt.Sprintf("* BatchEmbedContentsRequest.requests: 1 to %d requests can be in one batch\n", maxEmbedRequests))
	}
	embeddings := make([]any, len(requests))
	for i, request := range requests {
		values, refused := embed(request, model, fmt.Sprintf("BatchEmbedContentsRequest.requests[%d]", i), true)
		if refused != nil {
			return refused
		}
		embeddings[i] = object{"values": values}
	}
	return jsonAnswer(http.StatusOK, object{"embeddings": embeddings})
}

// embed embeds the content of one request. In a batch, each request must name the model.
func embed(request object, model, at string, batch bool) (values []float32, refused *answer) {
	name := str(request, "model")
	if batch && name == "" || name != "" && name != "models/"+model {
		return nil, invalidArgument("* " + at + ".model: model must be models/" + model + "\n")
	}
	content := child(request, "content")
	if s := contentText(content["parts"]); s != "" {
		dimensions := defaultDimensions
		if request["outputDimensionality"] != nil {
			dimensions = integerOf(request, "outputDimensionality")
		}
		if dimensions < 1 || dimensions > maxDimensions {
			return nil, invalidArgument("* " + at + ".output_dimensionality: out of range\n")
		}
		return vector(s, dimensions), nil
	}
	return nil, invalidArgument("* " + at + ".content: content is not specified\n")
}
