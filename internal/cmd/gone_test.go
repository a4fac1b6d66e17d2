package cmd

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// gone is a bench's broker whose messages can be lost for good: each sends its result where it may.
type gone struct {
	b       *bench
	since   time.Time // when the queue was consumed again, or missing; zero: it is neither
	missing bool
	answers []string
	log     strings.Builder
}

func newGone(b *bench) *gone {
	g := &gone{b: b}
	b.pool.Log = slog.New(slog.NewTextHandler(&g.log, nil))
	return g
}

// post sends a message that asks for its result.
func (g *gone) post(name, id string, redelivered bool, body string) *delivery {
	var abandoned atomic.Bool
	g.b.change = func(j *intake.Job) {
		lost := j.Lost
		g.b.answering("to", new(fakeStream), &g.answers, func() error {
			if lost() && !abandoned.Load() {
				return intake.ErrDeliveryLost
			}
			return nil
		})(j)
		j.Awaited = func() (time.Time, bool) { g.b.mu.Lock(); defer g.b.mu.Unlock(); return g.since, g.missing }
		j.Abandon = func() { abandoned.Store(true) }
	}
	d := g.b.post(name, id, redelivered, body)
	synctest.Wait()
	return d
}

// consumes says that the queue is consumed again from now on.
func (g *gone) consumes(yes bool) {
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	if g.since = (time.Time{}); yes {
		g.since = time.Now()
	}
}

// end lets the container web end.
func (g *gone) end(code int) {
	g.b.docker.named(g.b.t, "web").exit(code)
	synctest.Wait()
}

// want checks how many answers were sent, and how many warnings written.
func (g *gone) want(when string, answers, warnings int) {
	g.b.t.Helper()
	synctest.Wait()
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	if len(g.answers) != answers || strings.Count(g.log.String(), "the message is gone") != warnings {
		g.b.t.Errorf("%s: answers %q, want %d; want %d warnings in\n%s", when, g.answers, answers, warnings, &g.log)
	}
}

// TestStopWithoutQueue: a stop sends the result of a job whose queue is there no more, and leaves nothing of it.
func TestStopWithoutQueue(t *testing.T) {
	for _, id := range []string{"id", ""} {
		for _, missing := range []bool{true, false} {
			onBench(t, nil, func(b *bench) {
				g := newGone(b)
				d := g.post("m", id, false, wait)
				d.lose()
				g.consumes(true)
				g.missing = missing
				g.end(0)
				time.Sleep(5 * time.Second)
				g.want("early", 0, 0)
				b.close()
				left := <-b.done
				if missing {
					g.want("at the stop", 2, 1)
				} else {
					g.want("at the stop, queue consumed", 0, 0)
				}
				if missing != (left == 0 && b.docker.count() == 0) {
					t.Errorf("missing %v: %d jobs, %d containers left", missing, left, b.docker.count())
				}
			})
		}
	}
}

