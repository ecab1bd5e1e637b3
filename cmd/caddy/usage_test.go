package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// accessLine returns a line of the access log at a second of one day.
func accessLine(second int, status int, fields string) string {
	return fmt.Sprintf(`{"level":"info","ts":%d.25,"logger":"http.log.access.log0","msg":"handled request","request":{"method":"POST","host":"ai.example.com","uri":"/v1/chat/completions","headers":{"User-Agent":["continue"]}},"bytes_read":120,"duration":0.5,"size":300,"status":%d,"resp_headers":{},%s}`+"\n",
		time.Date(2026, 11, 1, 0, 0, second, 0, time.UTC).Unix(), status, fields)
}

// logging makes the server write an access log. The log has some lines already.
func (o *operator) logging() {
	o.t.Helper()
	caddyfile, err := os.ReadFile(o.folder + "/Caddyfile")
	if err != nil {
		o.t.Fatal(err)
	}
	o.write("Caddyfile", strings.Replace(string(caddyfile), "\tcontinue_auth {", "\tlog {\n\t\toutput file {env.LOGS}/access.log\n\t}\n\tcontinue_auth {", 1))
	o.env = append(o.env, "LOGS="+o.folder)
	o.write("access.log",
		accessLine(10, 200, `"user_id":"dev@example.com","provider":"openai","model":"gpt-4o-mini","prompt_tokens":1200,"completion_tokens":80,"cached_tokens":1024,"key_id":"0123abcd","key_lookup":"fresh","time_to_first_byte":0.21,"upstream_log_id":"01JB","request_id":"r1"`)+
			accessLine(20, 200, `"user_id":"ops@example.com","provider":"workers-ai","model":"@cf/meta/llama-3.1-8b-instruct","prompt_tokens":90,"tokens_partial":true,"key_id":"4567abcd","key_lookup":"loaded","request_id":"r2"`)+
			accessLine(30, 401, `"user_id":"","key_lookup":"absent","refused_by":"proxy","request_id":"r3"`)+
			accessLine(40, 403, `"user_id":"ops@example.com","provider":"openai","model":"gpt-5-mini","key_lookup":"fresh","refused_by":"proxy","request_id":"r4"`)+
			accessLine(50, 200, `"user_id":""`)+
			`{"level":"info","ts":17`)
	var rolled bytes.Buffer
	w := gzip.NewWriter(&rolled)
	_, _ = w.Write([]byte(accessLine(-3600, 200, `"user_id":"dev@example.com","provider":"openai","model":"gpt-4o-mini","prompt_tokens":10,"completion_tokens":5,"key_lookup":"fresh"`)))
	if err := w.Close(); err != nil {
		o.t.Fatal(err)
	}
	o.write("access-2026-11-01T00-00-00.000-size.log.gz", rolled.String())
}

// It compares the output with testdata/usage.txt.
func TestTheOutputOfUsage(t *testing.T) {
	withoutRaces(t)
	o := newOperator(t, "keystore file", "127.0.0.1:0")
	script := o.transcript(nothing, "usage")
	o.logging()
	o.write("empty.log", "")
	for _, line := range []string{
		"usage", "usage --by model", "usage --by provider --json", "usage --since 2026-11-01", "usage access.log", "usage empty.log", "usage empty.log --json",
		"usage --by team", "usage --by client --csv", "usage --by day --user dev@example.com", "usage --log --by day --csv", "usage --by planet", "usage --csv --json", "usage --since soon", "usage nowhere.log",
	} {
		script += o.transcript(nothing, line)
	}
	golden(t, "usage.txt", script)
}

// nothing matches in no output.
var nothing = regexp.MustCompile(`\z.`)

func TestUsageReadsStandardInput(t *testing.T) {
	o := newOperator(t, "keystore file", "off")
	o.logging()
	log, err := os.Open(o.folder + "/access.log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := o.command("usage", "-", "--config", "nowhere")
	cmd.Stdin = log
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "\nTOTAL            4         2        1290    1024    80          2026-11-01 00:00:40\n") {
		t.Errorf("error %v\n%s", err, out)
	}
}

// It must end although its input does not.
func TestUsageEndsWhenInterrupted(t *testing.T) {
	o := newOperator(t, "keystore file", "off")
	cmd := o.command("usage", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := bytes.Repeat([]byte(accessLine(0, 200, `"provider":"openai"`)), 10_000)
	if _, err := in.Write(line); err != nil { // a pipe holds less than this, so the command is reading
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it did as if it had read all")
	}
}

// The running server's configuration names the log. Every line of it must be read as JSON.
func TestUsageFindsTheServersLog(t *testing.T) {
	withoutRaces(t)
	o := newOperator(t, "keystore file", "off")
	o.logging()
	for _, name := range []string{"access.log", "access-2026-11-01T00-00-00.000-size.log.gz"} {
		if err := os.Remove(o.folder + "/" + name); err != nil {
			t.Fatal(err)
		}
	}
	o.run("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}")
	key := o.newKey("keys", "add", "dev@example.com")
	o.serve()
	if status := o.chat("dev@example.com", key); status != 200 {
		t.Fatalf("status %d", status)
	}
	row := regexp.MustCompile(`dev@example\.com +1 +0 +[1-9][0-9]* +0 +[1-9][0-9]* `)
	for range 500 { // the server may write the line after the answer
		stdout, stderr, status := o.try("usage")
		if status != 0 || stderr != "" {
			t.Fatalf("exit status %d\n%s%s", status, stdout, stderr)
		}
		if row.MatchString(stdout) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("no use of dev@example.com in\n%s", o.run("usage"))
}
