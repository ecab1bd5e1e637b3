package gatewaytest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// question is what a request asks of a model, independent of the provider.
type question struct {
	model  string
	prompt string // the user's last text, or "" if a tool's result came after it
	result string // the last result of a tool, or "" if a text of the user came after it
	size   int    // the bytes of everything that the model reads
	raw    bool   // the model continues the prompt instead of answering it

	tools  []tool
	forced string // the tool that must be called, or "" if the model chooses
	single bool   // at most one call

	maxTokens int // 0 means no limit
	stop      []string

	json   bool   // the answer must be a JSON object
	schema object // the schema of the answer; empty means any
}

// format reads the format that the answer must have, in OpenAI's terms.
func (q *question) format(format object) {
	q.json = str(format, "type") == "json_object" || str(format, "type") == "json_schema"
	q.schema = child(format, "schema")
	if of := child(format, "json_schema"); len(of) > 0 {
		q.schema = child(of, "schema")
	}
}

// tool is a function that a model may call, or a tool that takes a string.
type tool struct {
	name      string
	namespace string // the tool's namespace, or ""
	schema    object // the schema of its arguments
	custom    bool   // the tool takes a string
}

// toolCall is a call of a tool. Its arguments are a JSON object, or a string if the tool is custom.
type toolCall struct {
	id, name, namespace string
	arguments           []byte
	custom              bool
}

// finish is the reason why a model stopped, in OpenAI's terms.
type finish string

const (
	finishStop   finish = "stop"
	finishLength finish = "length"
	finishTools  finish = "tool_calls"
)

// reply is a model's answer: text in pieces, or tool calls.
type reply struct {
	pieces []string
	calls  []toolCall
	finish finish

	stopped      string // the stop word that ended it, or ""
	promptTokens int    // one token for every four bytes
	tokens       int    // the tokens of the reply: one for each piece
}

func (r *reply) text() string { return strings.Join(r.pieces, "") }

// reply returns the model's answer to q. It is deterministic.
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
	if word, end := firstStop(r.text(), q.stop); end >= 0 {
		r.pieces, r.stopped = truncate(r.pieces, end), word
	}
	if q.maxTokens > 0 && len(r.pieces) > q.maxTokens {
		r.pieces = r.pieces[:q.maxTokens]
		r.finish, r.stopped = finishLength, ""
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
	case c.scenario.SplitCharacters:
		return []string{"The answer is ok 😀!", " It is 🎉"}
	case q.json:
		schema := q.schema
		if len(schema) == 0 {
			schema = object{"type": "object", "properties": object{"answer": object{"type": "string"}}}
		}
		return pieces(string(encode(fill(schema, schema, excerpt(q.prompt+q.result)))), argumentBytes)
	case q.raw || isCode(q.prompt):
		return tokens(completion(q.prompt))
	case q.result != "":
		return tokens(fmt.Sprintf("The tool says %q. This was %s on %s.", excerpt(q.result), q.model, c.provider))
	}
	return tokens(fmt.Sprintf("This is %s on %s, behind the simulated AI Gateway. You said %q.", q.model, c.provider, excerpt(q.prompt)))
}

// tokens splits a text after each space.
func tokens(s string) []string { return strings.SplitAfter(s, " ") }

// pieces splits a text into pieces of at most size bytes. It does not split characters.
func pieces(s string, size int) []string {
	var all []string
	for len(s) > 0 {
		n := min(size, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n++
		}
		all = append(all, s[:n])
		s = s[n:]
	}
	return all
}

// excerpt returns the beginning of a text.
func excerpt(s string) string {
	all := strings.Fields(s)
	return strings.Join(all[:min(len(all), 8)], " ")
}

// isCode reports whether a prompt asks for code: it has the markers of a fill-in-the-middle model,
// or the markers in Continue's instructions to other models.
func isCode(prompt string) bool {
	return slices.ContainsFunc([]string{"fim_prefix", "fim▁begin", "<PRE>", "[PREFIX]", "<COMPLETION>", "<prefix>"}, func(marker string) bool {
		return strings.Contains(prompt, marker)
	})
}

var (
	parameters = regexp.MustCompile(`\(([A-Za-z_]\w*(?:, *[A-Za-z_]\w*)*)\)`)
	suffix     = regexp.MustCompile(`<\|fim_suffix\|>|<fim_suffix>|<SUF>|<｜fim▁hole｜>|</prefix>`)
)

// completion returns a line of code that continues a prompt.
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

// firstStop returns the first stop word in s and its position, or -1.
func firstStop(s string, stop []string) (first string, at int) {
	at = -1
	for _, word := range stop {
		if i := strings.Index(s, word); word != "" && i >= 0 && (at < 0 || i < at) {
			first, at = word, i
		}
	}
	return first, at
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

// toolCalls calls one tool, once for each file in the prompt. The tool is the forced one, the one
// that the prompt names, or the first one. Agents put long texts of their own before what the user
// says, so only what comes after "USETOOL" counts.
func (c *call) toolCalls(q question) []toolCall {
	asked := q.prompt
	if at := strings.LastIndex(asked, useTool); at >= 0 {
		asked = asked[at+len(useTool):]
	}
	named := strings.Fields(asked)
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
			namespace: chosen.namespace,
			arguments: chosen.arguments(file),
			custom:    chosen.custom,
		}
	}
	return calls
}

// arguments returns the arguments of a call for a file. A tool that runs a command shows the file.
func (t tool) arguments(file string) []byte {
	switch {
	case t.custom && t.name == "apply_patch":
		return []byte("*** Begin Patch\n*** Add File: " + file + "\n+hello\n*** End Patch\n")
	case t.custom:
		return []byte(file)
	}
	filled := fillObject(t.schema, t.schema, file, 0)
	for _, name := range []string{"cmd", "command"} {
		if filled[name] == file {
			filled[name] = "cat " + file
		}
	}
	return encode(filled)
}

// pieceText returns a piece of text as a JSON value. It is a number if the piece is one and the
// scenario asks for numbers.
func (c *call) pieceText(piece string) any {
	if n := json.Number(piece); c.scenario.NumbersAsText && whole(piece) && json.Valid([]byte(piece)) {
		return n
	}
	return piece
}

// wire returns pieces of text as the values of a stream. If the scenario asks for it, characters
// beyond 16 bits are split: one piece ends with the first half, and the next begins with the second
// half.
func (c *call) wire(pieces []string) []any {
	var values []any
	for _, piece := range pieces {
		if !c.scenario.SplitCharacters {
			values = append(values, c.pieceText(piece))
			continue
		}
		begin := `"`
		for {
			at := strings.IndexFunc(piece, func(r rune) bool { return r > 0xFFFF })
			if at < 0 {
				values = append(values, json.RawMessage(begin+quoted(piece)+`"`))
				break
			}
			character, size := utf8.DecodeRuneInString(piece[at:])
			high, low := utf16.EncodeRune(character)
			values = append(values, json.RawMessage(fmt.Sprintf(`%s%s\u%04x"`, begin, quoted(piece[:at]), high)))
			begin, piece = fmt.Sprintf(`"\u%04x`, low), piece[at+size:]
		}
	}
	return values
}

// quoted returns s as it is within a JSON string.
func quoted(s string) string {
	b := encode(s)
	return string(b[1 : len(b)-1])
}
