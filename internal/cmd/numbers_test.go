package cmd

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// TestNumbers: what runs and what waits is counted, with the ages of the oldest. The status lists the same jobs.
func TestNumbers(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		if n := b.pool.Numbers(); n.Slots != 2 || n.InUse != 0 || !n.OldestRunning.IsZero() || !n.OldestWaiting.IsZero() {
			t.Errorf("without jobs: %+v", n)
		}
		taken := time.Now()
		b.change = func(j *intake.Job) { j.Published = taken.Add(-10 * time.Second) }
		for _, name := range []string{"aa", "bb", "cc"} {
			b.send(name, name, false, named(name))
		}
		b.copy = "sent again"
		time.Sleep(time.Minute)
		b.change = func(j *intake.Job) { j.Published = taken.Add(-1000 * time.Hour) } // when its dead letter was a message
		b.send("dd", "dd", false, named("dd"))
		n := b.pool.Numbers()
		if n.Running.Count != 2 || n.Waiting.Count != 2 || n.InUse != 2 || n.Taken != 4 || n.ToStart.Count() != 2 || n.ToStart.Sum != 20 {
			t.Errorf("two run, two wait: %+v", n)
		}
		if !n.OldestRunning.Equal(taken) || !n.OldestWaiting.Equal(taken.Add(-10*time.Second)) {
			t.Errorf("oldest: running since %v, waiting since %v; taken at %v", n.OldestRunning, n.OldestWaiting, taken)
		}
		if n.Running.Jobs != nil || n.Waiting.Jobs != nil || n.Ended != nil {
			t.Error("the numbers have lists")
		}
		b.docker.named(t, "aa").write("stdout", "hello\n")
		synctest.Wait()
		if n := b.pool.Numbers(); n.OutputBytes != 6 {
			t.Errorf("%d bytes of output while the job runs", n.OutputBytes)
		}
		b.docker.named(t, "aa").exit(3)
		synctest.Wait()
		s := b.pool.Status()
		names := func(jobs []status.Job) (names string) {
			for _, j := range jobs {
				names += j.ContainerName
			}
			return names
		}
		if names(s.Running.Jobs) != "bbcc" || names(s.Waiting.Jobs) != "dd" || names(s.Ended) != "aa" || s.Running.Count != 2 || s.Waiting.Count != 1 {
			t.Errorf("running %+v, waiting %+v, ended %+v", s.Running, s.Waiting, s.Ended)
		}
		if s.OutputBytes != 6 || s.ToStart.Count() != 3 || s.ToEnd.Count() != 1 || len(s.Outcomes) != 1 || s.Outcomes[0] != (status.Outcome{Command: "run", Status: "failed", Reason: "exit", Count: 1}) {
			t.Errorf("after an end: %+v", s)
		}
		if want := taken.Add(time.Minute); !s.OldestWaiting.Equal(want) {
			t.Errorf("a dead letter that was sent again waits since %v, not since it was taken at %v", s.OldestWaiting, want)
		}
	})
}

// TestNumbersGoUp: no counter goes down while jobs come, run and end.
func TestNumbersGoUp(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.change = func(j *intake.Job) { j.Published = time.Now() }
		counters := func() []int64 {
			n, ended := b.pool.Numbers(), int64(0)
			for _, o := range n.Outcomes {
				ended += o.Count
			}
			all := append([]int64{n.Taken, ended, n.OutputBytes, n.ToStart.Count(), n.ToEnd.Count()}, n.ToStart.Buckets[:]...)
			return append(all, n.ToEnd.Buckets[:]...)
		}
		last := counters()
		const jobs = 200
		for i := range jobs {
			b.post(fmt.Sprint(i), fmt.Sprint(i), false, `{"Dockercmd":"run","Image":"img","Cmd":["echo","hi"],"Options":{"Attach":"STDOUT","Remove":true}}`)
			now := counters()
			for k := range now {
				if now[k] < last[k] {
					t.Fatalf("counter %d went from %d down to %d", k, last[k], now[k])
				}
			}
			last = now
		}
		synctest.Wait()
		if last = counters(); last[0] != jobs || last[1] != jobs || last[2] != 3*jobs || last[3] != jobs || last[4] != jobs {
			t.Errorf("after %d jobs: %d", jobs, last[:5])
		}
	})
}
