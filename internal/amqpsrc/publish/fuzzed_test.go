package publish

import (
	"cmp"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// TestFuzzedHeaders reads random headers and properties, half a million or as many as DISPATCH_TEST_FUZZED says, and the same at each run.
// Whatever a stranger writes there, what is made of it is bounded, and its dead letter can be sent.
func TestFuzzedHeaders(t *testing.T) {
	t.Parallel()
	number := "500000"
	if info, ok := debug.ReadBuildInfo(); !ok || slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		number = "20000" // each takes ten times as long
	}
	many, err := strconv.Atoi(cmp.Or(os.Getenv("DISPATCH_TEST_FUZZED"), number))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	text := func() string {
		b := make([]byte, r.IntN(256))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	names := []string{wire.HeaderAttempt, wire.HeaderJob, wire.HeaderCopy, wire.HeaderReason, wire.HeaderError, wire.HeaderHost, wire.HeaderTime, wire.HeaderQueue,
		wire.HeaderReply, wire.HeaderUser, wire.HeaderDropped, wire.HeaderLook, wire.HeaderHops, wire.HeaderToken, wire.HeaderMoved, wire.HeaderWaits, wire.HeaderSince, wire.UnreadableHeader, "x-death", "x-delivery-count", "x-first-death-reason", "queue", "reason", "count", "time"}
	var value func(depth int) any
	table := func(depth int) amqp.Table {
		h := make(amqp.Table)
		for range r.IntN(5) {
			name := names[r.IntN(len(names))]
			if r.IntN(4) == 0 {
				name = text()
			}
			h[name] = value(depth)
		}
		return h
	}
	value = func(depth int) any {
		switch k := r.IntN(18); {
		case k < 3 && depth < 4:
			return table(depth + 1)
		case k < 5 && depth < 4:
			return []any{value(depth + 1), table(depth + 1), value(depth + 1)}
		case k == 5:
			return []string{"q", "rejected", "expired", wire.DirectReply}[r.IntN(4)]
		case k == 6:
			return int64(r.Uint64())
		case k == 7:
			return int32(r.Uint32())
		case k == 8:
			return int16(r.Uint32())
		case k == 9:
			return int8(r.Uint32())
		case k == 10:
			return byte(r.Uint32())
		case k == 11:
			return r.NormFloat64()
		case k == 12:
			return r.IntN(2) == 0
		case k == 13:
			return time.Unix(int64(r.Uint64()), 0)
		case k == 14:
			return []byte(text())
		case k == 15:
			return amqp.Decimal{Scale: byte(r.Uint32()), Value: int32(r.Uint32())}
		case k == 16:
			return nil
		}
		return text()
	}
	ours := NewUsers("amqp://d:secret@host/", "q")
	for n := range many {
		d := amqp.Delivery{Headers: table(0), Priority: uint8(r.Uint32()), DeliveryMode: uint8(r.Uint32()), Timestamp: time.Unix(int64(r.Uint64()), 0)}
		for _, p := range []*string{&d.ContentType, &d.ContentEncoding, &d.CorrelationId, &d.ReplyTo, &d.Expiration, &d.MessageId, &d.Type, &d.UserId, &d.AppId} {
			if r.IntN(3) == 0 {
				*p = text()
			}
		}
		if got, id := Attempt(d, "q"); got < 1 || got > message.MaxAttempt || len(id) > wire.MaxText {
			t.Fatalf("message %d: attempt %d of an id of %d bytes: %v", n, got, len(id), d.Headers)
		}
		if c := CopyOf(d, "q"); len(c) > wire.MaxText+100 {
			t.Fatalf("message %d: the copy's mark has %d bytes: %v", n, len(c), d.Headers)
		}
		if f := ForwardedOf(d); f.Hops < 1 || f.Hops > intake.MostHops || len(f.Token) > wire.MaxText {
			t.Fatalf("message %d: forwarded %d times, with a token of %d bytes: %v", n, f.Hops, len(f.Token), d.Headers)
		}
		received := client.Received{Message: client.Message{Headers: d.Headers, ReplyTo: d.ReplyTo}}
		received.DeadLetter()
		received.Revived()
		d.UserId = ours.Of(d)
		p := deadLetter(d, "q", "h", "copy", ours.seal(d.UserId, d), event.Result{Reason: d.Type, Error: d.AppId}, time.Unix(0, 0), 8192)
		size := 8 + 14 + 10 + 4 + wire.TableSize(p.Headers)
		for _, s := range []string{p.ContentType, p.ContentEncoding, p.CorrelationId, p.ReplyTo, p.MessageId, p.Type, p.AppId} {
			size += 1 + len(s)
		}
		if err := p.Headers.Validate(); err != nil || size > 8192 {
			t.Fatalf("message %d: its dead letter has %d bytes, and %v: %v", n, size, err, d.Headers)
		}
	}
}
