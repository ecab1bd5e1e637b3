//go:build browser

package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// signIn fills in the form, and returns the status of the page that follows.
func (b *tab) signIn(email, key string) int64 {
	b.t.Helper()
	b.open("/")
	b.do(chromedp.Clear(chromedp.ID("email")), chromedp.SendKeys(chromedp.ID("email"), email), chromedp.SendKeys(chromedp.ID("key"), key))
	return b.load(chromedp.Click(chromedp.CSS("main form button")))
}

// signedIn opens a tab in which a user has signed in.
func (s *site) signedIn(t *testing.T, l look, email, key string) *tab {
	t.Helper()
	b := newTab(t, s.url, l)
	if status := b.signIn(email, key); status != http.StatusOK {
		t.Fatalf("signing in: status %d\n%s", status, b.text())
	}
	b.has(email, "Sign out")
	return b
}

func TestSigningIn(t *testing.T) {
	s := startSite(t, nil)
	b := newTab(t, s.url, desktop)
	b.expect("status of 401")
	if status := b.signIn(email, "wrong"); status != http.StatusUnauthorized {
		t.Errorf("a wrong key: status %d", status)
	}
	b.has("The email or the API key is wrong.")
	if typed := result(b, chromedp.Value(chromedp.ID("key"))); typed != "" {
		t.Errorf("the form has the key %q", typed)
	}
	b.signIn(email, key)
	b.has(email, "Sign out", "Set up your agent", "anthropic/claude-opus-4-5", "It ends in 76 days", "120 of 120 left")
	b.load(chromedp.Click(chromedp.CSS(".who button")))
	b.has("Use the email and the API key")
	b.open("/")
	b.has("Use the email and the API key")
}

func TestNothingOfTheKeyStaysInTheBrowser(t *testing.T) {
	s := startSite(t, nil)
	b := s.signedIn(t, desktop, email, key)
	for _, place := range []string{"document.documentElement.outerHTML", "document.cookie", "JSON.stringify(localStorage)", "JSON.stringify(sessionStorage)", "location.href", "JSON.stringify(history.state)"} {
		if text := result(b, chromedp.Evaluate[string](place)); strings.Contains(text, key) || place == "document.cookie" && text != "" {
			t.Errorf("%s is %s", place, text)
		}
	}
	for _, what := range b.did {
		if strings.Contains(what, key) {
			t.Errorf("the browser did %s", what)
		}
	}
}

func TestTheChartIsDrawn(t *testing.T) {
	s := startSite(t, nil)
	b := s.signedIn(t, desktop, email, key)
	const bars = `[...document.querySelectorAll('.plot path:not(.grid)')].map(p => p.getBoundingClientRect()).filter(r => r.width > 300 && r.height > 50).length`
	if n := result(b, chromedp.Evaluate[int](bars)); n < 3 {
		t.Errorf("%d series are drawn", n)
	}
	colours := result(b, chromedp.Evaluate[[]string](`[...new Set([...document.querySelectorAll('.plot path:not(.grid)')].map(p => getComputedStyle(p).fill))]`))
	if len(colours) != 6 {
		t.Errorf("the series have the colours %q", colours)
	}
	before := result(b, chromedp.Evaluate[string](`document.querySelector('.plot path.s0').getAttribute('d')`))
	b.load(chromedp.Click(chromedp.CSS(`.switch a[href*="show=requests"]`)))
	b.has("Requests a day by model")
	if after := result(b, chromedp.Evaluate[string](`document.querySelector('.plot path.s0').getAttribute('d')`)); after == before {
		t.Error("the chart is the same for requests")
	}
	b.do(chromedp.Click(chromedp.CSS("summary")))
	b.has("The chart as a table", "Requests a day by model")
}

