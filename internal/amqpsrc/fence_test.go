package amqpsrc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestFenceBatches: waiters of a fence share the next call. A call that was made before a waiter came does not count: the
// waiter's ack may have been written after the call.
func TestFenceBatches(t *testing.T) {
	s, _ := fakeSession(new(fakeAck), "")
	waiter := func() chan error {
		err := make(chan error, 1)
		go func() { err <- s.fence(context.Background()) }()
		return err
	}
	batch := func() (b *fenceBatch) { // as the owner does before its call
		<-s.callDue.C
		s.mu.Lock()
		defer s.mu.Unlock()
		b, s.batch, s.called = s.batch, nil, time.Now()
		return b
	}
	began := time.Now()
	first := waiter()
	b := batch()
	second := waiter()
	brokertest.Eventually(t, "another batch", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.batch != nil && s.batch != b })
	if took := time.Since(began); took < wire.Settling {
		t.Errorf("the call was asked for after %v; acks may be on their way for %v", took, wire.Settling)
	}
	close(b.done)
	if err := <-first; err != nil {
		t.Errorf("fence: %v", err)
	}
	select {
	case err := <-second:
		t.Errorf("a call made before let a waiter off: %v", err)
	default:
	}
	// The session ends before the call has returned.
	batch()
	close(s.done)
	if err := <-second; !errors.Is(err, intake.ErrDeliveryLost) {
		t.Errorf("fence: %v", err)
	}
	if err := s.fence(context.Background()); !errors.Is(err, intake.ErrDeliveryLost) {
		t.Errorf("fence of a session that is over: %v", err)
	}
}

// TestCallsAreFew: a waiter alone does not wait for its call. Those that come soon after a call share the next one.
func TestCallsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := fakeSession(new(fakeAck), "")
		began := time.Now()
		var waiters sync.WaitGroup
		wait := func() {
			waiters.Go(func() {
				if err := s.alive(t.Context()); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		answer := func() (at time.Duration) { // as the owner does
			<-s.callDue.C
			at = time.Since(began)
			s.mu.Lock()
			defer s.mu.Unlock()
			close(s.batch.done)
			s.batch, s.called = nil, time.Now()
			return at
		}
		wait()
		if at := answer(); at != 0 {
			t.Errorf("a waiter alone waited %v for its call", at)
		}
		for range 3 {
			time.Sleep(callGap / 4)
			wait()
		}
		if at := answer(); at != callGap {
			t.Errorf("the next call came after %v, want %v", at, callGap)
		}
		waiters.Wait()
	})
}
