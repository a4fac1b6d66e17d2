package live

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
func liveTask(g *Registry, n int, id string) *Task {
	return liveTaskOf(g, n, intake.Job{Queue: "q", MessageID: id, Body: []byte(fmt.Sprint(n))})
}

func liveTaskOf(g *Registry, n int, j intake.Job) *Task {
	run := &message.Run{}
	t := &Task{
		Identity: identity.Of(j), Decoded: Decoded{Cmd: run, Traits: run.Traits()}, turn: turn{seq: int64(n), Order: newOrder(false)},
		deliveries: newDeliveries(j), Name: fmt.Sprint("name", n),
	}
	g.Add(t)
	t.To(Due)
	g.Begins(t.Order)
	t.TakeContainer(fmt.Sprint("container", n))
	return t
}

// TestIndexesHoldNothing: of tasks that are no more nothing is left, whatever they were called and moved to.
func TestIndexesHoldNothing(t *testing.T) {
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	var all []*Task
	for i := range 20 {
		x := liveTask(g, i, []string{"", fmt.Sprint("id", i/2)}[i%2])

		switch i % 4 {
		case 0:
			x.Adopt(dockerapi.Container{Name: "other", Labels: map[string]string{identity.LabelJob: "known"}})
		case 1:
			x.SetName(fmt.Sprint("name", i-1))
		case 2:
			x.SetContainer("")
		case 3:
			x.Enters("within")
		}
		all = append(all, x)
	}
	if got := len(g.Runs("within")); got != 5 {
		t.Errorf("%d are in the container, want 5", got)
	}
	for _, x := range all {
		x.Take()
		x.To(Ended)
		g.effective(x.Order)
		g.Remember(x, intake.Ack, &event.Result{})
		if !g.Remove(x) {
			t.Fatal("not removed")
		}
	}
	if n := len(g.live) + len(g.waiting) + len(g.byKey) + len(g.byDigest) + len(g.byJob) + len(g.byName) + len(g.byContainer) + len(g.latest); n != 0 {
		t.Errorf("%d entries are left: %v %v %v %v", n, g.byDigest, g.byJob, g.byName, g.byContainer)
	}
}

// TestJoinKeepsTaken: the deliveries that are being answered do not change if another one joins.
func TestJoinKeepsTaken(t *testing.T) {
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	x := liveTask(g, 1, "id")
	taken := x.Take()
	x.join(intake.Job{Body: []byte("2")})
	if string(taken[0].Body) != "1" || string(x.taken[0].Body) != "1" || string(x.deliveries.given[0].Body) != "2" {
		t.Errorf("taken are %q and %q, given is %q; want 1, 1 and 2", taken[0].Body, x.taken[0].Body, x.deliveries.given[0].Body)
	}
}

// TestLostDeliveriesAreDropped: of deliveries that are lost one after the other, none is kept.
func TestLostDeliveriesAreDropped(t *testing.T) {
	j := intake.Job{Queue: "q", MessageID: "id", Lost: func() bool { return true }}
	x := liveTaskOf(NewRegistry(slog.New(slog.DiscardHandler), 1), 1, j)
	for range 100 {
		x.join(j)
	}
	if n, g := len(x.remaining), len(x.deliveries.given); n != 1 || g != 1 {
		t.Errorf("%d deliveries to be answered, %d that a result is sent to; want one", n, g)
	}
}

// BenchmarkRegistry is what a job costs among 10,000 others.
func BenchmarkRegistry(b *testing.B) {
	const many = 10_000
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	var all []*Task
	for i := range many {
		all = append(all, liveTask(g, i, []string{"", fmt.Sprint("id", i)}[i%2]))
	}
	b.Run("remove and add", func(b *testing.B) { removeAndAdd(b, g, all) })
	b.Run("make, add and remove", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			t := liveTask(g, many+i, fmt.Sprint("new", i))
			t.Take()
			g.effective(t.Order)
			g.Remove(t)
		}
	})
	lost := func() bool { return true }
	known := intake.Job{Queue: "q", MessageID: "id1", Body: []byte("1")}
	again := intake.Job{Queue: "q", Redelivered: true, Body: []byte("2"), Lost: lost}
	b.Run("join by id", func(b *testing.B) {
		b.ReportAllocs()
		i := identity.Of(known)
		for b.Loop() {
			g.Recognise(i, known)
		}
	})
	b.Run("join by digest", func(b *testing.B) {
		b.ReportAllocs()
		i := identity.Of(again)
		for b.Loop() {
			g.Recognise(i, again)
		}
	})
	b.Run("find by job", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.ByID("id1")
		}
	})
	b.Run("find by container", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.Runs("container1")
		}
	})
	b.Run("control command on a name", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t := &Task{Identity: identity.Of(intake.Job{Queue: "q"}), turn: turn{Control: true, Order: newOrder(true)}, Name: "name1"}
			g.Add(t)
			g.effective(t.Order)
			g.Remove(t)
		}
	})
	b.Run("adopt", func(b *testing.B) {
		b.ReportAllocs()
		t := liveTask(g, 2*many, "")

		for i := 0; b.Loop(); i++ {
			id := fmt.Sprint("left", i)
			t.TakeContainer(id)
			t.Adopt(dockerapi.Container{ID: id, Name: id, Labels: map[string]string{identity.LabelJob: id}})
		}
	})
	b.Run("come due", func(b *testing.B) {
		b.ReportAllocs()
		t := liveTask(g, 3*many, "due")
		for b.Loop() {
			t.To(Waiting)
			t.ComesDue()
		}
	})
}

// BenchmarkRegistryEqual measures what one call costs among 10,000 live jobs whose messages are equal and have no message_id.
func BenchmarkRegistryEqual(b *testing.B) {
	const many = 10_000
	first := intake.Job{Queue: "q", Lost: func() bool { return true }}
	again := intake.Job{Queue: "q", Redelivered: true}
	i := identity.Of(again)
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	var all []*Task
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
			if k, _, _ := g.Recognise(i, again); k != Joined {
				b.Fatal("not joined")
			}
		}
	})
}

// removeAndAdd measures the removal of a live job and the adding of another one, in an order that is not that of their coming.
func removeAndAdd(b *testing.B, g *Registry, all []*Task) {
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		t := all[n*7919%len(all)]
		first := t.deliveries.given[0]
		t.Take()
		g.Remove(t)
		t.deliveries = newDeliveries(first)
		g.Add(t)
	}
}
