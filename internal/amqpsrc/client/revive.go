package client

import (
	"cmp"
	"crypto/rand"
	"maps"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// A DeadLetter is what its headers tell of how a message came into a dead-letter queue.
type DeadLetter struct {
	Reason string    // such as invalid-message, or the broker's word, such as rejected
	Error  string    // empty if the broker put it there
	Host   string    // whose daemon put it there; empty if the broker did
	Queue  string    // from which it came; empty if unknown
	Copy   string    // tells this dead letter apart from all others; empty if the broker put it there
	Time   time.Time // when it was put there; zero if unknown
	Look   string    // the look in which Anew put it there; empty: none
	Looks  int       // how often it was returned to a quorum queue, which drops it at the delivery limit, if any
}

// DeadLetter reads the headers that tell how a message came into a dead-letter queue. Those are the daemon's,
// or the broker's if --dead-letter is none.
func (r Received) DeadLetter() DeadLetter {
	own := func(key string) string {
		s, _ := r.Headers[key].(string)
		return wire.Clip(s, wire.MaxError)
	}
	d := DeadLetter{Reason: own(wire.HeaderReason), Error: own(wire.HeaderError), Host: own(wire.HeaderHost), Queue: own(wire.HeaderQueue), Copy: wire.Text(r.Headers[wire.HeaderCopy])}
	d.Time, _ = time.Parse(time.RFC3339, own(wire.HeaderTime)) // zero if it is not a time
	d.Look = wire.Text(r.Headers[wire.HeaderLook])
	if r.Redelivered { // otherwise the publisher wrote it
		d.Looks = wire.Count(r.Headers["x-delivery-count"])
	}
	if d.Reason == "" {
		d.Reason = own("x-first-death-reason")
		d.Queue = own("x-first-death-queue")
		if deaths, _ := r.Headers["x-death"].([]any); len(deaths) > 0 {
			death, _ := deaths[len(deaths)-1].(amqp.Table)
			d.Time, _ = death["time"].(time.Time)
		}
	}
	return d
}

// Anew returns the dead letter to be published to the same queue again: the broker then counts its returns from zero.
// Its copy header shows that it and the original are the same dead letter, and its look header is look.
func (r Received) Anew(look string) Message {
	m := r.Message
	m.Headers = make(map[string]any, len(r.Headers)+3)
	maps.Copy(m.Headers, r.Headers)
	for _, key := range []string{"x-delivery-count", "x-acquired-count", "CC", "BCC"} { // the broker would route to CC and BCC
		delete(m.Headers, key)
	}
	m.Headers[wire.HeaderLook] = look
	m.Headers[wire.HeaderCopy] = cmp.Or(wire.Text(r.Headers[wire.HeaderCopy]), rand.Text())
	if r.UserID != "" { // the broker accepts a user_id from that user only
		m.Headers[wire.HeaderUser] = r.UserID
	}
	return m
}

// Revived returns the message that a dead letter was, to be sent again. It keeps the header by which the daemon
// tells copies of a message apart. A direct reply-to is removed: its client no longer waits.
func (r Received) Revived() Message {
	m := r.Message
	m.Headers = maps.Clone(m.Headers)
	maps.DeleteFunc(m.Headers, func(key string, _ any) bool {
		return key != wire.HeaderCopy && key != wire.HeaderUser && key != wire.HeaderSeal && !wire.Passes(key)
	})
	m.ReplyTo = cmp.Or(wire.Text(r.Headers[wire.HeaderReply]), m.ReplyTo)
	if strings.HasPrefix(m.ReplyTo, wire.DirectReply) {
		m.ReplyTo = ""
	}
	return m
}
