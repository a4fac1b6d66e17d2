package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// impatience is how long a reply_to may refuse messages or not confirm them. A client that does not read its
// answers must not hold up the queue for ever. See refusals.
const impatience = time.Minute

// A Replier is where the answers to one message go.
type Replier struct {
	publisher   *Publisher
	to          string // "": nowhere
	correlation string
	messageID   string // of the request, for the log
	lost        func() bool
}

// Replier returns where the answers to a message go. lost reports whether the delivery is lost.
func (p *Publisher) Replier(d amqp.Delivery, lost func() bool) Replier {
	return Replier{publisher: p, to: d.ReplyTo, correlation: cmp.Or(d.CorrelationId, d.MessageId), messageID: d.MessageId, lost: lost}
}

// event returns the message that carries an event. Its message_id is made of job and what, and is the
// same if the event is sent again. Its type is what, up to the first slash.
func (r Replier) event(job, what string, body []byte) amqp.Publishing {
	kind, _, _ := strings.Cut(what, "/")
	return amqp.Publishing{
		ContentType:   "application/json",
		Type:          kind,
		AppId:         wire.AppID,
		DeliveryMode:  amqp.Persistent,
		MessageId:     eventID(job, what),
		CorrelationId: r.correlation,
		Timestamp:     time.Now(),
		Body:          body,
	}
}

// eventID returns the message_id of an event, at most 255 bytes. A job's id that is too long is hashed.
func eventID(job, what string) string {
	if len(job)+1+len(what) > 255 {
		sum := sha256.Sum256([]byte(job))
		job = hex.EncodeToString(sum[:])
	}
	return job + "/" + what
}

// keep stores a result. If its captured output makes it larger than the broker takes, that is left out.
func (r Replier) keep(ctx context.Context, res event.Result, k keeping) error {
	p := r.publisher
	k.message, k.lost = r.result(res), r.lost
	captured := len(res.Stdout)+len(res.Stderr) > 0
	whole := k
	whole.vain = func(err error) bool { return captured && wire.TooLarge(err) || k.vain(err) }
	err := p.keep(ctx, r.messageID, whole)
	if vain, ok := errors.AsType[*vainError](err); !ok || !captured || !wire.TooLarge(vain.error) {
		return err
	}
	p.log.Warn(k.what+" larger than the broker takes: stored without the captured output; a smaller --capture helps",
		"job", r.messageID, "to", wire.Clip(k.queue, 255), "error", err)
	res.Stdout, res.Stderr = "", ""
	k.message = r.result(res)
	return p.keep(ctx, r.messageID, k)
}

func (r Replier) result(res event.Result) func(int) amqp.Publishing {
	what := "result"
	if res.Retrying {
		what += "/" + strconv.Itoa(res.Attempt) // not the last one
	}
	m := r.event(res.Job, what, res.JSON())
	return func(int) amqp.Publishing { return m }
}

// Reply publishes a result to the message's reply_to. See intake.Job.Reply.
func (r Replier) Reply(ctx context.Context, res event.Result) error {
	p := r.publisher
	err := r.keep(ctx, res, keeping{what: "reply", queue: r.to, reply: true, vain: func(err error) bool {
		return errors.Is(err, wire.ErrUnroutable) || errors.Is(err, errMalformed) || p.refusals.vain(r.to, err)
	}})
	if vain, ok := errors.AsType[*vainError](err); ok {
		p.unheard(r, vain.error)
		return nil
	}
	if err == nil {
		p.refusals.stored(r.to)
	}
	return err
}

// unheard logs that the answers to a message are dropped.
func (p *Publisher) unheard(r Replier, err error) {
	msg := "reply dropped: its queue does not exist, or does not accept messages"
	switch {
	case wire.TooLarge(err):
		msg = "the reply is larger than the broker takes: it is dropped"
	case wire.Refused(err):
		msg = "the broker refuses the reply: it is dropped"
	}
	p.log.Warn(msg, "job", r.messageID, "reply_to", wire.Clip(r.to, 255), "error", err, "dropped", p.dropped.Add(1))
}

// Record publishes a result to the results queue. If the broker cannot store it, no messages are taken
// until it can. See intake.Job.Record.
func (r Replier) Record(ctx context.Context, res event.Result) error {
	p := r.publisher
	err := r.keep(ctx, res, keeping{
		what: "result", queue: p.config.Results, declare: p.declareResults,
		vain: func(err error) bool {
			if !errors.Is(err, wire.ErrLine) {
				p.unrecorded.Store(&err)
				if p.Recording.Set(false) {
					p.log.Error("results cannot be stored; no messages are taken until they can", "queue", p.config.Results, "error", err)
				}
			}
			return false
		},
	})
	if err == nil && p.Recording.Set(true) {
		p.log.Info("results can be stored again", "queue", p.config.Results)
	}
	return err
}

// declareResults creates the results queue if Declare is given and the queue does not exist. Without
// Declare the queue must exist.
func (p *Publisher) declareResults(l *wire.Link) error {
	if p.config.Results == "" {
		return nil
	}
	var args amqp.Table
	if p.config.Declare != "" {
		args = amqp.Table{amqp.QueueTypeArg: p.config.Declare}
	}
	_, err := l.Declare(p.config.Results, args)
	if wire.IsNoQueue(err) {
		return fmt.Errorf("%w: %q: %s", wire.ErrNoResults, p.config.Results, wire.Reason(err))
	}
	return wire.ExplainQueue(err, p.config.Results, fmt.Sprintf("configure permission on queue %q, to create it", p.config.Results))
}
