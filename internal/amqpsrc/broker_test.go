package amqpsrc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/publish"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

func numbers(first, last int) (list []string) {
	for i := first; i <= last; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

var kinds = []string{"classic", "quorum"}

// A connection that is cut costs the session: the old deliveries can be settled neither on it nor on
// the next one, where the same tags stand for other messages.
func TestCutMidJob(t *testing.T) {
	t.Parallel()
	cuts := map[string]func(*brokertest.Proxied){
		"at once":   (*brokertest.Proxied).Cut,
		"mid-frame": func(c *brokertest.Proxied) { c.CutAfter(5, brokertest.ToClient) },
	}
	for _, kind := range kinds {
		for name, cut := range cuts {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				p, px := brokertest.New(t), brokertest.NewProxy(t)
				q := p.Queue(kind)
				p.Fill(q, 1, 4)
				r := start(t, q, func(c *Config) { through(px)(c); c.Prefetch = 4 })
				old := r.take("1", "2", "3", "4")
				settle(t, old[0], intake.Ack)
				if err := old[0].Fence(context.Background()); err != nil {
					t.Fatal(err)
				}
				cut(px.Conn(0))
				p.Fill(q, 5, 5) // what a cut in the middle of a frame needs: a frame
				again := map[string]intake.Job{}
				for range 4 {
					j := r.next()
					again[string(j.Body)] = j
				}
				if old[0].Released() {
					t.Error("the broker is said to have released what a connection that was cut held")
				}
				for i, j := range old[1:] {
					lost(t, j, []intake.Verdict{intake.Ack, intake.Requeue, intake.DeadLetter}[i])
					if j := again[string(j.Body)]; !j.Redelivered {
						t.Errorf("job %q is not marked as redelivered", j.Body)
					}
				}
				settle(t, again["3"], intake.Ack)
				if err := r.end(); err != nil {
					t.Fatal(err)
				}
				r.close()
				got := map[string]bool{}
				for _, d := range p.ExpectAny(q, 3) {
					got[string(d.Body)] = true
				}
				if !got["2"] || !got["4"] || !got["5"] {
					t.Errorf("left in the queue are %v, want 2, 4 and 5", got)
				}
				if n := r.log.Count("broker unreachable, waiting"); n != 1 {
					t.Errorf("the loss is logged %d times\n%s", n, r.log)
				}
				if n := r.log.Count("broker is back"); n != 1 {
					t.Errorf("the return is logged %d times\n%s", n, r.log)
				}
			})
		}
	}
}

// A gate that closes ends the consumer, hands over what had come, so that it can be given back in order,
// and leaves running jobs their session.
func TestPause(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Fill(q, 1, 10)
			r := start(t, q, nil)
			running := r.take("1", "2")
			// All ten are prefetched: none is ready.
			brokertest.Eventually(t, "all prefetched", func() bool { return p.Ready(q) == 0 })

			r.gate.Set(false)
			for _, j := range r.take(numbers(3, 10)...) {
				settle(t, j, intake.Requeue)
			}
			brokertest.Eventually(t, "eight given back", func() bool { return p.Ready(q) == 8 })
			settle(t, running[0], intake.Ack)
			if err := running[0].Fence(context.Background()); err != nil {
				t.Fatalf("fence while paused: %v", err)
			}
			select {
			case j := <-r.jobs:
				t.Fatalf("job %q was handed over while the gate was closed", j.Body)
			default:
			}

			r.gate.Set(true)
			jobs := r.take(numbers(3, 10)...)
			settle(t, running[1], intake.Ack)
			for _, j := range jobs {
				settle(t, j, intake.Ack)
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			r.close()
			p.Expect(q)
			if strings.Contains(r.log.String(), "level=WARN") {
				t.Errorf("a pause is no trouble, but was logged as such:\n%s", r.log)
			}
		})
	}
}

