package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// fakeDocker is an engine in memory. Containers run until the test ends them, or at once where
// program is set.
type fakeDocker struct {
	mu         sync.Mutex
	calls      []string // "create web", in order
	byID       map[string]*fakeContainer
	images     map[string]bool
	volumes    map[string]dockerapi.Volume
	networks   map[string]dockerapi.Network
	before     map[string][]error                // by call: returned instead of doing it
	after      map[string][]error                // by call: returned though it was done
	program    map[string]func(c *fakeContainer) // by first word of Cmd
	unreadable bool                              // the log driver keeps nothing
	saysLate   bool                              // which is said only when the log is read
	changed    chan struct{}                     // closed at each change
	down       bool
	deaths     int                                    // how often the engine has died
	started    time.Time                              // as its bridge says; zero: there is none
	holdPull   chan struct{}                          // not nil: a pull waits for it
	steps      func(say func(dockerapi.PullProgress)) // not nil: the progress of a pull
	pulled     []dockerapi.PullOptions
	stopTime   *int // of the last stop
	podman     bool
	died       []death // all of them
	noExits    error   // not nil: it has no stream of exits
	dropsExits bool    // it drops the events
	cuts       int     // how often its streams of exits were cut
	watched    int     // how often one was asked for
	warnings   []string
}

type fakeContainer struct {
	engine *fakeDocker
	dockerapi.Container
	config dockerapi.ContainerConfig
	log    []chunk
	born   int // how often the engine had died by then
	exec   *fakeExec
	killed int // the signal that somebody had the engine send
}

type chunk struct{ stream, data string }

type death struct {
	id, queue string
	code      int
}

func newFakeDocker() *fakeDocker {
	return &fakeDocker{
		byID:    map[string]*fakeContainer{},
		images:  map[string]bool{"busybox": true},
		before:  map[string][]error{},
		after:   map[string][]error{},
		changed: make(chan struct{}),
		program: map[string]func(*fakeContainer){
			"echo": func(c *fakeContainer) {
				c.write("stdout", strings.Join(c.config.Cmd[1:], " ")+"\n")
				c.exit(0)
			},
			"false": func(c *fakeContainer) { c.exit(1) },
		},
	}
}

var errDial = fmt.Errorf("%w: %w", dockerapi.ErrUnreachable, &net.OpError{Op: "dial", Err: errors.New("connection refused")})
var errCut = fmt.Errorf("%w: unexpected EOF", dockerapi.ErrUnreachable)

// enter records a call, and returns the error that the test wants instead of it. The mutex is held
// when it returns.
func (f *fakeDocker) enter(ctx context.Context, call, target string) error {
	f.mu.Lock()
	if call != "ping" && call != "exits" {
		f.calls = append(f.calls, strings.TrimSpace(call+" "+target))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if dead(ctx) {
		return context.Canceled
	}
	if f.down {
		return errDial
	}
	return take(f.before, call)
}

func take(m map[string][]error, call string) error {
	if len(m[call]) == 0 {
		return nil
	}
	err := m[call][0]
	m[call] = m[call][1:]
	return err
}

func (f *fakeDocker) touch() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeDocker) find(ref string) (*fakeContainer, error) {
	if c := f.byID[ref]; c != nil {
		return c, nil
	}
	var begins []*fakeContainer
	for _, c := range f.byID {
		if c.Name == ref {
			return c, nil
		}
		if ref != "" && strings.HasPrefix(c.ID, ref) {
			begins = append(begins, c)
		}
	}
	if len(begins) == 1 {
		return begins[0], nil
	}
	return nil, fmt.Errorf("inspect %q: %w", ref, dockerapi.ErrNoSuchContainer)
}

// nameOf is the name of the container that ref is, or ref itself where there is none.
func (f *fakeDocker) nameOf(ref string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, err := f.find(ref); err == nil {
		return c.Name
	}
	return ref
}

func (f *fakeDocker) Ping(ctx context.Context) (dockerapi.Version, error) {
	defer f.mu.Unlock()
	return dockerapi.Version{API: "1.41", Podman: f.podman}, f.enter(ctx, "ping", "")
}

func (f *fakeDocker) PingWithin(ctx context.Context, _ time.Duration) (dockerapi.Version, error) {
	return f.Ping(ctx)
}

