package redis

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// What answers may not be Redis, and may repeat what it was sent.
func TestNoSecretIsInAnErrorOrALog(t *testing.T) {
	const username, password = "someone-secret", "hunter2-secret"
	for name, answer := range map[string]func(sent string) string{
		"as an error":       func(sent string) string { return "-" + strings.NewReplacer("\r", "", "\n", " ").Replace(sent) + "\r\n" },
		"as one word":       func(string) string { return "-" + password + "\r\n" },
		"as it is":          func(sent string) string { return sent },
		"as a wrong answer": func(string) string { return "-WRONGPASS " + username + "\r\n" },
		"as a long line":    func(sent string) string { return "+" + strings.Repeat(sent, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			r := startRelay(t, "")
			r.echo(answer)
			core, logs := observer.New(zapcore.DebugLevel)
			s := open(t, Config{
				Addresses: []string{r.address}, Username: username, Password: password, Timeout: time.Second,
				Log: func() *zap.Logger { return zap.New(core) },
			})
			eventually(t, func() bool { return logs.Len() > 0 }, func() string { return "nothing is logged" })
			said := *s.why.Load() + " " + operations["Count"](s).Error()
			for _, entry := range logs.All() {
				said += " " + entry.Message
				for _, value := range entry.ContextMap() {
					said += " " + value.(string)
				}
			}
			if strings.Contains(said, "secret") || strings.Contains(said, "hunter2") {
				t.Error(said)
			}
		})
	}
}

func TestAPasswordIsNeeded(t *testing.T) {
	server := simulate(t)
	server.RequireUserAuth("someone", "right")
	for name, test := range map[string]struct{ username, password, want string }{
		"none":           {"", "", "wants a password"},
		"a wrong one":    {"someone", "wrong", "refuses the username or the password"},
		"a wrong user's": {"nobody", "right", "refuses the username or the password"},
		"the right one":  {"someone", "right", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Config{Addresses: []string{server.Addr()}, Username: test.username, Password: test.password, Timeout: time.Second})
			if s.Up() != (test.want == "") {
				t.Errorf("up: %v", s.Up())
			}
			if why := s.why.Load(); test.want != "" && *why != test.want {
				t.Errorf("it %s, want it %s", *why, test.want)
			}
		})
	}
}
