package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// startRedis starts a redis-server without files. end stops it.
func startRedis(ctx context.Context, program, address string) (cmd *exec.Cmd, end func() error, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.CommandContext(ctx, program, "--bind", host, "--port", port, "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end = func() error {
		_ = cmd.Process.Kill() // it may be stopped
		var killed *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &killed) {
			return err
		}
		return nil
	}
	for range 50 {
		if answersPing(ctx, address) {
			return cmd, end, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, nil, errors.Join(fmt.Errorf("%s does not answer", program), end())
}

func answersPing(ctx context.Context, address string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(conn, "PING\r\n")
	answer := make([]byte, 16)
	n, _ := conn.Read(answer)
	return strings.HasPrefix(string(answer[:n]), "+PONG")
}

// hang stops Redis for a part of the run.
func (r *run) hang(ctx context.Context, redis *exec.Cmd) {
	stopped := false
	for ctx.Err() == nil {
		if now := r.part(6.5, 7.3); now != stopped {
			stopped = now
			signal := syscall.SIGCONT
			if stopped {
				signal = syscall.SIGSTOP
			}
			_ = redis.Process.Signal(signal)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
