package amqpsrc

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// Headers of a dead letter. All of this prefix are ours: what a publisher sent under it is dropped, so
// that nobody can forge, for one, the user that the broker has verified.
const (
	headerPrefix  = "x-dispatch-"
	headerReason  = headerPrefix + "reason"
	headerError   = headerPrefix + "error"
	headerHost    = headerPrefix + "host"
	headerTime    = headerPrefix + "time"
	headerQueue   = headerPrefix + "queue"
	headerCopy    = headerPrefix + "copy"            // tells this copy apart from others
	headerLook    = headerPrefix + "look"            // which look has put it into the dead-letter queue anew
	headerUser    = headerPrefix + "user-id"         // the user_id, which a broker takes from its owner only
	headerReply   = headerPrefix + "reply-to"        // a reply_to that a broker would refuse
	headerDropped = headerPrefix + "dropped-headers" // names of headers that had no place, or "*"

	maxReason  = 128
	maxError   = 1024
	maxDropped = 20 // names in headerDropped
)

// directReply as a reply_to is refused from all but the one who waits for the answer.
const directReply = "amq.rabbitmq.reply-to"

// deadLetter makes the copy of a message that goes to the dead-letter queue.
func deadLetter(d amqp.Delivery, queue, host, copy string, r event.Result, now time.Time, frameMax int) amqp.Publishing {
	return copyWith(d, amqp.Table{
		headerReason: clip(r.Reason, maxReason),
		headerError:  clip(r.Error, maxError),
		headerHost:   clip(host, 255),
		headerTime:   now.UTC().Format(time.RFC3339),
		headerQueue:  clip(queue, 255),
		headerCopy:   copy,
	}, frameMax)
}

// copyWith makes a copy of a message, with headers of ours: the body as it was, and of the properties an
// allow-list. Left out is what the broker refuses from us (user_id), what it acts on (expiration, CC and
// BCC, which would send further copies), and what it wrote itself.
// The copy's properties and headers are one frame of at most frameMax bytes (0: any size); the broker
// ends the connection over a larger one, so headers that have no place are dropped, largest first.
func copyWith(d amqp.Delivery, ours amqp.Table, frameMax int) amqp.Publishing {
	ours = maps.Clone(ours)
	p := amqp.Publishing{
		ContentType:     d.ContentType,
		ContentEncoding: d.ContentEncoding,
		DeliveryMode:    amqp.Persistent,
		Priority:        d.Priority,
		CorrelationId:   d.CorrelationId,
		ReplyTo:         d.ReplyTo,
		MessageId:       d.MessageId,
		Timestamp:       d.Timestamp,
		Type:            d.Type,
		AppId:           d.AppId,
		Body:            d.Body,
	}
	if d.UserId != "" {
		ours[headerUser] = clip(d.UserId, 255)
	}
	if d.ReplyTo == directReply {
		p.ReplyTo, ours[headerReply] = "", d.ReplyTo
	}
	kept, dropped := fit(d.Headers, room(p, ours, frameMax)-droppedRoom)
	if d.Headers[unreadableHeader] != nil {
		ours[headerDropped] = "*"
	} else if len(dropped) > 0 {
		ours[headerDropped] = droppedNames(dropped)
	}
	for k, v := range ours {
		kept[k] = v
	}
	p.Headers = kept
	return p
}

// passes tells whether a header of the original belongs into the copy.
func passes(key string) bool {
	switch key {
	case "x-death", "x-delivery-count", "x-acquired-count", "CC", "BCC":
		return false
	}
	for _, prefix := range []string{"x-first-death-", "x-last-death-", headerPrefix} {
		if strings.HasPrefix(key, prefix) {
			return false
		}
	}
	return true
}

