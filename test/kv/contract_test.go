//go:build miniflare

package kv

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cloudflarekv"
	"github.com/continue-auth/caddy-continue-auth/keystore/storetest"
)

func TestContract(t *testing.T) {
	storetest.TestStore(t, func(t *testing.T) storetest.Backend { return open(t).backend() })
}

func TestEditorContract(t *testing.T) {
	storetest.TestEditor(t, func(t *testing.T) storetest.Backend { return open(t).backend() })
}

func TestAnEditKeepsMetadataAndExpiration(t *testing.T) {
	n := open(t)
	end := time.Now().Unix() + 3600
	const metadata = `{"z":1.5,"a":{"<b>":[null,"é & \"c\""]},"a.b":true}`
	n.write(keystore.APIKeys, []pair{
		{Key: "both", Value: "1", Metadata: json.RawMessage(metadata), Expiration: end},
		{Key: "metadata", Value: "1", Metadata: json.RawMessage(metadata)},
		{Key: "metadata that is one byte longer", Value: "1", Expiration: end},
		{Key: "end", Value: "1", Expiration: end},
		{Key: "neither", Value: "1"},
	})
	names := []string{"both", "metadata", "end", "neither", "new"}
	if err := n.store.Edit(t.Context(), keystore.APIKeys, names, func(string, []byte) ([]byte, error) { return []byte("2"), nil }); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, e := range n.list(keystore.APIKeys) {
		got[e.Name] = fmt.Sprint(string(e.Metadata), " ", e.Expiration)
	}
	want := map[string]string{
		"both": fmt.Sprint(metadata, " ", end), "metadata": metadata + " 0", "end": fmt.Sprint(" ", end), "neither": " 0", "new": " 0",
		"metadata that is one byte longer": fmt.Sprint(" ", end),
	}
	if !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	values, err := n.store.Get(t.Context(), keystore.APIKeys, names)
	for _, name := range names {
		if string(values[name]) != "2" {
			t.Errorf("%s: %q, %v", name, values[name], err)
		}
	}
}

func TestAnEntryThatSoonExpiresCanBeEdited(t *testing.T) {
	n := open(t)
	n.write(keystore.APIKeys, []pair{{Key: "a", Value: "1", TTL: 61}})
	before := n.list(keystore.APIKeys)[0].Expiration
	if err := n.store.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) { return []byte("2"), nil }); err != nil {
		t.Fatal(err)
	}
	if after := n.list(keystore.APIKeys)[0].Expiration; after < before || after > before+60 {
		t.Errorf("the end was %d and is %d", before, after)
	}
}

func TestEachFailureHasItsOwnError(t *testing.T) {
	n := open(t)
	for what, tt := range map[string]struct {
		change func(c *cloudflarekv.Config)
		want   string
	}{
		"a wrong token":     {func(c *cloudflarekv.Config) { c.APIToken += "x" }, "the keystore refuses the API token: HTTP status 401, code 10000"},
		"another account":   {func(c *cloudflarekv.Config) { c.AccountID += "x" }, "the keystore does not know the account or the namespace: HTTP status 404, code 7003"},
		"another namespace": {func(c *cloudflarekv.Config) { c.APIKeysNamespace += "x" }, "the keystore does not know the account or the namespace: HTTP status 404, code 10013"},
	} {
		c := n.config
		tt.change(&c)
		s, err := cloudflarekv.New(c)
		if err != nil {
			t.Fatal(err)
		}
		edit := func(string, []byte) ([]byte, error) { return []byte("1"), nil }
		_, get := s.Get(t.Context(), keystore.APIKeys, []string{"a"})
		_, list := s.List(t.Context(), keystore.APIKeys)
		for _, err := range []error{get, list, s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, edit)} {
			if err == nil || err.Error() != tt.want {
				t.Errorf("%s: %v, want %s", what, err, tt.want)
			}
		}
	}
}

// namespaces are Miniflare's namespaces, emptied, with a store. The store is closed when the test
// ends.
type namespaces struct {
	*testing.T
	config cloudflarekv.Config
	store  *cloudflarekv.Store
	writes map[keystore.Namespace]*atomic.Int64 // the number of the store's writes
}

