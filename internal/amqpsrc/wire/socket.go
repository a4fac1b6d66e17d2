package wire

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A wire is the socket under a connection. Only closing the socket ends a blocked write of the library. If the broker
// stops reading, the blocked writer holds the channel's lock. The library's shutdown would wait for that lock before
// it closes the socket.
type wire struct {
	net.Conn // TLS included
	raw      net.Conn
	In       *filter
	heard    atomic.Bool   // something has been read
	over     chan struct{} // closed at the first error of a Read

	mu      sync.Mutex
	readErr error         // the first error of a Read
	silence time.Duration // time from the last Write to readErr
	wrote   time.Time     // time of the last Write
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

// ends records the first error that ended reading.
func (w *wire) ends(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readErr == nil {
		w.readErr, w.silence = err, time.Since(w.wrote)
		close(w.over)
	}
}

// Write bounds each write by RPCTimeout, because the library sets deadlines only for its handshake. A broker short of
// memory stops reading from connections that publish. Writes then fill the kernel's buffers. A larger write fails here,
// and is repeated on another connection.
func (w *wire) Write(p []byte) (int, error) {
	now := time.Now()
	w.mu.Lock()
	w.wrote = now
	w.mu.Unlock()
	if err := w.Conn.SetWriteDeadline(now.Add(RPCTimeout)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(p)
	if err != nil && !w.heard.Load() {
		// The server may have sent the reason before it closed, such as a TLS alert. That says more than "broken pipe".
		select {
		case <-w.over:
		case <-time.After(time.Second):
		}
	}
	return n, err
}

// Abort closes the socket at once.
func (w *wire) Abort() { w.raw.Close() }

// ended returns the first error of a Read, and the time from the last write to it. Writes after the error do not count:
// the library may still make some.
func (w *wire) ended() (silence time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.silence, w.readErr
}
