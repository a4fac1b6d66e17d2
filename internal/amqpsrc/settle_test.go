package amqpsrc

import (
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// sink takes every answer.
type sink struct{}

func (sink) Ack(uint64, bool) error        { return nil }
func (sink) Nack(uint64, bool, bool) error { return nil }
func (sink) Reject(uint64, bool) error     { return nil }

// BenchmarkDelivery measures a delivery that becomes a job and is acked, without what the library does.
func BenchmarkDelivery(b *testing.B) {
	s, d := fakeSession(nil, "d")
	d.Acknowledger = sink{}
	d.Body = []byte("{}")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.job(d).Settle(b.Context(), intake.Ack, event.Result{}); err != nil {
			b.Fatal(err)
		}
	}
}