// A gate that is closed at start lets nothing out of the queue, and many changes do no harm.
func TestGateFlaps(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 50)
	r := start(t, q, func(c *Config) { c.Gate.Set(false) })
	var flapping sync.WaitGroup
	stop := make(chan struct{})
	flapping.Go(func() {
		for open := true; ; open = !open {
			r.gate.Set(open)
			select {
			case <-stop:
				r.gate.Set(true)
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	for i := 1; i <= 50; i++ {
		j := r.next()
		if string(j.Body) != fmt.Sprint(i) {
			t.Errorf("got job %q, want %d", j.Body, i)
		}
		settle(t, j, intake.Ack)
	}
	close(stop)
	flapping.Wait()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
}

// The end of the intake hands over what had come, to be given back; what runs can be settled until Close, and Close
// loses no ack, not even in a quorum queue, which drops those it holds back when a channel closes.
func TestStop(t *testing.T) {
	t.Parallel()
	// A Close without the pause loses acks two times out of three: three times makes it sure enough.
	for i, kind := range []string{"classic", "quorum", "quorum", "quorum"} {
		t.Run(fmt.Sprint(kind, i), func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			const n = 500
			p.Fill(q, 1, n+20)
			// Old quorum queues put what is given back behind the rest; here there is no rest.
			r := start(t, q, func(c *Config) { c.Prefetch = n + 20 })
			var jobs []intake.Job
			for range n {
				jobs = append(jobs, r.next())
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			brokertest.Eventually(t, "the rest given back", func() bool { return p.Ready(q) == 20 })
			for _, j := range jobs {
				settle(t, j, intake.Ack)
			}
			r.close()
			p.Expect(q, numbers(n+1, n+20)...)
			if !jobs[0].Lost() {
				t.Error("a delivery outlives its session")
			}
		})
	}
}

// After a fence the ack is safe even from a connection that is cut.
func TestFence(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("quorum")
	const n = 100
	p.Fill(q, 1, n)
	r := start(t, q, func(c *Config) { through(px)(c); c.Prefetch = n })
	var jobs []intake.Job
	for range n {
		jobs = append(jobs, r.next())
	}
	began := time.Now()
	var fences sync.WaitGroup
	for _, j := range jobs[:n-1] {
		settle(t, j, intake.Ack)
		fences.Go(func() {
			if err := j.Fence(context.Background()); err != nil {
				t.Errorf("fence: %v", err)
			}
		})
	}
	fences.Wait()
	if d := time.Since(began); d < wire.Settling {
		t.Errorf("fences took %v, less than the %v that a quorum queue may hold acks back", d, wire.Settling)
	}
	px.Conn(0).Cut()
	if j := r.next(); string(j.Body) != fmt.Sprint(n) {
		t.Errorf("message %q came again although its ack was fenced", j.Body)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := jobs[0].Fence(ctx); !errors.Is(err, intake.ErrDeliveryLost) && !errors.Is(err, context.Canceled) {
		t.Errorf("fence: %v", err)
	}
}

func TestDeadLetter(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			stamp := time.Unix(1700000000, 0)
			p.Send(q, amqp.Publishing{
				Body:          []byte(`{"bad":1}`),
				ContentType:   "application/json",
				CorrelationId: "corr",
				MessageId:     "id-1",
				ReplyTo:       "answers",
				Type:          "kind",
				AppId:         "app",
				UserId:        mustUser(t),
				Priority:      3,
				Expiration:    "600000",
				Timestamp:     stamp,
				Headers: amqp.Table{"mine": "yes", "nested": amqp.Table{"a": []any{int64(1), nil, []byte("x")}},
					"x-dispatch-user-id": "forged", "x-death": []any{}, "CC": []any{}, "nil": nil},
			})
			r := start(t, q, nil)
			j := r.next()
			if j.MessageID != "id-1" || j.Queue != q {
				t.Errorf("job is %q of %q", j.MessageID, j.Queue)
			}
			if err := deadLetterJob(context.Background(), j, event.Result{Reason: "invalid-message", Error: "no such key"}); err != nil {
				t.Fatal(err)
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			r.close()
			p.Expect(q)
			d := p.Expect(q+".dead", `{"bad":1}`)[0]
			got := fmt.Sprint(d.ContentType, d.CorrelationId, d.MessageId, d.ReplyTo, d.Type, d.AppId, d.UserId, d.Priority, d.Expiration, d.Timestamp.Unix(), d.DeliveryMode)
			want := fmt.Sprint("application/json", "corr", "id-1", "answers", "kind", "app", "", 3, "", stamp.Unix(), 2)
			if got != want {
				t.Errorf("properties are\n%s, want\n%s", got, want)
			}
			if _, err := time.Parse(time.RFC3339, fmt.Sprint(d.Headers[wire.HeaderTime])); err != nil || !strings.HasSuffix(fmt.Sprint(d.Headers[wire.HeaderTime]), "Z") {
				t.Errorf("time is %v", d.Headers[wire.HeaderTime])
			}
			delete(d.Headers, wire.HeaderTime)
			if publish.CopyOf(d, q) == "" {
				t.Error("the copy cannot be told from the message")
			}
			delete(d.Headers, wire.HeaderCopy)
			if sealed := wire.Text(d.Headers[wire.HeaderSeal]); len(sealed) != 64 {
				t.Errorf("the user's seal is %q", sealed)
			}
			delete(d.Headers, wire.HeaderSeal)
			want = fmt.Sprint(amqp.Table{"mine": "yes", "nested": amqp.Table{"a": []any{int64(1), nil, []byte("x")}}, "nil": nil,
				wire.HeaderReason: "invalid-message", wire.HeaderError: "no such key", wire.HeaderHost: "testhost", wire.HeaderQueue: q, wire.HeaderUser: mustUser(t)})
			if got := fmt.Sprint(d.Headers); got != want {
				t.Errorf("headers are\n%s, want\n%s", got, want)
			}
		})
	}
}

func mustUser(t testing.TB) string {
	a, err := wire.ParseURL(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	return a.User
}

// Messages whose header tables the AMQP library refuses to read would end every connection that they
// are delivered on. They arrive without headers, and the queue goes on.
func TestUnreadableHeaders(t *testing.T) {
	t.Parallel()
	var deep any = "x"
	for range 40 {
		deep = amqp.Table{"a": deep}
	}
	wide := amqp.Table{}
	for i := range 8200 {
		wide[fmt.Sprint("k", i)] = true
	}
	p := brokertest.New(t)
	q := p.Queue("classic")
	for i, h := range []amqp.Table{{"deep": deep}, wide, {"long": make([]any, 9000)}, {"large": strings.Repeat("x", 130900)}} {
		p.Send(q, amqp.Publishing{Headers: h, Body: fmt.Append(nil, i), MessageId: "m", ContentType: "text/x", ContentEncoding: "none", AppId: "app"})
	}
	r := start(t, q, nil)
	for _, j := range r.take("0", "1", "2", "3") {
		if j.MessageID != "m" {
			t.Errorf("job %q has the message_id %q", j.Body, j.MessageID)
		}
		settle(t, j, intake.DeadLetter)
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
	for i, d := range p.Expect(q+".dead", "0", "1", "2", "3") {
		want := "*"
		if i == 3 {
			want = "large" // readable, but with our headers beside it too large for a frame
		}
		if d.Headers[wire.HeaderDropped] != want || d.AppId != "app" || d.ContentEncoding != "none" {
			t.Errorf("dead letter %d: app_id %q, encoding %q, dropped headers %v", i, d.AppId, d.ContentEncoding, d.Headers[wire.HeaderDropped])
		}
	}
	if r.log.Count("broker unreachable") != 0 {
		t.Errorf("a connection was lost:\n%s", r.log)
	}
}

// A dead-letter queue that was deleted is made again; until then the message stays where it was.
func TestDeadLetterQueueDeleted(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	r := start(t, q, nil)
	j := r.next()
	p.Delete(q + ".dead")
	settle(t, j, intake.DeadLetter)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
	p.Expect(q+".dead", "1")
}

// A full dead-letter queue refuses messages. Nothing is lost, and nothing runs hot.
func TestDeadLetterQueueFull(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.DeclareWith(q+".dead", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	p.Fill(q+".dead", 0, 0)
	p.Fill(q, 1, 1)
	r := start(t, q, nil)
	j := r.next()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- deadLetterJob(ctx, j, event.Result{}) }()
	r.log.Wait(t, "dead letter not stored")
	r.log.Wait(t, "with a length limit or a TTL it loses dead letters")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("settle: %v", err)
	}
	go func() { done <- deadLetterJob(context.Background(), j, event.Result{}) }()
	if d, ok, err := p.Channel().Get(q+".dead", true); err != nil || !ok || string(d.Body) != "0" { // makes room
		t.Fatalf("got %q, %v, %v", d.Body, ok, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
	p.Expect(q+".dead", "1")
}

// Without a dead-letter queue of ours the message goes to the queue's own dead-letter exchange.
func TestReject(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Name()
	p.Declare(q+".dead", "classic")
	p.DeclareWith(q, amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": q + ".dead"})
	p.Fill(q, 1, 2)
	r := start(t, q, func(c *Config) { c.DeadLetter = "" })
	jobs := r.take("1", "2")
	settle(t, jobs[0], intake.DeadLetter)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q, "2")
	p.Expect(q+".dead", "1")
	if n := r.log.Count("no dead-letter queue"); n != 1 {
		t.Errorf("the warning came %d times", n)
	}
}

// The publisher's connection comes back by itself, and costs no delivery.
func TestPublisherCut(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 3)
	r := start(t, q, through(px))
	jobs := r.take("1", "2", "3")
	px.Conn(1).Cut()
	settle(t, jobs[0], intake.DeadLetter)

	// And cut with a message under way: it is sent again.
	c := px.Conn(2)
	c.Stall(1)
	done := make(chan error, 1)
	go func() { done <- deadLetterJob(context.Background(), jobs[1], event.Result{}) }()
	select {
	case err := <-done:
		t.Fatalf("settled without a confirm: %v", err)
	case <-time.After(50 * time.Millisecond): // not for any state: to let the message get under way
	}
	c.Cut()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	settle(t, jobs[2], intake.Ack)
	if jobs[2].Lost() {
		t.Error("the publisher's connection took the session with it")
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
	p.Expect(q+".dead", "1", "2")
}

// While the broker blocks publishing, dead letters wait, acks do not, and Close is not held up.
func TestBlocked(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 4)
	r := start(t, q, through(px))
	jobs := r.take("1", "2", "3", "4")
	px.Conn(1).Inject(0, 10, 60, "\x0alow memory")
	r.log.Wait(t, "takes no messages for now")
	done := make(chan error, 1)
	go func() { done <- deadLetterJob(context.Background(), jobs[0], event.Result{}) }()
	settle(t, jobs[1], intake.Ack)
	if err := jobs[1].Fence(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := p.Ready(q + ".dead"); n != 0 {
		t.Errorf("%d messages were published on a blocked connection", n)
	}
	px.Conn(1).Inject(0, 10, 61, "")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.log.Wait(t, "takes messages again")

	// The blocked connection is lost: what waits goes to the next one.
	px.Conn(1).Inject(0, 10, 60, "\x0alow memory")
	brokertest.Eventually(t, "blocked", func() bool {
		err := r.source.publisher.Fault()
		return err != nil && strings.Contains(err.Error(), "short of memory")
	})
	go func() { done <- deadLetterJob(context.Background(), jobs[2], event.Result{}) }()
	px.Conn(1).Cut()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	// A dead letter is under way when the broker blocks, and then nobody wants it any more: its channel
	// cannot be closed, for the broker does not answer.
	px.Conn(2).Stall(1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- deadLetterJob(ctx, jobs[3], event.Result{}) }()
	brokertest.Eventually(t, "a message under way", func() bool { return r.source.publisher.Counts().Unconfirmed > 0 })
	px.Conn(2).Inject(0, 10, 60, "\x0alow memory")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("settle: %v", err)
	}
	settle(t, jobs[3], intake.Ack)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.close()
	if d := time.Since(began); d > wire.CloseTimeout {
		t.Errorf("Close took %v", d)
	}
	px.Cut()
	p.Expect(q)
}

// A broker that freezes in the middle of a large message holds the library's writer, which holds the
// lock that the library's own shutdown waits for. Only closing the socket gets out of that.
func TestFrozenWrite(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Send(q, amqp.Publishing{Body: make([]byte, 12<<20)})
	r := start(t, q, func(c *Config) { through(px)(c); c.URL = withQuery(t, "heartbeat=4") }) // one that a busy machine keeps
	j := r.next()
	px.Conn(1).Stall(1)
	began := time.Now()
	settle(t, j, intake.DeadLetter)
	if d := time.Since(began); d > wire.RPCTimeout {
		t.Errorf("the frozen connection was given up after %v", d)
	}
	px.Conn(1).Cut()
}

// A consumer that the broker cancels costs the session: its channel stays open, but acks on it have no
// effect, and a second consumer there may be one that gets nothing. RabbitMQ 4.3 does this when a
// delivery was not acked in time.
func TestServerCancel(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("quorum")
	p.Fill(q, 1, 1)
	r := start(t, q, through(px))
	j := r.next()
	px.Conn(0).Inject(5, 60, 30, "\x11docker-dispatch-1\x01") // the tag; no answer is wanted
	brokertest.Eventually(t, "session over", j.Lost)
	lost(t, j, intake.Ack)
	brokertest.Eventually(t, "the broker has released it", j.Released)
	settle(t, r.take("1")[0], intake.Ack)
	if n := px.Count(); n != 3 {
		t.Errorf("%d connections were made, want 3", n)
	}
	if r.log.Count("cancelled the consumer") != 1 {
		t.Errorf("logged:\n%s", r.log)
	}
}

// A connection that the broker closes, as it does when it is stopped, holds no message any more.
func TestBrokerCloses(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	r := start(t, q, through(px))
	j := r.next()
	px.Conn(0).Inject(0, 10, 50, "\x01\x40\x08shutdown\x00\x00\x00\x00") // 320; about no method
	brokertest.Eventually(t, "session over", j.Lost)
	if !j.Released() {
		t.Error("the broker is not known to have released the message")
	}
	settle(t, r.take("1")[0], intake.Ack)
}

// Nor does one whose broker has gone, so that nobody listens at its address.
func TestBrokerKilled(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	var gone atomic.Bool
	r := start(t, q, func(c *Config) {
		through(px)(c)
		dial := c.Dial
		c.Dial = func(network, address string) (net.Conn, error) {
			if gone.Load() {
				return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			}
			if dial == nil {
				return net.Dial(network, address)
			}
			return dial(network, address)
		}
	})
	j := r.next()
	gone.Store(true)
	px.Conn(0).Cut()
	brokertest.Eventually(t, "the broker has released it", j.Released)
	gone.Store(false)
	settle(t, r.take("1")[0], intake.Ack)
}

// A dead letter waits for the publisher, also beyond the end of its session.
func TestDeadLetterWaits(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	r := start(t, q, through(px))
	j := r.next()
	px.Conn(1).Stall(1)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := deadLetterJob(ctx, j, event.Result{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("settle: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- j.Store(context.Background(), event.Result{}) }()
	px.Conn(0).Cut()
	again := r.next() // the session is over, but not what was decided
	px.Conn(1).Cut()
	switch err := <-done; {
	case errors.Is(err, intake.ErrDeliveryLost): // it had not been sent when the session ended
		settle(t, again, intake.DeadLetter)
	case err != nil:
		t.Fatalf("store: %v", err)
	default:
		settle(t, again, intake.Ack)
	}
	lost(t, j, intake.Ack)
	p.Expect(q+".dead", "1")
}

// A broker that stops answering is noticed by its missing heartbeats.
func TestFrozen(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	r := start(t, q, func(c *Config) { through(px)(c); c.URL = withQuery(t, "heartbeat=1") })
	j := r.next()
	px.Conn(0).Stall(1)
	brokertest.Eventually(t, "session over", j.Lost)
	lost(t, j, intake.Ack)
	px.Conn(0).Cut() // lets the broker know
	settle(t, r.next(), intake.Ack)
}

// A broker that freezes during the dial is given up after the connection_timeout.
func TestFrozenDial(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	r := start(t, q, func(c *Config) {
		through(px)(c)
		c.URL = withQuery(t, "connection_timeout=3000")
		dial := c.Dial
		first := true
		c.Dial = func(network, addr string) (conn net.Conn, err error) {
			conn, err = dial(network, addr)
			if first {
				first = false
				px.Conn(0).Stall(1)
			}
			return conn, err
		}
	})
	r.log.Wait(t, "does not answer within 3s")
	p.Fill(q, 1, 1)
	settle(t, r.next(), intake.Ack)
	r.log.Wait(t, "broker is back")
}

func withQuery(t testing.TB, query string) string {
	u, err := url.Parse(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = query
	return u.String()
}

// Close is bounded by its context, whatever the broker does.
func TestCloseFrozen(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	r := start(t, q, through(px))
	r.next()
	px.Conn(0).Stall(1)
	px.Conn(1).Stall(1)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := r.source.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("Close took %v", d)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	px.Cut()
}

// A queue that is deleted is waited for.
func TestQueueDeleted(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			answers := q + "-answers"
			p.Declare(answers, "classic")
			t.Cleanup(func() { p.Delete(answers) })
			p.Send(q, amqp.Publishing{Body: []byte("1"), ReplyTo: answers, DeliveryMode: amqp.Persistent})
			r := start(t, q, nil)
			j := r.next()
			p.Delete(q)
			brokertest.Eventually(t, "session over", j.Lost)
			lost(t, j, intake.Ack)
			r.log.Wait(t, "no such queue")
			since, missing := j.Awaited()
			if since.IsZero() || !missing {
				t.Error("a message of a queue that is missing is waited for")
			}
			if err := j.Reply(t.Context(), event.Result{}); !errors.Is(err, intake.ErrDeliveryLost) {
				t.Errorf("reply for a message that may come again: %v", err)
			}
			j.Abandon()
			if err := errors.Join(j.Reply(t.Context(), event.Result{}), j.Store(t.Context(), event.Result{})); err != nil {
				t.Errorf("reply and dead letter for a message that is gone: %v", err)
			}
			lost(t, j, intake.Ack)
			if at, missing := j.Awaited(); !missing || at != since {
				t.Errorf("missing since %v, and then since %v", since, at)
			}
			p.Declare(q, kind)
			p.Fill(q, 2, 2)
			settle(t, r.take("2")[0], intake.Ack)
			if n := r.log.Count("no such queue"); n != 1 {
				t.Errorf("the missing queue is logged %d times\n%s", n, r.log)
			}
			r.log.Wait(t, "is back")
			if at, missing := j.Awaited(); missing || !at.After(since) {
				t.Errorf("missing since %v, consumed since %v", since, at)
			}
			r.gate.Set(false)
			brokertest.Eventually(t, "nothing is consumed", func() bool { at, _ := j.Awaited(); return at.IsZero() })
		})
	}
}

// A broker that is away at start is waited for, and logged once.
func TestDownAtStart(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	px.SetRefuse(true)
	tried := make(chan struct{}, 100)
	r := start(t, q, func(c *Config) {
		through(px)(c)
		dial := c.Dial
		c.Dial = func(network, addr string) (net.Conn, error) {
			tried <- struct{}{}
			return dial(network, addr)
		}
	})
	for range 3 {
		<-tried
	}
	px.SetRefuse(false)
	settle(t, r.next(), intake.Ack)
	r.log.Wait(t, "broker is back")
	if n := r.log.Count("broker unreachable, waiting"); n != 1 {
		t.Errorf("logged %d times\n%s", n, r.log)
	}
}

// runs calls Run and demands that it fails by itself with this error, after which Close must do.
func runs(t *testing.T, queue string, want error, words string, change func(*Config)) {
	t.Helper()
	r := start(t, queue, change)
	err := r.failed()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
		t.Errorf("Run: %v, want %v with %q in it", err, want, words)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the error holds the password: %v", err)
	}
	if r.log.Count("secret") != 0 {
		t.Errorf("the log holds the password:\n%s", r.log)
	}
	r.close()
}

func TestFatal(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	u, err := url.Parse(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		u := *u
		u.User = url.UserPassword("nobody", "secret")
		runs(t, "any", wire.ErrLogin, `"nobody"`, func(c *Config) { c.URL = u.String() })
	})
	t.Run("vhost", func(t *testing.T) {
		t.Parallel()
		u := *u
		u.Path = "/nowhere"
		runs(t, "any", wire.ErrVhost, `"nowhere"`, func(c *Config) { c.URL = u.String() })
	})
	t.Run("queue", func(t *testing.T) {
		t.Parallel()
		runs(t, "test-amqpsrc-no-such", wire.ErrNoQueue, `"test-amqpsrc-no-such"`, nil)
		// Nor was a dead-letter queue left behind for a queue that was mistyped.
		ch, err := p.Conn().Channel()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ch.QueueDeclarePassive("test-amqpsrc-no-such.dead", true, false, false, false, nil); err == nil {
			t.Error("the dead-letter queue of a missing queue was made")
			p.Delete("test-amqpsrc-no-such.dead")
		}
	})
	t.Run("config", func(t *testing.T) {
		t.Parallel()
		for _, change := range []func(*Config){
			func(c *Config) { c.Prefetch = 0 },
			func(c *Config) { c.Prefetch = 65536 },
			func(c *Config) { c.Queue = "" },
			func(c *Config) { c.DeadLetter = c.Queue },
			func(c *Config) { c.Declare = "stream" },
			func(c *Config) { c.URL = "amqp://u:secret%zz@h" },
		} {
			r := start(t, "any", change)
			if err := r.failed(); err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("Run: %v", err)
			}
		}
	})
}

// What a user may not do is said at start, with the permission that is missing.
func TestForbidden(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Declare(q+".dead", "classic")
	rest := p.Name()
	p.Declare(rest+".dead", "classic")
	p.Declare(rest, "classic")
	user := brokertest.NewUser(t)
	as := func(c *Config) { c.URL = user.URL(brokertest.Password) }

	runs(t, q, wire.ErrVhost, user.Name, as) // no permission at all
	user.Permit("^$", "^amq[.]default$", "^$")
	runs(t, q, wire.ErrForbidden, "read permission on queue", as)
	user.Permit("^$", "^$", "^"+q+"$")
	runs(t, q, wire.ErrForbidden, "write permission", as)
	user.Permit("^$", "^amq[.]default$", "^"+q+"$")
	runs(t, q, wire.ErrNoDeadLetter, "no-dead", func(c *Config) { as(c); c.DeadLetter = "no-dead" })
	runs(t, "no-queue", wire.ErrForbidden, "configure permission", func(c *Config) { as(c); c.Declare = "classic" })

	// And that is all that it takes, where the queues are there.
	p.Fill(q, 1, 2)
	r := start(t, q, func(c *Config) { as(c); c.Declare = "quorum" })
	jobs := r.take("1", "2")
	settle(t, jobs[0], intake.DeadLetter)
	settle(t, jobs[1], intake.Ack)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
	p.Expect(q+".dead", "1")
}

// Declare makes the queue where it is missing, and takes one of another kind as it is.
func TestDeclare(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Name()
			r := start(t, q, func(c *Config) { c.Declare = kind })
			r.log.Wait(t, "taking messages")
			for _, name := range []string{q, q + ".dead"} { // fails where it is not the same
				args := amqp.Table{"x-queue-type": kind}
				if v, _ := p.Conn().Properties["version"].(string); kind == "quorum" && !strings.HasPrefix(v, "3.") {
					args["x-delivery-limit"] = int32(-1)
				}
				if _, err := p.Channel().QueueDeclare(name, true, false, false, false, args); err != nil {
					t.Fatal(err)
				}
			}
			p.Fill(q, 1, 1)
			settle(t, r.next(), intake.Ack)
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			r.close()

			other := kinds[0]
			if kind == other {
				other = kinds[1]
			}
			r = start(t, q, func(c *Config) { c.Declare = other })
			r.log.Wait(t, "other arguments")
			p.Fill(q, 2, 2)
			settle(t, r.take("2")[0], intake.Requeue)
			settle(t, r.take("2")[0], intake.Ack)
		})
	}
}

