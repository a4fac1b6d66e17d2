package ps

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// shownAt is when the answers of the test were made.
var shownAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// before returns the time so long before shownAt.
func before(d time.Duration) *time.Time { return new(shownAt.Add(-d)) }

// answered is what two daemons of a queue have answered: one works, and the engine of the other is away.
func answered(width int) *view {
	return &view{queue: "jobs", queued: 1532, consumers: 2, width: width, daemons: []status.Status{
		{
			Host: "alpha", Queue: "jobs", Since: *before(50 * time.Hour), At: shownAt, Ready: true, Slots: 16, InUse: 2, PerMinute: 4.2,
			Conditions: []status.Condition{{Name: "engine", State: status.Met, Reason: "it answers"}, {Name: "claims", State: status.Met, Reason: "the broker knows this host as a.0"}, {Name: "secrets", State: status.Warning, Reason: "the secrets are on a disk"}},
			Queued:     new(1500), DeadLetters: new(3), DeadLetterQueue: "jobs.dead",
			Running: status.Jobs{Count: 1003, Jobs: []status.Job{
				{Job: "5d1f3c1e-7a0b-4a51-9a55-7c3f0c6c9d10", Command: "run", ContainerName: "nightly-report", Image: "registry.example/reports/nightly:2026-01", User: "release", Attempt: 2, Phase: "started", Taken: *before(6 * time.Minute), Started: before(5 * time.Minute)},
				{Job: "evil\x1b[2J\u202e\nroot", Command: "run", ContainerID: "0123456789abcdef0123", Image: "a\tb", Phase: "begun", Taken: *before(time.Second)},
			}},
			Waiting: status.Jobs{Count: 1, Jobs: []status.Job{
				{Job: "job3", Command: "stop", ContainerName: "web", Published: before(10 * time.Minute), Taken: *before(time.Minute), For: "an earlier command on web"},
			}},
			Outcomes: []status.Outcome{{Command: "run", Status: "succeeded", Count: 118}, {Command: "run", Status: "failed", Reason: "exit", Count: 366}},
			Ended:    []status.Job{{Job: "job0", Command: "run", Image: "busybox", Ended: before(2 * time.Second), Status: "succeeded"}},
			Failed: []status.Job{
				{Job: "job1", Command: "run", Image: "busybox", Ended: before(time.Minute), Status: "failed", Reason: "exit", ExitCode: new(3), Error: "exited with code 3"},
				{Job: "job2", Image: "", Ended: before(time.Hour), Status: "refused", Reason: "invalid-message", Error: `Options: unknown key "Memroy"; did you mean "Memory"?`, DeadLetter: true},
			},
		},
		{
			Host: "beta", Queue: "jobs", Since: *before(3 * time.Minute), At: shownAt, Slots: 16,
			Conditions: []status.Condition{{Name: "engine", State: status.Unmet, Reason: "dial unix /var/run/docker.sock: connect: no such file or directory"}},
			Waiting:    status.Jobs{Count: 1, Jobs: []status.Job{{Job: "job4", Command: "run", Image: "busybox", Taken: *before(time.Minute), For: "the engine"}}},
			Outcomes:   []status.Outcome{{Status: "refused", Reason: "invalid-message", Count: 1}},
			Failed:     []status.Job{{Job: "job5", Command: "run", Ended: before(3 * time.Second), Status: "error", Reason: "engine", Retrying: true, Error: "500"}},
		},
	}}
}

// TestPsLayout: what ps shows, at the widths of three terminals. No line is wider. With UPDATE_GOLDEN=1 it writes the files anew.
func TestPsLayout(t *testing.T) {
	for _, width := range []int{80, 120, 200} {
		for name, text := range map[string]string{"all": answered(width).all(), "failed": answered(width).failed()} {
			file := filepath.Join("testdata", fmt.Sprintf("ps-%s-%d.txt", name, width))
			if os.Getenv("UPDATE_GOLDEN") != "" {
				os.WriteFile(file, []byte(text), 0o644)
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) {
				t.Errorf("%s: \n%s\nwant\n%s", file, text, want)
			}
			for line := range strings.Lines(text) {
				if n := len([]rune(line)) - 1; n > width {
					t.Errorf("%s: a line of %d columns: %s", file, n, line)
				}
			}
		}
	}
}

