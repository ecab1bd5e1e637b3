//go:build browser

package browser

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// startDashboard runs the dashboard of a site until the test ends. It returns the link that it prints.
func (s *site) startDashboard() *url.URL {
	s.t.Helper()
	link, err := url.Parse(regexp.MustCompile(`http://\S+`).FindString(s.start("?token=", "continue-auth", "dashboard")))
	if err != nil {
		s.t.Fatal(err)
	}
	return link
}

// openDashboard opens the link of a new dashboard.
func (s *site) openDashboard(t *testing.T, l look) *tab {
	t.Helper()
	link := s.startDashboard()
	b := newTab(t, "http://"+link.Host, l)
	b.open(link.RequestURI())
	b.has("Users", "Add a user")
	return b
}

// many are enough users for three pages, and some who stand out.
func many() map[string]string {
	users := map[string]string{
		"ann@example.com": record("ann", `"metadata":{"team":"core"}`),
		"ben@example.com": record("ben", `"metadata":{"team":"web"},"models":["workers-ai/*","anthropic/*"],"expiresAt":"2030-01-31T00:00:00Z","limits":{"requests":["600/1h"],"tokens":[]}`),
		`"><img src=x onerror="window.hit=1">@example.com`: record("x", `"metadata":{"team":"<script>window.hit=1</script>"},"models":["<img src=x onerror='window.hit=1'>"]`),
	}
	for i := range 120 {
		users[fmt.Sprintf("dev%03d@example.com", i)] = record(fmt.Sprint("key", i), "")
	}
	return users
}

// fill replaces what is in a field.
func (b *tab) fill(id, text string) {
	b.t.Helper()
	result(b, chromedp.Evaluate[bool](fmt.Sprintf("document.getElementById(%q).select(), true", id)))
	b.do(chromedp.SendKeys(chromedp.ID(id), text))
}

// click clicks a link or a button of the content by its text, and waits for the next page.
func (b *tab) click(text string) int64 {
	b.t.Helper()
	const mark = `(text => { const e = [...document.querySelectorAll('main a, main button')].find(e => e.textContent.trim() === text); e.id = 'to-click'; return true })`
	result(b, chromedp.Evaluate[bool](fmt.Sprintf("%s(%q)", mark, text)))
	return b.load(chromedp.Click(chromedp.ID("to-click")))
}

// newKey returns the key that the page shows.
func (b *tab) newKey() string {
	b.t.Helper()
	key := result(b, chromedp.TextContent(chromedp.ID("newkey")))
	if !strings.HasPrefix(key, "cca_") {
		b.t.Fatalf("the page shows %q", key)
	}
	return key
}

func TestTheLinkWorksInOneBrowser(t *testing.T) {
	s := startSite(t, nil)
	link := s.startDashboard()
	b := newTab(t, "http://"+link.Host, desktop)
	b.open(link.RequestURI())
	b.has("1 user")
	if at := result(b, chromedp.Location()); strings.Contains(at, "token") {
		t.Errorf("the address is %s", at)
	}
	other := newTab(t, "http://"+link.Host, desktop)
	other.expect("status of 403")
	if status := other.open(link.RequestURI()); status != http.StatusForbidden {
		t.Errorf("another browser: status %d", status)
	}
	if status := other.open("/users"); status != http.StatusForbidden {
		t.Errorf("another browser: status %d", status)
	}
}

func TestAUserFromTheFirstKeyToTheLast(t *testing.T) {
	s := startSite(t, nil)
	b := s.openDashboard(t, desktop)
	b.click("Add a user")
	b.fill("email", "new@example.com")
	b.fill("expires", "90d")
	b.fill("metadata", "team=web")
	b.click("Make a key")
	b.has("Made a key for new@example.com.", "The running server was told.", "new@example.com")
	first := b.newKey()
	dev := s.signedIn(t, desktop, "new@example.com", first)
	dev.has("It ends in 90 days")

	b.click("Make another key")
	b.has("Made another key for new@example.com.", "works until")
	second := b.newKey()
	dev.open("/")
	dev.has("This key has been replaced.")
	b.fill("grace", "0s")
	b.click("Make another key")
	third := b.newKey()
	if first == second || second == third {
		t.Error("a key was made twice")
	}
	dev.open("/")
	dev.has("You are signed out.")
	dev.signIn("new@example.com", third)
	dev.has("Sign out")

	b.click("Disable")
	b.has("Disabled new@example.com.", "disabled")
	dev.open("/")
	dev.has("You are signed out.")
	b.click("Enable")
	b.has("Enabled new@example.com.")
	if strings.Contains(b.text(), third) {
		t.Error("the key is shown again")
	}
	dev.signIn("new@example.com", third)
	dev.has("Sign out")

	b.click("Remove…")
	b.has("Remove new@example.com?")
	b.click("Cancel")
	b.click("Remove…")
	b.click("Remove")
	b.has("Removed new@example.com.", "1 user")
	dev.open("/")
	dev.has("You are signed out.")
}

