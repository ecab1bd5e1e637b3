package caddyauth

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// sessionHeaders are the headers in which clients name their session: Claude Code, Codex (newer and
// older), OpenCode (both) and Copilot CLI. They are looked at in this order.
var sessionHeaders = []string{
	"X-Claude-Code-Session-Id", "Session-Id", "Session_id", "X-Session-Id", "X-Session-Affinity", "X-Client-Session-Id",
}

// maxSession is how long the name of a session may be. Clients send some 40 characters; one that is
// longer counts as none.
const maxSession = 256

// sessionOf returns the id of the session that a request of the user belongs to: 32 hexadecimal digits of
// the SHA-256 of both. So the gateway can tell sessions apart, nobody enters another's, and no log has what
// the client calls it. "" where the client names none.
func sessionOf(email string, header http.Header) string {
	for _, name := range sessionHeaders {
		values := header[name]
		if len(values) == 0 || values[0] == "" {
			continue
		}
		if len(values[0]) > maxSession {
			return ""
		}
		sum := sha256.Sum256([]byte(email + "\x00" + values[0])) // a header's value holds no \x00
		return hex.EncodeToString(sum[:16])
	}
	return ""
}
