package anthropic

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// encodedID is what ids begin with that stand for those of providers that Anthropic's clients do not take.
const encodedID = "toolu_b64_"

// clientID is a provider's id of a tool call as Anthropic's clients take it: ^[a-zA-Z0-9_-]+$. An id that is
// not of that form is encoded, so that it can be turned back: providers know their calls by it.
func clientID(id string) string {
	if fits(id) && !strings.HasPrefix(id, encodedID) {
		return id
	}
	return encodedID + base64.RawURLEncoding.EncodeToString([]byte(id))
}

// providerID is the reverse of clientID. An id that clientID has not made stays as it is.
func providerID(id string) string {
	encoded, ok := strings.CutPrefix(id, encodedID)
	if !ok {
		return id
	}
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !utf8.Valid(decoded) || clientID(string(decoded)) != id {
		return id
	}
	return string(decoded)
}

// fits reports whether an id is of the form that Anthropic's clients take.
func fits(id string) bool {
	for _, c := range []byte(id) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return id != ""
}
