package amqpsrc

import (
	"net"
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

func brokerAddr(t testing.TB) string {
	a, err := wire.ParseURL(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	return a.HostPort()
}

// A proxy stands between a Source and the broker, for the faults that a network has.
type proxy struct {
	t      testing.TB
	target string
	ln     net.Listener
	addr   string

	mu     sync.Mutex
	conns  []*proxied
	refuse bool
	wg     sync.WaitGroup
}

// A proxied is one connection through a proxy. The first that a Source makes consumes, the second
// publishes.
type proxied struct {
	client, server net.Conn
	gate           cmd.Gate      // closed: bytes are taken and not passed on
	cutAfter       chan struct{} // closed: the next bytes to the client are cut in half, and the connection with them
}

func newProxy(t testing.TB) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, target: brokerAddr(t), ln: ln, addr: ln.Addr().String()}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

// Dial connects through the proxy, whatever the address.
func (p *proxy) Dial(network, _ string) (net.Conn, error) { return net.Dial(network, p.addr) }

func (p *proxy) accept() {
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
		c := &proxied{client: client, server: server, cutAfter: make(chan struct{})}
		c.gate.Set(true)
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		p.wg.Go(func() { c.copy(server, client, nil) })
		p.wg.Go(func() { c.copy(client, server, c.cutAfter) })
	}
}

func (c *proxied) copy(dst, src net.Conn, cut <-chan struct{}) {
	defer dst.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		for {
			open, changed := c.gate.State()
			if open {
				break
			}
			<-changed
		}
		if cut != nil {
			select {
			case <-cut:
				dst.Write(buf[:n/2])
				c.cut()
				return
			default:
			}
		}
		if _, werr := dst.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (c *proxied) cut() {
	c.client.(*net.TCPConn).SetLinger(0) // a reset, as from a host that has gone
	c.client.Close()
	c.server.Close()
	c.gate.Set(true)
}

// inject sends a method frame of AMQP to the client, as from the broker. The connection must be idle, or
// the frame lands in another.
func (c *proxied) inject(channel, class, method byte, args string) {
	b := append([]byte{wire.FrameMethod, 0, channel, 0, 0, 0, byte(4 + len(args)), 0, class, 0, method}, args...)
	c.client.Write(append(b, 0xCE))
}

func (p *proxy) conn(i int) *proxied {
	p.t.Helper()
	var c *proxied
	brokertest.Eventually(p.t, "connection through the proxy", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i < len(p.conns) {
			c = p.conns[i]
		}
		return c != nil
	})
	return c
}

func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.cut()
	}
}

func (p *proxy) setRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}
