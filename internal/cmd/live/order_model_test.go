package live

import (
	"fmt"
	"log/slog"
	"math/rand"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// A model: an order that is not of the control queue may go on when all such before it are done, and then only.
func TestOrderModel(t *testing.T) {
	for seed := range int64(3000) {
		r := rand.New(rand.NewSource(seed))
		g := NewRegistry(slog.New(slog.DiscardHandler), 1)
		var all []*Task
		done, begun := map[*Task]bool{}, map[*Task]bool{}
		seq := int64(0)
		cmds := []message.Command{&message.Stop{}, &message.Kill{}, &message.Restart{}, &message.Remove{}}
		finish := func(x *Task) {
			done[x] = true
			g.Remove(x)
			g.effective(x.Order)
		}
		check := func(where string) {
			for i, x := range all {
				if done[x] {
					continue
				}
				b := x.Order.Before.Load()
				free := b == nil || b.TookEffect()
				if x.Order.TookEffect() {
					t.Fatalf("seed %d %s: %d not done and effective", seed, where, i)
				}
				if x.Control {
					continue
				}
				earlier := 0
				for _, y := range all[:i] {
					if !y.Control && !done[y] {
						earlier++
					}
				}
				if free != (earlier == 0) {
					t.Fatalf("seed %d %s: %d free %v, %d before it not done", seed, where, i, free, earlier)
				}
				if n := x.Order.later; n < 0 {
					t.Fatalf("later %d", n)
				}
			}
		}
		for step := range 60 {
			switch r.Intn(3) {
			case 0:
				seq++
				c := cmds[r.Intn(len(cmds))]
				x := &Task{Decoded: Decoded{Cmd: c, Traits: c.Traits()}, turn: turn{seq: seq, Control: r.Intn(4) == 0, Order: newOrder(c.Traits().Stops)}, Name: "n"}
				g.Add(x)
				all = append(all, x)
			case 1: // begin
				for _, x := range all {
					b := x.Order.Before.Load()
					if !done[x] && !begun[x] && (b == nil || closed.Is(b.Turn(x.Order))) && r.Intn(2) == 0 {
						g.Begins(x.Order)
						begun[x] = true
						break
					}
				}
			case 2:
				var alive []*Task
				for _, x := range all {
					if !done[x] {
						alive = append(alive, x)
					}
				}
				if len(alive) > 0 {
					finish(alive[r.Intn(len(alive))])
				}
			}
			check(fmt.Sprint("step ", step))
			// What is kept: nothing done that nobody needs.
			for _, x := range all {
				if !done[x] && len(x.Order.passed) > len(all) {
					t.Fatal("grows")
				}
			}
		}
		for _, x := range all {
			if !done[x] {
				finish(x)
			}
		}
		for i, x := range all {
			if !x.Order.TookEffect() {
				t.Fatalf("seed %d: %d never took effect", seed, i)
			}
		}
		if len(g.latest) != 0 {
			t.Fatalf("seed %d: latest %v", seed, g.latest)
		}
	}
}
