package publish

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

func TestDeadLetterCopy(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	d := amqp.Delivery{
		Headers: amqp.Table{"keep": int32(1), "x-death": []any{}, "x-first-death-queue": "a", "x-last-death-reason": "b", "x-delivery-count": int64(1),
			"x-acquired-count": int64(1), "CC": []any{"x"}, "BCC": []any{"x"}, "x-dispatch-host": "forged", "x-dispatch-user-id": "forged",
			"bad": uint64(1), "worse": []any{amqp.Table{"x": struct{}{}}}, "x-deaths": "kept"},
		ContentType: "ct", ContentEncoding: "ce", DeliveryMode: 1, Priority: 9, CorrelationId: "c", ReplyTo: wire.DirectReply, Expiration: "10",
		MessageId: "m", Timestamp: now, Type: "t", UserId: "u", AppId: "a", Body: []byte("body"),
	}
	r := event.Result{Reason: strings.Repeat("r", 200), Error: strings.Repeat("é", 2000) + "\xff"}
	p := deadLetter(d, "jobs", "host\xff", "copy-1", "sealed", r, now, wire.FrameSize)
	h := p.Headers
	p.Headers = nil
	want := amqp.Publishing{ContentType: "ct", ContentEncoding: "ce", DeliveryMode: 2, Priority: 9, CorrelationId: "c", MessageId: "m", Timestamp: now, Type: "t", AppId: "a", Body: []byte("body")}
	if fmt.Sprintf("%+v", p) != fmt.Sprintf("%+v", want) {
		t.Errorf("properties are\n%+v, want\n%+v", p, want)
	}
	for k, v := range (amqp.Table{"keep": int32(1), "x-deaths": "kept", wire.HeaderHost: "host\uFFFD", wire.HeaderQueue: "jobs", wire.HeaderTime: "2026-01-02T02:04:05Z",
		wire.HeaderUser: "u", wire.HeaderReply: wire.DirectReply, wire.HeaderDropped: "bad worse", wire.HeaderCopy: "copy-1", wire.HeaderSeal: "sealed"}) {
		if h[k] != v {
			t.Errorf("header %s is %v, want %v", k, h[k], v)
		}
		delete(h, k)
	}
	if s := h[wire.HeaderReason].(string); len(s) > wire.MaxReason {
		t.Errorf("reason has %d bytes", len(s))
	}
	if s := h[wire.HeaderError].(string); len(s) > wire.MaxError || !utf8.ValidString(s) || !strings.HasSuffix(s, "...") || len(s) < wire.MaxError-4 {
		t.Errorf("error is %d bytes: %q", len(s), s)
	}
	if len(h) != 2 {
		t.Errorf("more headers: %v", h)
	}
}

// The largest headers that a message can have leave room for ours by dropping the largest of them.
func TestDeadLetterRoom(t *testing.T) {
	for _, frameMax := range []int{0, 8192, wire.FrameSize} {
		headers := amqp.Table{"s": nil, "large": strings.Repeat("x", 130000), "larger": bytes.Repeat([]byte{1}, 2<<20)}
		for i := range 9000 {
			headers[fmt.Sprintf("k%05d", i)] = nil
		}
		long := strings.Repeat("x", 255)
		d := amqp.Delivery{Headers: headers, ContentType: long, ContentEncoding: long, CorrelationId: long, ReplyTo: long, MessageId: long, Type: long, AppId: long, UserId: long}
		p := deadLetter(d, long, long, "copy", "", event.Result{Reason: long, Error: strings.Repeat("x", 9999)}, time.Now(), frameMax)
		if err := p.Headers.Validate(); err != nil {
			t.Error(err)
		}
		size := 8 + 14 + 10 + 7*256 + 4 + wire.TableSize(p.Headers)
		if limit := frameMax; limit > 0 && size > limit || len(p.Headers) > wire.MaxEntries {
			t.Errorf("frame of %d: %d bytes, %d headers", frameMax, size, len(p.Headers))
		}
		if _, ok := p.Headers["s"]; !ok || p.Headers["larger"] != nil || len(p.Headers) < 100 {
			t.Errorf("frame of %d: the wrong headers were dropped", frameMax)
		}
		if s := fmt.Sprint(p.Headers[wire.HeaderDropped]); !strings.Contains(s, " more") || len(s) > wire.MaxDroppedSize {
			t.Errorf("dropped are %q", s)
		}
	}
}

