package container

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestListsShared: who asks during a call gets the next one, which all share. The end of one that makes a call is not that of others.
func TestListsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lists
		var calls atomic.Int64
		ask := func(ctx context.Context) chan error {
			done := make(chan error, 1)
			go func() {
				_, err := l.of(ctx, "k", func() ([]dockerapi.ContainerSummary, error) {
					calls.Add(1)
					select {
					case <-time.After(time.Second):
						return nil, nil
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				})
				done <- err
			}()
			synctest.Wait()
			return done
		}
		first := ask(t.Context())
		leading, cancel := context.WithCancel(t.Context())
		second, third, fourth := ask(leading), ask(t.Context()), ask(t.Context())
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls at a time", n)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		cancel()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for _, done := range []chan error{third, fourth} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := calls.Load(); n > 4 || len(l.next)+len(l.begun) != 0 { // the third and the fourth may each make one
			t.Errorf("%d calls; left %v %v", n, l.next, l.begun)
		}
	})
}
