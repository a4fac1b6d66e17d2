package amqpsrc

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// answering is a Config change: the Source answers questions with the host's name, and with so many jobs.
func answering(host string, jobs int) func(*Config) {
	return func(c *Config) {
		c.Host = host
		c.Status = func() status.Status {
			s := status.Status{Host: host, Queue: c.Queue}
			for i := range jobs {
				s.Running.Jobs = append(s.Running.Jobs, status.Job{Job: fmt.Sprint(i), Image: strings.Repeat("x", 100)})
			}
			return s
		}
	}
}

// asker is a connection that asks.
func asker(t testing.TB) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Connect(ctx, client.Config{URL: brokertest.URL(t), Asks: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c.Close(ctx)
	})
	return c
}

// ask asks until n daemons answer one question, and returns their hosts and their bodies.
func ask(t testing.TB, c *client.Client, queue string, n int) (hosts []string, bodies [][]byte) {
	t.Helper()
	brokertest.Eventually(t, fmt.Sprintf("%d answers", n), func() bool {
		hosts, bodies = nil, nil
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		answers, err := c.Ask(ctx, queue)
		if errors.Is(err, client.ErrNobody) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		for body := range answers {
			s, err := status.Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			hosts, bodies = append(hosts, s.Host), append(bodies, body)
			if len(hosts) == n {
				cancel()
			}
		}
		return len(hosts) == n
	})
	slices.Sort(hosts)
	return hosts, bodies
}

// TestDesk: each daemon of the queue answers each question, and none of another queue. The queues for questions go with them.
func TestDesk(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q, other := p.Queue("classic"), p.Queue("classic")
	a, b := start(t, q, answering("a", 0)), start(t, q, answering("b", 0))
	start(t, other, answering("c", 0))
	c := asker(t)
	for range 3 {
		if hosts, _ := ask(t, c, q, 2); !slices.Equal(hosts, []string{"a", "b"}) {
			t.Errorf("%q answer", hosts)
		}
	}
	if err := b.end(); err != nil {
		t.Error(err)
	}
	if hosts, _ := ask(t, c, q, 2); !slices.Equal(hosts, []string{"a", "b"}) {
		t.Errorf("%q answer while b stops", hosts)
	}
	b.close()
	if hosts, _ := ask(t, c, q, 1); hosts[0] != "a" {
		t.Errorf("%q answer", hosts)
	}
	a.end()
	a.close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := c.Ask(ctx, q); !errors.Is(err, client.ErrNobody) {
		t.Errorf("without a daemon: %v", err)
	}
}

// TestDeskDepths: the daemon knows how many messages wait, also after a queue was deleted.
func TestDeskDepths(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 3)
	r := start(t, q, answering("a", 0))
	jobs := r.take("1", "2", "3")
	r.gate.Set(false)
	settle(t, jobs[0], intake.DeadLetter)
	settle(t, jobs[1], intake.Requeue)
	settle(t, jobs[2], intake.Requeue)
	is := func(n *int, want int) bool { return n != nil && *n == want }
	brokertest.Eventually(t, "2 wait, 1 is dead", func() bool {
		d := r.source.Depths()
		return is(d.Queued, 2) && is(d.DeadLetters, 1) && is(d.Consumers, 0) && d.Retrying == nil
	})
	p.Delete(q + ".dead")
	brokertest.Eventually(t, "the dead letters are not known", func() bool {
		d := r.source.Depths()
		return is(d.Queued, 2) && d.DeadLetters == nil
	})
	r.gate.Set(true)
	j := r.take("2")[0]
	if err := j.Again(t.Context(), time.Hour, 2, "x"); err != nil {
		t.Fatal(err)
	}
	settle(t, j, intake.Ack)
	t.Cleanup(func() { p.Delete(q + ".retry.3600") })
	brokertest.Eventually(t, "1 waits for its next attempt", func() bool {
		d := r.source.Depths()
		return is(d.Retrying, 1) && is(d.Consumers, 1)
	})
	ask(t, asker(t), q, 1)
}

// TestDeskStrangers: whatever is sent to the desk, it writes into nobody's queue, and answers those who ask.
func TestDeskStrangers(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q, victim := p.Queue("classic"), p.Queue("classic")
	r := start(t, q, answering("a", 0))
	c := asker(t)
	ask(t, c, q, 1)
	for _, m := range []amqp.Publishing{
		{ReplyTo: victim}, {ReplyTo: ""}, {ReplyTo: "amq.rabbitmq.reply-toX"}, {ReplyTo: q}, {ReplyTo: q + ".dead"},
		{ReplyTo: victim, Body: make([]byte, 8<<20)},
		{ReplyTo: victim, Headers: amqp.Table{"a": amqp.Table{"b": []any{int32(1), "\x00"}}}, Type: "\x1b[2J", CorrelationId: strings.Repeat("x", 255)},
		{ReplyTo: "amq.gen-nobody"}, {ReplyTo: wire.DirectReply + ".g1h2.nobody"},
	} {
		p.Do(func(ch *amqp.Channel) error {
			return ch.Publish(wire.QuestionExchange, wire.QuestionKey(q), false, false, m)
		})
	}
	ask(t, c, q, 1)
	// The broker ends the connection because of these.
	for range 3 {
		p.Do(func(ch *amqp.Channel) error {
			return ch.Publish(wire.QuestionExchange, wire.QuestionKey(q), false, false, amqp.Publishing{ReplyTo: wire.DirectReply + ".@@@.1"})
		})
		ask(t, c, q, 1)
	}
	for i := range 500 {
		p.Do(func(ch *amqp.Channel) error {
			return ch.Publish(wire.QuestionExchange, wire.QuestionKey(q), false, false, amqp.Publishing{ReplyTo: victim, CorrelationId: fmt.Sprint(i)})
		})
	}
	ask(t, c, q, 1)
	if n := p.Ready(victim) + p.Ready(q) + p.Ready(q+".dead"); n != 0 {
		t.Errorf("%d messages were written into queues of others", n)
	}
	p.Fill(q, 1, 1)
	settle(t, r.take("1")[0], intake.Ack)
	if n := r.log.Count("WARN"); n != 0 {
		t.Errorf("%d warnings", n)
	}
}

