package main

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNeighboursComeFirstInTurns(t *testing.T) {
	var order []string
	m := measurement{name: "any", turns: 3, length: time.Second, do: func(_ context.Context, v variant, _ time.Duration) error {
		order = append(order, v.name)
		return nil
	}}
	if err := new(bench).inTurn(t.Context(), m, []variant{{name: "bare"}, {name: "ours"}, {name: "gemini"}}, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, " "), "bare ours gemini gemini ours bare bare ours gemini"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestQuickHasOneShortTurnAndAProfileOneLongTurn(t *testing.T) {
	m := measurement{turns: 8, length: time.Second}
	if got := (&bench{quick: true}).shortened(m); got.turns != 1 || got.length != 250*time.Millisecond {
		t.Errorf("quick: %d turns of %v", got.turns, got.length)
	}
	if got := (&bench{profile: "folder", length: 2 * time.Second}).shortened(m); got.turns != 1 || got.length != 2*time.Second {
		t.Errorf("profiled: %d turns of %v", got.turns, got.length)
	}
	if got := (&bench{}).shortened(m); got.turns != 8 {
		t.Errorf("otherwise: %d turns", got.turns)
	}
}

func TestAMissingToolIsAnError(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := new(bench).run(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "wrk is needed (apt install wrk)") {
		t.Errorf("%v", err)
	}
}

func TestTheVariableCADDYNamesTheProgram(t *testing.T) {
	t.Setenv("CADDY", "/a/caddy")
	if got, err := program(t.Context(), t.TempDir()); got != "/a/caddy" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

func TestOnlyTheFiguresOfWantedRowsAreMeasured(t *testing.T) {
	b := &bench{up: &upstream{}}
	for name, test := range map[string]struct{ titles, figure, want string }{
		"a row of one provider":            {"4 KB, Workers AI$", "rate 4 KB", "bare, Workers AI|workers"},
		"another size of that provider":    {"4 KB, Workers AI", "rate 200 KB", ""},
		"a row that is compared with ours": {"all chunks at once, Gemini", "streams at once", "ours|gemini"},
		"all rows":                         {"", "open ", "bare|ours|bare, Gemini|gemini"},
		"the flood, if it is not wanted":   {"requests/s", "flood", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range needed(rowsOf(regexp.MustCompile(test.titles)), b.variants(), test.figure) {
				got = append(got, v.name)
			}
			if all := strings.Join(got, "|"); all != test.want {
				t.Errorf("%q, want %q", all, test.want)
			}
		})
	}
}

func TestEveryRowHasAMeasurement(t *testing.T) {
	b := &bench{up: &upstream{}}
	names := map[string]bool{"": true}
	for _, v := range b.variants() {
		names[v.name] = true
	}
	figures := []string{"open ", "flood", "peak"}
	for _, m := range b.measurements() {
		figures = append(figures, m.figures...)
	}
	for _, r := range rows {
		if !names[r.ours] || !names[r.base] {
			t.Errorf("%s: %q or %q is no variant", r.title, r.ours, r.base)
		}
		if !slices.ContainsFunc(figures, func(figure string) bool { return strings.HasPrefix(r.name, figure) }) {
			t.Errorf("%s: no measurement gives %q", r.title, r.name)
		}
	}
}

func TestUpstreamAnswersInTheFormatOfThePath(t *testing.T) {
	for path, want := range map[string]*dialect{
		"/v1/a/g/compat/chat/completions":                               &openAI,
		"/v1/a/g/workers-ai/v1/chat/completions":                        &workersAI,
		"/v1/a/g/google-ai-studio/v1beta/models/gemini:generateContent": &google,
		"/v1/a/g/anthropic/v1/messages":                                 &anthropic,
	} {
		if got := dialectOf([]byte("POST " + path + " HTTP/1.1")); got != want {
			t.Errorf("%s is answered with %s", path, got.whole)
		}
	}
	for _, d := range []*dialect{&openAI, &workersAI, &google, &anthropic} {
		event := string(d.appendEvent(nil, 42))
		if stamp, n := stampOf([]byte(event)); stamp != 42 || n != 1 || len(event) != len(d.event) {
			t.Errorf("%s has stamp %d", event, stamp)
		}
		for event := range strings.SplitSeq(strings.ReplaceAll(event+d.last, "\r", ""), "\n\n") {
			_, data, _ := strings.Cut("\n"+strings.TrimSpace(event), "\ndata: ")
			if data != "" && data != "[DONE]" && !json.Valid([]byte(data)) {
				t.Errorf("%s is no JSON", data)
			}
		}
	}
}

func TestEachAPIHasItsPathAndItsMessages(t *testing.T) {
	for want, a := range map[string]*api{"/v1/chat/completions": &chats, "/v1/messages": &messages, "/v1/responses": &responses} {
		head, body, _ := strings.Cut(string(a.request(edge, 4<<10, true, 7)), "\r\n\r\n")
		if !strings.HasPrefix(head, "POST "+want+" HTTP/1.1\r\n") || !json.Valid([]byte(body)) || len(body) < 3<<10 {
			t.Errorf("%s: %.80s, %d bytes", want, head, len(body))
		}
	}
}
