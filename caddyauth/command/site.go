package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
)

// site is a place in a configuration that continue_auth handles.
type site struct {
	// hosts are the site's host names, or its listen addresses if it has no names.
	hosts []string

	// apiBase is the base URL for clients.
	apiBase string

	handler *caddyauth.Handler
}

// readConfig reads a configuration as JSON. If adapter is empty, the file's name decides the
// adapter. An empty path is the Caddyfile in this folder, and "-" is standard input.
func readConfig(path, adapter string) ([]byte, error) {
	if path == "" {
		path = "Caddyfile"
	}
	var content []byte
	var err error
	if path == "-" {
		content, err = io.ReadAll(os.Stdin)
	} else {
		content, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: name the server's Caddyfile or JSON with --config", err)
	}
	name := strings.ToLower(filepath.Base(path))
	if adapter == "" && filepath.Ext(name) != ".json" && (strings.HasPrefix(name, "caddyfile") || strings.HasSuffix(name, ".caddyfile")) {
		adapter = "caddyfile"
	}
	if adapter == "" {
		if !json.Valid(content) {
			return nil, fmt.Errorf("%s is not valid JSON: name its format with --adapter", path)
		}
		return content, nil
	}
	a := caddyconfig.GetAdapter(adapter)
	if a == nil {
		return nil, fmt.Errorf("this Caddy has no adapter %q", adapter)
	}
	adapted, _, err := a.Adapt(content, map[string]any{"filename": path})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return adapted, nil
}

// findSites returns the sites with continue_auth in a JSON configuration.
func findSites(config []byte) ([]site, error) {
	var all struct {
		Apps struct {
			HTTP caddyhttp.App `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, fmt.Errorf("the configuration is no Caddy configuration: %w", err)
	}
	app := &all.Apps.HTTP
	var sites []site
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		f := finder{app: app, server: app.Servers[name]}
		if err := f.routes(f.server.Routes, nil, ""); err != nil {
			return nil, err
		}
		sites = append(sites, f.found...)
	}
	if len(sites) == 0 {
		return nil, errors.New("the configuration has no continue_auth")
	}
	return sites, nil
}

// finder looks for continue_auth in a server.
type finder struct {
	app    *caddyhttp.App
	server *caddyhttp.Server
	found  []site
}

// routes searches routes that are reached under hosts. prefix has been removed from the path
// before.
func (f *finder) routes(list caddyhttp.RouteList, hosts []string, prefix string) error {
	for _, route := range list {
		var under []string
		for _, set := range route.MatcherSetsRaw {
			var names []string
			if raw, ok := set["host"]; ok && json.Unmarshal(raw, &names) == nil {
				for _, name := range names {
					under = append(under, caddy.NewReplacer().ReplaceKnown(name, ""))
				}
			}
		}
		if under == nil {
			under = hosts
		}
		for _, raw := range route.HandlersRaw {
			if err := f.handler(raw, under, &prefix); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *finder) handler(raw json.RawMessage, hosts []string, prefix *string) error {
	var module struct {
		Handler string `json:"handler"`
	}
	if err := json.Unmarshal(raw, &module); err != nil {
		return err
	}
	switch module.Handler {
	case "subroute":
		var inner caddyhttp.Subroute
		if err := json.Unmarshal(raw, &inner); err != nil {
			return err
		}
		return f.routes(inner.Routes, hosts, *prefix)
	case "invoke":
		var invoked caddyhttp.Invoke
		if err := json.Unmarshal(raw, &invoked); err != nil {
			return err
		}
		if route := f.server.NamedRoutes[invoked.Name]; route != nil {
			return f.routes(caddyhttp.RouteList{*route}, hosts, *prefix)
		}
	case "rewrite":
		var r rewrite.Rewrite
		if err := json.Unmarshal(raw, &r); err != nil {
			return err
		}
		*prefix += strings.TrimSuffix(r.StripPathPrefix, "/")
	case "continue_auth":
		h := new(caddyauth.Handler)
		if err := json.Unmarshal(raw, h); err != nil {
			return err
		}
		f.found = append(f.found, f.site(h, hosts, *prefix))
	}
	return nil
}

// site makes the site of a handler that is reached under hosts and prefix.
func (f *finder) site(h *caddyauth.Handler, hosts []string, prefix string) site {
	address := caddy.NetworkAddress{StartPort: caddyhttp.DefaultHTTPSPort}
	if len(f.server.Listen) > 0 {
		if parsed, err := caddy.ParseNetworkAddress(f.server.Listen[0]); err == nil {
			address = parsed
		}
	}
	host := "localhost"
	if len(hosts) > 0 {
		host = hosts[0]
		if i := slices.IndexFunc(hosts, func(name string) bool { return !strings.Contains(name, "*") }); i >= 0 {
			host = hosts[i]
		}
	} else if ip, err := netip.ParseAddr(address.Host); err == nil && !ip.IsUnspecified() || err != nil && address.Host != "" && !address.IsUnixNetwork() {
		host = address.Host
	}
	scheme, usual := "http", uint(caddyhttp.DefaultHTTPPort)
	if f.secure(hosts, address.StartPort) {
		scheme, usual = "https", caddyhttp.DefaultHTTPSPort
	}
	if port := address.StartPort; port != usual && port != 0 {
		host = net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10))
	}
	s := site{hosts: hosts, apiBase: scheme + "://" + host + prefix + "/v1", handler: h}
	if len(hosts) == 0 {
		s.hosts = slices.Clone(f.server.Listen)
	}
	return s
}

// secure reports whether Caddy serves hosts with TLS on port. By default it does so for all sites
// that have a name.
func (f *finder) secure(hosts []string, port uint) bool {
	plain := uint(caddyhttp.DefaultHTTPPort)
	if f.app.HTTPPort != 0 {
		plain = uint(f.app.HTTPPort)
	}
	tls := uint(caddyhttp.DefaultHTTPSPort)
	if f.app.HTTPSPort != 0 {
		tls = uint(f.app.HTTPSPort)
	}
	auto := f.server.AutoHTTPS
	switch {
	case len(f.server.TLSConnPolicies) > 0, port == tls && (auto == nil || !auto.Disabled):
		return true
	case port == plain || len(hosts) == 0:
		return false
	}
	return auto == nil || !auto.Disabled && !slices.Contains(auto.Skip, hosts[0])
}

// chooseSite returns the site with a name, which is a host or an address. If several sites match,
// they must have the same keystore, and if addressMatters is set, there must be only one. An empty
// name matches all sites.
func chooseSite(sites []site, name string, addressMatters bool) (*site, error) {
	var names []string
	var fit []site
	for _, s := range sites {
		if name == "" || slices.Contains(s.hosts, name) || name == s.apiBase {
			fit = append(fit, s)
		}
		names = append(names, strings.Join(s.hosts, ", ")+" ("+s.apiBase+")")
	}
	list := strings.Join(names, "\n  ")
	if len(fit) == 0 {
		return nil, fmt.Errorf("there is no site %q with continue_auth; there are:\n  %s", name, list)
	}
	for i := range fit {
		if addressMatters && i > 0 || !sameKeystore(fit[0].handler, fit[i].handler) {
			return nil, fmt.Errorf("choose a site with --site, by its host or by its address; there are:\n  %s", list)
		}
	}
	return &fit[0], nil
}

// sameKeystore reports whether two handlers have the same keystore configuration.
func sameKeystore(a, b *caddyauth.Handler) bool {
	return a.AccountID == b.AccountID && string(a.KeystoreRaw) == string(b.KeystoreRaw)
}
