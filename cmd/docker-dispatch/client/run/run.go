// Package run is docker-dispatch run, which is docker run through a queue.
//
// Begin at Do. follow.go leads from the message to the result; take.go takes the daemon's events; answer.go puts output in
// order; pull.go shows a pull; ui.go has errors and help; exit.go the exit code.
package run

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// Exit codes of docker-dispatch run other than the container's: those of docker run.
const (
	exitRefused   = 125 // the container could not be run, or its result is not known
	exitSignalled = 128 // plus the signal's number: a signal ended run before the container exited
)

// Do carries out the subcommand run.
func Do(p *subcommand.Invocation) error {
	c := &runClient{stdin: p.Stdin, stdout: p.Stdout, stderr: p.Stderr, stop: make(chan struct{}), maxMessage: 1 << 20}
	if err := c.parse(p); err != nil {
		return subcommand.ExitCode(c.refuse(p.Options.Blame(err)))
	}
	c.connect = func(ctx context.Context) (runBroker, error) {
		return client.Connect(ctx, client.Config{URL: c.url, Queue: c.queue, Name: "docker-dispatch run " + c.job, Version: ui.VersionString(),
			Blocked: func(reason string) {
				c.waits.End()
				c.say("the broker takes no messages for now; waiting (%s)", reason)
			}})
	}
	c.waits.On(p.Stderr)
	return subcommand.ExitCode(c.run(p.Signals))
}

// runBroker is the part of a *client.Client, a connection to the broker, that a run uses.
type runBroker interface {
	Publish(ctx context.Context, queue string, m client.Message) error
	DeclareReplies(ctx context.Context, queue string, expires time.Duration) error
	Consume(ctx context.Context, queue string, prefetch int) (<-chan client.Received, error)
	Ready(ctx context.Context, queue string) (n, consumers int, err error)
	DeleteQueue(ctx context.Context, queue string) error
	Heartbeat() time.Duration
	Close(ctx context.Context) error
}

// parse reads the command line and the environment.
func (c *runClient) parse(p *subcommand.Invocation) error {
	control, passwordFile := "", ""
	o := p.Options
	c.url = subcommand.LocalBroker
	subcommand.BrokerOptions(o, &c.url, &passwordFile, &c.queue)
	o.StringVar(&control, "control", "", "")
	o.Func("timeout", "", func(v string) (err error) {
		if c.timeout, err = time.ParseDuration(v); err == nil && c.timeout < 0 {
			err = errors.New("a time cannot be negative")
		}
		return err
	})
	o.Var((*ui.Size)(&c.maxMessage), "max-message", "")
	o.CommandLineOnly("timeout") // DOCKER_DISPATCH_TIMEOUT is the daemon's, and limits containers
	var err error
	c.line, err = message.ParseRunLine(p.Args, o.Flags(), message.Caller{
		LookupEnv: func(name string) (string, bool) {
			v := p.Getenv(name)
			if v == "" { // set to an empty value, or not set
				_, set := os.LookupEnv(name)
				return "", set
			}
			return v, true
		},
		ReadFile: os.ReadFile,
	})
	if err != nil {
		return err
	}
	if err := o.FromEnvironment(p.Getenv); err != nil {
		return err
	}
	c.control = subcommand.FurtherQueue(control, c.queue+".control")
	c.url, err = subcommand.BrokerAddress(cmp.Or(c.url, subcommand.LocalBroker), o.From("amqp"), passwordFile, "--amqp takes amqp://user:password@host:5672/vhost; without it $AMQP_URL is used")
	if err != nil {
		return err
	}
	if c.queue == "" {
		return ui.UsageError("no queue given", "name the queue that the daemon takes messages from: docker-dispatch run -q NAME ...")
	}
	return c.conflicts()
}

// conflicts refuses what docker run refuses before it asks the engine, and what needs a terminal.
func (c *runClient) conflicts() error {
	l := c.line
	switch {
	case l.Detach && len(l.Attach) > 0:
		return &plainError{"conflicting options: cannot specify both --attach and --detach"}
	case !l.Tty || !l.Attached("stdin"):
	case ui.IsTerminal(c.stdin):
		return errors.New("-t and -i together need a terminal, and a queue is none: leave out -t, and what you type is read to its end")
	default:
		return &plainError{"the input device is not a TTY"}
	}
	if l.CIDFile != "" {
		if _, err := os.Stat(l.CIDFile); err == nil {
			return fmt.Errorf("container ID file found, make sure the other container isn't running or delete %s", l.CIDFile)
		}
	}
	return nil
}

// publication makes the job's message, with the data of stdin.
func (c *runClient) publication() error {
	var input []byte
	if c.line.Attached("stdin") {
		var err error
		if input, err = io.ReadAll(io.LimitReader(c.stdin, int64(c.maxMessage)+1)); err != nil {
			return fmt.Errorf("standard input cannot be read: %w", err)
		}
	}
	var err error
	if c.body, err = c.line.Message(input, !c.line.Detach); err != nil {
		return err
	}
	if len(c.body) > c.maxMessage {
		what := fmt.Sprintf("the message has %d bytes", len(c.body))
		if len(input) > c.maxMessage {
			what = "standard input is too long for a message"
		} else if len(input) > 0 {
			what += " with what standard input holds"
		}
		return fmt.Errorf("%s; at most %d are taken (--max-message, here and at the daemon): put large input into a volume, or where the container can fetch it", what, c.maxMessage)
	}
	return nil
}

