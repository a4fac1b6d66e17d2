package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// TestKeptConnectionIsLookedAt: a connection that the engine closed, or wrote to without a call, is not used again. So a
// call that must not be sent twice does not fail on it, and nothing is taken for its answer that is none.
func TestKeptConnectionIsLookedAt(t *testing.T) {
	for name, then := range map[string]func(net.Conn){
		"closed":  func(conn net.Conn) { conn.Close() },
		"talking": func(conn net.Conn) { io.WriteString(conn, "HTTP/1.1 304 Not Modified\r\n\r\n") },
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(name+" "+network, func(t *testing.T) {
				var conns atomic.Int32
				listed := make(chan struct{})
				c := script(t, network, func(conn net.Conn, r *bufio.Reader) {
					if conns.Add(1) > 1 {
						io.WriteString(conn, "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n")
						return
					}
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
					<-listed
					then(conn)
					http.ReadRequest(r)
				})
				if _, err := c.ListContainers(background(t), ListOptions{}); err != nil {
					t.Fatal(err)
				}
				c.kept.mu.Lock()
				k := c.kept.conns[0]
				c.kept.mu.Unlock()
				if !silent(k.bare()) {
					t.Error("an open connection is not silent")
				}
				close(listed)
				for silent(k.bare()) {
					runtime.Gosched()
				}
				if got := kindsOf(c.StartContainer(background(t), "x")); got != "conflict" {
					t.Errorf("kind %q", got)
				}
				if n := conns.Load(); n != 2 {
					t.Errorf("%d connections", n)
				}
			})
		}
	}
}

// TestCancelledConnectionIsNotKept: the end of a call's context closes its connection, also while the call returns.
func TestCancelledConnectionIsNotKept(t *testing.T) {
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) { answerPing(w, r) })
	if _, err := c.Ping(background(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background(t))
	a, err := c.call(ctx, &request{operation: operation{Call: &Call{op: "look at"}, limit: time.Minute}, method: http.MethodGet, path: "/x"}, "")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	a.close()
	if n := len(c.kept.conns); n != 0 {
		t.Errorf("%d connections are kept", n)
	}
}

// TestKeptConnectionsAreBounded in number and in time.
func TestKeptConnectionsAreBounded(t *testing.T) {
	var p kept
	var theirs []net.Conn
	add := func() {
		ours, other := net.Pipe()
		theirs = append(theirs, other)
		p.put(&connection{Conn: ours})
	}
	open := func() (n int) {
		for _, conn := range theirs {
			conn.SetReadDeadline(time.Now().Add(-time.Second))
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				n++
			}
		}
		return n
	}
	for range 3 * maxKept {
		add()
	}
	if len(p.conns) != maxKept || open() != maxKept {
		t.Errorf("%d kept, %d open", len(p.conns), open())
	}
	for _, k := range p.conns[:maxKept-2] {
		k.since = k.since.Add(-keptFor)
	}
	p.expire()
	if len(p.conns) != 2 || open() != 2 || p.expiry == nil {
		t.Errorf("%d kept, %d open after a time", len(p.conns), open())
	}
	for _, k := range p.conns {
		k.since = k.since.Add(-keptFor)
	}
	p.expire()
	add()
	if len(p.conns) != 1 || open() != 1 || p.expiry == nil {
		t.Errorf("%d kept, %d open after a time", len(p.conns), open())
	}
	p.close()
	add() // of a call that was under way
	if len(p.conns) != 0 || open() != 0 {
		t.Errorf("%d kept, %d open after the end", len(p.conns), open())
	}
}

// TestConnectionIsNotKept: no call gets a connection whose next bytes may belong to an earlier answer.
func TestConnectionIsNotKept(t *testing.T) {
	for name, answer := range map[string]string{
		"two answers":    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]HTTP/1.1 304 Not Modified\r\n\r\n",
		"a switch":       "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
		"an old version": "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]",
		"an end":         "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]",
		"a rest to come": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]",
		"a long rest":    "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n[]" + strings.Repeat(" ", 99998),
	} {
		for _, network := range networks {
			t.Run(name+" "+network, func(t *testing.T) {
				var conns atomic.Int32
				c := script(t, network, func(conn net.Conn, r *bufio.Reader) {
					if conns.Add(1) > 1 {
						io.WriteString(conn, "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n")
						return
					}
					io.WriteString(conn, answer)
					http.ReadRequest(r)
				})
				c.ListContainers(background(t), ListOptions{})
				if got := kindsOf(c.StartContainer(background(t), "x")); got != "conflict" || conns.Load() != 2 {
					t.Errorf("kind %q, %d connections", got, conns.Load())
				}
			})
		}
	}
}

