package web

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// connections bounds how many connections a server has. A new connection always gets a place. If there is none, the connection
// that has been idle for longest is closed; if all are busy, the one whose request is the oldest. So no client can keep a probe
// out, whatever the client holds open.
type connections struct {
	most       int
	mu         sync.Mutex
	idle, busy []net.Conn // in the order in which they became so
}

// changed notes what a connection does now. It is the server's ConnState. A connection counts as idle until the header of its
// next request is complete.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.remove(conn) && state != http.StateNew {
		return // it was closed to make room
	}
	switch state {
	case http.StateNew, http.StateIdle:
		c.idle = append(c.idle, conn)
	case http.StateActive:
		c.busy = append(c.busy, conn)
	}
	if len(c.idle)+len(c.busy) <= c.most {
		return
	}
	first := slices.Concat(c.idle, c.busy)[0]
	if first == conn { // all others are busy
		first = c.busy[0]
	}
	c.remove(first)
	first.Close()
}

// remove forgets a connection, and reports whether it had a place.
func (c *connections) remove(conn net.Conn) bool {
	had := len(c.idle) + len(c.busy)
	other := func(o net.Conn) bool { return o == conn }
	c.idle, c.busy = slices.DeleteFunc(c.idle, other), slices.DeleteFunc(c.busy, other)
	return len(c.idle)+len(c.busy) < had
}
