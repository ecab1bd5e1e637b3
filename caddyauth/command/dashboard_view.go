package command

import (
	"crypto/subtle"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
)

// dashboardPages are the pages and the forms, by their paths.
var dashboardPages = map[string]struct{ get, post func(*dashboardView) error }{
	"/":             {get: func(v *dashboardView) error { return v.lead("/users") }},
	"/users":        {get: (*dashboardView).users},
	"/users/add":    {get: (*dashboardView).addUserForm, post: (*dashboardView).addUser},
	"/user":         {get: (*dashboardView).user},
	"/user/set":     {post: (*dashboardView).setUser},
	"/user/rotate":  {post: (*dashboardView).rotateUser},
	"/user/disable": {post: func(v *dashboardView) error { return v.setEnabled(false) }},
	"/user/enable":  {post: func(v *dashboardView) error { return v.setEnabled(true) }},
	"/user/remove":  {get: (*dashboardView).removeUserForm, post: (*dashboardView).removeUser},
	"/providers":    {get: (*dashboardView).providers},
	"/usage":        {get: (*dashboardView).usage},
	"/server":       {get: (*dashboardView).server},
}

// dashboardView is a request for a page.
type dashboardView struct {
	*dashboard
	w    http.ResponseWriter
	r    *http.Request
	a    *administration  // whose messages are kept in said
	text *strings.Builder // what a has said
	form url.Values       // of a POST request
}

// ServeHTTP serves the pages.
func (d *dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, text := *d.a, new(strings.Builder)
	a.messages = text
	v := &dashboardView{dashboard: d, w: w, r: r, a: &a, text: text}
	if err := v.serve(); err != nil {
		v.fail(err)
	}
}

// refusal is an error with a status of its own.
type refusal struct {
	status int
	text   string
}

// Error returns the text.
func (r *refusal) Error() string { return r.text }

func (v *dashboardView) serve() error {
	if !v.knows(v.r.Host) {
		return &refusal{http.StatusForbidden, "This address is not the dashboard's. Open the link that the command has printed."}
	}
	if name, ok := strings.CutPrefix(v.r.URL.Path, pages.Folder); ok && pages.ServeStatic(v.w, name) {
		return nil
	}
	if token := v.r.URL.Query().Get("token"); v.r.URL.Path == "/" && token != "" {
		if v.r.Method == http.MethodGet && v.enter(v.w, token) || v.signedIn(v.r) {
			return v.lead("/users")
		}
	}
	if !v.signedIn(v.r) {
		return v.refuseStranger()
	}
	page, ok := dashboardPages[v.r.URL.Path]
	switch {
	case !ok:
		return &refusal{http.StatusNotFound, "There is no such page."}
	case v.r.Method == http.MethodPost && page.post != nil:
		if err := v.readForm(); err != nil {
			return err
		}
		return page.post(v)
	case (v.r.Method == http.MethodGet || v.r.Method == http.MethodHead) && page.get != nil:
		return page.get(v)
	}
	var allowed []string
	if page.get != nil {
		allowed = append(allowed, http.MethodGet, http.MethodHead)
	}
	if page.post != nil {
		allowed = append(allowed, http.MethodPost)
	}
	v.w.Header().Set("Allow", strings.Join(allowed, ", "))
	return &refusal{http.StatusMethodNotAllowed, "This address takes " + strings.Join(allowed, ", ") + " requests only."}
}

// refuseStranger answers a browser that has not used the link, or seems so: it sends no cookie if a link of another
// site led here. It does when the page loads itself.
func (v *dashboardView) refuseStranger() error {
	if v.r.Method == http.MethodGet && v.r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return pages.Write(v.w, http.StatusOK, pages.Frame{Title: "One moment", Site: "Dashboard", Reload: true}, pages.Notice{})
	}
	return &refusal{http.StatusForbidden, "Open the link that the command has printed. If it has been used, start the command again for another one."}
}

// maxDashboardForm is larger than any form of the pages that a person fills in.
const maxDashboardForm = 64 << 10

