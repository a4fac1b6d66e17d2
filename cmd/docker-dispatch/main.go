package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/systemd"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/web"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/secrets"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func main() { os.Exit(execute(seams{})) }

// execute runs the program with the arguments, streams and signals of its process.
func execute(s seams) int {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	return run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr, signalsOf(name), s)
}

// seams lets a test wrap parts of the program. The zero value wraps none.
type seams struct {
	docker func(container.Docker) container.Docker
	source func(source) source
}

// run runs the program and returns the exit code. environ is as of os.Environ.
func run(args, environ []string, stdin io.Reader, stdout, stderr io.Writer, signals <-chan os.Signal, sm seams) int {
	getenv := variablesOf(environ)
	if len(args) > 0 {
		if own := ownCommands()[args[0]]; own != nil {
			return own(args[1:], stdout, stderr)
		}
		if client.Has(args[0]) {
			if _, err := ui.CheckVariables(environ, allOptions()); err != nil && !slices.Contains(args, "-h") && !slices.Contains(args, "--help") {
				return ui.Fail(stderr, err)
			}
			return client.Run(args[0], args[1:], getenv, stdin, stdout, stderr, signals)
		}
	}
	s, err := parseSettings(args, getenv)
	ignored, mistyped := ui.CheckVariables(environ, allOptions())
	switch {
	case mistyped != nil && !asks(err): // it may be why there is another error
		err = mistyped
	case err == nil:
		err = s.load(getenv)
	}
	switch {
	case errors.Is(err, ui.ErrHelp):
		fmt.Fprint(stdout, usage)
		return ui.ExitClean
	case errors.Is(err, errVersion):
		fmt.Fprintln(stdout, "docker-dispatch", ui.VersionString())
		return ui.ExitClean
	case errors.Is(err, errAPICalls):
		for _, c := range dockerapi.Calls() {
			fmt.Fprintf(stdout, "%-31s %s\n", c.Route, c.For)
		}
		return ui.ExitClean
	case err != nil:
		return ui.Fail(stderr, err)
	}
	calls := new(engineCalls)
	engine, err := s.client(calls.observe)
	if err != nil {
		return ui.Fail(stderr, err)
	}
	defer engine.Close()
	logged, shown := &stuckWriter{w: stderr}, &stuckWriter{w: stdout}
	log := s.logger(logged, toJournal(stderr, getenv))
	slog.SetDefault(log) // net/http logs there too
	if len(ignored) > 0 {
		log.Warn("variables that are no option's have no effect", "variables", ignored)
	}
	if s.printConfig {
		if err := s.print(stdout); err != nil {
			return ui.Fail(stderr, err)
		}
		return ui.ExitClean
	}
	d := &daemon{settings: s, client: engine, calls: calls, manager: systemd.FromEnvironment(getenv, log), log: log, logged: logged, stdin: stdin, stdout: shown, seams: sm}
	if err := d.run(signals); err != nil {
		d.manager.Status(err.Error()) // the last one is what the service manager shows
		return ui.Fail(stderr, err)
	}
	return ui.ExitClean
}

// A source delivers jobs: the broker, or stdin.
type source interface {
	// Run sends jobs, and those of the control queue to control, until ctx ends or no more come. It closes both channels.
	Run(ctx context.Context, jobs, control chan<- intake.Job) error
	// Quiet reports whether the queue is empty and was consumed for that long. at says which broker and vhost it is on.
	Quiet(ctx context.Context, consumed time.Duration) (at intake.Place, quiet bool)
	// Close closes the connections that Run left open for jobs to be settled.
	Close(ctx context.Context) error
}

// daemon is the running program.
type daemon struct {
	*settings
	client  *dockerapi.Client
	calls   *engineCalls
	manager *systemd.Notifier // nil: no service manager wants to know
	log     *slog.Logger
	logged  *stuckWriter // to which log writes
	stdin   io.Reader
	stdout  *stuckWriter
	seams   seams

	pool     *cmd.Pool // set by run, before anything reads it
	src      source    // the same
	stopping atomic.Bool
	ready    atomic.Bool // the service manager was told that the daemon is ready
}

