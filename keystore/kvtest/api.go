package kvtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// These are Cloudflare's codes. codeInvalid stands for the codes of malformed calls, of which there
// is no public list.
const (
	codeInvalid           = 10001
	codeNoRoute           = 7000
	codeCouldNotRoute     = 7003
	codeAuthentication    = 10000
	codeKeyNotFound       = 10009
	codeNamespaceNotFound = 10013
)

// call is a request after routing.
type call struct {
	operation          Operation
	account, namespace string
	key                string // for operations on one value
}

// route finds the operation from the method and the unescaped path. A name in the path is one
// escaped segment.
func route(r *http.Request) call {
	none := call{operation: Unrouted}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/client/v4/accounts/")
	part := strings.Split(path, "/")
	if !ok || len(part) < 6 || strings.Join(part[1:4], "/") != "storage/kv/namespaces" {
		return none
	}
	c := call{account: part[0], namespace: part[4]}
	rest := part[5:]
	if len(rest) == 2 && (rest[0] == "values" || rest[0] == "metadata") {
		key, err := url.PathUnescape(rest[1])
		if err != nil || !validKey(key) {
			return none
		}
		c.key, rest[1] = key, "{key}"
	}
	c.operation, ok = map[string]Operation{
		"GET values/{key}":    ReadValue,
		"PUT values/{key}":    WriteValue,
		"DELETE values/{key}": DeleteValue,
		"GET metadata/{key}":  ReadMetadata,
		"GET keys":            ListKeys,
		"POST bulk/get":       BulkRead,
		"PUT bulk":            BulkWrite,
		"POST bulk/delete":    BulkDelete,
	}[r.Method+" "+strings.Join(rest, "/")]
	if !ok {
		return none
	}
	return c
}

// called has the names that Cloudflare's errors give to operations, as far as Miniflare has them.
var called = map[Operation]string{
	ReadValue: "get", WriteValue: "put", DeleteValue: "remove key", ListKeys: "list keys", BulkRead: "bulk get keys",
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, c call) {
	r.Body = http.MaxBytesReader(w, r.Body, 100<<20)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	readOnly := token == ReadOnlyToken || strings.HasPrefix(token, ReadOnlyToken+"-")
	write := c.operation == WriteValue || c.operation == DeleteValue || c.operation == BulkWrite || c.operation == BulkDelete
	switch {
	case c.operation == Unrouted || c.account != AccountID:
		fail(w, http.StatusNotFound, message{codeCouldNotRoute, "Could not route to " + r.URL.Path}, message{codeNoRoute, "No route for that URI"})
		return
	case !readOnly && token != APIToken && !strings.HasPrefix(token, APIToken+"-"):
		fail(w, http.StatusUnauthorized, message{codeAuthentication, "Authentication error"})
		return
	case write && readOnly:
		fail(w, http.StatusForbidden, message{codeAuthentication, "Authentication error"})
		return
	case s.namespaces[c.namespace] == nil:
		fail(w, http.StatusNotFound, message{codeNamespaceNotFound, cmp.Or(called[c.operation], string(c.operation)) + ": 'namespace not found'"})
		return
	}
	map[Operation]func(http.ResponseWriter, *http.Request, call){
		ReadValue: s.readValue, ReadMetadata: s.readMetadata, WriteValue: s.writeValue, DeleteValue: s.deleteValue,
		ListKeys: s.listKeys, BulkRead: s.bulkRead, BulkWrite: s.bulkWrite, BulkDelete: s.bulkDelete,
	}[c.operation](w, r, c)
}

func (s *Server) readValue(w http.ResponseWriter, _ *http.Request, c call) {
	e := s.get(c.namespace, c.key)
	if e == nil {
		fail(w, http.StatusNotFound, message{codeKeyNotFound, "get: 'key not found'"})
		return
	}
	if e.expiration != 0 {
		w.Header().Set("Expiration", strconv.FormatInt(e.expiration, 10))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(e.value)
}

func (s *Server) readMetadata(w http.ResponseWriter, _ *http.Request, c call) {
	e := s.get(c.namespace, c.key)
	if e == nil {
		fail(w, http.StatusNotFound, message{codeKeyNotFound, "metadata: 'key not found'"})
		return
	}
	succeed(w, e.metadata, nil)
}

func (s *Server) writeValue(w http.ResponseWriter, r *http.Request, c call) {
	e, err := readEntry(r)
	if err != nil {
		invalid(w, err.Error())
		return
	}
	s.put(c.namespace, c.key, e)
	succeed(w, nil, nil)
}

func (s *Server) deleteValue(w http.ResponseWriter, _ *http.Request, c call) {
	s.Delete(c.namespace, c.key)
	succeed(w, nil, nil)
}

// listed is a key in a listing.
type listed struct {
	Name       string          `json:"name"`
	Expiration int64           `json:"expiration,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

// listKeys lets deleted and expired keys take their place in a page. So a page can be empty and
// still have a cursor (https://developers.cloudflare.com/kv/api/list-keys/).
func (s *Server) listKeys(w http.ResponseWriter, r *http.Request, c call) {
	query := r.URL.Query()
	limit, err := 1000, error(nil)
	if query.Has("limit") {
		limit, err = strconv.Atoi(query.Get("limit"))
	}
	after, ok := s.after(query.Get("cursor"))
	if err != nil || limit < 10 || limit > 1000 || !ok {
		invalid(w, "limit must be 10 to 1000, cursor one of ours")
		return
	}
	page, cursor, places, last := []listed{}, "", 0, ""
	for _, name := range s.names(c.namespace) {
		if name <= after || !strings.HasPrefix(name, query.Get("prefix")) {
			continue
		}
		if places == limit {
			cursor = s.newCursor(last)
			break
		}
		places, last = places+1, name
		if e := s.get(c.namespace, name); e != nil {
			page = append(page, listed{name, e.expiration, e.metadata})
		}
	}
	succeed(w, page, map[string]any{"count": len(page), "cursor": cursor})
}

// validKey reports whether Cloudflare accepts key
// (https://developers.cloudflare.com/kv/api/write-key-value-pairs/).
func validKey(key string) bool {
	return key != "" && key != "." && key != ".." && len(key) <= 512
}

// expires returns when a pair expires, in Unix seconds. 0 means never. ttl counts more than
// expiration. A pair must live for at least a minute.
func expires(expiration, ttl float64) (int64, error) {
	now := time.Now().Unix()
	switch {
	case ttl == 0 && expiration == 0:
		return 0, nil
	case ttl == 0 && int64(expiration) < now+60:
		return 0, errors.New("expiration must be at least 60 seconds in the future")
	case ttl == 0:
		return int64(expiration), nil
	case ttl < 60:
		return 0, errors.New("expiration_ttl must be at least 60")
	}
	return now + int64(ttl), nil
}

type message struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

type envelope struct {
	Result     any       `json:"result"`
	Success    bool      `json:"success"`
	Errors     []message `json:"errors"`
	Messages   []message `json:"messages"`
	ResultInfo any       `json:"result_info,omitempty"`
}

func succeed(w http.ResponseWriter, result, info any) {
	reply(w, http.StatusOK, envelope{Result: result, Success: true, Errors: []message{}, Messages: []message{}, ResultInfo: info})
}

func invalid(w http.ResponseWriter, text string) {
	fail(w, http.StatusBadRequest, message{codeInvalid, text})
}

func fail(w http.ResponseWriter, status int, errs ...message) {
	reply(w, status, envelope{Errors: errs, Messages: []message{}})
}

func reply(w http.ResponseWriter, status int, e envelope) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(e)
}
