package amqpsrc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// startHost runs a Source of a host that shares a queue. What it leaves at the broker is deleted when the test ends.
func startHost(t *testing.T, p *brokertest.Peer, queue, name string, change func(*Config)) *rig {
	t.Helper()
	t.Cleanup(func() { forget(p, queue, name) })
	return start(t, queue, func(c *Config) {
		c.HostName, c.EngineID = name, func(context.Context) (string, error) { return "ENGINE:" + name, nil }
		if change != nil {
			change(c)
		}
	})
}

// hostExchange returns the exchange of a host that was never released.
func hostExchange(queue, host string) string {
	sum := sha256.Sum256([]byte(queue + "\x00" + host))
	return fmt.Sprintf("docker-dispatch.h.%x.0", sum[:5])
}

func forget(p *brokertest.Peer, queue, host string) {
	p.Delete(queue+".hosts", claims.HostQueue(queue, host), claims.ControlQueue(queue, host), claims.HostQueue(queue, host)+".seen")
	p.Do(func(ch *amqp.Channel) error {
		exchange := hostExchange(queue, host)
		err := ch.ExchangeDelete(exchange, false, false) // ifUnused, noWait
		marker := strings.Replace(exchange, ".h.", ".released.", 1)
		return errors.Join(err, ch.ExchangeDelete(marker, false, false))
	})
}

// noRoom makes a host take nothing from the shared queue, but from its own.
func noRoom(c *Config) { c.Room = new(intake.Gate) }

