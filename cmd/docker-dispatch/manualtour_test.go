package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestManualTour: each package in the table of the code begins where the table says.
func TestManualTour(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("help/develop.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)`.* \\| `([^`]+)` in `([^`]+[.]go)` \\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 15 {
		t.Fatalf("%d rows in the table", len(rows))
	}
	for _, row := range rows {
		folder, name, file := row[1], row[2], row[3]
		text, err := os.ReadFile(filepath.Join("../..", folder, file))
		if err != nil {
			t.Error(err)
			continue
		}
		declared := `(?m)^(func|type) ` + name + `\b`
		if of, method, ok := strings.Cut(name, "."); ok {
			declared = `(?m)^func \(\w+ \*?` + of + `\) ` + method + `\b`
		}
		if !regexp.MustCompile(declared).Match(text) {
			t.Errorf("%s/%s has no %s", folder, file, name)
		}
	}
}
