package wire_test

import (
	"errors"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// TestOutcomes: each of many messages on a channel has its own outcome, also if they look alike. If the broker closes the
// channel, only a message that was alone is blamed. Each outcome frees a slot.
func TestOutcomes(t *testing.T) {
	q := brokertest.New(t).Queue("classic")
	address, err := wire.ParseURL(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	dialer := &wire.Dialer{Address: address}
	link, err := dialer.Open(t.Context(), "test", func(*wire.Link) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer dialer.Part(link, true)
	refused := amqp.Publishing{Expiration: "never"}
	shared := func(err error) bool {
		return errors.Is(err, wire.ErrShared) && wire.Code(err) == amqp.PreconditionFailed
	}
	type message struct {
		queue   string
		message amqp.Publishing
		want    func(error) bool
	}
	is := func(want error) func(error) bool { return func(err error) bool { return err == want } }
	for name, messages := range map[string][]message{
		"alike": {
			{q, amqp.Publishing{MessageId: "m"}, is(nil)},
			{q + ".no", amqp.Publishing{MessageId: "m"}, is(wire.ErrUnroutable)},
			{q + ".no", amqp.Publishing{MessageId: "m"}, is(wire.ErrUnroutable)},
			{q + ".no", amqp.Publishing{MessageId: "m", Body: []byte("other")}, is(wire.ErrUnroutable)},
			{q, amqp.Publishing{MessageId: "m", Body: []byte("other")}, is(nil)},
		},
		"alone": {{q, refused, func(err error) bool {
			return !errors.Is(err, wire.ErrShared) && wire.Code(err) == amqp.PreconditionFailed
		}}},
		"shared": {{q, refused, shared}, {q, refused, shared}},
	} {
		t.Run(name, func(t *testing.T) {
			var o *wire.Outlet
			var sent []*wire.Sent
			for len(sent) < len(messages) { // again if the broker closes the channel before all are written
				if o, err = link.Outlet(len(messages)); err != nil {
					t.Fatal(err)
				}
				sent = nil
				for _, m := range messages {
					o.Slots <- struct{}{}
					if s, err := o.Publish("", m.queue, m.message); err == nil {
						sent = append(sent, s)
					}
				}
			}
			for i, s := range sent {
				<-s.Done()
				if err := s.Outcome(); !messages[i].want(err) {
					t.Errorf("message %d: %v", i, err)
				}
			}
			if n := len(o.Slots); n != 0 {
				t.Errorf("%d slots are taken", n)
			}
		})
	}
}
