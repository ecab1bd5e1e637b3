package kvtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// client sends plain HTTP requests to a Server.
type client struct {
	*testing.T
	*Server
	token string
}

func newClient(t *testing.T) *client {
	return &client{T: t, Server: NewServer(t), token: APIToken}
}

// send returns the status and the body of the answer. path is relative to the namespace ApiKeys.
func (c *client) send(method, path, body string) (int, string) {
	c.Helper()
	return c.sendTo(c.URL+"/accounts/"+AccountID+"/storage/kv/namespaces/"+APIKeys+path, method, body, "")
}

func (c *client) sendTo(url, method, body, contentType string) (int, string) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, url, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	reply, err := io.ReadAll(res.Body)
	if err != nil {
		c.Fatal(err)
	}
	return res.StatusCode, string(reply)
}

// want sends a request and compares the answer.
func (c *client) want(method, path, body string, status int, reply string) {
	c.Helper()
	if s, b := c.send(method, path, body); s != status || strings.TrimSpace(b) != reply {
		c.Errorf("%s %s: %d %s, want %d %s", method, path, s, b, status, reply)
	}
}

const done = `{"result":null,"success":true,"errors":[],"messages":[]}`

func failure(code int, text string) string {
	return fmt.Sprintf(`{"result":null,"success":false,"errors":[{"code":%d,"message":%q}],"messages":[]}`, code, text)
}

func TestAValueIsReadBackWithoutEnvelope(t *testing.T) {
	c := newClient(t)
	c.want("PUT", "/values/dev%2B1%40example.com", `{"status":"Enabled"}`, 200, done)
	c.want("GET", "/values/dev%2B1%40example.com", "", 200, `{"status":"Enabled"}`)
	c.want("GET", "/values/dev+1@example.com", "", 200, `{"status":"Enabled"}`)
	if value, ok := c.Get(APIKeys, "dev+1@example.com"); !ok || value != `{"status":"Enabled"}` {
		t.Errorf("Get: %q, %t", value, ok)
	}
	c.want("GET", "/metadata/dev%2B1%40example.com", "", 200, done)
	c.want("DELETE", "/values/dev%2B1%40example.com", "", 200, done)
	c.want("GET", "/values/dev%2B1%40example.com", "", 404, failure(10009, "get: 'key not found'"))
	c.want("GET", "/metadata/dev%2B1%40example.com", "", 404, failure(10009, "metadata: 'key not found'"))
	c.want("DELETE", "/values/dev%2B1%40example.com", "", 200, done)
}

func TestAFormMayHaveMetadata(t *testing.T) {
	c := newClient(t)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for name, value := range map[string]string{"value": "v", "metadata": `{"m":1}`} {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	url := c.URL + "/accounts/" + AccountID + "/storage/kv/namespaces/" + APIKeys + "/values/k?expiration_ttl=60"
	if status, body := c.sendTo(url, "PUT", form.String(), w.FormDataContentType()); status != 200 {
		t.Fatal(status, body)
	}
	c.want("GET", "/values/k", "", 200, "v")
	c.want("GET", "/metadata/k", "", 200, `{"result":{"m":1},"success":true,"errors":[],"messages":[]}`)
	status, body := c.send("POST", "/bulk/get", `{"keys":["k"],"withMetadata":true}`)
	if status != 200 || !strings.Contains(body, `{"values":{"k":{"value":"v","metadata":{"m":1},"expiration":`) {
		t.Error(status, body)
	}
	for _, form := range []string{"", "--x\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n1\r\n--x--\r\n"} {
		if status, body := c.sendTo(url, "PUT", form, "multipart/form-data; boundary=x"); status != 400 {
			t.Error(status, body)
		}
	}
}

func TestABulkReadHasNullForMissingNames(t *testing.T) {
	c := newClient(t)
	c.Put(APIKeys, "a", `{"n":1}`)
	c.want("POST", "/bulk/get", `{"keys":["a","b"],"type":"text"}`, 200,
		`{"result":{"values":{"a":"{\"n\":1}","b":null}},"success":true,"errors":[],"messages":[]}`)
	c.want("POST", "/bulk/get", `{"keys":["a","b"],"type":"json"}`, 200,
		`{"result":{"values":{"a":{"n":1},"b":null}},"success":true,"errors":[],"messages":[]}`)
	c.want("POST", "/bulk/get", `{"keys":["a","b"],"withMetadata":true}`, 200,
		`{"result":{"values":{"a":{"value":"{\"n\":1}","metadata":null},"b":null}},"success":true,"errors":[],"messages":[]}`)
	c.Put(APIKeys, "b", "no JSON")
	c.want("POST", "/bulk/get", `{"keys":["b"],"type":"json"}`, 400, failure(codeInvalid, "a value is not JSON"))
}

func TestATooLargeBulkReadIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
	c := newClient(t)
	c.Put(APIKeys, "a", strings.Repeat("v", 13<<20))
	c.Put(APIKeys, "b", strings.Repeat("v", 12<<20))
	c.Put(APIKeys, "c", "v")
	if status, body := c.send("POST", "/bulk/get", `{"keys":["a","b","x"]}`); status != 200 {
		t.Errorf("%d %.300s", status, body)
	}
	c.want("POST", "/bulk/get", `{"keys":["a","b","c"]}`, 413, failure(codeInvalid, "Total size of request exceeds the limit of 25MB"))
}

