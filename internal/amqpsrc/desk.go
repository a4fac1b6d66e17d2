package amqpsrc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// A desk answers questions about the daemon's status. It has a connection of its own: it answers while the queue is full, while
// jobs of the control queue hang, and while the engine is away. A fault of the desk disturbs nothing else.
type desk struct {
	config *Config
	dialer *wire.Dialer
	depths depths
	answers

	mu    sync.Mutex
	fault error // why no question is answered; nil: they are; guarded by mu
}

const (
	// mostQuestion is the largest body that is read of a question. A question needs none.
	mostQuestion = 4 << 10

	// waitingQuestions is how many questions wait at the broker, and how many at the desk.
	waitingQuestions = 16

	// questionTTL is how long a question waits: ps has ended by then.
	questionTTL = 10 * time.Second

	// answerEvery bounds the rate of answers: a stranger may send any number of questions.
	answerEvery = 50 * time.Millisecond

	// seldom is how much longer the delay to the next attempt is after the broker has refused the connection or a permission:
	// it grows to 5 minutes.
	seldom = 10
)

func newDesk(cfg *Config) *desk {
	d := &desk{config: cfg, dialer: newDialer(*cfg), answers: answers{status: cfg.Status, most: wire.MostAnswer}, fault: wire.ErrNotConnected}
	d.dialer.Budget = wire.NewBudget(mostQuestion, 0)
	return d
}

// openDesk starts the desk, which ends when s.life does. It must be called while Run runs: Close waits for s.running.
func (s *Source) openDesk() {
	if s.desk == nil {
		return
	}
	s.desk.dialer.Address = s.dialer.Address
	s.running.Go(func() { s.desk.run(s.life) })
}

// run answers questions until ctx ends. It reconnects by itself.
func (d *desk) run(ctx context.Context) {
	told := false // a warning of this outage was logged
	shut := false // that was about a connection that could not be opened
	for wait := new(wire.Backoff); ; {
		began := time.Now()
		c, err := d.open(ctx)
		refused := wire.Refused(err) || wire.Fatal(err)
		if err == nil {
			d.set(nil)
			if shut {
				d.config.Log.Info("questions of docker-dispatch ps are answered")
				told, shut = false, false
			}
			if err = d.serve(ctx, c); wire.TooLarge(err) {
				d.refused()
			}
			if time.Since(began) > wire.LongEnough {
				wait.Reset()
				told = false // not before: answers may be refused again and again
			}
		}
		if ctx.Err() != nil {
			return
		}
		d.set(err)
		level, pause := slog.LevelDebug, wait.Next() // the other connections log that the broker is away
		if (refused || wire.Code(err) == amqp.AccessRefused) && !told {
			level, told = slog.LevelWarn, true
		}
		if refused {
			pause, shut = seldom*pause, true
		}
		args := []any{"error", err}
		if lack, ok := errors.AsType[*lackError](err); ok {
			args = append(args, "hint", lack.hint())
		}
		d.config.Log.Log(ctx, level, "questions of docker-dispatch ps are not answered", args...)
		if delay.Sleep(ctx, pause) != nil {
			return
		}
	}
}

// set records why no question is answered; nil: they are.
func (d *desk) set(fault error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// condition returns whether questions are answered. It is no fault that anybody must mend at once.
func (d *desk) condition() status.Condition {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		return status.Condition{Name: "ps", State: status.Warning, Reason: "questions of docker-dispatch ps are not answered: " + d.fault.Error()}
	}
	return status.Condition{Name: "ps", State: status.Met, Reason: "questions of docker-dispatch ps are answered"}
}

// A deskSession is one connection of the desk.
type deskSession struct {
	*wire.Link
	ch        *amqp.Channel
	closed    chan *amqp.Error
	questions <-chan amqp.Delivery
	window    wire.Window
}