// stuck is how long jobs may take to leave their containers after they are told to.
const stuck = 5 * time.Second

var (
	errReaderGone = errors.New("standard output was closed by its reader")
	errStuck      = errors.New("stopped with jobs unfinished: the reader of standard output does not read")
	errOutputLost = errors.New("standard output could not be written; output is missing from it")
)

// errForced means that a second signal ended the program at once.
var errForced = errors.New("stopped at once by a second signal; containers that ran are still running")

// run passes jobs from the source to the pool. It stops in order: intake, jobs, connections.
func (d *daemon) run(come <-chan os.Signal) error {
	signals := unlessHung(come)
	taking, stopTaking := context.WithCancel(context.Background())
	defer stopTaking()
	work, stopWork := context.WithCancel(context.Background())
	defer stopWork()

	if err := enoughDescriptors(d.concurrency, web.MostDescriptors()); err != nil {
		return err
	}
	listener, err := d.listen()
	if err != nil {
		return err
	}
	if listener != nil {
		defer listener.Close()
	}
	checked := make(chan error, 1)
	go func() { checked <- d.checkEngine(taking) }()
	var early os.Signal // an engine that is silent must not hold up a stop
	for checking := true; checking && early == nil; {
		select {
		case err := <-checked:
			if err != nil {
				return err
			}
			checking = false
		case sig := <-signals:
			if sig != statusSignal && !d.reloads(sig) {
				early = sig
				stopTaking()
			}
		}
	}
	gate, room := new(intake.Gate), new(intake.Gate)
	room.Set(d.minFree == 0)
	src := d.source(gate, room)
	claims, vhost := d.claims(src)
	out := &out{w: d.stdout, log: d.log, gone: make(chan struct{})}
	pool := cmd.NewPool(cmd.Config{
		Docker: d.engine(), Reporter: d.reporter(out), Log: d.log, Gate: gate, Host: d.host,
		Concurrency: d.concurrency, Pull: d.pull, Timeout: d.timeout, Capture: d.capture, MaxMessage: d.maxMessage,
		Places: d.concurrency + d.ahead, ControlPlaces: amqpsrc.ControlPrefetch,
		SweepAfter: d.sweepAfter, Queue: d.queue, Quiet: src.Quiet,
		MinFree: d.minFree, Free: d.free, Room: room,
		Claims: claims, VHost: vhost, Labels: d.hostLabels, RemoveStale: d.removeStale,
		Policy: d.policy.Load, Secrets: secrets.Folder{Path: d.secrets, Withheld: d.passwordFile}, Credentials: d.credentials.For,
	})

	d.pool, d.src = pool, src
	defer d.serve(listener)()
	defer d.tellManager()()

	jobs, control := make(chan intake.Job, d.ahead), make(chan intake.Job)
	sourceDone, poolDone, closed := make(chan error, 1), make(chan int, 1), make(chan error, 1)
	go returnMemory(work)
	go func() { sourceDone <- src.Run(taking, jobs, control) }()
	go func() { poolDone <- pool.Run(work, jobs, control) }()

	var failure error // the source's, or a closed stdout
	var drain, grace <-chan time.Time
	var stopped time.Time // when the stop began
	stop := func(why string) {
		stopped = time.Now()
		d.stopping.Store(true)
		d.log.Info("stopping: no more messages are taken; running jobs get time to end", "reason", why, "drain", d.drain)
		d.manager.Stopping("stopping: " + why)
		const more = stuck + client.LastAcks
		d.manager.ExtendTimeout(min(d.drain, math.MaxInt64-more) + more)
		stopTaking()
		drain = time.After(d.drain)
	}
	if early != nil {
		stop(early.String())
	}
	left, drained := 0, false
	gone := out.gone
	for {
		select {
		case sig := <-signals:
			if d.answers(sig) {
				continue
			} else if stopped.IsZero() {
				stop(sig.String())
			} else if time.Since(stopped) >= ui.SameSignal {
				return errForced
			}
		case <-gone:
			gone = nil
			failure = fmt.Errorf("%w; %s", errReaderGone, d.fate(src))
			if stopped.IsZero() {
				stop("standard output was closed")
			}
			if poolDone != nil {
				drain = time.After(0) // later results could not be shown: leave those jobs to the next start
			}
		case <-drain:
			stopWork()
			drain, drained = nil, true
			if sourceDone == nil {
				grace = time.After(stuck)
			}
		case <-grace:
			// A job that was told to stop and does not stop cannot write its output.
			return fmt.Errorf("%w; %s", errStuck, d.fate(src))
		case err := <-sourceDone:
			if errors.Is(err, wire.ErrReleased) {
				// At once: its jobs are other hosts' now.
				return ui.WithHint(err.Error()+"; its jobs are left as they are", "start the daemon again: it takes new jobs, and names the containers that were left", ui.ExitFailed)
			}
			sourceDone = nil
			failure = cmp.Or(err, failure)
			if err != nil && stopped.IsZero() {
				stop(err.Error()) // else jobs without a time limit would keep a daemon that takes no more messages
			}
			if drained && poolDone != nil { // a broker that did not answer kept the jobs' channel open
				grace = time.After(stuck)
			}
		case left = <-poolDone:
			poolDone, drain, grace = nil, nil, nil
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), client.LastAcks)
				defer cancel()
				closed <- src.Close(ctx)
			}()
		case err := <-closed:
			if sourceDone != nil {
				failure = cmp.Or(<-sourceDone, failure)
			}
			if err != nil {
				d.log.Warn("connection not closed in order; the broker may deliver messages again", "error", err)
			}
			return d.ended(src, left, cmp.Or(failure, d.shown(out)))
		}
	}
}

