package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// A fake is a daemon whose state and logs the test sets.
type fake struct {
	mu     sync.Mutex
	status status.Status
	asked  int // how often for its state
	log    func(ctx context.Context, job string, w io.Writer) error
}

func (f *fake) config(t testing.TB) Config {
	return Config{
		Status: func() status.Status {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.asked++
			s := f.status
			s.At = time.Now().UTC()
			s.Judge()
			return s
		},
		JobLog: func(ctx context.Context, job string, w io.Writer) error {
			f.mu.Lock()
			log := f.log
			f.mu.Unlock()
			return log(ctx, job, w)
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// set changes the state. What was served before keeps its lists.
func (f *fake) set(change func(*status.Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.status
	for _, list := range []*[]status.Job{&s.Running.Jobs, &s.Waiting.Jobs, &s.Ended, &s.Failed} {
		*list = slices.Clone(*list)
	}
	s.Conditions, s.Outcomes = slices.Clone(s.Conditions), slices.Clone(s.Outcomes)
	change(s)
}

// serve serves the page until the test ends, and returns its address.
func (f *fake) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(Handler(f.config(t)))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// idle is a daemon that has nothing to do.
func idle() *fake {
	now := time.Now().UTC()
	return &fake{status: status.Status{
		Host: "web-1", Queue: "jobs", Version: "v1.4.0", PID: 4711, Since: now.Add(-76 * time.Hour), Slots: 16,
		Conditions: []status.Condition{
			{Name: "engine", State: status.Met, Reason: "it answers"},
			{Name: "broker", State: status.Met, Reason: "messages are taken from jobs at amqp://dispatch@broker.example:5672/"},
			{Name: "control", State: status.Met, Reason: "messages are taken from jobs.control"},
			{Name: "publishing", State: status.Met, Reason: "the broker takes results and dead letters"},
		},
		Queued: new(0), DeadLetters: new(0),
	}}
}

// busy is a daemon with three jobs under way, and some that ended.
func busy() *fake {
	f := idle()
	now := time.Now().UTC()
	f.set(func(s *status.Status) {
		s.Queued, s.DeadLetters, s.PerMinute, s.InUse = new(1204), new(3), 38.2, 3
		s.Running.Count, s.Waiting.Count = 3, 2
		for i, image := range []string{"registry.example/transcode:2.1", "registry.example/transcode:2.1", "busybox"} {
			s.Running.Jobs = append(s.Running.Jobs, status.Job{
				Job: fmt.Sprintf("encode-2026-11-%02d", i+1), Command: "run", ContainerName: fmt.Sprintf("dispatch-8fd1d0e3b0a%d", i), Image: image,
				ContainerID: strings.Repeat(fmt.Sprint(i), 64), Phase: "started", Taken: now.Add(-time.Duration(50-20*i) * time.Minute), Started: new(now.Add(-time.Duration(50-20*i) * time.Minute)),
				Published: new(now.Add(-time.Hour)), User: "media", Attempt: i,
			})
		}
		s.Waiting.Jobs = []status.Job{
			{Job: "encode-2026-11-04", Command: "run", Image: "registry.example/transcode:2.1", Phase: "waiting", For: "a free place (--concurrency)", Taken: now.Add(-4 * time.Minute)},
			{Job: "stop-encode", Command: "stop", ContainerName: "web", Phase: "waiting", For: "an earlier command on web", Taken: now.Add(-10 * time.Second)},
		}
		for i, j := range []status.Job{
			{Job: "thumbnails-991", Command: "run", Status: "succeeded", ExitCode: new(0), Image: "registry.example/thumbs:9"},
			{Job: "import-17", Command: "run", Status: "failed", Reason: "exit", ExitCode: new(3), Error: "the container exited with code 3", Image: "importer", Attempt: 2, Retrying: true},
			{Job: "5f0e6c1c-52d5-4c29-9c6c-0b21d3f1f1b4", Command: "run", Status: "error", Reason: "no-such-image", Error: `create container: no such image: registry.example/importer:latest; it cannot be pulled: Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host`},
			{Job: "stop-44", Command: "stop", Status: "stopped", ContainerName: "web"},
			{Job: "report-2026-11-29", Command: "run", Status: "failed", Reason: "oom", ExitCode: new(137), Error: "memory ran out: the container was killed", Image: "report"},
		} {
			j.Taken, j.Started, j.Ended = now.Add(-time.Hour), new(now.Add(-time.Duration(i*7+3)*time.Minute)), new(now.Add(-time.Duration(i*5+1)*time.Minute))
			j.ContainerID = strings.Repeat("e", 64)
			s.Ended = append(s.Ended, j)
		}
		s.DeadLetterQueue = "jobs.dead"
		s.Failed = []status.Job{s.Ended[1], {
			Job: "refused-9", Command: "run", ContainerName: "report", Status: "refused", Reason: "policy", Error: "Privileged: not allowed by the policy", DeadLetter: true,
			Taken: now.Add(-5 * time.Hour), Ended: new(now.Add(-5 * time.Hour)),
		}}
		s.Outcomes = []status.Outcome{
			{Command: "run", Status: "succeeded", Count: 12034}, {Command: "run", Status: "failed", Reason: "exit", Count: 31},
			{Command: "stop", Status: "succeeded", Count: 12}, {Command: "run", Status: "error", Reason: "no-such-image", Count: 2}, {Status: "refused", Reason: "invalid-message", Count: 1},
		}
	})
	return f
}

// hostile are texts of strangers that try to leave their places.
var hostile = []string{
	`<script>window.stranger=1;alert(1)</script>`,
	`"><img src=x onerror="window.stranger=1">`,
	`' onmouseover='window.stranger=1`,
	"two\nlines\r\n\ndata: {}\n\n",
	"left \u202egnitsrever\u2066 isolate",
	"bytes \xff\xfe\x00\x1b[31mred",
	"</section></main><h1>forged</h1><!--",
	"{}{} ${window.stranger=1} javascript:window.stranger=1",
	"\u05e2\u05d1\u05e8\u05d9\u05ea \u0639\u0631\u0628\u064a 123",
	strings.Repeat("Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334", 12),
	"a/b?c=d&e=%2e%2e#f;../..",
	`" onmouseover="window.stranger=1" ` + strings.Repeat("x ", 40), // is in a title, too
	strings.Repeat("long-", 2000),
}

// crowded is a daemon with 1,000 running jobs whose names are hostile.
func crowded() *fake {
	f := busy()
	now := time.Now().UTC()
	f.set(func(s *status.Status) {
		fill := func(n int, j status.Job) (jobs status.Jobs) {
			for i := range n {
				bad := hostile[i%len(hostile)]
				j.Job, j.Image, j.ContainerName, j.User = fmt.Sprint(bad, i), bad, bad, bad
				j.Taken = now.Add(-time.Hour + time.Duration(i)*time.Second)
				jobs.Jobs = append(jobs.Jobs, j)
			}
			jobs.Count = n
			return jobs
		}
		s.Slots, s.InUse, s.Queued = 1000, 1000, new(41999)
		s.Running = fill(1000, status.Job{Command: "run", Phase: "started", Started: new(now.Add(-30 * time.Minute)), ContainerID: strings.Repeat("c", 64)})
		s.Waiting = fill(1000, status.Job{Command: "run", Phase: "waiting", For: "an earlier command on " + hostile[0]})
		s.Waiting.Count = 4096
		s.Ended = fill(100, status.Job{Command: "run", Status: "failed", Reason: "exit", ExitCode: new(1), Ended: &now, Error: hostile[0] + hostile[len(hostile)-1]}).Jobs
		s.Failed, s.DeadLetterQueue = s.Ended, hostile[0]
		for i := range s.Failed {
			s.Failed[i].DeadLetter = true
		}
	})
	return f
}

// fakes are daemons in all states.
func fakes() map[string]*fake {
	return map[string]*fake{"idle": idle(), "busy": busy(), "crowded": crowded(), "not-ready": notReady()}
}

// notReady is a daemon whose engine and broker are away.
func notReady() *fake {
	f := busy()
	f.set(func(s *status.Status) {
		s.Conditions[0] = status.Condition{Name: "engine", State: status.Unmet, Reason: "docker engine unreachable: dial unix /var/run/docker.sock: connect: connection refused"}
		s.Conditions[1] = status.Condition{Name: "broker", State: status.Unmet, Reason: `amqp://dispatch@broker.example:5672/: Exception (403) Reason: "username or password not allowed"`}
		s.Conditions = append(s.Conditions, status.Condition{Name: "policy", State: status.Warning, Reason: "not read again; the one of before stays in force: policy.json: unknown key Alow"})
		s.Queued, s.DeadLetters, s.PerMinute = nil, nil, 0
		for i := range s.Waiting.Jobs {
			s.Waiting.Jobs[i].For = "the engine"
		}
	})
	return f
}
