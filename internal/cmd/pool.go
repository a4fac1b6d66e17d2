package cmd

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/exits"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/joblog"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/cmd/room"
	"github.com/mutaphore/docker-dispatch/internal/cmd/secrets"
	"github.com/mutaphore/docker-dispatch/internal/cmd/tally"
)

// Config is the configuration of a pool.
type Config struct {
	Docker      container.Docker
	Reporter    container.Reporter
	Log         *slog.Logger
	Gate        *intake.Gate          // the pool opens and closes it: open while the engine answers
	Host        string                // this machine's name, for results
	Concurrency int                   // runs and execs at a time
	Pull        string                // "missing", "always" or "never"
	Timeout     time.Duration         // the longest that a foreground run, a wait or a followed log may last; 0: no limit
	Capture     int                   // a result holds the last so many bytes of each stream
	Policy      func() *policy.Policy // returns what messages may ask for from now on; nil: the built-in policy

	// MinFree is how many bytes the disk of the engine's data must have free for new containers; 0: it is not watched. Free
	// looks at that disk: it returns the engine's folder, and its free bytes. Room is closed while the disk is short.
	MinFree int64
	Free    func(ctx context.Context) (root string, free int64, err error)
	Room    *intake.Gate

	Secrets secrets.Folder

	// Credentials returns an image's registry credentials, as dockerapi.PullOptions.Auth has them. Nil: none.
	Credentials func(ctx context.Context, image string) (auth string, err error)
	MaxMessage  int // bytes; a larger message is refused; 0 is no limit

	// Places and ControlPlaces are how many unacked messages the queue and the control queue deliver; 0: no limit.
	Places, ControlPlaces int

	// Claims say which host has a job, if several hosts share the queue; nil: one host has it alone. See package hosts.
	Claims intake.Claims
	VHost  string // of Queue; only needed with Claims

	// Labels are this host's, by which messages choose hosts.
	Labels map[string]string

	// RemoveStale has containers removed that a former life of this host has left; else they are only counted.
	RemoveStale bool

	// SweepAfter is how long after its end the sweep removes a container that a crash left; 0: never.
	// Queue is the queue whose containers are swept. Quiet reports whether Queue has been consumed for
	// so long without a break, and is empty: then all its messages were delivered here. at is Queue's place.
	SweepAfter time.Duration
	Queue      string
	Quiet      func(ctx context.Context, consumed time.Duration) (at intake.Place, quiet bool)
}

// lastWords is how long jobs that have ended may take to settle after the end of Run's ctx.
const lastWords = 3 * time.Second

// A Pool carries out jobs, one goroutine per job, and at most Concurrency runs and execs at a time.
type Pool struct {
	Config
	engine    *engine.Engine
	exits     *exits.Exits
	jobs      *live.Registry
	hosts     *hosts.Hosts
	carrier   *container.Carrier
	recalling sync.Mutex // see recall
	tally     *tally.Tally
	lines     joblog.Log
	unplaced  unplaced
	room      *room.Room // nil: the disk is not watched

	// One place per message that may be decoded at a time. A stop by the control queue does not wait for the queue's.
	decoding, controlDecoding chan struct{}
	holders, controlHolders   holders
	hostHolders               holders // of the messages that were forwarded here

	stopping chan struct{}   // closed when no more jobs come: then what has not begun is requeued
	settling context.Context // outlives Run's ctx by lastWords, in which jobs that have ended are settled
	staying  atomic.Int64    // containers of jobs that are done, which stay when the process stops
	lingers  time.Duration   // see linger
}

// NewPool returns a pool; Run starts it.
func NewPool(cfg Config) *Pool {
	e := engine.New(cfg.Docker, cfg.Gate, cfg.Log)
	p := &Pool{
		Config:          cfg,
		engine:          e,
		exits:           exits.New(e, cfg.Docker, cfg.Gate, identity.LabelQueue+"="+cfg.Queue, cfg.Log),
		jobs:            live.NewRegistry(cfg.Log, cfg.Concurrency),
		decoding:        make(chan struct{}, runtime.GOMAXPROCS(0)),
		controlDecoding: make(chan struct{}, 1),
		stopping:        make(chan struct{}),
		lingers:         live.Lingering,
		tally:           tally.New(),
		lines:           joblog.Log{To: cfg.Log},
	}
	p.hosts = hosts.New(hosts.Config{
		Claims: cfg.Claims, Host: cfg.Host, Labels: cfg.Labels, VHost: cfg.VHost, Docker: cfg.Docker,
		Jobs: p.jobs, Tally: p.tally, Log: cfg.Log, Lines: &p.lines, Stopping: p.stopping,
	})
	p.carrier = &container.Carrier{
		Docker: cfg.Docker, Engine: e, Exits: p.exits, Reporter: cfg.Reporter, Jobs: p.jobs, Hosts: p.hosts, Tally: p.tally,
		Begin: p.begin, Stopping: p.stopping, Host: cfg.Host, Queue: cfg.Queue, Pull: cfg.Pull, Timeout: cfg.Timeout, Capture: cfg.Capture,
		Secrets: cfg.Secrets, Credentials: cfg.Credentials, RetryFirst: 500 * time.Millisecond, Idle: 10 * time.Second,
	}
	if cfg.MinFree > 0 {
		p.room = room.New(cfg.Room, cfg.MinFree, cfg.Free, cfg.Log)
	}
	return p
}

