package dockerapi

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"
)

// TestPingConnectsAnew: a kept connection does not make an engine reachable whose socket is gone.
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

// TestPingLimit: a deadline of the caller's takes the place of the limit.
func TestPingLimit(t *testing.T) {
	late := make(chan struct{})
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		<-late
		answerPing(w, r)
	})
	c.limits.ping = time.Millisecond
	if _, err := c.Ping(background(t)); kindsOf(err) != "unreachable" {
		t.Errorf("after its limit: %v", err)
	}
	ctx, cancel := context.WithTimeout(background(t), time.Minute)
	defer cancel()
	time.AfterFunc(20*time.Millisecond, func() { close(late) })
	if _, err := c.Ping(ctx); err != nil {
		t.Errorf("within the caller's: %v", err)
	}
}
