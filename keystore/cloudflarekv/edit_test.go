package cloudflarekv

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v7/kv"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// writable returns a Config with a token that may write.
func writable(server *kvtest.Server) Config {
	c := config(server)
	c.APIToken = kvtest.APIToken
	return c
}

// edit sets each name to its value in made, and removes the names that made does not have.
func edit(t *testing.T, s *Store, made map[string]string) error {
	return s.Edit(t.Context(), keystore.APIKeys, slices.Sorted(maps.Keys(made)), func(name string, _ []byte) ([]byte, error) {
		if made[name] == "" {
			return nil, nil
		}
		return []byte(made[name]), nil
	})
}

// wantRequests compares the calls since the last time by the ends of their paths.
func wantRequests(t *testing.T, server *kvtest.Server, before int, want ...string) {
	t.Helper()
	var got []string
	for _, url := range server.URLs()[before:] {
		got = append(got, strings.TrimPrefix(url, "/client/v4/accounts/"+kvtest.AccountID+"/storage/kv/namespaces/"+kvtest.APIKeys))
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls of %q, want %q", got, want)
	}
}

func TestAnEditMakesThreeCallsAtMost(t *testing.T) {
	for what, tt := range map[string]struct {
		made  map[string]string
		calls []string
	}{
		"nothing changes":                      {map[string]string{"a": "1", "missing": ""}, []string{"/bulk/get"}},
		"values change":                        {map[string]string{"a": "2", "b": "2", "c": "2"}, []string{"/bulk/get", "/bulk"}},
		"names are removed":                    {map[string]string{"a": "", "b": ""}, []string{"/bulk/get", "/bulk/delete"}},
		"values change, and names are removed": {map[string]string{"a": "", "b": "2", name: "2"}, []string{"/bulk/get", "/bulk", "/bulk/delete"}},
	} {
		t.Run(what, func(t *testing.T) {
			server := kvtest.NewServer(t)
			server.Put(kvtest.APIKeys, "a", "1")
			server.Put(kvtest.APIKeys, "b", "1")
			if err := edit(t, open(t, writable(server)), tt.made); err != nil {
				t.Error(err)
			}
			wantRequests(t, server, 0, tt.calls...)
			for name, want := range tt.made {
				if got, _ := server.Get(kvtest.APIKeys, name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestAnEditKeepsMetadataAndExpiration(t *testing.T) {
	server := kvtest.NewServer(t)
	s := open(t, writable(server))
	soon := float64(time.Now().Unix() + 3600)
	const metadata = `{"z":1.50,"a":{"<b>":[null,"é & \"c\""]},"a.b":true}`
	var pairs []kv.NamespaceBulkUpdateParamsBody
	for _, name := range []string{"both", "metadata", "end", "neither", "unchanged"} {
		var e entry
		if raw := json.RawMessage(metadata); name == "both" || name == "metadata" {
			e.metadata = &raw
		}
		if name == "both" || name == "end" {
			e.expiration = soon
		}
		pairs = append(pairs, e.pair(keystore.Change{Name: name, Value: []byte("1")}, time.Now()))
	}
	if err := s.put(t.Context(), keystore.APIKeys, pairs); err != nil {
		t.Fatal(err)
	}
	if err := edit(t, s, map[string]string{"both": "2", "metadata": "2", "end": "2", "neither": "2", "new": "2"}); err != nil {
		t.Fatal(err)
	}
	entries, err := s.entries(t.Context(), keystore.APIKeys, []string{"both", "metadata", "end", "neither", "unchanged", "new", "missing"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"both":      fmt.Sprint("2 ", metadata, " ", int(soon)),
		"metadata":  "2 " + metadata + " 0",
		"end":       fmt.Sprint("2 - ", int(soon)),
		"neither":   "2 - 0",
		"unchanged": "1 - 0",
		"new":       "2 - 0",
	} {
		e := entries[name]
		got := "-"
		if e.metadata != nil {
			got = string(*e.metadata)
		}
		if got = fmt.Sprint(e.value, " ", got, " ", int(e.expiration)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if len(entries) != 6 {
		t.Errorf("%d entries", len(entries))
	}
}

func TestAnEntryThatSoonExpiresCanBeEdited(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]string{
		-time.Second:      `"expiration_ttl":60,`,
		time.Second:       `"expiration_ttl":60,`,
		60 * time.Second:  `"expiration_ttl":60,`,
		119 * time.Second: `"expiration_ttl":119,`,
		120 * time.Second: fmt.Sprintf(`"expiration":%d,`, now.Unix()+120),
	} {
		e := entry{value: "1", expiration: float64(now.Add(left).Unix())}
		sent, err := json.Marshal(e.pair(keystore.Change{Name: "a", Value: []byte("2")}, now))
		if err != nil || !strings.Contains(string(sent), want) || strings.Count(string(sent), "expiration") != 1 {
			t.Errorf("%s: %s, %v, want %s", left, sent, err, want)
		}

		// KV accepts the entry.
		server := kvtest.NewServer(t)
		server.FailNext(1, kvtest.Reply(200, fmt.Sprintf(`{"success":true,"result":{"values":{"a":{"value":"1","metadata":null,"expiration":%d}}}}`, int(e.expiration))))
		if err := edit(t, open(t, writable(server)), map[string]string{"a": "2"}); err != nil {
			t.Errorf("%s: %v", left, err)
		}
	}
}

func TestErrorsSayWhyAWriteFailed(t *testing.T) {
	const (
		unavailable  = "the keystore is unavailable"
		unauthorized = "the keystore refuses the API token"
		permission   = ": to write, the token needs the permission Workers KV Storage Write"
		nonsense     = unavailable + ": the reply to a write makes no sense"
	)
	for what, tt := range map[string]struct {
		fault kvtest.Fault
		is    error
		text  string
		calls int
	}{
		"a token that may not write": {kvtest.Reply(403, code(10000)), keystore.ErrUnauthorized, unauthorized + ": HTTP status 403, code 10000" + permission, 1},
		"a token of the wrong form":  {kvtest.Reply(401, code(10000)), keystore.ErrUnauthorized, unauthorized + ": HTTP status 401, code 10000" + permission, 1},
		"another namespace":          {kvtest.Reply(404, code(10013)), keystore.ErrNamespaceNotFound, "the keystore does not know the account or the namespace: HTTP status 404, code 10013", 1},
		"too many calls":             {kvtest.Reply(429, code(971), "Retry-After", "300"), keystore.ErrRateLimited, "the keystore's rate limit is exceeded", 1},
		"a bad request":              {kvtest.Reply(400, code(10001)), keystore.ErrUnavailable, unavailable + ": HTTP status 400, code 10001", 1},
		"a server error":             {kvtest.Reply(500, code(10001)), keystore.ErrUnavailable, unavailable + ": HTTP status 500, code 10001", 2},
		"a connection that is reset": {kvtest.Reset, keystore.ErrUnavailable, "", 2},
		"an answer that is cut off":  {kvtest.CutOff, keystore.ErrUnavailable, "", 2},
		"half of it, twice":          {kvtest.HalfApplied, keystore.ErrUnavailable, "", 2},
		"names that are not written": {kvtest.HalfUnsuccessful, keystore.ErrUnavailable, unavailable + ": 1 of the names could not be written", 1},
		"half of the JSON":           {kvtest.Truncate, keystore.ErrUnavailable, nonsense, 1},
		"a failure with 200":         {kvtest.Reply(200, code(10000)), keystore.ErrUnavailable, nonsense, 1},
		"no body":                    {kvtest.Reply(200, ""), keystore.ErrUnavailable, nonsense, 1},
	} {
		for call, made := range map[string]map[string]string{
			"/bulk":        {name: "record-secret", "dev2@example.com": "record-secret"},
			"/bulk/delete": {name: "", "dev2@example.com": ""},
		} {
			t.Run(what+call, func(t *testing.T) {
				t.Parallel()
				server := kvtest.NewServer(t)
				server.Put(kvtest.APIKeys, name, "record-secret 1")
				server.Put(kvtest.APIKeys, "dev2@example.com", "record-secret 2")
				s := open(t, writable(server))
				err := s.Edit(t.Context(), keystore.APIKeys, []string{name, "dev2@example.com"}, func(name string, _ []byte) ([]byte, error) {
					server.FailAll(tt.fault) // only the write fails
					if made[name] == "" {
						return nil, nil
					}
					return []byte(made[name]), nil
				})
				if !errors.Is(err, tt.is) || tt.text != "" && err.Error() != tt.text {
					t.Errorf("%v, want %s", err, tt.text)
				}
				if limit, ok := errors.AsType[*keystore.RateLimitError](err); ok && limit.RetryAfter != 300*time.Second {
					t.Error(limit.RetryAfter)
				}
				wantNoSecret(t, server, err)
				wantRequests(t, server, 0, append([]string{"/bulk/get"}, slices.Repeat([]string{call}, tt.calls)...)...)
			})
		}
	}
}

func TestATokenThatMayOnlyReadCannotEdit(t *testing.T) {
	server := kvtest.NewServer(t)
	server.Put(kvtest.APIKeys, "a", "1")
	s := open(t, config(server))
	for _, made := range []string{"2", ""} {
		err := edit(t, s, map[string]string{"a": made})
		if !errors.Is(err, keystore.ErrUnauthorized) || !strings.Contains(err.Error(), "Workers KV Storage Write") {
			t.Error(err)
		}
	}
	if err := edit(t, s, map[string]string{"a": "1"}); err != nil {
		t.Error("nothing is to be written:", err)
	}
	if value, _ := server.Get(kvtest.APIKeys, "a"); value != "1" {
		t.Errorf("%q", value)
	}
}

func TestAfterAFailedReadNothingIsWritten(t *testing.T) {
	for what, tt := range map[string]struct {
		fault kvtest.Fault
		want  string
	}{
		"a wrong token": {kvtest.Reply(401, code(10000)), "the keystore refuses the API token: HTTP status 401, code 10000"},
		"no JSON":       {kvtest.Reply(200, "<html>"), "the keystore is unavailable: the reply to a bulk read makes no sense"},
		"values alone":  {kvtest.Reply(200, `{"success":true,"result":{"values":{"a":"1"}}}`), "the keystore is unavailable: the reply to a bulk read makes no sense"},
	} {
		t.Run(what, func(t *testing.T) {
			server := kvtest.NewServer(t)
			server.FailNext(1, tt.fault)
			err := open(t, writable(server)).Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) {
				t.Error("there is nothing to edit")
				return []byte("2"), nil
			})
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
			wantRequests(t, server, 0, "/bulk/get")
		})
	}
}

func TestASecondAttemptMayWrite(t *testing.T) {
	for what, fault := range map[string]kvtest.Fault{
		"after a server error":           kvtest.Reply(503, "", "Retry-After", "300"),
		"after a connection that failed": kvtest.Reset,
		"after a write that was made":    kvtest.CutOff,
		"after half of a write":          kvtest.HalfApplied,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			server := kvtest.NewServer(t)
			for _, name := range []string{"a", "b", "c", "d"} {
				server.Put(kvtest.APIKeys, name, "1")
			}
			s := open(t, writable(server))
			for _, made := range []map[string]string{{"a": "2", "b": "2", "c": "2"}, {"a": "", "b": "", "c": ""}} {
				failed := false
				server.FailAll(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
					if failed || strings.HasSuffix(r.URL.Path, "/get") {
						next(w, r)
						return
					}
					failed = true
					fault(w, r, next)
				})
				if err := edit(t, s, made); err != nil || !failed {
					t.Error(err, failed)
				}
				for name, want := range made {
					if got, _ := server.Get(kvtest.APIKeys, name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			}
			if got, _ := server.Get(kvtest.APIKeys, "d"); got != "1" {
				t.Errorf("d: %q", got)
			}
		})
	}
}

func TestAfterAFailedWriteNothingIsRemoved(t *testing.T) {
	server := kvtest.NewServer(t)
	server.Put(kvtest.APIKeys, "a", "1")
	s := open(t, writable(server))
	err := s.Edit(t.Context(), keystore.APIKeys, []string{"a", "b"}, func(name string, _ []byte) ([]byte, error) {
		server.FailNext(1, kvtest.Reply(429, ""))
		return map[string][]byte{"b": []byte("2")}[name], nil
	})
	if !errors.Is(err, keystore.ErrRateLimited) {
		t.Error(err)
	}
	wantRequests(t, server, 0, "/bulk/get", "/bulk")
	if _, ok := server.Get(kvtest.APIKeys, "a"); !ok {
		t.Error("a has been removed")
	}
}

// The first attempt was applied.
func TestARefusedSecondAttemptReportsBothAttempts(t *testing.T) {
	for name, second := range map[string]kvtest.Fault{
		"too many calls": kvtest.Reply(429, "", "Retry-After", "7"),
		"no permission":  kvtest.Reply(403, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := kvtest.NewServer(t)
			s := open(t, writable(server))
			err := s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) {
				server.FailAll(second)
				server.FailNext(1, kvtest.CutOff)
				return []byte("1"), nil
			})
			if value, _ := server.Get(kvtest.APIKeys, "a"); value != "1" || !errors.Is(err, keystore.ErrUnavailable) {
				t.Errorf("written %q, error %v", value, err)
			}
			if limit, ok := errors.AsType[*keystore.RateLimitError](err); ok && limit.RetryAfter != 7*time.Second {
				t.Error(limit.RetryAfter)
			}
			wantNoSecret(t, server, err)
		})
	}
}
