package caddyauth

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// portal is the page at / on which developers see their account.
type portal struct {
	keys *sealingKeys

	// origins refuses forms that another site sends.
	origins *http.CrossOriginProtection
}

func newPortal(storage certmagic.Storage, logger *zap.Logger) *portal {
	return &portal{newSealingKeys(storage, logger), http.NewCrossOriginProtection()}
}

// The paths of the portal's forms. The static files are in the same folder.
const (
	signInPath  = pages.Folder + "sign-in"
	signOutPath = pages.Folder + "sign-out"
)

// servePortal answers requests for the portal. It reports false for all others, such as HEAD /, which is the
// probe of an agent.
func (h *Handler) servePortal(w http.ResponseWriter, r *http.Request, rec *record) (served bool, err error) {
	if h.portal == nil {
		return false, nil
	}
	v := &visit{h: h, w: w, r: r, rec: rec}
	answer, method := v.file, http.MethodGet
	switch {
	case r.URL.Path == "/" && r.Method == http.MethodHead:
		return false, nil
	case r.URL.Path == "/":
		answer = v.home
	case r.URL.Path == signInPath:
		answer, method = v.signIn, http.MethodPost
	case r.URL.Path == signOutPath:
		answer, method = v.signOut, http.MethodPost
	case !strings.HasPrefix(r.URL.Path, pages.Folder):
		return false, nil
	}
	rec.wire = openai.Format{}
	w.Header()["X-Request-Id"] = rec.id[:]
	if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
		return true, v.wrongMethod(method)
	}
	err = answer()
	var refused *hub.Error
	if errors.As(err, &refused) {
		return true, v.refuse(refused)
	}
	return true, err
}

// visit is a request for the portal.
type visit struct {
	h       *Handler
	w       http.ResponseWriter
	r       *http.Request
	rec     *record
	session session // of the cookie, or a new one
}

// base returns the path that was removed from the request before, as handle_path does, escaped and without a slash
// at the end. It never begins with two slashes, which would lead to another host.
func (v *visit) base() string {
	original, ok := v.r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return ""
	}
	prefix, ok := strings.CutSuffix(original.URL.Path, v.r.URL.Path)
	if !ok && v.r.URL.Path == "/" { // the whole path was removed, which had no slash at its end
		prefix, ok = original.URL.Path, true
	}
	if !ok {
		return ""
	}
	removed := url.URL{Path: path.Clean("/" + prefix)}
	return strings.TrimSuffix(removed.EscapedPath(), "/")
}

func (v *visit) frame(title string) pages.Frame {
	return pages.Frame{Base: v.base(), Title: title, Site: v.r.Host, Token: v.session.Token}
}

// home answers GET /: with the account of the developer who is signed in, or with the form to sign in.
func (v *visit) home() error {
	v.session = v.h.portal.keys.sessionOf(v.r)
	if v.session.Token == "" && v.r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		// A browser sends no cookie if a link of another site led here. It does when the page loads itself.
		frame := v.frame("One moment")
		frame.Reload = true
		return pages.Write(v.w, http.StatusOK, frame, pages.Notice{})
	}
	if v.session.Email == "" {
		return v.form(http.StatusOK, nil, "")
	}
	u, err := v.holder()
	if errors.Is(err, invalidKey) {
		v.session = session{}
		return v.form(http.StatusOK, &pages.Message{Text: "You are signed out. Your key is no longer valid, or your account is disabled.", Failed: true}, "")
	}
	if err != nil {
		return err
	}
	return v.account(u)
}

// file answers with a static file.
func (v *visit) file() error {
	if pages.ServeStatic(v.w, strings.TrimPrefix(v.r.URL.Path, pages.Folder)) {
		return nil
	}
	return &hub.Error{Status: http.StatusNotFound, Code: "not_found", Message: "There is no such page."}
}

func (v *visit) wrongMethod(method string) error {
	if method == http.MethodGet {
		method = "GET, HEAD"
	}
	v.w.Header().Set("Allow", method)
	return v.refuse(&hub.Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "This address takes " + method + " requests only."})
}

// refuse answers with a page that has only an error.
func (v *visit) refuse(e *hub.Error) error {
	v.rec.refuse(e)
	if e.RetryAfter != "" {
		v.w.Header().Set("Retry-After", e.RetryAfter)
	}
	frame := v.frame(http.StatusText(e.Status))
	frame.Message = &pages.Message{Text: e.Message, Failed: true}
	return pages.Write(v.w, e.Status, frame, pages.Notice{})
}

// form answers with the form to sign in. If there is no session, it begins one, which protects the form.
func (v *visit) form(status int, message *pages.Message, email string) error {
	if v.session.Token == "" {
		v.session = newSession()
		if err := v.h.portal.keys.keep(v.w, v.session); err != nil {
			return err
		}
	}
	frame := v.frame("Sign in")
	frame.Message = message
	return pages.Write(v.w, status, frame, pages.SignIn{Email: email})
}
