package dockerapi

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
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
	a, err := c.call(ctx, &request{method: http.MethodGet, path: "/x", limit: time.Minute}, "")
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
	add()
	if len(p.conns) != 3 || open() != 3 {
		t.Errorf("%d kept, %d open", len(p.conns), open())
	}
	p.close()
	if len(p.conns) != 0 || open() != 0 {
		t.Errorf("%d kept, %d open", len(p.conns), open())
	}
}
