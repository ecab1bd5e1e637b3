//go:build redis

package servers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/test/docs"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
)

// TestTheExampleOfTwoServersWorks runs the Caddyfiles of docs/limits.md. Only addresses are replaced, and a busy
// machine gets time to answer.
func TestTheExampleOfTwoServersWorks(t *testing.T) {
	f := newFleet(t)
	kv := kvtest.NewServer(t)
	f.env = append(f.env,
		"CLOUDFLARE_API_TOKEN="+kvtest.APIToken, "API_KEYS_NAMESPACE_ID="+kvtest.APIKeys,
		"PROVIDER_SETTINGS_NAMESPACE_ID="+kvtest.ProviderSettings, "REDIS_ADDRESS="+f.redis.Address)
	var one, balancer string
	for _, block := range docs.Blocks(t, "docs/limits.md", "caddyfile") {
		switch {
		case strings.Contains(block, "shared redis"):
			one = block
		case strings.Contains(block, "lb_policy"):
			balancer = block
		}
	}
	var upstreams []string
	for range 2 {
		s := &server{f: f, folder: t.TempDir()}
		address := fmt.Sprint("127.0.0.1:", freeport.For(t))
		s.site = "http://" + address
		s.caddyfile = replaced(t, one,
			"{\n\tservers", "{\n\tadmin off\n\tpersist_config off\n\tservers",
			"http://:8080", s.site,
			"https://gateway.ai.cloudflare.com", f.gateway.URL,
			"api_token {env.CLOUDFLARE_API_TOKEN}", "api_token {env.CLOUDFLARE_API_TOKEN}\n\t\t\taccount_id "+kvtest.AccountID+"\n\t\t\tendpoint "+kv.URL,
			"address {env.REDIS_ADDRESS}", "address {env.REDIS_ADDRESS}\n\t\t\ttimeout 2s")
		f.write(f.folder, "Caddyfile", s.caddyfile)
		upstreams = append(upstreams, address)
		f.servers = append(f.servers, s)
	}
	f.command("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}")
	key := f.newKey(dev)
	for _, s := range f.servers {
		s.run()
	}
	b := &server{f: f, folder: t.TempDir(), site: fmt.Sprint("http://127.0.0.1:", freeport.For(t))}
	b.caddyfile = "{\n\tadmin off\n\tpersist_config off\n}\n" + replaced(t, balancer,
		"ai.example.com", b.site, "ai-1.internal:8080 ai-2.internal:8080", strings.Join(upstreams, " "))
	b.run()

	statuses := map[int]int{}
	for range 130 { // the limit is 120 a minute
		statuses[b.chat(dev, key)]++
	}
	if statuses[200] < 120 || statuses[200]+statuses[429] != 130 {
		t.Errorf("%v", statuses)
	}
	if statuses[429] == 0 { // unless a minute has passed
		t.Errorf("%v: the servers do not count together", statuses)
	}
	for i, s := range f.servers {
		if got := s.chat(dev, key); got != 429 {
			t.Errorf("server %d: status %d", i, got)
		}
	}
	f.command("keys", "disable", dev)
	for i, s := range f.servers {
		f.becomes(fmt.Sprint("the key is refused by server ", i), patience, func() bool { return s.chat(dev, key) == 401 })
	}
}

// replaced replaces texts that must be there once.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(text, pairs[i]) != 1 {
			t.Fatalf("no single %q in\n%s", pairs[i], text)
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}
