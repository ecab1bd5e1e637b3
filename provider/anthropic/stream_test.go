package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	sdk "github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// chatOf makes a stream of chunks of a random answer, and says what is to be read of it.
func chatOf(random *rand.Rand) (stream, text, thoughts string, calls map[string]string) {
	var b strings.Builder
	chunk := func(delta, finish string) {
		fmt.Fprintf(&b, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":%s}]}\n\n", delta, finish)
	}
	quote := func(s string) string { q, _ := json.Marshal(s); return string(q) }
	pieces := []string{"a", "é", "\"", "\\", "\n\n", "data: ", "🙂", "event: error", "</x>", " "}
	calls = map[string]string{}
	for range random.IntN(12) {
		switch piece := pieces[random.IntN(len(pieces))]; random.IntN(4) {
		case 0:
			thoughts += piece
			chunk(`"reasoning_content":`+quote(piece), "null")
		case 1:
			n := len(calls)
			id, arguments := fmt.Sprintf("functions.f:%d", n), `{"x":`+quote(piece)+`}`
			calls[id] = arguments
			half := random.IntN(len(arguments))
			for !json.Valid([]byte(quote(arguments[:half]))) || strings.ContainsRune(arguments[:half]+arguments[half:], '\ufffd') || !bytes.Equal([]byte(arguments[:half]), bytes.ToValidUTF8([]byte(arguments[:half]), nil)) {
				half--
			}
			chunk(fmt.Sprintf(`"tool_calls":[{"index":%d,"id":%s,"type":"function","function":{"name":"f","arguments":%s}}]`, n, quote(id), quote(arguments[:half])), "null")
			chunk(fmt.Sprintf(`"tool_calls":[{"index":%d,"function":{"arguments":%s}}]`, n, quote(arguments[half:])), "null")
		default:
			text += piece
			chunk(`"content":`+quote(piece), "null")
		}
	}
	chunk("", `"stop"`)
	b.WriteString("data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3,\"total_tokens\":13}}\n\ndata: [DONE]\n\n")
	return b.String(), text, thoughts, calls
}

// translated is what becomes of an upstream's stream that comes in these pieces.
func translated(t testing.TB, members string, pieces ...string) string {
	t.Helper()
	chat, _ := toChat(t, hi+`,"stream":true`+members)
	var out bytes.Buffer
	translator := hub.NewTranslator(&out, true, chat.Form(nil), openai.DecodeChat())
	for _, piece := range pieces {
		if _, err := translator.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAnySplitOfAStreamGivesTheSameEvents(t *testing.T) {
	const thinks = `,"thinking":{"type":"adaptive"}`
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		stream, text, thoughts, calls := chatOf(random)
		whole := translated(t, thinks, stream)
		var pieces []string
		for rest := stream; rest != ""; {
			n := 1 + random.IntN(min(len(rest), 60))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		if got := translated(t, thinks, pieces...); got != whole {
			t.Fatalf("seed %d: in pieces\n%s\nas a whole\n%s", seed, got, whole)
		}
		m, failed := accumulate(t, whole)
		var gotText, gotThoughts string
		for _, block := range m.Content {
			switch b := block.AsAny().(type) {
			case sdk.TextBlock:
				gotText += b.Text
			case sdk.ThinkingBlock:
				gotThoughts += b.Thinking
			case sdk.ToolUseBlock:
				if id := providerID(b.ID); calls[id] != string(block.Input) {
					t.Errorf("seed %d: call %s is %s, want %s", seed, id, block.Input, calls[id])
				}
				delete(calls, providerID(b.ID))
			}
		}
		if failed != "" || gotText != text || gotThoughts != thoughts || len(calls) > 0 || m.Usage.OutputTokens != 3 {
			t.Fatalf("seed %d: failed %q, text %q, want %q, thoughts %q, want %q, calls left %v\n%s", seed, failed, gotText, text, gotThoughts, thoughts, calls, whole)
		}
	}
}

// FuzzWriter holds that whatever a provider sends becomes a legal stream, or fails before it began.
func FuzzWriter(f *testing.F) {
	for seed := range uint64(8) {
		stream, _, _, _ := chatOf(rand.New(rand.NewPCG(seed, 2)))
		f.Add(stream, uint16(seed*31))
	}
	f.Add("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}],\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n", uint16(3))
	f.Add("data: {\"error\":{\"message\":\"no\"}}\n\n", uint16(1))
	f.Fuzz(func(t *testing.T, stream string, at uint16) {
		chat, _ := toChat(t, hi+`,"stream":true`+asked)
		var out bytes.Buffer
		translator := hub.NewTranslator(&out, true, chat.Form(nil), openai.DecodeChat())
		cut := min(int(at), len(stream))
		for _, piece := range []string{stream[:cut], stream[cut:]} {
			if _, err := translator.Write([]byte(piece)); err != nil {
				t.Fatal(err)
			}
		}
		if err := translator.Close(); err == nil {
			accumulate(t, out.String())
		} else if out.Len() > 0 {
			t.Errorf("%v after\n%s", err, out.String())
		}
	})
}

// FuzzToChat holds that a request becomes a chat that can be read, or is refused with 400.
func FuzzToChat(f *testing.F) {
	two, _ := calls("a", "functions.b:1")
	for _, seed := range []string{
		`{"model":"m",` + hi + `}`,
		`{"model":"m","messages":[` + two + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":true,"content":[{"type":"image","source":{"type":"url","url":"u"}}]}]}],"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool","name":"f"}}`,
		`{"model":"m","system":[{"type":"text","text":"x"}],"thinking":{"type":"enabled","budget_tokens":1e9},"stop_sequences":["a"],` + hi + `,"stream":true}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(hub.Messages, body)
		if err != nil {
			return
		}
		chat, err := ToChat(r)
		if err != nil {
			if e := new(hub.Error); !errors.As(err, &e) || e.Status != 400 || e.Message == "" {
				t.Errorf("%q: %#v", body, err)
			}
			return
		}
		if !json.Valid(chat.Body) || len(chat.Messages()) < 2 || chat.Stream != r.Stream {
			t.Errorf("%q became %q", body, chat.Body)
		}
	})
}
