package main

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestReturnMemory: the memory of a burst goes back to the system after some time without a garbage collection.
func TestReturnMemory(t *testing.T) {
	hold := make([]byte, 4*burst)
	for i := range hold {
		hold[i] = 1
	}
	runtime.KeepAlive(hold)
	_, before := memory()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go returnMemory(ctx)
		time.Sleep(3 * quietFor)
		cancel()
		synctest.Wait()
	})
	if _, after := memory(); after+2*burst > before {
		t.Errorf("%d bytes before, %d after", before, after)
	}
}
