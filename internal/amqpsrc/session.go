package amqpsrc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A session is one connection with one channel that consumes, from the dial to its end. When it ends, the
// broker requeues all that was not acked. One goroutine at a time owns the session and makes its
// synchronous calls. First it is the goroutine of Source.Run, in openSession and serve, then that of linger.
type session struct {
	link      *wire.Link
	ch        *amqp.Channel
	chClosed  chan *amqp.Error
	cancelled chan string // the consumer tags that the broker cancelled
	source    *Source
	window    wire.Window
	account   *wire.Account // nil: no bound on oversized messages

	// Only the owner uses these.
	deliveries <-chan amqp.Delivery // nil while nothing is consumed
	tag        string
	tags       int             // consumers so far: a tag that the broker may still know is an error
	since      time.Time       // when the consumer began
	found      int             // how many messages were in the queue at the start
	taken      int             // how many deliveries serve has received
	prefetch   int             // of the next consumer, as the broker knows it
	last       uint64          // the last delivery tag that was received
	due        bool            // renewDue has fired since the consumer began
	shut       time.Time       // since when a gate is closed; zero: none is
	shutLong   *time.Timer     // fires when one has been closed for Config.Keep
	near       int             // the first return number with a warning; the only one if limit is -1
	limit      int             // the queue's delivery limit; -1: none or unknown
	unread     []amqp.Delivery // deliveries whose bodies were not read; they are requeued one by one

	done     chan struct{} // closed when the session is over: nothing may be acked after that
	released atomic.Bool   // the broker knows of the end, and has requeued what was not acked

	acks   atomic.Int64 // how many acks were written
	behind atomic.Int64 // how many messages were in the queue at the start, and are not settled; it may go below 0

	earlier  atomic.Uint64 // the last delivery tag of earlier consumers
	freed    atomic.Int64  // how many of them were settled since the present consumer began
	renewDue *time.Timer   // fires when a new consumer can have more than the present one
	renewing sync.RWMutex  // held to read while a place is given back; to write while renew cancels

	callDue *time.Timer // fires when the owner is to make a call for the waiters
	mu      sync.Mutex
	batch   *fenceBatch // waiters for the next call; guarded by mu
	called  time.Time   // when the last call for waiters began; guarded by mu
	fenced  int64       // how many of the acks a fence has waited for; guarded by mu
}

// urgentFirst is the longest that the queue waits, at the start of the program, until the messages in the control queue are
// settled: a stop must not come after its run.
const urgentFirst = 2 * time.Second

// caughtUp reports whether the queue may be consumed, as far as the first messages of the queues that come before it are concerned.
func (s *session) caughtUp() (yes bool, changed <-chan struct{}) {
	if gate := s.source.urgent; gate != nil && !s.source.cfg.controls {
		if yes, changed = gate.State(); !yes {
			return false, changed
		}
	}
	if gate := s.source.handed; gate != nil && !s.source.cfg.hosted {
		return gate.State()
	}
	return true, nil
}

// settled counts n messages as settled.
func (s *session) settled(n int64) {
	if s.behind.Add(-n) <= 0 && s.source.urgent != nil && s.source.cfg.controls {
		s.source.urgent.Set(true)
	}
}

