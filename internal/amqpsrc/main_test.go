package amqpsrc

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

const patience = brokertest.Patience

func TestMain(m *testing.M) { brokertest.Run(m, "internal/amqpsrc.") }

// A rig is a Source at work.
type rig struct {
	t       testing.TB
	source  *Source
	gate    *intake.Gate
	jobs    chan intake.Job
	control chan intake.Job // nil: there is no control queue
	log     *brokertest.Logbook
	stop    context.CancelFunc
	ended   chan error
}

// start runs a Source on queue. change may change its Config before.
func start(t testing.TB, queue string, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, gate: new(intake.Gate), jobs: make(chan intake.Job), log: brokertest.NewLogbook(), ended: make(chan error, 1)}
	r.gate.Set(true)
	cfg := Config{
		URL:        brokertest.URL(t),
		Queue:      queue,
		Prefetch:   10,
		DeadLetter: queue + ".dead",
		Host:       "testhost",
		Version:    "0.0",
		Log:        slog.New(slog.NewTextHandler(r.log, nil)),
		Gate:       r.gate,
	}
	if change != nil {
		change(&cfg)
	}
	r.source = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	if cfg.Control != "" {
		r.control = make(chan intake.Job)
	}
	go func() { r.ended <- r.source.Run(ctx, r.jobs, r.control) }()
	t.Cleanup(func() {
		r.stop()
		go func() {
			for range r.jobs { // Run hands over what it has before it ends
			}
		}()
		r.close()
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
		if a, err := wire.ParseURL(cfg.URL); err == nil && a.Password != "guest" && strings.Contains(r.log.String(), a.Password) {
			t.Errorf("the log holds the password:\n%s", r.log)
		}
	})
	return r
}

// next takes the next job.
func (r *rig) next() intake.Job {
	r.t.Helper()
	select {
	case j, ok := <-r.jobs:
		if !ok {
			r.t.Fatalf("jobs is closed, and Run ended with %v", <-r.ended)
		}
		return j
	case <-time.After(patience):
		r.t.Fatal("no job comes")
	}
	panic("unreachable")
}

// failed waits for Run to fail by itself.
func (r *rig) failed() error {
	r.t.Helper()
	timeout := time.After(patience)
	select {
	case _, ok := <-r.jobs:
		if ok {
			r.t.Fatal("got a job")
		}
	case <-timeout:
		r.t.Fatal("Run does not fail")
	}
	err := <-r.ended
	r.ended <- err
	return err
}

// take takes the next jobs and demands that they have these bodies.
func (r *rig) take(bodies ...string) []intake.Job {
	r.t.Helper()
	var list []intake.Job
	for _, want := range bodies {
		j := r.next()
		if string(j.Body) != want {
			r.t.Fatalf("got job %q, want %q", j.Body, want)
		}
		list = append(list, j)
	}
	return list
}

// end ends the intake and waits for Run. What is still handed over goes back, as the pool does it.
func (r *rig) end() error {
	r.t.Helper()
	r.stop()
	for j := range r.jobs {
		settle(r.t, j, intake.Requeue)
	}
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		r.t.Fatal("Run does not return")
	}
	panic("unreachable")
}

func (r *rig) close() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.source.Close(ctx); err != nil {
		r.t.Errorf("Close: %v", err)
	}
}

func settle(t testing.TB, j intake.Job, v intake.Verdict) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := error(nil)
	if v == intake.DeadLetter {
		err = deadLetterJob(ctx, j, event.Result{})
	} else {
		err = j.Settle(ctx, v, event.Result{})
	}
	if err != nil {
		t.Fatalf("settle %q as %v: %v", j.Body, v, err)
	}
}

// deadLetterJob does with a job what the pool does with one that cannot be carried out.
func deadLetterJob(ctx context.Context, j intake.Job, r event.Result) error {
	if j.Store == nil {
		return j.Settle(ctx, intake.DeadLetter, r)
	}
	if err := j.Store(ctx, r); err != nil {
		return err
	}
	return j.Settle(ctx, intake.Ack, r)
}

// lost settles a job whose session is over, which must fail without touching the broker.
func lost(t testing.TB, j intake.Job, v intake.Verdict) {
	t.Helper()
	if !j.Lost() {
		t.Errorf("job %q: not lost", j.Body)
	}
	if err := j.Settle(context.Background(), v, event.Result{}); !errors.Is(err, intake.ErrDeliveryLost) {
		t.Errorf("job %q: settle of a lost delivery: %v", j.Body, err)
	}
	if err := j.Fence(context.Background()); !errors.Is(err, intake.ErrDeliveryLost) {
		t.Errorf("job %q: fence of a lost delivery: %v", j.Body, err)
	}
}

// through is a Config change that sends a Source through the proxy.
func through(p *brokertest.Proxy) func(*Config) { return func(c *Config) { c.Dial = p.Dial } }
