package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

func TestMain(m *testing.M) { brokertest.Run(m, "amqpsrc/client.") }

// connect makes a Client. change may change its ClientConfig before.
func connect(t testing.TB, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{URL: brokertest.URL(t)}
	if change != nil {
		change(&cfg)
	}
	c, err := Connect(soon(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(soon(t)) })
	return c
}

// soon is a context for what must not take long.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), brokertest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func under(p *brokertest.Proxy) func(*Config) { return func(c *Config) { c.Dial = p.Dial } }

// A message arrives as it was sent, persistent, and comes back as it was received.
func TestClientMessage(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			c := connect(t, nil)
			m := Message{
				ID: "id", ReplyTo: "reply", CorrelationID: "correlation", Type: "type", ContentType: "application/json",
				ContentEncoding: "utf-8", AppID: "app", Priority: 3, Timestamp: time.Unix(1700000000, 0),
				Headers: map[string]any{"a": "b", "n": int64(7), "t": amqp.Table{"list": []any{"x", amqp.Table{"y": true}}}},
				Body:    []byte("{}"),
			}
			for again := range 2 {
				if err := c.Publish(soon(t), q, m); err != nil {
					t.Fatal(err)
				}
				if again == 0 && p.ExpectAny(q, 1)[0].DeliveryMode != amqp.Persistent {
					t.Error("the message is not persistent")
				}
			}
			if n, consumers, err := c.Ready(soon(t), q); n != 1 || consumers != 0 || err != nil {
				t.Errorf("%d messages are ready, with %d consumers (%v), want 1 with none", n, consumers, err)
			}
			in, err := c.Consume(soon(t), q, 1)
			if err != nil {
				t.Fatal(err)
			}
			r := next(t, in)
			if !reflect.DeepEqual(r.Message, m) || r.Queue != q || r.Redelivered {
				t.Errorf("received %+v\nwant %+v", r, m)
			}
			if err := r.Ack(); err != nil {
				t.Error(err)
			}
			if err := r.Ack(); !errors.Is(err, wire.ErrSettledTwice) {
				t.Errorf("second ack: %v", err)
			}
			if err := c.Close(soon(t)); err != nil {
				t.Error(err)
			}
			if _, open := <-in; open {
				t.Error("a message comes behind Close")
			}
			p.Expect(q)
			if _, err := c.Send(soon(t), q, m); !errors.Is(err, ErrGone) {
				t.Errorf("Send behind Close: %v", err)
			}
		})
	}
}

func next(t testing.TB, in <-chan Received) Received {
	t.Helper()
	select {
	case r, ok := <-in:
		if !ok {
			t.Fatal("the consumer has ended")
		}
		return r
	case <-time.After(brokertest.Patience):
		t.Fatal("no message comes")
	}
	panic("unreachable")
}

