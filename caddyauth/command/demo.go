package command

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cloudflarekv"
	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
)

// demoEmail is the email of the demo's user.
const demoEmail = "dev@example.com"

// demoServer is a running server with one user.
type demoServer struct {
	url, key string
}

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Runs a server to try, without an account or a network",
		Long: `Starts a server with continue_auth and one user on loopback. It sends a chat, a tab completion and
a Messages request to each provider, and then runs until you stop it, so that you can try it.

The AI Gateway behind it is simulated. If ACCOUNT_ID, GATEWAY_NAME and GATEWAY_API_KEY are set, the
demo uses your real gateway instead. It then reads the providers' settings from Workers KV, if
CLOUDFLARE_API_TOKEN and PROVIDER_SETTINGS_NAMESPACE_ID are set too. Without them, the gateway must
have the providers' keys.

When it ends, it removes everything that it has made.`,
		Example: "  caddy continue-auth demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			return demo(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

// demo runs a server until it is interrupted.
func demo(ctx context.Context, out io.Writer) (err error) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	folder, err := os.MkdirTemp("", "continue-auth-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	gateway, err := openDemoGateway(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gateway.close()) }()
	server, err := startDemo(folder, gateway)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, caddy.Stop()) }()

	if gateway.simulated {
		fmt.Fprintln(out, "The AI Gateway behind this server is simulated. You need no account and no network.")
	} else {
		fmt.Fprintln(out, "The AI Gateway behind this server is your own, from ACCOUNT_ID and GATEWAY_NAME.")
	}
	if err := server.show(ctx, out); ctx.Err() != nil {
		return nil
	} else if err != nil && gateway.simulated {
		return err
	}
	if err := server.invite(out); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// demoGateway is the gateway that the demo's server uses.
type demoGateway struct {
	url       string
	simulated bool
	env       map[string]string // for the placeholders in demoConfig
	settings  map[string]json.RawMessage
	close     func() error
}

// openDemoGateway returns the gateway of the Worker's environment variables. If they are not set,
// it starts a simulated one.
func openDemoGateway(ctx context.Context) (*demoGateway, error) {
	if os.Getenv("ACCOUNT_ID") != "" && os.Getenv("GATEWAY_NAME") != "" && os.Getenv("GATEWAY_API_KEY") != "" {
		settings, err := realSettings(ctx)
		return &demoGateway{
			url:      "https://gateway.ai.cloudflare.com",
			settings: settings,
			close:    func() error { return nil },
		}, err
	}
	simulated, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		return nil, err
	}
	simulated.Always(gatewaytest.Scenario{Delay: 20 * time.Millisecond}) // slow enough to see the answers arrive
	settings := make(map[string]json.RawMessage)
	for name, header := range simulated.Config.ProviderHeaders {
		record := map[string]any{"headers": header, "models": modelsOfDemo(name)}
		if name == "azure-openai" {
			record["queryString"] = map[string]string{"api-version": "2024-10-21"}
		}
		if settings[name], err = json.Marshal(record); err != nil {
			return nil, errors.Join(err, simulated.Close())
		}
	}
	return &demoGateway{
		url:       simulated.URL,
		simulated: true,
		env: map[string]string{
			"ACCOUNT_ID":      simulated.Config.Account,
			"GATEWAY_NAME":    simulated.Config.Gateway,
			"GATEWAY_API_KEY": simulated.Config.Token,
		},
		settings: settings,
		close:    simulated.Close,
	}, nil
}

// modelsOfDemo returns the demo's models of a provider.
func modelsOfDemo(provider string) []string {
	models := []string{}
	for _, model := range demoModels {
		if model.provider == provider {
			models = append(models, model.chat, model.completion)
		}
	}
	slices.Sort(models)
	return slices.Compact(models)
}

// realSettings reads the settings of the demo's providers from Workers KV, if the environment
// variables name the namespace. Otherwise it returns empty settings: the gateway then has the
// providers' keys.
func realSettings(ctx context.Context) (map[string]json.RawMessage, error) {
	settings := make(map[string]json.RawMessage)
	var names []string
	for _, model := range demoModels {
		settings[model.provider] = json.RawMessage("{}")
		names = append(names, model.provider)
	}
	token, namespace := os.Getenv("CLOUDFLARE_API_TOKEN"), os.Getenv("PROVIDER_SETTINGS_NAMESPACE_ID")
	if token == "" || namespace == "" {
		return settings, nil
	}
	store, err := cloudflarekv.New(cloudflarekv.Config{
		AccountID: os.Getenv("ACCOUNT_ID"), APIToken: token,
		APIKeysNamespace: namespace, ProviderSettingsNamespace: namespace, // no API keys are read: the demo has its own user
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	values, err := store.Get(ctx, keystore.ProviderSettings, names)
	if err != nil {
		return nil, fmt.Errorf("reading the providers' settings from Workers KV: %w", err)
	}
	clear(settings)
	for name, value := range values {
		settings[name] = value
	}
	return settings, nil
}

// demoConfig is the demo's Caddyfile, a format for the folder, the address, the keystore's files, the ledger's
// file and the gateway.
const demoConfig = `{
	admin off
	persist_config off
	auto_https off
	storage file_system %[1]q
	log {
		level ERROR
	}
}
%[2]s {
	bind 127.0.0.1
	continue_auth {
		account_id     {env.ACCOUNT_ID}
		gateway        {env.GATEWAY_NAME}
		gateway_token  {env.GATEWAY_API_KEY}
		keystore file {
			api_keys           %[3]q
			provider_settings  %[4]q
		}
		limits {
			requests 300 1m
			tokens 20000000 day
			parallel 16
			team team {
				tokens 100000000 month
			}
		}
		ledger {
			path %[5]q
		}
		portal
	}
	reverse_proxy %[6]s {
		transport continue_auth
	}
}
`

// startDemo runs Caddy on a free port, with a keystore in folder.
func startDemo(folder string, gateway *demoGateway) (*demoServer, error) {
	server := &demoServer{key: keystore.NewKey()}
	keys, settings := filepath.Join(folder, "keys.json"), filepath.Join(folder, "providers.json")
	user := fmt.Appendf(nil, `{"apiKeyHash":"sha256:%x","status":"Enabled","metadata":{"team":"demo"}}`, sha256.Sum256([]byte(server.key)))
	if err := writeBulk(keys, map[string]json.RawMessage{demoEmail: user}); err != nil {
		return nil, err
	}
	if err := writeBulk(settings, gateway.settings); err != nil {
		return nil, err
	}
	ledger := filepath.Join(folder, "usage.db")
	if err := writeDemoPast(context.Background(), ledger, time.Now()); err != nil {
		return nil, err
	}
	for name, value := range gateway.env {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server.url = "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	config := fmt.Sprintf(demoConfig, folder, server.url, keys, settings, ledger, gateway.url)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		return nil, err
	}
	return server, caddy.Load(adapted, true)
}

// writeBulk writes one file of a file keystore.
func writeBulk(path string, records map[string]json.RawMessage) error {
	type entry struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	var entries []entry
	for name, record := range records {
		entries = append(entries, entry{name, string(record)})
	}
	content, err := json.MarshalIndent(entries, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
