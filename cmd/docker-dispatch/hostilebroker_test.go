package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// brokerScenario is one way of a broker to be hostile.
type brokerScenario struct {
	name string
	at   string            // the step of the daemon at which the trick is played; see speaker.step
	role string            // on which connection: consume, publish or status; "": on any
	play func(c *amqpConn) // returns when the trick is played
	also bool              // the step is answered before, as a sound broker does
	then string            // ends: the daemon ends the connection; works: it carries out another message; exits: it ends, with log in its error; closes: it has acked a message; "": it waits
	log  string            // a part of what the daemon must write to its log
	body string            // of the message that a sound broker delivers first; "": see refused
	many int               // how many of them it delivers; 0: one
}

// refused is a message that cannot be carried out: it becomes a dead letter, and is acked.
const refused = `{"Dockercmd": "hostile"}`

// TestHostileBroker: whatever a broker sends, the daemon does not panic, stays small, and ends within seconds of a SIGTERM.
func TestHostileBroker(t *testing.T) {
	hostilities(t, brokerScenarios(), func(s brokerScenario) string { return s.name }, func(t *testing.T, s brokerScenario, exe string, w *worst) {
		engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			if r.URL.Path != "/_ping" {
				http.NotFound(w, r)
			}
		}))
		t.Cleanup(engine.Close)
		b := newSpeaker(t, s)
		p := daemonAt(t, exe, engine.Listener.Addr().String(), "amqp://guest:guest@"+b.address)
		switch s.then {
		case "exits":
			select {
			case <-p.exited:
			case <-time.After(patience):
				t.Fatal("the daemon does not end")
			}
			p.piped.Wait()
			happens(t, p, "the trick", b.played)
		case "ends":
			happens(t, p, "the trick", b.played)
			happens(t, p, "the end of the connection", b.ended)
		case "works":
			happens(t, p, "the trick", b.played)
			happens(t, p, "the ack of a later message", b.acked)
		case "closes":
			happens(t, p, "an ack", b.settled)
		default:
			happens(t, p, "the trick", b.played)
		}
		if s.log != "" {
			p.awaitLog(s.log)
		}
		if s.then == "exits" {
			hasNotPanicked(t, p)
			return
		}
		endsWell(t, p, w)
		if !b.has(b.played) {
			t.Error("the daemon has not come to the trick")
		}
	})
}

// A speaker is a broker of the test. It answers each step as RabbitMQ does, except where its scenario plays a trick.
type speaker struct {
	scenario brokerScenario
	address  string
	played   chan struct{} // closed when the trick was played
	ended    chan struct{} // closed when the daemon has ended a connection after that
	acked    chan struct{} // closed when the daemon has acked the later message
	settled  chan struct{} // closed when the daemon has settled any message

	mu sync.Mutex // guards what follows
	is map[chan struct{}]bool
}

// amqpConn is a connection of the daemon to a speaker.
type amqpConn struct {
	net.Conn
	*speaker
	ctx      context.Context
	role     string
	channel  uint16            // of the present step
	consumer uint16            // the channel that consumes
	tag      string            // its consumer tag
	last     uint64            // delivery tag of the last delivery
	later    uint64            // delivery tag of the message that must be acked; 0: not delivered
	left     map[uint16]uint64 // bytes that content of the daemon still has, by channel
	confirms map[uint16]uint64
}

func newSpeaker(t *testing.T, s brokerScenario) *speaker {
	b := &speaker{scenario: s, played: make(chan struct{}), ended: make(chan struct{}), acked: make(chan struct{}), settled: make(chan struct{}), is: make(map[chan struct{}]bool)}
	b.address = acceptAll(t, "tcp", "127.0.0.1:0", func(ctx context.Context, conn net.Conn) {
		c := &amqpConn{Conn: conn, speaker: b, ctx: ctx, left: make(map[uint16]uint64), confirms: make(map[uint16]uint64)}
		c.serve()
		if ctx.Err() == nil && b.has(b.played) {
			b.happened(b.ended)
		}
	}).Addr().String()
	return b
}

