package openai

import (
	"bytes"
	"io"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// maxLine bounds the memory that a line takes whose end does not come.
const maxLine = 64 << 20

// usageRemover passes a stream through without the token counts that the client did not ask for: the
// chunk that has nothing else, and the member `usage` of all others. The rest stays as it is, byte
// for byte.
type usageRemover struct {
	dst      io.Writer
	line     []byte // the beginning of one
	out      []byte
	dropping bool // the end of the event whose data has been dropped
	passage  hub.Passage
	usage    hub.Usage
}

func (*usageRemover) Stream() bool { return true }
func (t *usageRemover) Done() bool { return t.passage.Reported() }

func (t *usageRemover) Usage() (hub.Usage, bool) { return t.usage, t.usage != hub.Usage{} }

func (t *usageRemover) Write(p []byte) (int, error) {
	t.out = t.out[:0]
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		t.line = append(t.line, line...)
		if ended {
			t.line = append(t.line, '\n')
			t.pass(t.line)
			t.line = t.line[:0]
		}
		rest = after
	}
	if len(t.line) > maxLine {
		return 0, hub.UpstreamBroken("Try again: the provider's answer has a line of more than 64 MB.")
	}
	if err := t.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// pass passes on what may pass of a line.
func (t *usageRemover) pass(line []byte) {
	passed, e := t.passage.Pass(t.withoutUsage(line))
	if t.out = append(t.out, passed...); e != nil {
		t.out = t.passage.AppendFrame(t.out, e)
	}
}

// withoutUsage returns what is left of a line without the token counts, which it notes.
func (t *usageRemover) withoutUsage(line []byte) []byte {
	content := bytes.TrimRight(line, "\r\n")
	if t.dropping && len(content) == 0 {
		t.dropping = false
		return nil
	}
	data, ok := bytes.CutPrefix(content, []byte("data:"))
	if !ok || !bytes.Contains(data, []byte(`"usage"`)) || !jsontext.ValidObject(bytes.TrimSpace(data)) {
		return line
	}
	usage := gjson.GetBytes(data, "usage")
	if u := ParseUsage(usage); u != (hub.Usage{}) {
		t.usage = u
	}
	choices := gjson.GetBytes(data, "choices")
	if usage.IsObject() && choices.IsArray() && len(choices.Array()) == 0 {
		t.dropping = true
		return nil
	}
	return cutMember(line, len("data:")+usage.Index, len(usage.Raw))
}

// cutMember returns line without the member `usage` whose value stands at that place.
func cutMember(line []byte, at, length int) []byte {
	name := bytes.LastIndex(line[:max(at, 0)], []byte(`"usage"`))
	if length == 0 || name < 0 {
		return line
	}
	before := bytes.TrimRight(line[:name], " \t")
	after := bytes.TrimLeft(line[at+length:], " \t")
	if bytes.HasSuffix(before, []byte(",")) {
		before = before[:len(before)-1]
	} else {
		after = bytes.TrimPrefix(after, []byte(","))
	}
	return append(bytes.Clone(before), after...)
}

func (t *usageRemover) Close() error {
	t.out = t.out[:0]
	if len(t.line) > 0 {
		t.pass(t.line)
	}
	rest, e := t.passage.Close()
	if t.out = append(t.out, rest...); e != nil {
		t.out = t.passage.AppendFrame(t.out, e)
	}
	return t.flush()
}

func (t *usageRemover) Abort(e *hub.Error) error {
	if t.passage.Complete() {
		return nil
	}
	t.out = t.passage.AppendFrame(t.out[:0], e)
	return t.flush()
}

func (t *usageRemover) flush() error {
	if len(t.out) == 0 {
		return nil
	}
	_, err := t.dst.Write(t.out)
	return err
}
