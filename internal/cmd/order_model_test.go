package cmd

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
		g := newRegistry(slog.New(slog.DiscardHandler), 1)
		var all []*task
		done, begun := map[*task]bool{}, map[*task]bool{}
		seq := int64(0)
		cmds := []message.Command{&message.Stop{}, &message.Kill{}, &message.Restart{}, &message.Remove{}}
		finish := func(x *task) {
			done[x] = true
			g.remove(x)
			g.effective(x.order)
		}
		check := func(where string) {
			for i, x := range all {
				if done[x] {
					continue
				}
				b := x.order.before.Load()
				free := b == nil || b.tookEffect()
				if x.order.tookEffect() {
					t.Fatalf("seed %d %s: %d not done and effective", seed, where, i)
				}
				if x.control {
					continue
				}
				earlier := 0
				for _, y := range all[:i] {
					if !y.control && !done[y] {
						earlier++
					}
				}
				if free != (earlier == 0) {
					t.Fatalf("seed %d %s: %d free %v, %d before it not done", seed, where, i, free, earlier)
				}
				if n := x.order.behind; n < 0 {
					t.Fatalf("behind %d", n)
				}
			}
		}
		for step := range 60 {
			switch r.Intn(3) {
			case 0:
				seq++
				c := cmds[r.Intn(len(cmds))]
				x := &task{decoded: decoded{cmd: c, traits: c.Traits()}, turn: turn{seq: seq, control: r.Intn(4) == 0, order: newOrder(c.Traits().Stops)}, name: "n"}
				g.add(x)
				all = append(all, x)
			case 1: // begin
				for _, x := range all {
					b := x.order.before.Load()
					if !done[x] && !begun[x] && (b == nil || closed.Is(b.turn(x.order))) && r.Intn(2) == 0 {
						g.begins(x.order)
						begun[x] = true
						break
					}
				}
			case 2:
				var alive []*task
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
				if !done[x] && len(x.order.passed) > len(all) {
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
			if !x.order.tookEffect() {
				t.Fatalf("seed %d: %d never took effect", seed, i)
			}
		}
		if len(g.latest) != 0 {
			t.Fatalf("seed %d: latest %v", seed, g.latest)
		}
	}
}
