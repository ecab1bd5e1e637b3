package caddyauth

import (
	"net/http"
	"slices"
	"strings"
)

// keyHeaders are the request headers that may contain a user's key. Not every client can set every header:
// OpenAI's clients set the first, Anthropic's the first or the second, Azure's and Continue the third, and
// Google's the fourth.
var keyHeaders = []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"}

// credentials reads the key and the email of a request. The key is in one or more of keyHeaders. It is either
// `<key>`, with the email in the header emailHeader, or `<email>:<key>`. ok is false if the key or the email
// is missing, or if two of them differ. Empty headers are ignored. The URL is ignored too, because URLs are
// logged.
//
// A key may contain colons. If the email is known, from its header or from another key, the part before a
// colon counts as an email only if it is the same one, in any case. So a different email there makes the key
// wrong.
func credentials(header http.Header, emailHeader string) (email, key string, ok bool) {
	var memory [4]string // one element for each of keyHeaders
	tokens, ok := presented(header, memory[:0])
	emails := header[emailHeader]
	if !ok || len(emails) > 1 {
		return "", "", false
	}
	if len(emails) == 1 {
		email = emails[0]
	}
	if email == "" {
		named := slices.IndexFunc(tokens, func(token string) bool { return strings.Contains(token, ":") })
		if named < 0 {
			return "", "", false
		}
		email, _, _ = strings.Cut(tokens[named], ":")
	}
	for i, token := range tokens {
		first, rest, colon := strings.Cut(token, ":")
		if colon && strings.EqualFold(first, email) {
			token = rest
		}
		if i > 0 && token != key {
			return "", "", false
		}
		key = token
	}
	return email, key, email != "" && key != ""
}

// presented appends the values of keyHeaders to tokens. ok is false if a header occurs more than once, or if
// the scheme of Authorization is not Bearer.
func presented(header http.Header, tokens []string) (_ []string, ok bool) {
	for i, name := range keyHeaders {
		values := header[name]
		if len(values) > 1 {
			return nil, false
		}
		if len(values) == 0 || values[0] == "" {
			continue
		}
		token := values[0]
		if i == 0 {
			scheme, rest, _ := strings.Cut(token, " ")
			if !strings.EqualFold(scheme, "Bearer") {
				return nil, false
			}
			token = rest
		}
		if token = strings.TrimSpace(token); token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens, true
}

// failedKeys returns the values of keyHeaders, valid or not, to tell one failed sign-in from another.
func failedKeys(header http.Header) string {
	var all []string
	for _, name := range keyHeaders {
		all = append(all, header[name]...)
	}
	return strings.Join(all, " ")
}