// room returns how many bytes of a content header's frame are left for the original's headers.
func room(p amqp.Publishing, ours amqp.Table, frameMax int) int {
	if frameMax <= 0 {
		frameMax = maxHeaderFrame
	}
	n := frameMax - 8 // head and end of the frame
	n -= 14           // class, weight, size, flags
	n -= 1 + 1 + 8    // mode, priority, timestamp
	for _, s := range []string{p.ContentType, p.ContentEncoding, p.CorrelationId, p.ReplyTo, p.MessageId, p.Type, p.AppId} {
		n -= 1 + len(s)
	}
	return n - 4 - tableSize(ours)
}

const (
	maxDroppedSize = 1024
	droppedRoom    = 1 + len(headerDropped) + 5 + maxDroppedSize // of the header that names what was dropped
)

// fit returns those of the headers that pass, can be sent, and fit: no more than room bytes, and no more
// entries than a reader with this library bears. It also returns the names of those that do not.
func fit(headers amqp.Table, room int) (kept amqp.Table, dropped []string) {
	type entry struct {
		key  string
		size int
	}
	var list []entry
	kept = make(amqp.Table, len(headers)+8)
	for k, v := range headers {
		if !passes(k) {
			continue
		}
		size, ok := fieldSize(v, 0)
		if !ok || len(k) > 255 {
			dropped = append(dropped, k)
			continue
		}
		list = append(list, entry{k, 1 + len(k) + size})
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.key, b.key)) })
	for _, e := range list {
		if e.size > room || len(kept) >= maxEntries-16 {
			dropped = append(dropped, e.key)
			continue
		}
		room -= e.size
		kept[e.key] = headers[e.key]
	}
	slices.Sort(dropped)
	return kept, dropped
}

func droppedNames(keys []string) string {
	more := ""
	if len(keys) > maxDropped {
		more = fmt.Sprintf(" and %d more", len(keys)-maxDropped)
		keys = keys[:maxDropped]
	}
	return clip(strings.Join(keys, " "), maxDroppedSize-len(more)) + more
}

// fieldSize returns how many bytes the library writes for a header's value, its type included, and
// whether it writes it at all, and reads it again at the other end.
func fieldSize(v any, depth int) (size int, ok bool) {
	if depth > maxDepth {
		return 0, false
	}
	switch v := v.(type) {
	case nil:
		return 1, true
	case bool, int8, byte:
		return 2, true
	case int16, uint16:
		return 3, true
	case int, int32, uint32, float32:
		return 5, true
	case amqp.Decimal:
		return 6, true
	case int64, float64, time.Time:
		return 9, true
	case string:
		return 5 + len(v), true
	case []byte:
		return 5 + len(v), true
	case []any:
		size = 5
		for _, e := range v {
			n, ok := fieldSize(e, depth+1)
			if !ok {
				return 0, false
			}
			size += n
		}
		return size, len(v) <= maxEntries
	case amqp.Table:
		size = 5
		for k, e := range v {
			n, ok := fieldSize(e, depth+1)
			if !ok || len(k) > 255 {
				return 0, false
			}
			size += 1 + len(k) + n
		}
		return size, len(v) <= maxEntries
	}
	return 0, false
}

func tableSize(t amqp.Table) int {
	n, _ := fieldSize(t, 0)
	return n - 5
}

// clip returns s as valid UTF-8 of at most n bytes, whole characters.
func clip(s string, n int) string {
	const more = "..."
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	n -= len(more)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}

// deadLetter, for a message of the queue from, returns nil once the broker has confirmed that it stored a copy of d in the dead-letter
// queue. See cmd.Job.Store.
func (p *publisher) deadLetter(ctx context.Context, d amqp.Delivery, from string, r event.Result, lost func() bool) error {
	now, copy := time.Now(), rand.Text()
	return p.keep(ctx, d.MessageId, keeping{
		what: "dead letter", queue: p.config.DeadLetter, declare: p.declare, lost: lost,
		message: func(frameMax int) amqp.Publishing {
			return deadLetter(d, from, p.config.Host, copy, r, now, frameMax)
		},
	})
}
