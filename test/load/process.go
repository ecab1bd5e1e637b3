package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory returns a line of the process's status, in bytes: VmRSS, or VmHWM, which is the peak.
func (s *server) memory(line string) int64 {
	status, _ := os.ReadFile(s.proc("status"))
	_, rest, _ := strings.Cut(string(status), line+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(fields[0], 10, 64)
	return kilobytes << 10
}

// cpu returns the processor time that the process has used.
func (s *server) cpu() time.Duration {
	stat, _ := os.ReadFile(s.proc("stat"))
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100 // Linux reports hundredths of a second, whatever it counts
}

func (s *server) descriptors() int {
	all, _ := os.ReadDir(s.proc("fd"))
	return len(all)
}

func (s *server) goroutines(ctx context.Context) (int, error) {
	text, err := s.ask(ctx, "GET", "/debug/pprof/goroutine?debug=1", "")
	if err != nil {
		return 0, err
	}
	var n int
	_, err = fmt.Sscanf(text, "goroutine profile: total %d", &n)
	return n, err
}

// live returns the memory of objects and stacks after a garbage collection, in bytes.
func (s *server) live(ctx context.Context) (float64, error) {
	text, err := s.ask(ctx, "GET", "/debug/pprof/heap?gc=1&debug=1", "")
	if err != nil {
		return 0, err
	}
	number := func(name string) float64 {
		_, rest, _ := strings.Cut(text, "# "+name+" = ")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return math.NaN()
		}
		n, _ := strconv.ParseFloat(fields[0], 64)
		return n
	}
	return number("HeapAlloc") + number("Stack"), nil
}

// cpuProfile writes a CPU profile of the next seconds. It uses the admin endpoint.
func (s *server) cpuProfile(ctx context.Context, path string, seconds int) error {
	text, err := s.ask(ctx, "GET", fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds), "")
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func (s *server) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), name)
}
