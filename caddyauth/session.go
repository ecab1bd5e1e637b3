package caddyauth

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// sessionHeaders are the headers with which clients name their session, in the order in which they are
// checked: Claude Code, Codex (newer and older), OpenCode (both) and Copilot CLI.
var sessionHeaders = []string{
	"X-Claude-Code-Session-Id", "Session-Id", "Session_id", "X-Session-Id", "X-Session-Affinity", "X-Client-Session-Id",
}

// maxSession is the maximum length of a session's name. Clients send about 40 characters. A longer name is
// ignored.
const maxSession = 256

// sessionOf returns the ID of the session of a request: 32 hexadecimal digits of the SHA-256 of the user and
// the client's name for the session. So the gateway can tell sessions apart, users cannot join the sessions
// of others, and no log contains the client's name for it. It returns "" if the client names no session.
func sessionOf(email string, header http.Header) string {
	for _, name := range sessionHeaders {
		values := header[name]
		if len(values) == 0 || values[0] == "" {
			continue
		}
		if len(values[0]) > maxSession {
			return ""
		}
		sum := sha256.Sum256([]byte(email + "\x00" + values[0])) // a header cannot contain \x00
		return hex.EncodeToString(sum[:16])
	}
	return ""
}