// readForm reads the form of a POST request. It refuses forms that do not come from a page of this dashboard.
func (v *dashboardView) readForm() error {
	if v.origins.Check(v.r) != nil {
		return &refusal{http.StatusForbidden, "Another site has sent this form. Nothing was changed."}
	}
	if kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return &refusal{http.StatusUnsupportedMediaType, "This is not a form. Nothing was changed."}
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxDashboardForm)
	if err := v.r.ParseForm(); errors.As(err, new(*http.MaxBytesError)) {
		return &refusal{http.StatusRequestEntityTooLarge, "This form is too long. Nothing was changed."}
	} else if err != nil {
		return &refusal{http.StatusBadRequest, "This form cannot be read. Nothing was changed."}
	}
	v.form = v.r.PostForm
	if !v.ownForm(v.form.Get("token")) {
		return &refusal{http.StatusForbidden, "This page was too old. Nothing was changed. Go back, load the page again, and try again."}
	}
	return nil
}

// places are the pages in the order of the navigation.
var places = []pages.Link{{Text: "Users", Href: "/users"}, {Text: "Providers", Href: "/providers"}, {Text: "Usage", Href: "/usage"}, {Text: "Server", Href: "/server"}}

// write answers with a page. If err is not nil, the page says what did not work.
func (v *dashboardView) write(title string, content pages.Content, err error) error {
	frame := v.frame(title)
	for i, place := range places {
		place.Here = place.Href == v.r.URL.Path || i == 0 && strings.HasPrefix(v.r.URL.Path, "/user")
		frame.Places = append(frame.Places, place)
	}
	said := v.heard()
	if text := strings.TrimSpace(v.text.String()); text != "" {
		said = append(said, strings.Split(text, "\n")...)
	}
	status := http.StatusOK
	if err != nil {
		status = http.StatusUnprocessableEntity
		said = append([]string{formError(err)}, said...)
	}
	if len(said) > 0 {
		frame.Message = &pages.Message{Text: strings.Join(said, " "), Failed: err != nil}
	}
	return pages.Write(v.w, status, frame, content)
}

func (v *dashboardView) frame(title string) pages.Frame {
	v.mu.Lock()
	defer v.mu.Unlock()
	return pages.Frame{Title: title, Site: "Dashboard of " + v.siteName(), Token: v.formToken}
}

// siteName returns the name of the site whose users are managed.
func (d *dashboard) siteName() string {
	if len(d.a.site.hosts) > 0 {
		return d.a.site.hosts[0]
	}
	return d.a.site.apiBase
}

// ownForm reports whether token is that of the pages' forms.
func (d *dashboard) ownForm(token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.formToken != "" && subtle.ConstantTimeCompare([]byte(token), []byte(d.formToken)) == 1
}

// fail answers with a page that has only an error.
func (v *dashboardView) fail(err error) {
	status := http.StatusInternalServerError
	var refused *refusal
	if errors.As(err, &refused) {
		status = refused.status
	}
	frame := pages.Frame{Title: http.StatusText(status), Site: "Dashboard", Message: &pages.Message{Text: formError(err), Failed: true}}
	if status != http.StatusForbidden {
		frame = v.frame(frame.Title)
		frame.Message, frame.Places = &pages.Message{Text: formError(err), Failed: true}, places
	}
	if err := pages.Write(v.w, status, frame, pages.Notice{}); err != nil {
		http.Error(v.w, "The page cannot be written.", http.StatusInternalServerError)
	}
}

// formError returns the text of an error. Errors of the commands begin with the flag, which is the field in forms.
func formError(err error) string { return strings.TrimPrefix(err.Error(), "--") }

// lead leads the browser to another page. What has been said is shown there.
func (v *dashboardView) lead(path string) error {
	if text := strings.TrimSpace(v.text.String()); text != "" {
		v.say(strings.Split(text, "\n")...)
	}
	v.w.Header().Set("Location", path)
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.Header().Set("Referrer-Policy", "no-referrer")
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// hrefOf returns the path of a user's page.
func hrefOf(email string) string { return "/user?email=" + url.QueryEscape(email) }