func (f *fakeDocker) CreateContainer(ctx context.Context, name string, cfg dockerapi.ContainerConfig) (dockerapi.Created, error) {
	err := f.enter(ctx, "create", name)
	defer f.mu.Unlock()
	if err != nil {
		return dockerapi.Created{}, err
	}
	if !f.images[cfg.Image] {
		return dockerapi.Created{}, fmt.Errorf("create container: %w: %s", dockerapi.ErrNoSuchImage, cfg.Image)
	}
	if _, err := f.find(name); err == nil {
		return dockerapi.Created{}, fmt.Errorf("create container: %w: %s", dockerapi.ErrNameInUse, name)
	}
	c := &fakeContainer{engine: f, config: cfg, born: f.deaths}
	c.Created = time.Now()
	c.ID, c.Name, c.Labels, c.State.Status = fmt.Sprintf("id%d-%s", len(f.calls), name), name, cfg.Labels, "created"
	f.byID[c.ID] = c
	f.touch()
	return dockerapi.Created{ID: c.ID, Warnings: f.warnings}, take(f.after, "create")
}

func (f *fakeDocker) StartContainer(ctx context.Context, id string) error {
	err := f.enter(ctx, "start", "")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	c, err := f.find(id)
	if err != nil {
		return err
	}
	c.State.Status, c.State.Running, c.State.StartedAt = "running", true, time.Now()
	f.touch()
	if len(c.config.Cmd) > 0 {
		if p := f.program[c.config.Cmd[0]]; p != nil {
			go p(c)
		}
	}
	return take(f.after, "start")
}

// heed waits as an engine does for a container that heeds no signal, where it is given hours. The mutex is held, but for
// that time.
func (f *fakeDocker) heed(ctx context.Context, c *fakeContainer, o dockerapi.StopOptions) error {
	if seconds := cmp.Or(o.Time, c.StopTimeout); seconds == nil || 0 <= *seconds && *seconds < 3600 {
		return nil
	}
	deaths := f.deaths
	f.mu.Unlock()
	defer f.mu.Lock()
	return f.until(ctx, deaths, func() bool { return !c.State.Running })
}

func (f *fakeDocker) StopContainer(ctx context.Context, id string, o dockerapi.StopOptions) error {
	err := f.enter(ctx, "stop", f.nameOf(id))
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	c, err := f.find(id)
	if f.stopTime = o.Time; err == nil {
		err = f.heed(ctx, c, o)
	}
	if err == nil && c.State.Running {
		c.end(143)
	}
	return err
}

func (f *fakeDocker) RemoveContainer(ctx context.Context, id string, o dockerapi.RemoveOptions) error {
	err := f.enter(ctx, "remove", f.nameOf(id))
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	c, err := f.find(id)
	if err != nil {
		return err
	}
	if c.State.Running {
		if !o.Force {
			return fmt.Errorf("remove: %w: it runs", dockerapi.ErrConflict)
		}
		c.end(137)
	}
	delete(f.byID, c.ID)
	f.touch()
	return take(f.after, "remove")
}

func (f *fakeDocker) RenameContainer(ctx context.Context, id, name string) error {
	err := f.enter(ctx, "rename", name)
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	c, err := f.find(id)
	if err == nil {
		c.Name = name
	}
	return err
}

func (f *fakeDocker) InspectContainer(ctx context.Context, id string) (dockerapi.Container, error) {
	err := f.enter(ctx, "inspect", "")
	defer f.mu.Unlock()
	if err != nil {
		return dockerapi.Container{}, err
	}
	c, err := f.find(id)
	if err != nil {
		return dockerapi.Container{}, err
	}
	return c.Container, nil
}

func (f *fakeDocker) ListContainers(ctx context.Context, o dockerapi.ListOptions) ([]dockerapi.ContainerSummary, error) {
	err := f.enter(ctx, "list", "")
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var list []dockerapi.ContainerSummary
	for _, c := range f.byID {
		if slices.ContainsFunc(o.Labels, func(l string) bool { k, v, _ := strings.Cut(l, "="); return c.Labels[k] != v }) ||
			len(o.Statuses) > 0 && !slices.Contains(o.Statuses, c.State.Status) {
			continue
		}
		list = append(list, dockerapi.ContainerSummary{ID: c.ID, Name: c.Name, Labels: c.Labels, Created: c.Created, Status: c.State.Status})
	}
	return list, nil
}

