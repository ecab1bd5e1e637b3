package googleaistudio

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func TestTheCallsOfAConversationGetUniqueIDs(t *testing.T) {
	for name, test := range map[string]struct{ sent, want []string }{
		"unique ids":                                  {[]string{"a", "b"}, []string{"a", "b"}},
		"an id again":                                 {[]string{"a", "a", "a"}, []string{"a", "a_1", "a_2"}},
		"no ids":                                      {[]string{"", ""}, []string{"call_1", "call_2"}},
		"an id like a made one, earlier":              {[]string{"a_1", "a", "a"}, []string{"a_1", "a", "a_2"}},
		"an id like a made one, later":                {[]string{"a", "a", "a_1", "a_1"}, []string{"a", "a_1", "a_1_1", "a_1_2"}},
		"an empty id after an id like a made one":     {[]string{"call_1", "", "call_1", "call"}, []string{"call_1", "call_2", "call_1_1", "call"}},
		"a longer conversation keeps the earlier ids": {[]string{"a", "a", "", "b"}, []string{"a", "a_1", "call_1", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			var ids callIDs
			var got []string
			for _, id := range test.sent {
				got = append(got, ids.unique(id))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestManyCallsWithOneIDTakeLittleTime(t *testing.T) {
	var ids callIDs
	seen := map[string]bool{}
	for i := range 1 << 18 {
		id := "a"
		if i%2 == 0 {
			id = "a_" + strconv.Itoa(i)
		}
		seen[ids.unique(id)] = true
	}
	if len(seen) != 1<<18 {
		t.Errorf("%d ids", len(seen))
	}
}

// Each call must get its own result, whatever ids the client uses.
func TestResultsFindCallsWhoseIDsAreNotUnique(t *testing.T) {
	call := func(id, name string) string {
		return `{"id":"` + id + `","type":"function","function":{"name":"` + name + `","arguments":"{}"}}`
	}
	said := func(calls ...string) string {
		return `,{"role":"assistant","content":null,"tool_calls":[` + strings.Join(calls, ",") + `]}`
	}
	named := func(id, name, output string) string {
		return `,{"role":"tool","tool_call_id":"` + id + `","name":"` + name + `","content":"` + output + `"}`
	}
	for name, test := range map[string]struct{ messages, want string }{
		"one id for two functions":            {said(call("1", "f"), call("1", "g")) + named("1", "g", "of g") + named("1", "f", "of f"), "u(hi)m(call 1 call 1_1)u(1=of f 1_1=of g)"},
		"one id, names that match no call":    {said(call("1", "f"), call("1", "g")) + named("1", "x", "first") + named("1", "y", "second"), "u(hi)m(call 1 call 1_1)u(1=first 1_1=second)"},
		"no ids, but names":                   {said(call("", "f"), call("", "g")) + named("", "g", "of g") + named("", "f", "of f"), "u(hi)m(call call_1 call call_2)u(call_1=of f call_2=of g)"},
		"neither ids nor names":               {said(call("", "f"), call("", "g")) + "," + result("", "first") + "," + result("", "second"), "u(hi)m(call call_1 call call_2)u(call_1=first call_2=second)"},
		"one call with an id and one without": {said(call("1", "f"), call("", "g")) + "," + result("", "of g") + "," + result("1", "of f"), "u(hi)m(call 1 call call_1)u(1=of f call_1=of g)"},
		"the same ids in each turn":           {said(call("1", "f"), call("2", "g")) + "," + result("2", "a") + "," + result("1", "b") + said(call("1", "g"), call("2", "f")) + "," + result("2", "c") + "," + result("1", "d"), "u(hi)m(call 1 call 2)u(1=b 2=a)m(call 1_1 call 2_1)u(1_1=d 2_1=c)"},
		"no ids in each turn":                 {said(call("", "f")) + "," + result("", "a") + said(call("", "f")) + "," + result("", "b"), "u(hi)m(call call_1)u(call_1=a)m(call call_2)u(call_2=b)"},
		"a function by name in each turn":     {`,{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"a"},{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"b"}`, "u(hi)m(call call_1)u(call_1=a)m(call call_2)u(call_2=b)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := turns(send(t, "gemini-2.5-flash", `"messages":[`+hi+test.messages+`]`)); got != test.want {
				t.Errorf("sends\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestASignatureIsFoundByTheClientsID(t *testing.T) {
	p := Provider{Signatures: NewSignatures()}
	defer p.Signatures.cache.StopAllGoroutines()
	p.Signatures.remember("u", "1", "signed", nil)
	r := parse(t, hub.Chat, "gemini-3-pro", `"messages":[`+hi+","+calls("2")+","+result("2", "a")+","+calls("2")+","+result("2", "b")+","+calls("1")+","+result("1", "c")+","+calls("1")+","+result("1", "d")+`]`)
	r.User = "u"
	call, err := p.Call(r)
	if err != nil {
		t.Fatal(err)
	}
	for turn, want := range map[string]string{"5": "signed", "7": "signed", "1": anySignature, "3": anySignature} {
		if got := gjson.GetBytes(call.Body, "contents."+turn+".parts.0.thoughtSignature").Str; got != want {
			t.Errorf("turn %s has %q", turn, got)
		}
	}
}
