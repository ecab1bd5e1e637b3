package caddyauth

import (
	"net/http"
	"slices"
	"strings"
)

// keyHeaders are the request headers that hold a user's key. Clients differ in which they can set:
// OpenAI's and Anthropic's set the first, Anthropic's the second too, Azure's and Continue the third,
// and Google's the fourth.
var keyHeaders = []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"}

// credentials reads the key and the email of a request. The key is in any of keyHeaders, as `<key>` with
// the email in a header of its own, or as `<email>:<key>` alone. ok is false where there is no key, or
// no email, or where two of them differ. A header that is empty says nothing. The URL is not looked at:
// it ends up in logs.
//
// A key may hold colons: where the email is known, from its header or from another of the keys, what
// stands before a colon is an email only if it is that one, in letters of any size. Another email is so
// part of a key, and a wrong one.
func credentials(header http.Header, emailHeader string) (email, key string, ok bool) {
	var memory [4]string // one for each of keyHeaders
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

// presented appends what the headers for keys hold to tokens. ok is false where one stands twice, or
// where Authorization has another scheme than Bearer.
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

// failedKeys is what the headers for keys hold, whatever it is, to tell one failed sign-in from another.
func failedKeys(header http.Header) string {
	var all []string
	for _, name := range keyHeaders {
		all = append(all, header[name]...)
	}
	return strings.Join(all, " ")
}