// run sends the message, waits for the result, and returns the exit code.
func (c *runClient) run(signals <-chan os.Signal) int {
	c.job, c.replies = cmp.Or(c.job, randomHex()), "docker-dispatch.reply."+randomHex()
	out := func(stream string, w io.Writer) io.Writer {
		if !c.line.Attached(stream) {
			return nil
		}
		return c.waits.Before(w)
	}
	c.answer = newAnswer(c.job, out("stdout", c.stdout), out("stderr", c.stderr))

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan taking, 1)
	for _, w := range c.line.Warnings() {
		fmt.Fprintf(c.stderr, "WARNING: %s\n", w)
	}
	go func() {
		result, err := c.work(ctx)
		ended <- taking{result, err}
	}()

	var timeout <-chan time.Time
	if c.timeout > 0 {
		timeout = time.After(c.timeout)
	}
	leave := func(code int, why string) int {
		c.quit()
		cancel()
		select { // meanwhile the reply queue is deleted
		case <-ended:
		case <-time.After(leaving):
		}
		c.waits.End()
		c.say("%s; %s", why, c.fate())
		return code
	}
	var signalled time.Time
	var unstored <-chan time.Time
	code := 0
	for {
		select {
		case sig := <-signals:
			if n, ok := sig.(syscall.Signal); ok {
				code = exitSignalled + int(n)
			}
			switch {
			case !c.quit():
				return leave(code, "left")
			case !signalled.IsZero() && time.Since(signalled) < ui.SameSignal:
			case !signalled.IsZero() || !c.line.SigProxy || c.control == "" || c.line.Detach:
				return leave(code, "left")
			default:
				signalled = time.Now()
				close(c.stop)
				unstored = time.After(confirming)
			}
		case <-unstored:
			switch c.sent.Load() {
			case onItsWay: // the broker has not stored the job: it cannot be stopped
				return leave(code, "left")
			case stored, stopOnItsWay:
				c.waits.End()
				c.say("waiting for the broker to take the stop of the job %s; another signal leaves the job alone", c.job)
			case stopSent:
				if !c.heard.Load() {
					c.waits.End()
					c.say("no daemon has answered yet; where none runs, the job %s and its stop stay in the queues %s and %s; another signal leaves them", c.job, c.queue, c.control)
				}
			}
		case <-timeout:
			return leave(exitRefused, fmt.Sprintf("no result within %v", c.timeout))
		case e := <-ended:
			c.waits.End()
			if left, ok := errors.AsType[*leftError](e.err); ok && code != 0 {
				c.say("%v", left)
				return code
			}
			if e.err != nil {
				return c.refuse(e.err)
			}
			if c.line.Detach {
				if _, err := fmt.Fprintln(c.stdout, c.job); err != nil {
					c.say("the output cannot be written: %v; %s", err, c.fate())
					return exitRefused
				}
				return ui.ExitClean
			}
			return c.ended(e.result, code)
		}
	}
}

// work makes the message, sends it, and returns its result. With -d there is none.
func (c *runClient) work(ctx context.Context) (*event.Result, error) {
	made := make(chan error, 1)
	go func() { made <- c.publication() }()
	select {
	case err := <-made:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done(): // standard input may never end
		return nil, ctx.Err()
	}
	if err := c.reserveID(); err != nil {
		return nil, err
	}
	result, err := c.follow(ctx)
	id := ""
	if result != nil {
		id = result.ContainerID // the file has no id yet if the container could not be started
	}
	return result, cmp.Or(err, c.identified(id))
}

// confirming is how long a stopping run waits for the broker's confirm before it prints what it waits for.
const confirming = time.Second

// leaving is how long a run that no longer waits for the job may take to end.
const leaving = 3 * time.Second

// reserveID creates the file for the container's id, as docker does. If that fails, nothing is run.
func (c *runClient) reserveID() error {
	if c.line.CIDFile == "" || c.line.Detach {
		return nil
	}
	f, err := os.OpenFile(c.line.CIDFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("failed to create the container ID file: %w", err)
	}
	c.idFile.Store(f)
	return nil
}

// identified writes the container's id to its file. An empty id means that none will come: the file is removed.
func (c *runClient) identified(id string) error {
	f := c.idFile.Swap(nil)
	if f == nil {
		return nil
	}
	_, err := f.WriteString(id)
	if err = errors.Join(err, f.Close()); err != nil {
		return &leftError{fmt.Sprintf("the container's id cannot be written: %v; %s", err, c.fate())}
	}
	if id == "" {
		os.Remove(f.Name())
	}
	return nil
}

func randomHex() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
