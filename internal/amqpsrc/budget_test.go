package amqpsrc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// oversizedBody is the body of an oversized message, of several frames.
func oversizedBody(n int) string {
	return fmt.Sprintf("%d:", n) + string(bytes.Repeat([]byte{byte('a' + n%26)}, 300_000+n))
}

// However many messages are too large, few of their bodies are held at a time. Those that can be done do not wait for
// them, and each dead letter is whole.
func TestOversizedAreBounded(t *testing.T) {
	t.Parallel()
	const oversized, held = 12, 2
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			for i := range oversized {
				p.Send(q, amqp.Publishing{Body: []byte(oversizedBody(i))})
				p.Send(q, amqp.Publishing{Body: []byte(fmt.Sprint(i))})
			}
			r := start(t, q, func(c *Config) { c.Prefetch, c.MaxMessage, c.oversized = 2*oversized, 1000, held*301_000 })
			var large []cmd.Job
			for i := 0; i < oversized+held; i++ {
				j := r.next()
				if len(j.Body) > 1000 {
					large = append(large, j)
				} else {
					settle(t, j, cmd.Ack)
				}
			}
			if len(large) != held {
				t.Fatalf("%d bodies are held, want %d", len(large), held)
			}
			for done := range oversized {
				err := deadLetterJob(context.Background(), large[0], event.Result{Reason: "invalid-message", Error: "too large"})
				if err != nil {
					t.Fatal(err)
				}
				// It is settled by now, so there is room for another.
				if large = large[1:]; done < oversized-held {
					large = append(large, r.next())
				}
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			r.close()
			p.Expect(q)
			got := map[string]bool{}
			for _, d := range p.ExpectAny(q+".dead", oversized) {
				got[string(d.Body)] = true
			}
			for i := range oversized {
				if !got[oversizedBody(i)] {
					t.Errorf("the dead letter of %d is missing or not whole", i)
				}
			}
		})
	}
}

// A message that is read over goes back once: more often would have the broker drop it at its queue's delivery limit.
func TestUnreadWithinDeliveryLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int32{0, 1} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			const oversized = 30
			p := brokertest.New(t)
			q := p.Name()
			p.DeclareWith(q, amqp.Table{amqp.QueueTypeArg: "quorum", "x-delivery-limit": limit})
			for i := range oversized {
				// All of one size, so that none is told from another.
				p.Send(q, amqp.Publishing{MessageId: fmt.Sprint(i), Body: []byte(oversizedBody(0))})
			}
			r := start(t, q, func(c *Config) { c.Prefetch, c.MaxMessage, c.oversized = 10, 1000, 2*301_000 })
			got := map[string]bool{}
			for range oversized {
				j := r.next()
				got[j.MessageID] = true
				settle(t, j, cmd.Ack)
			}
			if len(got) != oversized {
				t.Errorf("%d of %d messages came", len(got), oversized)
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			r.close()
			p.Expect(q)
		})
	}
}

// What was read over is the queue's again when nothing is taken any more: for a pause, or for good.
func TestUnreadGoBack(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	for i := range 3 {
		p.Send(q, amqp.Publishing{Body: []byte(oversizedBody(i))})
	}
	r := start(t, q, func(c *Config) { c.MaxMessage, c.oversized = 1000, 1 })
	first := r.next()
	brokertest.Eventually(t, "all prefetched", func() bool { return p.Ready(q) == 0 })
	r.gate.Set(false)
	brokertest.Eventually(t, "two given back", func() bool { return p.Ready(q) == 2 })
	r.gate.Set(true)
	brokertest.Eventually(t, "all prefetched", func() bool { return p.Ready(q) == 0 })
	settle(t, first, cmd.Ack)
	second := r.next()
	settle(t, second, cmd.Requeue)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.ExpectAny(q, 2)
}

