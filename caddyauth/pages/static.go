package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var staticFiles embed.FS

// Folder is the folder of the static files, below the base of all pages.
const Folder = "/portal/"

// asset is a static file.
type asset struct {
	name    string // with a part of the content's hash, so that a browser can keep the file for ever
	kind    string // the Content-Type
	content []byte
}

// kinds are the Content-Types of static files.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// assets has the static files by their plain names, and served has them by the names in pages.
var assets, served = load()

func load() (plain, hashed map[string]asset) {
	plain, hashed = make(map[string]asset), make(map[string]asset)
	for _, name := range []string{"style.css", "copy.js", "icon.svg"} {
		content, err := staticFiles.ReadFile("static/" + name)
		if err != nil {
			panic(err) // the program was built without the file
		}
		sum, ending := sha256.Sum256(content), path.Ext(name)
		a := asset{strings.TrimSuffix(name, ending) + "-" + hex.EncodeToString(sum[:6]) + ending, kinds[ending], content}
		plain[name], hashed[a.name] = a, a
	}
	return plain, hashed
}

// ServeStatic answers with the static file of that name, such as style-0123456789ab.css. It reports false if
// there is none.
func ServeStatic(w http.ResponseWriter, name string) bool {
	a, ok := served[name]
	if !ok {
		return false
	}
	header := w.Header()
	setHeaders(header)
	header.Set("Content-Type", a.kind)
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Content-Length", strconv.Itoa(len(a.content)))
	_, _ = w.Write(a.content) // a client that has gone cannot be told
	return true
}
