package caddyauth

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/caddyserver/caddy/v2"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// sharing returns the option for a Redis. A busy machine gets time to answer.
func sharing(server *miniredis.Miniredis) string {
	return "shared redis {\naddress " + server.Addr() + "\ntimeout 10s\n}"
}

func TestInvalidSettingsOfRedisFailToLoad(t *testing.T) {
	t.Setenv("HOST_ONLY", "redis.example.com")
	t.Setenv("EMPTY_SETTING", "")
	for name, test := range map[string]struct{ shared, want string }{
		"no module":                  {`{"address":["redis.example.com:6379"],"password":"a secret"}`, "shared: lacks its module; set it to redis"},
		"an unknown module":          {`{"module":"memcached"}`, "shared: "},
		"no address":                 {`{"module":"redis","password":"a secret"}`, "address: is missing; set it to the host and the port of Redis"},
		"an address without a port":  {`{"module":"redis","address":["redis.example.com"],"password":"a secret"}`, "address: must be a host and a port"},
		"a variable without a port":  {`{"module":"redis","address":["{env.HOST_ONLY}"]}`, "address: must be a host and a port"},
		"an address without a host":  {`{"module":"redis","address":[":6379"]}`, "address: must be a host and a port"},
		"a port that is no number":   {`{"module":"redis","address":["redis.example.com:redis"]}`, "address: must be a host and a port"},
		"a port that is too large":   {`{"module":"redis","address":["redis.example.com:65536"]}`, "address: must be a host and a port"},
		"a URL":                      {`{"module":"redis","address":["redis://x:a secret@redis.example.com"]}`, "address: must be a host and a port"},
		"a password that is not set": {`{"module":"redis","address":["redis.example.com:6379"],"password":"{env.NOT_SET_ANYWHERE}"}`, "password: "},
		"an empty password":          {`{"module":"redis","address":["redis.example.com:6379"],"password":"{env.EMPTY_SETTING}"}`, "password: "},
		"a negative database":        {`{"module":"redis","address":["redis.example.com:6379"],"db":-1}`, "db: must be the number of a database"},
		"a prefix with a brace":      {`{"module":"redis","address":["redis.example.com:6379"],"prefix":"a}"}`, "prefix: "},
		"no time":                    {`{"module":"redis","address":["redis.example.com:6379"],"timeout":0}`, "timeout: must be longer than 0"},
		"an invalid timeout":         {`{"module":"redis","address":["redis.example.com:6379"],"timeout":"soon"}`, "timeout: must be a duration"},
		"an unknown setting":         {`{"module":"redis","host":[]}`, "host"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provision(t, `{"account_id":"acc","gateway":"gw","gateway_token":"t","keystore":`+files(t)+`,"shared":`+test.shared+`}`)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q in it", err, test.want)
			}
			if strings.Contains(err.Error(), "a secret") {
				t.Errorf("the error holds the secret: %v", err)
			}
			sharedStores.Range(func(any, any) bool { t.Error("a failed load still holds a store"); return false })
		})
	}
}

func TestTheSettingsOfRedisHaveDefaults(t *testing.T) {
	t.Setenv("REDIS", "redis.example.com:6379")
	t.Setenv("REDIS_PASSWORD", "secret")
	s := &Redis{Address: []string{"{env.REDIS}"}, Password: "{env.REDIS_PASSWORD}"}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	if err := s.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	c := s.config
	if len(c.Addresses) != 1 || c.Addresses[0] != "redis.example.com:6379" || c.Password != "secret" || c.Username != "" || c.DB != 0 ||
		c.Prefix != "cca:" || c.Timeout != 50*time.Millisecond || c.TLS != nil {
		t.Errorf("%+v", c)
	}
	identities := map[string]bool{}
	for _, change := range []func(s *Redis){
		func(*Redis) {},
		func(s *Redis) { s.Address = []string{"redis.example.com:6380"} },
		func(s *Redis) { s.Username = "x" },
		func(s *Redis) { s.Password = "x" },
		func(s *Redis) { s.DB = "1" },
		func(s *Redis) { s.TLS = true },
		func(s *Redis) { s.Prefix = "x" },
		func(s *Redis) { s.Timeout = "1s" },
	} {
		other := &Redis{Address: s.Address, Password: s.Password}
		change(other)
		if err := other.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		identities[other.Identity()] = true
	}
	if len(identities) != 8 {
		t.Errorf("%d identities of 8 settings", len(identities))
	}
}

// storesInUse returns how many shared stores there are.
func storesInUse() (n int) {
	sharedStores.Range(func(any, any) bool { n++; return true })
	return n
}

func TestAReloadKeepsTheConnectionIfTheSettingsAreUnchanged(t *testing.T) {
	server := miniredis.RunT(t)
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: sharing(server)})
	var first usage.Shared
	sharedStores.Range(func(_, value any) bool { first = value.(sharedStore).Shared; return false })
	if err := p.load(strings.Replace(p.config, "gateway gw", "gateway other", 1)); err != nil {
		t.Fatal(err)
	}
	if err := p.load(strings.Replace(p.config, "gateway gw", "gateway {env.NOT_SET_ANYWHERE}", 1)); err == nil {
		t.Error("a broken configuration was loaded")
	}
	sharedStores.Range(func(_, value any) bool {
		if value.(sharedStore).Shared != first {
			t.Error("there is another store")
		}
		return true
	})
	if n := storesInUse(); n != 1 {
		t.Errorf("%d stores", n)
	}
	if err := p.load(strings.Replace(p.config, sharing(server), "", 1)); err != nil {
		t.Fatal(err)
	}
	if n := storesInUse(); n != 0 {
		t.Errorf("%d stores without the option", n)
	}
}

func TestMetricsSayWhetherTheSharedStoreAnswers(t *testing.T) {
	server := miniredis.RunT(t)
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL})
	if _, ok := scrape(t)["shared_store_up"]; ok {
		t.Error("there is the metric without a store")
	}
	if err := p.load(strings.Replace(p.config, "gateway gw", "gateway gw\n"+sharing(server), 1)); err != nil {
		t.Fatal(err)
	}
	count := func() (err error) {
		sharedStores.Range(func(_, value any) bool {
			_, _, err = value.(sharedStore).Count(t.Context(), "x", time.Minute)
			return true
		})
		return err
	}
	before := scrape(t)["shared_store_duration_seconds_count"]
	if err := count(); err != nil {
		t.Fatal(err)
	}
	if now := scrape(t); now["shared_store_up"] != 1 || now["shared_store_duration_seconds_count"] != before+1 {
		t.Errorf("up is %v, with %v operations after %v", now["shared_store_up"], now["shared_store_duration_seconds_count"], before)
	}
	server.SetError("LOADING")
	if err := count(); err == nil {
		t.Error("no error")
	}
	if up, ok := scrape(t)["shared_store_up"]; up != 0 || !ok {
		t.Errorf("up is %v, %v", up, ok)
	}
}
