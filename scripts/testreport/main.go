// Testreport reads the output of go test -json from stdin and prints a line for each package as it ends. Then it prints the
// slowest tests, and for each failed test its output and the command that runs it alone. It exits with 1 if a test failed.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	failed, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

// An event is a line of go test -json: see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath string

	Elapsed float64 // seconds
}

// A result is that of one test, or of one package if test is empty.
type result struct {
	pkg, test string
	seconds   float64
	output    []string
}

// secret is in each password and secret that the tests make up. No test prints it, and no program that they start.
const secret = "s3cret-of-the-tests"

const (
	slowest     = 10
	outputLines = 200 // lines shown of a failed test's output, its first and last
)

// report reads the output of go test and prints the report. It copies lines that are not JSON, such as a failed build's.
func report(in io.Reader, out io.Writer) (failed bool, err error) {
	running := make(map[[2]string]*result)
	var ended, broken []*result
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		} else if err != nil && err != io.EOF {
			return true, err
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			fmt.Fprintf(out, "%s", line)
			continue
		}
		key := [2]string{e.Package, e.Test}
		r := running[key]
		if r == nil {
			r = &result{pkg: e.Package, test: e.Test}
			running[key] = r
		}
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "output":
			r.output = append(r.output, e.Output)
			if strings.Contains(e.Output, secret) {
				fmt.Fprintf(out, "%s %s prints a secret of the tests: %s", e.Package, e.Test, e.Output)
				failed = true
			}
		case "pass", "fail", "skip":
			r.seconds = e.Elapsed
			delete(running, key)
			if e.Test == "" {
				fmt.Fprintf(out, "%-4s %s %.1f s\n", e.Action, e.Package, e.Elapsed)
				if e.Action == "fail" {
					broken = append(broken, unended(running, e.Package)...)
				}
			} else {
				ended = append(ended, r)
			}
			if e.Action == "fail" {
				broken = append(broken, r)
			}
		}
	}
	slices.SortStableFunc(ended, func(a, b *result) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Fprintln(out, "slowest:")
	for i, r := range leaves(ended) {
		if i < slowest {
			fmt.Fprintf(out, "%8.1f s %s\n", r.seconds, r.test)
		}
	}
	broken = leaves(broken)
	for _, r := range broken {
		fmt.Fprintf(out, "\n--- failed: %s %s (%.1f s)\n", r.pkg, r.test, r.seconds)
		for _, text := range shortened(r.output) {
			fmt.Fprint(out, text)
		}
		fmt.Fprintf(out, "--- alone: %s\n", alone(r))
	}
	return failed || len(broken) > 0, nil
}

// unended returns the tests of a package that have no result, ordered by their names: the process died in one of them, or the line that
// tells the result was lost among the output of another program. It deletes them from running.
func unended(running map[[2]string]*result, pkg string) (rs []*result) {
	for key, r := range running {
		if r.pkg == pkg {
			rs = append(rs, r)
			delete(running, key)
		}
	}
	slices.SortFunc(rs, func(a, b *result) int { return cmp.Compare(a.test, b.test) })
	return rs
}

// leaves returns the results without the packages and tests that contain another of them.
func leaves(results []*result) []*result {
	above := make(map[[2]string]bool)
	for _, r := range results {
		for test := r.test; test != ""; {
			test = test[:max(strings.LastIndexByte(test, '/'), 0)]
			above[[2]string{r.pkg, test}] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(results), func(r *result) bool { return above[[2]string{r.pkg, r.test}] })
}

func shortened(output []string) []string {
	if len(output) <= outputLines {
		return output
	}
	left := fmt.Sprintf("... %d lines left out\n", len(output)-outputLines)
	return slices.Concat(output[:outputLines/2], []string{left}, output[len(output)-outputLines/2:])
}

// alone returns the command that runs one test.
func alone(r *result) string {
	run := ""
	if r.test != "" {
		parts := strings.Split(r.test, "/")
		for i, p := range parts {
			parts[i] = "^" + p + "$"
		}
		run = fmt.Sprintf(" -run '%s'", strings.Join(parts, "/"))
	}
	return fmt.Sprintf(`scripts/services up && eval "$(scripts/services env)" && go test -race -count=1%s %s`, run, r.pkg)
}
