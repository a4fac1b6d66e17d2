package amqpsrc

import (
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// depths is how many messages wait in the queue and in the dead-letter queue. It asks the broker over the desk's connection,
// and only if somebody wants to know.
type depths struct {
	looks sync.WaitGroup // added to under mu, while link is set

	mu      sync.Mutex // guards what follows
	link    *wire.Link // nil: not connected
	queues  [2]depth
	at      time.Time     // of the last look
	looking chan struct{} // closed when the look that is under way is over; nil: none is
}

// A depth is how many messages wait in one queue.
type depth struct {
	queue string    // "": there is none
	ready *int      // nil: not known
	again time.Time // the broker has refused to tell: it is not asked before
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

// Depths returns how many messages wait in the queue and in the dead-letter queue; nil: not known. It may be called at any
// time, and takes at most a fraction of a second.
func (s *Source) Depths() (queued, deadLetters *int) {
	if s.desk == nil {
		return nil, nil
	}
	return s.desk.depths.get()
}

func (d *depths) open(l *wire.Link, cfg *Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link, d.queues, d.at = l, [2]depth{{queue: cfg.Queue}, {queue: cfg.DeadLetter}}, time.Time{}
}

// close lets no more looks begin.
func (d *depths) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link = nil
}

func (d *depths) get() (queued, deadLetters *int) {
	d.mu.Lock()
	if d.link != nil && d.looking == nil && time.Since(d.at) >= lookEvery {
		d.looking = make(chan struct{})
		link, queues, over := d.link, d.queues, d.looking
		d.looks.Go(func() {
			for i := range queues {
				queues[i].look(link)
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
	if time.Since(d.at) > lookValid {
		return nil, nil
	}
	return d.queues[0].ready, d.queues[1].ready
}

// look asks the broker, on a channel of its own: a refusal closes the channel.
func (q *depth) look(l *wire.Link) {
	if q.queue == "" || time.Now().Before(q.again) {
		return
	}
	q.ready = nil
	err := l.On(func(ch *amqp.Channel) error {
		found, err := ch.QueueDeclarePassive(q.queue, true, false, false, false, nil) // the broker ignores the flags
		if err == nil {
			q.ready = &found.Messages
		}
		return err
	})
	if wire.Refused(err) {
		q.again = time.Now().Add(lookRefused)
	}
}