// claim claims a job for the rig's host, or returns the claim of another.
func (r *rig) claim(id string) *intake.Claim {
	r.t.Helper()
	key := intake.JobKey("/", r.source.cfg.Queue, id)
	other, err := r.source.Claims().Claim(soon(r.t), key)
	if err != nil {
		r.t.Fatal(err)
	}
	if other == nil {
		ours, err := r.source.Claims().Look(soon(r.t), key)
		if err != nil || ours == nil || !ours.Ours {
			r.t.Fatalf("the claim that was just made is %+v, %v", ours, err)
		}
		p := brokertest.New(r.t)
		r.t.Cleanup(func() { p.Do(func(ch *amqp.Channel) error { return ch.ExchangeDelete(ours.Address, false, false) }) })
	}
	return other
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestHostQueueDeleted: a queue of a host that is deleted is made again, and messages find it.
func TestHostQueueDeleted(t *testing.T) {
	t.Parallel()
	for when, await := range map[string]func(a *rig, queue string){
		"while it is consumed": func(a *rig, queue string) { a.log.Wait(t, "queue="+queue+" ") },
		"at the start":         func(*rig, string) {},
	} {
		for overtakes, of := range map[bool]func(queue, host string) string{false: claims.HostQueue, true: claims.ControlQueue} {
			t.Run(fmt.Sprint(when, ", overtakes ", overtakes), func(t *testing.T) {
				t.Parallel()
				p := brokertest.New(t)
				q := p.Queue("quorum")
				a, b := startHost(t, p, q, "a", noRoom), startHost(t, p, q, "b", nil)
				a.claim("m")
				p.Send(q, amqp.Publishing{MessageId: "m", Body: []byte("job")})
				j := b.next()
				await(a, of(q, "a"))
				p.Delete(of(q, "a"))
				to := b.claim("m")
				brokertest.Eventually(t, "the job is forwarded", func() bool {
					err := j.Forward(soon(t), *to, "m", overtakes)
					if err != nil && err != intake.ErrNoHost {
						t.Fatal(err)
					}
					return err == nil
				})
				b.moved(j)
				f := a.next()
				awaitOriginal(t, f)
				settle(t, f, intake.Ack)
			})
		}
	}
}

// TestHostQueueFirst: after a restart the jobs that this host has come before those of the shared queue.
func TestHostQueueFirst(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	a := startHost(t, p, q, "a", nil)
	a.claim("x") // so its queue exists
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	a.close()
	for i := range 20 {
		p.Send(q, amqp.Publishing{Body: []byte("new")})
		p.Send(claims.HostQueue(q, "a"), amqp.Publishing{Body: []byte("known"), Headers: amqp.Table{wire.HeaderToken: fmt.Sprint(i)}})
	}
	a = startHost(t, p, q, "a", func(c *Config) { c.Prefetch = 20 })
	for i := range 40 {
		j := a.next()
		if want := map[bool]string{true: "known", false: "new"}[i < 20]; string(j.Body) != want {
			t.Errorf("job %d is %s", i, j.Body)
		}
		settle(t, j, intake.Ack)
	}
}

// TestHostileHeaders: what a stranger writes into the headers of forwarded messages does not count in the shared queue, and is bounded in
// a host's queue.
func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	a := startHost(t, p, q, "a", nil)
	a.claim("x") // so its queue exists
	forged := amqp.Table{wire.HeaderHops: int32(2), wire.HeaderRedelivered: true, wire.HeaderControl: true, wire.HeaderToken: "t", wire.HeaderMoved: true, wire.HeaderJob: "j"}
	p.Send(q, amqp.Publishing{Body: []byte("shared"), Headers: forged})
	if j := a.next(); j.Forwarded != nil || j.Redelivered || j.Control || j.MessageID != "" {
		t.Errorf("in the shared queue: %+v", j)
	} else {
		settle(t, j, intake.Ack)
	}
	own := claims.HostQueue(q, "a")
	for name, headers := range map[string]amqp.Table{
		"none":  nil,
		"types": {wire.HeaderHops: "2", wire.HeaderRedelivered: int32(1), wire.HeaderControl: "true", wire.HeaderToken: []byte("t"), wire.HeaderMoved: []any{true}, wire.HeaderJob: int64(1)},
		"huge":  {wire.HeaderHops: int64(math.MaxInt64), wire.HeaderToken: strings.Repeat("t", 1000), wire.HeaderJob: strings.Repeat("j", 1000), wire.HeaderSeal: amqp.Table{}},
	} {
		p.Send(own, amqp.Publishing{Body: []byte(name), Headers: headers})
		j := a.next()
		if string(j.Body) != name || j.Forwarded.Hops != 1 || !original(j) || j.Control || j.Redelivered || j.MessageID != "" {
			t.Errorf("%s: %+v, %+v", name, j, j.Forwarded)
		}
		settle(t, j, intake.Ack)
	}
	for i := range 2 * a.source.hosts.queue.cfg.Prefetch { // none is held
		p.Send(own, amqp.Publishing{Body: []byte("note"), Headers: amqp.Table{wire.HeaderToken: fmt.Sprint(i), wire.HeaderMoved: true}})
	}
	p.Send(own, amqp.Publishing{Body: []byte("note"), Headers: amqp.Table{wire.HeaderMoved: true}}, amqp.Publishing{Body: []byte("last")})
	settle(t, a.take("last")[0], intake.Ack)
	for _, to := range []string{own, own + ".seen", own + ".control", claims.HostQueue(q, "other"), q + ".hosts"} {
		p.Send(q, amqp.Publishing{Body: []byte(to), ReplyTo: to})
		j := a.next()
		if j.Invalid == nil || j.Reply != nil {
			t.Errorf("the reply_to %s is accepted", to)
		}
		settle(t, j, intake.Ack)
	}
	if err := a.end(); err != nil {
		t.Error(err)
	}
	a.close()
	p.Expect(own)
}