func (f *fakeDocker) RemembersCreation(ctx context.Context, c dockerapi.Container) (bool, error) {
	err := f.enter(ctx, "events", "")
	defer f.mu.Unlock()
	if err != nil {
		return false, err
	}
	own, err := f.find(c.ID)
	return err == nil && own.born == f.deaths, nil
}

func (f *fakeDocker) EngineStarted(ctx context.Context) (time.Time, error) {
	err := f.enter(ctx, "inspect network", "")
	defer f.mu.Unlock()
	if err == nil && f.started.IsZero() {
		err = dockerapi.ErrInvalid // it has no default bridge
	}
	return f.started, err
}

func (f *fakeDocker) RemembersKill(ctx context.Context, c dockerapi.Container, signal int) (bool, error) {
	err := f.enter(ctx, "events", "")
	defer f.mu.Unlock()
	if err != nil {
		return false, err
	}
	own, err := f.find(c.ID)
	return err == nil && own.killed == signal, nil
}

// until blocks until done, called with the mutex held, or the engine's death or the context's end.
func (f *fakeDocker) until(ctx context.Context, deaths int, done func() bool) error {
	for {
		f.mu.Lock()
		ok, dead, changed := done(), f.deaths > deaths, f.changed
		f.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case dead:
			return errCut
		case ok:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (f *fakeDocker) WaitContainer(ctx context.Context, id string, cond dockerapi.Condition) (func() (dockerapi.ExitStatus, error), error) {
	err := f.enter(ctx, "wait", string(cond))
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c, err := f.find(id)
	if err != nil {
		return nil, err
	}
	deaths := f.deaths
	return func() (dockerapi.ExitStatus, error) {
		err := f.until(ctx, deaths, func() bool {
			return c.State.Status == "exited" || cond == dockerapi.NotRunning && !c.State.Running
		})
		f.mu.Lock()
		defer f.mu.Unlock()
		return dockerapi.ExitStatus{Code: f.exitOf(c, cond)}, err
	}, nil
}

func (f *fakeDocker) WatchExits(ctx context.Context, label string) (func(func(string, dockerapi.ExitStatus)) error, error) {
	err := f.enter(ctx, "exits", "")
	defer f.mu.Unlock()
	f.watched++
	if err := cmp.Or(err, f.noExits); err != nil {
		return nil, err
	}
	deaths, cuts, next := f.deaths, f.cuts, 0 // it repeats those of before
	return func(exited func(string, dockerapi.ExitStatus)) error {
		for {
			err := f.until(ctx, deaths, func() bool { return next < len(f.died) || f.cuts > cuts })
			if err != nil {
				return err
			}
			f.mu.Lock()
			news, cut := f.died[next:], f.cuts > cuts
			f.mu.Unlock()
			if cut {
				return errCut
			}
			for _, d := range news {
				if identity.LabelQueue+"="+d.queue == label {
					exited(d.id, dockerapi.ExitStatus{Code: new(d.code)})
				}
			}
			next += len(news)
		}
	}, nil
}

// cutExits cuts the streams of exits, and no other connection, up to four times.
func (f *fakeDocker) cutExits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cuts < 4 {
		f.cuts++
		f.touch()
	}
}

func (f *fakeDocker) AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (func() error, error) {
	err := f.enter(ctx, "attach", "")
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c, err := f.find(id)
	if err != nil {
		return nil, err
	}
	join := f.copy(ctx, c, len(c.log), true, o.Stdout, o.Stderr)
	return func() error {
		if err := join(); !errors.Is(err, dockerapi.ErrUnreachable) {
			return err
		}
		return nil // as the engine has it: its death is a clean EOF
	}, nil
}

func (f *fakeDocker) ContainerLogs(ctx context.Context, id string, o dockerapi.LogsOptions) (func() error, error) {
	err := f.enter(ctx, "logs", "")
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c, err := f.find(id)
	if err != nil {
		return nil, err
	}
	if f.unreadable && f.saysLate {
		return func() error { return dockerapi.ErrLogsUnreadable }, nil
	}
	if f.unreadable {
		return nil, dockerapi.ErrLogsUnreadable
	}
	return f.copy(ctx, c, 0, o.Follow, o.Stdout, o.Stderr), nil
}

func (f *fakeDocker) copy(ctx context.Context, c *fakeContainer, next int, follow bool, stdout, stderr io.Writer) func() error {
	deaths := f.deaths
	return func() error {
		for {
			err := f.until(ctx, deaths, func() bool { return !follow || next < len(c.log) || c.State.Status == "exited" })
			if err != nil {
				return err
			}
			f.mu.Lock()
			news := c.log[next:]
			f.mu.Unlock()
			if len(news) == 0 {
				return nil
			}
			for _, n := range news {
				w := stdout
				if n.stream == "stderr" {
					w = stderr
				}
				if w != nil {
					io.WriteString(w, n.data)
				}
			}
			next += len(news)
		}
	}
}

// change carries out a change of a container that is there.
func (f *fakeDocker) change(ctx context.Context, call, id string, change func(c *fakeContainer) error) error {
	err := f.enter(ctx, call, f.nameOf(id))
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	c, err := f.find(id)
	if err == nil {
		err = change(c)
	}
	f.touch()
	return cmp.Or(err, take(f.after, call))
}

func (f *fakeDocker) RestartContainer(ctx context.Context, id string, o dockerapi.StopOptions) error {
	return f.change(ctx, "restart", id, func(c *fakeContainer) error {
		if err := f.heed(ctx, c, o); err != nil {
			return err
		}
		c.State.Status, c.State.Running, c.State.StartedAt = "running", true, time.Now()
		return nil
	})
}

func (f *fakeDocker) KillContainer(ctx context.Context, id, signal string) error {
	return f.change(ctx, "kill "+signal, id, func(c *fakeContainer) error {
		if !c.State.Running {
			return fmt.Errorf("kill: %w: it does not run", dockerapi.ErrConflict)
		}
		if signal != "HUP" {
			c.end(137)
		}
		return nil
	})
}

func (f *fakeDocker) PauseContainer(ctx context.Context, id string) error {
	return f.pause(ctx, "pause", id, true)
}

func (f *fakeDocker) UnpauseContainer(ctx context.Context, id string) error {
	return f.pause(ctx, "unpause", id, false)
}

func (f *fakeDocker) pause(ctx context.Context, call, id string, to bool) error {
	return f.change(ctx, call, id, func(c *fakeContainer) error {
		if c.State.Paused == to || !c.State.Running {
			return fmt.Errorf("%s: %w", call, dockerapi.ErrConflict)
		}
		c.State.Paused = to
		return nil
	})
}

func (f *fakeDocker) ConnectNetwork(ctx context.Context, network, id string, e dockerapi.EndpointSettings) error {
	return f.change(ctx, "connect "+network, id, func(c *fakeContainer) error {
		c.Networks = append(c.Networks, network)
		return nil
	})
}

func (f *fakeDocker) InspectVolume(ctx context.Context, name string) (v dockerapi.Volume, found bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, found = f.volumes[name]
	return v, found, nil
}

func (f *fakeDocker) InspectNetwork(ctx context.Context, ref string) (n dockerapi.Network, found bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, found = f.networks[ref]
	return n, found, nil
}

func (f *fakeDocker) InspectContainerRaw(ctx context.Context, id string) (raw json.RawMessage, err error) {
	err = f.change(ctx, "inspect raw", id, func(c *fakeContainer) error {
		raw = json.RawMessage(fmt.Sprintf(`{"Id":%q,"Name":%q}`, c.ID, "/"+c.Name))
		return nil
	})
	return raw, err
}

// Execs are in the container that has their id: "exec-" and its own. Their program prints the
// container's log, and ends when the test ends the container's program "exec".
func (f *fakeDocker) CreateExec(ctx context.Context, id string, cfg dockerapi.ExecConfig) (exec string, err error) {
	err = f.change(ctx, "create exec", id, func(c *fakeContainer) error {
		if !c.State.Running {
			return fmt.Errorf("exec: %w: it does not run", dockerapi.ErrConflict)
		}
		c.exec, exec = &fakeExec{config: cfg}, "exec-"+c.ID
		return nil
	})
	return exec, err
}

func (f *fakeDocker) StartExec(ctx context.Context, exec string, o dockerapi.AttachOptions) (join func() error, err error) {
	err = f.change(ctx, "start exec", strings.TrimPrefix(exec, "exec-"), func(c *fakeContainer) error {
		if c.exec.started {
			return dockerapi.ErrConflict
		}
		e := c.exec
		e.started, e.running = true, true
		join = func() error {
			if o.Stdin != nil {
				io.Copy(o.Stdout, o.Stdin)
			}
			io.WriteString(o.Stdout, strings.Join(e.config.Cmd, " ")+"\n")
			return f.until(ctx, f.deaths, func() bool { return !e.running || !c.State.Running })
		}
		return nil
	})
	return join, err
}

func (f *fakeDocker) StartExecDetached(ctx context.Context, exec string) error {
	_, err := f.StartExec(ctx, exec, dockerapi.AttachOptions{})
	return err
}

func (f *fakeDocker) InspectExec(ctx context.Context, exec string) (e dockerapi.Exec, err error) {
	err = f.change(ctx, "inspect exec", strings.TrimPrefix(exec, "exec-"), func(c *fakeContainer) error {
		e = dockerapi.Exec{Running: c.exec.running, ExitCode: c.exec.code}
		if e.Running || !c.exec.started {
			e.ExitCode = nil
		}
		if c.exec.started {
			e.Pid = 1
		}
		e.NeverRan = c.exec.neverRan
		return nil
	})
	return e, err
}

// fakeExec is a program in a container.
type fakeExec struct {
	config           dockerapi.ExecConfig
	started, running bool
	code             *int // nil: the engine does not know
	neverRan         bool
}

func (c *fakeContainer) endExec(code int) {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	c.exec.running, c.exec.code = false, &code
	c.engine.touch()
}

func (f *fakeDocker) PullImage(ctx context.Context, ref string, o dockerapi.PullOptions, progress func(dockerapi.PullProgress)) error {
	if f.holdPull != nil {
		select {
		case <-f.holdPull:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.steps != nil {
		f.steps(progress)
	}
	err := f.enter(ctx, "pull", ref)
	defer f.mu.Unlock()
	if err == nil {
		f.images[ref] = true
		f.pulled = append(f.pulled, o)
	}
	return err
}

// die cuts every connection, and refuses new ones until revive.
func (f *fakeDocker) die() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = true
	f.deaths++
	f.touch()
}

func (f *fakeDocker) revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = false
}

func (c *fakeContainer) write(stream, data string) {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	c.log = append(c.log, chunk{stream, data})
	c.engine.touch()
}

func (c *fakeContainer) runs() bool {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	return c.State.Running
}

func (c *fakeContainer) exit(code int) {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	c.end(code)
}

func (c *fakeContainer) end(code int) {
	c.State.Status, c.State.Running, c.State.ExitCode, c.State.FinishedAt = "exited", false, &code, time.Now()
	if !c.engine.dropsExits && !c.engine.down {
		c.engine.died = append(c.engine.died, death{c.ID, c.Labels[identity.LabelQueue], code})
	}
	c.engine.touch()
}

// exitOf is what a wait says: 0 also of a container that was never started.
func (f *fakeDocker) exitOf(c *fakeContainer, cond dockerapi.Condition) *int {
	if c.State.StartedAt.IsZero() && cond == dockerapi.NotRunning {
		return new(0)
	}
	return c.State.ExitCode
}

// named returns a container; the test fails where there is none.
func (f *fakeDocker) named(t *testing.T, name string) *fakeContainer {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(name)
	if err != nil {
		t.Fatalf("no container %q; calls: %q", name, f.calls)
	}
	return c
}

func (f *fakeDocker) all() []*fakeContainer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.byID))
}

