//go:build !race

package event

import (
	"testing"
	"time"
)

// TestAllocs fails if an event needs more allocations than today to be written as JSON.
func TestAllocs(t *testing.T) {
	at, code := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), 0
	started := Started{Job: "j", Command: "run", Host: "h", ContainerID: "c", ContainerName: "n", Image: "i"}
	output := Output{Job: "j", ContainerName: "n", Stream: "stdout", Offset: 7, Data: []byte("hello \x1b[1mworld\n")}
	result := Result{Job: "j", Command: "run", Host: "h", Queue: "q", Status: Succeeded, ExitCode: &code, ContainerID: "c", ContainerName: "n",
		Image: "i", StartedAt: &at, FinishedAt: &at, Stdout: "hello\n", StdoutBytes: 6}
	buffer := make([]byte, 0, 1<<10)
	for _, tt := range []struct {
		name  string
		most  float64
		write func()
	}{
		{"started", 1, func() { started.JSON() }},
		{"output", 0, func() { output.AppendJSON(buffer) }},
		{"result", 1, func() { result.JSON() }},
	} {
		if got := testing.AllocsPerRun(100, tt.write); got > tt.most {
			t.Errorf("%s: %v allocations, at most %v before", tt.name, got, tt.most)
		}
	}
}
