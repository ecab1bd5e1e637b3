// Command gateway runs the simulated AI Gateway as a program of its own, for tests that are not
// written in Go. It prints, in one line of JSON, where the gateway is, what it wants to be sent, and
// where it can be asked about the requests and told how to answer. It ends with its standard input.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
)

func main() {
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// A server of its own: the gateway itself knows no request but Cloudflare's.
	control := http.NewServeMux()
	control.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) { requests(w, gateway) })
	control.HandleFunc("GET /arrival/{n}", func(_ http.ResponseWriter, r *http.Request) { arrival(r, gateway) })
	control.HandleFunc("POST /next", func(w http.ResponseWriter, r *http.Request) { tell(w, r, gateway.Next) })
	control.HandleFunc("POST /always", func(w http.ResponseWriter, r *http.Request) {
		tell(w, r, func(scenarios ...gatewaytest.Scenario) { gateway.Always(scenarios[0]) })
	})
	controlServer := httptest.NewServer(control)
	_ = json.NewEncoder(os.Stdout).Encode(struct {
		gatewaytest.Config
		URL, Control string
	}{gateway.Config, gateway.URL, controlServer.URL})
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = gateway.Close()
	controlServer.Close()
}

// request is a request as the tests see it.
type request struct {
	Path       string
	Header     http.Header
	Body       json.RawMessage
	ClientGone bool // before the answer's end
}

// requests answers with all requests so far, once each has ended, and with the complaints.
func requests(w http.ResponseWriter, gateway *gatewaytest.Server) {
	log := struct {
		Requests   []request
		Complaints []string
	}{[]request{}, gateway.Complaints()}
	for _, r := range gateway.Requests() {
		log.Requests = append(log.Requests, request{r.Path, r.Header, r.Body, r.ClientGone()})
	}
	if err := json.NewEncoder(w).Encode(log); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// arrival answers as soon as the nth request has arrived.
func arrival(r *http.Request, gateway *gatewaytest.Server) {
	n, _ := strconv.Atoi(r.PathValue("n"))
	_, _ = gateway.Wait(r.Context(), n)
}

// tell reads scenarios, by the names of their fields or as a whole response, for the gateway to meet requests with.
func tell(w http.ResponseWriter, r *http.Request, gateway func(...gatewaytest.Scenario)) {
	var given []struct {
		gatewaytest.Scenario
		Status int // 0: no response, but a scenario
		Body   string
		Header []string
		Silent bool // no answer ever
	}
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil || len(given) == 0 {
		http.Error(w, fmt.Sprintf("no scenarios: %v", err), http.StatusBadRequest)
		return
	}
	var scenarios []gatewaytest.Scenario
	for _, g := range given {
		scenario := g.Scenario
		if g.Status != 0 {
			scenario = gatewaytest.Respond(g.Status, g.Body, g.Header...)
		}
		if g.Silent {
			scenario.Hold = make(chan struct{})
		}
		scenarios = append(scenarios, scenario)
	}
	gateway(scenarios...)
}
