package amqpsrc

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
	amqp "github.com/rabbitmq/amqp091-go"
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
	headerUser    = headerPrefix + "user-id"         // the user_id, which a broker takes from its owner only
	headerReply   = headerPrefix + "reply-to"        // a reply_to that a broker would refuse
	headerDropped = headerPrefix + "dropped-headers" // names of headers that had no place, or "*"

	maxReason  = 128
	maxError   = 1024
	maxDropped = 20 // names in headerDropped
)

// directReply as a reply_to is refused from all but the one who waits for the answer.
const directReply = "amq.rabbitmq.reply-to"

// deadLetter makes the copy of a message that goes to the dead-letter queue: the body as it was, and of
// the properties an allow-list. Left out is what the broker refuses from us (user_id), what it acts on
// (expiration, CC and BCC, which would send further copies), and what it wrote itself.
// The copy's properties and headers are one frame of at most frameMax bytes (0: any size); the broker
// ends the connection over a larger one, so headers that have no place are dropped, largest first.
func deadLetter(d amqp.Delivery, queue, host, copy string, r cmd.Result, now time.Time, frameMax int) amqp.Publishing {
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
	ours := amqp.Table{
		headerReason: clip(r.Reason, maxReason),
		headerError:  clip(r.Error, maxError),
		headerHost:   clip(host, 255),
		headerTime:   now.UTC().Format(time.RFC3339),
		headerQueue:  clip(queue, 255),
		headerCopy:   copy,
	}
	if d.UserId != "" {
		ours[headerUser] = clip(d.UserId, 255)
	}
	if d.ReplyTo == directReply {
		p.ReplyTo, ours[headerReply] = "", d.ReplyTo
	}
	kept, dropped := fit(d.Headers, room(p, ours, frameMax))
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
	n -= 4 + tableSize(ours)
	n -= 1 + len(headerDropped) + 5 + maxDroppedSize
	return n
}

const maxDroppedSize = 1024

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

// A storeFunc keeps a message in the dead-letter queue. See publisher.deadLetter.
type storeFunc func(ctx context.Context, d amqp.Delivery, r cmd.Result, lost func() bool) error

// hopeless is how long to wait before the next attempt at what the broker refuses for good, such as a
// message larger than it takes by now. It is tried again all the same: somebody may raise the limit,
// and to give up would be to lose the message.
const hopeless = 5 * time.Minute

// deadLetter returns nil once the broker has confirmed that it stored a copy of d in the dead-letter
// queue. Until then it tries again, ever more slowly, and the original stays unacked. It gives up when
// ctx ends, with its error; and with ErrDeliveryLost where the delivery is lost and nothing was sent.
func (p *publisher) deadLetter(ctx context.Context, d amqp.Delivery, r cmd.Result, lost func() bool) error {
	log := p.log.With("message_id", d.MessageId, "dead_letter", p.config.DeadLetter)
	report := reporter{log: log, lost: "dead letter not stored, waiting; its message stays in the queue", back: "dead letter stored after all"}
	wait := reconnecting()
	copy := rand.Text()
	sent := false
	for now := time.Now(); ; {
		err := p.publish(ctx, p.config.DeadLetter, func(frameMax int) amqp.Publishing {
			return deadLetter(d, p.config.Queue, p.config.Host, copy, r, now, frameMax)
		}, func() bool {
			if !sent && lost() {
				return false // another may have carried the message out by now
			}
			sent = true
			return true
		})
		switch {
		case err == nil:
			report.well()
			return nil
		case err == cmd.ErrDeliveryLost, ctx.Err() != nil:
			return cmp.Or(ctx.Err(), err)
		}
		delay := wait.next()
		level := slog.LevelWarn
		switch {
		case errors.Is(err, errUnroutable):
			// The queue was deleted: made again, it is there for the next attempt.
			if failed := p.declareAgain(ctx); failed != nil {
				err = fmt.Errorf("%w, and cannot be made again: %w", err, failed)
			}
		case errors.Is(err, errLine):
			// Nobody knows whether it was stored. The publisher has its own delays and its own log.
			log.Debug("dead letter not confirmed", "error", err)
			if !sleep(ctx, delay) {
				return ctx.Err()
			}
			continue
		case code(err) == amqp.PreconditionFailed, code(err) == amqp.ContentTooLarge:
			delay = hopeless/2 + mathrand.N(hopeless/2)
			level = slog.LevelError
		}
		report.failAt(level, err)
		if !sleep(ctx, delay) {
			return ctx.Err()
		}
	}
}
