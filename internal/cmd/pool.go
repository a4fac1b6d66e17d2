package cmd

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
)

// Config is what a pool works with.
type Config struct {
	Docker      Docker
	Reporter    Reporter
	Log         *slog.Logger
	Gate        *Gate          // kept by the pool: open while the engine answers
	Host        string         // this machine's name, for results
	Concurrency int            // runs at a time
	Pull        string         // "missing", "always" or "never"
	Timeout     time.Duration  // the longest that a foreground container may run; 0 is no limit
	Capture     int            // bytes of each stream's end that a result holds
	Policy      *policy.Policy // what messages may ask for; nil: the built-in one

	// Credentials returns what a registry is to be shown for an image, as dockerapi.PullOptions has
	// it. Nil: nothing.
	Credentials func(ctx context.Context, image string) (auth string, err error)
	MaxMessage  int // bytes; a larger message is refused; 0 is no limit

	// Places and ControlPlaces are how many messages the queue and the control queue hand over at a time; 0: no limit.
	Places, ControlPlaces int

	// SweepAfter is how long after its end a container that a crash left behind is removed; 0: never.
	// Queue is the queue whose containers these are. Quiet tells whether that has been consumed for
	// some time and has no message left, so that all there are have been handed over, and where it is.
	SweepAfter time.Duration
	Queue      string
	Quiet      func(ctx context.Context, consumed time.Duration) (at Place, quiet bool)
}

// lastWords is how long jobs that have ended may take to settle when the pool is to leave jobs as they
// are.
const lastWords = 3 * time.Second

// A Pool carries out jobs: each in a goroutine of its own, runs at most Concurrency at a time.
type Pool struct {
	Config
	engine    *engine
	jobs      registry
	recalling sync.Mutex // see recall
	slots     slots
	pulls     pulls

	// They hold a place for each message that may be decoded at a time; a stop does not wait for the queue's.
	decoding, controlDecoding chan struct{}
	holders, controlHolders   holders

	stopping   chan struct{}   // closed when no more jobs come: what has not begun is given back
	settling   context.Context // outlives Run's, so that a job that has ended then can be settled
	staying    atomic.Int64    // containers of jobs that are done, which a stop leaves
	lineBudget atomic.Int64    // shared by all streams, see lineBudget
	retryFirst time.Duration   // first delay before an engine error that may pass is tried again
	lingers    time.Duration   // see linger
	idle       time.Duration   // how long output may stay silent after the exit before it is given up
}

// NewPool returns a pool; Run starts it.
func NewPool(cfg Config) *Pool {
	return &Pool{
		Config:          cfg,
		engine:          &engine{docker: cfg.Docker, gate: cfg.Gate, log: cfg.Log},
		jobs:            newRegistry(),
		slots:           slots{free: cfg.Concurrency},
		pulls:           pulls{flight: make(map[string]*pullFlight)},
		decoding:        make(chan struct{}, runtime.GOMAXPROCS(0)),
		controlDecoding: make(chan struct{}, 1),
		stopping:        make(chan struct{}),
		retryFirst:      500 * time.Millisecond,
		lingers:         lingers,
		idle:            10 * time.Second,
	}
}

// Run carries out jobs, and those of the control queue beside them, until both channels are closed; then it gives back what has not begun and waits
// for the rest. The end of ctx leaves jobs where they are: their containers run on, their messages
// stay unsettled. Run returns how many were left so; it is called once.
func (p *Pool) Run(ctx context.Context, jobs, control <-chan Job) (left int) {
	settling, stopSettling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSettling()
	p.settling = settling
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, stopSettling) })()
	watchCtx, stopWatch := context.WithCancel(settling)
	var watching, working sync.WaitGroup
	watching.Go(func() { p.engine.watch(watchCtx) })
	watching.Go(func() { p.watchGate(watchCtx) })
	watching.Go(func() { p.sweepRegularly(watchCtx) })

	var abandoned atomic.Int64
	seq := int64(0)
	// Each queue's jobs take their places one after the other, in the queue's order; they are decoded side by side.
	turns := make(map[bool]chan struct{}, 2)
	for _, control := range []bool{false, true} {
		turns[control] = make(chan struct{})
		close(turns[control])
	}
	for jobs != nil || control != nil {
		var j Job
		var ok bool
		select {
		case j, ok = <-jobs:
			if !ok {
				jobs = nil
			}
		case j, ok = <-control:
			if !ok {
				control = nil
			}
		}
		if !ok {
			continue
		}
		seq++
		turn, place, seq := turns[j.Control], make(chan struct{}), seq
		turns[j.Control] = place
		working.Go(func() {
			i, d := p.decode(j)
			<-turn
			t, again := p.accept(ctx, j, i, d, seq)
			close(place)
			switch {
			case again != nil:
				again()
			case t != nil && !t.work():
				abandoned.Add(1)
			}
		})
	}
	close(p.stopping)
	<-turns[false]
	<-turns[true]
	p.recall()
	working.Wait()
	stopWatch()
	watching.Wait()
	if n := p.staying.Load(); n > 0 {
		when := "when their messages come again"
		if p.SweepAfter > 0 {
			when += ", or by the sweep"
		}
		p.Log.Warn("containers of jobs that are done stay: it is not known whether the broker still has their messages, or the engine did not remove them in time; the next start removes them "+when, "containers", n)
	}
	return int(abandoned.Load())
}

// accept turns a job into a task, in the queue's order. It returns none if the job is known: then the job is
// settled with the known one, or by again.
func (p *Pool) accept(ctx context.Context, j Job, ident identity, d decoded, seq int64) (_ *task, again func()) {
	k, earlier, id := p.jobs.recognise(ident, j)
	switch k {
	case joined:
		p.Log.Info("message came again; joined to its job", "job", id)
		return nil, nil
	case finished:
		p.Log.Info("message came again after it was settled; acked", "job", id)
		return nil, func() {
			if r := p.jobs.untold(ident, j); r != nil {
				if err := j.Reply(p.settling, *r); err != nil {
					return // it comes again
				}
			}
			if err := j.Settle(ctx, Ack, event.Result{Job: ident.id}); err != nil {
				p.Log.Warn("message not acked", "job", ident.id, "error", err)
			}
		}
	}
	t := &task{
		pool:       p,
		ctx:        ctx,
		identity:   ident,
		decoded:    d,
		turn:       turn{seq: seq, control: j.Control, order: newOrder(d.traits.Stops)},
		deliveries: newDeliveries(j),
		outbox:     outbox{told: make(map[string]bool)},
		log:        p.Log.With("job", ident.id),
		cancelled:  make(chan struct{}),
		superseded: make(chan struct{}),
	}
	if k == returned {
		t.earlier = p.jobs.reached(earlier, phaseGone)
		close(earlier.superseded) // once: from now on it is this task that the message is known by
	}
	t.again.Store(j.Redelivered)
	t.take(j)
	p.jobs.add(t)
	if t.traits.Lasts && !t.control && t.order.before.Load() == nil && t.earlier == nil && !t.namesJob() {
		t.slot = p.slots.request()
	}
	return t, nil
}
