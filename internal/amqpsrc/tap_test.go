package amqpsrc

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// Methods, as class and number.
const (
	queueDeclare = 50<<16 | 10
	basicQos     = 60<<16 | 10
	basicConsume = 60<<16 | 20
	basicCancel  = 60<<16 | 30
)

// A tap counts the methods that are sent on the consuming connection, the first that it dials.
type tap struct {
	mu     sync.Mutex
	dialed bool           // guarded by mu, as all below
	sent   map[uint32]int // how often each method was sent
	rename string         // see setRename
}

func (t *tap) dial(network, addr string) (net.Conn, error) {
	conn, err := net.Dial(network, addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil || t.dialed {
		return conn, err
	}
	t.dialed, t.sent = true, make(map[uint32]int)
	return &tapped{Conn: conn, tap: t}, nil
}

// count returns how often a method was sent.
func (t *tap) count(method uint32) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent[method]
}

// setRename makes each declare from now on one of a queue whose name begins with prefix. The broker refuses "amq." with 403,
// unless the declare is passive, so it is not.
func (t *tap) setRename(prefix string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rename = prefix
}

// pass counts a frame and changes it.
func (t *tap) pass(frame []byte) {
	if frame[0] != wire.FrameMethod {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	method := binary.BigEndian.Uint32(frame[7:])
	t.sent[method]++
	if method == queueDeclare && t.rename != "" {
		name := frame[7+4+2+1:][:frame[7+4+2]]
		copy(name, t.rename)
		if t.rename == "amq." {
			frame[7+4+2+1+len(name)] &^= 1 // passive
		}
	}
}

// A tapped is the connection of a tap.
type tapped struct {
	net.Conn
	tap  *tap
	rest []byte // the start of a frame
}

func (c *tapped) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("AMQP")) {
		return c.Conn.Write(p)
	}
	c.rest = append(c.rest, p...)
	for len(c.rest) >= 7 {
		size := 7 + int(binary.BigEndian.Uint32(c.rest[3:])) + 1
		if len(c.rest) < size {
			break
		}
		frame := c.rest[:size]
		c.tap.pass(frame)
		if _, err := c.Conn.Write(frame); err != nil {
			return 0, err
		}
		c.rest = c.rest[size:]
	}
	return len(p), nil
}
