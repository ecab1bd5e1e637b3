package caddyauth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

const (
	// sessionLength is how long a developer stays signed in.
	sessionLength = 12 * time.Hour

	// sessionCookie is the name of the cookie. Because of its prefix, browsers take it only from this very host,
	// over HTTPS or from loopback, for all paths.
	sessionCookie = "__Host-continue_auth"

	// maxCookie is longer than any cookie that was made here.
	maxCookie = 4096
)

// session is what a cookie holds, sealed. A session without an email only protects the form to sign in.
type session struct {
	// Email is the name of the user's record, and Key the SHA-256 of the key that was used. The key itself is
	// not in the session. Both are checked with each view.
	Email string `json:"email,omitempty"`
	Key   []byte `json:"key,omitempty"`

	// Token is sent with each form too. Another site can neither read it nor guess it.
	Token string `json:"token"`

	Ends time.Time `json:"ends"`
}

func newSession() session { return session{Token: rand.Text(), Ends: time.Now().Add(sessionLength)} }

// has reports whether token is the session's.
func (s *session) has(token string) bool {
	return s.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.Token)) == 1
}

// purpose is authenticated with each session, so that nothing else that is sealed counts as one.
var purpose = []byte("session")

// seal returns the value of a session's cookie.
func (s *sealingKeys) seal(one session) (string, error) {
	key, err := s.current()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(one)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(key.aead.Seal(key.id[:], nil, text, purpose)), nil //nolint:gosec // the nonce is random, see prepare
}

// open returns the session in the value of a cookie. If it was not sealed here, or has ended, open returns the
// zero session.
func (s *sealingKeys) open(value string) session {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(value) > maxCookie || len(sealed) < 4 {
		return session{}
	}
	key := s.find([4]byte(sealed))
	if key == nil {
		return session{}
	}
	text, err := key.aead.Open(nil, nil, sealed[4:], purpose)
	if err != nil {
		return session{}
	}
	var one session
	if err := json.Unmarshal(text, &one); err != nil || !time.Now().Before(one.Ends) {
		return session{}
	}
	return one
}

// sessionOf returns the session of a request, or the zero session.
func (s *sealingKeys) sessionOf(r *http.Request) session {
	cookies := r.CookiesNamed(sessionCookie)
	if len(cookies) != 1 {
		return session{}
	}
	return s.open(cookies[0].Value)
}

// keep sends a session to the browser.
func (s *sealingKeys) keep(w http.ResponseWriter, one session) error {
	value, err := s.seal(one)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: int(time.Until(one.Ends).Seconds()),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	return nil
}