// FuzzDeadLetter: whatever the headers, the copy can be sent, in a frame that the broker takes.
func FuzzDeadLetter(f *testing.F) {
	f.Add([]byte("abc"), 3, uint16(1000))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 5, uint16(8192))
	f.Fuzz(func(t *testing.T, data []byte, repeat int, frame uint16) {
		frameMax := 8192 + int(frame)
		next := func() byte {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return b
		}
		var value func(depth int) any
		value = func(depth int) any {
			switch k := next() % 20; k {
			case 0:
				return nil
			case 1:
				return true
			case 2:
				return next()
			case 3:
				return int8(-1)
			case 4:
				return int16(1)
			case 5:
				return uint16(1)
			case 6:
				return int32(1)
			case 7:
				return uint32(math.MaxUint32)
			case 8:
				return int64(1)
			case 9:
				return float32(1)
			case 10:
				return math.Inf(1)
			case 11:
				return amqp.Decimal{Scale: 2, Value: -1}
			case 12:
				return time.Unix(-62135596800, 0)
			case 13:
				return strings.Repeat("\xff", int(next())*100)
			case 14:
				return make([]byte, int(next())*100)
			case 15:
				return []any{value(depth + 1), value(depth + 1)}
			case 16:
				return amqp.Table{string(next()): value(depth + 1)}
			case 17:
				return uint64(1) // not sendable
			case 18:
				return map[string]any{} // not sendable
			default:
				var v any = "deep"
				for range int(next()) {
					v = []any{v}
				}
				return v
			}
		}
		headers := amqp.Table{}
		for i := range min(max(repeat, 0), 200) {
			headers[fmt.Sprint("k", i)] = value(0)
		}
		p := deadLetter(amqp.Delivery{Headers: headers}, "q", "h", "copy", "", event.Result{Reason: string(data), Error: string(data)}, time.Now(), frameMax)
		if err := p.Headers.Validate(); err != nil {
			t.Fatal(err)
		}
		if size := 8 + 14 + 10 + 7 + 4 + wire.TableSize(p.Headers); size > frameMax {
			t.Fatalf("the frame has %d bytes, more than %d", size, frameMax)
		}
		for k := range headers {
			if _, ok := p.Headers[k]; !ok && p.Headers[wire.HeaderDropped] == nil {
				t.Fatalf("header %s is dropped without a word", k)
			}
		}
	})
}

// TestRejection: a message that was rejected and comes back as it was begins anew, as another copy.
func TestRejection(t *testing.T) {
	death := func(queue, reason string) amqp.Table {
		return amqp.Table{"queue": queue, "reason": reason, "count": int64(2), "time": time.Unix(1700000000, 0)}
	}
	for _, tt := range []struct {
		deaths  any
		attempt int
		copy    string
	}{
		{nil, 3, "c"},
		{"x", 3, "c"},
		{[]any{"x", death("q.retry.1", "expired"), death("q", "delivery_limit"), death("other", "rejected")}, 3, "c"},
		{[]any{death("q.retry.1", "expired"), death("q", "rejected")}, 1, "crejected-2-1700000000"},
	} {
		d := amqp.Delivery{MessageId: "", Headers: amqp.Table{wire.HeaderAttempt: int32(3), wire.HeaderJob: "j", wire.HeaderCopy: "c", "x-death": tt.deaths}}
		n, id := Attempt(d, "q")
		want := map[int]string{1: "", 3: "j"}[tt.attempt]
		if got := CopyOf(d, "q"); n != tt.attempt || got != tt.copy || id != want {
			t.Errorf("%v: attempt %d of %q, copy %q; want %d of %q, %q", tt.deaths, n, id, got, tt.attempt, want, tt.copy)
		}
	}
}

// TestAttemptNumber: a number that no attempt can have, and what is no number, counts as absent.
func TestAttemptNumber(t *testing.T) {
	for _, tt := range []struct {
		header any
		want   int
	}{
		{int64(1099511627776), 1},
		{int64(math.MaxInt64), 1},
		{int64(math.MinInt64), 1},
		{int32(math.MaxInt32), 1},
		{int32(-1), 1},
		{int32(0), 1},
		{int32(message.MaxAttempt + 1), 1},
		{int32(message.MaxAttempt), message.MaxAttempt},
		{int64(2), 2},
		{int8(2), 2},
		{int16(2), 2},
		{uint32(2), 2},
		{byte(2), 2},
		{2.0, 1},
		{"2", 1},
		{[]any{int32(2)}, 1},
		{nil, 1},
	} {
		if n, _ := Attempt(amqp.Delivery{Headers: amqp.Table{wire.HeaderAttempt: tt.header}}, "q"); n != tt.want {
			t.Errorf("%T %v: attempt %d, want %d", tt.header, tt.header, n, tt.want)
		}
	}
}

