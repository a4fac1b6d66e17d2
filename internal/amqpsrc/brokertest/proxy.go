package brokertest

import (
	"net"
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

func brokerAddr(t testing.TB) string {
	a, err := wire.ParseURL(URL(t))
	if err != nil {
		t.Fatal(err)
	}
	return a.HostPort()
}

// A Proxy is a TCP proxy between a Source and the broker, which simulates the faults of a network.
type Proxy struct {
	Addr   string // to which a client connects in place of the broker
	t      testing.TB
	target string
	ln     net.Listener

	mu     sync.Mutex
	conns  []*Proxied
	refuse bool
	wg     sync.WaitGroup
}

// A Proxied is one connection through a proxy. A Source consumes on its first connection, and publishes on
// its second.
type Proxied struct {
	client, server net.Conn
	Gate           intake.Gate   // closed: bytes are read and not passed on
	CutAfter       chan struct{} // closed: half of the next bytes to the client are passed on, then the connection is cut
}

// NewProxy starts a proxy, which is stopped when the test ends.
func NewProxy(t testing.TB) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, target: brokerAddr(t), ln: ln, Addr: ln.Addr().String()}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// Dial connects through the proxy, whatever the address.
func (p *Proxy) Dial(network, _ string) (net.Conn, error) { return net.Dial(network, p.Addr) }

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.refuse
		p.mu.Unlock()
		server, err := net.Dial("tcp", p.target)
		if err != nil || refuse {
			client.Close()
			if err == nil {
				server.Close()
			}
			continue
		}
		c := &Proxied{client: client, server: server, CutAfter: make(chan struct{})}
		c.Gate.Set(true)
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		p.wg.Go(func() { c.copy(server, client, nil) })
		p.wg.Go(func() { c.copy(client, server, c.CutAfter) })
	}
}

func (c *Proxied) copy(dst, src net.Conn, cut <-chan struct{}) {
	defer dst.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		for {
			open, changed := c.Gate.State()
			if open {
				break
			}
			<-changed
		}
		if cut != nil {
			select {
			case <-cut:
				dst.Write(buf[:n/2])
				c.Cut()
				return
			default:
			}
		}
		if _, werr := dst.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// Cut ends the connection.
func (c *Proxied) Cut() {
	c.client.(*net.TCPConn).SetLinger(0) // a reset, as from a host that has restarted
	c.client.Close()
	c.server.Close()
	c.Gate.Set(true)
}

// Inject sends an AMQP method frame to the client, as from the broker. The connection must be idle, or the
// frame lands inside another.
func (c *Proxied) Inject(channel, class, method byte, args string) {
	b := append([]byte{wire.FrameMethod, 0, channel, 0, 0, 0, byte(4 + len(args)), 0, class, 0, method}, args...)
	c.client.Write(append(b, 0xCE))
}

// Conn waits for connection i, counted from 0, and returns it.
func (p *Proxy) Conn(i int) *Proxied {
	p.t.Helper()
	var c *Proxied
	Eventually(p.t, "connection through the proxy", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i < len(p.conns) {
			c = p.conns[i]
		}
		return c != nil
	})
	return c
}

// Count returns how many connections were made through the proxy.
func (p *Proxy) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Cut()
	}
}

// SetRefuse makes the proxy refuse connections from now on, or accept them again.
func (p *Proxy) SetRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}
