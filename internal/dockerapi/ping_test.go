package dockerapi

import (
	"net/http"
	"os"
	"testing"
	"time"
)

// TestPingConnectsAnew: an engine without its socket is not reachable, although a connection to it is kept.
func TestPingConnectsAnew(t *testing.T) {
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) { answerPing(w, r) })
	ctx := background(t)
	if _, err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if len(c.kept.conns) == 0 {
		t.Fatal("no connection is kept")
	}
	if err := os.Remove(c.host.address); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ping(ctx); kindsOf(err) != "unreachable" {
		t.Errorf("without the socket: %v", err)
	}
}

// TestPingLimit: another limit takes the place of the client's.
func TestPingLimit(t *testing.T) {
	late := make(chan struct{})
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		<-late
		answerPing(w, r)
	})
	if _, err := c.PingWithin(background(t), time.Millisecond); kindsOf(err) != "unreachable" {
		t.Errorf("after a short one: %v", err)
	}
	c.limits.ping = time.Millisecond
	time.AfterFunc(20*time.Millisecond, func() { close(late) })
	if _, err := c.PingWithin(background(t), time.Minute); err != nil {
		t.Errorf("within a long one: %v", err)
	}
}