func (b *speaker) happened(event chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.is[event] {
		b.is[event] = true
		close(event)
	}
}

func (b *speaker) has(event chan struct{}) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.is[event]
}

// serve reads the daemon's frames until the connection ends.
func (c *amqpConn) serve() {
	hello := make([]byte, 8)
	if _, err := io.ReadFull(c, hello); err != nil {
		return
	}
	c.step("hello", func() { c.send(started(nil)) })
	for {
		head := make([]byte, 7)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
		if _, err := io.ReadFull(c, payload); err != nil {
			return
		}
		c.channel = binary.BigEndian.Uint16(head[1:])
		switch payload = payload[:len(payload)-1]; head[0] {
		case 1:
			c.method(payload)
		case 2:
			c.content(binary.BigEndian.Uint64(payload[4:]), 0)
		case 3:
			c.content(c.left[c.channel], uint64(len(payload)))
		}
	}
}

// content takes n of the bytes that are left of content, and confirms the message when none are.
func (c *amqpConn) content(left, n uint64) {
	if c.left[c.channel] = left - n; c.left[c.channel] == 0 && c.role != "status" { // there nothing is confirmed
		c.confirms[c.channel]++
		c.step("publish", func() { c.send(method(c.channel, 60, 80, c.confirms[c.channel], byte(0))) })
	}
}

// step plays the scenario's trick if this is its step, and answers otherwise.
func (c *amqpConn) step(name string, answer func()) {
	s := c.scenario
	if s.at != name || s.role != "" && s.role != c.role {
		answer()
		return
	}
	if s.also {
		answer()
	}
	s.play(c)
	c.happened(c.played)
	if s.then == "works" && c.consumer > 0 && c.later == 0 {
		c.later = c.last + 1000
		c.deliver(c.later, refused)
	}
}

// method answers a method of the daemon.
func (c *amqpConn) method(payload []byte) {
	channel, class, id, args := c.channel, binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:]), payload[4:]
	answer := func(name string, args ...any) {
		c.step(name, func() { c.send(method(channel, class, id+1, args...)) })
	}
	switch [2]uint16{class, id} {
	case [2]uint16{10, 11}:
		c.role = "consume"
		for _, role := range []string{"publish", "status"} {
			if bytes.Contains(args, []byte(" "+role)) {
				c.role = role
			}
		}
		c.step("start-ok", func() { c.send(tuned(2047, 131072, 60)) })
	case [2]uint16{10, 31}:
		c.step("tune-ok", func() {})
	case [2]uint16{10, 40}:
		answer("open", "")
	case [2]uint16{10, 50}:
		answer("close")
	case [2]uint16{20, 10}:
		answer("channel.open", long(""))
	case [2]uint16{20, 40}:
		answer("channel.close")
	case [2]uint16{50, 10}:
		name := string(args[3 : 3+args[2]])
		if strings.HasSuffix(name, ".hosts") {
			c.step("hosts", func() { c.send(method(channel, 20, 40, uint16(404), "NOT_FOUND - no queue", class, id)) })
			return
		}
		answer("declare", name, uint32(0), uint32(0))
	case [2]uint16{50, 20}:
		answer("bind")
	case [2]uint16{50, 40}:
		answer("delete", uint32(0))
	case [2]uint16{60, 10}:
		answer("qos")
	case [2]uint16{60, 20}:
		queue := int(args[2])
		tag := string(args[4+queue : 4+queue+int(args[3+queue])])
		if !strings.HasPrefix(tag, "docker-dispatch-") { // the look whether the queue is a stream
			c.send(method(channel, class, id+1, tag))
			return
		}
		c.consumer, c.tag = channel, tag
		c.step("consume", func() {
			c.send(method(channel, class, id+1, tag))
			if c.role == "status" {
				return
			}
			if c.scenario.at != "consume" {
				if c.scenario.then == "works" && c.has(c.played) {
					c.later = c.last + 1
				}
				for range max(1, c.scenario.many) {
					c.last++
					c.deliver(c.last, strings.ReplaceAll(c.scenario.message(), "NUMBER", fmt.Sprint(c.last)))
				}
			}
		})
	case [2]uint16{60, 30}:
		answer("cancel", string(args[1:1+args[0]]))
	case [2]uint16{60, 80}, [2]uint16{60, 90}, [2]uint16{60, 120}:
		if tag := binary.BigEndian.Uint64(args); tag == c.later && tag > 0 {
			c.happened(c.acked)
		}
		c.happened(c.settled)
		c.step("ack", func() {})
	case [2]uint16{85, 10}:
		answer("confirm")
	}
}

