package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// split runs this process, and so the upstream and wrk, on the first half of the cores, and leaves
// the other half to the servers. On a shared core, a server's time would depend on whether a client
// happens to run. If there is only one core, it is shared.
func (b *bench) split(ctx context.Context) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	list, _, _ := strings.Cut(rest, "\n")
	cores, err := parseCores(strings.TrimSpace(list))
	if err != nil {
		return fmt.Errorf("reading the cores that may be used: %w", err)
	}
	half := len(cores) / 2
	if half == 0 {
		return nil
	}
	b.clientCores, b.serverCores = strings.Join(cores[:half], ","), strings.Join(cores[half:], ",")
	out, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", b.clientCores, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w: %s", err, out)
	}
	runtime.GOMAXPROCS(half)
	return nil
}

// parseCores reads a list in the kernel's form, such as 0-3,8.
func parseCores(list string) ([]string, error) {
	var cores []string
	for _, part := range strings.Split(list, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			return nil, err
		}
		to, err := strconv.Atoi(last)
		if err != nil {
			return nil, err
		}
		for ; from <= to; from++ {
			cores = append(cores, strconv.Itoa(from))
		}
	}
	return cores, nil
}

// onServerCores returns a command line that runs command on the servers' cores.
func (b *bench) onServerCores(command ...string) []string {
	if b.serverCores == "" {
		return command
	}
	return append([]string{"taskset", "-c", b.serverCores}, command...)
}
