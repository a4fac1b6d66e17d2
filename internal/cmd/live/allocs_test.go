//go:build !race

package live

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestAllocs fails if a job among many needs more allocations of the registry than today.
func TestAllocs(t *testing.T) {
	const many = 1000
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	for i := range many {
		liveTask(g, i, []string{"", fmt.Sprint("id", i)}[i%2])
	}
	known := intake.Job{Queue: "q", MessageID: "id1", Body: []byte("1")}
	again := intake.Job{Queue: "q", Redelivered: true, Body: []byte("2"), Lost: func() bool { return true }}
	byID, byDigest := identity.Of(known), identity.Of(again)
	for _, tt := range []struct {
		name string
		most float64
		do   func()
	}{
		{"add and remove", 28, func() {
			x := liveTask(g, many, "new")
			x.Take()
			g.effective(x.Order)
			g.Remove(x)
		}},
		{"identify", 5, func() { identity.Of(known) }},
		{"join by id", 2, func() { g.Recognise(byID, known) }},
		{"join by digest", 0, func() { g.Recognise(byDigest, again) }},
		{"find by job", 0, func() { g.ByID("id1") }},
		{"find by container", 1, func() { g.Runs("container1") }},
	} {
		if got := testing.AllocsPerRun(1000, tt.do); got > tt.most {
			t.Errorf("%s: %v allocations, at most %v before", tt.name, got, tt.most)
		}
	}
}
