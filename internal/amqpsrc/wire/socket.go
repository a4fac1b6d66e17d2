package wire

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A wire is the socket under a connection. It is kept because closing it is the only way to end a
// write of the library: when the broker stops reading, the writer holds the channel's lock, and the
// library's own shutdown waits for that lock before it closes the socket.
type wire struct {
	net.Conn // TLS included
	raw      net.Conn
	In       *filter
	heard    atomic.Bool // something has come

	mu      sync.Mutex
	readErr error         // the first error of a Read
	silence time.Duration // how long before it the last Write was
	wrote   time.Time     // the last Write
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.In.Read(p)
	if n > 0 {
		w.heard.Store(true)
	}
	if err != nil {
		w.ends(err)
	}
	return n, err
}

// ends records why nothing more is read, the first time.
func (w *wire) ends(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readErr == nil {
		w.readErr, w.silence = err, time.Since(w.wrote)
	}
}

// Write bounds each write by itself, since the library knows deadlines only for its handshake. The
// broker stops reading from a connection that publishes while it is short of memory; what is written
// then goes into the kernel's buffers, and a write larger than those fails here and is made again on
// another connection.
func (w *wire) Write(p []byte) (int, error) {
	now := time.Now()
	w.mu.Lock()
	w.wrote = now
	w.mu.Unlock()
	if err := w.Conn.SetWriteDeadline(now.Add(RPCTimeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// Abort closes the socket, hard.
func (w *wire) Abort() { w.raw.Close() }

// ended returns the first error of a Read, and how long before it the last write was. Later writes do not count: the
// library may still make some.
func (w *wire) ended() (silence time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.silence, w.readErr
}
