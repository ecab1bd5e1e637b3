package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"
)

// accessLine returns a line as Caddy writes it. fields come after Caddy's own.
func accessLine(fields string) string {
	return `{"level":"info","ts":1777777777.5,"logger":"http.log.access.log0","msg":"handled request","request":{"method":"POST","uri":"/v1/chat/completions","headers":{"X-Provider":["\"provider\":\"x\""],"Content-Type":["application/json"]}},"bytes_read":512,` + fields + `,"duration":1.25,"size":2048,"status":200,"resp_headers":{"Server":["Caddy"]}}` + "\n"
}

// usageOf reads a log and returns the usage as JSON.
func usageOf(t *testing.T, by, since, log string) (string, *usageLog) {
	t.Helper()
	l, err := newUsageLog(by, since, time.Unix(1_777_777_777, 0).Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.read("log", strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(l.sorted())
	if err != nil {
		t.Fatal(err)
	}
	return string(got), l
}

const noTokens = `"prompt_tokens":0,"cached_tokens":0,"completion_tokens":0,"tokens_partial":0`

func TestEachLineCountsForItsUserModelOrProvider(t *testing.T) {
	const lastUsed = `,"last":"2026-05-03T03:09:37.5Z"}]`
	for name, test := range map[string]struct{ by, log, want string }{
		"a request with tokens counts for its user": {
			byUser, accessLine(`"user_id":"dev@example.com","provider":"openai","model":"gpt-4o-mini","prompt_tokens":10,"cached_tokens":4,"completion_tokens":3,"key_lookup":"fresh"`),
			`[{"name":"dev@example.com","requests":1,"refused":0,"prompt_tokens":10,"cached_tokens":4,"completion_tokens":3,"tokens_partial":0` + lastUsed,
		},
		"a model's name has the provider before it": {
			byModel, accessLine(`"user_id":"dev@example.com","provider":"workers-ai","model":"@cf/meta/llama"`),
			`[{"name":"workers-ai/@cf/meta/llama","requests":1,"refused":0,` + noTokens + lastUsed,
		},
		"a request counts for its provider": {
			byProvider, accessLine(`"user_id":"dev@example.com","provider":"openai","model":"gpt-4o-mini"`),
			`[{"name":"openai","requests":1,"refused":0,` + noTokens + lastUsed,
		},
		"a refused request of an unknown user has no name": {
			byUser, accessLine(`"user_id":"","key_lookup":"absent","refused_by":"proxy"`), `[{"name":"","requests":1,"refused":1,` + noTokens + lastUsed,
		},
		"a request that was refused too early has no model": {
			byModel, accessLine(`"user_id":"","model":"x","refused_by":"proxy"`), `[{"name":"","requests":1,"refused":1,` + noTokens + lastUsed,
		},
		"a line with only a look-up is a request": {
			byUser, accessLine(`"user_id":"dev@example.com","key_lookup":"stale"`), `[{"name":"dev@example.com","requests":1,"refused":0,` + noTokens + lastUsed,
		},
		"requests with incomplete tokens are counted": {
			byUser, accessLine(`"user_id":"dev@example.com","provider":"openai","prompt_tokens":7,"tokens_partial":true`),
			`[{"name":"dev@example.com","requests":1,"refused":0,"prompt_tokens":7,"cached_tokens":0,"completion_tokens":0,"tokens_partial":1` + lastUsed,
		},
		"an escaped name is decoded": {
			byUser, accessLine(`"user_id":"d\u0065v\"@example.com","provider":"openai"`), `[{"name":"dev\"@example.com","requests":1,"refused":0,` + noTokens + lastUsed,
		},
		"impossible tokens count as 0": {
			byUser, accessLine(`"user_id":"dev@example.com","provider":"openai","prompt_tokens":-5,"cached_tokens":"7","completion_tokens":1e300`),
			`[{"name":"dev@example.com","requests":1,"refused":0,` + noTokens + lastUsed,
		},
		"a line without a logger's name counts": {
			byProvider, `{"ts":1777777777.5,"duration":1,"provider":"openai"}`, `[{"name":"openai","requests":1,"refused":0,` + noTokens + lastUsed,
		},
		"the last line may have no line break":       {byProvider, strings.TrimSpace(accessLine(`"provider":"openai"`)), `[{"name":"openai","requests":1,"refused":0,` + noTokens + lastUsed},
		"lines may end in CRLF":                      {byProvider, strings.Replace(accessLine(`"provider":"openai"`), "\n", "\r\n", 1), `[{"name":"openai","requests":1,"refused":0,` + noTokens + lastUsed},
		"another site's request does not count":      {byUser, accessLine(`"user_id":"dev@example.com"`), `[]`},
		"a client's header is not a field":           {byUser, accessLine(`"user_id":"","x":{"provider":"openai","key_lookup":"fresh"}`), `[]`},
		"another logger's line does not count":       {byUser, `{"logger":"http.handlers.continue_auth","duration":1,"provider":"openai"}`, `[]`},
		"a line without a request does not count":    {byUser, `{"msg":"no answer","provider":"openai"}`, `[]`},
		"a logger with a longer name does not count": {byUser, `{"logger":"http.log.accessory","duration":1,"provider":"openai"}`, `[]`},
		"empty lines do not count":                   {byUser, "\n  \n\r\n", `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, l := usageOf(t, test.by, "", test.log)
			if got != test.want || l.notJSON != 0 || l.tooLong != 0 {
				t.Errorf("got %s, want %s; %d not JSON, %d too long", got, test.want, l.notJSON, l.tooLong)
			}
		})
	}
}

func TestRequestsWithOneNameAreAddedUp(t *testing.T) {
	request := func(user, tokens string) string {
		return accessLine(`"user_id":"` + user + `","key_lookup":"fresh","provider":"openai","prompt_tokens":` + tokens + `,"completion_tokens":1`)
	}
	log := accessLine(`"user_id":"long answers","provider":"openai","completion_tokens":100`) + request("few", "1") + request("most", "5") + request("often", "0") + request("most", "6") + request("often", "1") + request("a", "1") +
		strings.Replace(request("few", "0"), "1777777777.5", "1777777000", 1)
	_, l := usageOf(t, byUser, "", log)
	var names []string
	for _, u := range l.sorted() {
		names = append(names, u.Name)
	}
	if want := []string{"long answers", "most", "few", "often", "a"}; !reflect.DeepEqual(names, want) {
		t.Errorf("the order is %v, want %v", names, want)
	}
	if total := l.total(); total.Requests != 8 || total.PromptTokens != 14 || total.CompletionTokens != 107 || total.Last.Unix() != 1_777_777_777 {
		t.Errorf("the total is %+v", total)
	}
	if few := l.byName["few"]; few.Last.Unix() != 1_777_777_777 {
		t.Errorf("an earlier line moves the last time to %v", few.Last)
	}
}

func TestBrokenLinesAreCountedAndLeftOut(t *testing.T) {
	good := accessLine(`"user_id":"dev@example.com","provider":"openai"`)
	long := strings.TrimSpace(accessLine(`"user_id":"dev@example.com","provider":"openai","x":"` + strings.Repeat("x", 3*longestLine) + `"`))
	for name, test := range map[string]struct {
		log              string
		notJSON, tooLong int64
	}{
		"half a line":                            {good + good[:len(good)/2], 1, 0},
		"a line that is broken before our field": {good + `{"a":,"duration":1,"provider":"openai"}`, 1, 0},
		"a console's log":                        {"2026/11/01 12:00:00 INFO provider\n" + good, 1, 0},
		"zeros after a power cut":                {good + strings.Repeat("\x00", 100), 1, 0},
		"a line of several MB":                   {long + "\n" + good, 0, 1},
		"a last line of several MB":              {good + long, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, l := usageOf(t, byUser, "", test.log)
			if l.notJSON != test.notJSON || l.tooLong != test.tooLong || l.total().Requests != 1 {
				t.Errorf("%d not JSON, %d too long, %d requests", l.notJSON, l.tooLong, l.total().Requests)
			}
		})
	}
	almost := accessLine(`"provider":"openai","x":"` + strings.Repeat("x", longestLine-1000) + `"`)
	if _, l := usageOf(t, byUser, "", almost+good); l.total().Requests != 2 {
		t.Errorf("%d requests, one of them just short enough", l.total().Requests)
	}
}

func TestAllTimesThatCaddyWritesAreRead(t *testing.T) {
	for written, want := range map[string]string{
		`1777777777.5`:                      "2026-05-03T03:09:37.5Z",
		`1777777777`:                        "2026-05-03T03:09:37Z",
		`1777777777500.25`:                  "2026-05-03T03:09:37.5Z",
		`1777777777500000000`:               "2026-05-03T03:09:37.5Z",
		`"2026-05-03T03:09:37Z"`:            "2026-05-03T03:09:37Z",
		`"2026-05-03T05:09:37.5+02:00"`:     "2026-05-03T03:09:37.5Z",
		`"2026-05-03T05:09:37.500+0200"`:    "2026-05-03T03:09:37.5Z",
		`"2026-05-03T03:09:37.500Z"`:        "2026-05-03T03:09:37.5Z",
		`"03/May/2026:05:09:37 +0200"`:      "2026-05-03T03:09:37Z",
		`"2026/05/03 03:09:37"`:             "", // has no time zone
		`"yesterday"`:                       "",
		`-1`:                                "",
		`1e40`:                              "",
		`null`:                              "",
		`["2026-05-03T03:09:37Z"]`:          "",
		`"` + strings.Repeat("x", 99) + `"`: "",
	} {
		line := strings.Replace(accessLine(`"provider":"openai"`), "1777777777.5", written, 1)
		_, l := usageOf(t, byProvider, "", line)
		got := ""
		if at := l.byName["openai"].Last; !at.IsZero() {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s is %q, want %q", written, got, want)
		}
		l, err := newUsageLog(byProvider, "2026-01-01", time.Now().AddDate(10, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		err = l.read("access.log", strings.NewReader("\n"+line))
		if readable := want != ""; readable != (err == nil) {
			t.Errorf("%s with --since: error %v", written, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "access.log, line 2: ") || !strings.Contains(err.Error(), written[:min(len(written), 20)]) || len(err.Error()) > 250) {
			t.Errorf("%s with --since: error %v", written, err)
		}
	}
}

// FuzzUsageLog compares the sum of a log with the sum of its single lines. Lines of 1 MB or more
// are left out, however the bytes arrive, and errors name the line.
func FuzzUsageLog(f *testing.F) {
	line := accessLine(`"user_id":"dev@example.com","provider":"openai","prompt_tokens":10`)
	f.Add([]byte(line), []byte(line), uint(0))
	f.Add([]byte(line+"\r\n\n{"), []byte("x"+line), uint(longestLine-len(line)-1))
	f.Add([]byte(line), []byte("\n"+strings.TrimSpace(line)), uint(longestLine-1))
	f.Add([]byte(line), []byte(""), uint(longestLine))
	f.Add([]byte(strings.Replace(line, `"ts":`, `"ts":"x","at":`, 1)), []byte(line), uint(2*longestLine))
	f.Fuzz(func(t *testing.T, before, after []byte, blanks uint) {
		log := slices.Concat(before, bytes.Repeat([]byte(" "), int(blanks%(3*longestLine))), after)
		for _, since := range []time.Time{{}, time.Unix(1, 0)} {
			got := &usageLog{by: byUser, since: since, byName: make(map[string]*tally)}
			want := &usageLog{by: byUser, since: since, byName: make(map[string]*tally)}
			says := ""
			for i, line := range bytes.Split(log, []byte("\n")) {
				if len(line) >= longestLine {
					want.tooLong++
				} else if err := want.line(bytes.TrimSpace(line)); err != nil {
					says = fmt.Sprintf("log, line %d: %v", i+1, err)
					break
				}
			}
			err := got.read("log", iotest.HalfReader(bytes.NewReader(log)))
			if says != "" && (err == nil || err.Error() != says) || says == "" && err != nil {
				t.Fatalf("error %v, want %q", err, says)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("read %+v, want %+v", got, want)
			}
		}
	})
}

// FuzzUsageLine compares what is read of a line with encoding/json.
func FuzzUsageLine(f *testing.F) {
	f.Add([]byte(accessLine(`"user_id":"dev@example.com","provider":"openai","model":"gpt-4o-mini","prompt_tokens":10,"cached_tokens":4,"completion_tokens":3,"tokens_partial":true,"refused_by":"proxy"`)))
	f.Add([]byte(`{"ts":"2026-05-03T03:09:37Z","logger":"http.log.access","duration":1,"user_id":"a","user_id":"b","key_lookup":"fresh"}`))
	f.Add([]byte(`{"ts":1,"duration":null,"provider":"\ud800\\","model":"\u001b"} `))
	f.Add([]byte("{\"ts\":1,\"duration\":1}\f"))
	f.Add([]byte(`{"ts":1e999,"user_id":"a","key_lookup":"fresh"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		l, err := newUsageLog(byUser, "", time.Now())
		if err == nil {
			err = l.line(bytes.TrimSpace(line))
		}
		total := l.total()
		if err != nil || total.Requests > 1 || total.Requests+l.notJSON > 1 || total.PromptTokens < 0 || total.CompletionTokens < 0 || total.CachedTokens < 0 {
			t.Fatalf("error %v, %d not JSON, total %+v", err, l.notJSON, total)
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(bytes.TrimSpace(line), &fields) != nil { // the end of a line may be more than JSON's white space
			if total.Requests > 0 {
				t.Fatal("counts, and is not JSON")
			}
			return
		}
		if total.Requests == 0 || !utf8.Valid(line) {
			return
		}
		var user string
		_ = json.Unmarshal(fields["user_id"], &user) // empty if it is not a string
		if l.byName[user] == nil {
			t.Errorf("the user is not %q: %v", user, l.sorted()[0])
		}
	})
}

// manyLines is an endless log of a site with continue_auth, or of another site.
type manyLines struct {
	lines []byte
	at    int
}

func (m *manyLines) Read(p []byte) (int, error) {
	n := copy(p, m.lines[m.at:])
	m.at = (m.at + n) % len(m.lines)
	return n, nil
}

// BenchmarkUsage reads 128 MB of log in each round. The result to look at is MB/s.
func BenchmarkUsage(b *testing.B) {
	const size = 128 << 20
	headers := `"x":{"User-Agent":["continue/1.0"],"Accept":["application/json"],"Accept-Encoding":["gzip, deflate, br"],"X-Stainless-Lang":["js"],"X-Stainless-Runtime":["node"],"X-User-Email":["dev@example.com"],"Traceparent":["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]},`
	for _, line := range []struct{ name, fields string }{
		{"ours", `"user_id":"dev@example.com","provider":"openai","model":"gpt-4o-mini","prompt_tokens":10,"cached_tokens":4,"completion_tokens":3,"key_id":"0123abcd","key_lookup":"fresh","time_to_first_byte":0.25,"upstream_log_id":"01JADMCQQQBWH3NXZ5GCRN98DP","request_id":"0af7651916cd43dd"`},
		{"another", `"user_id":""`},
	} {
		b.Run("line="+line.name, func(b *testing.B) {
			log := &manyLines{lines: bytes.Repeat([]byte(accessLine(headers+line.fields)), 1000)}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				l, err := newUsageLog(byModel, "30d", time.Unix(1_777_777_777, 0).Add(time.Hour))
				if err == nil {
					err = l.read("log", io.LimitReader(log, size))
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
