package caddyauth

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("continue_auth", parseHandler)
	httpcaddyfile.RegisterDirectiveOrder("continue_auth", httpcaddyfile.Before, "reverse_proxy")
}

func parseHandler(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	continue_auth [<matcher>] {
//	    account_id      <id>
//	    gateway         <name>
//	    gateway_token   <secret>
//	    keystore        <module> { ... }
//	    cache {
//	        refresh_after   <duration>
//	        max_age         <duration>
//	        stale_if_error  <duration>
//	        absent          <duration>
//	        max_entries     <n>
//	        snapshot
//	    }
//	    alias           <name> <provider>/<model>   # repeatable
//	    limits {
//	        requests <n> <window>                   # repeatable
//	        tokens   <n> <window>                   # repeatable
//	        parallel <n>
//	        team     <metadata name> { ... }        # the same three
//	    }
//	    shared          <module> { ... }
//	    ledger          [<module>] { ... }          # sqlite by default
//	    portal
//	    email_header    <name>
//	    max_body_size   <size>
//	    failed_attempts <n> <duration>
//	    client_headers  <name>...
//	    ask_usage
//	}
//
// Values without placeholders are checked here, so that an error names the line.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the directive
	return block(d, func(name string) (err error) {
		switch name {
		case "account_id":
			err = text(d, &h.AccountID)
		case "gateway":
			err = text(d, &h.Gateway)
		case "gateway_token":
			err = text(d, &h.GatewayToken)
		case "keystore":
			h.KeystoreRaw, err = module(d, "continue_auth.keystores.", "")
		case "cache":
			err = h.Cache.unmarshalCaddyfile(d)
		case "alias":
			err = h.unmarshalAlias(d)
		case "limits":
			err = h.Limits.unmarshalCaddyfile(d)
		case "shared":
			h.SharedRaw, err = module(d, "continue_auth.shared.", "")
		case "ledger":
			h.LedgerRaw, err = module(d, "continue_auth.ledgers.", "sqlite")
		case "portal":
			err = on(d, &h.Portal)
		case "email_header":
			err = text(d, &h.EmailHeader)
		case "max_body_size":
			err = value(d, &h.MaxBodySize, parseSize)
		case "failed_attempts":
			err = h.FailedAttempts.unmarshalCaddyfile(d)
		case "client_headers":
			if h.ClientHeaders = d.RemainingArgs(); len(h.ClientHeaders) == 0 {
				err = d.ArgErr()
			}
		case "ask_usage":
			err = on(d, &h.AskUsage)
		default:
			err = d.Errf("unknown option %q of continue_auth", name)
		}
		return err
	}, "alias")
}

// module reads an option whose argument is the name of a module in a namespace. If there is no argument, the
// module is otherwise, or an argument is required.
func module(d *caddyfile.Dispenser, namespace, otherwise string) (json.RawMessage, error) {
	name := otherwise
	if d.NextArg() {
		name = d.Val()
	} else if otherwise == "" {
		return nil, d.ArgErr()
	}
	unmarshaled, err := caddyfile.UnmarshalModule(d, namespace+name)
	if err != nil {
		return nil, err
	}
	return caddyconfig.JSONModuleObject(unmarshaled, "module", name, nil), nil
}

func (c *Cache) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return block(d, func(name string) (err error) {
		switch name {
		case "refresh_after":
			err = value(d, &c.RefreshAfter, parseDuration)
		case "max_age":
			err = value(d, &c.MaxAge, parseDuration)
		case "stale_if_error":
			err = value(d, &c.StaleIfError, parseDuration)
		case "absent":
			err = value(d, &c.Absent, parseDuration)
		case "max_entries":
			err = value(d, &c.MaxEntries, parseCount)
		case "snapshot":
			err = on(d, &c.Snapshot)
		default:
			err = d.Errf("unknown option %q of cache", name)
		}
		return err
	})
}

func (f *FailedAttempts) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	var count, window string
	if !d.AllArgs(&count, &window) {
		return d.Errf("failed_attempts: expected a number and a duration, such as 100 1m")
	}
	f.Count, f.Window = Value(count), Duration(window)
	if err := check(d, "failed_attempts", count, parseCount); err != nil {
		return err
	}
	return check(d, "failed_attempts", window, parseDuration)
}

// on sets an option that takes no value.
func on(d *caddyfile.Dispenser, option *bool) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*option = true
	return nil
}

// block calls option with the name of each option in the next block. An option may occur once, unless it is
// in repeatable. Nothing may be between the directive's name and the block.
func block(d *caddyfile.Dispenser, option func(name string) error, repeatable ...string) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] && !slices.Contains(repeatable, name) {
			return d.Errf("option %q stands here twice", name)
		}
		seen[name] = true
		if err := option(name); err != nil {
			return err
		}
	}
	return nil
}

// text reads the one argument of an option.
func text(d *caddyfile.Dispenser, to *string) error {
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	return nil
}

// value is like text, for a Value or a Duration.
func value[V ~string, T any](d *caddyfile.Dispenser, to *V, parse func(string) (T, error)) error {
	var written string
	name := d.Val()
	if err := text(d, &written); err != nil {
		return err
	}
	*to = V(written)
	return check(d, name, written, parse)
}

// check parses a value to find errors. It accepts a value with a placeholder, because only the server can
// replace it.
func check[T any](d *caddyfile.Dispenser, name, value string, parse func(string) (T, error)) error {
	if strings.Contains(value, "{") {
		return nil
	}
	if _, err := parse(value); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
