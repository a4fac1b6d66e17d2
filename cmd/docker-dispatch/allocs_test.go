//go:build !race

package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestAllocs fails if 1,000 lines of output, or a result, need more allocations than today to be printed.
func TestAllocs(t *testing.T) {
	o := &out{w: io.Discard}
	lines := event.Output{Job: "j", ContainerName: "n", Stream: "stdout", Data: bytes.Repeat([]byte("hello world\n"), 1000)}
	result := event.Result{Job: "j", Status: event.Failed, Reason: event.ReasonExit, Error: "exit code 7", ContainerName: "n"}
	for _, tt := range []struct {
		name  string
		most  float64
		print func()
	}{
		{"lines as text", 2, func() { (&textReporter{out: o}).Output(lines) }},
		{"lines as they are", 2, func() { (&textReporter{out: o, raw: true}).Output(lines) }},
		{"lines as JSON", 3, func() { (&jsonReporter{o}).Output(lines) }},
		{"result as text", 5, func() { (&textReporter{out: o}).Result(result) }},
		{"result as JSON", 0, func() { (&jsonReporter{o}).Result(result) }},
	} {
		if got := testing.AllocsPerRun(100, tt.print); got > tt.most {
			t.Errorf("%s: %v allocations, at most %v before", tt.name, got, tt.most)
		}
	}
}
