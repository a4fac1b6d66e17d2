package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A fakeCluster is a broker in memory, with a queue that several hosts share. Each host has an engine and a pool.
type fakeCluster struct {
	t        *testing.T
	log      strings.Builder
	logger   *slog.Logger
	quiet    bool                                         // nothing is logged
	noRecord bool                                         // there is no queue of results
	change   func(*Config)                                // of each pool; may be nil
	reached  func(step string, h *fakeHost, id string)    // called at each step of a message; may be nil
	latency  func()                                       // called before each call of a claim; may be nil
	calls    atomic.Int64                                 // of claims, that the broker has seen
	changing chan struct{}                                // see down
	broken   func(call string, key intake.ClaimKey) error // the error of a claim's call; may be nil

	mu       sync.Mutex
	hosts    map[string]*fakeHost
	queues   map[string][]*fakeMessage
	claims   map[intake.ClaimKey]string // the host's life
	released map[string]bool            // lives
	notes    map[string]chan struct{}   // by token; closed when the original is acked
	results  map[string][]event.Result  // by job, or by the name of a command
	starts   map[string][]string        // the hosts that started a job's container, by job and attempt
	dead     []string                   // the ids of dead letters
	down     chan struct{}              // no call of a claim is answered until it is closed; nil: they are
	next     int
	rand     *rand.Rand
}

// A fakeMessage is one in a queue.
type fakeMessage struct {
	id, body, copy string
	attempt, hops  int
	waits          int
	since          time.Time // since when it waits for a host
	redelivered    bool
	control        bool
	forwarded      bool
	token          string
}

