package brokertest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// TestProxy shows that the proxy does what the fault tests want of it.
func TestProxy(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var relay sync.WaitGroup
	t.Cleanup(relay.Wait)
	t.Cleanup(func() { echo.Close() })
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
	p := ProxyTo(t, "tcp", "127.0.0.1:0", "tcp", echo.Addr().String())
	dial := func() *net.TCPConn {
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
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
	p.Delay(1)
	began := time.Now()
	if n, err := round(c, 20); err != nil || time.Since(began) < 20*PerByte {
		t.Errorf("delay: %d bytes, %v in %v", n, err, time.Since(began))
	}
	p.Delay(-1)

	p.Stall(1, ToClient)
	c.Write(make([]byte, 5))
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := io.ReadFull(c, make([]byte, 5)); n != 0 || err == nil {
		t.Errorf("stall: %d bytes, %v", n, err)
	}
	c.SetReadDeadline(time.Now().Add(time.Minute))
	p.Stall(-1, ToClient)
	if n, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("behind a stall: %d bytes, %v", n, err)
	}

	p.CutAfter(7, ToClient)
	if n, err := round(c, 20); n > 7 || err == nil {
		t.Errorf("cut after 7 bytes: %d bytes, %v", n, err)
	}
	d := dial()
	defer d.Close()
	if _, err := round(d, 20); err != nil {
		t.Errorf("behind a cut: %v", err)
	}
	p.Cut()
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
