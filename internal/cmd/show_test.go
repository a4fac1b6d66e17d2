package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/room"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// TestStatus takes jobs through their lives, and looks at the status at each step.
func TestStatus(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1; c.Queue = "q" }, func(b *bench) {
		published := time.Now().Add(-time.Minute)
		b.change = func(j *intake.Job) { j.Published = published }
		b.send("a", "id-a", false, named("web"))
		b.send("b", "id-b", false, named("db"))
		b.send("c", "id-c", false, `{"Dockercmd":"stop","Container":"db"}`)
		time.Sleep(10 * time.Second)
		s := b.pool.Status()
		if s.Running.Count != 1 || s.Waiting.Count != 2 || s.Slots != 1 {
			t.Fatalf("%d run, %d wait, of %d places", s.Running.Count, s.Waiting.Count, s.Slots)
		}
		r, w, behind := s.Running.Jobs[0], s.Waiting.Jobs[0], s.Waiting.Jobs[1]
		if r.Job != "id-a" || r.ContainerName != "web" || r.ContainerID == "" || r.Image != "busybox" || r.Command != "run" || r.Phase != "started" ||
			!r.Published.Equal(published) || s.At.Sub(*r.Started) != 10*time.Second || s.At.Sub(r.Taken) != 10*time.Second {
			t.Errorf("the running job is %+v", r)
		}
		if w.Job != "id-b" || w.Phase != "waiting" || w.For != "a free place (--concurrency)" || w.Started != nil {
			t.Errorf("the waiting job is %+v", w)
		}
		if behind.Job != "id-c" || behind.For != "an earlier command on db" {
			t.Errorf("the job behind it is %+v", behind)
		}
		if oldest, ok := s.Oldest(); !ok || oldest.Job != "id-b" || oldest.Age(s.At) != 70*time.Second {
			t.Errorf("the oldest is %+v", oldest)
		}
		if longest, ok := s.Longest(); !ok || longest.Job != "id-a" || longest.Runs(s.At) != 10*time.Second {
			t.Errorf("the longest running is %+v", longest)
		}
		if n := s.ToStart.Buckets; s.ToStart.Sum != 60 || n[slices.Index(status.Bounds[:], 60)] != 1 {
			t.Errorf("from publishing to the start: %+v", s.ToStart)
		}
		b.docker.named(t, "web").exit(3)
		synctest.Wait() // db starts, and is stopped
		s = b.pool.Status()
		if s.Running.Count+s.Waiting.Count+s.Settling != 0 || len(s.Ended) != 3 {
			t.Fatalf("%d run, %d wait, %d are being settled, %d have ended", s.Running.Count, s.Waiting.Count, s.Settling, len(s.Ended))
		}
		e := s.Ended[slices.IndexFunc(s.Ended, func(j status.Job) bool { return j.Job == "id-a" })] // db may have started before it
		if e.Job != "id-a" || e.Status != "failed" || e.Reason != event.ReasonExit || *e.ExitCode != 3 || e.Error == "" || e.Ended.Sub(*e.Started) != 10*time.Second || e.Phase != "" {
			t.Errorf("the job that ended is %+v", e)
		}
		if want := (status.Outcome{Command: "run", Status: "failed", Reason: "exit", Count: 1}); !slices.Contains(s.Outcomes, want) {
			t.Errorf("the outcomes are %+v", s.Outcomes)
		}
		if s.Taken != 3 || s.Redelivered != 0 || s.PerMinute != 18 { // 3 in 10 s
			t.Errorf("%d were taken, %d of them redelivered; %v a minute", s.Taken, s.Redelivered, s.PerMinute)
		}
		time.Sleep(5 * time.Minute)
		if s = b.pool.Status(); s.PerMinute != 0 {
			t.Errorf("%v a minute after five minutes without a job", s.PerMinute)
		}
	})
}

// TestStatusRefused: a job that is refused is shown with the name that its message asks for. A message that is none has no name.
func TestStatusRefused(t *testing.T) {
	onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Deny": {"Command": ["run", "stop"]}}`) }, func(b *bench) {
		b.send("a", "id-a", false, named("web")).want(intake.DeadLetter, "policy")
		b.send("b", "id-b", false, `{"Dockercmd":"stop","Container":"db"}`).want(intake.DeadLetter, "policy")
		b.send("c", "id-c", false, "rubbish").want(intake.DeadLetter, event.ReasonInvalid)
		for i, want := range []string{"", "db", "web"} {
			if j := b.pool.Status().Failed[i]; j.ContainerName != want {
				t.Errorf("%s is shown with the name %q, want %q", j.Job, j.ContainerName, want)
			}
		}
	})
}

// TestStatusSettling: a job whose result cannot be stored yet has ended, and is not settled.
func TestStatusSettling(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		stored := make(chan struct{})
		b.change = func(j *intake.Job) {
			j.Record = func(context.Context, event.Result) error { <-stored; return nil }
		}
		b.send("m", "id", false, echo)
		if s := b.pool.Status(); s.Settling != 1 || s.Running.Count != 0 {
			t.Errorf("%d are being settled, %d run", s.Settling, s.Running.Count)
		}
		close(stored)
		synctest.Wait()
		if s := b.pool.Status(); s.Settling != 0 {
			t.Errorf("%d are being settled", s.Settling)
		}
	})
}