func TestABulkReadHasOneToAHundredKeys(t *testing.T) {
	c := newClient(t)
	keys := func(n int) string {
		b, _ := json.Marshal(map[string]any{"keys": strings.Fields(strings.Repeat("k ", n))})
		return string(b)
	}
	refused := failure(codeInvalid, "there must be 1 to 100 keys")
	for body, want := range map[string]int{keys(1): 200, keys(100): 200, keys(101): 400, `{"keys":[]}`: 400, `{"keys":[""]}`: 400, `{`: 400} {
		if status, reply := c.send("POST", "/bulk/get", body); status != want || status == 400 && strings.TrimSpace(reply) != refused {
			t.Errorf("%d bytes: %d %s", len(body), status, reply)
		}
	}
}

func TestInvalidBulkWritesAndDeletesAreRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
	c := newClient(t)
	c.want("PUT", "/bulk", `[{"key":"a","value":"1"},{"key":"b","value":"Mg==","base64":true},{"key":"c","value":"3","expiration_ttl":60,"metadata":{}}]`,
		200, `{"result":{"successful_key_count":3,"unsuccessful_keys":[]},"success":true,"errors":[],"messages":[]}`)
	c.want("GET", "/values/b", "", 200, "2")
	c.want("POST", "/bulk/delete", `["a","x"]`, 200, `{"result":{"successful_key_count":2,"unsuccessful_keys":[]},"success":true,"errors":[],"messages":[]}`)
	c.want("GET", "/values/a", "", 404, failure(10009, "get: 'key not found'"))

	for name, tt := range map[string]struct{ method, path, body string }{
		"not an array":                   {"PUT", "/bulk", `{}`},
		"no key":                         {"PUT", "/bulk", `[{"value":"1"}]`},
		"no value":                       {"PUT", "/bulk", `[{"key":"a"}]`},
		"not base64":                     {"PUT", "/bulk", `[{"key":"a","value":"%","base64":true}]`},
		"expired":                        {"PUT", "/bulk", `[{"key":"a","value":"1","expiration":1}]`},
		"an expiration that is too soon": {"PUT", "/bulk", fmt.Sprintf(`[{"key":"a","value":"1","expiration":%d}]`, time.Now().Unix()+59)},
		"too many pairs":                 {"PUT", "/bulk", "[" + strings.Repeat(`{"key":"a","value":"1"},`, 10_000) + `{"key":"a","value":"1"}]`},
		"too many names":                 {"POST", "/bulk/delete", "[" + strings.Repeat(`"a",`, 10_000) + `"a"]`},
		"a short life":                   {"PUT", "/bulk", `[{"key":"a","value":"1","expiration_ttl":59}]`},
		"one bad pair among others":      {"PUT", "/bulk", `[{"key":"a","value":"1"},{"key":"a"}]`},
		"large metadata":                 {"PUT", "/bulk", `[{"key":"a","value":"1","metadata":"` + strings.Repeat("m", 1024) + `"}]`},
		"a large value":                  {"PUT", "/values/a", strings.Repeat("v", 25<<20+1)},
		"a name instead of names":        {"POST", "/bulk/delete", `"a"`},
		"expiration is not a number":     {"PUT", "/values/a?expiration=soon", "1"},
		"ttl is not a number":            {"PUT", "/values/a?expiration_ttl=long", "1"},
		"ttl is short":                   {"PUT", "/values/a?expiration_ttl=1", "1"},
	} {
		if status, body := c.send(tt.method, tt.path, tt.body); status != 400 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if _, ok := c.Get(APIKeys, "a"); ok {
		t.Error("a refused write was kept")
	}
}

func TestPairsExpire(t *testing.T) {
	c := newClient(t)
	soon := time.Now().Unix() + 3600
	c.want("PUT", "/values/k?expiration="+strconv.FormatInt(soon, 10), "v", 200, done)
	c.want("GET", "/keys", "", 200, fmt.Sprintf(`{"result":[{"name":"k","expiration":%d}],"success":true,"errors":[],"messages":[],"result_info":{"count":1,"cursor":""}}`, soon))
	c.put(APIKeys, "k", &entry{value: []byte("v"), expiration: time.Now().Unix()})
	c.want("GET", "/values/k", "", 404, failure(10009, "get: 'key not found'"))
	c.want("GET", "/keys", "", 200, `{"result":[],"success":true,"errors":[],"messages":[],"result_info":{"count":0,"cursor":""}}`)
}

