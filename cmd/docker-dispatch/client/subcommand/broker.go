package subcommand

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// LocalBroker is the broker's address if none is given.
const LocalBroker = "amqp://guest:guest@localhost:5672/"

// A Broker is the broker's address and the queue that a subcommand uses.
type Broker struct {
	Process *Invocation
	Queue   string

	url, passwordFile string
}

// Broker adds the options for the broker and the queue.
func (p *Invocation) Broker() *Broker {
	b := &Broker{Process: p, url: LocalBroker}
	BrokerOptions(p.Options, &b.url, &b.passwordFile, &b.Queue)
	return b
}

// BrokerOptions adds the options for the broker and the queue, whose values go to the variables.
func BrokerOptions(o *ui.Options, url, passwordFile, queue *string) {
	o.StringVar(url, "amqp", *url, "")
	o.Variables("amqp", "AMQP_URL")
	o.StringVar(passwordFile, "amqp-password-file", "", "FILE")
	o.StringVar(queue, "q", "", "")
	o.StringVar(queue, "queue", "", "")
}

// Check refuses a wrong queue or address, and fills in the default address.
func (b *Broker) Check() error {
	if b.Queue == "" {
		return ui.UsageError("no queue given", "name it: docker-dispatch "+b.Process.Name+" -q NAME ...")
	}
	if len(b.Queue) > 255 {
		return ui.UsageError("--queue has more than 255 bytes", b.Process.Options.Hint())
	}
	url, err := BrokerAddress(cmp.Or(b.url, LocalBroker), b.Process.Options.From("amqp"), b.passwordFile,
		"a broker address is amqp://user:password@host:5672/vhost; %XX stands for special characters in a password")
	b.url = url
	return err
}

// Connect connects to the broker. It fills in the rest of cfg. Later warnings go to stderr.
func (b *Broker) Connect(ctx context.Context, cfg client.Config) (*client.Client, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	cfg.URL, cfg.Name, cfg.Version = b.url, "docker-dispatch "+b.Process.Name+"@"+host+" "+b.Queue, ui.VersionString()
	cfg.Log = slog.New(slog.NewTextHandler(b.Process.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c, err := client.Connect(ctx, cfg)
	if errors.Is(err, wire.ErrStream) {
		return nil, err
	}
	if err != nil {
		return nil, Explain(fmt.Errorf("broker %s: %w", wire.Redact(b.url), err))
	}
	return c, nil
}

// Explain adds a hint to a broker's error if the hint for the daemon does not fit.
func Explain(err error) error {
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

// CutAt cuts a connection when ctx ends. Nothing else ends a write to a broker that does not read.
func CutAt(ctx context.Context, c *client.Client) {
	context.AfterFunc(ctx, func() { _ = c.Close(ctx) })
}

// Close closes a connection in order. It cuts a connection that takes longer than LastAcks.
func Close(c *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), LastAcks)
	defer cancel()
	_ = c.Close(ctx) // all that matters is confirmed and acked by now
}
