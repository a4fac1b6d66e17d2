package amqpsrc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A fakeAck counts what is settled.
type fakeAck struct {
	mu   sync.Mutex
	log  []string
	fail error
}

func (f *fakeAck) add(s string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, s)
	return f.fail
}

func (f *fakeAck) Ack(tag uint64, multiple bool) error {
	return f.add(fmt.Sprint("ack ", tag, multiple))
}

func (f *fakeAck) Nack(tag uint64, multiple, requeue bool) error {
	return f.add(fmt.Sprint("nack ", tag, multiple, requeue))
}

func (f *fakeAck) Reject(tag uint64, requeue bool) error {
	return f.add(fmt.Sprint("reject ", tag, requeue))
}

func fakeSession(ack *fakeAck, deadLetter string) (*session, amqp.Delivery) {
	s := &session{source: &Source{cfg: Config{Queue: "q", DeadLetter: deadLetter}}, link: new(wire.Link), done: make(chan struct{}), callDue: time.NewTimer(0)}
	s.callDue.Stop()
	return s, amqp.Delivery{Acknowledger: ack, DeliveryTag: 7}
}

func TestSettle(t *testing.T) {
	tests := []struct {
		verdict intake.Verdict
		want    string
	}{
		{intake.Ack, "[ack 7 false]"},
		{intake.Requeue, "[nack 7 false true]"},
		{intake.DeadLetter, "[reject 7 false]"},
	}
	for _, tt := range tests {
		var ack fakeAck
		s, d := fakeSession(&ack, "d")
		j := s.job(d)
		var wg sync.WaitGroup
		var good atomic.Int32
		for range 20 {
			wg.Go(func() {
				if err := j.Settle(context.Background(), tt.verdict, event.Result{}); err == nil {
					good.Add(1)
				} else if !errors.Is(err, wire.ErrSettledTwice) {
					t.Errorf("settle: %v", err)
				}
			})
		}
		wg.Wait()
		if got := fmt.Sprint(ack.log); got != tt.want || good.Load() != 1 {
			t.Errorf("%v: %d times: %s, want once: %s", tt.verdict, good.Load(), got, tt.want)
		}
	}
}

func TestSettleLost(t *testing.T) {
	for _, v := range []intake.Verdict{intake.Ack, intake.Requeue, intake.DeadLetter} {
		var ack fakeAck
		s, d := fakeSession(&ack, "d")
		j := s.job(d)
		close(s.done)
		if err := j.Settle(context.Background(), v, event.Result{}); !errors.Is(err, intake.ErrDeliveryLost) || len(ack.log) != 0 || !j.Lost() {
			t.Errorf("%v: %v, %v", v, err, ack.log)
		}
	}
	// The write of the ack fails.
	ack := fakeAck{fail: amqp.ErrClosed}
	s, d := fakeSession(&ack, "d")
	if err := s.job(d).Settle(context.Background(), intake.Ack, event.Result{}); !errors.Is(err, intake.ErrDeliveryLost) {
		t.Errorf("%v", err)
	}
}

// Only a source with a dead-letter queue stores copies.
func TestStore(t *testing.T) {
	var ack fakeAck
	s, d := fakeSession(&ack, "d")
	if s.job(d).Store == nil {
		t.Error("a source with a dead-letter queue stores no copies")
	}
	s, d = fakeSession(&ack, "")
	if s.job(d).Store != nil {
		t.Error("a source without a dead-letter queue stores copies")
	}
}

// TestPublished: a message's time is the broker's where a plugin gives it, else its publisher's, unless it cannot be true.
func TestPublished(t *testing.T) {
	second := time.Now().Add(-20 * 24 * time.Hour).Truncate(time.Second) // a dead letter that was replayed
	for name, tt := range map[string]struct {
		d    amqp.Delivery
		want time.Time
	}{
		"the publisher's":  {amqp.Delivery{Timestamp: second}, second},
		"the broker's":     {amqp.Delivery{Timestamp: second, Headers: amqp.Table{"timestamp_in_ms": second.UnixMilli() + 250}}, second.Add(250 * time.Millisecond)},
		"of another type":  {amqp.Delivery{Timestamp: second, Headers: amqp.Table{"timestamp_in_ms": "x"}}, second},
		"none":             {amqp.Delivery{}, time.Time{}},
		"in the future":    {amqp.Delivery{Timestamp: time.Now().Add(2 * time.Hour)}, time.Time{}},
		"long ago":         {amqp.Delivery{Timestamp: time.Now().Add(-31 * 24 * time.Hour)}, time.Time{}},
		"in 1970":          {amqp.Delivery{Timestamp: time.Unix(1, 0)}, time.Time{}},
		"before the epoch": {amqp.Delivery{Headers: amqp.Table{"timestamp_in_ms": int64(-1)}}, time.Time{}},
	} {
		if got := published(tt.d); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
