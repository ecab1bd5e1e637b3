// Command run makes the picture of the dashboard. It starts caddy with a simulated AI Gateway and a
// simulated Workers KV, Redis, and Prometheus, which scrapes caddy. Users chat, some of them are refused,
// and the gateway, KV and Redis fail for a while. At the end it runs draw/draw.js. Everything listens
// on loopback.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/test/redisserver"
)

const key = "cca_key-of-all-users"

// models are the models that users ask for, with the usual time until an answer.
var models = []struct {
	provider, name string
	think          time.Duration
}{
	{"workers-ai", "@cf/meta/llama-3.1-8b-instruct", 250 * time.Millisecond},
	{"azure-openai", "myinstance/gpt-5-mini", 700 * time.Millisecond},
	{"google-ai-studio", "gemini-2.5-flash", 450 * time.Millisecond},
	{"openai", "gpt-4o-mini", 400 * time.Millisecond},
}

func main() {
	caddy := flag.String("caddy", "./caddy", "the server's program")
	prometheus := flag.String("prometheus", "prometheus", "Prometheus' program")
	alerts := flag.String("alerts", "test/grafana/alerts.yaml", "rules for Prometheus")
	draw := flag.String("draw", "test/grafana/draw/draw.js", "the script that draws the dashboard")
	picture := flag.String("o", "test/grafana/dashboard.png", "the picture to write")
	length := flag.Duration("for", 8*time.Minute, "how long users send requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	r := &run{caddy: *caddy, prometheus: *prometheus, alerts: *alerts, draw: *draw, picture: *picture, length: *length}
	err := r.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type run struct {
	caddy, prometheus, alerts, draw, picture string

	length  time.Duration
	gateway *gatewaytest.Server
	kv      *kvtest.Server
	url     string // caddy's URL
	began   time.Time
}

func (r *run) run(ctx context.Context) (err error) {
	folder, err := os.MkdirTemp("", "continue-auth-grafana-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if r.gateway, err = gatewaytest.NewServer(gatewaytest.Config{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.gateway.Close()) }()
	r.gateway.Always(gatewaytest.Scenario{Delay: 10 * time.Millisecond})
	if r.kv, err = kvtest.Listen(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.kv.Close()) }()
	r.fillKV()
	upstream, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	thinking := &http.Server{Handler: http.HandlerFunc(r.think), ReadHeaderTimeout: time.Minute}
	defer func() { err = errors.Join(err, thinking.Close()) }()
	go func() { _ = thinking.Serve(upstream) }()

	var ports [3]string
	for i := range ports {
		port, err := freeport.Take()
		if err != nil {
			return err
		}
		ports[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	r.url = "http://" + ports[0]
	redis, err := redisserver.Start(ctx, folder)
	if err != nil {
		return err
	}
	defer redis.Stop()
	end, err := r.startCaddy(ctx, folder, ports[0], ports[1], upstream.Addr().String(), redis.Address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	endPrometheus, err := r.startPrometheus(ctx, folder, ports[1], ports[2])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endPrometheus()) }()
	time.Sleep(3 * time.Second) // the first scrape must come before the first request

	r.began = time.Now()
	hanging := make(chan error)
	working, stop := context.WithTimeout(ctx, r.length)
	defer stop()
	go func() { hanging <- r.hang(working, redis) }()
	r.users(working)
	if err := <-hanging; err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, complaint := range r.gateway.Complaints() {
		fmt.Fprintln(os.Stderr, "the gateway complains:", complaint)
	}
	cmd := exec.CommandContext(ctx, "node", r.draw, "http://"+ports[2], r.picture,
		strconv.FormatInt(r.began.Add(30*time.Second).Unix(), 10), strconv.FormatInt(time.Now().Unix(), 10))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// part reports whether the run is between two tenths of its time.
func (r *run) part(from, to float64) bool {
	now := float64(time.Since(r.began)) / float64(r.length) * 10
	return from <= now && now < to
}

func (r *run) fillKV() {
	limited := []string{"workers-ai/*", "google-ai-studio/*", "openai/*"}
	for n := range 40 {
		user := map[string]any{"apiKeyHash": fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key))), "status": "Enabled"}
		if n%10 == 9 {
			user["models"] = limited
		}
		value, _ := json.Marshal(user)
		r.kv.Put(kvtest.APIKeys, email(n), string(value))
	}
	for _, model := range models {
		settings := map[string]any{"headers": r.gateway.Config.ProviderHeaders[model.provider], "models": []string{model.name}}
		if model.provider == "azure-openai" {
			settings["queryString"] = map[string]string{"api-version": "2024-10-21"}
		}
		value, _ := json.Marshal(settings)
		r.kv.Put(kvtest.ProviderSettings, model.provider, string(value))
	}
	r.kv.FailAll(func(w http.ResponseWriter, req *http.Request, next http.HandlerFunc) {
		if r.part(5, 6.2) {
			kvtest.Reply(http.StatusInternalServerError, "")(w, req, next)
			return
		}
		time.Sleep(around(40 * time.Millisecond))
		next(w, req)
	})
}

func email(n int) string { return fmt.Sprintf("dev%d@example.com", n) }

// around returns a time near usual, and sometimes a much longer one.
func around(usual time.Duration) time.Duration {
	return time.Duration(float64(usual) * math.Exp(rand.NormFloat64()*0.5))
}

// think answers as the gateway does, after some time, and sometimes with an error of a provider.
func (r *run) think(w http.ResponseWriter, req *http.Request) {
	for _, model := range models {
		if !strings.Contains(req.URL.Path, "/"+model.provider+"/") && (model.provider != "openai" || !strings.Contains(req.URL.Path, "/compat/")) {
			continue
		}
		time.Sleep(around(model.think))
		switch {
		case model.provider == "openai" && r.part(7, 8) && rand.IntN(3) > 0:
			status := []int{http.StatusTooManyRequests, http.StatusInternalServerError}[rand.IntN(2)]
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":{"message":"Try again later.","type":"server_error","param":null,"code":null}}`)
			return
		case model.provider == "azure-openai" && r.part(8.5, 9):
			req.Header.Set("Api-Key", "an-old-key")
		}
	}
	r.gateway.ServeHTTP(w, req)
}

// users lets all users chat until ctx ends.
func (r *run) users(ctx context.Context) {
	var all sync.WaitGroup
	each := func(pause time.Duration, do func()) {
		all.Go(func() {
			for ctx.Err() == nil {
				select {
				case <-time.After(around(pause)):
					do()
				case <-ctx.Done():
				}
			}
		})
	}
	for n := range 30 {
		each(2*time.Second, func() {
			if n < 12 || r.part(2, 10) { // some start later
				r.ask(ctx, "127.0.0.1", email(n), key)
			}
		})
	}
	each(8*time.Second, func() { r.ask(ctx, "127.0.0.1", "dev1@example.com", "a-mistyped-key") })
	each(time.Second, func() { // a user who is not in memory when the keystore fails
		if r.part(5, 10) {
			r.ask(ctx, "127.0.0.1", email(30+rand.IntN(10)), key)
		}
	})
	each(120*time.Millisecond, func() { // someone who guesses keys
		if r.part(3, 4) {
			r.ask(ctx, "127.0.0.9", fmt.Sprintf("guess%d@example.com", rand.IntN(1000)), "a-guessed-key")
		}
	})
	all.Wait()
}

// ask sends a request. Its result does not matter.
func (r *run) ask(ctx context.Context, from, email, key string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if rand.IntN(40) == 0 {
		defer time.AfterFunc(150*time.Millisecond, cancel).Stop()
	}
	model := models[rand.IntN(len(models))]
	body := map[string]any{"model": model.provider + "/" + model.name}
	switch rand.IntN(40) {
	case 0:
		body["model"] = "elsewhere/unknown"
	case 1:
		body["messages"] = "none" // the provider refuses this
	}
	if body["messages"] == nil {
		text := strings.Repeat("How does an API gateway tell its users apart? ", 1+rand.IntN(20))
		body["messages"] = []map[string]string{{"role": "user", "content": text}}
	}
	body["stream"] = rand.IntN(3) > 0
	content, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/v1/chat/completions", bytes.NewReader(content))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-User-Email", email)
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := clients[from].Do(req)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
}

