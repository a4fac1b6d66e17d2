package wire

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Header values are publishers' input, of any type and size. A value not in the form that we write counts as absent.

// Number returns value as an integer from any AMQP integer type. ok is false if it is not from least to most.
func Number(value any, least, most int64) (n int64, ok bool) {
	switch v := reflect.ValueOf(value); {
	case v.CanInt():
		n = v.Int()
	case v.CanUint():
		n = int64(v.Uint()) // of at most 32 bits
	default:
		return 0, false
	}
	return n, least <= n && n <= most
}

// Count returns a counter that the broker set, or 0 if value is none.
func Count(value any) int {
	n, ok := Number(value, 0, math.MaxInt32)
	if !ok {
		return 0
	}
	return int(n)
}

// MaxText is the most bytes that Text accepts: AMQP's limit for text properties and names.
const MaxText = 255

// Text returns value if it is a string of at most MaxText bytes, else "".
func Text(value any) string {
	if s, ok := value.(string); ok && len(s) <= MaxText {
		return s
	}
	return ""
}

// Headers of a dead letter, of a message that is sent for another attempt, or of one that is forwarded. The prefix is reserved: a copy leaves out the publisher's headers with it. Otherwise
// a publisher could forge, for example, the user that the broker verified.
const (
	headerPrefix  = "x-dispatch-"
	HeaderReason  = headerPrefix + "reason"
	HeaderError   = headerPrefix + "error"
	HeaderHost    = headerPrefix + "host"
	HeaderTime    = headerPrefix + "time"
	HeaderQueue   = headerPrefix + "queue"
	HeaderCopy    = headerPrefix + "copy"            // mark that tells this copy apart from others
	HeaderLook    = headerPrefix + "look"            // id of the look that put it back into the dead-letter queue
	HeaderUser    = headerPrefix + "user-id"         // the user_id: a broker accepts that property from its owner only
	HeaderSeal    = headerPrefix + "user-seal"       // shows that HeaderUser is true
	HeaderReply   = headerPrefix + "reply-to"        // a reply_to that a broker would refuse
	HeaderDropped = headerPrefix + "dropped-headers" // names of headers that were left out, or "*"
	HeaderAttempt = headerPrefix + "attempt"         // number of the attempt, from 2, of a message sent for another one
	HeaderJob     = headerPrefix + "job"             // the job's id there, for a message without message_id
	HeaderWaits   = headerPrefix + "waits"           // how often it was put back to wait for a host, from 1
	HeaderSince   = headerPrefix + "waits-since"     // since when, in seconds since 1970

	// Headers of a forwarded message. They count only in a host's queue.
	HeaderHops        = headerPrefix + "hops"        // how often the message was forwarded, from 1
	HeaderRedelivered = headerPrefix + "redelivered" // whether the original was redelivered
	HeaderControl     = headerPrefix + "control"     // whether the original came by the control queue
	HeaderToken       = headerPrefix + "token"       // the same in the copy and in the note that follows it
	HeaderMoved       = headerPrefix + "moved"       // true in that note: the original is acked

	MaxReason  = 128
	MaxError   = 1024
	maxDropped = 20 // names in HeaderDropped
)

// AppID is the app_id of our messages.
const AppID = "docker-dispatch"

// DirectReply is a reply_to that the broker accepts only from the client that waits for the answer.
const DirectReply = "amq.rabbitmq.reply-to"

// IsDirect reports whether a queue is a direct reply-to: not a queue, but the other end of a channel. Brokers before 4.2
// return a mandatory message to it as unroutable, although they deliver it. Newer brokers never return one.
func IsDirect(queue string) bool { return strings.HasPrefix(queue, DirectReply) }

// Passes reports whether a copy of a message keeps a header of the original.
func Passes(key string) bool {
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

// Room returns how many bytes of the content header frame are left for the original's headers.
func Room(p amqp.Publishing, ours amqp.Table, frameMax int) int {
	if frameMax <= 0 {
		frameMax = maxHeaderFrame
	}
	n := frameMax - 8 // frame head and end
	n -= 14           // class, weight, size, flags
	n -= 1 + 1 + 8    // mode, priority, timestamp
	for _, s := range []string{p.ContentType, p.ContentEncoding, p.CorrelationId, p.ReplyTo, p.MessageId, p.Type, p.AppId} {
		n -= 1 + len(s)
	}
	return n - 4 - TableSize(ours)
}

// Maximum sizes in bytes: of all names of dropped headers together, and of the header that has them.
const (
	MaxDroppedSize = 1024
	DroppedRoom    = 1 + len(HeaderDropped) + 5 + MaxDroppedSize // size of the header HeaderDropped
)

// Fit returns the headers that pass, can be sent, and fit: at most room bytes, and few enough entries for a consumer
// with this library. dropped names the headers that pass but cannot be sent or do not fit.
func Fit(headers amqp.Table, room int) (kept amqp.Table, dropped []string) {
	type entry struct {
		key  string
		size int
	}
	var list []entry
	kept = make(amqp.Table, len(headers)+8)
	for k, v := range headers {
		if !Passes(k) {
			continue
		}
		size, ok := FieldSize(v, 0)
		if !ok || len(k) > 255 {
			dropped = append(dropped, k)
			continue
		}
		list = append(list, entry{k, 1 + len(k) + size})
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.key, b.key)) })
	for _, e := range list {
		if e.size > room || len(kept) >= MaxEntries-16 {
			dropped = append(dropped, e.key)
			continue
		}
		room -= e.size
		kept[e.key] = headers[e.key]
	}
	slices.Sort(dropped)
	return kept, dropped
}

// DroppedNames returns the value of HeaderDropped for the dropped headers.
func DroppedNames(keys []string) string {
	more := ""
	if len(keys) > maxDropped {
		more = fmt.Sprintf(" and %d more", len(keys)-maxDropped)
		keys = keys[:maxDropped]
	}
	return Clip(strings.Join(keys, " "), MaxDroppedSize-len(more)) + more
}

// FieldSize returns how many bytes the library writes for a header's value, including the byte of its type. ok reports whether
// the library can write the value and read it back. depth is how many tables and lists hold the value: 0 for a caller.
func FieldSize(v any, depth int) (size int, ok bool) {
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
			n, ok := FieldSize(e, depth+1)
			if !ok {
				return 0, false
			}
			size += n
		}
		return size, len(v) <= MaxEntries
	case amqp.Table:
		size = 5
		for k, e := range v {
			n, ok := FieldSize(e, depth+1)
			if !ok || len(k) > 255 {
				return 0, false
			}
			size += 1 + len(k) + n
		}
		return size, len(v) <= MaxEntries
	}
	return 0, false
}

// TableSize returns how many bytes the library writes for a table, without the table's length field.
func TableSize(t amqp.Table) int {
	n, _ := FieldSize(t, 0)
	return n - 5
}

// Clip returns s as valid UTF-8 of at most n bytes, cut between characters. A cut ends in "...".
func Clip(s string, n int) string {
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
