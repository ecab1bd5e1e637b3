package googleaistudio

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

const conversations = "testdata/conversations/"

// firstTurn sends the recorded first turn of an agent for a user of p. It returns the tool calls that the
// client gets, in the form in which the client would send them back.
func firstTurn(t *testing.T, p Provider, user string) []gjson.Result {
	t.Helper()
	r := recorded(t, conversations+"ide-agent-turn1-gemini.request.json")
	r.User = user
	call, err := p.Call(r)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := os.ReadFile(conversations + "ide-agent-turn1-gemini.answer.gemini")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	translator := call.Translate(&out, true)
	if _, err := translator.Write(answer); err != nil {
		t.Fatal(err)
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	var calls []gjson.Result
	for line := range strings.Lines(out.String()) {
		gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.delta.tool_calls").ForEach(func(_, c gjson.Result) bool {
			calls = append(calls, c)
			return true
		})
	}
	if len(calls) != 2 {
		t.Fatalf("%d calls in\n%s", len(calls), out.String())
	}
	return calls
}

// secondTurn returns the recorded second turn with these calls, sent by a user of p.
func secondTurn(t *testing.T, p Provider, user string, calls []gjson.Result, extraContent bool) []byte {
	t.Helper()
	r := recorded(t, conversations+"ide-agent-turn2-gemini.request.json")
	body := r.Body
	set := func(path string, value any) {
		var err error
		if body, err = sjson.SetBytes(body, path, value); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range calls {
		n := strconv.Itoa(i)
		set("messages.2.tool_calls."+n+".id", c.Get("id").Str)
		set("messages."+strconv.Itoa(3+i)+".tool_call_id", c.Get("id").Str)
		if extra := c.Get("extra_content"); extraContent && extra.Exists() {
			set("messages.2.tool_calls."+n+".extra_content", json.RawMessage(extra.Raw))
		}
	}
	r = parseBody(t, hub.Chat, string(body))
	r.User = user
	call, err := p.Call(r)
	if err != nil {
		t.Fatal(err)
	}
	read(t, call.Body)
	var indented bytes.Buffer
	if err := json.Indent(&indented, call.Body, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(indented.Bytes(), '\n')
}

// Continue's CLI sends extra_content back. Its IDE sends only the id.
func TestAnAgentsSecondTurnHasItsSignatures(t *testing.T) {
	p := Provider{Signatures: NewSignatures()}
	const user, other = "dev@example.com", "other@example.com"
	calls := firstTurn(t, p, user)
	const signed = `"thoughtSignature": "c2lnbmF0dXJlLW9uZQ=="`

	kept := secondTurn(t, Provider{}, user, calls, true)
	golden(t, conversations+"two-turns.signature-kept.gemini", string(kept))
	if strings.Count(string(kept), "thoughtSignature") != 1 || !strings.Contains(string(kept), signed) {
		t.Errorf("with extra_content:\n%s", kept)
	}
	if remembered := secondTurn(t, p, user, calls, false); !bytes.Equal(remembered, kept) {
		t.Errorf("without extra_content:\n%s\nwant\n%s", remembered, kept)
	}
	lost := secondTurn(t, p, other, calls, false)
	golden(t, conversations+"two-turns.signature-lost.gemini", string(lost))
	if strings.Contains(string(lost), signed) || !strings.Contains(string(lost), anySignature) {
		t.Errorf("another user's:\n%s", lost)
	}
	if unknown := secondTurn(t, p, "", calls, false); !bytes.Equal(unknown, lost) {
		t.Errorf("without a user:\n%s", unknown)
	}
	firstTurn(t, p, "") // signatures without a user are not remembered
	if unknown := secondTurn(t, p, "", calls, false); !bytes.Equal(unknown, lost) {
		t.Errorf("without a user, for the second time:\n%s", unknown)
	}
}

func TestTheSignatureOfACallWithoutAnIDIsRemembered(t *testing.T) {
	p := Provider{Signatures: NewSignatures()}
	var out bytes.Buffer
	translator := p.translate("u", nil, false, whole)(&out, false)
	if _, err := translator.Write([]byte(`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"},"thoughtSignature":"s1"},{"functionCall":{"name":"g"}}]}}]}`)); err != nil {
		t.Fatal(err)
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	calls := gjson.GetBytes(out.Bytes(), "choices.0.message.tool_calls")
	first, second := calls.Get("0.id").Str, calls.Get("1.id").Str
	if first == "" || first == second || p.Signatures.recall("u", first, nil) != "s1" || p.Signatures.recall("u", second, nil) != "" {
		t.Errorf("calls %s", calls.Raw)
	}
}

func TestSignaturesAreForgottenAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSignatures()
		defer s.cache.StopAllGoroutines()
		s.remember("u", "c", "s", nil)
		time.Sleep(signatureExpiry - time.Second)
		if got := s.recall("u", "c", nil); got != "s" {
			t.Errorf("before an hour: %q", got)
		}
		time.Sleep(2 * time.Second)
		if got := s.recall("u", "c", nil); got != "" {
			t.Errorf("after an hour: %q", got)
		}
	})
}

func TestTheMemoryOfSignaturesIsBounded(t *testing.T) {
	s := NewSignatures()
	defer s.cache.StopAllGoroutines()
	signature := strings.Repeat("s", 10<<10)
	for i := range 10_000 { // 100 MB
		s.remember("user", strconv.Itoa(i), signature, nil)
	}
	s.cache.CleanUp()
	kept := 0
	for i := range 10_000 {
		if s.recall("user", strconv.Itoa(i), nil) != "" {
			kept++
		}
	}
	if most := signatureBytes / len(signature); kept > most || kept < most*9/10 {
		t.Errorf("%d signatures of 10 KB are kept, want at most %d, and about as many", kept, most)
	}
}

// Calls of two users may have the same id.
func TestUsersNeverShareSignatures(t *testing.T) {
	s := NewSignatures()
	defer s.cache.StopAllGoroutines()
	s.remember("ab", "c", "1", nil)
	for _, key := range []signatureKey{{"a", "bc"}, {"abc", ""}, {"", "abc"}, {"AB", "c"}, {"ab", "C"}} {
		if got := s.recall(key.user, key.id, nil); got != "" {
			t.Errorf("%q gets the signature of another's call", key)
		}
	}
}