// list follows cursors and returns all names and the size of each page.
func list(c *client, query string) (names []string, pages []int) {
	c.Helper()
	for cursor := ""; ; {
		status, body := c.send("GET", "/keys?"+query+"&cursor="+cursor, "")
		var reply struct {
			Result     []listed
			ResultInfo struct {
				Count  int
				Cursor string
			} `json:"result_info"`
		}
		if err := json.Unmarshal([]byte(body), &reply); err != nil || status != 200 || reply.ResultInfo.Count != len(reply.Result) {
			c.Fatal(status, body, err)
		}
		pages = append(pages, len(reply.Result))
		for _, key := range reply.Result {
			names = append(names, key.Name)
		}
		if cursor = reply.ResultInfo.Cursor; cursor == "" {
			return names, pages
		}
	}
}

func TestKeysAreListedInPages(t *testing.T) {
	c := newClient(t)
	var all []string
	for i := range 30 {
		name := fmt.Sprintf("user%02d@example.com", i)
		all = append(all, name)
		c.Put(APIKeys, name, "{}")
	}
	if names, pages := list(c, "limit=20"); !slices.Equal(names, all) || !slices.Equal(pages, []int{20, 10}) {
		t.Error(names, pages)
	}
	if names, pages := list(c, "limit=10&prefix=user2"); !slices.Equal(names, all[20:]) || !slices.Equal(pages, []int{10}) {
		t.Error(names, pages)
	}
	c.Delete(APIKeys, all[:10]...)
	c.Delete(APIKeys, "nobody@example.com")
	if names, pages := list(c, "limit=10"); !slices.Equal(names, all[10:]) || !slices.Equal(pages, []int{0, 10, 10}) {
		t.Error("a page of deleted keys must be empty and have a cursor:", names, pages)
	}
	for _, query := range []string{"limit=9", "limit=1001", "limit=all", "cursor=made-up"} {
		if status, _ := c.send("GET", "/keys?"+query, ""); status != 400 {
			t.Errorf("%s: %d", query, status)
		}
	}
}

func TestRequestsWithoutPermissionAreRefused(t *testing.T) {
	c := newClient(t)
	base := c.URL + "/accounts/" + AccountID + "/storage/kv/namespaces/"
	for name, tt := range map[string]struct {
		token, method, url string
		status, code       int
	}{
		"a wrong token":                     {"x", "GET", base + APIKeys + "/keys", 401, 10000},
		"no token":                          {"", "GET", base + APIKeys + "/keys", 401, 10000},
		"a write with the read token":       {ReadOnlyToken, "PUT", base + APIKeys + "/values/k", 403, 10000},
		"a bulk delete with the read token": {ReadOnlyToken, "POST", base + APIKeys + "/bulk/delete", 403, 10000},
		"another namespace":                 {APIToken, "GET", base + "ffff/keys", 404, 10013},
		"another account":                   {APIToken, "GET", c.URL + "/accounts/ffff/storage/kv/namespaces/" + APIKeys + "/keys", 404, 7003},
		"another path":                      {APIToken, "GET", c.URL + "/zones", 404, 7003},
		"a path that is too short":          {APIToken, "GET", base + APIKeys, 404, 7003},
		"another product":                   {APIToken, "GET", c.URL + "/accounts/" + AccountID + "/storage/r2/namespaces/" + APIKeys + "/keys", 404, 7003},
		"another method":                    {APIToken, "PATCH", base + APIKeys + "/keys", 404, 7003},
		"a name of two segments":            {APIToken, "GET", base + APIKeys + "/values/a/b", 404, 7003},
		"no name":                           {APIToken, "GET", base + APIKeys + "/values/", 404, 7003},
		"a long name":                       {APIToken, "GET", base + APIKeys + "/values/" + strings.Repeat("k", 513), 404, 7003},
		"an account's namespaces":           {APIToken, "GET", strings.TrimSuffix(base, "/"), 404, 7003},
	} {
		c.token = tt.token
		status, body := c.sendTo(tt.url, tt.method, "", "")
		if status != tt.status || !strings.Contains(body, fmt.Sprintf(`"errors":[{"code":%d,`, tt.code)) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	c.token = APIToken
	for path, called := range map[string]string{"keys": "list keys", "values/k": "get", "metadata/k": "read metadata"} {
		if status, body := c.sendTo(base+"ffff/"+path, "GET", "", ""); status != 404 || strings.TrimSpace(body) != failure(10013, called+": 'namespace not found'") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	c.token = ReadOnlyToken
	c.want("GET", "/keys", "", 200, `{"result":[],"success":true,"errors":[],"messages":[],"result_info":{"count":0,"cursor":""}}`)
}

func TestRequestsAreCountedAndTheirURLsRecorded(t *testing.T) {
	c := newClient(t)
	c.FailNext(1, Reply(500, ""))
	c.send("GET", "/keys?limit=10", "")
	c.send("GET", "/keys", "")
	c.send("GET", "/nothing", "")
	base := "/client/v4/accounts/" + AccountID + "/storage/kv/namespaces/" + APIKeys
	if want := []string{base + "/keys?limit=10", base + "/keys", base + "/nothing"}; !slices.Equal(c.URLs(), want) {
		t.Error(c.URLs())
	}
	if list, none, bulk := c.Requests(ListKeys), c.Requests(Unrouted), c.Requests(BulkRead); list != 2 || none != 1 || bulk != 0 {
		t.Error(list, none, bulk)
	}
}
