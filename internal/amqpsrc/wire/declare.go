package wire

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Declare makes sure that a queue exists and is not a stream. If args is nil, Declare does not create the queue.
// Otherwise it creates a missing queue, durable. A queue with other arguments is used as it is; note says how it differs.
// Found is then how many messages are in it.
func (l *Link) Declare(queue string, args amqp.Table) (note string, err error) {
	typed := false // the broker has confirmed that the queue has the type in args
	if args != nil {
		err = errNoLimit
		if l.unlimits() && args[amqp.QueueTypeArg] == amqp.QueueTypeQuorum {
			without := maps.Clone(args)
			without["x-delivery-limit"] = int32(-1)
			err = l.create(queue, without)
		}
		if err == errNoLimit || Code(err) == amqp.PreconditionFailed {
			// The queue may exist without x-delivery-limit: earlier versions of the program did not set it.
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
	// Without the configure permission an existing queue can still be used.
	missing := l.look(queue)
	if missing == nil {
		missing = l.NoStream(queue)
	}
	if err != nil && note == "" && IsNoQueue(missing) {
		return "", err
	}
	return note, missing
}

// errNoLimit stands for the result of a declare with x-delivery-limit if none was made.
var errNoLimit = errors.New("no delivery limit to take off")

// unlimits reports whether x-delivery-limit -1 means no limit. With -1, RabbitMQ 3 drops a message at its first requeue.
func (l *Link) unlimits() bool {
	version, _ := l.Properties["version"].(string)
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 4
}

// DeliveryLimit returns the delivery limit that a quorum queue was declared with. ok is false if it was declared without one: then a
// policy may set a limit, and RabbitMQ 4 has a default of 20. DeliveryLimit declares the queue with an invalid limit, because the
// broker's error names the queue's own. RabbitMQ 3 treats -1 as 0, and so does DeliveryLimit.
// If the queue was just deleted and this declare creates it, DeliveryLimit deletes it again.
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

// reasonOf returns the broker's text of an error with the code want, and "" for other errors.
func reasonOf(err error, want int) string {
	if Code(err) != want {
		return ""
	}
	return Reason(err)
}

func (l *Link) create(queue string, args amqp.Table) error {
	return l.On(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclare(queue,
			true,  // durable
			false, // autoDelete
			false, // exclusive
			false, // noWait
			args)
		l.Found = q.Messages
		return err
	})
}

// look returns an error if the queue does not exist.
func (l *Link) look(queue string) error {
	return l.On(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil) // a passive declare ignores the flags
		l.Found = q.Messages
		if Code(err) == amqp.AccessRefused {
			// RabbitMQ 4.2.6 and 4.3.0 require the configure permission for a passive declare.
			// If the queue is missing, the next operation on it fails.
			return ErrSkip
		}
		return err
	})
}

// NoStream returns an error if the queue is a stream. A passive declare does not tell the type. NoStream starts
// a consumer with an offset and without a prefetch. Every type refuses that with its own text, so nothing is ever
// delivered (seen on 3.10 and 4.0). This needs the read permission; without it the type stays unknown.
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
