package client

import (
	"cmp"
	"crypto/rand"
	"maps"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// A DeadLetter is what is known of how a message came into a dead-letter queue.
type DeadLetter struct {
	Reason string    // such as invalid-message, or in the broker's own words, rejected
	Error  string    // empty where the broker put it there
	Host   string    // whose daemon put it there
	Queue  string    // where it came from; empty where nobody knows
	Copy   string    // tells this dead letter apart from all others; empty where the broker put it there
	Time   time.Time // when; zero where nobody knows
	Look   string    // by which Anew put it there; empty for none
	Looks  int       // how often a quorum queue has had it back; it drops it at its delivery limit, if it has one
}

// DeadLetter reads the headers that tell how a message came into a dead-letter queue: the daemon's, or the
// broker's own where --dead-letter is none.
func (r Received) DeadLetter() DeadLetter {
	own := func(key string) string { return wire.Clip(word(r.Headers[key]), wire.MaxError) }
	d := DeadLetter{Reason: own(wire.HeaderReason), Error: own(wire.HeaderError), Host: own(wire.HeaderHost), Queue: own(wire.HeaderQueue), Copy: wire.Text(r.Headers[wire.HeaderCopy])}
	d.Time, _ = time.Parse(time.RFC3339, own(wire.HeaderTime)) // zero where it is none
	d.Look = wire.Text(r.Headers[wire.HeaderLook])
	if r.Redelivered { // else it is the publisher's word
		d.Looks = wire.Count(r.Headers["x-delivery-count"])
	}
	if d.Reason == "" {
		d.Reason = own("x-first-death-reason")
		d.Queue = own("x-first-death-queue")
		if deaths, _ := r.Headers["x-death"].([]any); len(deaths) > 0 {
			death, _ := deaths[len(deaths)-1].(map[string]any)
			d.Time, _ = death["time"].(time.Time)
		}
	}
	return d
}

// Anew is the dead letter as it may be put into the same queue again, after which the broker counts its returns from
// zero. It has a mark of its copy, by which it and the original are known as the same letter, and that of the look.
func (r Received) Anew(look string) Message {
	m := r.Message
	m.Headers = make(map[string]any, len(r.Headers)+3)
	maps.Copy(m.Headers, r.Headers)
	delete(m.Headers, "x-delivery-count")
	delete(m.Headers, "x-acquired-count")
	delete(m.Headers, "CC") // it would go there again
	delete(m.Headers, "BCC")
	m.Headers[wire.HeaderLook] = look
	m.Headers[wire.HeaderCopy] = cmp.Or(wire.Text(r.Headers[wire.HeaderCopy]), rand.Text())
	if r.UserID != "" { // which a broker takes from its owner only
		m.Headers[wire.HeaderUser] = r.UserID
	}
	return m
}

// Revived is the message that a dead letter was, to be sent again. It keeps the header by which the daemon
// tells it from other copies of the same message; who waited directly for an answer does so no more.
func (r Received) Revived() Message {
	m := r.Message
	m.Headers = maps.Clone(m.Headers)
	maps.DeleteFunc(m.Headers, func(key string, _ any) bool { return key != wire.HeaderCopy && !wire.Passes(key) })
	m.ReplyTo = cmp.Or(wire.Text(r.Headers[wire.HeaderReply]), m.ReplyTo)
	if strings.HasPrefix(m.ReplyTo, wire.DirectReply) {
		m.ReplyTo = ""
	}
	return m
}

// word is a header's text, of whatever length; empty where it is none.
func word(value any) string {
	s, _ := value.(string)
	return s
}