// pair is one entry in wrangler's bulk format.
type pair struct {
	Key        string          `json:"key"`
	Value      string          `json:"value"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	Expiration int64           `json:"expiration,omitempty"`
	TTL        int64           `json:"expiration_ttl,omitempty"`
}

// listed is one entry of a listing.
type listed struct {
	Name       string
	Metadata   json.RawMessage
	Expiration int64
}

func open(t *testing.T) *namespaces {
	t.Helper()
	env := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			t.Fatalf("%s is not set: run npm test in test/kv", name)
		}
		return value
	}
	n := &namespaces{
		T: t,
		config: cloudflarekv.Config{
			AccountID:                 env("CLOUDFLARE_ACCOUNT_ID"),
			APIToken:                  env("CLOUDFLARE_API_TOKEN"),
			APIKeysNamespace:          env("API_KEYS_NAMESPACE_ID"),
			ProviderSettingsNamespace: env("PROVIDER_SETTINGS_NAMESPACE_ID"),
			Endpoint:                  env("CLOUDFLARE_API_BASE_URL"),
		},
		writes: map[keystore.Namespace]*atomic.Int64{keystore.APIKeys: {}, keystore.ProviderSettings: {}},
	}
	for ns := range n.writes {
		var names []string
		for _, e := range n.list(ns) {
			names = append(names, e.Name)
		}
		n.remove(ns, names)
	}
	counted := n.config
	counted.Endpoint = n.countWrites()
	var err error
	if n.store, err = cloudflarekv.New(counted); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.store.Close() })
	return n
}

// countWrites returns the URL of a proxy that counts the writes through it.
func (n *namespaces) countWrites() string {
	endpoint, err := url.Parse(n.config.Endpoint)
	if err != nil {
		n.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(endpoint)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for ns, writes := range n.writes {
			if strings.Contains(r.URL.Path, n.id(ns)) && !strings.HasSuffix(r.URL.Path, "/bulk/get") && r.Method != http.MethodGet {
				writes.Add(1)
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	n.Cleanup(server.Close)
	return server.URL
}

func (n *namespaces) backend() storetest.Backend {
	return storetest.Backend{
		Store: n.store,
		Put: func(ns keystore.Namespace, values map[string]string) {
			var pairs []pair
			for name, value := range values {
				pairs = append(pairs, pair{Key: name, Value: value})
			}
			n.write(ns, pairs)
		},
		Delete:  func(ns keystore.Namespace, names ...string) { n.remove(ns, names) },
		Version: func(ns keystore.Namespace) string { return strconv.FormatInt(n.writes[ns].Load(), 10) },
	}
}

func (n *namespaces) id(ns keystore.Namespace) string {
	if ns == keystore.ProviderSettings {
		return n.config.ProviderSettingsNamespace
	}
	return n.config.APIKeysNamespace
}

func (n *namespaces) write(ns keystore.Namespace, pairs []pair) {
	n.Helper()
	n.send(http.MethodPut, ns, "bulk", pairs, new(json.RawMessage))
}

func (n *namespaces) remove(ns keystore.Namespace, names []string) {
	n.Helper()
	for some := range slices.Chunk(names, 1000) {
		n.send(http.MethodPost, ns, "bulk/delete", some, new(json.RawMessage))
	}
}

func (n *namespaces) list(ns keystore.Namespace) []listed {
	n.Helper()
	var all []listed
	for cursor := ""; ; {
		var reply struct {
			Result     []listed
			ResultInfo struct{ Cursor string } `json:"result_info"`
		}
		n.send(http.MethodGet, ns, "keys?cursor="+url.QueryEscape(cursor), nil, &reply)
		all = append(all, reply.Result...)
		if cursor = reply.ResultInfo.Cursor; cursor == "" {
			return all
		}
	}
}

// send makes a call without the store. The call must succeed.
func (n *namespaces) send(method string, ns keystore.Namespace, operation string, body, reply any) {
	n.Helper()
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			n.Fatal(err)
		}
	}
	status, got := n.curl(method, n.id(ns), operation, string(sent))
	if status != http.StatusOK || json.Unmarshal(got, reply) != nil {
		n.Fatalf("%s %s: status %d: %.300s", method, operation, status, got)
	}
}

func (n *namespaces) curl(method, id, operation, body string) (status int, reply []byte) {
	n.Helper()
	target := n.config.Endpoint + "/accounts/" + n.config.AccountID + "/storage/kv/namespaces/" + id + "/" + operation
	req, err := http.NewRequestWithContext(n.Context(), method, target, strings.NewReader(body))
	if err != nil {
		n.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+n.config.APIToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if reply, err = io.ReadAll(res.Body); err != nil {
		n.Fatal(err)
	}
	return res.StatusCode, reply
}
