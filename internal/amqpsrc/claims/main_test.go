package claims

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

func TestMain(m *testing.M) { brokertest.Run(m, "internal/amqpsrc/claims.") }

// A rig is a queue that hosts share.
type rig struct {
	t     testing.TB
	peer  *brokertest.Peer
	queue string
}

// newRig makes a queue. What its hosts leave at the broker is deleted when the test ends.
func newRig(t testing.TB, kind string) *rig {
	t.Helper()
	p := brokertest.New(t)
	return &rig{t, p, p.Queue(kind)}
}

// forget deletes what a host leaves.
func (r *rig) forget(host string) {
	r.t.Helper()
	queue := HostQueue(r.queue, host)
	r.peer.Delete(queue, queue+".control", queue+".seen", RecordsQueue(r.queue), majorityQueue(r.queue))
	r.peer.Do(func(ch *amqp.Channel) error {
		for epoch := range 4 {
			l := life{hostHash(r.queue, host), epoch}
			for _, exchange := range []string{l.exchange(), l.marker()} {
				if err := ch.ExchangeDelete(exchange, false, false); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// keys returns n new keys, whose claims are deleted when the test ends.
func (r *rig) keys(n int) (keys []intake.ClaimKey) {
	for range n {
		keys = append(keys, intake.JobKey("/", r.queue, rand.Text()))
	}
	r.t.Cleanup(func() {
		r.peer.Do(func(ch *amqp.Channel) error {
			for _, key := range keys {
				for link := range 4 {
					if err := ch.ExchangeDelete(claimExchange(r.queue, key, link), false, false); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
	return keys
}

// forward publishes a message to a claim, and reports whether a host has it.
func (r *rig) forward(address, body string) (stored bool) {
	r.t.Helper()
	return r.publish(address, amqp.Publishing{Body: []byte(body), DeliveryMode: amqp.Persistent})
}

// note tells the owner of a claim that an original is acked.
func (r *rig) note(address string) {
	r.t.Helper()
	r.publish(address, amqp.Publishing{Headers: amqp.Table{wire.HeaderMoved: true}, DeliveryMode: amqp.Persistent})
}

func (r *rig) publish(address string, m amqp.Publishing) (stored bool) {
	return r.publishBy(address, "", m)
}

func (r *rig) publishBy(address, key string, m amqp.Publishing) (stored bool) {
	r.t.Helper()
	r.peer.Do(func(ch *amqp.Channel) error {
		back := ch.NotifyReturn(make(chan amqp.Return, 1))
		c, err := ch.PublishWithDeferredConfirm(address, key, true, false, m) // mandatory
		if err != nil {
			return err
		}
		if !c.Wait() {
			return errors.New("not confirmed")
		}
		stored = wire.NonBlocking(back).ReplyCode == 0
		return nil
	})
	return stored
}

// through is a change of a host that connects through a proxy.
func through(p *brokertest.Proxy) func(*Claims) {
	return func(c *Claims) { c.dialer.Connect = p.Dial }
}

// A host is a host's Claims at work.
type host struct {
	*Claims
	rig  *rig
	log  *brokertest.Logbook
	stop context.CancelFunc
	end  chan error // what Run returned
}

// start runs the Claims of a host. change may change them before.
func (r *rig) start(name string, change func(*Claims)) *host {
	r.t.Helper()
	h := &host{rig: r, log: brokertest.NewLogbook(), end: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := Config{Queue: r.queue, Host: name, Log: log, Labels: map[string]string{"disk": "ssd"}}
	cfg.EngineID = func(context.Context) (string, error) { return "ENGINE:OF:" + name, nil }
	h.Claims = New(dialer(r.t, brokertest.URL(r.t)), cfg)
	if change != nil {
		change(h.Claims)
	}
	ctx, stop := context.WithCancel(r.t.Context())
	h.stop = stop
	r.t.Cleanup(func() { r.forget(name) })
	r.t.Cleanup(func() {
		stop()
		<-h.end
		if r.t.Failed() {
			r.t.Logf("log of %s:\n%s", name, h.log)
		}
	})
	go func() {
		h.end <- h.Run(ctx)
		close(h.end)
	}()
	return h
}

func dialer(t testing.TB, url string) *wire.Dialer {
	t.Helper()
	address, err := wire.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return &wire.Dialer{Address: address, Name: "test", Version: "0"}
}

// enter starts a host, and waits until it has entered.
func (r *rig) enter(name string) *host {
	r.t.Helper()
	h := r.start(name, nil)
	h.wait()
	return h
}

// wait waits until the host has entered.
func (h *host) wait() {
	h.rig.t.Helper()
	timeout := time.After(brokertest.Patience)
	for {
		open, changed := h.Entered().State()
		if open {
			return
		}
		select {
		case <-changed:
		case err := <-h.end:
			h.rig.t.Fatalf("Run has ended: %v", err)
		case <-timeout:
			h.rig.t.Fatal("the host does not enter")
		}
	}
}

// ended waits for the end of Run, and returns its error.
func (h *host) ended() error {
	h.rig.t.Helper()
	select {
	case err := <-h.end:
		return err
	case <-time.After(brokertest.Patience):
		h.rig.t.Fatal("Run does not end")
		return nil
	}
}

// leave stops the host, as a daemon does that ends.
func (h *host) leave() {
	h.rig.t.Helper()
	h.stop()
	if err := h.ended(); err != nil {
		h.rig.t.Errorf("Run: %v", err)
	}
}

// claims claims a key, and returns the owner: "" is the host itself.
func (h *host) claims(key intake.ClaimKey) string {
	h.rig.t.Helper()
	other, err := h.Claim(h.rig.t.Context(), key)
	if err != nil {
		h.rig.t.Error(err)
		return "?"
	}
	if other == nil {
		return ""
	}
	if other.Ours {
		h.rig.t.Errorf("the claim of another host is ours: %+v", other)
	}
	if other.Host == "" {
		h.rig.t.Errorf("whose is %+v?", other)
	}
	return other.Host
}

// unclaims takes a holder of a key away.
func (h *host) unclaims(key intake.ClaimKey) {
	h.rig.t.Helper()
	if err := h.Unclaim(h.rig.t.Context(), key); err != nil {
		h.rig.t.Error(err)
	}
}

// looks returns the owner of a key; "-": nobody.
func (h *host) looks(key intake.ClaimKey) string {
	h.rig.t.Helper()
	claim, err := h.Look(h.rig.t.Context(), key)
	switch {
	case err != nil:
		h.rig.t.Error(err)
		return "?"
	case claim == nil, claim.Void:
		return "-"
	case claim.Ours != (claim.Host == h.config.Host):
		h.rig.t.Errorf("whose is %+v?", claim)
	}
	return claim.Host
}

// link connects as an operator does.
func (r *rig) link() *wire.Link {
	r.t.Helper()
	d := dialer(r.t, brokertest.URL(r.t))
	link, err := d.Open(r.t.Context(), "operator", func(*wire.Link) error { return nil })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { d.Part(link, true) })
	return link
}