func (s brokerScenario) message() string {
	if s.body != "" {
		return s.body
	}
	return refused
}

func (c *amqpConn) send(frames ...[]byte) { c.Write(bytes.Join(frames, nil)) }

// deliver delivers a message with an id.
func (c *amqpConn) deliver(tag uint64, body string) {
	c.send(delivery(c.consumer, c.tag, tag, uint64(len(body)), 0x0080, short(fmt.Sprintf("m%d", tag))), frame(3, c.consumer, []byte(body)))
}

// question is a delivery without a body whose answer goes to a queue.
func question(c *amqpConn, replyTo string) []byte {
	c.last++
	return delivery(c.channel, c.tag, c.last, 0, 0x0200, short(replyTo))
}

// The frames of AMQP 0-9-1.

func frame(kind byte, channel uint16, payload []byte) []byte {
	f := binary.BigEndian.AppendUint32(append([]byte{kind}, byte(channel>>8), byte(channel)), uint32(len(payload)))
	return append(append(f, payload...), 0xCE)
}

// method is a frame of a method. A string argument is a short one; bytes stand for themselves.
func method(channel, class, id uint16, args ...any) []byte {
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, class), id)
	for _, a := range args {
		switch a := a.(type) {
		case byte:
			b = append(b, a)
		case uint16:
			b = binary.BigEndian.AppendUint16(b, a)
		case uint32:
			b = binary.BigEndian.AppendUint32(b, a)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, a)
		case string:
			b = append(b, short(a)...)
		case []byte:
			b = append(b, a...)
		default:
			panic(fmt.Sprintf("argument %T", a))
		}
	}
	return frame(1, channel, b)
}

func short(s string) []byte { return append([]byte{byte(len(s))}, s...) }

func long(s string) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }

// started is connection.start with these entries in its table of properties.
func started(properties []byte) []byte {
	return method(0, 10, 10, byte(0), byte(9), long(string(properties)), long("PLAIN AMQPLAIN"), long("en_US"))
}

func tuned(channels uint16, frameMax uint32, heartbeat uint16) []byte {
	return method(0, 10, 30, channels, frameMax, heartbeat)
}

// delivery is basic.deliver and the header of its content.
func delivery(channel uint16, consumer string, tag, size uint64, flags uint16, properties []byte) []byte {
	return append(method(channel, 60, 60, consumer, tag, byte(0), "", "hostile"), contentHeader(channel, size, flags, properties)...)
}

func contentHeader(channel uint16, size uint64, flags uint16, properties []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{0, 60, 0, 0}, size)
	return frame(2, channel, append(binary.BigEndian.AppendUint16(b, flags), properties...))
}

// nested is a table in a table and so on.
func nested(depth int) []byte {
	var t []byte
	for range depth {
		t = append(append(short("k"), 'F'), long(string(t))...)
	}
	return t
}

const ocean = 400 << 20 // bytes of a flood, which must not all be held