func (f *fakeDocker) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.byID)
}

func (f *fakeDocker) did() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// record is a Reporter that keeps what it is told.
type record struct {
	mu      sync.Mutex
	pulls   []event.Pull
	started []event.Started
	results []event.Result
	output  map[string]string // by container/stream
	seen    map[string]int64  // bytes, by job/container/stream
	lines   []string          // "name stream offset data"
	block   chan struct{}     // not nil: Output waits for it

	panics     bool  // Output does
	unwritable error // what Output returns
	gone       error // what Result returns
}

func (r *record) Pull(p event.Pull) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulls = append(r.pulls, p)
}

func (r *record) Started(s event.Started) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = append(r.started, s)
}

func (r *record) Output(o event.Output) error {
	if r.panics {
		panic("at the disco")
	}
	if r.block != nil {
		<-r.block
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.output == nil {
		r.output, r.seen = map[string]string{}, map[string]int64{}
	}
	at := o.ContainerName + "/" + o.Stream
	of := o.Job + "/" + at
	if r.seen[of] != o.Offset {
		panic(fmt.Sprintf("%s: offset %d, but %d bytes came before", of, o.Offset, r.seen[of]))
	}
	r.seen[of] += int64(len(o.Data))
	r.output[at] += string(o.Data)
	r.lines = append(r.lines, fmt.Sprintf("%s %s %q", o.ContainerName, o.Stream, o.Data))
	return r.unwritable
}

func (r *record) Result(res event.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone != nil {
		return r.gone
	}
	r.results = append(r.results, res)
	return nil
}

// bench is a pool at work on a fake engine, inside a synctest bubble.
type bench struct {
	t        *testing.T
	docker   *fakeDocker
	record   *record
	pool     *Pool
	gate     *intake.Gate
	jobs     chan intake.Job
	control  chan intake.Job
	work     context.Context
	stop     context.CancelFunc // ends work
	done     chan int
	mu       sync.Mutex
	events   []string // "ack m1", "fence m1", in order, with the engine's removes
	stores   bool     // deliveries have Store
	attempt  int      // of the deliveries to come
	user     string   // of messages to come
	fences   []error  // what the next fences of the deliveries to come return
	alives   []error  // what their next Alive returns
	released bool     // what the next deliveries say of their session

	beforeFence, beforeStore, beforeAgain func() // of the deliveries to come
	copy                                  string // of the deliveries to come
	change                                func(*intake.Job)
}

// onBench runs a test twice, with an engine that tells how containers exit and with one that does not: see onEngine.
func onBench(t *testing.T, change func(*Config), test func(b *bench)) {
	onEngine(t, withoutExits, change, test)
	onEngine(t, withExits, change, test)
}

func withExits(*fakeDocker)      {}
func withoutExits(f *fakeDocker) { f.noExits = dockerapi.ErrUnauthorized }

// onEngine runs a test inside a bubble, with a pool and an engine of that kind. The pool must have ended when the test
// returns; it is ended here where the test did not.
func onEngine(t *testing.T, kind func(*fakeDocker), change func(*Config), test func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, docker: newFakeDocker()}
		kind(b.docker)
		b.start(t.Context(), change)
		test(b)
		b.close()
		b.stop()
		synctest.Wait()
	})
}