// A segment is a connection that sends what is written to it in one piece, when asked.
type segment struct {
	net.Conn
	held bytes.Buffer
	hold bool
}

func (s *segment) Write(p []byte) (int, error) {
	if s.hold {
		return s.held.Write(p)
	}
	return s.Conn.Write(p)
}

// TestTLSHoldsNoAnswer: a record that TLS has received with an earlier answer is not taken for the next call's.
func TestTLSHoldsNoAnswer(t *testing.T) {
	l, host, o := listen(t, "tcp")
	certs := testCerts()
	var err error
	if o.TLS, err = tlsconf.Config(certs.ca, certs.clientCert, certs.clientKey); err != nil {
		t.Fatal(err)
	}
	o.APIVersion = "1.41"
	var serving sync.WaitGroup
	defer serving.Wait()
	defer l.Close()
	serving.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				raw := &segment{Conn: conn}
				secure := tls.Server(raw, certs.server)
				r := bufio.NewReader(secure)
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				if n > 0 {
					io.WriteString(secure, "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n")
					return
				}
				raw.hold = true
				io.WriteString(secure, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
				io.WriteString(secure, "HTTP/1.1 304 Not Modified\r\n\r\n")
				conn.Write(raw.held.Bytes())
				raw.hold = false
				http.ReadRequest(r)
			})
		}
	})
	c := newClient(t, host, o)
	if _, err := c.ListContainers(background(t), ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := kindsOf(c.StartContainer(background(t), "x")); got != "conflict" {
		t.Errorf("kind %q", got)
	}
}

// A closedAtWrite is a connection that the engine closes just before a write, if armed.
type closedAtWrite struct {
	*net.UnixConn
	armed *atomic.Bool
	close func()
}

func (c closedAtWrite) Write(p []byte) (int, error) {
	if c.armed.CompareAndSwap(true, false) {
		c.close()
	}
	return c.UnixConn.Write(p)
}

// TestUnsentIsSentAgain: a call of which nothing was written is sent on another connection, whatever it does, and
// whatever the engine said before it closed the first.
func TestUnsentIsSentAgain(t *testing.T) {
	for _, last := range []string{"", "HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"} {
		t.Run(last, func(t *testing.T) { unsentIsSentAgain(t, last) })
	}
}

func unsentIsSentAgain(t *testing.T, last string) {
	l, host, o := listen(t, "unix")
	theirs := make(chan net.Conn, 2)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, "[]")
		} else {
			w.WriteHeader(http.StatusConflict)
		}
	}), ConnContext: func(ctx context.Context, conn net.Conn) context.Context { theirs <- conn; return ctx }}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Close()
	serving.Go(func() { server.Serve(l) })
	var armed atomic.Bool
	o.APIVersion = "1.41"
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return closedAtWrite{conn.(*net.UnixConn), &armed, func() {
			first := <-theirs
			io.WriteString(first, last)
			first.Close()
		}}, nil
	}
	c := newClient(t, host, o)
	if _, err := c.ListContainers(background(t), ListOptions{}); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	if got := kindsOf(c.StartContainer(background(t), "x")); got != "conflict" {
		t.Errorf("kind %q", got)
	}
}

// TestSentThenRefused: an engine that dies of a call, and then takes no connection, may have carried the call out. So the
// error is not that of connecting: callers would take the call for one that was never sent.
func TestSentThenRefused(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, c *Client) error{
		"stop":    func(ctx context.Context, c *Client) error { return c.StopContainer(ctx, "x", StopOptions{}) },
		"remove":  func(ctx context.Context, c *Client) error { return c.RemoveContainer(ctx, "x", RemoveOptions{}) },
		"inspect": func(ctx context.Context, c *Client) error { return errOf(c.InspectContainer(ctx, "x")) },
	} {
		t.Run(name, func(t *testing.T) {
			var dies, dead atomic.Bool
			c := serve(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
				switch {
				case dies.Load():
					dead.Store(true)
					conn, _ := hijack(w)
					conn.Close()
				case !answerPing(w, r):
					io.WriteString(w, "[]")
				}
			})
			dial := c.dialer
			c.dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
				if dead.Load() {
					return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
				}
				return dial(ctx, network, address)
			}
			ctx := background(t)
			if _, err := c.ListContainers(ctx, ListOptions{}); err != nil {
				t.Fatal(err)
			}
			dies.Store(true)
			err := call(ctx, c)
			if op, ok := errors.AsType[*net.OpError](err); !dead.Load() || !errors.Is(err, ErrUnreachable) || ok && op.Op == "dial" || !strings.Contains(err.Error(), "lost the connection") {
				t.Errorf("died: %v; %v", dead.Load(), err)
			}
		})
	}
}
