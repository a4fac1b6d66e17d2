package cmd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

const retried = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Attach":["STDOUT"],"Retry":{"Max":2,"Delay":"1m","On":["exit",75,"timeout"]}}}`

// TestRetry: each attempt has a container and a result of its own; when they are used up, the message is
// kept.
func TestRetry(t *testing.T) {
	for _, remove := range []bool{false, true} {
		for _, id := range []string{"id", ""} {
			t.Run(fmt.Sprintf("message_id %q, Remove %v", id, remove), func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					b.stores = true
					body := retried
					if remove {
						body = strings.Replace(body, `"Retry"`, `"Remove":true,"Retry"`, 1)
					}
					job := id
					for attempt := 1; attempt <= 3; attempt++ {
						b.attempt = attempt
						d := b.send(fmt.Sprint("attempt ", attempt), job, false, body)
						c := b.docker.named(t, "web")
						if got := fmt.Sprint(c.config.Env); got != fmt.Sprintf("[DISPATCH_ATTEMPT=%d]", attempt) {
							t.Errorf("attempt %d: environment %s", attempt, got)
						}
						if c.Labels[identity.LabelAttempt] != fmt.Sprint(attempt) {
							t.Errorf("attempt %d: labels %v", attempt, c.Labels)
						}
						d.unsettled()
						c.exit(1)
						synctest.Wait()
						d.want(intake.Ack, event.ReasonExit)
						r := b.result()
						if r.Attempt != attempt || r.Retrying != (attempt < 3) || r.Status != event.Failed || *r.ExitCode != 1 {
							t.Errorf("attempt %d: result %+v", attempt, r)
						}
						if attempt < 3 {
							if want := fmt.Sprintf("%v %d", time.Minute<<(attempt-1), attempt+1); len(d.agains) != 1 || !strings.HasPrefix(d.agains[0], want) || d.copies != 0 {
								t.Errorf("attempt %d: to be tried again %q, want %s; %d dead letters", attempt, d.agains, want, d.copies)
							}
							if job == "" {
								job = strings.Fields(d.agains[0])[2] // the id that the first attempt got
							}
						} else if len(d.agains) != 0 || d.copies != 1 || !strings.Contains(r.Error, "given up after 3 attempts") {
							t.Errorf("the last attempt: again %q, %d dead letters, %s", d.agains, d.copies, r.Error)
						}
						if want := map[bool]int{true: 0, false: 1}[remove]; b.docker.count() != want {
							t.Errorf("attempt %d: %d containers, want %d", attempt, b.docker.count(), want)
						}
					}
				})
			})
		}
	}
}

// TestRetryOnlyOn: what succeeds, was stopped by a message, or failed for another reason is not tried again.
func TestRetryOnlyOn(t *testing.T) {
	body := strings.Replace(retried, `"exit",75`, `75`, 1)
	for _, tt := range []struct {
		name string
		end  func(b *bench, c *fakeContainer)
		want int
	}{
		{"exit 0", func(b *bench, c *fakeContainer) { c.exit(0) }, 0},
		{"another code", func(b *bench, c *fakeContainer) { c.exit(1) }, 0},
		{"the code", func(b *bench, c *fakeContainer) { c.exit(75) }, 1},
		{"a signal that ends nothing", func(b *bench, c *fakeContainer) {
			b.send("hup", "h", false, `{"Dockercmd":"kill","Container":"web","Options":{"Signal":"HUP"}}`)
			c.exit(75)
		}, 1},
		{"stopped by a message", func(b *bench, c *fakeContainer) {
			b.send("stop", "s", false, `{"Dockercmd":"kill","Container":"web"}`)
		}, 0},
	} {
		onBench(t, nil, func(b *bench) {
			d := b.send("m", "id", false, body)
			tt.end(b, b.docker.named(t, "web"))
			synctest.Wait()
			if len(d.agains) != tt.want || len(d.verdicts) != 1 || d.verdicts[0] != intake.Ack {
				t.Errorf("%s: tried again %q, settled %v", tt.name, d.agains, d.verdicts)
			}
		})
	}
}