// A connection that ends gives back what it held, once.
func TestAccounts(t *testing.T) {
	b := newBudget(10, 100)
	one, other := b.account(), b.account()
	for _, step := range []struct {
		what string
		ok   bool
	}{
		{"small", one.take(10, false) && one.take(10, false)},
		{"first", one.take(60, false)},
		{"too much", !other.take(41, false)},
		{"fits", other.take(40, false)},
		{"full", !one.take(11, false)},
	} {
		if !step.ok {
			t.Errorf("%s: held are %d", step.what, b.held)
		}
	}
	_, freed := other.reserve(50)
	other.settled(5) // takes no room
	other.settled(40)
	<-freed
	if ok, _ := other.reserve(40); !ok || one.take(11, false) || other.take(40, false) || !other.take(40, true) || other.take(40, true) {
		t.Error("room is kept for the one message that was asked for again")
	}
	other.settled(40)
	if ok, _ := other.reserve(40); !ok {
		t.Error("no room for one that is asked for again")
	}
	other.unreserve()
	other.unreserve()
	one.close()
	one.settled(60) // too late
	one.close()
	if b.held != 0 {
		t.Errorf("held are %d in the end", b.held)
	}
	if !other.take(1000, false) || other.take(11, false) {
		t.Error("one of any size has room, and no second")
	}
	var none *account
	none.settled(100)
	none.close()
	if !none.take(1<<40, false) {
		t.Error("without a budget there is room")
	}
}

// The filter reads over what has no room, on one channel beside others, and nothing else.
func TestFilterReadsOver(t *testing.T) {
	frame := func(kind, channel byte, payload []byte) []byte {
		return append(append([]byte{kind, 0, channel, 0, 0, byte(len(payload) >> 8), byte(len(payload))}, payload...), 0xCE)
	}
	header := func(channel byte, size int) []byte {
		return frame(frameHeader, channel, []byte{0, 60, 0, 0, 0, 0, 0, 0, 0, 0, byte(size >> 8), byte(size), 0x10, 0, 2})
	}
	method := frame(frameMethod, 1, []byte{0, 60, 0, 60})
	large := bytes.Repeat([]byte{'x'}, 300)
	b := newBudget(100, 100)
	a := b.account()
	if !a.take(101, false) {
		t.Fatal("no room for one")
	}
	instead := withoutBody(header(1, 600), a.mark, 600)
	in := bytes.Join([][]byte{
		method, header(1, 600), frame(frameBody, 1, large), frame(frameHeartbeat, 0, nil), header(2, 3), frame(frameBody, 2, []byte("two")),
		frame(frameBody, 1, large), header(1, 5), frame(frameBody, 1, []byte("small")),
	}, nil)
	want := bytes.Join([][]byte{
		method, instead, frame(frameHeartbeat, 0, nil), header(2, 3), frame(frameBody, 2, []byte("two")),
		header(1, 5), frame(frameBody, 1, []byte("small")),
	}, nil)
	f := newFilter(iotest.OneByteReader(bytes.NewReader(in)))
	f.account = a
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\n%q, want\n%q", err, got, want)
	}
	f = newFilter(bytes.NewReader(in[:len(method)+len(header(1, 600))+9]))
	f.account = a
	if _, err := io.ReadAll(f); err != io.ErrUnexpectedEOF {
		t.Errorf("cut amid a body: %v", err)
	}
}

func TestRedelivered(t *testing.T) {
	deliver := func(tag string, redelivered byte) []byte {
		return slices.Concat([]byte{0, 60, 0, 60, byte(len(tag))}, []byte(tag), []byte{0, 0, 0, 0, 0, 0, 0, 1, redelivered, 0, 1, 'q'})
	}
	long := strings.Repeat("t", 255)
	for _, tt := range []struct {
		method []byte
		want   bool
	}{
		{deliver("tag", 1), true},
		{deliver("tag", 0), false},
		{deliver(long, 1), true},
		{deliver(long, 1)[:mostDeliver-7], true},
		{deliver(long, 1)[:mostDeliver-8], false},
		{[]byte{0, 60, 0, 60}, false},
		{append([]byte{0, 60, 0, 31}, deliver("", 1)[4:]...), false},
		{nil, false},
	} {
		if got := redelivered(tt.method); got != tt.want {
			t.Errorf("%q: %v", tt.method, got)
		}
	}
}
