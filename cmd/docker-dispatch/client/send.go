package client

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

//go:embed send.txt
var sendUsage string

// At most inFlightParts parts of inFlightPart bytes are unconfirmed at a time. Messages smaller than a part do not count.
const (
	inFlightParts = 4096
	inFlightPart  = 16 << 10
)

// A sending is one invocation of send.
type sending struct {
	*subcommand.Broker
	id, reply string
	noCheck   bool
	limit     ui.Size
	typed     bool // messages are typed on a terminal: a progress line would disturb that

	stored atomic.Int64
	failed chan struct{} // closed when a message was not stored: no more are sent
	faults faultList     // messages not stored; only the collector may use it until it has ended
}

// A posted is a message that is sent and not yet confirmed.
type posted struct {
	fileMessage
	parts     int
	confirmed func(context.Context) error
}

// send is the subcommand send.
func send(p *subcommand.Invocation) error {
	o := p.Options
	s := &sending{Broker: p.Broker(), limit: 1 << 20, failed: make(chan struct{})}
	o.StringVar(&s.id, "message-id", "", "")
	o.StringVar(&s.reply, "reply", "", "")
	o.BoolVar(&s.noCheck, "no-check", false, "")
	o.Var(&s.limit, "max-message", "")
	o.CommandLineOnly("message-id", "no-check")
	o.Files = true
	files, err := o.Parse(p.Args, p.Getenv)
	if err != nil {
		return err
	}
	if err := s.Check(); err != nil {
		return err
	}
	if s.limit < 1 {
		return ui.UsageError("--max-message must be at least 1 byte", "leave it out for 1m")
	}
	for _, o := range []struct{ option, value string }{{"--message-id", s.id}, {"--reply", s.reply}} {
		if len(o.value) > 255 {
			return ui.UsageError(o.option+" has more than 255 bytes", p.Options.Hint())
		}
	}
	if s.reply == s.Queue {
		return ui.UsageError("--reply "+s.reply+" is the queue itself; answers would be taken for messages", "name another queue")
	}
	ctx, now, stop := p.Interrupts()
	defer stop()
	s.typed = ui.IsTerminal(p.Stdin) && (len(files) == 0 || slices.Contains(files, "-"))
	messages, err := messageFiles(ctx, p, files, int(s.limit))
	if err != nil {
		return err
	}
	if s.id != "" {
		if messages, err = one(ctx, messages); err != nil {
			return err
		}
	}
	c, err := s.Connect(ctx, client.Config{Queue: s.Queue})
	if err != nil {
		return subcommand.CauseOr(ctx, err)
	}
	defer subcommand.Close(c)
	subcommand.CutAt(now, c)
	return s.run(ctx, now, c, messages)
}

// one reads all messages, and returns them again. A second message is an error.
func one(ctx context.Context, messages <-chan fileMessage) (<-chan fileMessage, error) {
	read := make(chan fileMessage, 2) // the message, and why no more can be read
	defer close(read)
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return read, nil
			}
			if len(read) > 0 && m.err == nil {
				return nil, ui.UsageError("--message-id with more than one message; the daemon would take the second for a copy of the first", "leave --message-id out, or send them one by one")
			}
			read <- m
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// run sends all messages, and prints how many are stored and which are not.
func (s *sending) run(ctx, now context.Context, c *client.Client, messages <-chan fileMessage) error {
	under := make(chan posted, 1<<16)
	room := make(chan struct{}, inFlightParts)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		s.collect(now, under, room)
	}()
	var shown sync.WaitGroup
	shown.Go(func() { s.progress(collected) })
	stopped := s.feed(ctx, c, messages, under, room)
	close(under)
	<-collected
	shown.Wait()
	stored := int(s.stored.Load())
	if stopped == nil && len(s.faults.list) == 0 {
		fmt.Fprintf(s.Process.Stdout, "%s stored in %s\n", ui.Counted(stored, "message"), ui.PlainLine(s.Queue))
		return nil
	}
	s.faults.print(s.Process.Stderr)
	others := ""
	if s.faults.notStored > 0 {
		others += fmt.Sprintf(", %d not stored", s.faults.notStored)
	}
	if s.faults.unknown > 0 {
		others += fmt.Sprintf(", %d unconfirmed, which the broker may have stored", s.faults.unknown)
	}
	fmt.Fprintf(s.Process.Stderr, "docker-dispatch: %s stored in %s%s; no later message was sent\n", ui.Counted(stored, "message"), ui.PlainLine(s.Queue), others)
	if stopped == nil {
		stopped = s.faults.list[0].err
	}
	return stopped
}

