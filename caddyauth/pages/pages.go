// Package pages renders the pages for developers and for the operator. They are plain HTML with one style sheet.
// A small script adds the buttons that copy text. A page loads nothing from other sites.
package pages

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
)

//go:embed html/*.html
var sources embed.FS

// Content is what a page shows between its header and its footer.
type Content interface {
	// template returns the name of the content's file, without its ending.
	template() string
}

// Frame is what all pages have around their content.
type Frame struct {
	// Base is the path below which all links are, without a slash at its end. Static files are in the folder
	// `portal` there.
	Base string

	// Title is the page's name, and Site the name of the place that the page belongs to.
	Title, Site string

	// Places are the other pages. Nil means that there is only one.
	Places []Link

	// User is who is signed in, with a button to sign out, or "".
	User string

	// Token is sent with each form. It shows that the form comes from a page of this server.
	Token string

	// Message says what has just happened, or is nil.
	Message *Message

	// Reload makes the browser ask for the page again at once.
	Reload bool
}

// Link leads to another page, or to another view of the same page.
type Link struct {
	Text, Href string
	Here       bool // the link leads to what is shown now
}

// Message is a sentence above the content.
type Message struct {
	Text   string
	Failed bool // it says why something did not work
}

// Notice is a page that only has a message.
type Notice struct{}

func (Notice) template() string { return "notice" }

// templates has a template for each file but the frame.
var templates = parse()

func parse() map[string]*template.Template {
	frame := template.Must(template.New("").Funcs(functions).ParseFS(sources, "html/frame.html", "html/parts.html"))
	parsed := make(map[string]*template.Template)
	for _, name := range []string{"notice", "signin", "portal", "users", "user", "adduser", "removeuser", "providers", "usage", "server"} {
		parsed[name] = template.Must(template.Must(frame.Clone()).ParseFS(sources, "html/"+name+".html"))
	}
	return parsed
}

// Write answers with a page. Nothing keeps a copy of it, since it is made for one user.
func Write(w http.ResponseWriter, status int, frame Frame, content Content) error {
	var b bytes.Buffer
	err := templates[content.template()].ExecuteTemplate(&b, "frame.html", struct {
		Frame
		Content Content
	}{frame, content})
	if err != nil {
		return err
	}
	setHeaders(w.Header())
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err = w.Write(b.Bytes())
	return err
}

// policy allows only what is on this site: no code and no style within pages, no frame around them, and no form
// that leads elsewhere.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// setHeaders sets the headers of all answers, those of static files included.
func setHeaders(header http.Header) {
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers hide the origin of the page's own forms too
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
}