func newFakeCluster(t *testing.T, hosts ...string) *fakeCluster {
	c := &fakeCluster{
		t: t, hosts: map[string]*fakeHost{}, queues: map[string][]*fakeMessage{}, claims: map[intake.ClaimKey]string{}, released: map[string]bool{},
		notes: map[string]chan struct{}{}, results: map[string][]event.Result{}, starts: map[string][]string{}, rand: rand.New(rand.NewPCG(1, 2)),
	}
	c.logger = slog.New(slog.NewTextHandler(io.MultiWriter(testWriter{t}, &c.log), &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, name := range hosts {
		h := &fakeHost{cluster: c, name: name, docker: newFakeDocker(), prefetch: 4}
		for word, end := range map[string]func(*fakeContainer){
			"wait":  func(*fakeContainer) {},
			"work":  func(f *fakeContainer) { time.Sleep(c.random(time.Minute)); f.exit(0) },
			"quick": func(f *fakeContainer) { f.exit(0) },
			"fail":  func(f *fakeContainer) { f.exit(1) },
		} {
			h.docker.program[word] = func(f *fakeContainer) {
				c.mu.Lock()
				job := f.Labels[identity.LabelJob] + "/" + cmp.Or(f.Labels[identity.LabelAttempt], "1")
				c.starts[job] = append(c.starts[job], name)
				c.mu.Unlock()
				end(f)
			}
		}
		c.hosts[name] = h
	}
	return c
}

func (c *fakeCluster) random(most time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rand.Int64N(int64(most)))
}

// A fakeHost is an engine with a process of the daemon, which can be killed and started again.
type fakeHost struct {
	cluster  *fakeCluster
	name     string
	epoch    int
	docker   *fakeDocker
	prefetch int
	only     bool // it takes nothing from the shared queue
	labels   map[string]string
	known    bool // it has entered since it was released last

	*fakeProcess              // guarded by the cluster's mutex, as session is
	session      *fakeSession // nil: the host is not connected
}

// A fakeProcess is a process of the daemon.
type fakeProcess struct {
	process
	pool    *Pool
	jobs    chan intake.Job
	stop    context.CancelFunc
	done    chan int
	feeding sync.WaitGroup // what sends to jobs
}

// A fakeSession is a connection that consumes.
type fakeSession struct {
	host    *fakeHost
	began   time.Time
	unacked []*fakeDelivery // in the order in which they came
	taken   int             // of unacked, those of the shared queue
	inbox   chan intake.Job
	over    chan struct{}
}

type fakeDelivery struct {
	*fakeMessage
	session *fakeSession
	queue   string
}

func (h *fakeHost) queue() string { return "q.host." + h.name }
func (h *fakeHost) life() string  { return fmt.Sprintf("%s.%d", h.name, h.epoch) }

// start starts a process, which consumes at once.
func (h *fakeHost) start() {
	c := h.cluster
	p := &fakeProcess{jobs: make(chan intake.Job), done: make(chan int, 1)}
	work, stop := context.WithCancel(context.WithValue(c.t.Context(), processKey{}, &p.process))
	p.stop = stop
	log := slog.New(slog.DiscardHandler)
	if !c.quiet {
		log = c.logger.With("at", h.name)
	}
	cfg := Config{
		Docker: h.docker, Reporter: mute{}, Log: log, Gate: new(intake.Gate),
		Host: h.name, Labels: h.labels, Queue: "q", Concurrency: 4, Pull: "never", MaxMessage: 1 << 20, SweepAfter: time.Hour,
	}
	cfg.Claims = &fakeClaims{host: h, process: &p.process, life: h.life(), held: map[intake.ClaimKey]int{}}
	cfg.Quiet = func(_ context.Context, consumed time.Duration) (intake.Place, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		s := h.session
		return intake.Place{}, s != nil && time.Since(s.began) >= consumed && len(c.queues["q"])+len(c.queues[h.queue()])+len(c.queues[h.queue()+".control"])+len(s.inbox) == 0
	}
	if c.change != nil {
		c.change(&cfg)
	}
	p.pool = NewPool(cfg)
	c.mu.Lock()
	h.fakeProcess, h.known = p, true
	c.mu.Unlock()
	go func() { p.done <- p.pool.Run(work, p.jobs, nil) }()
	go func() {
		for {
			_, changed := cfg.Gate.State()
			c.mu.Lock()
			c.dispatch()
			c.mu.Unlock()
			select {
			case <-changed:
			case <-work.Done():
				return
			}
		}
	}()
	h.connect(p)
}

// mute is a Reporter that keeps nothing.
type mute struct{}

func (mute) Pull(event.Pull)           {}
func (mute) Started(event.Started)     {}
func (mute) Output(event.Output) error { return nil }
func (mute) Result(event.Result) error { return nil }

// connect has a process of the host consume, unless it died or consumes already.
func (h *fakeHost) connect(p *fakeProcess) {
	c := h.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if p != h.fakeProcess || p.died.Load() || h.session != nil {
		return
	}
	s := &fakeSession{host: h, began: time.Now(), inbox: make(chan intake.Job, 10_000), over: make(chan struct{})}
	p.feeding.Go(func() {
		for {
			select {
			case j := <-s.inbox:
				select {
				case p.jobs <- j:
				case <-s.over:
					return
				}
			case <-s.over:
				return
			}
		}
	})
	h.session = s
	c.dispatch()
}

// cut ends the host's connection. Its unacked messages go back to their places.
func (h *fakeHost) cut() {
	c := h.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	s := h.session
	if s == nil {
		return
	}
	h.session = nil
	if !closed.Is(s.over) {
		close(s.over)
	}
	for _, d := range slices.Backward(s.unacked) {
		d.redelivered = true
		c.queues[d.queue] = slices.Insert(c.queues[d.queue], 0, d.fakeMessage)
	}
	s.unacked = nil
	c.dispatch()
}

// kill ends the process as SIGKILL does: nothing that it does from now on has an effect.
func (h *fakeHost) kill() {
	h.cluster.mu.Lock()
	p := h.fakeProcess
	h.cluster.mu.Unlock()
	if p.died.Swap(true) {
		return
	}
	p.stop()
	h.cut()
	go func() {
		p.feeding.Wait()
		close(p.jobs)
	}()
}

// end stops the process as SIGTERM does, and returns how many jobs it has left.
func (h *fakeHost) end() (left int) {
	if h.died.Load() {
		return 0
	}
	h.cluster.mu.Lock()
	if h.session != nil {
		close(h.session.over)
	}
	h.cluster.mu.Unlock()
	h.feeding.Wait()
	close(h.jobs)
	select {
	case left = <-h.done:
	case <-time.After(10 * time.Second):
		h.stop()
		left = <-h.done
	}
	h.died.Store(true)
	h.stop()
	h.cut()
	return left
}

// takes reports whether a host consumes. The cluster's mutex is held.
func (h *fakeHost) takes() bool {
	if h.session == nil || closed.Is(h.session.over) {
		return false
	}
	open, _ := h.pool.Gate.State()
	return open
}

// publish puts a message at the end of a queue.
func (c *fakeCluster) publish(queue string, m *fakeMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queues[queue] = append(c.queues[queue], m)
	c.dispatch()
}

// dispatch hands messages to hosts that may have more. c.mu is held.
func (c *fakeCluster) dispatch() {
	for name, h := range c.hosts {
		for _, queue := range []string{"q.host." + name + ".control", "q.host." + name} {
			for h.takes() && len(c.queues[queue]) > 0 {
				c.deliver(h, queue)
			}
		}
	}
	for len(c.queues["q"]) > 0 {
		var free []*fakeHost
		for _, h := range c.hosts {
			if h.takes() && !h.only && h.session.taken < h.prefetch {
				free = append(free, h)
			}
		}
		if len(free) == 0 {
			return
		}
		slices.SortFunc(free, func(a, b *fakeHost) int { return cmp.Compare(a.name, b.name) }) // a map has no order
		c.next++
		c.deliver(free[c.next%len(free)], "q")
	}
}

// deliver hands the first message of a queue to a host. c.mu is held.
func (c *fakeCluster) deliver(h *fakeHost, queue string) {
	m := c.queues[queue][0]
	c.queues[queue][0], c.queues[queue] = nil, c.queues[queue][1:]
	d := &fakeDelivery{fakeMessage: m, session: h.session, queue: queue}
	h.session.unacked = append(h.session.unacked, d)
	if queue == "q" {
		h.session.taken++
	}
	h.session.inbox <- d.job()
}

// lost reports whether the delivery's session has ended. c.mu is held.
func (d *fakeDelivery) lost() bool { return d.session.host.session != d.session }

// reach tells the test that a message has come to a step, and reports whether the host lives on.
func (d *fakeDelivery) reach(step string) {
	if c := d.session.host.cluster; c.reached != nil {
		c.reached(step, d.session.host, d.id)
	}
}

func (d *fakeDelivery) job() intake.Job {
	h := d.session.host
	c, proc := h.cluster, h.fakeProcess
	var token string
	abandoned := false
	// on makes a call that needs the connection.
	on := func(do func() error) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if d.lost() && !abandoned || proc.died.Load() {
			return intake.ErrDeliveryLost
		}
		return do()
	}
	nothing := func() error { return nil }
	m := *d.fakeMessage
	j := intake.Job{
		Queue: "q", MessageID: m.id, Body: []byte(m.body), Redelivered: m.redelivered, Attempt: m.attempt, Copy: m.copy, Control: m.control, Waits: m.waits, WaitsSince: cmp.Or(m.since, time.Now()),
		Lost:     func() bool { c.mu.Lock(); defer c.mu.Unlock(); return d.lost() || proc.died.Load() },
		Released: func() bool { return true },
		Awaited: func() (time.Time, bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if h.session == nil {
				return time.Time{}, false
			}
			return h.session.began, false
		},
		Abandon: func() { c.mu.Lock(); defer c.mu.Unlock(); abandoned = true },
		Fence:   func(context.Context) error { defer d.reach("fenced"); return on(nothing) },
		Alive:   func(context.Context) error { return on(nothing) },
		Store: func(_ context.Context, r event.Result) error {
			return on(func() error { c.dead = append(c.dead, m.id); return nil })
		},
		Record: func(_ context.Context, r event.Result) error {
			return on(func() error { c.results[m.id] = append(c.results[m.id], r); return nil })
		},
		PutBack: func(_ context.Context, after time.Duration, id string) error {
			d.reach("putting back")
			defer d.reach("put back")
			return on(func() error {
				copied := m
				copied.id, copied.waits, copied.since, copied.redelivered = id, m.waits+1, cmp.Or(m.since, time.Now()), false
				time.AfterFunc(after, func() { c.publish("q", &copied) })
				return nil
			})
		},
		Again: func(_ context.Context, after time.Duration, attempt int, id string) error {
			return on(func() error {
				time.AfterFunc(after, func() { c.publish("q", &fakeMessage{id: id, body: m.body, attempt: attempt}) })
				return nil
			})
		},
		Settle: func(_ context.Context, v intake.Verdict, _ event.Result) error {
			d.reach("before " + v.String())
			err := on(func() error {
				s := d.session
				i := slices.Index(s.unacked, d)
				if i < 0 {
					return intake.ErrDeliveryLost
				}
				s.unacked = slices.Delete(s.unacked, i, i+1)
				if d.queue == "q" {
					s.taken--
				}
				if v == intake.Requeue {
					d.redelivered = true
					c.queues[d.queue] = slices.Insert(c.queues[d.queue], 0, d.fakeMessage)
				}
				c.dispatch()
				return nil
			})
			if err == nil {
				d.reach(v.String())
			}
			return err
		},
	}
	if c.noRecord {
		j.Record = nil
	}
	if m.forwarded {
		j.Forwarded = &intake.Forwarded{Hops: m.hops, Acked: c.notes[m.token]}
	}
	j.Forward = func(_ context.Context, claim intake.Claim, id string, overtakes bool) error {
		d.reach("forwarding")
		err := on(func() error {
			owner, ok := c.owner(claim.Address)
			if !ok {
				return intake.ErrNoHost
			}
			token = fmt.Sprint(c.next, "-", m.id, "-", len(c.notes))
			c.notes[token] = make(chan struct{})
			copied := m
			copied.id, copied.hops, copied.forwarded, copied.token = id, m.hops+1, true, token
			queue := "q.host." + owner
			if overtakes {
				queue += ".control"
			}
			c.queues[queue] = append(c.queues[queue], &copied)
			c.dispatch()
			return nil
		})
		if err == nil {
			d.reach("copied")
		}
		return err
	}
	j.Moved = func(ctx context.Context) error {
		if j.Forwarded != nil {
			select {
			case <-j.Forwarded.Acked:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if proc.died.Load() {
			return context.Canceled
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if !closed.Is(c.notes[token]) {
			close(c.notes[token])
		}
		return nil
	}
	return j
}

// owner returns the name of the host that has a claim. c.mu is held.
func (c *fakeCluster) owner(address string) (name string, ok bool) {
	kind, key, _ := strings.Cut(address, " ")
	if kind == "here" {
		name, _, _ = strings.Cut(key, ".")
		return name, !c.released[key]
	}
	life, ok := c.claims[intake.ClaimKey{Kind: kind, Key: key}]
	name, _, _ = strings.Cut(life, ".")
	return name, ok && !c.released[life]
}

// release does what `hosts release` does: the claims of the host's life are void, and its messages go back.
func (c *fakeCluster) release(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	c.released[h.life()] = true
	h.epoch++
	h.known = false
	for _, m := range slices.Backward(slices.Concat(c.queues[h.queue()], c.queues[h.queue()+".control"])) {
		back := *m
		back.forwarded, back.hops, back.token = false, 0, ""
		c.queues["q"] = slices.Insert(c.queues["q"], 0, &back)
	}
	c.queues[h.queue()], c.queues[h.queue()+".control"] = nil, nil
	c.dispatch()
}

// fakeClaims are the claims of a process.
type fakeClaims struct {
	host    *fakeHost
	process *process
	life    string

	mu   sync.Mutex
	held map[intake.ClaimKey]int
}

func (f *fakeClaims) Host() string { return f.life }

// call makes a call at the broker, with the cluster's mutex held.
func (f *fakeClaims) call(ctx context.Context, name string, key intake.ClaimKey, do func(c *fakeCluster)) error {
	c := f.host.cluster
	c.calls.Add(1)
	if c.latency != nil {
		c.latency()
	}
	c.mu.Lock()
	down := c.down
	c.mu.Unlock()
	if down != nil {
		select {
		case <-down:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.broken != nil {
		if err := c.broken(name, key); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.process.died.Load() {
		return context.Canceled
	}
	do(c)
	return nil
}

// find returns the claim of a key. c.mu is held.
func (f *fakeClaims) find(c *fakeCluster, key intake.ClaimKey) *intake.Claim {
	life, ok := c.claims[key]
	if !ok || c.released[life] {
		return nil
	}
	name, _, _ := strings.Cut(life, ".")
	return &intake.Claim{Host: name, Ours: life == f.life, Address: key.Kind + " " + key.Key}
}

func (f *fakeClaims) Claim(ctx context.Context, key intake.ClaimKey) (other *intake.Claim, err error) {
	f.mu.Lock()
	if f.held[key] > 0 {
		f.held[key]++
		f.mu.Unlock()
		return nil, nil
	}
	f.mu.Unlock()
	err = f.call(ctx, "claim", key, func(c *fakeCluster) {
		if at := f.find(c, key); at == nil {
			c.claims[key] = f.life
		} else if !at.Ours {
			other = at
			return
		}
		f.held[key]++
	})
	if err == nil && other == nil && f.host.cluster.reached != nil {
		f.host.cluster.reached("claimed", f.host, key.Key)
	}
	return other, err
}

func (f *fakeClaims) Here() intake.Claim {
	return intake.Claim{Host: f.host.name, Ours: true, Address: "here " + f.life}
}

func (f *fakeClaims) ClaimFor(ctx context.Context, key intake.ClaimKey, host string) (at intake.Claim, err error) {
	known := true
	err = f.call(ctx, "claim for", key, func(c *fakeCluster) {
		h := c.hosts[host]
		if known = h != nil && h.known; !known {
			return
		}
		if f.find(c, key) == nil {
			c.claims[key] = h.life()
		}
		at = *f.find(c, key)
	})
	if err == nil && !known {
		err = intake.ErrNoHost
	}
	if f.host.cluster.reached != nil {
		f.host.cluster.reached("claimed for", f.host, key.Key)
	}
	return at, err
}

func (f *fakeClaims) Living(ctx context.Context) (living []intake.Host, err error) {
	err = f.call(ctx, "living", intake.ClaimKey{}, func(c *fakeCluster) {
		for _, h := range c.hosts {
			if h.session != nil {
				living = append(living, intake.Host{Name: h.name, Labels: h.labels})
			}
		}
	})
	return living, err
}

func (f *fakeClaims) Look(ctx context.Context, key intake.ClaimKey) (at *intake.Claim, err error) {
	f.mu.Lock()
	held := f.held[key] > 0
	f.mu.Unlock()
	if held {
		return &intake.Claim{Host: f.host.name, Ours: true, Address: key.Kind + " " + key.Key}, nil
	}
	err = f.call(ctx, "look", key, func(c *fakeCluster) {
		if at = f.find(c, key); at == nil && c.claims[key] != "" {
			at = &intake.Claim{Void: true}
		}
	})
	return at, err
}

func (f *fakeClaims) Unclaim(ctx context.Context, key intake.ClaimKey) error {
	f.mu.Lock()
	if f.held[key] == 0 {
		f.host.cluster.t.Errorf("host %s: %v is unclaimed, and has no holder", f.life, key)
	}
	if f.held[key]--; f.held[key] > 0 {
		f.mu.Unlock()
		return nil
	}
	delete(f.held, key)
	f.mu.Unlock()
	return f.Forget(ctx, key)
}

func (f *fakeClaims) Keep(key intake.ClaimKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[key]--; f.held[key] <= 0 {
		delete(f.held, key)
	}
}

func (f *fakeClaims) Forget(ctx context.Context, key intake.ClaimKey) error {
	err := f.call(ctx, "unclaim", key, func(c *fakeCluster) {
		if f.held[key] == 0 && c.claims[key] == f.life {
			delete(c.claims, key)
		}
	})
	if err == nil && f.host.cluster.reached != nil {
		f.host.cluster.reached("unclaimed", f.host, key.Key)
	}
	return err
}