func TestAConfigurationIsCopiedAndUsed(t *testing.T) {
	s := startSite(t, nil)
	b := s.signedIn(t, desktop, email, key)
	b.allowClipboard()
	b.load(chromedp.Click(chromedp.CSS(`.tabs a[href*="agent=env"]`)))
	b.do(chromedp.Click(chromedp.CSS(`button[data-copy="part1"]`)))
	if said := result(b, chromedp.Poll[string](`document.querySelector('button[data-copy="part1"]').textContent === 'Copied' && 'Copied'`)); said != "Copied" {
		t.Errorf("the button says %q", said)
	}
	copied := result(b, chromedp.Evaluate[string]("navigator.clipboard.readText()", chromedp.EvalAwaitPromise))
	printed, err := s.command("continue-auth", "client-config", email, "--for", "env").Output()
	if err != nil || copied == "" || !strings.Contains(string(printed), copied) {
		t.Fatalf("%v: copied\n%s\nwant a part of\n%s", err, copied, printed)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(copied, "USER_KEY", key)+`
		printf '%s\n%s\n%s' "$OPENAI_BASE_URL" "$OPENAI_API_KEY" "$OPENAI_MODEL"`)
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	variables := strings.Split(string(out), "\n")
	if variables[0] != s.url+"/v1" {
		t.Errorf("the base URL is %s", variables[0])
	}
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Hello"}]}`, variables[2])
	if status, answer := s.ask(http.MethodPost, "/v1/chat/completions", variables[1], body); status != http.StatusOK || !strings.Contains(answer, `"content"`) {
		t.Errorf("status %d: %s", status, answer)
	}
	b.open("/")
	b.has("119 of 120 left")
}

func TestAUserWhoIsDisabledElsewhereIsOut(t *testing.T) {
	s := startSite(t, nil)
	b := s.signedIn(t, desktop, email, key)
	s.keys("disable", email)
	b.open("/")
	b.has("You are signed out.", "Use the email and the API key")
	b.expect("status of 401")
	if status := b.signIn(email, key); status != http.StatusUnauthorized {
		t.Errorf("a disabled user: status %d", status)
	}
	s.keys("enable", email)
	b.signIn(email, key)
	b.has("Sign out")
	s.keys("rotate", email, "--grace", "1h")
	b.open("/")
	b.has("This key has been replaced.")
	s.keys("rotate", email)
	b.open("/")
	b.has("You are signed out.")
}

// press sends keys, and returns the text or the name of the element that has the focus then. It fails the test if
// the focus cannot be seen.
func (b *tab) press(keys string) string {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
	type focused struct {
		Name  string
		Width float64
		Body  bool // the focus is outside of the page
	}
	focus := result(b, chromedp.Evaluate[focused](`(() => {
		const e = document.activeElement, s = getComputedStyle(e)
		return {Name: e.name || e.textContent.trim(), Width: s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth), Body: e === document.body}
	})()`))
	if focus.Body {
		return ""
	}
	if focus.Width < 2 {
		b.t.Errorf("the focus on %q cannot be seen", focus.Name)
	}
	return focus.Name
}

// tabTo presses the tab key until an element has the focus.
func (b *tab) tabTo(name string) {
	b.t.Helper()
	var passed []string
	for range 60 {
		at := b.press(kb.Tab)
		if at == name {
			return
		}
		passed = append(passed, at)
	}
	b.t.Fatalf("the tab key does not lead to %s, but to %q", name, passed)
}

