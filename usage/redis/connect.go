package redis

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// poolSize is the maximum number of connections to one Redis.
const poolSize = 64

// connect returns a client for what answers at the addresses.
//
// It asks the first address that answers. HELLO says what is there: a Redis of its own, a node of a Cluster or
// a Sentinel. A Sentinel says by SENTINEL MASTERS which master it watches, so no option needs to name it.
func (s *Store) connect(ctx context.Context) (*connection, error) {
	var failed error
	for _, address := range s.Addresses {
		options, err := s.identify(ctx, address)
		if err == nil {
			return &connection{UniversalClient: goredis.NewUniversalClient(options)}, nil
		}
		if failed == nil || reason(failed) == "cannot be reached" {
			failed = err
		}
	}
	return nil, failed
}

// identify finds out what answers at an address, and returns the options of a client for it.
func (s *Store) identify(ctx context.Context, address string) (*goredis.UniversalOptions, error) {
	options := s.options()
	mode, master, err := s.ask(ctx, address, s.Username, s.Password)
	if goredis.HasErrorPrefix(err, "WRONGPASS") || goredis.HasErrorPrefix(err, "ERR AUTH") {
		// A Sentinel does not have the users of the Redis that it watches.
		if openMode, openMaster, openErr := s.ask(ctx, address, "", ""); openErr == nil && openMode == "sentinel" {
			options.SentinelUsername, options.SentinelPassword = "", ""
			mode, master, err = openMode, openMaster, nil
		}
	}
	switch {
	case err != nil:
		return nil, err
	case mode == "sentinel":
		options.MasterName = master
	case mode == "cluster":
		options.IsClusterMode = true
	case len(s.Addresses) > 1:
		return nil, errKind
	}
	return options, nil
}

// ask asks a server for its mode: standalone, cluster or sentinel. master is the name of the Sentinel's only
// master.
func (s *Store) ask(ctx context.Context, address, username, password string) (mode, master string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	options := s.options().Simple()
	options.Addr, options.Username, options.Password, options.DB = address, username, password, 0
	client := goredis.NewClient(options)
	defer func() { _ = client.Close() }()
	about, err := client.Do(ctx, "HELLO", 2).Slice()
	if err != nil {
		return "", "", err
	}
	if mode = entry(about, "mode"); mode != "sentinel" {
		return mode, "", nil
	}
	masters, err := client.Do(ctx, "SENTINEL", "MASTERS").Slice()
	if err != nil {
		return "", "", err
	}
	if len(masters) == 1 {
		about, _ := masters[0].([]any)
		master = entry(about, "name")
	}
	if master == "" {
		return "", "", errMasters
	}
	return mode, master, nil
}

// entry returns the value of a name in a list of names and values, or "".
func entry(list []any, name string) string {
	for i := 0; i+1 < len(list); i += 2 {
		if list[i] == name {
			value, _ := list[i+1].(string)
			return value
		}
	}
	return ""
}

func (s *Store) options() *goredis.UniversalOptions {
	return &goredis.UniversalOptions{
		Addrs:    s.Addresses,
		Username: s.Username, Password: s.Password, DB: s.DB,
		SentinelUsername: s.Username, SentinelPassword: s.Password,

		Dialer:      s.dial,
		DialTimeout: patience, DialerRetries: 1,
		ReadTimeout: patience, WriteTimeout: patience, ContextTimeoutEnabled: true,
		MaxRetries: -1, // Store decides what to do again
		PoolSize:   poolSize, PipelinePoolSize: -1,
		ConnMaxIdleTime: time.Minute, // before Redis or a firewall closes the connection

		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// dial connects to a server whose answers are checked.
func (s *Store) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: patience, KeepAlive: time.Minute}
	var conn net.Conn
	var err error
	if s.TLS != nil {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: s.TLS}).DialContext(ctx, network, address)
	} else {
		conn, err = dialer.DialContext(ctx, network, address)
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &guardedConn{Conn: conn}, nil
}

// once is a command that the library must not send again when it does not know whether the server ran it.
type once struct{ *goredis.Cmd }

// NoRetry returns true.
func (once) NoRetry() bool { return true }
