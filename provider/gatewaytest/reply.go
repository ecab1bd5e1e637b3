package gatewaytest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// question is what a request asks of a model, whoever makes the model.
type question struct {
	model  string
	prompt string // what the user said last; empty if a tool's result came after it
	result string // what a tool said last; empty if the user has spoken since
	size   int    // of all that the model reads, in bytes
	raw    bool   // the prompt is to be gone on from, not answered

	tools  []tool
	forced string // the tool that must be called; empty: the model's choice
	single bool   // no more than one call

	maxTokens int // 0: no limit
	stop      []string
}

// tool is a function that a model may call.
type tool struct {
	name   string
	schema object // of its arguments
}

// toolCall is a call of a tool. Its arguments are a JSON object.
type toolCall struct {
	id, name  string
	arguments []byte
}

// finish is why a model came to an end, in OpenAI's words.
type finish string

const (
	finishStop   finish = "stop"
	finishLength finish = "length"
	finishTools  finish = "tool_calls"
)

// reply is what a model says: text in pieces, or tool calls.
type reply struct {
	pieces []string
	calls  []toolCall
	finish finish

	promptTokens int // a token for every four bytes
	tokens       int // of the reply: one for each piece
}

func (r *reply) text() string { return strings.Join(r.pieces, "") }

// reply is the model's deterministic answer to q.
func (c *call) reply(q question) *reply {
	r := &reply{finish: finishStop, promptTokens: (q.size + 3) / 4}
	if c.scenario.Text == nil && len(q.tools) > 0 && (q.forced != "" || strings.Contains(q.prompt, useTool)) {
		r.calls = c.toolCalls(q)
		r.finish = finishTools
		for _, call := range r.calls {
			r.tokens += 1 + len(call.arguments)/4
		}
		return r
	}
	r.pieces = c.pieces(q)
	if end := firstStop(r.text(), q.stop); end >= 0 {
		r.pieces = truncate(r.pieces, end)
	}
	if q.maxTokens > 0 && len(r.pieces) > q.maxTokens {
		r.pieces = r.pieces[:q.maxTokens]
		r.finish = finishLength
	}
	r.tokens = len(r.pieces)
	return r
}

func (c *call) pieces(q question) []string {
	switch {
	case c.scenario.Text != nil:
		return c.scenario.Text
	case c.scenario.NumbersAsText:
		return []string{"The answer is ", "4", "2", ", or 4", "2", "."}
	case q.raw || isCode(q.prompt):
		return tokens(completion(q.prompt))
	case q.result != "":
		return tokens(fmt.Sprintf("The tool says %q. This was %s on %s.", excerpt(q.result), q.model, c.provider))
	}
	return tokens(fmt.Sprintf("This is %s on %s, behind the simulated AI Gateway. You said %q.", q.model, c.provider, excerpt(q.prompt)))
}

// tokens cuts a text behind its spaces.
func tokens(s string) []string { return strings.SplitAfter(s, " ") }

// excerpt is the first words of a text.
func excerpt(s string) string {
	all := strings.Fields(s)
	return strings.Join(all[:min(len(all), 8)], " ")
}

// isCode reports whether a prompt wants code completed: it has the markers of a model that fills in
// the middle, or those of the instructions that Continue gives to models without.
func isCode(prompt string) bool {
	return slices.ContainsFunc([]string{"fim_prefix", "fim▁begin", "<PRE>", "[PREFIX]", "<COMPLETION>", "<prefix>"}, func(marker string) bool {
		return strings.Contains(prompt, marker)
	})
}

var (
	parameters = regexp.MustCompile(`\(([A-Za-z_]\w*(?:, *[A-Za-z_]\w*)*)\)`)
	suffix     = regexp.MustCompile(`<\|fim_suffix\|>|<fim_suffix>|<SUF>|<｜fim▁hole｜>|</prefix>`)
)

// completion is a line of code that goes on from a prompt.
func completion(prompt string) string {
	if strings.HasSuffix(strings.TrimSpace(prompt), "<COMPLETION>") {
		return "return result</COMPLETION>"
	}
	if at := suffix.FindStringIndex(prompt); at != nil {
		prompt = prompt[:at[0]]
	}
	if found := parameters.FindAllStringSubmatch(prompt, -1); found != nil {
		return "return " + strings.ReplaceAll(strings.ReplaceAll(found[len(found)-1][1], " ", ""), ",", " + ")
	}
	return "return result"
}

// firstStop is where the first stop word is in s, or -1.
func firstStop(s string, stop []string) int {
	first := -1
	for _, word := range stop {
		if i := strings.Index(s, word); word != "" && i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}

// truncate cuts pieces after n bytes.
func truncate(pieces []string, n int) []string {
	var kept []string
	for _, piece := range pieces {
		if n <= 0 {
			break
		}
		kept = append(kept, piece[:min(n, len(piece))])
		n -= len(piece)
	}
	return kept
}

// toolCalls calls the tool that is forced, or that the prompt names, or the first, once for each
// file in the prompt.
func (c *call) toolCalls(q question) []toolCall {
	named := strings.Fields(q.prompt)
	chosen := q.tools[0]
	for _, t := range q.tools {
		if t.name == q.forced || q.forced == "" && slices.Contains(named, t.name) {
			chosen = t
			break
		}
	}
	var files []string
	for _, word := range named {
		if word = strings.Trim(word, `.,;:!?"'()`); strings.Contains(word, ".") && len(files) < 8 {
			files = append(files, word)
		}
	}
	if len(files) == 0 {
		files = []string{"README.md"}
	}
	if q.single {
		files = files[:1]
	}
	calls := make([]toolCall, len(files))
	for i, file := range files {
		calls[i] = toolCall{
			id:        fmt.Sprintf("call_gatewaytest%08d%02d", c.number, i),
			name:      chosen.name,
			arguments: encode(arguments(chosen.schema, file)),
		}
	}
	return calls
}

// arguments fills in what a schema requires, or all that it knows if it requires nothing. Texts
// become value.
func arguments(schema object, value string) object {
	properties := child(schema, "properties")
	required := words(schema["required"])
	filled := object{}
	for name := range properties {
		if len(required) > 0 && !slices.Contains(required, name) {
			continue
		}
		kinds := words(child(properties, name)["type"])
		switch strings.ToLower(strings.Join(kinds[:min(len(kinds), 1)], "")) {
		case "integer", "number":
			filled[name] = json.Number("1")
		case "boolean":
			filled[name] = true
		case "array":
			filled[name] = []any{}
		case "object":
			filled[name] = object{}
		default:
			filled[name] = value
		}
	}
	return filled
}

// pieceText is a piece of text as JSON: a number if the scenario wants that and it is one.
func (c *call) pieceText(piece string) any {
	if n := json.Number(piece); c.scenario.NumbersAsText && whole(piece) && json.Valid([]byte(piece)) {
		return n
	}
	return piece
}
