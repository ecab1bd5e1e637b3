// Package cloudflarekv is a keystore.Editor that uses two Cloudflare Workers KV namespaces through
// Cloudflare's REST API.
package cloudflarekv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudflare/cloudflare-go/v7/kv"
	"github.com/cloudflare/cloudflare-go/v7/option"
	"golang.org/x/time/rate"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// Config locates the two namespaces. The environment variables of Cloudflare's SDK have no effect.
type Config struct {
	// AccountID is the account that has both namespaces. Required.
	AccountID string

	// APIToken needs the permission Workers KV Storage Read. Edit also needs Workers KV Storage
	// Write. Required.
	APIToken string

	// APIKeysNamespace and ProviderSettingsNamespace are namespace ids. Required.
	APIKeysNamespace, ProviderSettingsNamespace string

	// Endpoint is the URL of the API. The default is https://api.cloudflare.com/client/v4.
	Endpoint string

	// Timeout limits one attempt. A call makes at most two. The default is 5s.
	Timeout time.Duration
}

// These are the defaults of a Config.
const (
	defaultEndpoint = "https://api.cloudflare.com/client/v4"
	defaultTimeout  = 5 * time.Second
)

// maxPages limits a listing to a million names. These are fewer calls than Cloudflare allows in
// five minutes (https://developers.cloudflare.com/fundamentals/api/reference/limits/).
const maxPages = 1000

// Store is a keystore.Editor.
type Store struct {
	account                   string
	apiKeys, providerSettings string
	timeout                   time.Duration

	namespaces *kv.NamespaceService
	client     *http.Client
	budget     *rate.Limiter
	budgetName string
}

// New makes a store. It does not connect. Errors name the setting, but not its value.
func New(c Config) (*Store, error) {
	if c.Endpoint == "" {
		c.Endpoint = defaultEndpoint
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	client := newClient(c.Timeout)
	return &Store{
		account:          c.AccountID,
		apiKeys:          c.APIKeysNamespace,
		providerSettings: c.ProviderSettingsNamespace,
		timeout:          c.Timeout,
		client:           client,
		budget:           budgetOf(c.APIToken),
		budgetName:       budgetNameOf(c.APIToken),
		namespaces: kv.NewNamespaceService(
			option.WithBaseURL(c.Endpoint),
			option.WithAPIToken(c.APIToken),
			option.WithHTTPClient(client),
			// The SDK would wait for as long as a Retry-After says, and would repeat calls after a
			// 429. call decides about retries instead.
			option.WithMaxRetries(0),
			option.WithMiddleware(bound),
		),
	}, nil
}

func (c Config) validate() error {
	for _, id := range []struct{ setting, value string }{
		{"account_id", c.AccountID},
		{keystore.APIKeys.String(), c.APIKeysNamespace},
		{keystore.ProviderSettings.String(), c.ProviderSettingsNamespace},
	} {
		if !validID(id.value) {
			return fmt.Errorf("%s: must be an id, of letters, digits, - and _", id.setting)
		}
	}
	if c.APIToken == "" || strings.ContainsFunc(c.APIToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("api_token: must be a token, without white space or line breaks")
	}
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil || endpoint.Scheme != "https" && endpoint.Scheme != "http" || endpoint.Hostname() == "" ||
		endpoint.User != nil || endpoint.RawQuery != "" || endpoint.Fragment != "" {
		return errors.New("endpoint: must be a URL of http or https with a host, and without user, query or fragment")
	}
	if c.Timeout < 0 {
		return errors.New("timeout: must not be negative")
	}
	return nil
}

// validID reports whether id is one segment of a URL. The SDK puts it into the URL without escaping
// it.
func validID(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// newClient returns a client that does not follow redirects, which could send names and the token
// elsewhere. It uses the proxy of the environment, as Caddy does. It uses HTTP/1.1 only: a call
// that times out then closes its connection, while with HTTP/2 the next calls would use the same
// dead connection.
func newClient(timeout time.Duration) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			Protocols:              protocols,
			DialContext:            (&net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    timeout,
			MaxConnsPerHost:        16,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// Get returns the values of names. Names that do not exist are not in the result. It makes one bulk
// read, so a URL never contains a name.
func (s *Store) Get(ctx context.Context, ns keystore.Namespace, names []string) (map[string][]byte, error) {
	body, err := s.call(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		_, err := s.namespaces.BulkGet(ctx, s.namespace(ns), s.bulkGet(names), opts...)
		return err
	})
	if err != nil {
		return nil, err
	}
	values, err := decodeValues(body)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(names))
	for _, name := range names {
		if value := values[name]; value != nil {
			found[name] = []byte(*value)
		}
	}
	return found, nil
}

// bulkGet returns the parameters of a bulk read.
func (s *Store) bulkGet(names []string) kv.NamespaceBulkGetParams {
	var params kv.NamespaceBulkGetParams
	set(&params.AccountID.Value, &params.AccountID.Present, s.account)
	set(&params.Keys.Value, &params.Keys.Present, names)
	set(&params.Type.Value, &params.Type.Present, kv.NamespaceBulkGetParamsTypeText)
	return params
}

// set fills in a field of the SDK's parameters. The SDK has cloudflare.F for that, in a package that
// imports the API of every product of Cloudflare. Without it, a build compiles 120 fewer packages.
func set[T any](value *T, present *bool, v T) { *value, *present = v, true }

// List returns all names. It leaves out invalid names, because Get could not look them up.
func (s *Store) List(ctx context.Context, ns keystore.Namespace) ([]string, error) {
	var names []string
	seen := make(map[string]bool)
	for cursor := ""; len(seen) < maxPages; {
		page, next, err := s.page(ctx, ns, cursor)
		if err != nil {
			return nil, err
		}
		for _, name := range page {
			if keystore.ValidName(name) {
				names = append(names, name)
			}
		}
		if next == "" {
			return names, nil
		}
		if seen[next] {
			return nil, unavailable("the listing runs in a circle")
		}
		seen[next], cursor = true, next
	}
	return nil, unavailable("the listing has no end")
}

// page returns one page of names and the cursor of the next page. The last page has no cursor. (The
// SDK's own paging stops at an empty page, although an empty page can have a cursor:
// https://developers.cloudflare.com/kv/api/list-keys/.)
func (s *Store) page(ctx context.Context, ns keystore.Namespace, cursor string) (names []string, next string, err error) {
	var params kv.NamespaceKeyListParams
	set(&params.AccountID.Value, &params.AccountID.Present, s.account)
	set(&params.Limit.Value, &params.Limit.Present, 1000)
	if cursor != "" {
		set(&params.Cursor.Value, &params.Cursor.Present, cursor)
	}
	body, err := s.call(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		_, err := s.namespaces.Keys.List(ctx, s.namespace(ns), params, opts...)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return decodePage(body)
}

// Close closes idle connections.
func (s *Store) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

func (s *Store) namespace(ns keystore.Namespace) string {
	if ns == keystore.ProviderSettings {
		return s.providerSettings
	}
	return s.apiKeys
}
