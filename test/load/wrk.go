package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// wrks is the number of every connection of wrk. The upstream counts its requests separately,
// because some arrive even after wrk has ended.
const wrks = -1

// hammered is what wrk has measured of a server.
type hammered struct {
	requests int64
	seconds  float64
	cpu      time.Duration // the server's processor time
	p50, p99 float64       // in µs
}

// wrkScript makes wrk (https://github.com/wg/wrk) send a file as each request. At the end it prints
// the number of requests, the microseconds, the failures, and two percentiles in microseconds.
const wrkScript = `local file = assert(io.open(%q, "rb"))
local message = file:read("*a")
file:close()
function request() return message end
function done(summary, latency)
	local e = summary.errors
	io.write(string.format("\nfigures %%d %%d %%d %%d %%d\n", summary.requests, summary.duration,
		e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50), latency:percentile(99)))
end
`

// hammer lets wrk send the same request again and again. wrk needs less of the machine than a
// client in Go, and leaves more to the servers. It measures whole seconds. If length is shorter, wrk
// is ended after a few requests. A slow answer does not count as a failure.
func (b *bench) hammer(ctx context.Context, v variant, m message, length time.Duration) (*hammered, error) {
	script := filepath.Join(b.folder, "wrk.lua")
	request := filepath.Join(b.folder, "request")
	if err := os.WriteFile(request, m, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(script, fmt.Appendf(nil, wrkScript, request), 0o600); err != nil {
		return nil, err
	}
	seconds := max(1, int(math.Round(length.Seconds())))
	// An interrupt can come before wrk has its handler. wrk inherits from the shell that it ignores it then.
	wrk := exec.CommandContext(ctx, "sh", "-c", `trap "" INT; exec wrk "$@"`, "sh",
		"-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(seconds), "--timeout", "30s", "-s", script, "http://"+v.server.address)
	var out bytes.Buffer
	wrk.Stdout, wrk.Stderr = &out, os.Stderr
	cpu, served := v.server.cpu(), b.up.hammered.Load()
	if err := wrk.Start(); err != nil {
		return nil, fmt.Errorf("wrk: %w", err)
	}
	ended := make(chan struct{})
	if length < time.Second {
		go b.interrupt(wrk.Process, served+4*connections, ended)
	}
	err := wrk.Wait()
	close(ended)
	if err != nil {
		return nil, fmt.Errorf("wrk: %w", err)
	}
	cpu, served = v.server.cpu()-cpu, b.up.hammered.Load()-served
	_, figures, _ := bytes.Cut(out.Bytes(), []byte("\nfigures "))
	var h hammered
	var micros, failures int64
	if _, err := fmt.Sscan(string(figures), &h.requests, &micros, &failures, &h.p50, &h.p99); err != nil {
		return nil, fmt.Errorf("wrk says %q: %w", &out, err)
	}
	h.seconds, h.cpu = float64(micros)/1e6, cpu
	// wrk does not wait for its last answers. So some requests may reach the upstream after this
	// run, or may be from the run before.
	if failures > 0 || served < h.requests || served > h.requests+2*connections {
		return nil, fmt.Errorf("upstream has served %d requests, but wrk has %d answers and %d failures", served, h.requests, failures)
	}
	return &h, nil
}

// interrupt ends wrk when so many of its requests have been served.
func (b *bench) interrupt(wrk *os.Process, served int64, ended <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if b.up.hammered.Load() >= served {
			_ = wrk.Signal(os.Interrupt) // at which wrk prints its figures
		}
	}
}
