package caddyauth

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/redis"
)

func init() {
	caddy.RegisterModule(new(Redis))
}

// Redis is a Redis 6 or later, or a Valkey, that several servers share. It can be a single one, one that
// Sentinels watch, or a Cluster. If it cannot be reached, each server counts by itself.
//
// Only hashes of users' names, counters and Gemini's thought signatures are stored, and all of them expire.
type Redis struct {
	// The addresses, each as `<host>:<port>`. Several are nodes of a Cluster, or Sentinels. The server asks
	// them which. Required.
	Address []string `json:"address,omitempty"`

	// The user of an access control list. Default: Redis's user `default`.
	Username string `json:"username,omitempty"`

	// The password. Sentinels get it too, if they want one. Default: none.
	Password string `json:"password,omitempty"`

	// The number of the database. A Cluster has only 0. Default: 0.
	DB Value `json:"db,omitempty"`

	// Whether the connection uses TLS. The certificate must be one that the system trusts. Default: false.
	TLS bool `json:"tls,omitempty"`

	// What the names of all keys begin with. Servers with the same prefix count together. Default: `cca:`.
	Prefix string `json:"prefix,omitempty"`

	// How long a request waits for Redis before the server counts by itself. Default: `50ms`.
	Timeout Duration `json:"timeout,omitempty"`

	config redis.Config // with placeholders replaced
}

// CaddyModule returns the module's ID and constructor.
func (*Redis) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "continue_auth.shared.redis",
		New: func() caddy.Module { return new(Redis) },
	}
}

// Provision replaces the placeholders in the settings.
func (s *Redis) Provision(ctx caddy.Context) (err error) {
	r := resolver{caddy.NewReplacer(), &err}
	s.config = redis.Config{
		Username: r.text("username", s.Username),
		Password: r.text("password", s.Password),
		DB:       r.database("db", s.DB),
		Prefix:   "cca:",
		Timeout:  r.duration("timeout", s.Timeout, 50*time.Millisecond),
		Log:      sharedLog,
		Observe:  observeShared,
	}
	if ctx.Value(quietKey{}) != nil {
		s.config.Log = zap.NewNop
	}
	if s.Prefix != "" {
		s.config.Prefix = r.text("prefix", s.Prefix)
	}
	if s.TLS {
		s.config.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if len(s.Address) == 0 {
		r.fail("address", errors.New("is missing; set it to the host and the port of Redis, such as redis.example.com:6379"))
	}
	for _, written := range s.Address {
		s.config.Addresses = append(s.config.Addresses, r.address("address", written))
	}
	switch {
	case strings.ContainsAny(s.config.Prefix, "{}"):
		r.fail("prefix", errors.New("must not contain { or }"))
	case s.config.Timeout == 0:
		r.fail("timeout", errors.New("must be longer than 0"))
	}
	return err
}

func (r resolver) address(name, value string) string {
	address, err := parseAddress(r.text(name, value))
	if err != nil {
		r.fail(name, err)
	}
	return address
}

func (r resolver) database(name string, value Value) int {
	if value == "" {
		return 0
	}
	n, err := parseDatabase(r.text(name, string(value)))
	if err != nil {
		r.fail(name, err)
	}
	return n
}

func parseAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" || n == 0 {
		return "", errors.New("must be a host and a port, such as redis.example.com:6379")
	}
	return s, nil
}

func parseDatabase(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, errors.New("must be the number of a database, such as 0")
	}
	return n, nil
}

// Identity returns all settings as one string.
func (s *Redis) Identity() string {
	c := s.config
	return strings.Join(append([]string{
		c.Username, c.Password, strconv.Itoa(c.DB), strconv.FormatBool(s.TLS), c.Prefix, c.Timeout.String(),
	}, c.Addresses...), "\x00")
}

// Open connects to Redis. If that takes longer than a second, it goes on in the background.
func (s *Redis) Open() (usage.Shared, error) { return redis.Open(s.config), nil }

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	shared redis {
//	    address   <host:port>...
//	    username  <name>
//	    password  <secret>
//	    db        <n>
//	    tls
//	    prefix    <text>
//	    timeout   <duration>
//	}
func (s *Redis) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the module
	return block(d, func(name string) (err error) {
		switch name {
		case "address":
			err = s.unmarshalAddress(d)
		case "username":
			err = text(d, &s.Username)
		case "password":
			err = text(d, &s.Password)
		case "db":
			err = value(d, &s.DB, parseDatabase)
		case "tls":
			err = on(d, &s.TLS)
		case "prefix":
			err = text(d, &s.Prefix)
		case "timeout":
			err = value(d, &s.Timeout, parseDuration)
		default:
			err = d.Errf("unknown option %q of shared redis", name)
		}
		return err
	})
}

func (s *Redis) unmarshalAddress(d *caddyfile.Dispenser) error {
	if s.Address = d.RemainingArgs(); len(s.Address) == 0 {
		return d.ArgErr()
	}
	for _, address := range s.Address {
		if err := check(d, "address", address, parseAddress); err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Redis)(nil)
	_ caddyfile.Unmarshaler = (*Redis)(nil)
	_ Shared                = (*Redis)(nil)
)
