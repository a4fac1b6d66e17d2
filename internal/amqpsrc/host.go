package amqpsrc

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/publish"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// waitPrefetch is how many copies and notes of runs that wait for a place may be unacked, and commands beside them.
const waitPrefetch = 2000

// hostPrefetch is how many messages of the host queue may be unacked. The copy of a run stays unacked until the job has ended,
// and so does its note. Beside these a stop must still come through.
func (c *Config) hostPrefetch() int { return min(waitPrefetch+2*c.Prefetch, 65535) }

// hosts is what a Source has if several hosts share its queue.
type hosts struct {
	queue   *Source // consumes the host queue
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

// newHostQueue returns the Source of the host queue.
func (s *Source) newHostQueue() *Source {
	cfg := s.cfg
	cfg.hosted, cfg.Prefetch, cfg.Declare = true, cfg.hostPrefetch(), ""
	queue := s.second(cfg)
	queue.restore = s.hosts.claims.Restore
	return queue
}

// Claims returns the claims of this host; nil: the queue has one host.
func (s *Source) Claims() intake.Claims {
	if s.hosts == nil {
		return nil
	}
	return s.hosts.claims
}

// claim keeps this host known at the broker until Close. If its operator has released it, the connections end: its jobs are other
// hosts'.
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

// shared returns a job of a queue that several hosts share: it can be forwarded. If it comes from the host queue, its headers say
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
	var to intake.Claim
	var token string
	j.Forward = func(ctx context.Context, claim intake.Claim, id string) error {
		to, token = claim, rand.Text()
		return p.Forward(ctx, del.Delivery, &came, to, id, token, del.lost)
	}
	j.Moved = func(ctx context.Context) error {
		if came.Forwarded != nil {
			select {
			case <-came.Forwarded.Acked: // else the original may still come to a host that finds no claim
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return p.Moved(ctx, came.MessageID, to, token)
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
