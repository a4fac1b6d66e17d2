package wire

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Declare makes sure that a queue exists and is no stream. Without arguments it only looks; else the queue is
// created, durable, where it is missing, and one that is there with other arguments is used as it is.
func (l *Link) Declare(queue string, args amqp.Table) (note string, err error) {
	typed := false // the broker has said that the type is that of args
	if args != nil {
		err = errNoLimit
		if l.unlimits() && args[amqp.QueueTypeArg] == amqp.QueueTypeQuorum {
			without := maps.Clone(args)
			without["x-delivery-limit"] = int32(-1)
			err = l.create(queue, without)
		}
		if err == errNoLimit || Code(err) == amqp.PreconditionFailed {
			// Also a queue that an earlier version made, without the argument.
			err = l.create(queue, args)
		}
		note = reasonOf(err, amqp.PreconditionFailed)
		typed = err == nil
	}
	switch {
	case typed:
		return "", nil
	case strings.Contains(note, "current is 'stream'"):
		return "", fmt.Errorf("queue %q %w", queue, ErrStream)
	case err != nil && note == "" && Code(err) != amqp.AccessRefused:
		return "", err
	}
	// Without the permission to create it the queue is as good, if it is there.
	missing := l.look(queue)
	if missing == nil {
		missing = l.NoStream(queue)
	}
	if err != nil && note == "" && IsNoQueue(missing) {
		return "", err
	}
	return note, missing
}

// errNoLimit is in place of the answer to a declare that was not made.
var errNoLimit = errors.New("no delivery limit to take off")

// unlimits tells whether x-delivery-limit -1 means that there is no limit. RabbitMQ 3 drops a message at its first
// return then.
func (l *Link) unlimits() bool {
	version, _ := l.Properties["version"].(string)
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 4
}

// DeliveryLimit returns the delivery limit that a queue was declared with. It is not ok where the queue has none, or a
// policy sets it. It declares the queue with a wrong limit: the broker's error tells the real one. If this makes the
// queue, because somebody has just deleted it, the queue is deleted again.
func (l *Link) DeliveryLimit(queue string) (limit int, ok bool) {
	err := l.create(queue, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": "?"})
	if err == nil {
		_ = l.On(func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(queue, false, false, false) // ifUnused, ifEmpty, noWait
			return err
		})
	}
	_, what, _ := strings.Cut(reasonOf(err, amqp.PreconditionFailed), "'x-delivery-limit'")
	_, current, _ := strings.Cut(what, "but current is ")
	_, current, _ = strings.Cut(current, "'")
	current, _, _ = strings.Cut(current, "'")
	limit, err = strconv.Atoi(current)
	if limit < 0 && !l.unlimits() {
		limit = 0
	}
	return limit, err == nil && limit >= 0
}

// reasonOf returns the broker's words of an error with that code, and "" for all others.
func reasonOf(err error, want int) string {
	if Code(err) != want {
		return ""
	}
	return Reason(err)
}

func (l *Link) create(queue string, args amqp.Table) error {
	return l.On(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(queue,
			true,  // durable
			false, // autoDelete
			false, // exclusive
			false, // noWait
			args)
		return err
	})
}

// look is an error if the queue does not exist.
func (l *Link) look(queue string) error {
	return l.On(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil) // the flags are not looked at
		if Code(err) == amqp.AccessRefused {
			// RabbitMQ 4.2.6 and 4.3.0 want the configure permission for a look. What is then
			// done with the queue will tell whether it is there.
			return ErrSkip
		}
		return err
	})
}

// NoStream is an error if the queue is a stream. A look does not tell the type. A consumer with an offset and
// without a prefetch is refused by every type, each in its own words, so nothing is ever delivered (seen on 3.10
// and 4.0). That needs the read permission; without it the type stays unknown.
func (l *Link) NoStream(queue string) error {
	err := l.On(func(ch *amqp.Channel) error {
		_, err := ch.Consume(queue, "", false, false, false, false, amqp.Table{"x-stream-offset": "last"})
		return err
	})
	switch {
	case strings.Contains(reasonOf(err, amqp.PreconditionFailed), "prefetch count is not set"):
		return fmt.Errorf("queue %q %w", queue, ErrStream)
	case IsNoQueue(err), Code(err) == 0:
		return err
	}
	return nil
}