// A session that Close ends while fences wait for it answers them.
func TestCloseDuringFence(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	p.Fill(q, 1, 1)
	r := start(t, q, nil)
	j := r.next()
	settle(t, j, intake.Ack)
	done := make(chan error, 1)
	go func() { done <- j.Fence(context.Background()) }()
	r.close()
	if err := <-done; err != nil && !errors.Is(err, intake.ErrDeliveryLost) {
		t.Errorf("fence: %v", err)
	}
	p.Expect(q)
}

// A queue is quiet when it has been consumed for long enough and has nothing left to hand over.
func TestQuiet(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Fill(q, 1, 2)
			gate := new(intake.Gate)
			gate.Set(true)
			r := start(t, q, func(c *Config) { c.Prefetch, c.Gate = 1, gate })
			quiet := func(consumed time.Duration, want bool, when string) {
				t.Helper()
				at, got := r.source.Quiet(context.Background(), consumed)
				if got != want || got && at.Broker == "" {
					t.Errorf("quiet %v %s, at %q", got, when, at)
				}
			}
			first := r.next()
			quiet(0, false, "with a message in the queue")
			settle(t, first, intake.Ack)
			second := r.next()
			quiet(0, true, "with all handed over")
			quiet(time.Hour, false, "too early")
			settle(t, second, intake.Ack)
			quick := make(chan bool, 1)
			go func() { _, got := r.source.Quiet(context.Background(), 0); quick <- got }()
			p.Fill(q, 3, 3)
			second = r.next()
			if <-quick {
				t.Error("quiet although a message was on its way")
			}
			gate.Set(false)
			brokertest.Eventually(t, "nothing is consumed", func() bool { _, got := r.source.Quiet(context.Background(), 0); return !got })
			gate.Set(true)
			settle(t, second, intake.Ack) // a quorum queue counts a consumer that still has something to ack
			brokertest.Eventually(t, "the queue is consumed again", func() bool { _, got := r.source.Quiet(context.Background(), 0); return got })
			_, err := p.Channel().Consume(q, "other", false, false, false, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			quiet(0, false, "with another consumer")
			if err := p.Channel().Cancel("other", false); err != nil {
				t.Fatal(err)
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			quiet(0, true, "at the end, with nothing left")
			p.Fill(q, 4, 4)
			quiet(0, false, "at the end, with a message left")
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if _, got := r.source.Quiet(ctx, 0); got {
				t.Error("quiet although nothing is consumed")
			}
		})
	}
}

