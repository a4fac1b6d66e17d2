package cmd

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// liveTask is a run that is at work, and has a container.
func liveTask(g *registry, n int, id string) *task {
	return liveTaskOf(g, n, intake.Job{Queue: "q", MessageID: id, Body: []byte(fmt.Sprint(n))})
}

func liveTaskOf(g *registry, n int, j intake.Job) *task {
	run := &message.Run{}
	t := &task{
		Identity: identity.Of(j), decoded: decoded{cmd: run, traits: run.Traits()}, turn: turn{seq: int64(n), order: newOrder(false)},
		deliveries: newDeliveries(j), name: fmt.Sprint("name", n),
	}
	g.add(t)
	t.to(phaseDue)
	g.begins(t.order)
	t.takeContainer(fmt.Sprint("container", n))
	return t
}

// TestIndexesHoldNothing: of tasks that are no more nothing is left, whatever they were called and moved to.
func TestIndexesHoldNothing(t *testing.T) {
	g := newRegistry(slog.New(slog.DiscardHandler), 1)
	var all []*task
	for i := range 20 {
		x := liveTask(g, i, []string{"", fmt.Sprint("id", i/2)}[i%2])

		switch i % 4 {
		case 0:
			x.adopt(dockerapi.Container{Name: "other", Labels: map[string]string{identity.LabelJob: "known"}})
		case 1:
			x.setName(fmt.Sprint("name", i-1))
		case 2:
			x.setContainer("")
		case 3:
			x.enters("within")
		}
		all = append(all, x)
	}
	if got := len(g.runs("within")); got != 5 {
		t.Errorf("%d are in the container, want 5", got)
	}
	for _, x := range all {
		x.take()
		x.to(phaseEnded)
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

// TestJoinKeepsTaken: the deliveries that are being answered do not change if another one joins.
func TestJoinKeepsTaken(t *testing.T) {
	g := newRegistry(slog.New(slog.DiscardHandler), 1)
	x := liveTask(g, 1, "id")
	taken := x.take()
	x.join(intake.Job{Body: []byte("2")})
	if string(taken[0].Body) != "1" || string(x.taken[0].Body) != "1" || string(x.deliveries.given[0].Body) != "2" {
		t.Errorf("taken are %q and %q, given is %q; want 1, 1 and 2", taken[0].Body, x.taken[0].Body, x.deliveries.given[0].Body)
	}
}

// BenchmarkRegistry is what a job costs among 10,000 others.
func BenchmarkRegistry(b *testing.B) {
	const many = 10_000
	g := newRegistry(slog.New(slog.DiscardHandler), 1)
	var all []*task
	for i := range many {
		all = append(all, liveTask(g, i, []string{"", fmt.Sprint("id", i)}[i%2]))
	}
	b.Run("remove and add", func(b *testing.B) { removeAndAdd(b, g, all) })
	b.Run("make, add and remove", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			t := liveTask(g, many+i, fmt.Sprint("new", i))
			t.take()
			g.effective(t.order)
			g.remove(t)
		}
	})
	lost := func() bool { return true }
	known := intake.Job{Queue: "q", MessageID: "id1", Body: []byte("1")}
	again := intake.Job{Queue: "q", Redelivered: true, Body: []byte("2"), Lost: lost}
	b.Run("join by id", func(b *testing.B) {
		b.ReportAllocs()
		i := identity.Of(known)
		for b.Loop() {
			g.recognise(i, known)
		}
	})
	b.Run("join by digest", func(b *testing.B) {
		b.ReportAllocs()
		i := identity.Of(again)
		for b.Loop() {
			g.recognise(i, again)
		}
	})
	b.Run("find by job", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.byID("id1")
		}
	})
	b.Run("find by container", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.runs("container1")
		}
	})
	b.Run("control command on a name", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t := &task{Identity: identity.Of(intake.Job{Queue: "q"}), turn: turn{control: true, order: newOrder(true)}, name: "name1"}
			g.add(t)
			g.effective(t.order)
			g.remove(t)
		}
	})
	b.Run("adopt", func(b *testing.B) {
		b.ReportAllocs()
		t := liveTask(g, 2*many, "")

		for i := 0; b.Loop(); i++ {
			id := fmt.Sprint("left", i)
			t.takeContainer(id)
			t.adopt(dockerapi.Container{ID: id, Name: id, Labels: map[string]string{identity.LabelJob: id}})
		}
	})
	b.Run("come due", func(b *testing.B) {
		b.ReportAllocs()
		t := liveTask(g, 3*many, "due")
		for b.Loop() {
			t.to(phaseWaiting)
			t.comesDue()
		}
	})
}

// BenchmarkRegistryEqual measures what one call costs among 10,000 live jobs whose messages are equal and have no message_id.
func BenchmarkRegistryEqual(b *testing.B) {
	const many = 10_000
	first := intake.Job{Queue: "q", Lost: func() bool { return true }}
	again := intake.Job{Queue: "q", Redelivered: true}
	i := identity.Of(again)
	g := newRegistry(slog.New(slog.DiscardHandler), 1)
	var all []*task
	for n := range many {
		all = append(all, liveTaskOf(g, n, first))
	}
	b.Run("remove and add", func(b *testing.B) { removeAndAdd(b, g, all) })
	// After a connection was lost, all of them are redelivered.
	b.Run("join by digest", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if n%many == 0 {
				b.StopTimer()
				for _, t := range all {
					t.deliveries = newDeliveries(first)
				}
				b.StartTimer()
			}
			if k, _, _ := g.recognise(i, again); k != joined {
				b.Fatal("not joined")
			}
		}
	})
}

// removeAndAdd measures the removal of a live job and the adding of another one, in an order that is not that of their coming.
func removeAndAdd(b *testing.B, g *registry, all []*task) {
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		t := all[n*7919%len(all)]
		first := t.deliveries.given[0]
		t.take()
		g.remove(t)
		t.deliveries = newDeliveries(first)
		g.add(t)
	}
}
