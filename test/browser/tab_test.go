//go:build browser

// Package browser drives the portal and the dashboard in Chromium.
package browser

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

var pictures = flag.Bool("pictures", false, "write the pictures in docs/ anew")

// tab is a tab of a browser that has no cookies of other tabs.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site string

	mu       sync.Mutex
	did      []string // what the browser requested, and what it wrote on the console
	expected []string // what it may do besides requests to the site
}

// chromium is the browser of all tests.
var chromium context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.DisableGPU)
	if path := os.Getenv("CHROMIUM"); path != "" {
		options = append(options, chromedp.ExecPath(path))
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to run as root with it
	}
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	var cancel context.CancelFunc
	chromium, cancel = chromedp.NewContext(allocated)
	if err := chromedp.Do(chromium); err != nil {
		panic(err)
	}
	status := m.Run()
	cancel()
	stop()
	if path, err := program(); err == nil && os.Getenv("CADDY") == "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

// look is how a tab shows pages.
type look struct {
	width, height int64
	dark, phone   bool
}

var (
	desktop = look{1280, 900, false, false}
	night   = look{1280, 900, true, false}
	phone   = look{360, 740, false, true}
)

// newTab opens a tab for a site. When the test ends, it checks that the console has no errors, such as violations of
// the Content-Security-Policy, and that nothing was requested from elsewhere.
func newTab(t *testing.T, site string, l look) *tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(chromium, 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	// A test that is faster than the page has a field in focus before the page's own gets it.
	b := &tab{t: t, ctx: ctx, site: site, expected: []string{"Autofocus processing was blocked"}}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	viewport := []chromedp.EmulateViewportOption{chromedp.EmulateScale(1)}
	if l.phone {
		viewport = append(viewport, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.do(chromedp.EmulateViewport(l.width, l.height, viewport...))
	b.must(chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"}, // a page that still scrolls would be clicked in the wrong place
	}}))
	b.must(chromedp.Call(ctx, network.Enable, network.EnableParams{}))
	b.watch()
	return b
}

// watch notes all requests, and all messages on the console.
func (b *tab) watch() {
	b.t.Helper()
	err := chromedp.Listen(b.ctx, func(event any) {
		if sent, ok := event.(*network.EventRequestWillBeSent); ok {
			b.note(sent.Request.URL)
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
	messages := chromedp.Console(b.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for message, err := range messages {
			if err != nil {
				return
			}
			b.note("console, " + message.Source + ": " + message.String())
		}
	}()
	b.t.Cleanup(func() {
		_ = chromedp.Cancel(b.ctx)
		<-done
		b.check()
	})
}

func (b *tab) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, what)
}

// expect allows messages on the console, or requests, that have a text.
func (b *tab) expect(text string) { b.expected = append(b.expected, text) }

// wrote reports whether a message on the console has a text.
func (b *tab) wrote(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.did, func(what string) bool { return strings.HasPrefix(what, "console, ") && strings.Contains(what, text) })
}

// check fails the test for what was not expected.
func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.did {
		expected := func(text string) bool { return strings.Contains(what, text) }
		if !strings.HasPrefix(what, b.site+"/") && !slices.ContainsFunc(b.expected, expected) {
			b.t.Errorf("the browser did this: %s", what)
		}
	}
	if len(b.did) == 0 {
		b.t.Error("the browser did nothing, so nothing was watched")
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) must(_ any, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// result runs an action that returns something.
func result[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// open opens a path of the site, and returns the status.
func (b *tab) open(path string) int64 {
	b.t.Helper()
	return result(b, chromedp.NavigateResponse(b.site+path)).Status
}

// load does something that leads to another page, waits for it, and returns its status.
func (b *tab) load(actions ...chromedp.Action[chromedp.Void]) int64 {
	b.t.Helper()
	response, err := chromedp.RunResponse(b.ctx, actions...)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.Status
}

// text returns the text of the page that a reader sees.
func (b *tab) text() string {
	b.t.Helper()
	return result(b, chromedp.Evaluate[string]("document.body.innerText"))
}

// has fails the test if the page does not show a text.
func (b *tab) has(texts ...string) {
	b.t.Helper()
	page := b.text()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			b.t.Errorf("the page does not show %q:\n%s", text, page)
		}
	}
}

// allowClipboard lets pages of the site read and write the clipboard.
func (b *tab) allowClipboard() {
	b.t.Helper()
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		b.must(chromedp.Call(b.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted, Origin: b.site,
			BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
		}))
	}
}

// savePicture writes a picture of a path's page to docs/, if the test runs with -pictures.
func (b *tab) savePicture(path, name string) {
	b.t.Helper()
	if !*pictures {
		return
	}
	b.do(chromedp.EmulateViewport(1180, 1240))
	b.open(path)
	picture := result(b, chromedp.CaptureScreenshot())
	if len(picture) > 200_000 {
		b.t.Errorf("%s would have %d bytes", name, len(picture))
	}
	if err := os.WriteFile(filepath.Join("..", "..", "docs", name), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// fits fails the test if the page is wider than the screen.
func (b *tab) fits(page string) {
	b.t.Helper()
	if wide := result(b, chromedp.Evaluate[bool]("document.documentElement.scrollWidth > document.documentElement.clientWidth")); wide {
		b.t.Errorf("%s is wider than the screen", page)
	}
}
