package caddyauth

import (
	"crypto/sha256"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// maxForm is larger than any form that a browser sends from a page of the portal.
const maxForm = 16 << 10

// signIn answers the form to sign in. The email and the key are judged as those of any other request are.
func (v *visit) signIn() error {
	form, err := v.readForm()
	if err != nil {
		return err
	}
	if !v.session.has(form.Get("token")) {
		v.rec.refuse(staleForm)
		return v.form(staleForm.Status, &pages.Message{Text: staleForm.Message, Failed: true}, form.Get("email"))
	}
	header := http.Header{"Authorization": {"Bearer " + form.Get("key")}, v.h.settings.emailHeader: {strings.TrimSpace(form.Get("email"))}}
	u, err := v.h.signIn(v.r, header, v.rec)
	var refused *hub.Error
	if errors.As(err, &refused) {
		return v.refuseSignIn(refused, form.Get("email"))
	}
	if err != nil {
		return err
	}
	_, key, _ := credentials(header, v.h.settings.emailHeader)
	sum := sha256.Sum256([]byte(key))
	v.session = newSession()
	v.session.Email, v.session.Key = u.email, sum[:]
	if err := v.h.portal.keys.keep(v.w, v.session); err != nil {
		return err
	}
	return v.goHome()
}

// refuseSignIn answers with the form again. All wrong credentials get the same answer.
func (v *visit) refuseSignIn(e *hub.Error, email string) error {
	v.rec.refuse(e)
	message := e.Message
	if e == invalidKey {
		message = "The email or the API key is wrong. Check both, or ask whoever gave you the key."
		v.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if e.RetryAfter != "" {
		v.w.Header().Set("Retry-After", e.RetryAfter)
	}
	return v.form(e.Status, &pages.Message{Text: message, Failed: true}, email)
}

// signOut ends the session in this browser.
func (v *visit) signOut() error {
	form, err := v.readForm()
	if err != nil {
		return err
	}
	if v.session.Email != "" && !v.session.has(form.Get("token")) {
		return staleForm
	}
	http.SetCookie(v.w, &http.Cookie{
		Name: sessionCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	return v.goHome()
}

// goHome leads the browser to the page at /.
func (v *visit) goHome() error {
	v.w.Header().Set("Location", v.base()+"/")
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// readForm reads the form and the session of a POST request. It refuses what comes from another site.
func (v *visit) readForm() (url.Values, error) {
	v.session = v.h.portal.keys.sessionOf(v.r)
	if v.h.portal.origins.Check(v.r) != nil {
		return nil, &hub.Error{Status: http.StatusForbidden, Code: "cross_origin", Message: "Another site has sent this form. Open this page itself."}
	}
	if kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &hub.Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request_error", Message: "This is not a form."}
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	err := v.r.ParseForm()
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, &hub.Error{Status: http.StatusRequestEntityTooLarge, Code: "request_too_large", Message: "This form is too long."}
	case v.r.Context().Err() != nil:
		return nil, clientGone(v.r.Context())
	case err != nil:
		return nil, &hub.Error{Status: http.StatusBadRequest, Code: "invalid_request_error", Message: "This form cannot be read."}
	}
	return v.r.PostForm, nil
}

// staleForm is the answer to a form without the token of the session. A browser that keeps no cookie gets it
// each time.
var staleForm = &hub.Error{
	Status: http.StatusForbidden, Code: "stale_form",
	Message: "This page was too old. Try again. If this happens each time, allow cookies, and open this page over HTTPS.",
}

// holder returns the user whose session it is, if the key that was used still lets that user in. A session cannot
// be made up, so one whose key has ended does not count as a failed sign-in.
func (v *visit) holder() (user, error) {
	if len(v.session.Key) != sha256.Size {
		return user{}, invalidKey
	}
	ctx, h := v.r.Context(), v.h
	record, from, err := h.cache.APIKeys.Look(ctx, v.session.Email, h.settings.ages, true)
	v.rec.lookup = from
	if from != cache.NotAsked {
		keyLookups[from].Inc()
	}
	switch {
	case ctx.Err() != nil:
		return user{}, clientGone(ctx)
	case !answered(err):
		return user{}, keystoreUnavailable(err)
	}
	v.rec.email, v.rec.key = v.session.Email, record
	if !record.CheckSum([sha256.Size]byte(v.session.Key), time.Now()) {
		return user{}, invalidKey
	}
	v.rec.signedIn, v.rec.keyID = true, keystore.KeyID(v.session.Key[:len(keystore.KeyID{})])
	return user{v.session.Email, record}, nil
}
