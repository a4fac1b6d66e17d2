package live

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// manyJobs returns a registry with n live jobs, half of them running.
func manyJobs(n int) *Registry {
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	for i := range n {
		t := &Task{came: time.Now(), Published: time.Now(), Decoded: Decoded{Cmd: new(message.Run)}, turn: turn{seq: int64(i * 7919 % n), Order: newOrder(false)}}
		t.ID, t.Name = fmt.Sprint("job", i), fmt.Sprint("name", i)
		g.Add(t)
		if i%2 == 0 {
			g.move(t, Due)
			g.move(t, Begun)
		}
	}
	return g
}

// BenchmarkStatus measures what a status costs with 10,000 live jobs. The pool waits for at most as long.
func BenchmarkStatus(b *testing.B) {
	g := manyJobs(10_000)
	b.Run("numbers", func(b *testing.B) {
		for b.Loop() {
			g.Count(new(status.Status))
		}
	})
	b.Run("lists", func(b *testing.B) {
		for b.Loop() {
			g.List(new(status.Status))
		}
	})
}