// Of many that are under way each one gets its own answer.
func TestClientManyUnderWay(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q, missing := p.Queue("classic"), p.Name()
	full := p.Name()
	p.DeclareWith(full, amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	c := connect(t, nil)
	if err := c.Publish(soon(t), full, Message{Body: []byte("0")}); err != nil {
		t.Fatal(err)
	}
	// The queue takes one more than its limit, by then it knows that it is full.
	brokertest.Eventually(t, "full", func() bool {
		err := c.Publish(soon(t), full, Message{})
		return errors.Is(err, ErrNotStored)
	})
	queues, want := []string{q, missing, full}, []error{nil, wire.ErrNoQueue, ErrNotStored}
	var confirmed []func(context.Context) error
	const rounds = underWayMax/3 + 50 // together more than may be under way
	for i := range rounds {
		for _, queue := range queues {
			f, err := c.Send(soon(t), queue, Message{Body: fmt.Append(nil, i/2)}) // two in a row are the same
			if err != nil {
				t.Fatal(err)
			}
			confirmed = append(confirmed, f)
		}
	}
	for i, f := range confirmed {
		if err := f(soon(t)); !errors.Is(err, want[i%3]) {
			t.Fatalf("message %d to %s: %v, want %v", i/3, queues[i%3], err, want[i%3])
		}
	}
	if n := p.Ready(q); n != rounds {
		t.Errorf("%d messages are stored, want %d", n, rounds)
	}
}

// What the broker would end the connection for is refused before it is sent.
func TestClientUnsendable(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	c := connect(t, nil)
	long := strings.Repeat("x", 256)
	for name, m := range map[string]Message{
		"message_id":       {ID: long},
		"reply_to":         {ReplyTo: long},
		"name of a header": {Headers: map[string]any{long: 1}},
		"type of a header": {Headers: map[string]any{"f": func() {}}},
		"large headers":    {Headers: map[string]any{"f": strings.Repeat("x", wire.FrameSize)}},
	} {
		if _, err := c.Send(soon(t), q, m); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	for _, queue := range []string{"", long} {
		if _, err := c.Send(soon(t), queue, Message{}); err == nil {
			t.Errorf("sent to queue %q", queue)
		}
	}
	if err := c.Publish(soon(t), q, Message{Body: []byte("1")}); err != nil {
		t.Error(err)
	}
	p.Expect(q, "1")
}

// A connection that is cut leaves no message without an answer, and no ack that counts.
func TestClientCut(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("quorum")
	p.Fill(q, 1, 2)
	c := connect(t, under(px))
	in, err := c.Consume(context.Background(), q, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := next(t, in)
	if c.Err() != nil {
		t.Error(c.Err())
	}
	if err := c.Publish(soon(t), q, Message{Body: []byte("stored")}); err != nil {
		t.Fatal(err)
	}
	px.Conn(0).Stall(1)
	var confirmed []func(context.Context) error
	for range 3 {
		f, err := c.Send(soon(t), q, Message{Body: []byte("lost")})
		if err != nil {
			t.Fatal(err)
		}
		confirmed = append(confirmed, f)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := confirmed[0](ended); err != context.Canceled {
		t.Errorf("confirmed with a context that has ended: %v", err)
	}
	px.Conn(0).Cut()
	for _, f := range confirmed {
		if err := f(soon(t)); !errors.Is(err, ErrUnknown) {
			t.Errorf("confirmed: %v", err)
		}
	}
	<-c.Done()
	if c.Err() == nil {
		t.Error("no reason")
	}
	select {
	case _, open := <-in:
		if open {
			t.Error("a message came")
		}
	case <-time.After(brokertest.Patience):
		t.Fatal("the consumer goes on")
	}
	if err := r.Ack(); !errors.Is(err, intake.ErrDeliveryLost) {
		t.Errorf("Ack: %v", err)
	}
	for what, err := range map[string]error{
		"Publish": c.Publish(soon(t), q, Message{}), "DeleteQueue": c.DeleteQueue(soon(t), q),
	} {
		if !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Consume(soon(t), q, 1); !errors.Is(err, ErrGone) {
		t.Errorf("Consume: %v", err)
	}
	if err := c.Close(soon(t)); err != nil {
		t.Error(err)
	}
}

// Where a consumer ends, its acks are safe, and what it did not ack is in the queue in its order.
func TestClientConsumeEnds(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const many = 200
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Fill(q, 1, many)
			c := connect(t, nil)
			ctx, cancel := context.WithCancel(context.Background())
			in, err := c.Consume(ctx, q, 0)
			if err != nil {
				t.Fatal(err)
			}
			var odd []string
			for i := range many {
				r := next(t, in)
				if i%2 == 0 {
					odd = append(odd, string(r.Body))
				} else if err := r.Ack(); err != nil {
					t.Fatal(err)
				}
			}
			cancel()
			for range in {
				t.Error("a message comes behind the end")
			}
			if c.Err() != nil {
				t.Error("the connection has ended too")
			}
			brokertest.Eventually(t, "all back", func() bool { return p.Ready(q) == many/2 })
			p.Expect(q, odd...)
		})
	}
}

// A queue that is deleted ends its consumer; the Client goes on.
func TestClientQueueDeleted(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q, log := p.Name(), brokertest.NewLogbook()
	c := connect(t, func(cfg *Config) { cfg.Log = slog.New(slog.NewTextHandler(log, nil)) })
	if _, err := c.Consume(soon(t), q, 1); !errors.Is(err, wire.ErrNoQueue) {
		t.Errorf("Consume: %v", err)
	}
	if _, _, err := c.Ready(soon(t), q); !errors.Is(err, wire.ErrNoQueue) {
		t.Errorf("Ready: %v", err)
	}
	for range 2 { // declared twice it is the same
		if err := c.DeclareReplies(soon(t), q, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.Channel().QueueDeclare(q, true, false, false, false, amqp.Table{"x-expires": 60000, "x-queue-type": "classic"})
	if err != nil {
		t.Errorf("the queue is not what was asked for: %v", err)
	}
	in, err := c.Consume(soon(t), q, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // one that is not there is no error
		if err := c.DeleteQueue(soon(t), q); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-in:
	case <-time.After(brokertest.Patience):
		t.Fatal("the consumer goes on")
	}
	log.Wait(t, "cancelled the consumer")
	if c.Err() != nil {
		t.Error(c.Err())
	}
	if err := c.Publish(soon(t), q, Message{}); !errors.Is(err, wire.ErrNoQueue) {
		t.Errorf("Publish: %v", err)
	}
}

// While the broker blocks nothing is sent, and a wait for it can be ended without harm.
func TestClientBlocked(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q, log := p.Queue("classic"), brokertest.NewLogbook()
	c := connect(t, func(cfg *Config) { under(px)(cfg); cfg.Log = slog.New(slog.NewTextHandler(log, nil)) })
	px.Conn(0).Inject(0, 10, 60, "\x0alow memory")
	log.Wait(t, "takes no messages for now")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- c.Publish(ctx, q, Message{Body: []byte("given up")}) }()
	go func() { done <- c.DeleteQueue(ctx, q) }()
	cancel()
	for range 2 {
		if err := <-done; err != context.Canceled {
			t.Errorf("ended: %v", err)
		}
	}
	go func() { done <- c.Publish(soon(t), q, Message{Body: []byte("1")}) }()
	px.Conn(0).Inject(0, 10, 61, "")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	log.Wait(t, "takes messages again")
	p.Expect(q, "1")

	// Close does not wait for an answer that does not come.
	px.Conn(0).Inject(0, 10, 60, "\x0alow memory")
	brokertest.Eventually(t, "blocked", func() bool { open, _ := c.link.Unblocked.State(); return !open })
	began := time.Now()
	if err := c.Close(soon(t)); err != nil || time.Since(began) > wire.CloseTimeout {
		t.Errorf("Close of a blocked connection: %v after %v", err, time.Since(began))
	}
}

// A broker that freezes holds up nobody whose context ends.
func TestClientFrozen(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	c := connect(t, under(px))
	px.Conn(0).Stall(1)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := c.DeleteQueue(ctx, q); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("DeleteQueue: %v", err)
	}
	<-c.Done()

	c = connect(t, under(px))
	px.Conn(1).Stall(1)
	ctx, cancel = context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
}

// A message for which the broker closes the channel is told apart where it is alone, and the next one
// goes by another channel.
func TestClientForbidden(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	user := brokertest.NewUser(t)
	as := func(cfg *Config) { cfg.URL = user.URL(brokertest.Password) }
	if _, err := Connect(soon(t), Config{URL: user.URL("wrong")}); !errors.Is(err, wire.ErrLogin) || strings.Contains(err.Error(), "wrong@") {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := Connect(soon(t), Config{URL: user.URL(brokertest.Password)}); !errors.Is(err, wire.ErrVhost) {
		t.Errorf("no permission: %v", err)
	}
	user.Permit("^$", "^$", "^$")
	c := connect(t, as)
	if err := c.Publish(soon(t), q, Message{}); !errors.Is(err, wire.ErrForbidden) || errors.Is(err, ErrUnknown) {
		t.Errorf("Publish: %v", err)
	}
	if _, err := c.Consume(soon(t), q, 1); !errors.Is(err, wire.ErrForbidden) {
		t.Errorf("Consume: %v", err)
	}
	if err := c.DeclareReplies(soon(t), "replies", time.Minute); !errors.Is(err, wire.ErrForbidden) {
		t.Errorf("DeclareReplies: %v", err)
	}
	// Of several that are under way nobody knows which one it was.
	var confirmed []func(context.Context) error
	for range 2 {
		f, err := c.Send(soon(t), q, Message{})
		if err != nil {
			t.Fatal(err)
		}
		confirmed = append(confirmed, f)
	}
	for _, f := range confirmed {
		if err := f(soon(t)); !errors.Is(err, wire.ErrForbidden) || !errors.Is(err, ErrUnknown) {
			t.Logf("of two: %v", err) // where the first failed before the second was sent
		}
	}
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

func BenchmarkClientSend(b *testing.B) {
	p := brokertest.New(b)
	q := p.Queue("classic")
	c := connect(b, nil)
	body := []byte(`{"Dockercmd": "run", "Image": "busybox:latest", "Cmd": ["echo", "hello"], "Options": {"Remove": true}}`)
	window := make(chan func(context.Context) error, underWayMax)
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for f := range window {
			if err := f(context.Background()); err != nil {
				failed <- err
				return
			}
		}
	}()
	for b.Loop() {
		f, err := c.Send(context.Background(), q, Message{Body: body})
		if err != nil {
			b.Fatal(err)
		}
		window <- f
	}
	close(window)
	if err := <-failed; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// TestClientLargestHeaders: the largest headers that Send takes are ones that the broker takes.
func TestClientLargestHeaders(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	c := connect(t, nil)
	m := Message{ID: "id", ReplyTo: "reply", CorrelationID: "c", Type: "t", ContentType: "text/plain", ContentEncoding: "utf-8", AppID: "a",
		Priority: 1, Timestamp: time.Unix(1700000000, 0), Body: []byte("1")}
	largest := 0
	for n := wire.FrameSize; n > 0; n-- {
		m.Headers = map[string]any{"h": strings.Repeat("x", n)}
		if _, err := m.publishing(q, c.link.Config.FrameSize); err == nil {
			largest = n
			break
		}
	}
	if largest < wire.FrameSize-200 {
		t.Errorf("a header of %d bytes is the largest", largest)
	}
	if err := c.Publish(soon(t), q, m); err != nil {
		t.Error(err)
	}
	p.Expect(q, "1")
}

// TestClientTake: no ack brings a message beyond those that were to be taken, and what is not acked stays in order.
func TestClientTake(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Fill(q, 1, 5)
			c := connect(t, nil)
			in, _, giveBack, err := c.Take(soon(t), q, 3)
			if err != nil {
				t.Fatal(err)
			}
			brokertest.Eventually(t, "one consumer", func() bool { // a quorum queue counts it a moment later
				_, consumers, err := c.Ready(soon(t), q)
				return consumers == 1 && err == nil
			})
			var taken []Received
			for r := range in {
				taken = append(taken, r)
			}
			if len(taken) != 3 {
				t.Fatalf("%d were taken", len(taken))
			}
			if err := taken[1].Ack(); err != nil {
				t.Error(err)
			}
			if n, _, err := c.Ready(soon(t), q); n != 2 || err != nil {
				t.Errorf("%d messages are ready (%v), want 2", n, err)
			}
			giveBack()
			brokertest.Eventually(t, "back", func() bool { return p.Ready(q) == 4 })
			if kind != "quorum" { // before RabbitMQ 4 it puts them behind the rest
				p.Expect(q, "1", "3", "4", "5")
			}
		})
	}
}

// A quorum queue that takes its time loses no ack of letters that were acked together, though their channel is closed.
func TestAckAllInTime(t *testing.T) {
	t.Parallel()
	const many = 300
	p := brokertest.New(t)
	q := p.Queue("quorum")
	p.Fill(q, 1, many)
	c := connect(t, nil)
	in, _, giveBack, err := c.Take(soon(t), q, many)
	if err != nil {
		t.Fatal(err)
	}
	var taken []Received
	for r := range in {
		taken = append(taken, r)
	}
	if err := AckAll(taken[1:2]); err != nil { // and the consumer is cancelled
		t.Fatal(err)
	}
	const process = `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"%s">>)), sys:%s(amqqueue:get_pid(Q))`
	brokertest.Eval(t, process, q, "suspend")
	resume := sync.OnceFunc(func() { brokertest.Eval(t, process, q, "resume") })
	defer resume()
	if err := AckAll(append(taken[2:many-2:many-2], taken[0])); err != nil { // all but the last two
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		giveBack()
	}()
	select {
	case <-over:
	case <-time.After(4 * wire.Settling): // the broker waits for the queue
	}
	resume()
	<-over
	for i, r := range taken {
		if held := i >= many-2; r.Settled() == held {
			t.Errorf("letter %d: settled %v", i+1, r.Settled())
		}
	}
	brokertest.Eventually(t, "back", func() bool { return p.Ready(q) == 2 })
	p.ExpectAny(q, 2)
}

// AckAll acks what it is given, in whatever order, and nothing between.
func TestAckAllLeavesOthers(t *testing.T) {
	t.Parallel()
	const many = 100
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Fill(q, 1, many)
	c := connect(t, nil)
	in, _, giveBack, err := c.Take(soon(t), q, many-1) // of the last one nothing is known
	if err != nil {
		t.Fatal(err)
	}
	var taken []Received
	for r := range in {
		taken = append(taken, r)
	}
	held := []int{2, 50, many - 2}
	var first, second []Received
	for i, r := range taken {
		switch {
		case slices.Contains(held, i):
		case i%3 == 0:
			first = append(first, r)
		default:
			second = append(second, r)
		}
	}
	slices.Reverse(first)
	if err := errors.Join(AckAll(first), AckAll(second), AckAll(nil)); err != nil {
		t.Fatal(err)
	}
	if err := AckAll(first[:1]); !errors.Is(err, wire.ErrSettledTwice) {
		t.Errorf("acked again: %v", err)
	}
	for i, r := range taken {
		if r.Settled() == slices.Contains(held, i) {
			t.Errorf("message %d: settled %v", i+1, r.Settled())
		}
	}
	giveBack()
	if err := taken[2].Ack(); !errors.Is(err, intake.ErrDeliveryLost) {
		t.Errorf("acked after giveBack: %v", err)
	}
	brokertest.Eventually(t, "back", func() bool { return p.Ready(q) == len(held)+1 })
	p.Expect(q, "3", "51", "99", "100")
}
