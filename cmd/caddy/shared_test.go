package main

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// The admin endpoint is off, so only the store that servers share can tell the server.
func TestACommandTellsAllServersThatShareAStore(t *testing.T) {
	const dev = "dev@example.com"
	store := miniredis.RunT(t)
	store.RequireAuth("a-secret-of-redis")
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			o.edit("admin "+o.admin, "admin off")
			o.env = append(o.env, "REDIS_PASSWORD=a-secret-of-redis")
			o.edit("cache {", `shared redis {
			address   `+store.Addr()+`
			password  {env.REDIS_PASSWORD}
			timeout   5s
			prefix    `+name+`:
		}
		cache {`)
			o.run("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}")
			key := o.newKey("keys", "add", dev)
			log := o.serve()
			if got := o.chat(dev, key); got != 200 {
				t.Fatalf("status %d", got)
			}
			for _, change := range []struct {
				command string
				status  int
			}{{"disable", 401}, {"enable", 200}, {"remove", 401}} {
				_, says, _ := o.try("keys", change.command, dev)
				if !strings.Contains(says, "All servers that share a store were told") || strings.Contains(says, "not told") {
					t.Errorf("%s: the operator reads %q", change.command, says)
				}
				becomes(t, change.command, change.status, func() int { return o.chat(dev, key) })
			}
			if strings.Contains(log.String(), "a-secret-of-redis") {
				t.Error("the log has the password of the store")
			}

			o.env[len(o.env)-1] = "REDIS_PASSWORD=another-secret"
			_, says, status := o.try("keys", "add", dev)
			if !strings.Contains(says, "Other servers were not told (the shared store cannot be reached: it refuses the username or the password).") ||
				!strings.Contains(says, "The server's admin endpoint is off: a server takes this up at most 1h0m0s") || status != 0 {
				t.Errorf("with a wrong password: status %d, the operator reads %q", status, says)
			}
			if strings.Contains(says, "secret") {
				t.Error("the operator reads a password")
			}
		})
	}
}

// becomes waits until a status is what it should be: a message takes a moment.
func becomes(t *testing.T, what string, want int, status func() int) {
	t.Helper()
	var got int
	for range 1000 {
		if got = status(); got == want {
			return
		}
	}
	t.Errorf("%s: status %d, want %d", what, got, want)
}
