package command

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/continue-auth/caddy-continue-auth/test/docs"
)

// logsOf adapts a Caddyfile and returns the names of its log files, relative to this folder.
func logsOf(t *testing.T, caddyfile string) ([]string, error) {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files, err := logFiles(adapted)
	for i, path := range files {
		if files[i], _ = filepath.Rel(here, path); !filepath.IsAbs(path) {
			t.Errorf("%s is not where it was looked for", path)
		}
	}
	return files, err
}

func TestTheAccessLogsOfAConfigurationAreFound(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("TEST_LOGS", "logs")
	if err := os.Mkdir("logs", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"access.log", "access.log.bak", "access-admin.log", "access-2026-11-01.log", "access-2026-11-01T12-00-00.000-size.txt",
		"access-2026-10-01T12-00-00.000-size.log.gz", "access-2026-10-02T12-00-00.000-time_1.log.zst", "access-2026-10-03T12-00-00.000.log", "access-2026-10-04T12-00-00.000-size.log.gz.tmp",
		"access-2026-10-05T12-00-00.000-size.log", "access-2026-10-05T12-00-00.000-size.log.gz",
	} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const rolled = "access-2026-10-01T12-00-00.000-size.log.gz access-2026-10-02T12-00-00.000-time_1.log.zst access-2026-10-03T12-00-00.000.log access-2026-10-05T12-00-00.000-size.log"
	for name, test := range map[string]struct{ caddyfile, files string }{
		"a site's log and its rolled files":             {"a.example.com {\nlog {\noutput file access.log\n}\n}", rolled + " access.log"},
		"two sites share one":                           {"a.example.com {\nlog {\noutput file other.log\n}\n}\nb.example.com {\nlog {\noutput file ./other.log\n}\n}", "other.log"},
		"two sites have two":                            {"a.example.com {\nlog {\noutput file a.log\n}\n}\nb.example.com {\nlog {\noutput file b.log\n}\n}", "a.log b.log"},
		"a placeholder is resolved":                     {"a.example.com {\nlog {\noutput file {env.TEST_LOGS}/ai.log\n}\n}", "logs/ai.log"},
		"fields are left out of JSON":                   {"a.example.com {\nlog {\noutput file a.log\nformat filter {\nrequest>headers>Api-Key delete\n}\n}\n}", "a.log"},
		"the default log has a site's access log":       {"{\nlog {\noutput file all.log\n}\n}\na.example.com {\nlog\n}", "all.log"},
		"only some loggers, including the access log's": {"{\nlog some {\noutput file some.log\ninclude http.log.access admin\n}\n}\na.example.com {\nlog\n}", "some.log"},
		"all of HTTP's loggers":                         {"{\nlog some {\noutput file some.log\ninclude http\n}\n}\na.example.com {\nlog\n}", "some.log"},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := logsOf(t, test.caddyfile)
			if got := strings.Join(files, " "); err != nil || got != test.files {
				t.Errorf("%s, error %v, want %s", got, err, test.files)
			}
		})
	}
}

func TestTheSuggestedLogIsFound(t *testing.T) {
	proposed := docs.AllBlocks(t, "caddyfile")
	t.Chdir(t.TempDir())
	if files, err := logsOf(t, "a.example.com {\n"+logBlock+"\n}"); err != nil || !reflect.DeepEqual(files, []string{"access.log"}) {
		t.Errorf("%v, error %v", files, err)
	}
	if !slices.Contains(proposed, "ai.example.com {\n"+logBlock+"\n}\n") {
		t.Error("the documentation proposes another")
	}
}

func TestAConfigurationWithoutAccessLogFilesIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, test := range map[string]struct{ caddyfile, says string }{
		"no log":                  {"a.example.com {\n}", "put this into the site's block:\n" + logBlock},
		"a log on standard error": {"a.example.com {\nlog\n}", "put this into the site's block"},
		"a log that is not JSON":  {"a.example.com {\nlog {\noutput file a.log\nformat console\n}\n}", "in JSON"},
		"a filter around an encoder that is not JSON": {"a.example.com {\nlog {\noutput file a.log\nformat filter {\nwrap console\nrequest>headers>Api-Key delete\n}\n}\n}", "in JSON"},
		"a log of another logger":                     {"{\nlog admin {\noutput file admin.log\ninclude admin\n}\n}\na.example.com {\nlog\n}", "writes no access log"},
		"a log without requests":                      {"{\nlog {\noutput file all.log\nexclude http.log\n}\n}\na.example.com {\nlog\n}", "writes no access log"},
		"a placeholder that is empty":                 {"a.example.com {\nlog {\noutput file {env.NOT_SET}/a.log\n}\n}", "{env.NOT_SET}"},
		"a folder that does not exist":                {"a.example.com {\nlog {\noutput file nowhere/a.log\n}\n}", "nowhere: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			if files, err := logsOf(t, test.caddyfile); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, error %v, want %q", files, err, test.says)
			}
		})
	}
	if _, err := logFiles([]byte(`[]`)); err == nil || !strings.Contains(err.Error(), "no Caddy configuration") {
		t.Errorf("error %v", err)
	}
	if _, err := logFiles([]byte(`{"logging":{"logs":{"a":null}}}`)); err == nil || !strings.Contains(err.Error(), "writes no access log") {
		t.Errorf("error %v", err)
	}
}
