package command

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func dashboardCommand() *cobra.Command {
	f := new(keystoreFlags)
	var address string
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Serves pages to manage users and look at their usage",
		Long: `Serves pages on this machine to manage users, and to look at providers, usage and the running server. It
prints a link that works once, and runs until you stop it.

The pages work on the keystore and the ledger of the configuration, with the same credentials as the other
commands. Other machines cannot reach them.`,
		Example: `  caddy continue-auth dashboard
  caddy continue-auth dashboard --config /etc/caddy/Caddyfile --address 127.0.0.1:8090`,
		Args: cobra.NoArgs,
		RunE: f.run(making, func(ctx context.Context, a *administration, cmd *cobra.Command, _ []string) error {
			ledger, err := (&usageFlags{configFlags: f.configFlags, site: f.site}).openLedger(ctx)
			if err != nil {
				return err
			}
			if ledger != nil {
				defer ledger.close()
			}
			ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return runDashboard(ctx, a, ledger, address, cmd.OutOrStdout())
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&address, "address", "127.0.0.1:0", "the address of the pages on this machine; port 0 is any free port")
	return cmd
}

// dashboard serves the operator's pages.
type dashboard struct {
	a       *administration
	ledger  *openedLedger // nil if there is none
	address string        // where it listens
	origins *http.CrossOriginProtection

	mu sync.Mutex

	// link is the token of the link, or "" after it has been used. session is the value of the cookie, and formToken
	// the token of forms, both since then.
	link, session, formToken string

	// said is shown on the next page.
	said []string

	names nameList
}

// runDashboard serves the pages until ctx ends.
func runDashboard(ctx context.Context, a *administration, ledger *openedLedger, address string, out io.Writer) error {
	if err := checkLoopback(address); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	d := newDashboard(a, ledger, listener.Addr().String())
	server := &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	fmt.Fprintf(out, "Open this link. It works once:\n\n  http://%s/?token=%s\n\nThe dashboard is up until you press Ctrl+C.\n", d.address, d.link)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	err = server.Close()
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func newDashboard(a *administration, ledger *openedLedger, address string) *dashboard {
	return &dashboard{a: a, ledger: ledger, address: address, origins: http.NewCrossOriginProtection(), link: rand.Text()}
}

// checkLoopback refuses addresses that other machines could reach.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--address %q: must be a host and a port, such as 127.0.0.1:8090", address)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("--address %q: must be on this machine, such as 127.0.0.1:8090: other machines must not reach the dashboard", address)
	}
	return nil
}

// knows reports whether a request names this server as its host. A page of another site whose name leads to this
// machine does not.
func (d *dashboard) knows(host string) bool {
	_, port, _ := net.SplitHostPort(d.address)
	if port == "80" && host != "" && !strings.HasSuffix(host, ":80") { // browsers leave it out
		host += ":80"
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if host == net.JoinHostPort(name, port) {
			return true
		}
	}
	return host == d.address
}

// cookie returns the name of the cookie. Cookies of all ports of a host are together, so the port is a part of it.
func (d *dashboard) cookie() string {
	_, port, _ := net.SplitHostPort(d.address)
	return "continue_auth_dashboard_" + port
}

// enter exchanges the token of the link for a session. It reports whether the token was right. The token works once.
func (d *dashboard) enter(w http.ResponseWriter, token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link == "" || subtle.ConstantTimeCompare([]byte(token), []byte(d.link)) != 1 {
		return false
	}
	d.link, d.session, d.formToken = "", rand.Text(), rand.Text()
	// Not Secure: the pages are on loopback, without TLS, where not every browser would keep the cookie.
	http.SetCookie(w, &http.Cookie{Name: d.cookie(), Value: d.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}) //nolint:gosec // see above
	return true
}

// signedIn reports whether a request comes from the browser that used the link.
func (d *dashboard) signedIn(r *http.Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	cookies := r.CookiesNamed(d.cookie())
	return d.session != "" && len(cookies) == 1 && subtle.ConstantTimeCompare([]byte(cookies[0].Value), []byte(d.session)) == 1
}

// say keeps texts for the next page.
func (d *dashboard) say(texts ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, texts...)
}

// heard returns the texts for this page.
func (d *dashboard) heard() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := d.said
	d.said = nil
	return said
}