// TestStatusCounts: deliveries of one job, and its adopted container.
func TestStatusCounts(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.send("m", "id", false, wait)
		b.send("m again", "id", true, wait)
		if s := b.pool.Status(); s.Taken != 2 || s.Joined != 1 {
			t.Errorf("%+v", s.Counters)
		}
		b.close()
		b.stop()
		<-b.done
		b.start(b.t.Context(), nil)
		b.send("m", "id", true, wait)
		s := b.pool.Status()
		if s.Taken != 1 || s.Redelivered != 1 || s.Adopted != 1 || s.ToStart.Sum != 0 {
			t.Errorf("%+v", s.Counters)
		}
		b.docker.named(t, "web").exit(0)
	})
}

// TestStatusWhileEngineIsAway: an engine that goes away is noticed without a job, and named.
func TestStatusWhileEngineIsAway(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		time.Sleep(time.Minute)
		if s := b.pool.Status(); s.Conditions[0].Name != "engine" || s.Conditions[0].State != status.Met {
			t.Fatalf("%+v", s.Conditions)
		}
		b.docker.die()
		time.Sleep(engine.PingEvery + time.Second)
		if s := b.pool.Status(); s.Conditions[0].State != status.Unmet || !strings.Contains(s.Conditions[0].Reason, "unreachable") {
			t.Errorf("%+v", s.Conditions)
		}
		b.docker.revive()
		time.Sleep(engine.PingMost + time.Second)
		if s := b.pool.Status(); s.Conditions[0].State != status.Met {
			t.Errorf("%+v", s.Conditions)
		}
	})
}

// TestRoom: while the engine's disk is short, nothing begins that makes a container, and a stop does.
func TestRoom(t *testing.T) {
	var free atomic.Int64 // below 0: the disk cannot be looked at
	free.Store(100)
	gate := new(intake.Gate)
	onEngine(t, withExits, func(c *Config) {
		c.Concurrency, c.MinFree, c.Room = 1, 50, gate
		c.Free = func(context.Context) (string, int64, error) {
			if free.Load() < 0 {
				return "", 0, errors.New("no such folder")
			}
			return "/data", free.Load(), nil
		}
	}, func(b *bench) {
		open := func(want bool, words string) {
			t.Helper()
			time.Sleep(room.Every)
			synctest.Wait()
			c := b.pool.Status().Conditions[1]
			if is, _ := gate.State(); is != want || c.Name != "disk" || (c.State == status.Met) != want || !strings.Contains(c.Reason, words) {
				t.Fatalf("the gate's being open is %v, and the condition %+v; want %v and %q", is, c, want, words)
			}
		}
		open(true, "/data has 100b free, of --min-free 50b")
		b.send("a", "id-a", false, named("web"))
		b.send("b", "id-b", false, named("db"))
		free.Store(49)
		open(false, "/data has 49b free")
		b.send("stop", "id-s", false, `{"Dockercmd":"stop","Container":"web"}`).want(intake.Ack, "")
		free.Store(-1)
		open(false, "no such folder")
		free.Store(54)
		open(false, "/data has 54b free") // not enough more than needed
		if w := b.pool.Status().Waiting; w.Count != 1 || w.Jobs[0].For != "room on the engine's disk (--min-free)" {
			t.Errorf("waiting: %+v", w)
		}
		free.Store(55)
		open(true, "")
		b.docker.named(t, "db").exit(0)
	})
}

// TestJobLog: at most so many lines in 10 s are each written, and as many of jobs that failed. The first of each kind is
// written, too. The rest is summed, at the level of the worst.
func TestJobLog(t *testing.T) {
	var log bytes.Buffer
	onBench(t, func(c *Config) { c.Concurrency = 1000; c.Log = slog.New(slog.NewTextHandler(&log, nil)) }, func(b *bench) {
		burst := func(n int, bodies ...string) {
			log.Reset()
			for i := range n {
				b.send(fmt.Sprint(i), "", false, bodies[i%len(bodies)])
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		want := func(what string, lines int, sum string) {
			t.Helper()
			sums := strings.Count(log.String(), "more jobs done")
			if got := strings.Count(log.String(), `msg="job done"`); got != lines || sums != min(1, len(sum)) || !strings.Contains(log.String(), sum) {
				t.Errorf("%s: %d lines, %d sums, want %d and %s:\n%s", what, got, sums, lines, sum, log.String())
			}
		}
		good, bad := strings.Replace(echo, `"Name":"web",`, "", 1), `{"Dockercmd":"stop","Container":"none"}`
		burst(20, good)
		want("20 jobs", 20, "")
		burst(100, good)
		want("100 jobs", 20, `level=INFO msg="more jobs done in these 10 s, summed; -v logs each" succeeded=80`)
		burst(5, good)
		want("5 jobs after that", 5, "")
		burst(100, bad)
		want("100 that fail", 40, `level=WARN msg="more jobs done in these 10 s, summed; -v logs each" failed/no-such-container=60`)
		burst(61, append(slices.Repeat([]string{bad}, 60), "{}")...)
		want("the first of another kind", 41, `failed/no-such-container=20`)
	})
}
