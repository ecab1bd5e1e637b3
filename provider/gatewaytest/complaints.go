package gatewaytest

import (
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// alwaysAllowed are the headers that every request may have.
var alwaysAllowed = []string{
	"Accept", "Accept-Encoding", "Content-Length", "Content-Type", "User-Agent", "Connection",
	"Cf-Aig-Authorization", "Cf-Aig-Metadata", "Cf-Aig-Session-Id",
}

// credentials are headers that may hold a client's own key. Only the values of a provider's
// settings may arrive in them.
var credentials = []string{"Authorization", "Api-Key", "X-Api-Key", "X-Goog-Api-Key"}

// forbidden are headers that must not arrive even if the operator allows them, because they
// identify the client or hold its secrets.
var forbidden = []string{"Cookie", "Forwarded", "Proxy-Authorization", "True-Client-Ip", "Via", "X-Real-Ip", "X-User-Email"}

// cacheHeaders are the gateway's own headers that an operator may allow.
var cacheHeaders = []string{"Cf-Aig-Cache-Key", "Cf-Aig-Cache-Ttl", "Cf-Aig-Skip-Cache"}

// sessionForm is a hash of 16 to 32 bytes in hexadecimal, or of 16 or 32 bytes in base64url. A client's own id
// of its session must not arrive as it is: another user could send the same. It is mostly a UUID.
var sessionForm = regexp.MustCompile(`^([0-9a-f]{32,64}|[0-9A-Za-z_-]{22}|[0-9A-Za-z_-]{43})$`)

// complaints returns what a correct client of the gateway would not send.
func (c *call) complaints() []string {
	found := c.pathComplaints()
	found = append(found, c.headerComplaints()...)
	found = append(found, metadataComplaints(c.request.Header["Cf-Aig-Metadata"])...)
	if values := c.request.Header["Cf-Aig-Session-Id"]; len(values) > 0 && !sessionForm.MatchString(values[0]) {
		found = append(found, "cf-aig-session-id is not a hash in hexadecimal or base64url")
	}
	if c.request.Method == http.MethodPost {
		if contentType, _, _ := mime.ParseMediaType(c.request.Header.Get("Content-Type")); contentType != "application/json" {
			found = append(found, "the Content-Type of a body in JSON is application/json")
		}
	}
	for _, name := range c.bodyTwice {
		found = append(found, "the body has "+strconv.Quote(name)+" twice")
	}
	return found
}

func (c *call) pathComplaints() []string {
	var found []string
	if strings.Contains(c.request.Path, "//") {
		found = append(found, "the path has an empty segment")
	}
	for segment := range strings.SplitSeq(c.request.Path, "/") {
		if segment == "." || segment == ".." {
			found = append(found, "the path has a segment "+segment)
		}
	}
	if strings.ContainsAny(c.request.Path, `%\`) {
		found = append(found, "the path has escapes or backslashes: models go into it raw")
	}
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		if len(c.query[name]) > 1 {
			found = append(found, "the query has "+strconv.Quote(name)+" twice")
		}
	}
	return found
}

func (c *call) headerComplaints() []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(c.request.Header)) {
		_, ours := c.configured(name)
		switch {
		case c.route == "anthropic" && strings.HasPrefix(name, "Anthropic-"):
		case ours || slices.Contains(alwaysAllowed, name):
			if len(c.request.Header[name]) > 1 {
				found = append(found, "the header "+name+" comes twice")
			}
		case slices.Contains(credentials, name):
			// If the provider is not known, it is not known whose credentials these are.
			if c.provider != "" {
				found = append(found, "the header "+name+" is no credential of "+c.provider)
			}
		case c.mustNotArrive(name):
			found = append(found, "the header "+name+" must never arrive")
		case !slices.ContainsFunc(c.config.ClientHeaders, func(allowed string) bool { return http.CanonicalHeaderKey(allowed) == name }):
			found = append(found, "the header "+name+" is on no allow-list")
		}
	}
	return found
}

func (c *call) mustNotArrive(name string) bool {
	return slices.Contains(forbidden, name) || strings.HasPrefix(name, "X-Forwarded-") ||
		strings.HasPrefix(name, "Cf-") && !slices.Contains(cacheHeaders, name)
}

// maxMetadata is the number of entries that the gateway keeps. It ignores the rest
// (https://developers.cloudflare.com/ai-gateway/observability/custom-metadata/).
const maxMetadata = 5

// metadataComplaints returns what is wrong with the values of cf-aig-metadata, which must name the
// user.
func metadataComplaints(values []string) []string {
	if len(values) == 0 {
		return []string{"cf-aig-metadata is missing"}
	}
	o, twice, err := decodeObject([]byte(values[0]))
	if err != nil {
		return []string{"cf-aig-metadata is not a JSON object"}
	}
	var found []string
	if order := names([]byte(values[0])); len(order) == 0 || order[0] != "user" {
		found = append(found, "cf-aig-metadata does not begin with user")
	} else if len(order) > maxMetadata {
		found = append(found, "cf-aig-metadata has more than 5 entries")
	}
	if len(twice) > 0 {
		found = append(found, "cf-aig-metadata has an entry twice")
	}
	if user, ok := o["user"].(string); !ok || user == "" {
		found = append(found, "cf-aig-metadata's user is not a text")
	}
	if strings.ContainsFunc(values[0], func(c rune) bool { return c < ' ' || c > '~' }) {
		found = append(found, "cf-aig-metadata is not ASCII")
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		switch o[name].(type) {
		case string, json.Number, bool:
		default:
			found = append(found, "cf-aig-metadata's "+strconv.Quote(name)+" is not a text, a number or a boolean")
		}
		if strings.HasPrefix(name, "cf.") {
			found = append(found, "cf-aig-metadata's "+strconv.Quote(name)+" is reserved")
		}
	}
	return found
}
