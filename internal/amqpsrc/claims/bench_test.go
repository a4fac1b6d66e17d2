package claims

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// BenchmarkClaims makes claims and deletes them, as many at a time as the name says.
func BenchmarkClaims(b *testing.B) {
	for _, n := range []int{1, 8, 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRig(b, "quorum")
			h := r.enter("a")
			keys := make([]intake.ClaimKey, b.N)
			for i := range keys {
				keys[i] = intake.JobKey("/", r.queue, fmt.Sprint(i))
			}
			var next atomic.Int64
			b.ResetTimer()
			var work sync.WaitGroup
			for range n {
				work.Go(func() {
					for i := next.Add(1); int(i) <= len(keys); i = next.Add(1) {
						h.claims(keys[i-1])
						h.unclaims(keys[i-1])
					}
				})
			}
			work.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// BenchmarkForwards claims keys that another host has.
func BenchmarkForwards(b *testing.B) {
	r := newRig(b, "quorum")
	h, other := r.enter("a"), r.enter("b")
	key := r.keys(1)[0]
	other.claims(key)
	for b.Loop() {
		h.claims(key)
	}
}
