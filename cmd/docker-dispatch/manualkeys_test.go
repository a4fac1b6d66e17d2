package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/web"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
)

// keysTable is the manual's table of all commands and their keys.
func keysTable() string {
	var b strings.Builder
	b.WriteString("| Command | Key | Value | Meaning |\n|---|---|---|---|\n")
	var run message.CommandDoc
	for _, doc := range message.Docs() {
		name := "`" + doc.Name + "`"
		if doc.Alias != "" {
			name += ", `" + doc.Alias + "`"
		}
		switch doc.Name {
		case "run":
			run = doc
		case "create":
			var without []string
			for _, k := range run.Keys {
				if !slices.ContainsFunc(doc.Keys, func(o message.KeyDoc) bool { return o.Name == k.Name }) {
					without = append(without, "`"+k.Name+"`")
				}
			}
			fmt.Fprintf(&b, "| %s | | | all keys of `run` but %s |\n", name, strings.Join(without, ", "))
			continue
		}
		byJob := slices.ContainsFunc(doc.Keys, func(k message.KeyDoc) bool { return k.Name == "Job" })
		for _, k := range doc.Keys {
			if byJob && k.Name == "Job" {
				continue // one row for both
			}
			key, value := "`"+k.Name+"`", k.Value
			if k.Option {
				key = "`Options." + k.Name + "`"
			} else if k.Name == "Image" || k.Name == "NewName" || doc.Name == "exec" && k.Name == "Cmd" {
				value += ", required"
			} else if k.Name == "Container" {
				value += ", required"
				if byJob {
					key, k.Help = "`Container` or `Job`", "name or id of the container, or the message_id of the run that made it"
				}
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, key, value, k.Help)
			name = ""
		}
	}
	return b.String()
}

// policyTables are the tables of what a policy's file may name.
func policyTables() (keys, ceilings string) {
	ruled, limited := policy.Docs()
	table := func(docs []policy.KeyDoc) string {
		b := "| Key | Value |\n|---|---|\n"
		for _, d := range docs {
			b += fmt.Sprintf("| `%s` | %s |\n", d.Name, d.Help)
		}
		return b
	}
	return table(ruled), table(limited)
}

// metricsTable is the manual's table of the metrics.
func metricsTable() string {
	b := "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n"
	for _, m := range web.Metrics() {
		labels := ""
		if m.Labels != "" {
			labels = "`" + strings.ReplaceAll(m.Labels, ",", "`, `") + "`"
		}
		b += fmt.Sprintf("| `%s` | %s | %s | %s |\n", m.Name, m.Type, labels, m.Help)
	}
	return b
}

// TestManualKeys compares the manual's tables with the program's own. UPDATE_MANUAL=1 writes them.
func TestManualKeys(t *testing.T) {
	ruled, ceilings := policyTables()
	for _, m := range []struct{ page, name, table string }{
		{"messages.md", "keys", keysTable()}, {"policy.md", "keys", ruled}, {"policy.md", "ceilings", ceilings},
		{"operate.md", "metrics", metricsTable()},
	} {
		path := filepath.Join("help", m.page)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := "<!-- "+m.name+", from the program's own table -->\n", "<!-- end of "+m.name+" -->\n"
		before, rest, ok := strings.Cut(string(text), begin)
		table, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no %q and %q", m.page, begin, end)
		}
		if table == m.table {
			continue
		}
		if os.Getenv("UPDATE_MANUAL") == "" {
			t.Errorf("%s: the table of %s is not the program's; UPDATE_MANUAL=1 go test -run TestManualKeys ./cmd/docker-dispatch writes it", m.page, m.name)
		} else if err := os.WriteFile(path, []byte(before+begin+m.table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