// feed sends messages until there are no more, or one fails. Its error is why it stopped early; nil if s.faults says that.
func (s *sending) feed(ctx context.Context, c *client.Client, messages <-chan fileMessage, under chan<- posted, room chan struct{}) error {
	for n := 0; ; n++ {
		var m fileMessage
		ok := false
		select {
		case m, ok = <-messages:
		case <-s.failed:
		case <-c.Done():
			return subcommand.Explain(fmt.Errorf("the connection to the broker has ended: %w", c.Err()))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !ok {
			return nil
		}
		if err := s.refused(m); err != nil {
			return fmt.Errorf("%s is not sent: %w", m, err)
		}
		p := posted{fileMessage: m, parts: len(m.body) / inFlightPart}
		for range min(p.parts, inFlightParts) {
			select {
			case room <- struct{}{}:
			case <-s.failed:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		var err error
		// No app_id: with properties of over 64 bytes RabbitMQ takes a fifth fewer messages a second.
		// Erlang then keeps them apart from the message.
		p.confirmed, err = c.Send(ctx, s.Queue, client.Message{
			ID: cmp.Or(s.id, rand.Text()), ReplyTo: s.reply, ContentType: "application/json", Timestamp: time.Now(), Body: m.body,
		})
		if errors.Is(err, client.ErrUnknown) {
			p.confirmed = func(context.Context) error { return err }
			under <- p
			return nil
		} else if err != nil {
			return subcommand.Explain(fmt.Errorf("%s is not sent: %w", m, subcommand.CauseOr(ctx, err)))
		}
		p.body = nil
		under <- p
		// A fault of the queue or the user shows with the first message. Without this wait it would leave
		// thousands of messages with an unknown outcome.
		if n == 0 && p.confirmed(ctx) != nil {
			return subcommand.CauseOr(ctx, nil)
		}
	}
}

// refused returns why a message must not be sent, or nil.
func (s *sending) refused(m fileMessage) error {
	if m.err != nil {
		return m.err
	}
	if s.noCheck {
		if len(m.body) > int(s.limit) {
			return fmt.Errorf("it is larger than %d bytes (--max-message)", s.limit)
		}
		return nil
	}
	_, err := message.Decode(m.body, int(s.limit), s.reply != "")
	return err
}

// collect waits for the confirms, in the order of sending, and frees the parts of each message.
func (s *sending) collect(now context.Context, under <-chan posted, room <-chan struct{}) {
	for p := range under {
		err := p.confirmed(now)
		for range min(p.parts, inFlightParts) {
			<-room
		}
		if err == nil {
			s.stored.Add(1)
			continue
		}
		if now.Err() != nil {
			err = subcommand.ErrUnawaited
		}
		if len(s.faults.list) == 0 {
			close(s.failed)
		}
		s.faults.add(p.fileMessage, subcommand.Explain(err))
	}
}

// progress shows how many messages are stored, until done is closed.
func (s *sending) progress(done <-chan struct{}) {
	var line ui.StatusLine
	if s.typed || !line.On(s.Process.Stderr) {
		return
	}
	defer line.End()
	began := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n := s.stored.Load()
			line.Show("%d stored, %.0f a second", n, float64(n)/time.Since(began).Seconds())
		case <-done:
			return
		}
	}
}

// A faultList has the messages that are not stored. Those in a row with the same fault are one entry.
type faultList struct {
	list               []faultRange
	notStored, unknown int
}

type faultRange struct {
	file     string
	from, to int
	err      error
}

func (l *faultList) add(m fileMessage, err error) {
	if errors.Is(err, client.ErrUnknown) {
		l.unknown++
	} else {
		l.notStored++
	}
	if n := len(l.list); n > 0 {
		if last := &l.list[n-1]; last.file == m.file && last.to == m.n-1 && last.err.Error() == err.Error() {
			last.to = m.n
			return
		}
	}
	l.list = append(l.list, faultRange{m.file, m.n, m.n, err})
}

func (l *faultList) print(w io.Writer) {
	for _, f := range l.list {
		which := fmt.Sprintf("%s:%d", f.file, f.from)
		if f.to > f.from {
			which += fmt.Sprintf("-%d", f.to)
		}
		fmt.Fprintf(w, "%s: %s\n", ui.PlainLine(which), ui.PlainLine(f.err.Error()))
	}
}
