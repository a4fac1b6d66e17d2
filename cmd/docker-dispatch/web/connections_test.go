package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// TestCrowd: clients that hold connections open keep no probe out, whatever they do with the connections.
func TestCrowd(t *testing.T) {
	const clients = 300
	for name, sent := range map[string]string{
		"nothing": "", "half a header": "GET /healthz HTTP/1.1\r\nHost: x\r\n", "kept alive": "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"logs that hang": "GET /log?id=x HTTP/1.1\r\nHost: x\r\n\r\n", "answers that hang": "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan struct{})
			hangs := make(chan struct{}, clients)
			var asked atomic.Int32
			go func() {
				defer close(served)
				Serve(ctx, l, Config{
					Numbers: func() status.Status {
						if name == "answers that hang" && asked.Add(1) <= clients {
							hangs <- struct{}{}
							<-ctx.Done()
						}
						return status.Status{}
					},
					JobLog: func(ctx context.Context, _ string, _ io.Writer) error {
						<-ctx.Done()
						return ctx.Err()
					},
					Log: slog.New(slog.DiscardHandler),
				})
			}()
			defer func() {
				stop()
				<-served
			}()
			for range clients {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, sent)
				if name == "answers that hang" {
					select {
					case <-hangs:
					case <-time.After(headerTime):
						t.Fatal("a request is not answered")
					}
				}
			}
			probe := http.Client{Timeout: headerTime / 2, Transport: &http.Transport{DisableKeepAlives: true}}
			for range 3 {
				began := time.Now()
				answer, err := probe.Get("http://" + l.Addr().String() + "/healthz")
				if err != nil {
					t.Fatalf("after %v: %v", time.Since(began), err)
				}
				answer.Body.Close()
			}
		})
	}
}

// TestConnectionsOrder: the connection that is closed is the one that has been idle for longest; else the oldest request's.
func TestConnectionsOrder(t *testing.T) {
	c := connections{most: 2}
	var ends []net.Conn
	open := func() net.Conn {
		near, far := net.Pipe()
		ends = append(ends, far)
		c.changed(near, http.StateNew)
		return near
	}
	closed := func(i int) bool {
		ends[i].SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := ends[i].Read(make([]byte, 1))
		return err == io.EOF
	}
	want := func(what string, states ...bool) {
		t.Helper()
		for i, gone := range states {
			if closed(i) != gone {
				t.Errorf("%s: connection %d: closed is %v, want %v", what, i, !gone, gone)
			}
		}
	}
	a, b := open(), open()
	c.changed(a, http.StateActive)
	c.changed(a, http.StateIdle)
	open()
	want("b was idle for longer than a", false, true, false)
	c.changed(b, http.StateClosed)
	c.changed(a, http.StateActive)
	open()
	want("the third was idle, a is busy", false, true, true, false)
	if n := len(c.idle) + len(c.busy); n != 2 {
		t.Errorf("%d connections have a place", n)
	}
	d := open() // the fifth
	want("the fourth was idle", false, true, true, true, false)
	c.changed(d, http.StateActive)
	open()
	want("both are busy", true, true, true, true, false, false)
}
