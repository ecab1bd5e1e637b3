//go:build miniflare

package kv

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cloudflarekv"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// All other tests rely on kvtest, so its answers must be Miniflare's.
func TestTheSimulatorAnswersLikeMiniflare(t *testing.T) {
	end := time.Now().Unix() + 3600
	pairs := []pair{
		{Key: "json", Value: `{"n":1}`, Metadata: json.RawMessage(`{"m":[1,null]}`), Expiration: end},
		{Key: "empty"},
		{Key: "null", Value: "null", Metadata: json.RawMessage(`"é"`)},
		{Key: "dev+x@example.com", Value: "\x00 <b>\u2028"},
		{Key: "\uffee", Value: "listed before the next one, though not in UTF-16"}, {Key: "😀", Value: "1"},
	}
	for i := range 20 {
		pairs = append(pairs, pair{Key: fmt.Sprintf("user%d@example.com", i), Value: "{}"})
	}
	simulator := &namespaces{T: t, config: cloudflarekv.Config{
		AccountID: kvtest.AccountID, APIToken: kvtest.APIToken, Endpoint: kvtest.NewServer(t).URL,
		APIKeysNamespace: kvtest.APIKeys, ProviderSettingsNamespace: kvtest.ProviderSettings,
	}}
	miniflare := open(t)
	for _, n := range []*namespaces{simulator, miniflare} {
		n.write(keystore.APIKeys, pairs)
		n.remove(keystore.APIKeys, []string{"user19@example.com", "missing"})
	}
	alike := func(namespace, method, operation, body string) {
		t.Helper()
		id := func(n *namespaces) string {
			if namespace != "" {
				return namespace
			}
			return n.config.APIKeysNamespace
		}
		want, got := answer(miniflare.curl(method, id(miniflare), operation, body)), answer(simulator.curl(method, id(simulator), operation, body))
		if got != want {
			t.Errorf("%s %s %.60s\nkvtest:    %.500s\nMiniflare: %.500s", method, operation, body, got, want)
		}
	}
	bulk := func(names ...string) string {
		body, err := json.Marshal(map[string]any{"keys": names, "type": "text"})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for _, call := range [][3]string{
		{"GET", "keys"}, {"GET", "keys?limit=1000&prefix=user1"}, {"GET", "keys?prefix=dev%2B"}, {"GET", "keys?prefix=nobody"},
		{"GET", "values/json"}, {"GET", "values/empty"}, {"GET", "values/missing"}, {"GET", "values/user19@example.com"},
		{"GET", "values/dev%2Bx%40example.com"}, {"GET", "values/dev+x@example.com"},
		{"POST", "bulk/get", bulk("json", "empty", "null", "missing", "dev+x@example.com", "user19@example.com", "json")},
		{"POST", "bulk/get", bulk("missing")},
		{"PUT", "values/json", "plain"}, {"GET", "keys?prefix=json"}, {"DELETE", "values/json"}, {"DELETE", "values/json"}, {"GET", "values/json"},
	} {
		alike("", call[0], call[1], call[2])
		alike("ffff", call[0], call[1], call[2])
	}
	for _, call := range [][3]string{
		{"GET", "keys?limit=9"}, {"GET", "keys?limit=1001"}, {"GET", "keys?limit=all"},
		{"POST", "bulk/get", bulk(slices.Repeat([]string{"json"}, 101)...)}, {"POST", "bulk/get", bulk(strings.Repeat("n", 513))},
		{"POST", "bulk/get", `{}`}, {"POST", "bulk/get", `{"keys":[1]}`},
		{"PUT", "bulk", `[{"key":"","value":"1"}]`}, {"PUT", "bulk", `[{"key":"..","value":"1"}]`},
		{"PUT", "bulk", fmt.Sprintf(`[{"key":%q,"value":"1"}]`, strings.Repeat("n", 513))},
		{"PUT", "bulk", `[{"key":"a","value":"1","expiration_ttl":59}]`}, {"PUT", "bulk", `[{"key":"a","value":"1","expiration":1}]`},
		{"PUT", "bulk", fmt.Sprintf(`[{"key":"a","value":"1","expiration":%d}]`, time.Now().Unix()+50)},
		{"PUT", "bulk", fmt.Sprintf(`[{"key":"a","value":"1","expiration":%d,"expiration_ttl":59}]`, end)},
		{"PUT", "bulk", fmt.Sprintf(`[{"key":"a","value":"1","metadata":%q}]`, strings.Repeat("m", 1022))},
		{"PUT", "bulk", fmt.Sprintf(`[{"key":"a","value":"1","metadata":%q}]`, strings.Repeat("m", 1023))},
		{"PUT", "bulk", `[{"key":"b","value":"%","base64":true}]`}, {"PUT", "bulk", `[{"key":"b","value":"w6k=","base64":true}]`},
		{"GET", "keys"}, {"POST", "bulk/get", bulk("a", "b")},
	} {
		alike("", call[0], call[1], call[2])
	}
}

// answer returns the part of an answer that must be equal. The text of error 10001 may differ, and
// the result of a write may be null or {}.
func answer(status int, body []byte) string {
	var reply map[string]any
	if json.Unmarshal(body, &reply) != nil || reply["success"] == nil {
		return fmt.Sprintf("%d %q", status, body)
	}
	if result, ok := reply["result"].(map[string]any); ok && len(result) == 0 {
		reply["result"] = nil
	}
	for _, err := range reply["errors"].([]any) {
		if err := err.(map[string]any); err["code"] == 10001.0 {
			delete(err, "message")
		}
	}
	normal, err := json.Marshal(reply)
	return fmt.Sprint(status, string(normal), err)
}