// stallsAtLogin is a connection that falls silent when the login has been sent, and breaks.
type stallsAtLogin struct {
	net.Conn
	writes atomic.Int32 // the protocol header, the login
}

func (c *stallsAtLogin) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *stallsAtLogin) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.writes.Load() < 2 {
		return n, err
	}
	<-time.After(wire.LoginDelay + 100*time.Millisecond) // what it is about
	return 0, io.EOF
}

// A network that breaks in the login looks like a wrong password. Once is not enough to give up.
func TestStallAtLogin(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	var dials atomic.Int32
	r := start(t, q, func(c *Config) {
		c.Dial = func(network, addr string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			if err == nil && dials.Add(1) == 1 {
				conn = &stallsAtLogin{Conn: conn}
			}
			return conn, err
		}
	})
	settle(t, r.next(), intake.Ack)
	if r.log.Count("login refused") != 1 {
		t.Errorf("logged:\n%s", r.log)
	}
}

// A queue that is in the place of a delay's, and would keep the message, does not get it.
func TestAgainElsewhere(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Declare(q+".retry.1", "classic")
	t.Cleanup(func() { p.Delete(q + ".retry.1") })
	p.Fill(q, 1, 1)
	r := start(t, q, nil)
	j := r.next()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Again(ctx, time.Second, 2, "id") }()
	r.log.Wait(t, "has other arguments")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("again: %v", err)
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q + ".retry.1")
}