// over reports whether the session has ended.
func (s *session) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// openSession connects, declares or checks the queue and sets the prefetch. Nothing is consumed yet.
func (s *Source) openSession(ctx context.Context) (*session, error) {
	sess := &session{source: s, done: make(chan struct{}), prefetch: s.cfg.Prefetch, renewDue: time.NewTimer(0), callDue: time.NewTimer(0), shutLong: time.NewTimer(0)}
	sess.renewDue.Stop()
	sess.shutLong.Stop()
	sess.callDue.Stop()
	link, err := s.dialer.Open(ctx, wire.Consuming, func(l *wire.Link) error {
		var args amqp.Table
		if s.cfg.Declare != "" {
			args = amqp.Table{amqp.QueueTypeArg: s.cfg.Declare}
		}
		if s.cfg.primary() && s.hosts == nil && s.sessions.Load() == 0 { // at the start only
			if err := s.notShared(l); err != nil {
				return err
			}
		}
		if s.restore != nil {
			if err := s.restore(ctx, l); err != nil {
				return err
			}
		}
		queue := s.cfg.source()
		note, err := l.Declare(queue, args)
		if err != nil {
			err = wire.ExplainQueue(err, queue, fmt.Sprintf("configure permission on queue %q, to create it", queue))
			if s.cfg.controls && wire.Fatal(err) && !errors.Is(err, wire.ErrStream) {
				err = fmt.Errorf("%w: %w", wire.ErrNoControl, err)
			}
			return err
		}
		if note != "" {
			s.declared.Do(func() {
				s.cfg.Log.Warn("the queue exists with other arguments and is used as it is", "queue", queue, "broker", note)
			})
		}
		sess.found = l.Found
		sess.behind.Store(int64(l.Found))
		if s.control != nil {
			// Checked before any job begins. Other faults of the control queue show when it is consumed.
			if err := l.NoStream(s.cfg.Control); errors.Is(err, wire.ErrStream) {
				return err
			}
		}
		sess.near, sess.limit = nearLimit, -1
		if limit, ok := l.DeliveryLimit(queue); ok {
			sess.near, sess.limit = max(1, limit-lastReturns), limit
			s.limits.Store(true)
			if limit == 0 {
				l.Wire.In.Account.TakeAll()
			}
			s.limited.Do(func() {
				s.cfg.Log.Warn("the queue has a delivery limit: the broker drops a message that comes back more often, as that of each running job does when docker-dispatch stops",
					"queue", queue, "limit", limit, "hint", "use a queue without a limit: --declare quorum makes one")
			})
		}
		if sess.ch, err = l.Channel(); err != nil {
			return wire.Plain(err)
		}
		// consume keeps all consumers together within the prefetch. Deliveries far beyond it end the connection, and are redelivered.
		sess.window.Most = int64(s.cfg.Prefetch + 64)
		l.Wire.In.Window.Store(&sess.window)
		// Buffered: the library sends on them from the goroutine that reads the connection.
		sess.chClosed = sess.ch.NotifyClose(make(chan *amqp.Error, 1))
		sess.cancelled = sess.ch.NotifyCancel(make(chan string, 4))
		// Before the consumer: the prefetch applies only to consumers that begin after it.
		return wire.Plain(sess.ch.Qos(sess.prefetch, 0, false)) // no limit in bytes; not shared
	})
	if err != nil {
		return nil, err
	}
	sess.link, sess.account = link, link.Wire.In.Account
	return sess, nil
}