// TestRetryOnce: a message that comes again when its next attempt is on its way has one next attempt.
func TestRetryOnce(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.fences = []error{intake.ErrDeliveryLost}
		first := b.send("first", "id", false, retried)
		b.fences = nil
		b.docker.named(t, "web").exit(1)
		synctest.Wait()
		again := b.send("again", "id", true, retried)
		again.want(intake.Ack, event.ReasonExit)
		late := b.send("late", "id", true, retried) // settled lately
		late.want(intake.Ack, "")
		if n := len(first.agains) + len(again.agains) + len(late.agains); n != 1 || len(b.record.results) != 1 {
			t.Errorf("%d next attempts, %d results, want one of each", n, len(b.record.results))
		}
	})
}

// TestRetryAfterCrash: the next process finds the attempt's own container, and not that of another attempt.
func TestRetryAfterCrash(t *testing.T) {
	for _, left := range []int{1, 2} {
		onBench(t, nil, func(b *bench) {
			ident := identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(retried), Attempt: left})
			labels := ident.Labels(false)
			labels[identity.LabelAttempt] = fmt.Sprint(left)
			b.leave("web", "exited", labels)
			b.attempt = 2
			d := b.send("m", "id", true, retried)
			if left == 2 {
				d.want(intake.Ack, event.ReasonExit)
				if r := b.result(); !r.Adopted || r.Attempt != 2 || *r.ExitCode != 4 {
					t.Errorf("result %+v", r)
				}
				return
			}
			d.unsettled() // the container of the attempt before was in the way, and is gone
			b.docker.named(t, "web").exit(0)
			synctest.Wait()
			d.want(intake.Ack, "")
			if r := b.result(); r.Adopted || r.Attempt != 2 {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// TestRetrySentAgain: the dead letter of a job with attempts begins anew when it is sent again, and what comes
// twice of its last attempt does not run again.
func TestRetrySentAgain(t *testing.T) {
	for _, copy := range []string{"", "copy-1", "rejected"} {
		onBench(t, nil, func(b *bench) {
			b.stores = copy != "rejected" // no dead-letter queue of ours
			for b.attempt = 1; b.attempt <= 3; b.attempt++ {
				b.send(fmt.Sprint("attempt ", b.attempt), "id", false, retried)
				b.docker.named(t, "web").exit(1)
				synctest.Wait()
			}
			b.attempt = 3
			b.send("the last attempt twice", "id", false, retried).want(intake.Ack, "")
			if len(b.record.results) != 3 {
				t.Errorf("%d results", len(b.record.results))
			}
			b.attempt, b.copy = 1, copy
			again := b.send("sent again", "id", false, retried)
			again.unsettled()
			b.docker.named(t, "web").exit(0)
			synctest.Wait()
			again.want(intake.Ack, "")
		})
	}
}

// TestRetryStoredFirst: without a message_id the next attempt is kept before the container goes: what is left
// then is one ack.
func TestRetryStoredFirst(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		held := make(chan struct{})
		b.beforeAgain = func() { <-held }
		d := b.send("m", "", false, strings.Replace(retried, `"Retry"`, `"Remove":true,"Retry"`, 1))
		b.docker.named(t, "web").exit(1)
		synctest.Wait()
		if b.docker.count() != 1 {
			t.Error("the container is gone, and nothing else shows that the attempt was made")
		}
		close(held)
		synctest.Wait()
		d.want(intake.Ack, event.ReasonExit)
		if b.docker.count() != 0 || len(d.agains) != 1 {
			t.Errorf("%d containers, tried again %q", b.docker.count(), d.agains)
		}
	})
}

// TestRetryAfterCrashWithoutID: without a message_id the next process finds the job's id on its container, by
// which the further attempts are known.
func TestRetryAfterCrashWithoutID(t *testing.T) {
	for _, body := range []string{retried, retriedRemoved, strings.Replace(retriedRemoved, `"Name":"web",`, "", 1)} {
		onBench(t, nil, func(b *bench) {
			labels := identity.Of(intake.Job{Queue: "q", Body: []byte(body)}).Labels(body != retried)
			labels[identity.LabelAttempt] = "1"
			b.leave("web", "exited", labels)
			d := b.send("m", "", true, body)
			d.want(intake.Ack, event.ReasonExit)
			id := labels[identity.LabelJob]
			if want := "1m0s 2 " + id; len(d.agains) != 1 || d.agains[0] != want || b.result().Job != id {
				t.Fatalf("tried again %q, want %s; result %+v", d.agains, want, b.result())
			}
			b.attempt = 2
			next := b.send("next", id, false, body)
			b.docker.named(t, b.record.started[1].ContainerName).exit(0)
			synctest.Wait()
			next.want(intake.Ack, "")
		})
	}
}

// TestRetryOverran: a container that an earlier process stopped for its time limit, and whose end nobody saw, has
// run into that.
func TestRetryOverran(t *testing.T) {
	body := strings.Replace(retried, `"Retry"`, `"Timeout":"1m","Retry"`, 1)
	for _, tt := range []struct {
		ran    time.Duration
		code   int
		oom    bool
		reason string
	}{
		{61 * time.Second, 137, false, event.ReasonTimeout},
		{61 * time.Second, 143, false, event.ReasonTimeout},
		{59 * time.Second, 137, false, event.ReasonExit},
		{61 * time.Second, 1, false, event.ReasonExit},
		{61 * time.Second, 137, true, event.ReasonOOM},
	} {
		onBench(t, nil, func(b *bench) {
			labels := identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(body)}).Labels(false)
			labels[identity.LabelAttempt] = "1"
			c := b.leave("web", "exited", labels)
			c.State.FinishedAt, c.State.ExitCode, c.State.OOMKilled = c.State.StartedAt.Add(tt.ran), new(tt.code), tt.oom
			b.send("m", "id", true, body)
			if r := b.result(); r.Reason != tt.reason {
				t.Errorf("%+v: result %+v", tt, r)
			}
		})
	}
}