// fate says what becomes of jobs that are left as they are.
func (d *daemon) fate(src source) string {
	if d.amqpURL == "-" {
		return "containers that ran are still running, and nothing follows them any longer"
	}
	const back = "containers that ran are still running, and their messages go back to the queue, where the next start gets them"
	if s, ok := src.(*amqpsrc.Source); ok && s.Limited() {
		return back + ", but for those that the broker drops at the queue's delivery limit"
	}
	return back
}

// shown returns an error if output of messages from stdin could not be written. That output is kept nowhere else.
func (d *daemon) shown(out *out) error {
	if d.amqpURL == "-" && out.incomplete() {
		return errOutputLost
	}
	return nil
}

// ended logs the end of the program, and returns its error.
func (d *daemon) ended(src source, left int, err error) error {
	if left > 0 {
		d.log.Warn("stopped; jobs were left as they are: "+d.fate(src), "jobs", left)
	} else {
		d.log.Info("stopped")
	}
	if err != nil {
		return err
	}
	if in, ok := src.(*stdinSource); ok {
		return in.failed(left)
	}
	return nil
}

// The parts, wrapped by a test's seams.

func (d *daemon) engine() container.Docker {
	return between(d.seams.docker, container.Docker(d.client))
}

func (d *daemon) source(gate, room *intake.Gate) source {
	if d.amqpURL == "-" {
		return newStdinSource(d.stdin, gate, d.concurrency+d.ahead, d.maxMessage)
	}
	return between(d.seams.source, source(amqpsrc.New(amqpsrc.Config{
		URL: d.amqpURL, Queue: d.queue, Declare: d.declare, Prefetch: d.concurrency + d.ahead,
		MaxMessage: d.maxMessage, DeadLetter: d.deadLetter, Results: d.results, Control: d.control, Host: d.host, Version: ui.VersionString(), Log: d.log, Gate: gate, Room: room, Keep: 15 * time.Second,
		Status: d.status, HostName: d.hostName, HostLabels: d.hostLabels,
		EngineID: func(ctx context.Context) (string, error) { return d.engineID(ctx, gate) },
	})))
}

func between[T any](seam func(T) T, part T) T {
	if seam == nil {
		return part
	}
	return seam(part)
}
