package main

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestCoresAreReadAsTheKernelWritesThem(t *testing.T) {
	for list, want := range map[string][]string{
		"0":       {"0"},
		"0-1":     {"0", "1"},
		"2,4-6,9": {"2", "4", "5", "6", "9"},
	} {
		if got, err := parseCores(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", list, got, err, want)
		}
	}
	for _, list := range []string{"", "a", "0-", "0-1,"} {
		if got, err := parseCores(list); err == nil {
			t.Errorf("%q is %v", list, got)
		}
	}
}

func TestAServerRunsOnlyOnItsCores(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("needs taskset")
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs Linux")
	}
	_, rest, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	list, _, _ := strings.Cut(rest, "\n")
	cores, err := parseCores(strings.TrimSpace(list))
	if err != nil {
		t.Fatal(err)
	}
	b := bench{serverCores: cores[len(cores)-1]}
	command := b.onServerCores("grep", "Cpus_allowed_list", "/proc/self/status")
	out, err := exec.CommandContext(context.Background(), command[0], command[1:]...).Output()
	if _, core, _ := strings.Cut(string(out), "\t"); err != nil || strings.TrimSpace(core) != b.serverCores {
		t.Errorf("%v: %q, %v, want core %s", command, out, err, b.serverCores)
	}
}
