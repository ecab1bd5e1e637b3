package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// upstream is a server that answers as fast as possible. It answers like Anthropic, Gemini or
// Workers AI if the path is theirs, and like OpenAI otherwise. It reads as little as possible of a request, and
// its answers are ready. So the servers that are measured have the machine to themselves.
type upstream struct {
	address  string
	listener net.Listener
	script   atomic.Pointer[script]
	served   atomic.Int64 // all requests
	hammered atomic.Int64 // the requests of wrk
}

// script says how to answer the next requests.
type script struct {
	// next is called before each event of a stream, with the numbers of the client's connection and
	// of the event. It waits until the event is due and returns the event's stamp. A negative stamp
	// ends the stream. If the first stamp is negative, or next is nil, the answer is one object.
	next func(connection, event int) (stamp int64)

	// answers is the format of the answers. If it is nil, the path decides.
	answers *dialect
}

func listen(ctx context.Context) (*upstream, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{address: listener.Addr().String(), listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go u.serve(conn)
		}
	}()
	return u, nil
}

func (u *upstream) close() { _ = u.listener.Close() }

// serve answers the requests of a connection until the connection ends.
func (u *upstream) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReaderSize(conn, 64<<10)
	var buffer []byte
	for {
		dialect, connection, err := request(reader)
		if err != nil {
			return
		}
		script := u.script.Load()
		next := script.next
		dialect = cmp.Or(script.answers, dialect)
		count := &u.served
		if connection == wrks {
			next, count = nil, &u.hammered
		}
		count.Add(1)
		if next == nil {
			_, err = conn.Write(dialect.whole)
		} else {
			err = dialect.stream(conn, &buffer, func(event int) int64 { return next(connection, event) })
		}
		if err != nil {
			return
		}
	}
}

// request reads a request. It returns the format of the path, and the number of the client's
// connection, which is in the User-Agent.
func request(reader *bufio.Reader) (asked *dialect, connection int, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return nil, 0, err
		}
		if first {
			asked = dialectOf(line)
			continue
		}
		if len(line) == 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		} else if value, ok := bytes.CutPrefix(line, []byte("User-Agent: load/")); ok {
			connection, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	_, err = reader.Discard(length)
	return asked, connection, err
}

// dialectOf returns the dialect of a path.
func dialectOf(path []byte) *dialect {
	switch {
	case bytes.Contains(path, []byte("/anthropic/")):
		return &anthropic
	case bytes.Contains(path, []byte("/google-ai-studio/")):
		return &google
	case bytes.Contains(path, []byte("/workers-ai/")):
		return &workersAI
	}
	return &openAI
}

// dialect is the format of an API.
type dialect struct {
	headers string // beside those of every answer
	whole   []byte
	event   string // has a place for the stamp
	last    string
}

// What AI Gateway answers with (https://developers.cloudflare.com/ai-gateway), and what OpenAI
// (https://platform.openai.com/docs/api-reference/debugging-requests) and Anthropic
// (https://docs.anthropic.com/en/api/rate-limits) add to that.
const (
	gatewayHeaders = "Date: Sat, 28 Nov 2026 12:00:00 GMT\r\nServer: cloudflare\r\nCF-Ray: 9a0123456789abcd-FRA\r\ncf-aig-cache-status: MISS\r\ncf-aig-step: 0\r\n" +
		"cf-aig-log-id: 019ac000-0000-7000-8000-000000000000\r\ncf-aig-event-id: 019ac000-0000-7000-8000-000000000000\r\ncf-aig-request-id: 019ac000-0000-7000-8000-000000000000\r\n"

	openAIHeaders = "x-request-id: req_0123456789abcdef0123456789abcdef\r\nopenai-organization: example\r\nopenai-processing-ms: 512\r\nopenai-version: 2020-10-01\r\n" +
		"x-ratelimit-limit-requests: 10000\r\nx-ratelimit-limit-tokens: 2000000\r\nx-ratelimit-remaining-requests: 9999\r\nx-ratelimit-remaining-tokens: 1998999\r\n" +
		"x-ratelimit-reset-requests: 6ms\r\nx-ratelimit-reset-tokens: 30ms\r\n"

	anthropicHeaders = "request-id: req_0123456789abcdefghijklmn\r\nanthropic-organization-id: 01234567-0123-0123-0123-0123456789ab\r\n" +
		"anthropic-ratelimit-requests-limit: 4000\r\nanthropic-ratelimit-requests-remaining: 3999\r\nanthropic-ratelimit-requests-reset: 2026-11-28T12:00:01Z\r\n" +
		"anthropic-ratelimit-tokens-limit: 400000\r\nanthropic-ratelimit-tokens-remaining: 398000\r\nanthropic-ratelimit-tokens-reset: 2026-11-28T12:00:01Z\r\n"
)

// A stamp fills its place, so that all events have the same length.
const (
	stampMark   = "stamp "
	stampDigits = 16
	stampPlace  = stampMark + "0000000000000000"
)

