package caddyauth

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
)

const withSnapshot = "cache {\nsnapshot\n}"

// snapshotFile waits for the snapshot in the proxy's storage.
func (p *proxy) snapshotFile() string {
	p.t.Helper()
	return p.snapshotFiles(1)[0]
}

// snapshotFiles waits until there are n snapshots.
func (p *proxy) snapshotFiles(n int) []string {
	p.t.Helper()
	for range 1000 {
		found, err := filepath.Glob(filepath.Join(filepath.Dir(p.keys), "continue_auth", "*.snapshot"))
		if err != nil {
			p.t.Fatal(err)
		}
		if len(found) == n {
			return found
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Fatalf("there are not %d snapshots", n)
	return nil
}

func (p *proxy) stop() {
	p.t.Helper()
	if err := caddy.Stop(); err != nil {
		p.t.Fatal(err)
	}
}

func TestARestartWhileKVIsDownStillKnowsItsUsers(t *testing.T) {
	p, kv := startOnKV(t, withSnapshot, answersIn)
	if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
	p.stop()
	file := p.snapshotFile()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{testEmail, testKey, "sha256:", "workers-ai", "Authorization", kvtest.ReadOnlyToken} {
		if bytes.Contains(content, []byte(word)) {
			t.Errorf("the snapshot contains %q in plain text", word)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	kv.FailAll(kvtest.Reset)
	if err := p.load(p.config); err != nil {
		t.Fatal(err)
	}
	if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
		t.Errorf("a known user: status %d: %s", res.StatusCode, read(t, res))
	}
	wantError(t, p.chat(testEmail, "wrong"), 401, "invalid_api_key")
	wantError(t, p.chat("worker@example.com", "plain-key"), 503, "keystore_unavailable")
	p.log.WaitFor(t, "snapshot restored")

	kv.Heal()
	kv.Delete(kvtest.APIKeys, testEmail)
	wantError(t, p.chat(testEmail, testKey), 401, "invalid_api_key")
}

func TestAForgottenUserDoesNotComeBackWithARestart(t *testing.T) {
	p, kv := startOnKV(t, withSnapshot, answersIn)
	if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
	if err := forgetEverywhere(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/", nil), testEmail); err != nil { // as the admin API does
		t.Fatal(err)
	}
	file := p.snapshotFile() // before a minute has passed and before the server stops
	crashed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	if err := os.WriteFile(file, crashed, 0o600); err != nil {
		t.Fatal(err)
	}
	kv.FailAll(kvtest.Reset)
	if err := p.load(p.config); err != nil {
		t.Fatal(err)
	}
	wantError(t, p.chat(testEmail, testKey), 503, "keystore_unavailable")
}

func TestAllSitesWithOneKeystoreForgetAtOnce(t *testing.T) {
	p, _ := startOnKV(t, withSnapshot, answersIn)
	site := strings.Replace(p.config[strings.Index(p.config, p.url):], p.url, fmt.Sprintf("http://127.0.0.1:%d", freeport.For(t)), 1)
	if err := p.load(p.config + "\n" + strings.Replace(site, "{env.TEST_GATEWAY_TOKEN}", "another-token", 1)); err != nil {
		t.Fatal(err)
	}
	if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
	caches.Range(func(_, value any) bool {
		value.(pooled).APIKeys.Invalidate(testEmail)
		return true
	})
	p.snapshotFiles(2) // before a minute has passed
}

func TestASnapshotThatCannotBeReadIsIgnored(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"a byte has changed":                  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"it is cut off":                       func(b []byte) []byte { return b[:len(b)/2] },
		"it is empty":                         func([]byte) []byte { return nil },
		"it is not a snapshot of this server": func([]byte) []byte { return []byte(`{"api_keys":{"dev@example.com":{}}}`) },
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := startOnKV(t, withSnapshot, answersIn)
			_ = read(t, p.chat(testEmail, testKey))
			p.stop()
			file := p.snapshotFile()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, spoil(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := p.load(p.config); err != nil {
				t.Fatal(err)
			}
			p.log.WaitFor(t, "snapshot cannot be read")
			if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
				t.Errorf("status %d", res.StatusCode)
			}
		})
	}
}

func TestRequestsWorkIfASnapshotCannotBeWritten(t *testing.T) {
	p, _ := startOnKV(t, withSnapshot, answersIn)
	if err := os.WriteFile(filepath.Join(filepath.Dir(p.keys), "continue_auth"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}
	if err := forgetEverywhere(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/", nil), testEmail); err != nil {
		t.Fatal(err)
	}
	p.log.WaitFor(t, "snapshot cannot be written")
	if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestASnapshotOfAnotherGatewayTokenCannotBeRead(t *testing.T) {
	p, kv := startOnKV(t, withSnapshot, answersIn)
	_ = read(t, p.chat(testEmail, testKey))
	p.stop()
	before := p.snapshotFile()
	kv.FailAll(kvtest.Reset)
	t.Setenv("TEST_GATEWAY_TOKEN", "another-token")
	if err := p.load(p.config); err != nil {
		t.Fatal(err)
	}
	wantError(t, p.chat(testEmail, testKey), 503, "keystore_unavailable")
	p.stop()
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(before), "*.snapshot"))
	for _, after := range found { // even under the new name
		if after != before {
			if err := os.Rename(before, after); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.load(p.config); err != nil {
		t.Fatal(err)
	}
	p.log.WaitFor(t, "snapshot cannot be read")
	wantError(t, p.chat(testEmail, testKey), 503, "keystore_unavailable")
}

func TestThereIsNoSnapshotByDefault(t *testing.T) {
	p, _ := startOnKV(t, "", answersIn)
	_ = read(t, p.chat(testEmail, testKey))
	p.stop()
	if _, err := os.Stat(filepath.Join(filepath.Dir(p.keys), "continue_auth")); !os.IsNotExist(err) {
		t.Errorf("there is something in the storage: %v", err)
	}
}
