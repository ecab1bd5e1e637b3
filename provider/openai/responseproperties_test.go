package openai

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

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
		r := readStream(t, whole)
		i := int(at % uint(len(stream)+1))
		torn, err := answered(t, true, string(stream[:i]), string(stream[i:]))
		if err != nil {
			t.Fatal(err)
		}
		again := readStream(t, torn)
		if withoutIDs(outputOf(&again.final)) != withoutIDs(outputOf(&r.final)) || again.ended != r.ended || again.events != r.events {
			t.Fatalf("torn at %d:\n%s\nwhole:\n%s", i, torn, whole)
		}
	})
}

// withoutIDs is an output without the ids of calls that are made.
func withoutIDs(output string) string { return madeIDs.ReplaceAllString(output, "") }

var madeIDs = regexp.MustCompile(`"call_id":"call_[0-9A-Z]{26}",`)
