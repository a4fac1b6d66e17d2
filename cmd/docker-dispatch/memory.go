package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// quietFor is how long no garbage was collected after a burst of jobs.
	quietFor = 10 * time.Second
	// burst is by how many bytes the memory grows in a burst.
	burst = 16 << 20
)

// returnMemory gives memory back to the system after each burst of jobs, until ctx ends. The runtime alone would keep about
// twice what the running jobs need: it returns memory only while it collects garbage, and jobs that are silent make none.
func returnMemory(ctx context.Context) {
	tick := time.NewTicker(quietFor)
	defer tick.Stop()
	var cycles, least uint64 // garbage collections as of the last tick; the least memory since the last burst
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now, taken := memory()
		if now == cycles && taken > least+burst {
			debug.FreeOSMemory()
			now, least = memory()
		}
		cycles, least = now, min(least, taken)
	}
}

// memory returns how many garbage collections there were, and how many bytes the system has given.
func memory() (cycles, taken uint64) {
	s := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64() - s[2].Value.Uint64()
}
