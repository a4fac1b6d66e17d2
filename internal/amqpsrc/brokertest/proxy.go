package brokertest

import (
	"net"
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

func brokerAddr(t testing.TB) string {
	a, err := wire.ParseURL(URL(t))
	if err != nil {
		t.Fatal(err)
	}
	return a.HostPort()
}

// A Proxy stands between a Source and the broker, for the faults that a network has.
type Proxy struct {
	Addr   string // what a client connects to in the broker's place
	t      testing.TB
	target string
	ln     net.Listener

	mu     sync.Mutex
	conns  []*Proxied
	refuse bool
	wg     sync.WaitGroup
}

// A Proxied is one connection through a proxy. The first that a Source makes consumes, the second
// publishes.
type Proxied struct {
	client, server net.Conn
	Gate           cmd.Gate      // closed: bytes are taken and not passed on
	CutAfter       chan struct{} // closed: the next bytes to the client are cut in half, and the connection with them
}

// NewProxy starts a proxy, which ends with the test.
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
	c.client.(*net.TCPConn).SetLinger(0) // a reset, as from a host that has gone
	c.client.Close()
	c.server.Close()
	c.Gate.Set(true)
}

// Inject sends a method frame of AMQP to the client, as from the broker. The connection must be idle, or
// the frame lands in another.
func (c *Proxied) Inject(channel, class, method byte, args string) {
	b := append([]byte{wire.FrameMethod, 0, channel, 0, 0, 0, byte(4 + len(args)), 0, class, 0, method}, args...)
	c.client.Write(append(b, 0xCE))
}

// Conn returns the connection of that number, from 0, when it is there.
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

// Count is how many connections there have been.
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

// SetRefuse has it refuse connections from now on, or take them again.
func (p *Proxy) SetRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}
