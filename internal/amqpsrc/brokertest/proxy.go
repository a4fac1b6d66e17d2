package brokertest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// A Proxy passes connections on to a server, most often the broker, and does to them what networks do. Its Faults
// are those of all its connections together; each has its own besides.
type Proxy struct {
	*Faults
	Addr string // to which a client connects in place of the server

	t      testing.TB
	server [2]string // network and address
	ln     net.Listener
	work   sync.WaitGroup

	mu      sync.Mutex
	proxied []*Proxied // in the order in which they came
	refuse  bool
}

// NewProxy starts a proxy to the broker, which is stopped when the test ends.
func NewProxy(t testing.TB) *Proxy {
	t.Helper()
	a, err := wire.ParseURL(URL(t))
	if err != nil {
		t.Fatal(err)
	}
	return ProxyTo(t, "tcp", "127.0.0.1:0", "tcp", a.HostPort())
}

// ProxyTo starts a proxy that listens at an address, and passes connections on to any server. It is stopped when
// the test ends.
func ProxyTo(t testing.TB, network, address, serverNetwork, server string) *Proxy {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Faults: newFaults(), Addr: ln.Addr().String(), t: t, server: [2]string{serverNetwork, server}, ln: ln}
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// close ends all connections, and waits for what served them.
func (p *Proxy) close() {
	p.ln.Close()
	p.SetRefuse(true)
	p.Cut()
	p.work.Wait()
}

// Dial connects through the proxy, whatever the address.
func (p *Proxy) Dial(network, _ string) (net.Conn, error) { return net.Dial(network, p.Addr) }

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(p.server[0], p.server[1])
		if err != nil {
			client.Close()
			continue
		}
		c := &Proxied{Faults: newFaults(), ends: [2]net.Conn{server, client}, done: make(chan struct{})}
		p.mu.Lock()
		if p.refuse {
			c.Cut()
		} else {
			p.proxied = append(p.proxied, c)
			p.work.Go(func() { p.serve(c) })
		}
		p.mu.Unlock()
	}
}

func (p *Proxy) serve(c *Proxied) {
	defer c.Cut()
	var ways sync.WaitGroup
	ways.Go(func() { p.pump(c, ToServer) })
	ways.Go(func() { p.pump(c, ToClient) })
	ways.Wait()
}

// pump passes on what goes one way, to its end; an end of one way leaves the other open.
func (p *Proxy) pump(c *Proxied, way Way) {
	from, to := c.ends[1-way], c.ends[way]
	buf := make([]byte, 64<<10)
	admit := func(n int) int {
		if n = p.admit(c.done, way, n); n == 0 {
			return 0
		}
		return c.admit(c.done, way, n)
	}
	for {
		n, err := from.Read(buf)
		for data := buf[:n]; len(data) > 0; {
			allowed := admit(len(data))
			if _, err := to.Write(data[:allowed]); err != nil || allowed == 0 {
				c.Cut()
				return
			}
			data = data[allowed:]
		}
		switch {
		case errors.Is(err, io.EOF):
			if admit(1) > 0 {
				to.(interface{ CloseWrite() error }).CloseWrite()
			}
			return
		case err != nil:
			c.Cut()
			return
		}
	}
}

// Conn waits for connection i, counted from 0, and returns it. A Source consumes on its first connection, and
// publishes on its second.
func (p *Proxy) Conn(i int) *Proxied {
	p.t.Helper()
	var c *Proxied
	Eventually(p.t, "connection through the proxy", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i < len(p.proxied) {
			c = p.proxied[i]
		}
		return c != nil
	})
	return c
}

// Count returns how many connections were made through the proxy.
func (p *Proxy) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.proxied)
}

// Cut ends all connections there are.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.proxied {
		c.Cut()
	}
}

// SetRefuse makes the proxy refuse connections from now on, or accept them again.
func (p *Proxy) SetRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// A Proxied is one connection through a proxy.
type Proxied struct {
	*Faults
	ends [2]net.Conn // by way: the server's, the client's
	done chan struct{}
	once sync.Once
}

// Cut ends the connection. On TCP it is reset, as by a host that has restarted.
func (c *Proxied) Cut() {
	c.once.Do(func() {
		close(c.done)
		for _, end := range c.ends {
			if t, ok := end.(*net.TCPConn); ok {
				t.SetLinger(0)
			}
			end.Close()
		}
	})
}

// Inject sends an AMQP method frame to the client, as from the broker. The connection must be idle, or the
// frame lands inside another.
func (c *Proxied) Inject(channel, class, method byte, args string) {
	b := append([]byte{wire.FrameMethod, 0, channel, 0, 0, 0, byte(4 + len(args)), 0, class, 0, method}, args...)
	c.ends[ToClient].Write(append(b, 0xCE))
}
