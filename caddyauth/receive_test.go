package caddyauth

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// The clients announce 19 MB and send one byte.
func TestABodyTakesLittleMoreMemoryThanHasArrived(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1"})
	const clients = 100
	for name, length := range map[string]string{"a length": "Content-Length: 19000000", "chunks": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			first := "{"
			if name == "chunks" {
				first = "1\r\n{\r\n"
			}
			stalled := make([]net.Conn, clients)
			stall := func(i int) {
				conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
				if err != nil {
					t.Error(err)
					return
				}
				stalled[i] = conn
				_, err = fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s:%s\r\nExpect: 100-continue\r\n%s\r\n\r\n",
					conn.RemoteAddr(), testEmail, testKey, length)
				if err != nil {
					t.Error(err)
				}
				// The server says that it waits for the body. By then it has the memory.
				if line, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); !strings.Contains(line, "100 Continue") {
					t.Errorf("%q, error %v", line, err)
				}
				if _, err := io.WriteString(conn, first); err != nil {
					t.Error(err)
				}
			}
			before := heap()
			var all sync.WaitGroup
			for i := range clients {
				all.Go(func() { stall(i) })
			}
			all.Wait()
			if held := (heap() - before) / clients; held > 250<<10 {
				t.Errorf("a request that has sent one byte holds %d KB", held>>10)
			} else {
				t.Logf("a request that has sent one byte holds %d KB", held>>10)
			}
			ended := strings.Count(p.log.String(), `"outcome":`)
			for _, conn := range stalled {
				_ = conn.Close()
			}
			p.log.Wait(t, "end of all requests", func(log string) bool { return strings.Count(log, `"outcome":`) == ended+clients })
			if left := (heap() - before) / clients; left > 40<<10 {
				t.Errorf("a request that has ended holds %d KB", left>>10)
			}
		})
	}
}

// parts gives a body in parts, and notes how much memory is ready for it.
type parts struct {
	io.Reader
	came  int
	ready func(room, came int)
}

func (p *parts) Read(b []byte) (int, error) {
	p.ready(len(b), p.came)
	n, err := p.Reader.Read(b)
	p.came += n
	return n, err
}

func TestMemoryGrowsWithTheBody(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
	const limit = 20 << 20
	for _, length := range []int{0, 1, blindPart, firstPart, smallBody, smallBody + 1, 1 << 20, 3 << 20, limit} {
		content := bytes.Repeat([]byte("0123456"), length/7+1)[:length]
		for _, known := range []bool{true, false} {
			largest, reads := 0, 0
			from := &parts{Reader: bytes.NewReader(content), ready: func(room, came int) {
				if room+came > max(smallBody, growth*came) {
					t.Errorf("of %d bytes, %d have arrived, and there is room for %d", length, came, room+came)
				}
				largest, reads = max(largest, room+came), reads+1
			}}
			promised := int64(length)
			if !known {
				promised = -1
			}
			body, err := receive(from, promised, limit)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(body.content, content) {
				t.Errorf("of %d bytes, known %t, %d have arrived, or different ones", length, known, len(body.content))
			}
			if known && largest > length {
				t.Errorf("room for %d bytes, but %d are announced", largest, length)
			}
			if known && length > 0 && length <= smallBody && reads != 1 {
				t.Errorf("%d bytes that are there took %d reads", length, reads)
			}
			body.release()
		}
	}
}

func TestIncompleteBodiesAreErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		from   io.Reader
		length int64
		want   error
	}{
		"shorter than announced":    {strings.NewReader("abc"), 4, io.ErrUnexpectedEOF},
		"broken":                    {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), 4, broken},
		"broken, of unknown length": {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), -1, broken},
		"cut, of unknown length":    {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)), -1, io.ErrUnexpectedEOF},
	} {
		if body, err := receive(test.from, test.length, 10); body != nil || err != test.want {
			t.Errorf("%s: error %v, want %v", name, err, test.want)
		}
	}
	for length, ok := range map[int]bool{9: true, 10: true, 11: false, 100: false} {
		body, err := receive(iotest.OneByteReader(strings.NewReader(strings.Repeat("x", length))), -1, 10)
		if ok != (err == nil) || !ok && !errors.As(err, new(*http.MaxBytesError)) {
			t.Errorf("%d bytes, but 10 are allowed: error %v", length, err)
		}
		if ok && len(body.content) != length {
			t.Errorf("%d bytes became %d", length, len(body.content))
		}
	}
}

func TestBodiesOfUnknownLengthAreReceived(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "max_body_size 1MB"})
	for _, test := range []struct{ size, status int }{{10, 200}, {blindPart, 200}, {600 << 10, 200}, {1 << 20, 413}} {
		body := `{"model":"` + groq + `","messages":[{"role":"user","content":"` + strings.Repeat("x", test.size) + `"}]}`
		r, err := http.NewRequest(http.MethodPost, p.url+"/v1/chat/completions", io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+testEmail+":"+testKey)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, res); res.StatusCode != test.status {
			t.Errorf("%d bytes: status %d: %s", test.size, res.StatusCode, got)
		}
		if _, seen := u.seen(); test.status == 200 && seen != body {
			t.Errorf("of %d bytes, %d went upstream", len(body), len(seen))
		}
	}
}
