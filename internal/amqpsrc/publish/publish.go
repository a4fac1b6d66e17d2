package publish

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// confirmTimeout is how long a confirm may take from a broker that is not blocking. A quorum
// queue without its majority confirms late; a message that is sent again by then is stored twice.
const confirmTimeout = 5 * time.Minute

// A Config is the configuration of a publisher.
type Config struct {
	Queue      string // from which the jobs are taken
	DeadLetter string // a queue that is created if it does not exist; "": none
	Results    string // a queue for the results of all jobs; "": none
	Declare    string // the type of the queues that are created; "": classic, and Results must exist
	Host       string // this host's name
	Log        *slog.Logger
	Users      Users

	// Gate is closed while the jobs may be another host's. Only streams are published then. Nil: always open.
	Gate *intake.Gate
}

// A Publisher is the connection over which messages are published. It reconnects by itself. Losing it
// loses no delivery.
type Publisher struct {
	dialer *wire.Dialer
	config Config
	log    *slog.Logger
	report wire.Reporter
	odd    sync.Once // logs once that the dead-letter queue has other arguments

	replies    chan struct{} // one token for each reply that holds an outlet or waits for one
	refusals   refusals
	Recording  intake.Gate           // closed while results cannot be stored
	unrecorded atomic.Pointer[error] // the last reason why one was not
	dropped    atomic.Int64          // how many replies were dropped

	life    context.Context // until Close
	end     context.CancelFunc
	work    sync.WaitGroup // run, and the streams
	started bool           // only Start uses it

	published, unconfirmed atomic.Int64 // messages: in all, and those under way
	deadLetters            atomic.Int64 // messages that were stored in the dead-letter queue

	mu      sync.Mutex
	line    *line                // nil while there is no connection; guarded by mu
	changed chan struct{}        // closed at the next change of line; guarded by mu
	births  map[string]time.Time // by delay queue: when we created it, zero if we did not; few, see message.Retry; guarded by mu
}

