package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A side says which way bytes go through a faultyProxy.
type side int

const (
	toServer side = iota
	toClient
)

func (s side) String() string { return [...]string{"to the server", "to the client"}[s] }

// faultyProxy passes connections on to a server, and does to them what networks do.
type faultyProxy struct {
	server [2]string // network and address
	ln     net.Listener
	work   sync.WaitGroup

	mu      sync.Mutex
	links   map[*link]struct{} // guarded by mu, as all below; nil when closed
	stalled [2]int             // how many stalls are on, by side
	slow    [2]int             // how many delays are on, by side
	left    [2]int             // bytes until the next cut, by side; negative: none
	changed chan struct{}      // closed when any of the above has changed
}

// newFaultyProxy listens at an address until it is closed.
func newFaultyProxy(network, address, serverNetwork, server string) (*faultyProxy, error) {
	ln, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	p := &faultyProxy{server: [2]string{serverNetwork, server}, ln: ln, links: map[*link]struct{}{}, left: [2]int{-1, -1}, changed: make(chan struct{})}
	p.work.Go(p.accept)
	return p, nil
}

// close ends all connections, and waits for what served them.
func (p *faultyProxy) close() {
	p.ln.Close()
	p.cut()
	p.mu.Lock()
	links := p.links
	p.links = nil
	p.mu.Unlock()
	for l := range links {
		l.close()
	}
	p.work.Wait()
}

func (p *faultyProxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

// link is one connection through the proxy.
type link struct {
	ends [2]net.Conn // by side: the server's, the client's
	done chan struct{}
	once sync.Once
}

// close cuts both ends off. On TCP they learn it at once.
func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		for _, c := range l.ends {
			if t, ok := c.(*net.TCPConn); ok {
				t.SetLinger(0)
			}
			c.Close()
		}
	})
}

func (p *faultyProxy) serve(client net.Conn) {
	server, err := net.Dial(p.server[0], p.server[1])
	if err != nil {
		client.Close()
		return
	}
	l := &link{ends: [2]net.Conn{server, client}, done: make(chan struct{})}
	defer l.close()
	p.mu.Lock()
	if p.links == nil {
		p.mu.Unlock()
		return
	}
	p.links[l] = struct{}{}
	p.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { p.pump(l, toServer) })
	ways.Go(func() { p.pump(l, toClient) })
	ways.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pump passes on what goes one way, to its end; an end of one way leaves the other open.
func (p *faultyProxy) pump(l *link, way side) {
	from, to := l.ends[1-way], l.ends[way]
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for data := buf[:n]; len(data) > 0; {
			allowed := p.admit(l, way, len(data))
			if _, err := to.Write(data[:allowed]); err != nil || allowed == 0 {
				l.close()
				return
			}
			data = data[allowed:]
		}
		switch {
		case errors.Is(err, io.EOF):
			if p.admit(l, way, 1) > 0 {
				to.(interface{ CloseWrite() error }).CloseWrite()
			}
			return
		case err != nil:
			l.close()
			return
		}
	}
}

// perByte is how long a byte takes while there is a delay.
const perByte = time.Millisecond

// admit waits until bytes may pass, and says how many of n; 0 means that the link is to be cut.
func (p *faultyProxy) admit(l *link, way side, n int) int {
	for {
		p.mu.Lock()
		stalled, slow, changed := p.stalled[way] > 0, p.slow[way] > 0, p.changed
		if !stalled {
			if slow {
				n = 1
			}
			if p.left[way] == 0 {
				p.left[way] = -1
				n = 0
			} else if p.left[way] > 0 {
				n = min(n, p.left[way])
				p.left[way] -= n
			}
		}
		p.mu.Unlock()
		if !stalled && !slow {
			return n
		}
		var delay <-chan time.Time
		if !stalled {
			timer := time.NewTimer(perByte)
			defer timer.Stop()
			delay = timer.C
			changed = nil
		}
		select {
		case <-delay:
			return n
		case <-changed:
		case <-l.done:
			return 0
		}
	}
}

// set changes the weather.
func (p *faultyProxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

// stall stops all bytes of the given ways, until it is taken back by stall(-1, ...).
func (p *faultyProxy) stall(by int, ways ...side) {
	p.set(func() {
		for _, w := range ways {
			p.stalled[w] += by
		}
	})
}

// delay lets bytes of the given ways pass one by one, until it is taken back by delay(-1, ...).
func (p *faultyProxy) delay(by int, ways ...side) {
	p.set(func() {
		for _, w := range ways {
			p.slow[w] += by
		}
	})
}

// cutAfter cuts the connection that brings the n+1st byte from now on; none where n is negative.
func (p *faultyProxy) cutAfter(n int, way side) {
	p.set(func() { p.left[way] = n })
}

// cut ends all connections there are.
func (p *faultyProxy) cut() {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		l.close()
	}
}

// TestFaultyProxy shows that the proxy does what the fault suite wants of it.
func TestFaultyProxy(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	relay := sync.WaitGroup{}
	defer relay.Wait()
	relay.Go(func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			relay.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	defer echo.Close()
	p, err := newFaultyProxy("tcp", "127.0.0.1:0", "tcp", echo.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	dial := func() *net.TCPConn {
		c, err := net.Dial("tcp", p.ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		return c.(*net.TCPConn)
	}
	round := func(c net.Conn, n int) (int, error) {
		if _, err := c.Write(make([]byte, n)); err != nil {
			return 0, err
		}
		return io.ReadFull(c, make([]byte, n))
	}

	c := dial()
	defer c.Close()
	if n, err := round(c, 100_000); err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	p.delay(1, toServer, toClient)
	began := time.Now()
	if n, err := round(c, 20); err != nil || time.Since(began) < 20*perByte {
		t.Errorf("delay: %d bytes, %v in %v", n, err, time.Since(began))
	}
	p.delay(-1, toServer, toClient)

	p.stall(1, toClient)
	c.Write(make([]byte, 5))
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := io.ReadFull(c, make([]byte, 5)); n != 0 || err == nil {
		t.Errorf("stall: %d bytes, %v", n, err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	p.stall(-1, toClient)
	if n, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("behind a stall: %d bytes, %v", n, err)
	}

	p.cutAfter(7, toClient)
	if n, err := round(c, 20); n > 7 || err == nil {
		t.Errorf("cut after 7 bytes: %d bytes, %v", n, err)
	}
	d := dial()
	defer d.Close()
	if _, err := round(d, 20); err != nil {
		t.Errorf("behind a cut: %v", err)
	}
	p.cut()
	if n, err := round(d, 20); err == nil {
		t.Errorf("cut: %d bytes, %v", n, err)
	}
	e := dial()
	defer e.Close()
	if e.Write([]byte("bye")); e.CloseWrite() != nil {
		t.Error("not closed")
	}
	if all, err := io.ReadAll(e); string(all) != "bye" || err != nil {
		t.Errorf("half closed: %q, %v", all, err)
	}
}
