package live

import (
	"log/slog"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestExpectedAttempt: the next attempt runs each time that it is sent, unless it was sent for the same end of the container.
func TestExpectedAttempt(t *testing.T) {
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	x := &Task{Identity: identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte("1")})}
	next := x.Identity
	next.Attempt = 2
	before, after := time.Now().Add(-time.Minute), time.Now().Add(time.Minute)
	for _, tt := range []struct {
		r    event.Result
		runs bool
	}{
		{event.Result{}, true},
		{event.Result{FinishedAt: &before}, true},
		{event.Result{FinishedAt: &after, Adopted: true}, true},
		{event.Result{FinishedAt: &before, Adopted: true}, false},
	} {
		g.done.Put(next.CopyKey(), struct{}{}, 1)
		g.Expect(x, &tt.r)
		if k, _, _ := g.Recognise(next, intake.Job{}); (k == unknown) != tt.runs {
			t.Errorf("%+v: runs %v, want %v", tt.r, !tt.runs, tt.runs)
		}
	}
}

// TestRecognisePrefers: of several equal jobs whose messages are lost, one that was never answered is surely
// the one that a message which comes again is for.
func TestRecognisePrefers(t *testing.T) {
	lost := intake.Job{Queue: "q", Redelivered: true, Lost: func() bool { return true }}
	for range 20 { // the order of a map
		g := NewRegistry(slog.New(slog.DiscardHandler), 1)
		tasks := map[bool]*Task{}
		for _, answered := range []bool{true, false} {
			t := &Task{Identity: identity.Of(lost), turn: turn{Order: newOrder(false)}, deliveries: newDeliveries(lost)}
			g.Add(t)
			if tasks[answered] = t; answered {
				t.Take()
				t.Next(true)
				t.Unanswered()
			}
		}
		if k, found, _ := g.Recognise(identity.Of(lost), lost); k != Joined || found != tasks[false] {
			t.Fatal("joined to one that may be settled")
		}
	}
}
