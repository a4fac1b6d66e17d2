package wire

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Values of headers are strangers' input, of any type and size: what is not as we write it counts as absent.

// Number reads a whole number from least to most, in whatever type AMQP has it.
func Number(value any, least, most int64) (n int64, ok bool) {
	switch v := value.(type) {
	case int8:
		n = int64(v)
	case byte:
		n = int64(v)
	case int16:
		n = int64(v)
	case uint16:
		n = int64(v)
	case int32:
		n = int64(v)
	case uint32:
		n = int64(v)
	case int64:
		n = v
	default:
		return 0, false
	}
	return n, least <= n && n <= most
}

// Count reads a number that the broker counts with; 0 where there is none.
func Count(value any) int {
	n, ok := Number(value, 0, math.MaxInt32)
	if !ok {
		return 0
	}
	return int(n)
}

// MaxText is the longest text that is read, in bytes: that of properties and names.
const MaxText = 255

// Text reads a text of at most MaxText bytes.
func Text(value any) string {
	if s, ok := value.(string); ok && len(s) <= MaxText {
		return s
	}
	return ""
}

// Headers of a dead letter. All of this prefix are ours: what a publisher sent under it is dropped, so
// that nobody can forge, for one, the user that the broker has verified.
const (
	headerPrefix  = "x-dispatch-"
	HeaderReason  = headerPrefix + "reason"
	HeaderError   = headerPrefix + "error"
	HeaderHost    = headerPrefix + "host"
	HeaderTime    = headerPrefix + "time"
	HeaderQueue   = headerPrefix + "queue"
	HeaderCopy    = headerPrefix + "copy"            // tells this copy apart from others
	HeaderLook    = headerPrefix + "look"            // which look has put it into the dead-letter queue anew
	HeaderUser    = headerPrefix + "user-id"         // the user_id, which a broker takes from its owner only
	HeaderReply   = headerPrefix + "reply-to"        // a reply_to that a broker would refuse
	HeaderDropped = headerPrefix + "dropped-headers" // names of headers that had no place, or "*"

	MaxReason  = 128
	MaxError   = 1024
	maxDropped = 20 // names in HeaderDropped
)

// DirectReply as a reply_to is refused from all but the one who waits for the answer.
const DirectReply = "amq.rabbitmq.reply-to"

// Passes tells whether a header of the original belongs into the copy.
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

// Room returns how many bytes of a content header's frame are left for the original's headers.
func Room(p amqp.Publishing, ours amqp.Table, frameMax int) int {
	if frameMax <= 0 {
		frameMax = maxHeaderFrame
	}
	n := frameMax - 8 // head and end of the frame
	n -= 14           // class, weight, size, flags
	n -= 1 + 1 + 8    // mode, priority, timestamp
	for _, s := range []string{p.ContentType, p.ContentEncoding, p.CorrelationId, p.ReplyTo, p.MessageId, p.Type, p.AppId} {
		n -= 1 + len(s)
	}
	return n - 4 - TableSize(ours)
}

// How much room the names of dropped headers take, in bytes.
const (
	MaxDroppedSize = 1024
	DroppedRoom    = 1 + len(HeaderDropped) + 5 + MaxDroppedSize // of the header that names what was dropped
)

// Fit returns those of the headers that pass, can be sent, and fit: no more than room bytes, and no more
// entries than a reader with this library bears. It also returns the names of those that do not.
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

// DroppedNames is the header that names what was dropped.
func DroppedNames(keys []string) string {
	more := ""
	if len(keys) > maxDropped {
		more = fmt.Sprintf(" and %d more", len(keys)-maxDropped)
		keys = keys[:maxDropped]
	}
	return Clip(strings.Join(keys, " "), MaxDroppedSize-len(more)) + more
}

// FieldSize returns how many bytes the library writes for a header's value, its type included, and
// whether it writes it at all, and reads it again at the other end.
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

// TableSize returns how many bytes the library writes for a table, its length left out.
func TableSize(t amqp.Table) int {
	n, _ := FieldSize(t, 0)
	return n - 5
}

// Clip returns s as valid UTF-8 of at most n bytes, whole characters.
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

// ToTable makes of plain maps the tables that the library writes.
func ToTable(m map[string]any) amqp.Table {
	t := make(amqp.Table, len(m))
	for k, v := range m {
		t[k] = convert(v, func(m map[string]any) any { return ToTable(m) })
	}
	return t
}

// FromTable is a table as plain maps, of values as the library has them.
func FromTable(t amqp.Table) map[string]any {
	m := make(map[string]any, len(t))
	for k, v := range t {
		m[k] = convert(v, func(m map[string]any) any { return FromTable(m) })
	}
	return m
}

func convert(v any, table func(map[string]any) any) any {
	switch v := v.(type) {
	case amqp.Table:
		return table(v)
	case map[string]any:
		return table(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = convert(e, table)
		}
		return list
	}
	return v
}

// Headers of a message that is to be tried again. Like those of a dead letter they are ours.
const (
	HeaderAttempt = headerPrefix + "attempt" // which attempt the message is, from 2
	HeaderJob     = headerPrefix + "job"     // the job's id, for a message without message_id
)

// IsDirect tells whether a queue is a direct reply-to: no queue, but the other end of a channel. Brokers
// before 4.2 answer a mandatory message there that it cannot be routed, though it is delivered; newer
// ones never do.
func IsDirect(queue string) bool { return strings.HasPrefix(queue, DirectReply) }