// clients have two addresses, because failed attempts are counted by address.
var clients = map[string]*http.Client{"127.0.0.1": clientAt("127.0.0.1"), "127.0.0.9": clientAt("127.0.0.9")}

func clientAt(address string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 50}}
}

// startCaddy starts the server. The cache ages are shorter than usual, because the run is short.
func (r *run) startCaddy(ctx context.Context, folder, address, admin, upstream, redis string) (end func() error, err error) {
	config := fmt.Sprintf(`{
	admin %s
	persist_config off
	storage file_system %q
	log {
		level ERROR
	}
}
http://%s {
	bind 127.0.0.1
	continue_auth {
		account_id %s
		gateway %s
		gateway_token {env.GATEWAY_TOKEN}
		keystore cloudflare_kv {
			account_id %s
			api_token {env.KV_TOKEN}
			api_keys %s
			provider_settings %s
			endpoint %s
		}
		cache {
			refresh_after 5s
			max_age 15s
			absent 5s
		}
		limits {
			requests 22 1m
			tokens 100000 1h
		}
		shared redis {
			address %s
		}
		ledger sqlite {
			path usage.db
		}
		ask_usage
	}
	reverse_proxy %s {
		transport continue_auth
	}
}
`, admin, folder, address, r.gateway.Config.Account, r.gateway.Config.Gateway,
		kvtest.AccountID, kvtest.APIKeys, kvtest.ProviderSettings, r.kv.URL, redis, upstream)
	path := filepath.Join(folder, "Caddyfile")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	program, err := filepath.Abs(r.caddy)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "run", "--config", path, "--adapter", "caddyfile")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder, "GATEWAY_TOKEN="+r.gateway.Config.Token, "KV_TOKEN="+kvtest.ReadOnlyToken)
	return start(ctx, cmd, filepath.Join(folder, "caddy.log"), "http://"+admin+"/metrics")
}

func (r *run) startPrometheus(ctx context.Context, folder, target, address string) (end func() error, err error) {
	alerts, err := filepath.Abs(r.alerts)
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`global: {scrape_interval: 5s, evaluation_interval: 5s}
rule_files: [%q]
scrape_configs: [{job_name: caddy, static_configs: [{targets: [%q]}]}]
`, alerts, target)
	path := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, r.prometheus, "--config.file="+path, "--storage.tsdb.path="+filepath.Join(folder, "tsdb"), "--web.listen-address="+address, "--log.level=warn")
	return start(ctx, cmd, filepath.Join(folder, "prometheus.log"), "http://"+address+"/-/ready")
}

// start starts a program and returns once it answers at ready. end stops it.
func start(ctx context.Context, cmd *exec.Cmd, log, ready string) (end func() error, err error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, output.Close()) }()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() error {
		_ = cmd.Process.Signal(os.Interrupt)
		return cmd.Wait()
	}
	for range 150 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, ready, nil)
		if err != nil {
			return nil, errors.Join(err, end())
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return end, nil
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	said, _ := os.ReadFile(log)
	return nil, errors.Join(fmt.Errorf("%s does not answer: %s", cmd.Path, said), end())
}
