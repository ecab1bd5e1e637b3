package main

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// The server's cache would keep a record for an hour, but the commands tell the server.
func TestTheCommandsChangeAUsersLimits(t *testing.T) {
	withoutRaces(t)
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			const dev = "dev@example.com"
			o.run("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}")
			o.serve()
			key := o.newKey("keys", "add", dev, "--limit", "requests=2/1h", "--limit", "tokens=1000000/day", "--metadata", "team=core", "--metadata", "floor=2", "--expires", "90d")
			for _, status := range []int{200, 200, 429} {
				if got := o.chat(dev, key); got != status {
					t.Errorf("status %d, want %d", got, status)
				}
			}
			shown := o.run("keys", "show", dev)
			for _, want := range []string{"own limits  requests=2/1h, tokens=1000000/day", "used        2 of 2 requests/1h, resets at ", " of 1000000 tokens/day, resets at "} {
				if !strings.Contains(shown, want) {
					t.Errorf("no %q in\n%s", want, shown)
				}
			}
			o.run("keys", "set", dev, "--limit", "requests=3/1h", "--metadata", "floor=")
			for _, status := range []int{200, 429} {
				if got := o.chat(dev, key); got != status {
					t.Errorf("after keys set: status %d, want %d", got, status)
				}
			}
			o.run("keys", "set", dev, "--limit", "requests=none", "--expires", "never", "--models", "*")
			if got := o.chat(dev, key); got != 200 {
				t.Errorf("without a limit: status %d", got)
			}
			record := gjson.Parse(o.run("keys", "show", dev, "--json"))
			if record.Get("expires_at").Exists() || record.Get("metadata").Raw == "" || record.Get("metadata.floor").Exists() || record.Get("limits.requests").Raw != "[]" || record.Get("usage.0.kind").Str != "tokens" {
				t.Errorf("%s", record)
			}
			_, stderr, status := o.try("keys", "set", dev)
			if status == 0 || !strings.Contains(stderr, "nothing is named that should change") {
				t.Errorf("status %d: %s", status, stderr)
			}
			if _, stderr, status := o.try("keys", "set", "nobody@example.com", "--limit", "parallel=1"); status == 0 || !strings.Contains(stderr, "there is no user nobody@example.com") {
				t.Errorf("status %d: %s", status, stderr)
			}
		})
	}
}