func TestLimitsTakeEffect(t *testing.T) {
	s := startSite(t, nil)
	b := s.openDashboard(t, desktop)
	b.open("/user?email=" + url.QueryEscape(email))
	b.fill("requests", "1/1h")
	b.fill("tokens", "none")
	b.click("Save")
	b.has("Changed "+email+".", "Requests per hour", "1 of 1 left")
	body := `{"model":"openai/gpt-5","messages":[{"role":"user","content":"Hello"}]}`
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		if status, answer := s.ask(http.MethodPost, "/v1/chat/completions", email+":"+key, body); status != want {
			t.Errorf("status %d, want %d: %s", status, want, answer)
		}
	}
	b.open("/user?email=" + url.QueryEscape(email))
	b.has("0 of 1 left", "All of it is back in")
	b.fill("parallel", "many")
	b.expect("status of 422")
	if status := b.click("Save"); status != http.StatusUnprocessableEntity {
		t.Errorf("status %d", status)
	}
	b.has(`limit "parallel=many": must be a whole number, or none`)
}

func TestSearchingAndPaging(t *testing.T) {
	s := startSite(t, many())
	b := s.openDashboard(t, desktop)
	b.has("124 users", "Page 1 of 3")
	b.click("Next")
	b.has("Page 2 of 3")
	b.do(chromedp.SendKeys(chromedp.ID("q"), "DEV11"))
	b.load(chromedp.KeyEvent(kb.Enter))
	b.has("10 users of 124", "dev110@example.com")
	b.click("dev117@example.com")
	b.has("What the user may do", "dev117@example.com")
}

func TestTheDashboardWithTheKeyboardAlone(t *testing.T) {
	s := startSite(t, nil)
	b := s.openDashboard(t, desktop)
	b.tabTo("Add a user")
	b.load(chromedp.KeyEvent(kb.Enter))
	b.tabTo("email")
	b.do(chromedp.KeyEvent("typed@example.com"))
	b.tabTo("parallel")
	b.do(chromedp.KeyEvent("2"))
	b.tabTo("Make a key")
	b.load(chromedp.KeyEvent(kb.Enter))
	b.has("Made a key for typed@example.com.", "2 of 2 left")
	b.newKey()
}

func TestTheDashboardsLooks(t *testing.T) {
	s := startSite(t, many())
	for name, l := range map[string]look{"light": desktop, "dark": night, "a phone": phone} {
		t.Run(name, func(t *testing.T) {
			b := s.openDashboard(t, l)
			if dark := result(b, chromedp.Evaluate[float64](brightness)) < 60; dark != l.dark {
				t.Errorf("dark is %v", dark)
			}
			for _, path := range []string{
				"/users", "/users?q=none", "/users/add", "/user?email=" + url.QueryEscape(email), "/user?email=ben%40example.com", "/user/remove?email=ben%40example.com",
				"/providers", "/usage", "/usage?by=team&period=90d", "/usage?by=day&period=12m&show=requests", "/server",
			} {
				b.open(path)
				b.accessible(path)
				b.fits(path)
				if hit := result(b, chromedp.Evaluate[bool]("'hit' in window")); hit {
					t.Errorf("%s: a name has run as a script", path)
				}
			}
			if name == "light" {
				b.savePicture("/usage", "dashboard.png")
			}
		})
	}
}

func TestNamesAreNoScripts(t *testing.T) {
	s := startSite(t, many())
	b := s.openDashboard(t, desktop)
	b.do(chromedp.SendKeys(chromedp.ID("q"), "onerror"))
	b.load(chromedp.KeyEvent(kb.Enter))
	b.has(`"><img src=x onerror="window.hit=1">@example.com`, "<script>window.hit=1</script>")
	b.click(`"><img src=x onerror="window.hit=1">@example.com`)
	if models := result(b, chromedp.Value(chromedp.ID("models"))); models != "<img src=x onerror='window.hit=1'>" {
		t.Errorf("the models are %s", models)
	}
	if hit := result(b, chromedp.Evaluate[bool]("'hit' in window")); hit {
		t.Error("a name has run as a script")
	}
}

func TestTheServersStateIsShown(t *testing.T) {
	s := startSite(t, nil)
	b := s.openDashboard(t, desktop)
	b.load(chromedp.Click(chromedp.CSS(`.places a[href="/server"]`)))
	b.has("A server answers at its admin endpoint", "continue_auth.keystores.file")
	if err := s.command("stop", "--config", "Caddyfile").Run(); err != nil {
		t.Fatal(err)
	}
	b.open("/server")
	b.has("No server can be asked: at unix//")
	b.open("/user?email=" + url.QueryEscape(email))
	b.has("No running server can be asked.")
	b.click("Disable")
	b.has("Disabled "+email+".", "No server was told")
}
