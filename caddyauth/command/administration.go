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

// configFlags locate the server's configuration.
type configFlags struct{ config, adapter string }

func (f *configFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVarP(&f.config, "config", "c", "", "the server's configuration (default: the Caddyfile in this folder)")
	flags.StringVarP(&f.adapter, "adapter", "a", "", "the format of the configuration, if its file name does not say it")
}

// keystoreFlags select the keystore that a command works on.
type keystoreFlags struct {
	configFlags
	site string
}

func (f *keystoreFlags) add(cmd *cobra.Command) {
	f.configFlags.add(cmd)
	cmd.PersistentFlags().StringVar(&f.site, "site", "", "the host of the site, if there are several")
}

// administration is a keystore that a command works on, and the server that may be using it.
type administration struct {
	store keystore.Store
	site  *site
	admin string // the address of the server's admin endpoint, or "" if it is off

	maxAge, absent time.Duration // of the server's cache
	remote         bool          // the keystore is not a file on this machine
	pace           *rate.Limiter
	messages       io.Writer
	close          func()
}

// callsPerSecond and callsAtOnce are a command's share of Cloudflare's limit of 1,200 calls of one
// token in five minutes. The server's share is three calls a second.
const (
	callsPerSecond = 0.4
	callsAtOnce    = 120
)

// purpose says why a command opens a keystore.
type purpose int

const (
	existing   purpose = iota
	making             // if the keystore's files do not exist, they are made
	addressing         // the keystore must exist, and the command needs the site's address
)

// run returns a RunE that opens the keystore and then calls do.
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

// adminAddress returns the address of the admin endpoint in a configuration, or "" if it is off.
func adminAddress(config []byte) string {
	var c struct {
		Admin struct {
			Disabled bool   `json:"disabled"`
			Listen   string `json:"listen"`
		} `json:"admin"`
	}
	_ = json.Unmarshal(config, &c) // it is valid JSON: the sites were found in it
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
			_ = closer.Close() // all changes have been written
		}
		cancel()
	}
	return nil
}

// prepare makes the files of a new file keystore, and limits the calls of a remote keystore.
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

// get returns the values of names. Names that do not exist are not in the result.
func (a *administration) get(ctx context.Context, ns keystore.Namespace, names []string) (map[string][]byte, error) {
	if err := a.pace.Wait(ctx); err != nil {
		return nil, err
	}
	return a.store.Get(ctx, ns, names)
}

// edit changes the values of names, at most 100.
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
	for range 2 { // an edit reads and writes
		if err := a.pace.Wait(ctx); err != nil {
			return err
		}
	}
	return editor.Edit(ctx, ns, names, edit)
}

// batch is the number of names in one call of the keystore.
const batch = 100

// each calls visit for each name and value of a namespace, in order.
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

// say prints a message that is not part of the command's result.
func (a *administration) say(format string, args ...any) {
	fmt.Fprintf(a.messages, format+"\n", args...)
}

// forget tells the running servers to drop their copies of users or providers. If no server can be reached, it
// says when the change takes effect at the latest.
func (a *administration) forget(within time.Duration, emails ...string) {
	if len(emails) == 0 {
		return
	}
	when := fmt.Sprintf("%s from now", within)
	if a.remote {
		when = fmt.Sprintf("%s after Workers KV shows it, which can take a minute", within)
	}
	all, sharedErr := a.tellShared(emails)
	err := a.tellServer(emails) // it may be cut off from the others
	if sharedErr != nil {
		a.say("Other servers were not told (%v).", sharedErr)
	}
	who, takes := "The running server was", "takes"
	switch {
	case all:
		who, takes = "All servers that share a store were", "take"
	case a.admin == "":
		a.say("The server's admin endpoint is off: a server takes this up at most %s.", when)
		return
	case err != nil:
		a.say("No server was told at %s (%v). A server that runs elsewhere takes this up at most %s.", a.admin, err, when)
		return
	}
	if a.remote {
		a.say("%s told, and %s this up at most %s.", who, takes, when)
		return
	}
	a.say("%s told.", who)
}

// tellServer tells the server at the admin endpoint to drop its copies, if there is one.
func (a *administration) tellServer(emails []string) error {
	if a.admin == "" {
		return nil
	}
	for _, email := range emails {
		if _, err := callAdmin(a.admin, http.MethodDelete, caddyauth.AdminPath+"cache/"+url.PathEscape(email)); err != nil {
			return err
		}
	}
	return nil
}

// adminTimeout limits a call of the admin endpoint.
const adminTimeout = 5 * time.Second

// callAdmin sends a request to the admin endpoint and returns the body of the answer.
func callAdmin(address, method, path string) ([]byte, error) {
	type answer struct {
		body []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		res, err := caddycmd.AdminAPIRequest(address, method, path, nil, nil)
		if err != nil {
			if _, reason, ok := strings.Cut(err.Error(), "connect: "); ok {
				err = errors.New(reason) // the rest of the error repeats the address
			}
			done <- answer{nil, err}
			return
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAdminAnswer))
		_ = res.Body.Close()
		done <- answer{body, err}
	}()
	select {
	case a := <-done:
		return a.body, a.err
	case <-time.After(adminTimeout):
		return nil, fmt.Errorf("%s does not answer", address)
	}
}

// maxAdminAnswer limits how much of an answer of the admin endpoint is read.
const maxAdminAnswer = 1 << 20