// serve hands deliveries over as jobs until ctx ends. Then it cancels the consumer, hands over what the
// broker had sent before the cancel, and returns nil with the session still up. Otherwise it returns why
// the session has failed.
//
// serve requeues unread deliveries only. While a gate is closed, and after ctx ends, the pool requeues the
// jobs that it does not begin. Only the pool has all the messages that must be requeued in order.
func (s *session) serve(ctx context.Context, jobs chan<- intake.Job) error {
	var next []intake.Job // not yet handed over
	late := time.NewTimer(wire.ReservedFor)
	defer late.Stop()
	patience := time.NewTimer(urgentFirst)
	defer patience.Stop()
	for {
		freed, err := s.askAgain(late)
		if err != nil {
			return err
		}
		open, changed, roomChanged, enteredChanged := s.source.cfg.open()
		recording, recordingChanged := s.source.publisher.Recording.State()
		urgent, urgentChanged := s.caughtUp()
		open = open && recording && urgent
		if ctx.Err() != nil {
			if err := s.takeBack(ctx, &next); err != nil {
				return err
			}
			for _, j := range next {
				jobs <- j // the pool receives until jobs is closed
			}
			return nil
		}
		if open && s.due {
			if err := s.renew(ctx, &next); err != nil {
				return err
			}
		}
		if open && s.deliveries == nil {
			if err := s.consume(ctx); err != nil {
				return err
			}
			s.settled(0)
		}
		keeps := s.keeps(open)
		if !open && !keeps && (s.deliveries != nil || len(s.unread) > 0) {
			if err := s.takeBack(ctx, &next); err != nil {
				return err
			}
		}
		if s.source.handed != nil && s.source.cfg.hosted && s.deliveries != nil && s.taken >= s.found && len(next) == 0 {
			s.source.handed.Set(true)
		}
		in, out := s.deliveries, chan<- intake.Job(nil)
		var job intake.Job
		if len(next) > 0 {
			out, job = jobs, next[0]
		}
		if len(next) > 0 || keeps {
			in = nil
		}
		select {
		case d, ok := <-in:
			if !ok {
				return s.why(nil)
			}
			if d.Headers[wire.UnreadableHeader] != nil {
				s.source.cfg.Log.Warn("a message's headers cannot be read; it is taken without them", "job", d.MessageId)
			}
			s.warnReturned(d)
			s.taken++
			s.take(d, &next)
		case out <- job:
			next = next[1:]
		case <-freed:
		case <-s.shutLong.C:
		case <-late.C:
			s.account.Unreserve()
		case <-changed:
		case <-roomChanged:
		case <-enteredChanged:
		case <-recordingChanged:
		case <-urgentChanged:
		case <-patience.C:
			for _, gate := range []*intake.Gate{s.source.urgent, s.source.handed} {
				if gate != nil { // another daemon may have taken the messages, or the queue may be away
					gate.Set(true)
				}
			}
		case <-ctx.Done():
		case <-s.renewDue.C:
			s.due = true
		case <-s.callDue.C:
			if err := s.barrier(ctx, wire.RPCTimeout); err != nil {
				return err
			}
		case l := <-s.source.looks:
			if err := s.answer(l, len(next)+len(s.unread), false); err != nil {
				return err
			}
		case e := <-s.chClosed:
			return s.why(e)
		case e := <-s.link.Closed:
			return s.why(e)
		case _, ok := <-s.cancelled:
			if ok {
				return wire.ErrCancelled
			}
			return s.why(nil) // closed with the channel
		}
	}
}

// take adds the job of a delivery to next, unless it has none, or waits.
func (s *session) take(d amqp.Delivery, next *[]intake.Job) {
	s.last = d.DeliveryTag
	if !s.setAside(d) && !(s.source.cfg.hosted && s.note(d)) {
		*next = append(*next, s.job(d))
	}
}

// linger keeps a session up that hands over no more jobs: running jobs can settle. If the session fails,
// linger returns the reason. When ctx ends, linger flushes the acks; nil means that the broker has
// all of them.
func (s *session) linger(ctx context.Context) error {
	for {
		select {
		case <-s.callDue.C:
			if err := s.barrier(ctx, wire.RPCTimeout); err != nil {
				return err
			}
		case l := <-s.source.looks:
			if err := s.answer(l, 0, true); err != nil {
				return err
			}
		case e := <-s.chClosed:
			return s.why(e)
		case e := <-s.link.Closed:
			return s.why(e)
		case <-ctx.Done():
			return s.flush()
		}
	}
}

// end marks the session as over, before anything is closed: after that nothing is acked. A sound
// connection is closed politely, which saves the broker's log a warning.
func (s *session) end(d *wire.Dialer, politely bool) {
	s.source.awaited.set(time.Time{}, false)
	close(s.done)
	s.source.moves.lost(s)
	go func() { // the library may wait for room for cancels, and with it the end
		for range s.cancelled {
		}
	}()
	if d.Part(s.link, politely) {
		s.released.Store(true)
	}
	s.account.Close()
}

// why returns the reason of a session's end. The library sends it on three channels, in an order that a
// select does not keep. The end of the deliveries alone never means a clean end.
func (s *session) why(e *amqp.Error) error {
	if e == nil {
		e = wire.NonBlocking(s.chClosed)
	}
	if e == nil {
		e = wire.NonBlocking(s.link.Closed)
	}
	if e != nil {
		if e.Server { // the broker has closed the channel or the connection
			s.released.Store(true)
		}
		return wire.ExplainQueue(e, s.source.cfg.source(), "permission")
	}
	if wire.NonBlocking(s.cancelled) != "" {
		return wire.ErrCancelled
	}
	return wire.ErrClosed
}