func TestThePortalWithTheKeyboardAlone(t *testing.T) {
	s := startSite(t, nil)
	b := newTab(t, s.url, desktop)
	b.open("/")
	_ = result(b, chromedp.Poll[bool]("document.activeElement.id === 'email'"))
	b.do(chromedp.KeyEvent(email))
	if at := b.press(kb.Tab); at != "key" {
		t.Errorf("after the email comes %q", at)
	}
	b.do(chromedp.KeyEvent(key))
	b.load(chromedp.KeyEvent(kb.Enter))
	b.has("Sign out")
	if at := b.press(kb.Tab); at != "Skip to the content" {
		t.Errorf("the first stop is %q", at)
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	if at := result(b, chromedp.Evaluate[string]("document.activeElement.id")); at != "main" {
		t.Errorf("the skip link leads to %q", at)
	}
	b.tabTo("Codex")
	b.load(chromedp.KeyEvent(kb.Enter))
	b.has("File ~/.codex/config.toml")
	b.allowClipboard()
	b.tabTo("Copy")
	b.do(chromedp.KeyEvent(" "))
	_ = result(b, chromedp.Poll[bool](`document.activeElement.textContent === 'Copied'`))
	b.open("/")
	b.tabTo("Sign out")
	b.load(chromedp.KeyEvent(kb.Enter))
	b.has("Use the email and the API key")
}

func TestThePortalWithoutScripts(t *testing.T) {
	s := startSite(t, nil)
	b := newTab(t, s.url, desktop)
	b.must(chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.signIn(email, key)
	b.has("Sign out", "Set up your agent", "ANTHROPIC_BASE_URL", "Tokens a day by model")
	if strings.Contains(b.text(), "Copy") {
		t.Error("there are buttons that do nothing")
	}
	b.load(chromedp.Click(chromedp.CSS(`.tabs a[href*="agent=codex"]`)))
	b.has("File ~/.codex/config.toml")
}

// brightness is how bright the page's background is, from 0 to 255.
const brightness = `getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 3`

func TestThePortalsLooks(t *testing.T) {
	s := startSite(t, nil)
	for name, l := range map[string]look{"light": desktop, "dark": night, "a phone": phone} {
		t.Run(name, func(t *testing.T) {
			b := newTab(t, s.url, l)
			b.expect("status of 401")
			b.signIn(email, "wrong")
			b.accessible("the form to sign in")
			b.fits("the form to sign in")
			if dark := result(b, chromedp.Evaluate[float64](brightness)) < 60; dark != l.dark {
				t.Errorf("dark is %v", dark)
			}
			b.signIn(email, key)
			for _, agent := range []string{"claude-code", "continue", "cline", "env"} {
				b.open("/?agent=" + agent)
				b.do(chromedp.Click(chromedp.CSS("summary")))
				b.accessible(agent)
				b.fits(agent)
			}
			if name == "light" {
				for range 30 { // so that the limits have been used
					s.ask(http.MethodPost, "/v1/chat/completions", email+":"+key, `{"model":"openai/gpt-5","messages":[{"role":"user","content":"`+strings.Repeat("Hello ", 2000)+`"}]}`)
				}
				b.savePicture("/", "portal.png")
			}
		})
	}
}

func TestThePolicyStopsWhatIsNotOfThisSite(t *testing.T) {
	s := startSite(t, nil)
	b := s.signedIn(t, desktop, email, key)
	b.expect("Content Security Policy")
	b.expect("https://evil.example") // is blocked, but counts as sent
	const attack = `new Promise(done => {
		const seen = []
		document.addEventListener('securitypolicyviolation', e => { seen.push(e.effectiveDirective); if (new Set(seen).size >= 4) done(seen.join(' ')) })
		setTimeout(() => done(seen.join(' ')), 10000)
		document.body.insertAdjacentHTML('beforeend', '<p id="p" style="color:red" onclick="window.hit=1">x</p><style>body{color:red}</style><img src="https://evil.example/x.png"><iframe src="https://evil.example/"></iframe>')
		document.getElementById('p').click()
	})`
	violated := result(b, chromedp.Evaluate[string](attack, chromedp.EvalAwaitPromise))
	for _, directive := range []string{"style-src-attr", "style-src-elem", "script-src-attr", "img-src"} {
		if !strings.Contains(violated, directive) {
			t.Errorf("%s lets it through: %s", directive, violated)
		}
	}
	if hit := result(b, chromedp.Evaluate[bool]("'hit' in window")); hit {
		t.Error("a script in the page has run")
	}
}

func TestOtherSitesCannotUseTheSession(t *testing.T) {
	s := startSite(t, nil)
	// For a browser, localhost and 127.0.0.1 are different sites.
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/link":
			fmt.Fprintf(w, `<title>x</title><a href="%s/">portal</a>`, s.url)
		case "/form":
			fmt.Fprintf(w, `<title>x</title><form method="post" action="%s/portal/sign-out"><button>go</button></form>`, s.url)
		case "/frame":
			fmt.Fprintf(w, `<title>x</title><iframe src="%s/"></iframe>`, s.url)
		}
	}))
	defer other.Close()
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	b := s.signedIn(t, desktop, email, key)
	b.expect(elsewhere)
	b.expect("status of 403")
	b.expect("frame-ancestors")
	b.expect("status of 404") // for the other site's icon
	b.do(chromedp.Navigate(elsewhere + "/form"))
	if status := b.load(chromedp.Click(chromedp.CSS("button"))); status != http.StatusForbidden {
		t.Errorf("a form of another site: status %d", status)
	}
	b.do(chromedp.Navigate(elsewhere + "/link"))
	b.do(chromedp.Click(chromedp.CSS("a")), chromedp.WaitVisible(chromedp.CSS(".who button"))) // after the page has loaded itself again
	b.do(chromedp.Navigate(elsewhere + "/frame"))
	b.open("/")
	b.has("Sign out")
	if !b.wrote("frame-ancestors") {
		t.Error("another site can show the portal in a frame")
	}
}
