package openai

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func attach(t *testing.T, form hub.Form) string {
	t.Helper()
	var out bytes.Buffer
	a := hub.NewAnswer(&out, form)
	a.Text(0, "é is a \"letter\"")
	a.Annotations(0, nil)
	a.Annotations(0, []hub.URLCitation{{Start: 0, End: 1, URL: "https://a.example/?q=\"", Title: "A"}, {Start: 7, End: 15, URL: "https://b.example"}})
	a.Annotations(0, []hub.URLCitation{{Start: 15, End: 15, URL: "https://c.example", Title: "C"}})
	a.Image(0, "data:image/png;base64,AAAA")
	a.Image(0, "data:image/png;base64,BBBB")
	a.Finish(0, hub.FinishStop)
	a.Annotations(0, []hub.URLCitation{{URL: "https://late.example"}})
	a.Image(0, "data:image/png;base64,late")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAnObjectHasItsSourcesAndImages(t *testing.T) {
	got := attach(t, hub.Form{Format: Format{}})
	var read sdk.ChatCompletion
	if err := json.Unmarshal([]byte(got), &read); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	sources := read.Choices[0].Message.Annotations
	if len(sources) != 3 || sources[0].Type != "url_citation" {
		t.Fatalf("annotations in %s", got)
	}
	first, second := sources[0].URLCitation, sources[1].URLCitation
	if first.StartIndex != 0 || first.EndIndex != 1 || first.URL != "https://a.example/?q=\"" || first.Title != "A" || second.StartIndex != 7 || second.EndIndex != 15 {
		t.Errorf("annotations %+v and %+v", first, second)
	}
	const images = `"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,BBBB"}}]`
	if !strings.Contains(got, images) || strings.Contains(got, "late") {
		t.Errorf("answer %s", got)
	}
}

func TestAStreamHasItsSourcesAndImagesInDeltas(t *testing.T) {
	got := attach(t, hub.Form{Format: Format{}, Stream: true})
	for _, delta := range []string{
		`"delta":{"annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":1,"url":"https://a.example/?q=\"","title":"A"}},{"type":"url_citation","url_citation":{"start_index":7,"end_index":15,"url":"https://b.example","title":""}}]},`,
		`"delta":{"annotations":[{"type":"url_citation","url_citation":{"start_index":15,"end_index":15,"url":"https://c.example","title":"C"}}]},`,
		`"delta":{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},`,
		`"delta":{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,BBBB"}}]},`,
	} {
		if strings.Count(got, delta) != 1 {
			t.Errorf("no %s in\n%s", delta, got)
		}
	}
	if strings.Count(got, `"annotations"`) != 2 || strings.Contains(got, "late") {
		t.Errorf("stream\n%s", got)
	}
}

func TestATextCompletionHasNeitherSourcesNorImages(t *testing.T) {
	for _, stream := range []bool{false, true} {
		if got := attach(t, hub.Form{Format: Format{}, TextOnly: true, Stream: stream}); strings.Contains(got, "example") || strings.Contains(got, "base64") {
			t.Errorf("answer %s", got)
		}
	}
}
