package cmd

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
)

// silent is a Reporter that shows nothing.
type silent struct{ container.Reporter }

func (silent) Result(event.Result) error { return nil }

// BenchmarkReport measures the line and the counts of a job at its end, when lines are summed.
func BenchmarkReport(b *testing.B) {
	p := NewPool(Config{Reporter: silent{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Host: "host-1"})
	defer p.lines.Close()
	t := &task{pool: p}
	t.Init(b.Context(), intake.Job{}, identity.Identity{ID: "0123456789ab", Queue: "jobs"}, live.Decoded{}, 1)
	t.Carrier, t.Log = p.carrier, p.Log
	p.jobs.Add(&t.Task)
	t.Traits.Verb = "run"
	at := time.Now()
	r := &event.Result{Job: t.ID, Command: "run", Status: event.Succeeded, ExitCode: new(0), ContainerName: "dispatch-0123456789ab", StartedAt: &at, FinishedAt: &at}
	b.ReportAllocs()
	for b.Loop() {
		if err := t.report(r); err != nil {
			b.Fatal(err)
		}
	}
}
