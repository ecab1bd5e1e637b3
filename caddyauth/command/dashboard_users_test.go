package command

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestTheListOfUsers(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	d.wants(d.get("/users"), http.StatusOK, "4 users", "ann@example.com", `<td><span class="badge disabled">disabled</span></td>`, "in the clear", "<td>core</td>",
		`<span class="badge expired">expired</span>`, "workers-ai/*", "The record is broken: status: must not be a number")
	res := d.get("/users?q=ANN")
	d.wants(res, http.StatusOK, "1 user of 4", "ann@example.com")
	if strings.Contains(res.Body.String(), "ben@example.com") {
		t.Error("the search finds another user")
	}
	d.wants(d.get("/users?q="+url.QueryEscape(script)), http.StatusOK, "No user’s email has “&#34;&#39;&gt;&lt;script&gt;")
	empty := openDesk(t, nil, "")
	empty.wants(empty.get("/users"), http.StatusOK, "There are no users yet.")
}

func TestFiftyThousandUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
	users := make(map[string]string)
	for i := range 50_000 {
		users[fmt.Sprintf("dev%05d@example.com", i)] = `{"status":"Enabled"}`
	}
	d := openDesk(t, users, "")
	began := time.Now()
	res := d.get("/users")
	d.wants(res, http.StatusOK, "50,000 users", "Page 1 of 1,000", `href="/users?page=2"`, "dev00049@example.com")
	if strings.Contains(res.Body.String(), "dev00050@") || strings.Contains(res.Body.String(), "Previous</a>") {
		t.Error("the first page has more than its users")
	}
	d.wants(d.get("/users?page=1000"), http.StatusOK, "Page 1,000 of 1,000", "dev49999@example.com", `href="/users?page=999"`)
	d.wants(d.get("/users?page=7777"), http.StatusOK, "Page 1,000 of 1,000")
	d.wants(d.get("/users?page=-1"), http.StatusOK, "Page 1 of 1,000")
	d.wants(d.get("/users?q=dev12"), http.StatusOK, "1,000 users of 50,000", "Page 1 of 20", `href="/users?page=2&amp;q=dev12"`)
	d.wants(d.get("/users?q=49999"), http.StatusOK, "1 user of 50,000")
	t.Logf("six pages take %v", time.Since(began))
	if size := res.Body.Len(); size > 80_000 {
		t.Errorf("a page has %d bytes", size)
	}
}