// start starts a pool on the bench's engine, with nothing of an earlier one.
func (b *bench) start(ctx context.Context, change func(*Config)) {
	b.record, b.gate, b.jobs, b.control, b.done = new(record), new(intake.Gate), make(chan intake.Job), make(chan intake.Job), make(chan int, 1)
	cfg := Config{
		Docker: b.docker, Reporter: b.record, Log: slog.New(slog.NewTextHandler(testWriter{b.t}, &slog.HandlerOptions{Level: slog.LevelDebug})), Gate: b.gate,
		Host: "here", Queue: "q", Concurrency: 2, Pull: "missing", Capture: 1 << 10, MaxMessage: 1 << 20,
	}
	if change != nil {
		change(&cfg)
	}
	b.pool = NewPool(cfg)
	b.pool.lingers = 0 // but where a test is about it
	b.work, b.stop = context.WithCancel(ctx)
	go func() { b.done <- b.pool.Run(b.work, b.jobs, b.control) }()
	synctest.Wait()
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

func (b *bench) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.jobs != nil {
		close(b.jobs)
		close(b.control)
		b.jobs = nil
	}
}

// delivery is a message as the test's broker sees it.
type delivery struct {
	b        *bench
	name     string
	lost     bool // the session ended
	verdicts []intake.Verdict
	reason   string
	settles  int
	fences   []error       // what the next fences return
	alives   []error       // what the next Alive returns
	hold     chan struct{} // not nil: Settle waits for it
	copies   int           // in the dead-letter queue
	agains   []string      // "delay attempt id"
}

