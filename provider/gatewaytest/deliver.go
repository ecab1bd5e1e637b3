package gatewaytest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// deliver sends an answer as the scenario says. It reports whether the client stayed until the end.
func deliver(w http.ResponseWriter, r *http.Request, sc Scenario, c *call, a *answer) bool {
	if !wait(r.Context(), sc.Hold) {
		return false
	}
	if sc.Drop {
		disconnect(w)
		return true
	}
	maps.Copy(w.Header(), c.responseHeader())
	maps.Copy(w.Header(), a.header)
	sc.label(w.Header(), a.contentType)
	d := &delivery{w: w, controller: http.NewResponseController(w), body: w}
	switch {
	case sc.Gzip:
		w.Header().Set("Content-Encoding", "gzip")
		d.compressor = gzip.NewWriter(w)
		d.body = d.compressor
	case a.contentType != eventStream && len(a.frames) == 1:
		w.Header().Set("Content-Length", strconv.Itoa(len(a.frames[0])))
	}
	w.WriteHeader(a.status)
	if sc.Step != nil || sc.Delay > 0 || sc.Cut != nil {
		if d.flush() != nil {
			return false
		}
	}
	for i, frame := range a.frames {
		if sc.NoLastBlankLine && i == len(a.frames)-1 && a.contentType == eventStream {
			frame = slices.Concat(bytes.TrimRight(frame, "\r\n"), []byte("\n"))
		}
		if sc.Cut != nil && i == sc.Cut.After {
			if sc.Cut.MidFrame && d.write(frame[:len(frame)/2]) != nil {
				return false
			}
			disconnect(w)
			return true
		}
		if i > 0 && !sleep(r.Context(), sc.Delay) || !wait(r.Context(), sc.Step) || d.write(frame) != nil {
			return false
		}
	}
	if sc.Cut != nil {
		disconnect(w)
		return true
	}
	if d.compressor != nil {
		return d.compressor.Close() == nil
	}
	return true
}

// label sets the Content-Type.
func (sc Scenario) label(header http.Header, contentType string) {
	switch {
	case sc.NoContentType:
		header["Content-Type"] = nil // otherwise the server guesses one
	case sc.ContentType != "":
		header.Set("Content-Type", sc.ContentType)
	default:
		header.Set("Content-Type", contentType)
	}
}

// delivery is an answer that is being sent.
type delivery struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	compressor *gzip.Writer // nil if the body is not compressed
	body       io.Writer
}

// write sends a frame at once.
func (d *delivery) write(frame []byte) error {
	if _, err := d.body.Write(frame); err != nil {
		return err
	}
	return d.flush()
}

func (d *delivery) flush() error {
	if d.compressor != nil {
		if err := d.compressor.Flush(); err != nil {
			return err
		}
	}
	return d.controller.Flush()
}

// wait waits until c is closed or receives. If c is nil, it returns at once. It reports whether the
// client is still there.
func wait(ctx context.Context, c <-chan struct{}) bool {
	if c == nil {
		return ctx.Err() == nil
	}
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// disconnect closes the connection. What has been written still arrives.
func disconnect(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// responseHeader returns the headers that Cloudflare adds to every answer, including those for its
// own host.
func (c *call) responseHeader() http.Header {
	return http.Header{
		"Server":              {"cloudflare"},
		"Cf-Ray":              {fmt.Sprintf("%016x-AMS", c.number)},
		"Cf-Aig-Log-Id":       {fmt.Sprintf("01GATEWAYTEST%013d", c.number)},
		"Cf-Aig-Step":         {"0"},
		"Cf-Aig-Cache-Status": {"MISS"},
		"Set-Cookie":          {"__cf_bm=gatewaytest; path=/; HttpOnly; Secure"},
		"Alt-Svc":             {`h3=":443"; ma=86400`},
	}
}
