package publish

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

func TestMain(m *testing.M) { brokertest.Run(m, "internal/amqpsrc/publish.") }

// A message that the broker refuses for good costs the channel that it was sent on. That is replaced,
// however often it happens, and no other message suffers.
func TestRefusedPublish(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	address, err := wire.ParseURL(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	log := brokertest.NewLogbook()
	pub := New(&wire.Dialer{Address: address}, Config{Queue: q, DeadLetter: q + ".dead", Log: slog.New(slog.NewTextHandler(log, nil))})
	ctx, cancel := context.WithTimeout(context.Background(), brokertest.Patience)
	defer cancel()
	if err := pub.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	always := func() bool { return true }
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range wire.Publishers {
				err := pub.publish(ctx, "", q+".dead", func(int) amqp.Publishing { return amqp.Publishing{Expiration: "never"} }, confirmTimeout, always)
				if wire.Code(err) != amqp.PreconditionFailed {
					t.Errorf("publish of what is not valid: %v", err)
				}
				if err := pub.publish(ctx, "", q+".dead", func(int) amqp.Publishing { return amqp.Publishing{} }, confirmTimeout, always); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		})
	}
	all.Wait()
	if n := p.Ready(q + ".dead"); n != 4*wire.Publishers {
		t.Errorf("%d messages were stored, want %d", n, 4*wire.Publishers)
	}
	if log.Count("publishing connection lost") != 0 {
		t.Errorf("the connection was lost:\n%s", log)
	}
}
