package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/filestore"
)

// configFlags say what the server's configuration is.
type configFlags struct{ config, adapter string }

func (f *configFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVarP(&f.config, "config", "c", "", "the server's configuration (default: the Caddyfile in this folder)")
	flags.StringVarP(&f.adapter, "adapter", "a", "", "the format of the configuration, where its name does not tell")
}

// keystoreFlags say which keystore a command is for.
type keystoreFlags struct {
	configFlags
	site string
}

func (f *keystoreFlags) add(cmd *cobra.Command) {
	f.configFlags.add(cmd)
	cmd.PersistentFlags().StringVar(&f.site, "site", "", "the host of the site, where there are several")
}

// administration is a keystore that a command works on, and the server that may be running on it.
type administration struct {
	store keystore.Store
	site  *site
	admin string // the address of the server's admin endpoint; empty: it is off

	maxAge, absent time.Duration // of the server's cache
	remote         bool          // the keystore is not a file of this machine's
	pace           *rate.Limiter
	messages       io.Writer
	close          func()
}

// What a command takes of the calls that Cloudflare allows a token, 1,200 in five minutes: the
// server's own share is three a second.
const (
	callsPerSecond = 0.4
	callsAtOnce    = 120
)

// purpose is what a command opens a keystore for.
type purpose int

const (
	existing   purpose = iota
	making             // a keystore of files that are not there yet is made
	addressing         // one that exists, and the site's address matters
)

// run returns a command's RunE that opens the keystore first.
func (f *keystoreFlags) run(why purpose, do func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage = true
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		a, err := f.administration(ctx, why, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer a.close()
		return do(ctx, a, cmd, args)
	}
}

func (f *keystoreFlags) administration(ctx context.Context, why purpose, messages io.Writer) (*administration, error) {
	config, err := readConfig(f.config, f.adapter)
	if err != nil {
		return nil, err
	}
	sites, err := findSites(config)
	if err != nil {
		return nil, err
	}
	chosen, err := chooseSite(sites, f.site, why == addressing)
	if err != nil {
		return nil, err
	}
	a := &administration{site: chosen, admin: adminAddress(config), pace: rate.NewLimiter(rate.Inf, 0), messages: messages}
	if err := a.openStore(ctx, why); err != nil {
		return nil, err
	}
	return a, nil
}

// adminAddress is where the server that runs a configuration has its admin endpoint.
func adminAddress(config []byte) string {
	var c struct {
		Admin struct {
			Disabled bool   `json:"disabled"`
			Listen   string `json:"listen"`
		} `json:"admin"`
	}
	_ = json.Unmarshal(config, &c) // the sites were found in it
	switch {
	case c.Admin.Disabled:
		return ""
	case c.Admin.Listen != "":
		return caddy.NewReplacer().ReplaceKnown(c.Admin.Listen, "")
	}
	return caddy.DefaultAdminListen
}

func (a *administration) openStore(ctx context.Context, why purpose) error {
	h := a.site.handler
	ages, err := h.Cache.Ages()
	if err != nil {
		return err
	}
	a.maxAge, a.absent = ages.MaxAge, ages.Absent
	provisioned, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	source, err := h.LoadKeystore(provisioned)
	if err == nil {
		err = a.prepare(source, why)
	}
	if err == nil {
		a.store, err = source.Open()
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: run this where the server runs, or make a key there first", err)
	}
	if err != nil {
		cancel()
		return err
	}
	a.close = func() {
		if closer, ok := a.store.(io.Closer); ok {
			_ = closer.Close() // whatever was written, is
		}
		cancel()
	}
	return nil
}

// prepare makes the files of a keystore that is new, and sets the pace for one that is far.
func (a *administration) prepare(source caddyauth.Keystore, why purpose) error {
	f, ok := source.(*caddyauth.File)
	if !ok {
		a.remote, a.pace = true, rate.NewLimiter(callsPerSecond, callsAtOnce)
		return nil
	}
	if why != making {
		return nil
	}
	keys, settings := f.Paths()
	for _, path := range []string{keys, settings} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := filestore.Create(path); err != nil {
			return err
		}
		a.say("Made the file %s, which was not there.", path)
	}
	return nil
}

// get returns the values of those of names that are there.
func (a *administration) get(ctx context.Context, ns keystore.Namespace, names []string) (map[string][]byte, error) {
	if err := a.pace.Wait(ctx); err != nil {
		return nil, err
	}
	return a.store.Get(ctx, ns, names)
}

// edit changes the values of names, 100 at most.
func (a *administration) edit(ctx context.Context, ns keystore.Namespace, names []string, edit func(name string, value []byte) ([]byte, error)) error {
	editor, ok := a.store.(keystore.Editor)
	if !ok {
		return errors.New("this keystore cannot be written to")
	}
	for _, name := range names {
		if !keystore.ValidName(name) {
			return fmt.Errorf("%q: a name is empty, too long, or has control characters", name)
		}
	}
	for range 2 { // it reads and writes
		if err := a.pace.Wait(ctx); err != nil {
			return err
		}
	}
	return editor.Edit(ctx, ns, names, edit)
}

// batch is how many names travel in one call.
const batch = 100

// each calls visit with the names and values of a namespace, in their order.
func (a *administration) each(ctx context.Context, ns keystore.Namespace, visit func(name string, value []byte) error) error {
	names, err := a.store.List(ctx, ns)
	if err != nil {
		return err
	}
	slices.Sort(names)
	progress := newProgress(a.messages, "read", len(names))
	defer progress.end()
	for some := range slices.Chunk(names, batch) {
		values, err := a.get(ctx, ns, some)
		if err != nil {
			return err
		}
		for _, name := range some {
			if value, ok := values[name]; ok {
				if err := visit(name, value); err != nil {
					return err
				}
			}
		}
		progress.add(len(some))
	}
	return nil
}

// say tells the operator something that is not the command's result.
func (a *administration) say(format string, args ...any) {
	fmt.Fprintf(a.messages, format+"\n", args...)
}

// forget has the running server drop its copies of users or providers. If it cannot be reached, it
// says by when the change takes effect: within that time.
func (a *administration) forget(within time.Duration, emails ...string) {
	if len(emails) == 0 {
		return
	}
	var paths []string
	for _, email := range emails {
		paths = append(paths, caddyauth.AdminPath+"cache/"+url.PathEscape(email))
	}
	when := fmt.Sprintf("%s from now", within)
	if a.remote {
		when = fmt.Sprintf("%s after Workers KV shows it, which can take a minute", within)
	}
	if a.admin == "" {
		a.say("The server's admin endpoint is off: a server takes this up at most %s.", when)
		return
	}
	for _, path := range paths {
		if err := callAdmin(a.admin, path); err != nil {
			a.say("No server was told at %s (%v): one that runs elsewhere takes this up at most %s.", a.admin, err, when)
			return
		}
	}
	if a.remote {
		a.say("The running server was told, and takes this up at most %s.", when)
		return
	}
	a.say("The running server was told.")
}

// adminTimeout bounds a call of the admin endpoint.
const adminTimeout = 5 * time.Second

func callAdmin(address, path string) error {
	done := make(chan error, 1)
	go func() {
		res, err := caddycmd.AdminAPIRequest(address, http.MethodDelete, path, nil, nil)
		if err == nil {
			_ = res.Body.Close()
		} else if _, reason, ok := strings.Cut(err.Error(), "connect: "); ok {
			err = errors.New(reason) // of a sentence that names everything twice
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(adminTimeout):
		return fmt.Errorf("%s does not answer", address)
	}
}
