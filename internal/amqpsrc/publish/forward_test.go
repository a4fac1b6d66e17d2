package publish

import (
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestForwardedOf: whatever a stranger writes into a host's queue, what is made of it is bounded.
func TestForwardedOf(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers amqp.Table
		want    Forwarded
	}{
		{"none", nil, Forwarded{Hops: 1}},
		{"ours", amqp.Table{wire.HeaderHops: int32(3), wire.HeaderRedelivered: true, wire.HeaderControl: true, wire.HeaderToken: "t"},
			Forwarded{Hops: 3, Redelivered: true, Control: true, Token: "t"}},
		{"note", amqp.Table{wire.HeaderToken: "t", wire.HeaderMoved: true}, Forwarded{Hops: 1, Token: "t", Moved: true}},
		{"most hops", amqp.Table{wire.HeaderHops: int64(intake.MostHops)}, Forwarded{Hops: intake.MostHops}},
		{"too many hops", amqp.Table{wire.HeaderHops: int64(intake.MostHops + 1)}, Forwarded{Hops: 1}},
		{"huge hops", amqp.Table{wire.HeaderHops: int64(math.MaxInt64)}, Forwarded{Hops: 1}},
		{"negative hops", amqp.Table{wire.HeaderHops: int64(math.MinInt64)}, Forwarded{Hops: 1}},
		{"long token", amqp.Table{wire.HeaderToken: strings.Repeat("x", wire.MaxText+1)}, Forwarded{Hops: 1}},
		{"wrong types", amqp.Table{wire.HeaderHops: "3", wire.HeaderRedelivered: "true", wire.HeaderControl: int32(1), wire.HeaderToken: []byte("t"), wire.HeaderMoved: amqp.Table{}},
			Forwarded{Hops: 1}},
		{"nested", amqp.Table{wire.HeaderHops: []any{int32(2)}, wire.HeaderToken: []any{"t"}, wire.HeaderMoved: []any{true}}, Forwarded{Hops: 1}},
		{"nothing", amqp.Table{wire.HeaderHops: nil, wire.HeaderRedelivered: nil, wire.HeaderControl: nil, wire.HeaderToken: nil, wire.HeaderMoved: nil}, Forwarded{Hops: 1}},
	} {
		if got := ForwardedOf(amqp.Delivery{Headers: tt.headers}); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// A claim of a test: an exchange, and the host's queue to which it leads.
func claim(p *brokertest.Peer, to string) intake.Claim {
	name := p.Name()
	p.DeclareWith(to, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
	p.Do(func(ch *amqp.Channel) error {
		// A claim leads nowhere itself, but to the host's exchange.
		if err := ch.ExchangeDeclare(name+".h", amqp.ExchangeDirect, true, false, false, false, nil); err != nil {
			return err
		}
		for _, key := range []string{"", "control"} {
			if err := ch.QueueBind(to, key, name+".h", false, nil); err != nil {
				return err
			}
		}
		return ch.ExchangeDeclare(name, amqp.ExchangeFanout, true, false, false, false, amqp.Table{"alternate-exchange": name + ".h"})
	})
	return intake.Claim{Address: name}
}

func drop(p *brokertest.Peer, exchanges ...string) {
	p.Do(func(ch *amqp.Channel) error {
		for _, e := range exchanges {
			if err := ch.ExchangeDelete(e, false, false); err != nil { // ifUnused, noWait
				return err
			}
		}
		return nil
	})
}

// publisher returns a Publisher that is connected to the broker.
func publisher(t *testing.T, queue string, gate *intake.Gate) *Publisher {
	t.Helper()
	address, err := wire.ParseURL(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	p := New(&wire.Dialer{Address: address, Name: "test"}, Config{Queue: queue, Log: slog.New(slog.DiscardHandler), Users: NewUsers(brokertest.URL(t), queue), Gate: gate})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestForward: a copy has all that the original had, and what its new host needs to know of the original. Its note follows it.
func TestForward(t *testing.T) {
	t.Parallel()
	peer := brokertest.New(t)
	to := peer.Name()
	c := claim(peer, to)
	t.Cleanup(func() { drop(peer, c.Address, c.Address+".h") })
	p := publisher(t, "jobs", nil)
	stamp := time.Unix(1700000000, 0)
	whole := amqp.Delivery{
		Headers:     amqp.Table{"keep": "me", "x-dispatch-hops": int32(9), "x-dispatch-moved": true, "x-death": []any{}},
		ContentType: "ct", ContentEncoding: "ce", Priority: 4, CorrelationId: "c", ReplyTo: "amq.rabbitmq.reply-to.g1h2", Expiration: "1",
		MessageId: "m", Timestamp: stamp, Type: "t", UserId: "ci", AppId: "a", Body: []byte("body"),
	}
	anonymous := amqp.Delivery{Body: []byte("other")}
	for _, tt := range []struct {
		name    string
		d       amqp.Delivery
		j       intake.Job
		want    Forwarded
		attempt int
		id      string
		headers amqp.Table // some
	}{
		{"whole", whole, intake.Job{Redelivered: true, Copy: "copy", Attempt: 3}, Forwarded{1, true, false, "token", false}, 3, "m",
			amqp.Table{"keep": "me", wire.HeaderCopy: "copy", wire.HeaderJob: nil, "x-death": nil, wire.HeaderMoved: nil}},
		{"anonymous", anonymous, intake.Job{Control: true, Attempt: 1}, Forwarded{1, false, true, "token", false}, 1, "",
			amqp.Table{wire.HeaderJob: "shown", wire.HeaderCopy: nil, wire.HeaderAttempt: nil, wire.HeaderUser: nil}},
		{"second hop", whole, intake.Job{Forwarded: &intake.Forwarded{Hops: 1}}, Forwarded{2, false, false, "token", false}, 1, "m", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			way := Way{Claim: c, Token: "token", Key: "control"}
			if err := p.Forward(t.Context(), tt.d, &tt.j, way, "shown", func() bool { return false }); err != nil {
				t.Fatal(err)
			}
			if err := p.Moved(t.Context(), tt.d.MessageId, way); err != nil {
				t.Fatal(err)
			}
			all := peer.Expect(to, string(tt.d.Body), "")
			got, note := all[0], ForwardedOf(all[1])
			if f := ForwardedOf(got); f != tt.want {
				t.Errorf("the copy is %+v, want %+v", f, tt.want)
			}
			if note != (Forwarded{Hops: 1, Token: "token", Moved: true}) {
				t.Errorf("the note is %+v", note)
			}
			if n, id := Attempt(got, "jobs"); n != tt.attempt || id != tt.id {
				t.Errorf("attempt %d of %q, want %d of %q", n, id, tt.attempt, tt.id)
			}
			if got.RoutingKey != way.Key || all[1].RoutingKey != way.Key {
				t.Errorf("the routing keys are %q and %q", got.RoutingKey, all[1].RoutingKey)
			}
			for k, v := range tt.headers {
				if got.Headers[k] != v {
					t.Errorf("header %s is %v, want %v", k, got.Headers[k], v)
				}
			}
			if user := p.config.Users.Of(got); user != tt.d.UserId || got.UserId != "" {
				t.Errorf("the user is %q, want %q", user, tt.d.UserId)
			}
			props := func(d amqp.Delivery) []any {
				return []any{d.ContentType, d.ContentEncoding, d.Priority, d.CorrelationId, d.ReplyTo, d.MessageId, d.Timestamp, d.Type, d.AppId, string(d.Body)}
			}
			if got, want := props(got), props(tt.d); !reflect.DeepEqual(got, want) {
				t.Errorf("properties are\n%v, want\n%v", got, want)
			}
			if got.Expiration != "" || got.DeliveryMode != amqp.Persistent {
				t.Errorf("expiration %q, mode %d", got.Expiration, got.DeliveryMode)
			}
		})
	}
}

// TestForwardNowhere: a claim that leads to no host does not keep the message waiting, and costs no connection.
func TestForwardNowhere(t *testing.T) {
	t.Parallel()
	peer := brokertest.New(t)
	to := peer.Name()
	c := claim(peer, to)
	t.Cleanup(func() { drop(peer, c.Address, c.Address+".h") })
	p := publisher(t, "jobs", nil)
	line, err := p.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, j := amqp.Delivery{MessageId: "m", Body: []byte("body")}, intake.Job{}
	lost := false
	forward := func(what string, to intake.Claim, want error) {
		t.Helper()
		if err := p.Forward(t.Context(), d, &j, Way{Claim: to, Token: "token"}, "m", func() bool { return lost }); err != want {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if err := p.Moved(t.Context(), "m", Way{Claim: to, Token: "token"}); err != nil {
			t.Errorf("%s: the note: %v", what, err)
		}
	}
	forward("a claim that was never made", intake.Claim{Address: peer.Name()}, intake.ErrNoHost)
	forward("a claim", c, nil)
	peer.Expect(to, "body", "")
	peer.Delete(to)
	forward("its queue deleted", c, intake.ErrNoHost)
	drop(peer, c.Address+".h")
	forward("its host released", c, intake.ErrNoHost)
	drop(peer, c.Address)
	forward("the claim deleted", c, intake.ErrNoHost)
	lost = true
	forward("the delivery lost", c, intake.ErrDeliveryLost)
	if after, err := p.current(t.Context()); err != nil || after != line {
		t.Errorf("the connection ended: %v", err)
	}
}

// TestGate: while the jobs may be another host's, a message waits, and others pass it.
func TestGate(t *testing.T) {
	t.Parallel()
	peer := brokertest.New(t)
	to := peer.Name()
	c := claim(peer, to)
	t.Cleanup(func() { drop(peer, c.Address, c.Address+".h") })
	gate := new(intake.Gate)
	gated, free := publisher(t, "jobs", gate), publisher(t, "jobs", nil)
	done := make(chan error, 1)
	go func() {
		done <- gated.Forward(t.Context(), amqp.Delivery{Body: []byte("last")}, &intake.Job{}, Way{Claim: c, Token: "t"}, "id", func() bool { return false })
	}()
	want := []string{}
	for range 50 {
		if err := free.Moved(t.Context(), "m", Way{Claim: c, Token: "token"}); err != nil {
			t.Fatal(err)
		}
		want = append(want, "")
	}
	gate.Set(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	peer.Expect(to, append(want, "last")...)
}
