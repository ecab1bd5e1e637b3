//go:build browser

package browser

import (
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

func (b *tab) signIn(email, key string) int64 {
	b.t.Helper()
	b.open("/")
	b.do(chromedp.SendKeys(chromedp.ID("email"), email), chromedp.SendKeys(chromedp.ID("key"), key))
	return b.load(chromedp.Click(chromedp.CSS("form.card button")))
}

func TestLook(t *testing.T) {
	s := startSite(t, nil)
	for name, l := range map[string]look{"desktop": desktop, "night": night, "phone": phone} {
		b := newTab(t, s.url, l)
		b.open("/")
		if err := os.WriteFile("/tmp/look-signin-"+name+".png", b.picture(true), 0o600); err != nil {
			t.Fatal(err)
		}
		b.signIn(email, "wrong")
		if err := os.WriteFile("/tmp/look-wrong-"+name+".png", b.picture(true), 0o600); err != nil {
			t.Fatal(err)
		}
		b.signIn(email, key)
		if err := os.WriteFile("/tmp/look-portal-"+name+".png", b.picture(true), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