var openAI = dialect{
	headers: openAIHeaders,
	whole: object(openAIHeaders, `{"id":"chatcmpl-load","object":"chat.completion","created":1760000000,"model":"llama-3.3-70b-versatile","choices":[{"index":0,`+
		`"message":{"role":"assistant","content":"`+answerText+`","refusal":null},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":1000,"completion_tokens":120,"total_tokens":1120}}`),
	event: `data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1760000000,"model":"llama-3.3-70b-versatile","choices":[{"index":0,` +
		`"delta":{"content":" ` + stampPlace + `"},"logprobs":null,"finish_reason":null}]}` + "\n\n",
	last: `data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1760000000,"model":"llama-3.3-70b-versatile","choices":[{"index":0,` +
		`"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
}

// workersAI is OpenAI's format as Workers AI writes it. Its chunks count no tokens, because no
// client asks for that.
var workersAI = dialect{
	whole: object("", `{"id":"id-1760000000000","object":"chat.completion","created":1760000000,"model":"@cf/meta/llama-3.3-70b-instruct-fp8-fast","choices":[{"index":0,`+
		`"message":{"role":"assistant","content":"`+answerText+`","refusal":null},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":1000,"completion_tokens":120,"total_tokens":1120}}`),
	event: workersChunk(`[{"index":0,"delta":{"content":" ` + stampPlace + `"},"logprobs":null,"finish_reason":null}]`),
	last:  workersChunk(`[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]`) + "data: [DONE]\n\n",
}

func workersChunk(choices string) string {
	return `data: {"id":"id-1760000000000","object":"chat.completion.chunk","created":1760000000,"model":"@cf/meta/llama-3.3-70b-instruct-fp8-fast","choices":` + choices + "}\n\n"
}

var google = dialect{
	whole: object("", `{"candidates":[{"content":{"role":"model","parts":[{"text":"`+answerText+`"}]},"finishReason":"STOP","index":0}],`+
		`"usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":120,"totalTokenCount":1120},"modelVersion":"gemini-2.5-flash","responseId":"load"}`),
	event: `data: {"candidates": [{"content": {"parts": [{"text": " ` + stampPlace + `"}],"role": "model"},"index": 0}],` +
		`"usageMetadata": {"promptTokenCount": 1000,"candidatesTokenCount": 10,"totalTokenCount": 1010},"modelVersion": "gemini-2.5-flash","responseId": "load"}` + "\r\n\r\n",
	last: `data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP","index": 0}],` +
		`"usageMetadata": {"promptTokenCount": 1000,"candidatesTokenCount": 120,"totalTokenCount": 1120},"modelVersion": "gemini-2.5-flash","responseId": "load"}` + "\r\n\r\n",
}

var anthropic = dialect{
	headers: anthropicHeaders,
	whole: object(anthropicHeaders, `{"id":"msg_load","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"`+answerText+`"}],`+
		`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1000,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":120}}`),
	event: "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" ` + stampPlace + `"}}` + "\n\n",
	last: "event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":120}}` + "\n\n" +
		"event: message_stop\n" + `data: {"type":"message_stop"}` + "\n\n",
}

var answerText = strings.Repeat("The loop ends one element early. ", 15)

func object(headers, json string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%s%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", gatewayHeaders, headers, len(json), json)
}

// stream sends events, each in one write and one chunk, until next ends the stream.
func (d *dialect) stream(conn net.Conn, buffer *[]byte, next func(event int) int64) error {
	head := "HTTP/1.1 200 OK\r\n" + gatewayHeaders + d.headers + "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
	for event := 0; ; event++ {
		stamp := next(event)
		switch {
		case stamp < 0 && event == 0:
			_, err := conn.Write(d.whole)
			return err
		case stamp < 0:
			_, err := fmt.Fprintf(conn, "%x\r\n%s\r\n0\r\n\r\n", len(d.last), d.last)
			return err
		}
		out := append((*buffer)[:0], head...)
		head = ""
		out = append(strconv.AppendInt(out, int64(len(d.event)), 16), "\r\n"...)
		out = d.appendEvent(out, stamp)
		out = append(out, "\r\n"...)
		*buffer = out
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
}

// appendEvent appends the event with a stamp.
func (d *dialect) appendEvent(out []byte, stamp int64) []byte {
	at := len(out) + strings.Index(d.event, stampMark) + len(stampMark)
	out = append(out, d.event...)
	for i := at + stampDigits - 1; i >= at; i-- {
		out[i] = byte('0' + stamp%10)
		stamp /= 10
	}
	return out
}

// repeats is the beginning of an event of a response that says again what was said before.
var repeats = regexp.MustCompile(`"type":"response\.(\w+\.done|completed)"`)

// stampOf returns the stamp in a piece of an answer, and how many stamps there are. What a response says
// again at its end does not count.
func stampOf(piece []byte) (stamp int64, n int) {
	if bytes.Contains(piece, []byte(`"type":"response.`)) {
		if again := repeats.FindIndex(piece); again != nil {
			piece = piece[:again[0]]
		}
	}
	if n = bytes.Count(piece, []byte(stampMark)); n == 0 {
		return 0, 0
	}
	at := bytes.Index(piece, []byte(stampMark)) + len(stampMark)
	stamp, _ = strconv.ParseInt(string(piece[at:at+stampDigits]), 10, 64)
	return stamp, n
}

var began = time.Now()

// now returns the time as a stamp, in nanoseconds since the program started.
func now() int64 { return int64(time.Since(began)) }