// TestWaits: how often a message was put back and since when, by our headers. What cannot be true counts as absent.
func TestWaits(t *testing.T) {
	now := time.Now().Unix()
	rejected := []any{amqp.Table{"queue": "q", "reason": "rejected", "count": int64(1), "time": time.Unix(now, 0)}}
	for _, tt := range []struct {
		headers amqp.Table
		n       int
		age     int64 // seconds
		id      string
	}{
		{amqp.Table{}, 0, 0, ""},
		{amqp.Table{wire.HeaderJob: "j"}, 0, 0, ""},
		{amqp.Table{wire.HeaderJob: "j", wire.HeaderWaits: int32(3), wire.HeaderSince: now - 30}, 3, 30, "j"},
		{amqp.Table{wire.HeaderJob: "j", wire.HeaderWaits: int32(3), wire.HeaderSince: now - 30, "x-death": rejected}, 0, 0, ""},
		{amqp.Table{wire.HeaderJob: "j", wire.HeaderWaits: int64(math.MaxInt32 + 1), wire.HeaderSince: now - 30}, 0, 0, ""},
		{amqp.Table{wire.HeaderJob: "j", wire.HeaderWaits: int32(0), wire.HeaderSince: now - 30}, 0, 0, ""},
		{amqp.Table{wire.HeaderJob: "j", wire.HeaderWaits: "3", wire.HeaderSince: now - 30}, 0, 0, ""},
		{amqp.Table{wire.HeaderWaits: int32(1), wire.HeaderSince: now + 3600}, 1, 0, ""},
		{amqp.Table{wire.HeaderWaits: int32(1), wire.HeaderSince: int64(math.MinInt64)}, 1, 0, ""},
		{amqp.Table{wire.HeaderWaits: int32(1)}, 1, 0, ""},
	} {
		d := amqp.Delivery{Headers: tt.headers}
		n, since := Waits(d, "q")
		if age := now - since.Unix(); n != tt.n || age < tt.age-2 || age > tt.age+2 {
			t.Errorf("%v: %d times, since %d s; want %d, %d s", tt.headers, n, age, tt.n, tt.age)
		}
		if attempt, id := Attempt(d, "q"); attempt != 1 || id != tt.id {
			t.Errorf("%v: attempt %d of %q, want 1 of %q", tt.headers, attempt, id, tt.id)
		}
	}
}

// FuzzHeaders: whatever a stranger writes into the headers that we read, what is made of it is bounded.
func FuzzHeaders(f *testing.F) {
	f.Add(byte(0), int64(1099511627776), "x")
	f.Add(byte(1), int64(-1), strings.Repeat("\xff", 300))
	f.Add(byte(2), int64(3), "")
	f.Fuzz(func(t *testing.T, kind byte, n int64, s string) {
		values := []any{n, int32(n), int16(n), int8(n), byte(n), uint32(n), float64(n), s, []byte(s), []any{n, s}, amqp.Table{s: n}, nil, time.Unix(n, 0)}
		v := values[int(kind)%len(values)]
		h := amqp.Table{}
		for _, k := range []string{wire.HeaderAttempt, wire.HeaderJob, wire.HeaderCopy, wire.HeaderReason, wire.HeaderError, wire.HeaderHost, wire.HeaderTime, wire.HeaderQueue, wire.HeaderReply, wire.HeaderUser, wire.HeaderDropped, wire.HeaderLook, wire.HeaderWaits, wire.HeaderSince, "x-death", "x-delivery-count", "x-first-death-reason"} {
			h[k] = v
		}
		d := amqp.Delivery{Headers: h, ReplyTo: s}
		if got, id := Attempt(d, "q"); got < 1 || got > message.MaxAttempt || len(id) > wire.MaxText {
			t.Fatalf("attempt %d of an id of %d bytes", got, len(id))
		}
		if n, since := Waits(d, "q"); n < 0 || since.Unix() < 0 || time.Until(since) > 0 {
			t.Fatalf("put back %d times since %v", n, since)
		}
		if c := CopyOf(d, "q"); len(c) > wire.MaxText {
			t.Fatalf("the copy's mark has %d bytes", len(c))
		}
		h["x-death"] = []any{v, amqp.Table{"queue": "q", "reason": "rejected", "count": v, "time": v}}
		Attempt(d, "q")
		CopyOf(d, "q")
		r := client.Received{Message: client.Message{Headers: h, ReplyTo: s}}
		r.DeadLetter()
		r.Revived()
		p := deadLetter(d, "q", "h", "copy", "", event.Result{}, time.Unix(0, 0), 8192)
		if size := 8 + 14 + 10 + 7 + len(p.ReplyTo) + 4 + wire.TableSize(p.Headers); size > 8192 && len(s) < 256 {
			t.Fatalf("the frame has %d bytes", size)
		}
	})
}
