package layers

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestLayersBounded: whatever an engine names, little is remembered, and the sums make sense.
func TestLayersBounded(t *testing.T) {
	var l Layers
	say := func(id, status string, current, total int64) {
		t.Helper()
		l.Step(dockerapi.PullProgress{ID: id, Status: status, Current: current, Total: total})
		if n := l.Now(); n.Complete < 0 || n.Complete > n.Layers || n.Bytes < 0 || n.Bytes > n.Total || n.Layers > mostLayers {
			t.Fatalf("after %.20q %q %d of %d: %+v", id, status, current, total, n)
		}
	}
	numbers := []int64{0, -1, 1, math.MinInt64, math.MaxInt64, mostLayerSize}
	for _, status := range []string{"Downloading", "Pull complete", "Already exists", "Extracting", "Downloading", "Waiting", "", "Downloading\x1b[2J"} {
		for _, current := range numbers {
			for _, total := range numbers {
				for _, id := range []string{"", "a", "b", strings.Repeat("x", mostLayerID+1)} {
					say(id, status, current, total)
				}
			}
		}
	}
	if n := l.Now(); n.Layers != 2 {
		t.Errorf("%d layers, want 2", n.Layers)
	}
	for i := range 1_000_000 {
		say(fmt.Sprint("layer", i), "Downloading", math.MaxInt64, math.MaxInt64)
	}
	if len(l.byID) != mostLayers {
		t.Errorf("%d layers are remembered", len(l.byID))
	}
	if status, n := l.Pulled(); status != event.Pulled || n.Layers != mostLayers || n.Complete != mostLayers || n.Bytes != n.Total {
		t.Errorf("at the end: %s %+v", status, n)
	}
}