// open connects, and makes the queue for questions. The broker deletes the queue with the connection.
func (d *desk) open(ctx context.Context) (*deskSession, error) {
	c := &deskSession{window: wire.Window{Most: 2 * waitingQuestions}}
	link, err := d.dialer.Open(ctx, wire.Asking, func(l *wire.Link) (err error) {
		l.Wire.In.Window.Store(&c.window)
		if c.ch, err = l.Channel(); err != nil {
			return wire.Plain(err)
		}
		c.closed = c.ch.NotifyClose(make(chan *amqp.Error, 1))
		prefix := questionsPrefix(d.config.Queue)
		queue := prefix + serial()
		own := regexp.QuoteMeta(prefix) + ".*"
		_, err = c.ch.QueueDeclare(queue,
			false, // durable
			true,  // autoDelete
			true,  // exclusive
			false, // noWait
			amqp.Table{
				amqp.QueueTypeArg: amqp.QueueTypeClassic, "x-max-length": waitingQuestions, "x-message-ttl": questionTTL.Milliseconds(),
			})
		if err != nil {
			return lacks(err, "configure", own)
		}
		if err := c.ch.QueueBind(queue, wire.QuestionKey(d.config.Queue), wire.QuestionExchange, false, nil); err != nil { // noWait
			if strings.Contains(wire.Reason(err), "exchange") {
				return lacks(err, "read", regexp.QuoteMeta(wire.QuestionExchange))
			}
			return lacks(err, "write", own)
		}
		if err := c.ch.Qos(waitingQuestions, 0, false); err != nil { // no limit in bytes; not shared
			return wire.Plain(err)
		}
		c.questions, err = wire.Consume(c.ch, queue, "docker-dispatch-status")
		return lacks(err, "read", own)
	})
	c.Link = link
	return c, err
}

// questionsPrefix returns the start of the name of a daemon's queue for questions. A name has at most 255 bytes.
func questionsPrefix(queue string) string {
	const more = len(".status.") + 12
	return strings.ToValidUTF8(queue[:min(len(queue), 255-more)], "") + ".status."
}

// serial returns 12 random hexadecimal digits.
func serial() string {
	b := make([]byte, 6)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// serve answers questions until ctx ends or the connection does, and returns why that ended. It closes the connection.
func (d *desk) serve(ctx context.Context, c *deskSession) error {
	d.depths.open(c.Link, d.config)
	defer func() {
		d.depths.close()
		d.dialer.Part(c.Link, !c.IsClosed())
		d.depths.looks.Wait()
	}()
	for questions, pace := c.questions, (<-chan time.Time)(nil); ; {
		select {
		case q, ok := <-questions:
			if !ok {
				return c.why(nil)
			}
			if err := d.take(ctx, c, q); err != nil {
				return err
			}
			questions, pace = nil, time.After(answerEvery)
		case <-pace:
			questions = c.questions
		case e := <-c.closed:
			return c.why(e)
		case e := <-c.Closed:
			return c.why(e)
		case <-ctx.Done():
			return nil
		}
	}
}

// take acks a question and answers it. A broker that is short of memory reads no answer.
func (d *desk) take(ctx context.Context, c *deskSession, q amqp.Delivery) error {
	c.window.Settled()
	return c.Until(ctx, wire.RPCTimeout, func() error {
		if err := q.Ack(false); err != nil { // multiple
			return c.why(nil)
		}
		if open, _ := c.Unblocked.State(); !open || !wire.Answerable(q.ReplyTo) {
			return nil
		}
		// Not mandatory: if the answer is not awaited any more, nothing is to be done.
		err := c.ch.Publish("", q.ReplyTo, false, false, amqp.Publishing{
			ContentType: "application/json", Type: wire.Asking, AppId: wire.AppID, CorrelationId: q.CorrelationId, Body: d.body(),
		})
		if err != nil {
			return c.why(nil)
		}
		return nil
	})
}

// why returns why the channel or the connection has ended. e is what was received from it, or nil.
func (c *deskSession) why(e *amqp.Error) error {
	for _, closed := range []chan *amqp.Error{c.closed, c.Closed} {
		if e == nil {
			e = wire.NonBlocking(closed)
		}
	}
	if e == nil {
		return wire.ErrClosed
	}
	return lacks(e, "write", regexp.QuoteMeta("amq.default")) // only an answer is refused then
}

// A lackError is an error for which a permission lacks.
type lackError struct {
	error
	kind, pattern string
}

func (e *lackError) Unwrap() error { return e.error }

func (e *lackError) hint() string {
	return fmt.Sprintf("let the user's %s pattern match %s too (rabbitmqctl set_permissions); docker-dispatch help operate has the whole line", e.kind, e.pattern)
}

// lacks explains the error of a call that takes a permission.
func lacks(err error, kind, pattern string) error {
	switch {
	case err == nil:
		return nil
	case wire.Code(err) == amqp.AccessRefused:
		return &lackError{wire.Plain(err), kind, pattern}
	}
	return wire.Plain(err)
}