// TestHostsConsumeOnceEntered: nothing is taken from any queue before the broker knows this host as alive, and the daemon is not ready.
func TestHostsConsumeOnceEntered(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	control := p.Name()
	lock := claims.HostQueue(q, "a") + ".lock"
	other, err := amqp.Dial(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ch, err := other.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(lock, false, false, true, false, nil); err != nil { // exclusive
		t.Fatal(err)
	}
	p.Fill(q, 1, 1)
	a := startHost(t, p, q, "a", func(c *Config) { c.Control = control })
	a.log.Wait(t, wire.ErrHostTaken.Error())
	p.Declare(control, "classic")
	p.Fill(control, 2, 2)
	for _, queue := range []string{q, control} {
		if n := p.Ready(queue); n != 1 {
			t.Errorf("%d messages are left in %s", n, queue)
		}
	}
	state := func(want status.State) func() bool {
		return func() bool {
			all, _ := a.source.State()
			met := 0
			for _, c := range all {
				if (c.Name == "claims" || c.Name == "host" || c.Name == "host-control") && c.State == want {
					met++
				}
			}
			return met == 3
		}
	}
	if !state(status.Unmet)() {
		t.Error("the daemon is ready")
	}
	other.Close()
	settle(t, a.next(), intake.Ack)
	settle(t, <-a.control, intake.Ack)
	brokertest.Eventually(t, "the daemon is ready", state(status.Met))
}

// TestHostsQuiet: with several hosts other consumers do not matter, and the host's queues do.
func TestHostsQuiet(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	a, b := startHost(t, p, q, "a", nil), startHost(t, p, q, "b", noRoom)
	quiet := func(r *rig) bool { _, q := r.source.Quiet(t.Context(), 0); return q }
	brokertest.Eventually(t, "quiet", func() bool { return quiet(a) })
	if _, err := p.Channel().Consume(q, "other", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if !quiet(a) {
		t.Error("another consumer matters")
	}
	if quiet(b) {
		t.Error("quiet although the queue is not consumed")
	}
	for _, own := range []string{claims.HostQueue(q, "a"), claims.ControlQueue(q, "a")} {
		p.Fill(own, 1, 2)
		first := a.next() // the second is not handed over
		if quiet(a) {
			t.Errorf("quiet with a message in %s", own)
		}
		settle(t, first, intake.Ack)
		settle(t, a.next(), intake.Ack)
		brokertest.Eventually(t, "quiet again", func() bool { return quiet(a) })
	}
}

// TestReleased: a host that was released while its claims' connection was away ends at once, and neither settles nor publishes
// anything.
func TestReleased(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("quorum")
	results := p.Queue("quorum")
	a := startHost(t, p, q, "a", func(c *Config) { through(px)(c); c.Results = results })
	a.claim("m")
	p.Send(q, amqp.Publishing{MessageId: "m", Body: []byte("job")})
	j := a.next()
	px.SetRefuse(true)
	brokertest.CloseConnections(t, q, "claims")
	brokertest.Eventually(t, "the claims' connection is lost", func() bool {
		open, _ := a.source.cfg.entered.State()
		return !open
	})
	recorded := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { recorded <- j.Record(ctx, event.Result{Job: "m", Status: event.Succeeded}) }()
	release(t, q, "a")
	px.SetRefuse(false)
	if err := a.failed(); !errors.Is(err, wire.ErrReleased) {
		t.Fatalf("Run: %v, want %v", err, wire.ErrReleased)
	}
	brokertest.Eventually(t, "the session is over", j.Lost)
	lost(t, j, intake.Ack)
	cancel()
	if err := <-recorded; err != context.Canceled {
		t.Errorf("record: %v", err)
	}
	p.Expect(results)
	p.Expect(q, "job") // for another host
}

// release releases a host as its operator does, as soon as the broker takes it for dead.
func release(t *testing.T, queue, host string) {
	t.Helper()
	d := &wire.Dialer{Name: "operator"}
	var err error
	if d.Address, err = wire.ParseURL(brokertest.URL(t)); err != nil {
		t.Fatal(err)
	}
	link, err := d.Open(t.Context(), "release", func(*wire.Link) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer d.Part(link, true)
	brokertest.Eventually(t, "the host is released", func() bool {
		_, err := claims.Release(t.Context(), link, queue, host)
		if err != nil && !errors.Is(err, claims.ErrAlive) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// TestHostsFatal: what must not be begun with is said at the start.
func TestHostsFatal(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	host := func(name string, change func(*Config)) func(*Config) {
		return func(c *Config) {
			c.HostName, c.EngineID = name, func(context.Context) (string, error) { return "ENGINE", nil }
			if change != nil {
				change(c)
			}
		}
	}
	for _, name := range []string{".a", "a b", "a.control", strings.Repeat("x", claims.MostHost+1)} {
		if err := start(t, q, host(name, nil)).failed(); err == nil || !strings.Contains(err.Error(), "host's name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := start(t, q, host("a", func(c *Config) { c.DeadLetter = "" })).failed(); err == nil || !strings.Contains(err.Error(), "dead-letter") {
		t.Errorf("without a dead-letter queue: %v", err)
	}
	startHost(t, p, q, "a", nil).claim("x")
	runs(t, q, wire.ErrHostEngine, "", host("a2", func(c *Config) {
		forge(p, hostExchange(q, "a2"))
		t.Cleanup(func() { forget(p, q, "a2") })
	}))
	runs(t, "test-amqpsrc-no-such", wire.ErrNoQueue, "", host("a", nil)) // and no host queue is made for it
	if _, err := p.Conn().Channel(); err != nil {
		t.Fatal(err)
	}
	user := brokertest.NewUser(t)
	user.Permit("^"+q, "^(amq[.]default|"+q+".*)$", "^"+q)
	runs(t, q, wire.ErrHostForbidden, "docker-dispatch", host("b", func(c *Config) { c.URL = user.URL(brokertest.Password) }))
	forget(p, q, "b")
}

// TestHostsShare: a daemon without --host does not take messages of a queue that hosts share. If the broker does not tell whether they
// do, it takes them.
func TestHostsShare(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	startHost(t, p, q, "a", noRoom).claim("x")
	p.Send(q, amqp.Publishing{Body: []byte("job")})
	runs(t, q, wire.ErrHostsShare, q+".hosts", nil)
	p.Expect(q, "job")

	other := p.Queue("quorum")
	exclusive, err := amqp.Dial(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer exclusive.Close()
	ch, err := exclusive.Channel()
	if err != nil {
		t.Fatal(err)
	}
	// The broker refuses every other connection. A lack of permission is refused so by few versions of RabbitMQ.
	if _, err := ch.QueueDeclare(claims.RecordsQueue(other), false, false, true, false, nil); err != nil { // exclusive
		t.Fatal(err)
	}
	p.Send(other, amqp.Publishing{Body: []byte("job")})
	settle(t, start(t, other, nil).next(), intake.Ack)

	b := start(t, p.Queue("quorum"), nil)
	p.Send(b.source.cfg.Queue, amqp.Publishing{Body: []byte("first")})
	settle(t, b.next(), intake.Ack)
	p.DeclareWith(claims.RecordsQueue(b.source.cfg.Queue), amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
	brokertest.CloseConnections(t, b.source.cfg.Queue, wire.Consuming)
	p.Send(b.source.cfg.Queue, amqp.Publishing{Body: []byte("after a reconnection")})
	settle(t, b.next(), intake.Ack)
}

// forge makes the exchange of a host with another engine.
func forge(p *brokertest.Peer, exchange string) {
	p.Do(func(ch *amqp.Channel) error {
		return ch.ExchangeDeclare(exchange, amqp.ExchangeFanout, true, false, false, false, amqp.Table{"alternate-exchange": "docker-dispatch.engine.OTHER"})
	})
}

// TestCloseUnclaims: jobs that settle after Run has returned still give up their claims, until Close.
func TestCloseUnclaims(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	a, b := startHost(t, p, q, "a", nil), startHost(t, p, q, "b", noRoom)
	key := intake.JobKey("/", q, "m")
	if other, err := a.source.Claims().Claim(soon(t), key); other != nil || err != nil {
		t.Fatal(other, err)
	}
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	if err := a.source.Claims().Unclaim(soon(t), key); err != nil {
		t.Error(err)
	}
	if other := b.claim("m"); other != nil {
		t.Errorf("the job is still claimed by %+v", other)
	}
	a.close()
	if _, err := a.source.Claims().Claim(soon(t), key); err == nil {
		t.Error("a claim after Close")
	}
}