// TestDeskForbidden: without a permission the daemon works, says once which one is missing, and is no less ready.
func TestDeskForbidden(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, configure, write, read, hint string }{
		{"configure", "^$", "^(amq.default|.*[.]status[.].*)$", ".*", `configure pattern match .*status\\\\..\*`},
		{"write", ".*", "^amq.default$", ".*", `write pattern match .*status\\\\..\*`},
		{"read the exchange", ".*", ".*", "^test.*$", `read pattern match amq\\\\.direct`},
		{"read", ".*", ".*", "^(amq.direct|[^.]*)$", `read pattern match .*status\\\\..\*`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, u := brokertest.New(t), brokertest.NewUser(t)
			q := p.Queue("classic")
			p.Declare(q+".dead", "classic")
			t.Cleanup(func() { p.Delete(q + ".dead") })
			u.Permit(tt.configure, tt.write, tt.read)
			r := start(t, q, func(c *Config) {
				answering("a", 0)(c)
				c.URL = u.URL(brokertest.Password)
			})
			r.log.Wait(t, "questions of docker-dispatch ps are not answered")
			p.Fill(q, 1, 1)
			settle(t, r.take("1")[0], intake.Ack)
			if n := r.log.Count("level=WARN"); n != 1 || !regexp.MustCompile(tt.hint).MatchString(r.log.String()) {
				t.Errorf("%d warnings, want one with %s", n, tt.hint)
			}
			conditions, _ := r.source.State()
			if c := conditions[len(conditions)-1]; c.Name != "ps" || c.State != status.Warning {
				t.Errorf("condition %+v", c)
			}
			u.Permit(".*", ".*", ".*")
			r.log.Wait(t, "questions of docker-dispatch ps are answered")
			ask(t, asker(t), q, 1)
			if n := r.log.Count("level=WARN"); n != 1 {
				t.Errorf("%d warnings", n)
			}
		})
	}
}

// TestDeskNoConnection: a limit on the connections of its user leaves out the desk, and nothing else.
func TestDeskNoConnection(t *testing.T) {
	t.Parallel()
	p, u := brokertest.New(t), brokertest.NewUser(t)
	q := p.Queue("classic")
	u.Permit(".*", ".*", ".*")
	brokertest.Eval(t, `rabbit_auth_backend_internal:set_user_limits(<<"%s">>, <<"{\"max-connections\": 2}">>, <<"test">>)`, u.Name)
	r := start(t, q, func(c *Config) {
		answering("a", 0)(c)
		c.URL = u.URL(brokertest.Password)
	})
	r.log.Wait(t, "questions of docker-dispatch ps are not answered")
	p.Fill(q, 1, 1)
	settle(t, r.take("1")[0], intake.Ack)
	if n := r.log.Count("level=WARN"); n != 1 || !strings.Contains(r.log.String(), "limit") {
		t.Errorf("%d warnings", n)
	}
}

// TestDeskLost: the desk comes back after its connection was cut, and a frozen one does not hold up Close.
func TestDeskLost(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	r := start(t, q, func(c *Config) {
		answering("a", 0)(c)
		c.Dial = px.Dial
	})
	c := asker(t)
	ask(t, c, q, 1)
	px.Conn(2).Cut()
	ask(t, c, q, 1)
	px.Conn(3).Stall(1)
	r.end()
	began := time.Now()
	r.close()
	if took := time.Since(began); took > 2*wire.CloseTimeout {
		t.Errorf("Close took %v", took)
	}
}

// TestDeskLargeAnswer: an answer that is larger than the broker takes is sent with fewer jobs.
func TestDeskLargeAnswer(t *testing.T) {
	p := brokertest.New(t)
	q := p.Queue("classic")
	brokertest.MaxMessageSize(t, 50<<10)
	start(t, q, answering("a", status.Most))
	_, bodies := ask(t, asker(t), q, 1)
	s, err := status.Decode(bodies[0])
	if n := len(bodies[0]); n > 50<<10 || len(s.Running.Jobs) == 0 || err != nil {
		t.Errorf("%d bytes with %d jobs came: %v", n, len(s.Running.Jobs), err)
	}
}

// TestDeskQueueName: the name of the queue for questions fits, however long that of the jobs' queue is.
func TestDeskQueueName(t *testing.T) {
	for _, queue := range []string{"jobs", strings.Repeat("é", 127)} {
		if name := questionsPrefix(queue) + serial(); len(name) > 255 || !utf8.ValidString(name) || !strings.Contains(name, ".status.") {
			t.Errorf("%d bytes: %q", len(name), name)
		}
	}
}