// TestRetryDoubledWhileSettled: what comes twice of the last attempt while that is being settled is the same job.
func TestRetryDoubledWhileSettled(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.stores, b.attempt = true, 3
		held := make(chan struct{})
		b.beforeStore = func() { <-held }
		d := b.send("m", "id", false, retried)
		b.beforeStore = nil
		b.docker.named(t, "web").exit(1)
		synctest.Wait()
		twice := b.send("twice", "id", false, retried)
		close(held)
		synctest.Wait()
		d.want(intake.Ack, event.ReasonExit)
		twice.want(intake.Ack, event.ReasonExit)
		if d.copies+twice.copies != 1 || len(b.record.results) != 1 {
			t.Errorf("%d dead letters, %d results", d.copies+twice.copies, len(b.record.results))
		}
	})
}

// TestAttemptBeyondLast: a number that no attempt of the message has, as a stranger may claim it, counts as none.
func TestAttemptBeyondLast(t *testing.T) {
	for _, attempt := range []int{4, 77} { // 3 is the last
		onBench(t, nil, func(b *bench) {
			b.attempt = attempt
			d := b.send("m", "id", false, retried)
			b.docker.named(t, "web").exit(1)
			synctest.Wait()
			if d.want(intake.Ack, event.ReasonExit); len(d.agains) != 1 || b.result().Attempt != 1 {
				t.Errorf("%d: tried again %d times, result %+v", attempt, len(d.agains), b.result())
			}
		})
	}
}

// A stop does not wait for the messages of the queue to be decoded.
func TestControlIsDecodedBeside(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		for range cap(b.pool.decoding) {
			b.pool.decoding <- struct{}{}
		}
		b.leave("web", "running", nil)
		b.command(`{"Dockercmd":"stop","Container":"web"}`).want(intake.Ack, "")
		for range cap(b.pool.decoding) {
			<-b.pool.decoding
		}
	})
}

// TestRefusedStop: what the engine refused to stop has not been stopped.
func TestRefusedStop(t *testing.T) {
	for call, body := range map[string]string{
		"stop":   `{"Dockercmd":"stop","Container":"web"}`,
		"kill ":  `{"Dockercmd":"kill","Container":"web"}`,
		"remove": `{"Dockercmd":"remove","Container":"web","Options":{"Force":true}}`,
	} {
		onBench(t, nil, func(b *bench) {
			d := b.send("m", "id", false, retried)
			b.docker.before[call] = []error{dockerapi.ErrInvalid}
			b.send(call, "s", false, body).want(intake.DeadLetter, event.ReasonBadRequest)
			b.docker.named(t, "web").exit(1)
			synctest.Wait()
			if d.want(intake.Ack, event.ReasonExit); len(d.agains) != 1 {
				t.Errorf("%s: not tried again", call)
			}
		})
	}
}