// A message that is to be tried again comes back after its delay, as the next attempt of the same job.
func TestAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Send(q, amqp.Publishing{Body: []byte("known"), MessageId: "id", CorrelationId: "corr", ReplyTo: "answers", Expiration: "3600000",
				Headers: amqp.Table{"mine": "yes"}})
			p.Send(q, amqp.Publishing{Body: []byte("unknown")})
			r := start(t, q, nil)
			began := time.Now()
			for _, j := range r.take("known", "unknown") {
				id := j.MessageID
				if id == "" {
					id = "job-7"
				}
				if err := j.Again(context.Background(), 700*time.Millisecond, 2, id); err != nil {
					t.Fatal(err)
				}
				settle(t, j, intake.Ack)
			}
			for range 2 {
				j := r.next()
				if took := time.Since(began); took < time.Second {
					t.Errorf("%s: back after %v", j.Body, took)
				}
				want := map[string]string{"known": "id", "unknown": "job-7"}[string(j.Body)]
				if j.MessageID != want || j.Attempt != 2 || j.Queue != q {
					t.Errorf("%s: job %+v", j.Body, j)
				}
				settle(t, j, intake.Ack)
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			r.close()
			p.Expect(q)
			p.Delete(q + ".retry.1")
		})
	}
}

// A message that is put back stays the same attempt of the same job, and counts how often that was. Its next attempt counts anew.
func TestPutBack(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	t.Cleanup(func() { p.Delete(q + ".retry.1") })
	p.Send(q, amqp.Publishing{Body: []byte("known"), MessageId: "id", CorrelationId: "corr", ReplyTo: "answers"})
	p.Send(q, amqp.Publishing{Body: []byte("unknown")})
	r := start(t, q, nil)
	began := time.Now()
	attempts := []int{1, 1, 1, 2, 2, 2}
	waits := []int{0, 1, 2, 0, 1, 0}
	for round := range attempts {
		for range 2 {
			j := r.next()
			id := "id"
			if string(j.Body) == "unknown" {
				id = "job-7"
			}
			if j.MessageID != id && (round > 0 || j.MessageID != "") || j.Attempt != attempts[round] || j.Waits != waits[round] || j.Queue != q {
				t.Errorf("round %d, %s: %q, attempt %d, put back %d times", round, j.Body, j.MessageID, j.Attempt, j.Waits)
			}
			if string(j.Body) == "known" && j.ReplyTo != "answers\x00corr" {
				t.Errorf("round %d: reply to %q", round, j.ReplyTo)
			}
			if waited := j.WaitsSince.Sub(began); j.Waits > 0 && (waited < -time.Second || waits[round] > 1 && time.Since(j.WaitsSince) < 2*time.Second) {
				t.Errorf("round %d: waits since %v after the start", round, waited)
			}
			var err error
			switch round {
			case 2, 4:
				err = j.Again(context.Background(), time.Second, attempts[round+1], id)
			case 5:
			default:
				err = j.PutBack(context.Background(), time.Second, id)
			}
			if err != nil {
				t.Fatal(err)
			}
			settle(t, j, intake.Ack)
		}
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
}

// Without the permission to publish nobody gets an answer, and no job waits for that.
func TestReplyForbidden(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	user := brokertest.NewUser(t)
	user.Permit("", "", "^"+q+"$")
	p.Declare(q+"-answers", "classic")
	t.Cleanup(func() { p.Delete(q + "-answers") })
	p.Send(q, amqp.Publishing{Body: []byte("m"), ReplyTo: q + "-answers", MessageId: "id"})
	r := start(t, q, func(c *Config) {
		c.URL, c.DeadLetter = user.URL(brokertest.Password), ""
	})
	j := r.next()
	stream := j.Stream()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := stream.Send(ctx, "id", "started", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := stream.Flush(ctx); err != nil {
		t.Errorf("flush: %v", err)
	}
	stream.Close()
	if err := j.Reply(ctx, event.Result{Job: "id"}); err != nil {
		t.Errorf("reply: %v", err)
	}
	settle(t, j, intake.Ack)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	if n := r.log.Count("the broker refuses the reply"); n != 2 {
		t.Errorf("said %d times", n)
	}
	p.Expect(q)
}

// Answers that their reply_to is too full for do not hold up those for others.
func TestReplyToFull(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.DeclareWith(q+"-full", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	p.Declare(q+"-answers", "classic")
	t.Cleanup(func() { p.Delete(q + "-full"); p.Delete(q + "-answers") })
	p.Fill(q+"-full", 0, 0)
	r := start(t, q, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var replying sync.WaitGroup
	for range wire.Publishers {
		p.Send(q, amqp.Publishing{Body: []byte("full"), ReplyTo: q + "-full"})
		j := r.next()
		replying.Go(func() {
			if err := j.Reply(ctx, event.Result{Job: "full"}); !errors.Is(err, context.Canceled) {
				t.Errorf("reply: %v", err)
			}
			settle(t, j, intake.Ack)
		})
	}
	brokertest.Eventually(t, "all were refused", func() bool { return r.log.Count("reply not stored") == wire.Publishers })
	p.Send(q, amqp.Publishing{Body: []byte("good"), ReplyTo: q + "-answers"})
	j := r.next()
	answer, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := j.Reply(answer, event.Result{Job: "good"}); err != nil {
		t.Fatalf("reply to another: %v", err)
	}
	settle(t, j, intake.Ack)
	cancel()
	replying.Wait()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
}

// A direct reply-to that is none ends the connection of all answers. None of the others is given up for that.
func TestReplyToMalformed(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	answers, err := p.Channel().Consume(wire.DirectReply, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Send(q, amqp.Publishing{Body: []byte("good"), ReplyTo: wire.DirectReply, MessageId: "good"})
	r := start(t, q, nil)
	good := r.next()
	stream := good.Stream()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	sent, ended := 0, make(chan struct{})
	var sending, working sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			if err := stream.Send(ctx, "good", fmt.Sprint("output/", sent), make([]byte, 1<<10)); err != nil {
				t.Errorf("send: %v", err)
				return
			}
			sent++
		}
	})
	got := make(map[string]bool)
	working.Go(func() {
		for d := range answers {
			if got[d.MessageId] = true; d.Type == "result" {
				return
			}
		}
	})
	const bad = 3
	for i := range bad {
		p.Send(q, amqp.Publishing{Body: []byte("bad"), ReplyTo: fmt.Sprintf("%s.@@@.%d", wire.DirectReply, i)})
		j := r.next()
		if err := j.Reply(ctx, event.Result{Job: "bad"}); err != nil {
			t.Fatalf("reply to nobody: %v", err)
		}
		settle(t, j, intake.Ack)
	}
	close(ended)
	sending.Wait() // else the last may come behind the result
	if err := stream.Flush(ctx); err != nil {
		t.Errorf("flush: %v", err)
	}
	if err := good.Reply(ctx, event.Result{Job: "good"}); err != nil {
		t.Errorf("reply: %v", err)
	}
	settle(t, good, intake.Ack)
	stream.Close()
	if t.Failed() {
		p.Conn().Close()
	}
	working.Wait()
	if n := r.log.Count("reply dropped"); n != bad || len(got) != sent+1 {
		t.Errorf("%d replies were given up, %d messages of %d came", n, len(got), sent+1)
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.Expect(q)
}

// A result that is larger than the broker takes is stored without the captured output.
func TestLargeResult(t *testing.T) {
	p := brokertest.New(t)
	q := p.Queue("classic")
	for _, name := range []string{q + "-results", q + "-answers"} {
		p.Declare(name, "classic")
		t.Cleanup(func() { p.Delete(name) })
	}
	brokertest.MaxMessageSize(t, 1<<20)
	p.Send(q, amqp.Publishing{Body: []byte("m"), ReplyTo: q + "-answers"})
	r := start(t, q, func(c *Config) { c.Results = q + "-results" })
	j := r.next()
	res := event.Result{Job: "m", Stdout: strings.Repeat("x", 2<<20), StdoutBytes: 2 << 20}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := errors.Join(j.Reply(ctx, res), j.Record(ctx, res)); err != nil {
		t.Fatal(err)
	}
	settle(t, j, intake.Ack)
	for _, name := range []string{q + "-results", q + "-answers"} {
		d, ok, err := p.Channel().Get(name, true)
		if err != nil || !ok {
			t.Fatalf("nothing in %s: %v", name, err)
		}
		if e, err := event.Decode(d.Body); err != nil || e.Result == nil || e.Result.Stdout != "" || e.Result.StdoutBytes != 2<<20 {
			t.Errorf("%s: %v %.200s", name, err, d.Body)
		}
	}
	if n := r.log.Count("larger than the broker takes"); n != 2 {
		t.Errorf("logged %d times", n)
	}
}

// A watchedConn does something before a text is written.
type watchedConn struct {
	net.Conn
	text   string
	before func(net.Conn)
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(c.text)) {
		c.before(c.Conn)
	}
	return c.Conn.Write(p)
}

// What goes wrong with the connection that a suspected direct reply-to has for itself is not laid to its charge.
func TestReplyApart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before    func(c net.Conn, px *brokertest.Proxy) // the answer is written
		meanwhile func(r *rig, px *brokertest.Proxy)
		want      error
	}{
		"cut": {before: func(c net.Conn, _ *brokertest.Proxy) { c.Close() }},
		"blocked": {before: func(_ net.Conn, px *brokertest.Proxy) {
			own := px.Conn(2)
			own.Stall(1)
			own.Inject(0, 10, 60, "\x0alow memory")
			time.AfterFunc(2500*time.Millisecond, func() { // longer than a reply may wait for its confirm there
				if n := px.Count(); n != 3 {
					t.Errorf("%d connections", n)
				}
				own.Inject(0, 10, 61, "")
				own.Stall(-1)
			})
		}},
		"lost meanwhile": {want: intake.ErrDeliveryLost, meanwhile: func(r *rig, px *brokertest.Proxy) {
			r.log.Wait(r.t, "reply not stored yet")
			px.Conn(0).Cut()
			r.log.Wait(r.t, "broker unreachable, waiting")
			px.SetRefuse(false)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, px := brokertest.New(t), brokertest.NewProxy(t)
			q := p.Queue("classic")
			answers, err := p.Channel().Consume(wire.DirectReply, "", true, false, false, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			p.Send(q, amqp.Publishing{Body: []byte("job"), ReplyTo: wire.DirectReply})
			var once sync.Once
			r := start(t, q, func(c *Config) {
				c.Dial = func(network, _ string) (net.Conn, error) {
					conn, err := net.Dial(network, px.Addr)
					return &watchedConn{conn, "the answer", func(c net.Conn) {
						if tt.before != nil {
							once.Do(func() { tt.before(c, px) })
						}
					}}, err
				}
			})
			j := r.next()
			px.Conn(1)
			to, _, _ := strings.Cut(j.ReplyTo, "\x00")
			r.source.publisher.Suspect(to)
			px.SetRefuse(tt.meanwhile != nil)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			replied := make(chan error, 1)
			go func() { replied <- j.Reply(ctx, event.Result{Job: "the answer"}) }()
			if tt.meanwhile != nil {
				tt.meanwhile(r, px)
			}
			if err := <-replied; err != tt.want {
				t.Errorf("reply: %v, want %v", err, tt.want)
			}
			if n := r.log.Count("reply dropped"); n != 0 {
				t.Errorf("%d replies were given up", n)
			}
			for n := 0; ; n++ {
				select {
				case <-answers:
					continue
				case <-time.After(wire.Settling):
				}
				if want := map[error]int{nil: 1}[tt.want]; n != want {
					t.Errorf("%d answers came, want %d", n, want)
				}
				return
			}
		})
	}
}

// A stream is refused in each role, also by a user who may create nothing.
func TestStream(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q, stream := p.Queue("classic"), p.Queue("stream")
	for name, change := range map[string]func(*Config){
		"jobs":             func(c *Config) { c.Queue, c.DeadLetter = stream, q+".dead" },
		"jobs, declared":   func(c *Config) { c.Queue, c.DeadLetter, c.Declare = stream, q+".dead", "quorum" },
		"dead":             func(c *Config) { c.DeadLetter = stream },
		"control":          func(c *Config) { c.Control = stream },
		"results":          func(c *Config) { c.Results = stream },
		"results, declare": func(c *Config) { c.Results, c.Declare = stream, "classic" },
	} {
		t.Run(name, func(t *testing.T) { runs(t, q, wire.ErrStream, fmt.Sprintf("queue %q is a stream", stream), change) })
	}
}

// Nothing is taken from the control queue before it is known that results can be kept.
func TestStreamOfResults(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q, control, stream := p.Queue("classic"), p.Queue("classic"), p.Queue("stream")
	p.Fill(control, 1, 1)
	runs(t, q, wire.ErrStream, fmt.Sprintf("queue %q is a stream", stream), func(c *Config) { c.Results, c.Control = stream, control })
	p.Expect(control, "1")
}

// Nothing is taken from the job queue before it is known that the control queue is none.
func TestStreamOfControl(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q, stream := p.Queue("quorum"), p.Queue("stream")
	p.Fill(q, 1, 1)
	runs(t, q, wire.ErrStream, fmt.Sprintf("queue %q is a stream", stream), func(c *Config) { c.Control = stream })
	for _, d := range p.Expect(q, "1") {
		if d.Redelivered {
			t.Error("the message was delivered")
		}
	}
}

// A queue that is made again as a stream is waited out, and nothing is taken from it.
func TestStreamLater(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	r := start(t, q, nil)
	r.log.Wait(t, "taking messages")
	p.Delete(q)
	p.Declare(q, "stream")
	r.log.Wait(t, "is a stream")
	p.Delete(q)
	p.Declare(q, "classic")
	p.Fill(q, 1, 1)
	settle(t, r.take("1")[0], intake.Ack)
}

// A job queue that is missing leaves no queue behind.
func TestNothingDeclaredForMissingQueue(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	// Whatever comes first: the job queue's answer, or what must not be declared.
	for _, role := range slices.Repeat([]string{"control", "dead", "results"}, 10) {
		q := p.Name()
		other := q + "." + role
		t.Cleanup(func() { p.Delete(other) })
		runs(t, q, wire.ErrNoQueue, q, func(c *Config) {
			c.DeadLetter, c.Control = "", q+".control"
			switch role {
			case "dead":
				c.DeadLetter = other
			case "results":
				c.Results = other
			}
		})
		ch, err := p.Conn().Channel()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ch.QueueDeclarePassive(other, true, false, false, false, nil); err == nil {
			t.Errorf("%s was made", other)
		}
	}
}

// No return of a message is too many for a quorum queue that we declare, and the 15th is warned about.
func TestNoDeliveryLimit(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Name()
	r := start(t, q, func(c *Config) { c.Declare = "quorum" })
	r.log.Wait(t, "taking messages")
	p.Fill(q, 1, 1)
	for range 30 {
		settle(t, r.take("1")[0], intake.Requeue)
	}
	settle(t, r.take("1")[0], intake.Ack)
	if n := r.log.Count("returned often"); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
}

// A limit that a queue was declared with is told at once, and each return that comes near it.
func TestDeliveryLimitIsTold(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{0: 0, 3: 3, 8: 6} { // warnings, until the broker drops it
		p := brokertest.New(t)
		q := p.Name()
		p.DeclareWith(q, amqp.Table{amqp.QueueTypeArg: "quorum", "x-delivery-limit": limit})
		t.Cleanup(func() { p.Delete(q) })
		r := start(t, q, nil)
		r.log.Wait(t, fmt.Sprint("the queue has a delivery limit: "))
		r.log.Wait(t, fmt.Sprint("limit=", limit))
		p.Fill(q, 1, 1)
		for range limit {
			settle(t, r.take("1")[0], intake.Requeue)
		}
		settle(t, r.take("1")[0], intake.Ack)
		often, last := r.log.Count("returned often"), r.log.Count("the broker drops this message at its next return")
		if often+last != want || last != min(want, 1) || !r.source.Limited() {
			t.Errorf("limit %d: %d warnings and %d of the last return, want %d\n%s", limit, often, last, want, r.log)
		}
	}
}

// What asks for the limit makes no queue.
func TestDeliveryLimitOfNothing(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Name()
	d := &wire.Dialer{Version: "0"}
	d.Address, _ = wire.ParseURL(brokertest.URL(t))
	l, err := d.Open(t.Context(), "test", func(l *wire.Link) error {
		if _, ok := l.DeliveryLimit(q); ok {
			t.Error("a queue that is missing has a limit")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Part(l, true)
	if _, err := p.Channel().QueueDeclarePassive(q, true, false, false, false, nil); !wire.IsNoQueue(err) {
		t.Errorf("the queue: %v", err)
	}
}

// A quorum queue without the argument, as earlier versions made it, is used without a word.
func TestDeliveryLimitOfEarlierQueue(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	r := start(t, q, func(c *Config) { c.Declare = "quorum" })
	r.log.Wait(t, "taking messages")
	if r.log.Count("other arguments") != 0 {
		t.Errorf("a warning for a queue of ours:\n%s", r.log)
	}
}
