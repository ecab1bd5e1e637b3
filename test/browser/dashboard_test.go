//go:build browser

package browser

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"testing"
)

// startDashboard runs the dashboard of a site until the test ends. It returns the link that it prints.
func (s *site) startDashboard() *url.URL {
	s.t.Helper()
	line := s.start("?token=", "continue-auth", "dashboard")
	link, err := url.Parse(regexp.MustCompile(`http://\S+`).FindString(line))
	if err != nil {
		s.t.Fatal(err)
	}
	return link
}

func TestLookDashboard(t *testing.T) {
	users := map[string]string{"ann@example.com": record("ann", `"metadata":{"team":"core"}`), "ben@example.com": record("ben", `"metadata":{"team":"web"},"models":["workers-ai/*","anthropic/*"],"expiresAt":"2027-01-31T00:00:00Z"`)}
	for i := range 120 {
		users[fmt.Sprintf("dev%03d@example.com", i)] = record(fmt.Sprint("key", i), "")
	}
	s := startSite(t, users)
	for name, l := range map[string]look{"desktop": desktop, "night": night, "phone": phone} {
		link := s.startDashboard()
		b := newTab(t, "http://"+link.Host, l)
		b.open(link.RequestURI())
		for page, path := range map[string]string{"users": "/users", "user": "/user?email=" + url.QueryEscape(email), "add": "/users/add", "usage": "/usage", "providers": "/providers", "server": "/server", "remove": "/user/remove?email=ann%40example.com"} {
			b.open(path)
			if err := os.WriteFile("/tmp/look-d-"+page+"-"+name+".png", b.picture(true), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