// TestPsSummary: how much there is to do, and for how long.
func TestPsSummary(t *testing.T) {
	for _, tt := range []struct {
		queued int
		daemon status.Status
		want   string
	}{
		{0, status.Status{}, "0 queued, 0 jobs/min, nothing to do"},
		{1, status.Status{PerMinute: 2}, "1 queued, 2 jobs/min, queue done in about 30s"},
		{unknown, status.Status{Queued: new(120), PerMinute: 0.5, DeadLetters: new(1)}, "120 queued, 1 dead letter, 0.5 jobs/min, queue done in about 4h"},
		{unknown, status.Status{Running: status.Jobs{Count: 3}}, "0 jobs/min, nothing waits"},
		{3, status.Status{}, "3 queued, 0 jobs/min, no job has ended yet"},
		{0, status.Status{Retrying: new(20), Settling: 1}, "0 queued, 20 to be tried again, 1 ended, with results not stored yet, 0 jobs/min, nothing waits"},
		{7, status.Status{PerMinute: 9}, "7 queued, 9 jobs/min, no daemon is ready"},
		{5, status.Status{PerMinute: 1e-300, Running: status.Jobs{Count: -7}}, "5 queued, 0 jobs/min, queue done in about 36500d"},
	} {
		tt.daemon.Ready = !strings.Contains(tt.want, "no daemon")
		v := view{queued: tt.queued, daemons: []status.Status{tt.daemon}}
		if got := v.summary(); got != tt.want {
			t.Errorf("%q\nwant %q", got, tt.want)
		}
	}
}

// TestPsLongest: of all daemons' jobs, the one that has run for longest, and the waiting one whose message is the oldest.
func TestPsLongest(t *testing.T) {
	daemon := func(host string, age time.Duration, published *time.Time) status.Status {
		return status.Status{
			Host: host, At: shownAt,
			Running: status.Jobs{Count: 1, Jobs: []status.Job{{Job: "r-" + host, Taken: *before(24 * time.Hour), Started: before(age)}}},
			Waiting: status.Jobs{Count: 1, Jobs: []status.Job{{Job: "w-" + host, Taken: *before(2 * time.Second), Published: published, For: "its turn"}}},
		}
	}
	v := &view{daemons: []status.Status{daemon("a", time.Minute, before(time.Minute)), daemon("b", 25*time.Minute, before(6*time.Minute)), daemon("c", time.Second, nil)}}
	if got := v.longest(); got != "longest running: r-b for 25m at b" {
		t.Error(got)
	}
	if got := v.oldest(); got != "oldest waiting: w-b, published 6m ago; at b for 2s, waits for its turn" {
		t.Error(got)
	}
	v.daemons = v.daemons[2:]
	if got := v.oldest(); got != "oldest waiting: w-c, at c for 2s, waits for its turn" {
		t.Error(got)
	}
	if v.daemons[0] = (status.Status{}); v.longest()+v.oldest() != "" {
		t.Errorf("%q, %q", v.longest(), v.oldest())
	}
}

// TestPsGather: answers are taken until the consumers have answered and no more come, or the time is over. Anything else that
// is sent is passed over.
func TestPsGather(t *testing.T) {
	mine := status.Status{Queue: "jobs", Host: "b"}
	other := status.Status{Queue: "other"}
	for name, tt := range map[string]struct {
		consumers int
		bodies    []string
		want      int
	}{
		"all have answered":  {2, []string{string(mine.Encode(1000)), string(mine.Encode(1000))}, 2},
		"one is missing":     {2, []string{string(mine.Encode(1000))}, 1},
		"garbage":            {1, []string{"", "x", "[]", "{\"Queue\": 1}", string(other.Encode(1000)), string(mine.Encode(1000))}, 1},
		"more than consume":  {0, []string{string(mine.Encode(1000)), string(mine.Encode(1000))}, 2},
		"a number not known": {unknown, []string{string(mine.Encode(1000)), string(mine.Encode(1000))}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			answers := make(chan []byte)
			go func() {
				for _, body := range tt.bodies {
					answers <- []byte(body)
				}
			}()
			v := &view{queue: "jobs", consumers: tt.consumers}
			v.gather(answers, ctx)
			if len(v.daemons) != tt.want || (tt.consumers > tt.want) != (v.silent() != "") {
				t.Errorf("%d answers, and %q", len(v.daemons), v.silent())
			}
			if early := ctx.Err() == nil; early != (tt.consumers <= tt.want) {
				t.Errorf("before the time: %v", early)
			}
		})
	}
}

// FuzzPsView: no answer that somebody sends makes ps panic.
func FuzzPsView(f *testing.F) {
	for _, s := range answered(80).daemons {
		f.Add(s.Encode(1 << 20))
	}
	for _, n := range []int64{math.MinInt64, -1, math.MaxInt64} {
		i := int(n)
		jobs := status.Jobs{Count: i, Jobs: []status.Job{{Job: "j", Attempt: i, ContainerID: "c", Published: &time.Time{}}}}
		f.Add((&status.Status{Slots: i, InUse: i, PID: i, PerMinute: float64(n), Queued: &i, DeadLetters: &i, Retrying: &i, Settling: i,
			Running: jobs, Waiting: jobs, Failed: jobs.Jobs, Outcomes: []status.Outcome{{Count: n}, {Status: "failed", Count: n}}}).Encode(1 << 20))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := status.Decode(body)
		if err != nil {
			return
		}
		v := &view{queued: unknown, consumers: unknown, daemons: []status.Status{s, s}, width: 80}
		v.all()
		v.failed()
	})
}