// TestMessageGone: a result does not wait for a message that was lost and does not come again.
func TestMessageGone(t *testing.T) {
	kept := strings.Replace(wait, `,"Remove":true`, "", 1)
	for _, id := range []string{"id", ""} {
		for _, body := range []string{wait, kept} {
			each := func(name string, test func(b *bench, g *gone, d *delivery)) {
				t.Run(fmt.Sprintf("%s, message_id %q", name, id), func(t *testing.T) {
					onBench(t, nil, func(b *bench) {
						g := newGone(b)
						d := g.post("m", id, false, body)
						d.lose()
						test(b, g, d)
					})
				})
			}
			each("for good", func(b *bench, g *gone, d *delivery) {
				g.consumes(true)
				g.end(0)
				time.Sleep(59 * time.Second)
				g.want("early", 0, 0)
				time.Sleep(2 * time.Second)
				g.want("after a minute", 2, 1) // results queue, reply_to
				time.Sleep(time.Hour)
				g.want("after an hour", 2, 1)
				d.unsettled()
			})
			each("for 30 seconds", func(b *bench, g *gone, d *delivery) {
				g.consumes(true)
				g.end(0)
				time.Sleep(30 * time.Second)
				g.want("early", 0, 0)
				g.post("again", id, true, body).want(intake.Ack, "")
				time.Sleep(time.Hour)
				g.want("at the end", 2, 0)
			})
			each("for two minutes", func(b *bench, g *gone, d *delivery) {
				g.consumes(true)
				g.end(0)
				time.Sleep(2 * time.Minute)
				g.want("after a minute", 2, 1)
				g.post("again", id, true, body).want(intake.Ack, "")
				time.Sleep(time.Hour)
				g.want("at the end", 2, 1)
				if len(b.record.results) != 1 || b.pool.jobs.Size().Tasks != 0 {
					b.t.Errorf("%d results, %d tasks are left", len(b.record.results), b.pool.jobs.Size().Tasks)
				}
			})
			each("and nothing is consumed", func(b *bench, g *gone, d *delivery) {
				g.end(0)
				time.Sleep(time.Hour)
				g.consumes(true)
				time.Sleep(40 * time.Second)
				g.consumes(false) // the connection ends again
				time.Sleep(time.Hour)
				g.want("not consumed", 0, 0)
				g.consumes(true)
				time.Sleep(66 * time.Second)
				g.want("consumed", 2, 1)
			})
			each("while the job runs", func(b *bench, g *gone, d *delivery) {
				g.consumes(true)
				time.Sleep(time.Hour)
				g.want("running", 0, 0)
				g.end(0)
				g.want("ended", 2, 1)
			})
		}
	}
	for _, id := range []string{"id", ""} {
		for _, body := range []string{retried, retriedRemoved} {
			t.Run("the next attempt", func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					g := newGone(b)
					d := g.post("m", id, false, body)
					d.lose()
					g.consumes(true)
					g.end(1)
					g.want("early", 0, 0)
					time.Sleep(2 * time.Minute)
					g.want("after a minute", 2, 1)
					again := g.post("again", id, true, body)
					again.want(intake.Ack, event.ReasonExit)
					if n := len(d.agains) + len(again.agains); n != 1 {
						t.Errorf("%d next attempts, want 1", n)
					}
				})
			})
		}
		t.Run("the dead letter", func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				b.stores = true
				g := newGone(b)
				d := g.post("m", id, false, wait)
				d.lose()
				g.consumes(true)
				c := b.docker.named(t, "web")
				b.docker.mu.Lock()
				c.end(0)
				c.State.ExitCode = nil // the engine does not know it
				b.docker.mu.Unlock()
				time.Sleep(50 * time.Second)
				g.want("early", 0, 0)
				time.Sleep(5 * time.Minute)
				g.want("after a minute", 2, 1)
				again := g.post("again", id, true, wait)
				again.want(intake.Ack, event.ReasonEngine)
				if d.copies != 1 || again.copies != 0 {
					t.Errorf("%d and %d dead letters, want one of the first", d.copies, again.copies)
				}
			})
		})
		t.Run("somebody else has done it", func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				b.stores = true
				g := newGone(b)
				d := g.post("m", id, false, wait)
				d.lose()
				g.consumes(true)
				b.docker.die()
				b.docker.mu.Lock()
				clear(b.docker.byID)
				b.docker.mu.Unlock()
				b.docker.revive()
				time.Sleep(time.Hour)
				g.want("at the end", 2, 1)
				if r := b.result(); r.Reason != event.ReasonNoSuchContainer || d.copies != 0 {
					t.Errorf("%d dead letters of %+v", d.copies, r)
				}
				again := g.post("after all", id, true, wait) // the job has no container
				if d.copies+again.copies != 1 {
					t.Errorf("%d dead letters, want 1", d.copies+again.copies)
				}
			})
		})
	}
}
