package amqpsrc

import (
	"maps"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// depths is how many messages wait in the queue, in the dead-letter queue, and for their next attempt. It asks the broker over the desk's connection,
// and only if somebody wants to know.
type depths struct {
	looks sync.WaitGroup // added to under mu, while link is set

	mu      sync.Mutex      // guards what follows
	link    *wire.Link      // nil: not connected
	delays  func() []string // the queues in which messages wait for their next attempt
	queues  map[string]*depth
	cfg     *Config
	at      time.Time     // of the last look
	looking chan struct{} // closed when the look that is under way is over; nil: none is
}

// A depth is how many messages wait in one queue.
type depth struct {
	ready, consumers *int      // nil: not known
	again            time.Time // the broker has refused to tell: it is not asked before
}

const (
	// lookEvery is the least time between two looks.
	lookEvery = time.Second

	// lookPatience is how long a status waits for a look. What comes later is in the next status.
	lookPatience = 300 * time.Millisecond

	// lookValid is how long a number is told.
	lookValid = 10 * time.Second

	// lookRefused is the time to the next look after a refusal: the broker logs each.
	lookRefused = time.Minute
)

// Depths are how many messages wait, and how many consumers the queue has; nil: not known.
type Depths struct{ Queued, DeadLetters, Retrying, Consumers *int }

// Depths asks the broker. It may be called at any time, and takes at most a fraction of a second.
func (s *Source) Depths() Depths {
	if s.desk == nil {
		return Depths{}
	}
	return s.desk.depths.get()
}

func (d *depths) open(l *wire.Link, cfg *Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link, d.cfg, d.queues, d.at = l, cfg, make(map[string]*depth), time.Time{}
}

// close lets no more looks begin.
func (d *depths) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link = nil
}

func (d *depths) get() Depths {
	d.mu.Lock()
	if d.link != nil && d.looking == nil && time.Since(d.at) >= lookEvery {
		d.looking = make(chan struct{})
		link, over, queues := d.link, d.looking, maps.Clone(d.queues)
		names := append([]string{d.cfg.Queue, d.cfg.DeadLetter}, d.delays()...)
		d.looks.Go(func() {
			for _, name := range names {
				queues[name] = queues[name].look(link, name)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.queues, d.at, d.looking = queues, time.Now(), nil
			close(over)
		})
	}
	looking := d.looking
	d.mu.Unlock()
	if looking != nil {
		select {
		case <-looking:
		case <-time.After(lookPatience):
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cfg == nil || time.Since(d.at) > lookValid {
		return Depths{}
	}
	all := Depths{}
	for name, q := range d.queues {
		switch {
		case name == d.cfg.Queue:
			all.Queued, all.Consumers = q.ready, q.consumers
		case name == d.cfg.DeadLetter:
			all.DeadLetters = q.ready
		case q.ready != nil:
			if all.Retrying == nil {
				all.Retrying = new(int)
			}
			*all.Retrying += *q.ready
		}
	}
	return all
}

// look asks the broker, on a channel of its own: a refusal closes the channel. It returns what is known then; q may be nil.
func (q *depth) look(l *wire.Link, queue string) *depth {
	if q != nil && time.Now().Before(q.again) {
		return q
	}
	q = new(depth)
	if queue == "" {
		return q
	}
	err := l.On(func(ch *amqp.Channel) error {
		found, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil) // the broker ignores the flags
		if err == nil {
			q.ready, q.consumers = &found.Messages, &found.Consumers
		}
		return err
	})
	if wire.Refused(err) {
		q.again = time.Now().Add(lookRefused)
	}
	return q
}