// brokerScenarios are the ways of a broker to be hostile.
func brokerScenarios() []brokerScenario {
	silent := func(*amqpConn) {}
	raw := func(data ...[]byte) func(*amqpConn) { return func(c *amqpConn) { c.send(data...) } }
	flood := func(make func(c *amqpConn) []byte) func(*amqpConn) { // of half a million
		return func(c *amqpConn) {
			piece := make(c)
			tide(c, piece, min(len(piece)<<19, ocean))
		}
	}
	heartbeat := frame(8, 0, nil)
	returned := func(c *amqpConn, size uint64) []byte {
		return append(method(c.channel, 60, 50, uint16(312), "NO_ROUTE", "", "nowhere"), contentHeader(c.channel, size, 0, nil)...)
	}
	var text []byte
	for i := range 255 {
		text = append(text, byte(i))
	}
	control := string(text)
	var all []brokerScenario
	for _, step := range []struct{ at, role string }{
		{"hello", ""}, {"start-ok", ""}, {"tune-ok", ""}, {"open", ""}, {"channel.open", "consume"}, {"declare", "consume"}, {"channel.close", "consume"}, {"hosts", "consume"}, {"qos", "consume"}, {"consume", "consume"},
		{"open", "publish"}, {"channel.open", "publish"}, {"declare", "publish"}, {"confirm", "publish"}, {"publish", "publish"},
		{"open", "status"}, {"channel.open", "status"}, {"declare", "status"}, {"bind", "status"}, {"qos", "status"}, {"consume", "status"},
	} {
		all = append(all, brokerScenario{name: strings.TrimSuffix("silence at "+step.at+" "+step.role, " "), at: step.at, role: step.role, play: silent})
		if step.at == "tune-ok" {
			continue // its answer is that to open
		}
		all = append(all, brokerScenario{name: strings.TrimSuffix("end at "+step.at+" "+step.role, " "), at: step.at, role: step.role, play: func(c *amqpConn) { c.Close() }, then: "ends"})
	}
	return append(all, []brokerScenario{
		{name: "HTTP", at: "hello", play: raw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), then: "exits", log: "it is an HTTP server"},
		{name: "AMQP 1.0", at: "hello", play: raw([]byte("AMQP\x00\x01\x00\x00")), then: "exits", log: "it offers"},
		{name: "a frame of 4 GiB", at: "hello", play: func(c *amqpConn) {
			c.send([]byte{1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 10, 0, 10, 0, 9})
			tide(c, make([]byte, 1024), ocean)
		}, then: "ends"},
		{name: "server properties without end", at: "hello", play: func(c *amqpConn) { // in frames, each of which is sound
			c.send(method(0, 10, 10, byte(0), byte(9), uint32(math.MaxInt32)))
			tide(c, heartbeat, ocean)
		}, then: "ends"},
		{name: "server properties nested deep", at: "hello", play: raw(started(nested(500))), then: "ends"},
		{name: "server properties with an unknown type of field", at: "hello", play: raw(started(append(short("k"), '?', 1, 2, 3))), then: "ends"},
		{name: "server properties of wrong types", at: "hello", play: raw(started(bytes.Join([][]byte{
			short("capabilities"), {'I', 0, 0, 0, 1}, short("version"), {'A', 0, 0, 0, 1, 'V'}, short("cluster_name"), {'F', 0, 0, 0, 0}, short("product"), {'V'}}, nil))), then: "works"},
		{name: "no mechanism that we know", at: "hello", play: raw(method(0, 10, 10, byte(0), byte(9), long(""), long("X-\x1b[2J"), long(""))), then: "exits"},
		{name: "a challenge", at: "start-ok", play: raw(method(0, 10, 20, long(control))), then: "ends"},
		{name: "frames of 0", at: "start-ok", play: raw(tuned(0, 0, 0)), then: "works"},
		{name: "tiny frames", at: "start-ok", play: raw(tuned(100, 1, 1)), then: "works"},
		{name: "huge frames", at: "start-ok", play: raw(tuned(65535, math.MaxUint32, 65535)), then: "works"},
		{name: "one channel", at: "start-ok", play: raw(tuned(1, 131072, 60)), then: "exits", log: "at most 1"},
		{name: "tuned twice", at: "start-ok", play: raw(tuned(2047, 131072, 60), tuned(1, 4096, 1))},
		{name: "started again and again", at: "consume", role: "consume", also: true, play: flood(func(*amqpConn) []byte { return started(nil) }), then: "ends"},
		{name: "a frame larger than agreed", at: "consume", role: "consume", also: true, play: func(c *amqpConn) { c.send(frame(3, c.channel, make([]byte, 200000))) }, then: "ends"},
		{name: "a frame without its end", at: "consume", role: "consume", also: true, play: func(c *amqpConn) { c.send([]byte{8, 0, 0, 0, 0, 0, 0, 0}) }, then: "ends"},
		{name: "an unknown type of frame", at: "consume", role: "consume", also: true, play: func(c *amqpConn) { c.send(frame(77, 0, nil)) }, then: "ends"},
		{name: "an unknown method", at: "consume", role: "consume", also: true, play: func(c *amqpConn) { c.send(method(c.channel, 99, 99)) }, then: "ends"},
		{name: "methods of a client", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(method(c.channel, 60, 40, uint16(0), "", "q", byte(0)), contentHeader(c.channel, 0, 0, nil), method(c.channel, 50, 10, uint16(0), "q", byte(0), long("")))
		}, then: "ends"},
		{name: "heartbeats without end", at: "consume", role: "consume", also: true, play: flood(func(*amqpConn) []byte { return heartbeat }), then: "works"},
		{name: "headers on channel 0 without end", at: "consume", role: "consume", also: true, play: flood(func(*amqpConn) []byte { return contentHeader(0, 1, 0, nil) })},
		{name: "a delivery on an unknown channel", at: "consume", role: "consume", also: true, play: func(c *amqpConn) { c.send(delivery(999, c.tag, 1, 0, 0, nil)) }, then: "ends"},
		{name: "deliveries on unknown channels without end", at: "consume", role: "consume", also: true, play: flood(func(c *amqpConn) []byte { return delivery(999, c.tag, 1, 0, 0, nil) })},
		{name: "a delivery for an unknown consumer", at: "consume", role: "consume", also: true, play: func(c *amqpConn) { c.send(delivery(c.channel, "nobody", 1, 0, 0, nil)) }, then: "works"},
		{name: "delivery tags 0, again, and the last", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			for _, tag := range []uint64{0, 0, 1, 1, math.MaxUint64, math.MaxUint64} {
				c.deliver(tag, refused)
			}
		}, then: "works"},
		{name: "more deliveries than asked for", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			tide(c, append(delivery(c.channel, c.tag, 1, 8, 0x0080, short("m")), frame(3, c.channel, []byte("whatever"))...), ocean)
		}, then: "ends"},
		{name: "more large deliveries than asked for", at: "consume", role: "consume", also: true, play: flood(func(c *amqpConn) []byte {
			return append(delivery(c.channel, c.tag, 1, 100000, 0x0080, short("m")), frame(3, c.channel, make([]byte, 100000))...)
		}), then: "ends"},
		{name: "a body shorter than its header says", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(delivery(c.channel, c.tag, 1, 1000, 0, nil), frame(3, c.channel, []byte("short")))
		}, then: "works"},
		{name: "a body longer than its header says", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(delivery(c.channel, c.tag, 1, 2, 0, nil), frame(3, c.channel, make([]byte, 100000)), frame(3, c.channel, make([]byte, 100000)))
		}, then: "works"},
		{name: "a body of 2^63 bytes", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(delivery(c.channel, c.tag, 1, 1<<63, 0, nil))
			tide(c, frame(3, c.channel, make([]byte, 100000)), ocean)
		}, then: "ends"},
		{name: "a returned body of 2^63 bytes", at: "publish", role: "publish", play: func(c *amqpConn) {
			c.send(returned(c, 1<<63))
			tide(c, frame(3, c.channel, make([]byte, 100000)), ocean)
		}, then: "ends"},
		{name: "a body in empty frames", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(delivery(c.channel, c.tag, 1, 5, 0, nil))
			tide(c, frame(3, c.channel, nil), ocean/10)
		}},
		{name: "a body before its header", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(frame(3, c.channel, []byte("x")), contentHeader(c.channel, 1, 0, nil), frame(3, c.channel, []byte("x")))
		}, then: "works"},
		{name: "headers nested deep", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(delivery(c.channel, c.tag, 1, 0, 0x2000, long(string(nested(300)))))
		}, log: "headers cannot be read", then: "works"},
		{name: "headers longer than their frame", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(delivery(c.channel, c.tag, 1, 0, 0x2000, []byte{0x7f, 0xff, 0xff, 0xff, 1}))
			tide(c, heartbeat, ocean)
		}, then: "ends"},
		{name: "control characters in every property", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			var p []byte
			for range 2 {
				p = append(p, short(control)...)
			}
			p = append(p, long(string(append(append(short(control), 'S'), long(control)...)))...)
			p = append(p, 255, 255)
			for range 4 {
				p = append(p, short(control)...)
			}
			p = append(p, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
			for range 3 {
				p = append(p, short(control)...)
			}
			c.send(delivery(c.channel, c.tag, 1, uint64(len(control)), 0xfff8, p), frame(3, c.channel, []byte(control)))
		}, then: "works"},
		{name: "one message redelivered without end", at: "ack", role: "consume", play: func(c *amqpConn) {
			c.last++
			c.deliver(c.last, refused)
		}, then: "works"},
		{name: "acks answered by the end of the channel", at: "ack", role: "consume", play: func(c *amqpConn) {
			c.send(method(c.channel, 20, 40, uint16(406), "PRECONDITION_FAILED - unknown delivery tag 1", uint16(60), uint16(80)))
		}, then: "ends"},
		{name: "confirms of what was not sent", at: "publish", role: "publish", also: true, play: func(c *amqpConn) {
			c.send(method(c.channel, 60, 80, uint64(0), byte(0)), method(c.channel, 60, 80, uint64(math.MaxUint64), byte(0)), method(c.channel, 60, 120, uint64(1000), byte(1)))
		}, then: "ends"},
		{name: "confirms of all there can be", at: "publish", role: "publish", play: func(c *amqpConn) {
			c.send(method(c.channel, 60, 80, uint64(math.MaxUint64), byte(1)), method(c.channel, 60, 80, uint64(1), byte(1)))
		}, then: "ends"},
		{name: "confirms without end", at: "publish", role: "publish", play: flood(func(c *amqpConn) []byte { return method(c.channel, 60, 80, uint64(7), byte(0)) })},
		{name: "nacks of everything", at: "publish", role: "publish", play: func(c *amqpConn) { c.send(method(c.channel, 60, 120, c.confirms[c.channel], byte(1))) }, log: "not stored yet"},
		{name: "returns without end", at: "publish", role: "publish", play: flood(func(c *amqpConn) []byte { return returned(c, 0) })},
		{name: "returns on the channel that consumes", at: "consume", role: "consume", also: true, play: func(c *amqpConn) { c.send(returned(c, 0), returned(c, 0), returned(c, 0)) }, then: "works"},
		{name: "cancels without end", at: "consume", role: "consume", also: true, play: flood(func(c *amqpConn) []byte { return method(c.channel, 60, 30, c.tag, byte(1)) })},
		{name: "cancels of other consumers", at: "consume", role: "consume", also: true, play: flood(func(c *amqpConn) []byte { return method(c.channel, 60, 30, "other", byte(1)) })},
		{name: "flow without end", at: "consume", role: "consume", also: true, play: func(c *amqpConn) { tide(c, method(c.channel, 20, 20, byte(0)), ocean/100) }},
		{name: "blocked for ever", at: "open", role: "publish", also: true, play: func(c *amqpConn) { c.send(method(0, 10, 60, control)) }, log: "takes no messages for now"},
		{name: "blocked without end", at: "publish", role: "publish", also: true, play: flood(func(c *amqpConn) []byte { return method(0, 10, 60, "low on memory") })},
		{name: "blocked and unblocked without end", at: "publish", role: "publish", also: true, play: flood(func(c *amqpConn) []byte { return append(method(0, 10, 60, ""), method(0, 10, 61)...) })},
		{name: "the channel closed with a code that is none", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(method(c.channel, 20, 40, uint16(65535), control, uint16(0), uint16(0)))
		}, then: "ends"},
		{name: "the channel closed again and again", at: "consume", role: "consume", also: true, play: flood(func(c *amqpConn) []byte { return method(c.channel, 20, 40, uint16(200), "", uint16(0), uint16(0)) })},
		{name: "the connection closed amid a message", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(delivery(c.channel, c.tag, 1, 1000, 0, nil), frame(3, c.channel, []byte("x")), method(0, 10, 50, uint16(0), control, uint16(0), uint16(0)))
		}, then: "ends"},
		{name: "the connection closed with a code that is none", at: "declare", role: "consume", play: raw(method(0, 10, 50, uint16(65535), control, uint16(1), uint16(2))), then: "ends"},
		{name: "answers to nothing", at: "consume", role: "consume", also: true, play: func(c *amqpConn) {
			c.send(method(c.channel, 50, 11, "q", uint32(0), uint32(0)), method(0, 10, 41, ""), method(c.channel, 60, 11), method(c.channel, 60, 71, uint64(1), byte(0), "", "", uint32(0)), contentHeader(c.channel, 0, 0, nil))
		}},
		{name: "the answer to another call", at: "qos", role: "consume", play: func(c *amqpConn) { c.send(method(c.channel, 60, 21, "tag")) }, then: "ends"},
		{name: "a queue with four thousand million messages", at: "declare", role: "consume", play: func(c *amqpConn) {
			c.send(method(c.channel, 50, 11, control, uint32(math.MaxUint32), uint32(math.MaxUint32)))
		}, then: "works"},
		{name: "another consumer tag than asked for", at: "consume", role: "consume", play: func(c *amqpConn) {
			c.send(method(c.channel, 60, 21, "another"))
			c.tag = "another"
		}},
		{name: "questions without end", at: "consume", role: "status", also: true, play: flood(func(c *amqpConn) []byte { return question(c, "amq.gen-x") }), then: "ends"},
		{name: "questions for everybody's queues", at: "consume", role: "status", also: true, play: func(c *amqpConn) {
			for _, to := range []string{"", control, "hostile", "amq.gen-" + control[:200], "amq.rabbitmq.reply-to.", "amq.rabbitmq.reply-to." + control[:200]} {
				c.send(question(c, to))
			}
		}, then: "works"},
		{name: "a question of 300 MB", at: "consume", role: "status", also: true, play: func(c *amqpConn) {
			const pieces, size = 3000, 100000
			c.send(delivery(c.channel, c.tag, 1, pieces*size, 0, nil))
			piece := frame(3, c.channel, make([]byte, size))
			tide(c, piece, pieces*len(piece))
		}, then: "works"},
		{name: "the end of the queue for questions", at: "consume", role: "status", also: true, play: func(c *amqpConn) { c.send(method(c.channel, 60, 30, c.tag, byte(1))) }, then: "ends"},
		{name: "no questions allowed", at: "bind", role: "status", play: func(c *amqpConn) {
			c.send(method(c.channel, 20, 40, uint16(403), "ACCESS_REFUSED - "+control[:200], uint16(50), uint16(20)))
		}, log: "questions of docker-dispatch ps are not answered", then: "closes"},
		{name: "the channel for questions closed again and again", at: "consume", role: "status", also: true, play: flood(func(c *amqpConn) []byte { return method(c.channel, 20, 40, uint16(200), "", uint16(0), uint16(0)) })},
		{name: "silence at close", at: "close", play: silent, then: "closes"},
		{name: "silence at cancel", at: "cancel", play: silent, then: "closes"},
	}...)
}
