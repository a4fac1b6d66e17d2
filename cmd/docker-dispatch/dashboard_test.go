package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A dashboard is what the test reads of Grafana's JSON.
type dashboard struct {
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		ID                 int
		Title, Description string
		Datasource         struct{ UID string }
		GridPos            struct{ X, Y, W, H int }
		Targets            []struct {
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

// query is a metric in a query, with its matchers.
var query = regexp.MustCompile(`\b((?:docker_dispatch|process|go)_\w+)(\{[^}]*\})?`)

// checkQuery checks that the metrics of a query are the daemon's, and that its matchers and groups name their labels.
func checkQuery(t *testing.T, where, expr string) (metrics []string) {
	t.Helper()
	labels := []string{"job", "instance", "le"} // Prometheus's own
	var grouped []string
	for _, m := range query.FindAllStringSubmatch(expr, -1) {
		metric, part, ok := metricOf(m[1])
		if !ok {
			t.Errorf("%s: %s is no metric of the daemon, or a histogram without its part: %s", where, m[1], expr)
			continue
		}
		if (metric.Type == "counter" || part) && !strings.Contains(expr, m[0]+"[") {
			t.Errorf("%s: the counter %s without rate or increase", where, m[1])
		}
		metrics = append(metrics, metric.Name)
		its := append(strings.Split(metric.Labels, ","), labels...)
		grouped = append(grouped, its...)
		for _, l := range regexp.MustCompile(`(\w+)\s*[=!]~?"`).FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(its, l[1]) {
				t.Errorf("%s: %s has no label %q", where, metric.Name, l[1])
			}
		}
	}
	for _, by := range regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.Split(by[1], ", ") {
			if !slices.Contains(grouped, l) {
				t.Errorf("%s: no label %q: %s", where, l, expr)
			}
		}
	}
	return metrics
}

// TestDashboard: each query of the dashboard is one of PromQL, and of metrics that there are; each of the daemon's own metrics
// is shown somewhere.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "scripts", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Type+" "+v.Name)
	}
	if want := []string{"datasource datasource", "query job", "query instance"}; !slices.Equal(names, want) {
		t.Errorf("variables %q, want %q", names, want)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	shown := checkQuery(t, "variables", d.Templating.List[2].Definition)
	for i, p := range d.Panels {
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s has no description, no query, or a data source of its own", p.Title)
		}
		for _, q := range d.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			if q.ID == p.ID || a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H || a.X+a.W > 24 {
				t.Errorf("%s and %s have one id or one place", p.Title, q.Title)
			}
		}
		for _, q := range p.Targets {
			shown = append(shown, checkQuery(t, p.Title, q.Expr)...)
			if !strings.Contains(q.Expr, `job=~"$job", instance=~"$instance"`) || q.Datasource != p.Datasource {
				t.Errorf("%s does not heed the variables: %s", p.Title, q.Expr)
			}
			rules = append(rules, rule{fmt.Sprintf("q%d", len(rules)), strings.ReplaceAll(q.Expr, "$__rate_interval", "5m")})
		}
	}
	for _, m := range metricNames("docker_dispatch_") {
		if m != "docker_dispatch_daemon_info" && !slices.Contains(shown, m) {
			t.Errorf("%s is not shown", m)
		}
	}
	file := filepath.Join(t.TempDir(), "rules.json") // JSON is YAML
	all, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, all, 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", "--lint=none", file)
}

// TestAlerts: the alerts are of metrics that there are, and each fires when it should, and only then: scripts/alerts_test.yaml.
func TestAlerts(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "scripts", "alerts.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	exprs := regexp.MustCompile(`(?s)expr: (.*?)\n +for:`).FindAllStringSubmatch(string(text), -1)
	if len(exprs) != strings.Count(string(text), "- alert:") {
		t.Errorf("%d expressions", len(exprs))
	}
	for _, e := range exprs {
		checkQuery(t, "alerts.yaml", e[1])
	}
	promtool(t, "", "check", "rules", file)
	promtool(t, "", "test", "rules", filepath.Join("..", "..", "scripts", "alerts_test.yaml"))
}
