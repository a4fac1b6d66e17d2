package amqpsrc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/publish"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// waitPrefetch is how many copies and notes of runs that wait for a place may be unacked.
const waitPrefetch = 2000

// hostPrefetch is how many messages of the host queue, or of the host's control queue, may be unacked. A forwarded job can take two
// until it has ended: the copy of its message, and the note that the original is acked (see moves).
func (c *Config) hostPrefetch(controls bool) int {
	if controls {
		return 2 * ControlPrefetch
	}
	return min(waitPrefetch+2*c.Prefetch, 65535)
}

// hosts is what a Source has if several hosts share its queue.
type hosts struct {
	queue   *Source // consumes the host queue
	control *Source // consumes the host's control queue: runs that wait hold up no command there
	claims  *claims.Claims
	dialer  *wire.Dialer    // of the claims
	life    context.Context // until all jobs are settled: ends the claims
	end     context.CancelFunc
	running sync.WaitGroup
}

func newHosts(cfg Config) *hosts {
	h := &hosts{dialer: newDialer(cfg)}
	h.claims = claims.New(h.dialer, claims.Config{Queue: cfg.Queue, Host: cfg.HostName, Labels: cfg.HostLabels, EngineID: cfg.EngineID, Log: cfg.Log})
	h.life, h.end = context.WithCancel(context.Background())
	return h
}

// queues returns the Sources of the host's queues.
func (h *hosts) queues() []*Source { return []*Source{h.queue, h.control} }

// notShared returns an error if hosts share the queue. If the broker refuses to tell, none do.
func (s *Source) notShared(l *wire.Link) error {
	records := claims.RecordsQueue(s.cfg.Queue)
	err := l.On(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(records, true, false, false, false, nil) // the broker ignores the flags
		return err
	})
	switch {
	case err == nil:
		return fmt.Errorf("%w: %q has the queue %q", wire.ErrHostsShare, s.cfg.Queue, records)
	case wire.Refused(err):
		return nil
	}
	return wire.Plain(err)
}

// newHostQueue returns the Source of the host queue, or of the host's control queue. urgent is of both.
func (s *Source) newHostQueue(controls bool, urgent *intake.Gate) *Source {
	cfg := s.cfg
	cfg.hosted, cfg.controls, cfg.Prefetch, cfg.Declare = true, controls, cfg.hostPrefetch(controls), ""
	queue := s.second(cfg)
	queue.restore, queue.urgent = s.hosts.claims.Restore, urgent
	return queue
}

// Claims returns the claims of this host; nil: the queue has one host.
func (s *Source) Claims() intake.Claims {
	if s.hosts == nil {
		return nil
	}
	return s.hosts.claims
}

// claim keeps this host known at the broker until Close. If an operator has released this host, claim cuts the connections that
// consume and publish: other hosts may have its jobs by now.
func (s *Source) claim() error {
	err := s.hosts.claims.Run(s.hosts.life)
	if errors.Is(err, wire.ErrReleased) {
		s.cfg.Log.Error("this host was released while it was away: its jobs may run on other hosts, and are left as they are here", "error", err)
		s.dialer.AbortAll() // the publisher's too
		for _, second := range s.seconds() {
			second.dialer.AbortAll()
		}
	}
	return err
}

// leave ends the claims. If ctx ends first, leave cuts their connection.
func (s *Source) leave(ctx context.Context) {
	if s.hosts == nil {
		return
	}
	defer context.AfterFunc(ctx, s.hosts.dialer.AbortAll)()
	s.hosts.end()
	s.hosts.running.Wait()
}

// shared returns a job of a queue that several hosts share: it can be forwarded. If it comes from a queue of the host, its headers say
// how it came there.
func (s *session) shared(del *delivery, j intake.Job) intake.Job {
	if s.source.cfg.hosted {
		f := publish.ForwardedOf(del.Delivery)
		if j.MessageID == "" && j.Copy == "" {
			j.MessageID = wire.Text(del.Headers[wire.HeaderJob])
		}
		j.Redelivered = j.Redelivered || f.Redelivered
		j.Control = f.Control
		j.Forwarded = &intake.Forwarded{Hops: f.Hops, Acked: closed()}
		if f.Token != "" {
			del.token = f.Token
			j.Forwarded.Acked = s.source.moves.copyCame(f.Token, s)
		}
	}
	came, p := j, s.source.publisher
	var way publish.Way
	j.Forward = func(ctx context.Context, to intake.Claim, id string, overtakes bool) error {
		way = publish.Way{Claim: to, Token: rand.Text()}
		queue := claims.HostQueue
		if overtakes {
			way.Key, queue = claims.ControlKey, claims.ControlQueue
		}
		if to.Host != "" {
			way.Queue = queue(s.source.cfg.Queue, to.Host)
		}
		return p.Forward(ctx, del.Delivery, &came, way, id, del.lost)
	}
	j.Moved = func(ctx context.Context) error {
		if came.Forwarded != nil {
			select {
			case <-came.Forwarded.Acked: // else the original may still come to a host that finds no claim
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return p.Moved(ctx, came.MessageID, way)
	}
	return j
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// note takes the note of a copy, and reports whether a delivery is one.
func (s *session) note(d amqp.Delivery) bool {
	f := publish.ForwardedOf(d)
	if !f.Moved {
		return false
	}
	note := &delivery{Delivery: d, sess: s}
	if f.Token == "" || s.source.moves.noteCame(f.Token, note) {
		note.ack()
	}
	return true
}

// ack acks a note. If the connection has ended, the note is redelivered.
func (d *delivery) ack() { _ = d.settle(context.Background(), intake.Ack, event.Result{}) }

// settledCopy acks the note of a copy that is settled with verdict v.
func (d *delivery) settledCopy(v intake.Verdict) {
	if d.token == "" {
		return
	}
	if note := d.sess.source.moves.copyOver(d.token, d.sess, v == intake.Requeue); note != nil {
		note.ack()
	}
}
