package cmd

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// liveTask is a run that is at work, and has a container.
func liveTask(g *registry, n int, id string) *task {
	j := intake.Job{Queue: "q", MessageID: id, Body: []byte(fmt.Sprint(n))}
	run := &message.Run{}
	t := &task{
		identity: identify(j), decoded: decoded{cmd: run, traits: run.Traits()}, turn: turn{seq: int64(n), order: newOrder(false)},
		deliveries: newDeliveries(j), name: fmt.Sprint("name", n),
	}
	g.add(t)
	g.to(t, phaseDue)
	g.begins(t.order)
	g.claim(fmt.Sprint("container", n), t)
	return t
}

// TestIndexesHoldNothing: of tasks that are no more nothing is left, whatever they were called and moved to.
func TestIndexesHoldNothing(t *testing.T) {
	g := newRegistry()
	var all []*task
	for i := range 20 {
		x := liveTask(&g, i, []string{"", fmt.Sprint("id", i/2)}[i%2])
		x.pool = &Pool{Config: Config{Log: slog.New(slog.DiscardHandler)}}
		switch i % 4 {
		case 0:
			g.adopt(x, dockerapi.Container{Name: "other", Labels: map[string]string{LabelJob: "known"}})
		case 1:
			g.name(x, fmt.Sprint("name", i-1))
		case 2:
			g.has(x, "")
		case 3:
			g.enters(x, "within")
		}
		all = append(all, x)
	}
	if got := len(g.runs("within")); got != 5 {
		t.Errorf("%d are in the container, want 5", got)
	}
	for _, x := range all {
		g.take(x)
		g.to(x, phaseEnded)
		g.effective(x.order)
		g.remember(x, intake.Ack, &event.Result{})
		if !g.remove(x) {
			t.Fatal("not removed")
		}
	}
	if n := len(g.live) + len(g.waiting) + len(g.byKey) + len(g.byDigest) + len(g.byJob) + len(g.byName) + len(g.byContainer) + len(g.latest); n != 0 {
		t.Errorf("%d entries are left: %v %v %v %v", n, g.byDigest, g.byJob, g.byName, g.byContainer)
	}
}

// BenchmarkRegistry is what a job costs among 10,000 others.
func BenchmarkRegistry(b *testing.B) {
	const many = 10_000
	g := newRegistry()
	for i := range many {
		liveTask(&g, i, []string{"", fmt.Sprint("id", i)}[i%2])
	}
	b.Run("add and remove", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			t := liveTask(&g, many+i, fmt.Sprint("new", i))
			g.take(t)
			g.effective(t.order)
			g.remove(t)
		}
	})
	lost := func() bool { return true }
	known := intake.Job{Queue: "q", MessageID: "id1", Body: []byte("1")}
	again := intake.Job{Queue: "q", Redelivered: true, Body: []byte("2"), Lost: lost}
	b.Run("join by id", func(b *testing.B) {
		i := identify(known)
		for b.Loop() {
			g.recognise(i, known)
		}
	})
	b.Run("join by digest", func(b *testing.B) {
		i := identify(again)
		for b.Loop() {
			g.recognise(i, again)
		}
	})
	b.Run("find by job", func(b *testing.B) {
		for b.Loop() {
			g.byID("id1")
		}
	})
	b.Run("find by container", func(b *testing.B) {
		for b.Loop() {
			g.runs("container1")
		}
	})
	b.Run("control command on a name", func(b *testing.B) {
		for b.Loop() {
			t := &task{identity: identify(intake.Job{Queue: "q"}), turn: turn{control: true, order: newOrder(true)}, name: "name1"}
			g.add(t)
			g.effective(t.order)
			g.remove(t)
		}
	})
	b.Run("adopt", func(b *testing.B) {
		t := liveTask(&g, 2*many, "")
		t.pool = &Pool{Config: Config{Log: slog.New(slog.DiscardHandler)}}
		for i := 0; b.Loop(); i++ {
			id := fmt.Sprint("left", i)
			g.claim(id, t)
			g.adopt(t, dockerapi.Container{ID: id, Name: id, Labels: map[string]string{LabelJob: id}})
		}
	})
	b.Run("come due", func(b *testing.B) {
		t := liveTask(&g, 3*many, "due")
		for b.Loop() {
			g.to(t, phaseWaiting)
			g.comesDue(t)
		}
	})
}