// send hands a message over and waits until all is quiet.
func (b *bench) send(name, messageID string, redelivered bool, body string) *delivery {
	d := b.post(name, messageID, redelivered, body)
	synctest.Wait()
	return d
}

func (b *bench) post(name, messageID string, redelivered bool, body string) *delivery {
	d := &delivery{b: b, name: name, fences: b.fences, alives: b.alives}
	beforeFence, beforeStore, beforeAgain, released := b.beforeFence, b.beforeStore, b.beforeAgain, b.released
	j := intake.Job{
		Queue: "q", MessageID: messageID, Redelivered: redelivered, Copy: b.copy, Attempt: b.attempt, User: b.user, Body: []byte(body),
		Again: func(_ context.Context, delay time.Duration, attempt int, id string) error {
			if beforeAgain != nil {
				beforeAgain()
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			d.agains = append(d.agains, fmt.Sprintf("%v %d %s", delay, attempt, id))
			return nil
		},
		Lost:     func() bool { b.mu.Lock(); defer b.mu.Unlock(); return d.lost },
		Released: func() bool { return released },
		Settle: func(ctx context.Context, v intake.Verdict, r event.Result) error {
			if d.hold != nil {
				<-d.hold
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			d.settles++
			if d.lost {
				return intake.ErrDeliveryLost
			}
			d.verdicts, d.reason = append(d.verdicts, v), r.Reason
			b.events = append(b.events, fmt.Sprintf("%v %s (containers: %d)", v, name, b.docker.count()))
			return nil
		},
		Alive: func(ctx context.Context) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(d.alives) > 0 {
				err := d.alives[0]
				d.alives = d.alives[1:]
				d.lost = d.lost || err == intake.ErrDeliveryLost
				return err
			}
			b.events = append(b.events, fmt.Sprintf("alive %s (containers: %d)", name, b.docker.count()))
			return nil
		},
		Fence: func(ctx context.Context) error {
			if beforeFence != nil {
				beforeFence()
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(d.fences) > 0 {
				err := d.fences[0]
				d.fences = d.fences[1:]
				if err != nil {
					d.lost = d.lost || err == intake.ErrDeliveryLost
					return err
				}
			}
			b.events = append(b.events, fmt.Sprintf("fence %s (containers: %d)", name, b.docker.count()))
			return nil
		},
	}
	if b.stores {
		j.Store = func(context.Context, event.Result) error {
			if beforeStore != nil {
				beforeStore()
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			d.copies++
			return nil
		}
	}
	if b.change != nil {
		b.change(&j)
	}
	if j.Control {
		b.control <- j
	} else {
		b.jobs <- j
	}
	return d
}

func (d *delivery) lose() {
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	d.lost = true
}

// want checks that the delivery got exactly this verdict.
func (d *delivery) want(v intake.Verdict, reason string) {
	d.b.t.Helper()
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	if len(d.verdicts) != 1 || d.verdicts[0] != v || d.reason != reason {
		d.b.t.Errorf("%s: settled %v, reason %q; want [%v], reason %q", d.name, d.verdicts, d.reason, v, reason)
	}
}

func (d *delivery) unsettled() {
	d.b.t.Helper()
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	if len(d.verdicts) != 0 {
		d.b.t.Errorf("%s: settled %v; want not settled", d.name, d.verdicts)
	}
}

// result returns the last result that was reported.
func (b *bench) result() event.Result {
	b.t.Helper()
	b.record.mu.Lock()
	defer b.record.mu.Unlock()
	if len(b.record.results) == 0 {
		b.t.Fatalf("no result; calls: %q", b.docker.did())
	}
	return b.record.results[len(b.record.results)-1]
}

// endExecs lets a program that runs in a container end, if there is one.
func (b *bench) endExecs(c *fakeContainer) {
	synctest.Wait()
	b.docker.mu.Lock()
	if c.exec != nil {
		c.exec.running, c.exec.code = false, new(0)
		b.docker.touch()
	}
	b.docker.mu.Unlock()
	synctest.Wait()
}

// engine puts another engine in the place of the pool's.
func (b *bench) engine(d container.Docker) {
	b.pool.Docker, b.pool.carrier.Docker, b.pool.hosts.Docker = d, d, d
}
