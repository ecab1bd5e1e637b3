// Package grafana has a Grafana dashboard and Prometheus alerts. Its tests compare them with the
// metrics that the server registers.
package grafana

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
)

// read reads a file and unmarshals it.
func read(t *testing.T, name string, unmarshal func([]byte, any) error, v any) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err == nil {
		err = unmarshal(content, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// registered returns the labels of each metric that a handler registers.
func registered(t *testing.T) map[string][]string {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	handler := new(caddyauth.Handler)
	t.Cleanup(func() { _ = handler.Cleanup() })
	if err := json.Unmarshal([]byte(`{"account_id":"a","gateway":"b","gateway_token":"c","keystore":{"module":"cloudflare_kv","api_token":"d","api_keys":"e","provider_settings":"f"},"shared":{"module":"redis","address":["127.0.0.1:1"]}}`), handler); err != nil {
		t.Fatal(err)
	}
	if err := handler.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	described := make(chan *prometheus.Desc)
	go func() {
		ctx.GetMetricsRegistry().Describe(described)
		close(described)
	}()
	description := regexp.MustCompile(`fqName: "(caddy_continue_auth_\w+)".* variableLabels: \{(.*)\}\}$`)
	metrics := make(map[string][]string)
	for desc := range described { // only a description has the labels of a metric without values
		if found := description.FindStringSubmatch(desc.String()); found != nil {
			metrics[found[1]] = strings.Split(found[2], ",")
		}
	}
	if len(metrics) != 11 {
		t.Fatalf("the handler registers %v", metrics)
	}
	return metrics
}

// code returns the source of the packages that set the labels' values.
func code(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range []string{"caddyauth", "keystore/cache", "provider/openai"} {
		files, err := filepath.Glob("../../" + folder + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, error %v", folder, len(files), err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				all.Write(content)
			}
		}
	}
	return all.String()
}

type dashboard struct {
	Templating struct {
		List []struct{ Name, Type string }
	}
	Panels []struct {
		ID         int
		Title      string
		Type       string
		Datasource struct{ UID string }
		GridPos    struct{ X, Y, W, H int }
		Targets    []struct {
			Datasource         struct{ UID string }
			Expr, LegendFormat string
		}
		FieldConfig struct {
			Defaults struct{ Unit string }
		}
	}
}

type rules struct {
	Groups []struct {
		Rules []struct{ Alert, Expr string }
	}
}

var (
	metricName = regexp.MustCompile(`caddy_continue_auth_\w+`)
	labelsBy   = regexp.MustCompile(`\bby \(([\w, ]+)\)`)
	matcher    = regexp.MustCompile(`(\w+)(?:=|!=|=~|!~)"`)
	value      = regexp.MustCompile(`=~?"([\w|]+)"`)
	legend     = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

func TestEveryUsedMetricLabelAndValueExists(t *testing.T) {
	metrics := registered(t)
	var board dashboard
	read(t, "dashboard.json", json.Unmarshal, &board)
	var alerts rules
	read(t, "alerts.yaml", yaml.Unmarshal, &alerts)
	expressions := make(map[string]string)
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			expressions[target.Expr] = panel.Title
		}
	}
	for _, rule := range alerts.Groups[0].Rules {
		expressions[rule.Expr] = rule.Alert
	}
	used := make(map[string]bool)
	for expression, title := range expressions {
		labels := []string{"instance"} // Prometheus adds this one
		for _, name := range metricName.FindAllString(expression, -1) {
			if bucket, ok := strings.CutSuffix(name, "_bucket"); ok {
				name, labels = bucket, append(labels, "le")
			}
			known, ok := metrics[name]
			if !ok {
				t.Errorf("%s: there is no metric %s", title, name)
			}
			used[name], labels = true, append(labels, known...)
		}
		if len(labels) == 1 {
			t.Errorf("%s: no metric in %s", title, expression)
		}
		var names []string
		for _, by := range labelsBy.FindAllStringSubmatch(expression, -1) {
			names = append(names, strings.Split(by[1], ", ")...)
		}
		for _, match := range matcher.FindAllStringSubmatch(expression, -1) {
			names = append(names, match[1])
		}
		for _, name := range names {
			if !slices.Contains(labels, name) {
				t.Errorf("%s: there is no label %s in %s", title, name, expression)
			}
		}
	}
	source := code(t)
	for expression, title := range expressions {
		for _, match := range value.FindAllStringSubmatch(expression, -1) {
			for name := range strings.SplitSeq(match[1], "|") {
				if !strings.Contains(source, `"`+name+`"`) {
					t.Errorf("%s: the server's code knows no %s", title, name)
				}
			}
		}
	}
	for name := range metrics {
		if !used[name] {
			t.Errorf("metric %s is on no panel", name)
		}
	}
}

func TestEveryPanelIsComplete(t *testing.T) {
	var board dashboard
	read(t, "dashboard.json", json.Unmarshal, &board)
	if list := board.Templating.List; len(list) != 1 || list[0].Type != "datasource" {
		t.Errorf("the variables are %v", list)
	}
	const variable = "${datasource}"
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, panel := range board.Panels {
		if panel.FieldConfig.Defaults.Unit == "" || panel.Datasource.UID != variable || ids[panel.ID] || len(panel.Targets) == 0 {
			t.Errorf("%s lacks a unit, the data source, an id of its own or queries: %+v", panel.Title, panel)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			if target.Datasource.UID != variable {
				t.Errorf("%s asks %s", panel.Title, target.Datasource.UID)
			}
			by := ""
			if match := labelsBy.FindStringSubmatch(target.Expr); match != nil && panel.Type == "timeseries" {
				by = strings.TrimSuffix(strings.TrimSuffix(match[1], "le"), ", ")
			}
			named := []string{}
			for _, match := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				named = append(named, match[1])
			}
			if got := strings.Join(named, ", "); got != by {
				t.Errorf("the legend of %s names %q, the query %q", panel.Title, got, by)
			}
		}
		at := panel.GridPos
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s has no place beside %q", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
	}
}

// It checks the cases of promtool, which CI runs.
func TestEachAlertHasATestThatFiresAndOneThatDoesNot(t *testing.T) {
	var alerts rules
	read(t, "alerts.yaml", yaml.Unmarshal, &alerts)
	var cases struct {
		Tests []struct {
			Alerts []struct {
				Name string `yaml:"alertname"`
				Want []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	read(t, "alerts_test.yaml", yaml.Unmarshal, &cases)
	tested := make(map[string][2]int)
	for _, test := range cases.Tests {
		for _, alert := range test.Alerts {
			count := tested[alert.Name]
			count[min(len(alert.Want), 1)]++
			tested[alert.Name] = count
		}
	}
	for _, rule := range alerts.Groups[0].Rules {
		if count := tested[rule.Alert]; count[0] == 0 || count[1] == 0 {
			t.Errorf("%s is tested %d times for silence and %d times for an alert", rule.Alert, count[0], count[1])
		}
	}
}
