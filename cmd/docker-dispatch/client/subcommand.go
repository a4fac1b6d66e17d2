package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// A subcommand is a command for the publisher's side of the queue.
type subcommand struct {
	help string
	do   func(*invocation) error
}

var subcommands = map[string]subcommand{
	"run":    {runUsage, (*invocation).run},
	"send":   {sendUsage, (*invocation).send},
	"check":  {checkUsage, (*invocation).check},
	"dead":   {deadUsage, (*invocation).dead},
	"ps":     {psUsage, (*invocation).ps},
	"policy": {policyUsage, (*invocation).policy},
}

// An exitCode is the end of a subcommand that has printed what there is to say.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Names are the names of the subcommands, sorted.
func Names() []string { return slices.Sorted(maps.Keys(subcommands)) }

// Has reports whether there is a subcommand of that name.
func Has(name string) bool { return subcommands[name].do != nil }

// Run carries out a subcommand with the arguments after its name, and returns the exit code.
func Run(name string, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	p := &invocation{name: name, args: args, getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr, signals: signals}
	err := subcommands[name].do(p)
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	switch {
	case err == nil:
		return ui.ExitClean
	case errors.Is(err, ui.ErrHelp):
		fmt.Fprint(stdout, subcommands[name].help)
		return ui.ExitClean
	}
	return ui.Fail(stderr, p.options.Blame(err))
}

// Options returns the options of a subcommand, except those of docker run. The subcommand makes them before it prints its help.
func Options(name string) *ui.Options {
	p := &invocation{name: name, args: []string{"--help"}, getenv: func(string) string { return "" }, stdout: io.Discard, stderr: io.Discard}
	subcommands[name].do(p) // its error is that help was asked for
	return p.options
}

// An invocation is a subcommand's part of its process: the arguments after its name, environment, streams, signals.
type invocation struct {
	name           string
	args           []string
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	signals        <-chan os.Signal

	options *ui.Options // set by newOptions
}

// newOptions returns the subcommand's own options, none yet.
func (p *invocation) newOptions() *ui.Options {
	p.options = ui.NewOptions("docker-dispatch " + p.name)
	return p.options
}

// parse reads the options and the environment, and returns the arguments.
func (p *invocation) parse() (rest []string, err error) { return p.options.Parse(p.args, p.getenv) }

func (p *invocation) listsOptions() string {
	return "docker-dispatch " + p.name + " -h lists the options"
}

// A broker is the broker's address and the queue that a subcommand uses.
type broker struct {
	process *invocation
	url     string
	queue   string

	passwordFile string
}

// broker adds the options for the broker and the queue.
func (p *invocation) broker(o *ui.Options) *broker {
	b := &broker{process: p, url: LocalBroker}
	brokerOptions(o, &b.url, &b.passwordFile, &b.queue)
	return b
}

func brokerOptions(o *ui.Options, url, passwordFile, queue *string) {
	o.StringVar(url, "amqp", *url, "")
	o.Variables("amqp", "AMQP_URL")
	o.StringVar(passwordFile, "amqp-password-file", "", "FILE")
	o.StringVar(queue, "q", "", "")
	o.StringVar(queue, "queue", "", "")
}

// check refuses a wrong queue or address, and fills in the default address.
func (b *broker) check() error {
	if b.queue == "" {
		return ui.UsageError("no queue given", "name it: docker-dispatch "+b.process.name+" -q NAME ...")
	}
	if len(b.queue) > 255 {
		return ui.UsageError("--queue has more than 255 bytes", b.process.listsOptions())
	}
	url, err := BrokerAddress(cmp.Or(b.url, LocalBroker), b.process.options.From("amqp"), b.passwordFile,
		"a broker address is amqp://user:password@host:5672/vhost; %XX stands for special characters in a password")
	b.url = url
	return err
}

// connect connects to the broker. It refuses a queue that is a stream. Later warnings go to stderr.
func (b *broker) connect(ctx context.Context, queue string) (*client.Client, error) {
	return b.dial(ctx, client.Config{Queue: queue})
}

// dial is connect with a Config of the caller's, and fills in the rest of it.
func (b *broker) dial(ctx context.Context, cfg client.Config) (*client.Client, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	cfg.URL, cfg.Name, cfg.Version = b.url, "docker-dispatch "+b.process.name+"@"+host+" "+b.queue, ui.VersionString()
	cfg.Log = slog.New(slog.NewTextHandler(b.process.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c, err := client.Connect(ctx, cfg)
	if errors.Is(err, wire.ErrStream) {
		return nil, err
	}
	if err != nil {
		return nil, b.explain(fmt.Errorf("broker %s: %w", wire.Redact(b.url), err))
	}
	return c, nil
}

// explain adds a hint to a broker's error if the hint for the daemon does not fit.
func (b *broker) explain(err error) error {
	switch {
	case errors.Is(err, wire.ErrNoQueue):
		return ui.WithHint(err.Error(), "check the name and the virtual host; the daemon makes its queue with --declare quorum or --declare classic", ui.ExitFailed)
	case errors.Is(err, wire.ErrForbidden):
		return ui.WithHint(err.Error(), "give the user what it needs: write on amq.default to send, read on a queue to take from it (rabbitmqctl set_permissions)", ui.ExitFailed)
	case errors.Is(err, syscall.ECONNREFUSED):
		return ui.WithHint(err.Error(), "is the broker running there? --amqp or AMQP_URL gives its address", ui.ExitFailed)
	}
	return err
}

// cutAt cuts a connection when ctx ends. Nothing else ends a write to a broker that does not read.
func (b *broker) cutAt(ctx context.Context, c *client.Client) {
	context.AfterFunc(ctx, func() { _ = c.Close(ctx) })
}

// close closes a connection in order. It cuts a connection that takes longer than LastAcks.
func (b *broker) close(c *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), LastAcks)
	defer cancel()
	_ = c.Close(ctx) // all that matters is confirmed and acked by now
}

// errInterrupted means that a signal ended a subcommand.
var errInterrupted = errors.New("interrupted")

// interrupts returns two contexts. The first signal ends work. The second signal ends now, as does the
// time LastAcks after the first. stop releases both.
func (p *invocation) interrupts() (work, now context.Context, stop func()) {
	work, stopWork := context.WithCancelCause(context.Background())
	now, stopNow := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		var first time.Time
		var late, soon <-chan time.Time
		for {
			select {
			case <-p.signals:
				if first.IsZero() {
					first, late, soon = time.Now(), time.After(LastAcks), time.After(time.Second)
					stopWork(errInterrupted)
				} else if time.Since(first) >= ui.SameSignal {
					stopNow(errInterrupted)
				}
			case <-soon:
				fmt.Fprintf(p.stderr, "docker-dispatch: waiting up to %v for what the broker has been sent; another signal ends that\n", LastAcks)
			case <-late:
				stopNow(errInterrupted)
			case <-done:
				return
			}
		}
	}()
	return work, now, func() {
		close(done)
		stopWork(nil)
		stopNow(nil)
	}
}

// writeJSON writes each value on a line.
func writeJSON[T any](w io.Writer, values []T) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// counted returns n with its noun, such as "1 message" or "2 messages".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// LastAcks bounds how long a stop waits for the broker to take the last acks.
const LastAcks = 10 * time.Second

// LocalBroker is the broker's address if none is given.
const LocalBroker = "amqp://guest:guest@localhost:5672/"

// FurtherQueue returns the name of a further queue from its option. An empty option means the usual name. The option "none"
// means no queue, which is "".
func FurtherQueue(given, usual string) string {
	if given == "none" {
		return ""
	}
	return cmp.Or(given, usual)
}
