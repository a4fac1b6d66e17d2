package amqpsrc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// Streams share channels: many more jobs stream than the connection has channels. A queue that does not exist, and a
// message that the broker takes from nobody, cost the others nothing; each stream's messages come in order.
func TestStreamsShareChannels(t *testing.T) {
	brokertest.MaxMessageSize(t, 1<<20)
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Declare(q+"-answers", "classic")
	t.Cleanup(func() { p.Delete(q + "-answers") })
	const jobs, events = 40, 20
	for i := range jobs {
		to := q + "-answers"
		if i%10 == 3 {
			to = q + "-nosuch"
		}
		p.Send(q, amqp.Publishing{Body: []byte("m"), ReplyTo: to, MessageId: fmt.Sprint(i), CorrelationId: fmt.Sprint(i)})
	}
	r := start(t, q, func(c *Config) {
		c.Prefetch = jobs
		c.URL = withQuery(t, fmt.Sprintf("channel_max=%d", wire.ChannelsNeeded))
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var streaming, opened sync.WaitGroup
	opened.Add(jobs)
	for range jobs {
		j := r.next()
		streaming.Go(func() {
			stream := j.Stream()
			defer stream.Close()
			for n := range events {
				body := []byte("{}")
				if n == events/2 && j.MessageID == "7" {
					body = make([]byte, 2<<20)
				}
				if err := stream.Send(ctx, j.MessageID, fmt.Sprintf("output/%d", n), body); err != nil {
					t.Errorf("send: %v", err)
				}
				if n == 0 {
					opened.Done()
					opened.Wait() // all stream at a time
				}
			}
			if err := errors.Join(stream.Flush(ctx), j.Reply(ctx, event.Result{Job: j.MessageID})); err != nil {
				t.Errorf("job %s: %v", j.MessageID, err)
			}
			settle(t, j, intake.Ack)
		})
	}
	streaming.Wait()
	next := make(map[string]int) // by job: how many events have come in order
	ended := 0
	for range 10 * jobs * events { // some come twice
		d, ok, err := p.Channel().Get(q+"-answers", true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if d.Type == "result" {
			if n := next[d.CorrelationId]; n != events && d.CorrelationId != "7" {
				t.Errorf("job %s has a result after %d events", d.CorrelationId, n)
			}
			ended++
		} else if d.MessageId == fmt.Sprintf("%s/output/%d", d.CorrelationId, next[d.CorrelationId]) {
			next[d.CorrelationId]++
		}
	}
	if want := jobs - jobs/10; ended != want {
		t.Errorf("%d results, want %d", ended, want)
	}
	if n := next["7"]; n != events/2 {
		t.Errorf("%d events of the job with one that is too large, want %d", n, events/2)
	}
	if n := r.log.Count("reply dropped"); n != 2*jobs/10 {
		t.Errorf("logged %d times that there is no queue", n)
	}
	if n := r.log.Count("the reply is larger than the broker takes"); n != 1 {
		t.Errorf("logged %d times that a piece is too large", n)
	}
}

// A broker that gives a connection too few channels is told of at the start.
func TestTooFewChannels(t *testing.T) {
	p := brokertest.New(t)
	q := p.Queue("classic")
	brokertest.Change(t, "application:set_env(rabbit, channel_max, 10)", "application:set_env(rabbit, channel_max, 2047)")
	s := New(Config{URL: brokertest.URL(t), Queue: q, Prefetch: 1})
	jobs := make(chan intake.Job)
	err := s.Run(context.Background(), jobs, nil)
	if !errors.Is(err, wire.ErrChannels) || !wire.Fatal(err) || !strings.Contains(err.Error(), "at most 10, and 16 are needed") {
		t.Errorf("Run: %v", err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