// New returns a Publisher that connects by d. Nothing is dialled before Start.
func New(d *wire.Dialer, cfg Config) *Publisher {
	p := &Publisher{
		dialer:  d,
		config:  cfg,
		log:     cfg.Log,
		report:  wire.Reporter{Log: cfg.Log, Lost: "publishing connection lost, waiting", Back: "publishing connection is back"},
		replies: make(chan struct{}, wire.Publishers/2),
		changed: make(chan struct{}),
		births:  make(map[string]time.Time),
	}
	p.Recording.Set(true)
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// connect opens a line. If first, the dead-letter and results queues must exist or be created, and the
// user must be allowed to publish. Later such failures are only logged, because the line has other work.
func (p *Publisher) connect(ctx context.Context, first bool) (*line, error) {
	l := &line{
		free: make(chan *wire.Outlet, wire.Publishers),
		turn: make(chan struct{}, 1),
		over: make(chan struct{}),
		seed: maphash.MakeSeed(),
	}
	_, err := p.dialer.Open(ctx, "publish", func(k *wire.Link) error {
		l.link = k
		if most := int(k.Config.ChannelMax); most < wire.ChannelsNeeded {
			return fmt.Errorf("%w: a connection to this broker has at most %d, and %d are needed (channel_max)", wire.ErrChannels, most, wire.ChannelsNeeded)
		}
		if err := p.declare(k); err != nil {
			if first {
				return err
			}
			p.log.Warn("dead-letter queue not declared", "error", err)
		}
		if err := p.declareResults(k); err != nil {
			if first {
				return err
			}
			p.log.Warn("results queue not declared", "error", err)
		}
		for range wire.Publishers {
			o, err := k.Outlet(1)
			if err != nil {
				return wire.Plain(err)
			}
			l.free <- o
		}
		if first && (p.config.DeadLetter != "" || p.config.Results != "") {
			return p.mayPublish(l)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// declare creates the dead-letter queue if it does not exist. Its errors are meant for the operator.
func (p *Publisher) declare(l *wire.Link) error {
	queue, kind := p.config.DeadLetter, cmp.Or(p.config.Declare, amqp.QueueTypeClassic)
	if queue == "" {
		return nil
	}
	note, err := l.Declare(queue, amqp.Table{amqp.QueueTypeArg: kind})
	if note != "" && strings.Contains(note, "'x-queue-type'") {
		p.log.Debug("the dead-letter queue has another type and is used as it is", "queue", queue, "broker", note)
	} else if note != "" {
		p.odd.Do(func() {
			p.log.Warn("the dead-letter queue exists with other arguments and is used as it is: with a length limit or a TTL it loses dead letters", "queue", queue, "broker", note)
		})
	}
	if wire.Code(err) == amqp.AccessRefused {
		return fmt.Errorf("%w: %q does not exist, and the user has no configure permission on it, to create it: %s", wire.ErrNoDeadLetter, queue, wire.Reason(err))
	}
	return wire.ExplainQueue(err, queue, "permission")
}

// mayPublish checks at start whether the user may publish to the default exchange, not only with the first
// message. It sends a message to no queue, which the broker returns. A broker short of memory does not
// answer, and mayPublish does not wait for it. That broker does not answer later calls on this connection
// either, so mayPublish comes last before the line is used.
func (p *Publisher) mayPublish(l *line) error {
	o := <-l.free
	defer func() { l.free <- o }()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := o.Send(ctx, "", "docker-dispatch.nowhere."+rand.Text(), amqp.Publishing{}, confirmTimeout)
	if wire.Code(err) == amqp.AccessRefused {
		return wire.ExplainQueue(err, "", `write permission on exchange "amq.default", to publish dead letters and results`)
	}
	if errors.Is(err, wire.ErrLine) {
		return err
	}
	return nil
}

// Start returns when the Publisher is connected, ctx has ended, or an error is fatal. A goroutine then connects again as
// needed, until Close. After a success Start does nothing. Only one goroutine calls it.
func (p *Publisher) Start(ctx context.Context) error {
	if p.started {
		return nil
	}
	for wait := new(wire.Backoff); ; {
		l, err := p.connect(ctx, true)
		switch {
		case err == nil:
			p.report.Well()
			p.started = true
			p.work.Go(func() { p.run(p.life, l) })
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case wire.Fatal(err):
			return err
		}
		p.report.Fail(err)
		if delay.Sleep(ctx, wait.Next()) != nil {
			return ctx.Err()
		}
	}
}

// Close ends the connection, and waits until the streams have ended. Nothing can be published any more.
func (p *Publisher) Close() {
	p.end()
	p.work.Wait()
}

// run serves a line, and reconnects when it is lost, until ctx ends. If l is nil, run connects first.
func (p *Publisher) run(ctx context.Context, l *line) {
	for wait := new(wire.Backoff); ; {
		if l != nil {
			began := time.Now()
			p.set(l)
			err := l.link.Watch(ctx, p.blocked)
			p.set(nil)
			close(l.over)
			p.dialer.Part(l.link, err == nil)
			if ctx.Err() != nil {
				return
			}
			p.report.Fail(err)
			if time.Since(began) > wire.LongEnough {
				wait.Reset()
			}
		}
		if delay.Sleep(ctx, wait.Next()) != nil {
			return
		}
		var err error
		if l, err = p.connect(ctx, false); err == nil {
			p.report.Well()
		} else if ctx.Err() == nil {
			p.report.Fail(err)
		}
	}
}

// blocked logs whether the broker takes messages.
func (p *Publisher) blocked(blocked bool, reason string) {
	if blocked {
		p.log.Warn("the broker takes no messages for now; dead letters wait", "reason", reason)
	} else {
		p.log.Info("the broker takes messages again")
	}
}

// set makes l the current line; nil: there is none.
func (p *Publisher) set(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = l
	close(p.changed)
	p.changed = make(chan struct{})
}

// current returns the current line, and waits while there is none.
func (p *Publisher) current(ctx context.Context) (*line, error) {
	for {
		p.mu.Lock()
		l, changed := p.line, p.changed
		p.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// publish sends a message as Outlet.Send does, and returns nil once the broker has confirmed that it is stored. After
// wire.ErrLine, wire.ErrUnanswered and the error of ctx that is unknown. make returns the message, for frames of at most frameMax
// bytes. publish calls may right before it sends: if may returns false, nothing is sent, and the error is ErrDeliveryLost.
func (p *Publisher) publish(ctx context.Context, exchange, queue string, make func(frameMax int) amqp.Publishing, patience time.Duration, may func() bool) error {
	l, err := p.current(ctx)
	if err != nil {
		return err
	}
	if err := l.ready(ctx); err != nil {
		return err
	}
	o, err := l.outlet(ctx)
	if err != nil {
		return err
	}
	defer func() { l.free <- o }() // never blocks: free has room for all outlets
	if !may() {
		return intake.ErrDeliveryLost
	}
	p.published.Add(1)
	p.unconfirmed.Add(1)
	defer p.unconfirmed.Add(-1)
	return o.Send(ctx, exchange, queue, make(l.link.Config.FrameSize), patience)
}

// call makes synchronous calls on the current line.
func (p *Publisher) call(ctx context.Context, calls func(*wire.Link) error) error {
	l, err := p.current(ctx)
	if err != nil {
		return err
	}
	return l.call(ctx, func() error { return calls(l.link) })
}
