package openai

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// TestWhateverIsSaidComesOut has the writer say things in any order, in which calls may be broken into by others.
func TestWhateverIsSaidComesOut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var events []hub.Event
		said := map[hub.Kind]string{}
		var arguments, rest string
		var calls []string
		for i := range random.IntN(30) {
			text := fmt.Sprintf("%d\"é\n", i)
			switch kind := []hub.Kind{hub.Text, hub.Text, hub.Reasoning, hub.Refusal, hub.CallPiece, hub.Annotations, hub.Begin, hub.Extra}[random.IntN(8)]; {
			case kind == hub.CallPiece && rest != "":
				n := 1 + random.IntN(len(rest))
				events = append(events, hub.Event{Kind: kind, Call: hub.ToolCall{Name: "f", Arguments: rest[:n]}})
				rest = rest[n:]
			case kind == hub.CallPiece:
				arguments = fmt.Sprintf(`{"n":%d}`, i)
				calls = append(calls, arguments)
				n := random.IntN(len(arguments))
				events = append(events, hub.Event{Kind: kind, First: true, Call: hub.ToolCall{ID: fmt.Sprint(i), Name: "f", Arguments: arguments[:n]}})
				rest = arguments[n:]
			default:
				said[kind] += text
				events = append(events, hub.Event{Kind: kind, Text: text, Citations: []hub.URLCitation{{URL: text}}})
			}
		}
		if rest != "" {
			calls[len(calls)-1] = strings.TrimSuffix(arguments, rest)
		}
		got := map[hub.Kind]string{}
		var gotCalls []string
		for _, item := range saidByWriter(t, events...).final.Output {
			for _, part := range item.Content {
				got[hub.Text] += part.Text
				got[hub.Refusal] += part.Refusal
			}
			for _, part := range item.Summary {
				got[hub.Reasoning] += part.Text
			}
			if item.CallID != "" {
				gotCalls = append(gotCalls, item.Arguments.OfString)
			}
		}
		for _, kind := range []hub.Kind{hub.Text, hub.Refusal, hub.Reasoning} {
			if got[kind] != said[kind] {
				t.Fatalf("kind %d says %q, want %q, of %v", kind, got[kind], said[kind], events)
			}
		}
		if !slices.Equal(gotCalls, calls) {
			t.Fatalf("calls %q, want %q", gotCalls, calls)
		}
	}
}

func TestIDsAreThoseThatOpenAITakes(t *testing.T) {
	for theirs, ours := range map[string]string{
		"chatcmpl-1": "1", "resp_x-Y_9": "x-Y_9", "": "", "a/b": "", "é": "", strings.Repeat("a", 49): "", strings.Repeat("a", 48): strings.Repeat("a", 48),
	} {
		got := responseID(theirs)
		if ours != "" && got != ours || !regexp.MustCompile(`^[A-Za-z0-9_-]{1,48}$`).MatchString(got) || ours == "" && got == responseID(theirs) {
			t.Errorf("%q became %q, want %q", theirs, got, ours)
		}
	}
}

// FuzzResponseStream: whatever a provider streams, and however it is torn, the events are legal, and the same.
func FuzzResponseStream(f *testing.F) {
	f.Add([]byte(everything), uint(3))
	f.Add([]byte(callPiece(0, "c", "f", `{"a":`)+chunk(`"content":"x"`)+callPiece(0, "", "", `1}`)+callPiece(0, "d", "apply_patch", `x`)+chunk(`"reasoning":"y"`)+finished("length")), uint(70))
	f.Add([]byte(chunk(`"tool_calls":[{"index":0,"function":{"arguments":{}}}]`)+`data: {"error":"x"}`+"\n\n"), uint(9))
	f.Fuzz(func(t *testing.T, stream []byte, at uint) {
		whole, err := answered(t, true, string(stream))
		if err != nil {
			t.Fatal(err)
		}
		ended, output := quickly(t, whole)
		i := int(at % uint(len(stream)+1))
		torn, err := answered(t, true, string(stream[:i]), string(stream[i:]))
		if err != nil {
			t.Fatal(err)
		}
		if endedToo, again := quickly(t, torn); endedToo != ended || again != output {
			t.Fatalf("torn at %d:\n%s\nwhole:\n%s", i, torn, whole)
		}
	})
}

// quickly reads the events of a response as readStream does, but without the types of the official client, which
// take too long for a fuzz target. It returns the type of the last event and the output without ids.
func quickly(t *testing.T, stream string) (ended, output string) {
	t.Helper()
	said, done, items := "", 0, 0
	open := false
	for i, event := range strings.Split(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(strings.TrimPrefix(event, "event: "), "\ndata: ")
		e := gjson.Parse(data)
		switch kind := strings.TrimPrefix(name, "response."); {
		case !ok || !gjson.Valid(data) || e.Get("type").Str != name || e.Get("sequence_number").Int() != int64(i), ended != "",
			(i == 0) != (kind == "created"), (i == 1) != (kind == "in_progress"),
			e.Get("output_index").Exists() && e.Get("output_index").Int() != int64(items):
			t.Fatalf("event %d is %s in\n%s", i, event, stream)
		case kind == "output_item.added", kind == "output_item.done":
			if open == (kind == "output_item.added") {
				t.Fatalf("event %d is %s in\n%s", i, event, stream)
			}
			if open = !open; !open {
				items++
			}
		case strings.HasSuffix(kind, ".delta"):
			said += e.Get("delta").Str
		case kind == "completed", kind == "incomplete", kind == "failed":
			ended, output = name, e.Get("response.output").Raw
			done = int(e.Get("response.output.#").Int())
		case strings.HasSuffix(kind, "part.added"), strings.HasSuffix(kind, "part.done"):
		case strings.HasSuffix(kind, ".done"):
			if whole := e.Get("text").Str + e.Get("refusal").Str + e.Get("arguments").Str + e.Get("input").Str; whole != said {
				t.Fatalf("%q in pieces, %q as a whole, in\n%s", said, whole, stream)
			}
			said = ""
		}
	}
	if ended == "" || done != items || open && ended != "response.failed" {
		t.Fatalf("%d of %d items at %q in\n%s", done, items, ended, stream)
	}
	return ended, withoutIDs(itemIDs.ReplaceAllString(output, ""))
}

// withoutIDs is an output without the ids of calls that are made.
func withoutIDs(output string) string { return madeIDs.ReplaceAllString(output, "") }

var madeIDs = regexp.MustCompile(`"call_id":"call_[0-9A-Z]{26}",`)
