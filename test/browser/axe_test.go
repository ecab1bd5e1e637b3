//go:build browser

package browser

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// violation is a fault that axe-core finds on a page.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// violations runs axe-core on the page that the tab shows. It returns the faults that are serious or critical.
func (b *tab) violations() (serious []violation) {
	b.t.Helper()
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		b.t.Fatalf("%v: run npm ci in test/browser first", err)
	}
	if loaded := result(b, chromedp.Evaluate[string](string(axe)+"; typeof axe.run")); loaded != "function" {
		b.t.Fatalf("axe-core is not loaded: %s", loaded)
	}
	const run = `axe.run({resultTypes: ['violations']}).then(r => r.violations.map(v => ({
		ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`
	for _, v := range result(b, chromedp.Evaluate[[]violation](run, chromedp.EvalAwaitPromise)) {
		if v.Impact == "serious" || v.Impact == "critical" {
			serious = append(serious, v)
		}
	}
	return serious
}

// accessible fails the test for each serious fault of the page that the tab shows.
func (b *tab) accessible(page string) {
	b.t.Helper()
	for _, v := range b.violations() {
		b.t.Errorf("%s, %s: %s\n%+v", page, v.Impact, v.Help, v.Nodes)
	}
}

func TestSeriousFaultsAreFound(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>x</title><main><h1>x</h1><img src="data:,"><p style="color:#ccc">pale</p></main>`)
	}))
	defer server.Close()
	b := newTab(t, server.URL, desktop)
	b.expect("data:,")
	b.open("/")
	found := make(map[string]bool)
	for _, v := range b.violations() {
		found[v.ID] = true
	}
	if !found["image-alt"] || !found["color-contrast"] {
		t.Errorf("found %v", found)
	}
}