// Run carries out the jobs of both channels until both are closed. Then it requeues what has not begun, and waits for
// the rest. The end of ctx leaves jobs as they are: their containers run on, their messages stay unsettled.
// Run returns the number of these jobs. It is called once.
func (p *Pool) Run(ctx context.Context, jobs, control <-chan intake.Job) (left int) {
	settling, stopSettling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSettling()
	p.settling = settling
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, stopSettling) })()
	watchCtx, stopWatch := context.WithCancel(settling)
	var watching, working sync.WaitGroup
	watching.Go(func() { p.engine.Watch(watchCtx) })
	watching.Go(func() { p.exits.Watch(watchCtx) })
	watching.Go(func() { p.watchGate(watchCtx) })
	if p.room != nil {
		watching.Go(func() { p.room.Watch(watchCtx, p.engine.Wait) })
	}
	if p.Claims != nil {
		watching.Go(func() { p.hosts.EndLasting(watchCtx, lastWords) })
		watching.Go(func() { p.lookForStale(watchCtx) })
	}
	defer p.lines.Close()
	watching.Go(func() { p.sweepRegularly(watchCtx) })

	var abandoned atomic.Int64
	seq := int64(0)
	// Jobs are decoded in parallel. They take their places one after the other, in the order of their queue.
	first := make(chan struct{})
	close(first)
	turns := map[bool]chan struct{}{false: first, true: first} // by Job.Control
	for jobs != nil || control != nil {
		var j intake.Job
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
			t, again := p.admit(ctx, j, seq, turn, place)
			switch {
			case again != nil:
				again()
			case t != nil && !t.process():
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
		when := "when their messages are redelivered"
		if p.SweepAfter > 0 {
			when += ", or by the sweep"
		}
		p.Log.Warn("containers of finished jobs were not removed: the broker may still have their messages, or the engine was too slow. The next start removes them "+when, "containers", n)
	}
	return int(abandoned.Load())
}

// admit decodes a job, and accepts it when turn is closed. Then it closes place, which is the next job's turn.
func (p *Pool) admit(ctx context.Context, j intake.Job, seq int64, turn <-chan struct{}, place chan<- struct{}) (_ *task, again func()) {
	defer close(place)
	i, d := p.decode(&j)
	<-turn
	return p.accept(ctx, j, i, d, seq)
}

// accept makes a task of a job. It is called in the queue's order. It returns no task if the job is known: then the
// job's live task settles the delivery, or again does if the job was settled.
func (p *Pool) accept(ctx context.Context, j intake.Job, ident identity.Identity, d live.Decoded, seq int64) (_ *task, again func()) {
	if _, denied := errors.AsType[*policy.DeniedError](d.Invalid); denied && p.jobs.Knows(ident) {
		j.ReplyTo, j.Reply, j.Stream = "", nil, nil // the result of a job that its publisher could not have had carried out
	}
	k, earlier, id := p.jobs.Recognise(ident, j)
	p.tally.Take(j, k == live.Joined, p.jobs.Idle())
	switch k {
	case live.Joined:
		if j.Redelivered {
			p.Log.Info("message redelivered; joined to its job", "job", id)
		} else {
			p.Log.Info("message published again; its job is here, and is not run a second time", "job", id)
		}
		if j.Redelivered && p.hosts.LooksAhead(earlier) {
			return nil, func() { p.hosts.GoesAhead(ctx, earlier) }
		}
		return nil, nil
	case live.Finished:
		if j.Redelivered {
			p.Log.Info("message redelivered after it was settled; acked", "job", id)
		} else {
			p.Log.Info("message published again; its job is over, and is not run a second time", "job", id)
		}
		return nil, func() {
			if r := p.jobs.Untold(ident, j); r != nil {
				if err := j.Reply(p.settling, *r); err != nil {
					return // unacked: it is redelivered
				}
			}
			if err := j.Settle(ctx, intake.Ack, event.Result{Job: ident.ID}); err != nil {
				p.Log.Warn("message not acked", "job", ident.ID, "error", err)
			}
			if j.Forwarded != nil && d.MayBeClaimed() {
				p.hosts.ForgetCopy(p.settling, ident, j.Forwarded.Acked)
			}
		}
	}
	p.unplaced.drop(ident.ID)
	t := &task{pool: p, waitsFrom: j.WaitsSince}
	t.Init(ctx, j, ident, d, seq)
	t.Carrier, t.Log = p.carrier, p.Log.With("job", ident.ID)
	if k == live.Returned {
		t.Follows(earlier)
	}
	t.prepare(j)
	p.jobs.Add(&t.Task)
	if t.Traits.Lasts && !t.Control && t.Order.Before.Load() == nil && t.Earlier == nil && !t.namesJob() && !t.pool.hosts.Misplaced(&t.Task) {
		t.RequestPlace()
	}
	return t, nil
}
