// Package dead is docker-dispatch dead, which lists, replays and drops dead letters.
//
// Begin at Do. look.go is a pass over the dead letters; replay.go sends letters on; list.go and drop.go are the other verbs.
package dead

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Usage is what -h prints.
//
//go:embed usage.txt
var Usage string

// noneComes is how long to wait for the next dead letter before the broker is asked how many are left.
const noneComes = time.Second

// asksASecond is how often the broker is asked what is in the queue, if that is to change.
const asksASecond = 10

// barren limits how often in a row the broker may count more dead letters but deliver none. It holds with another
// consumer, which may be served first. barrenAlone is the limit without one, when the broker may only be slow.
const barren, barrenAlone = 5, 60

// A morgue is one invocation of dead.
type morgue struct {
	*subcommand.Broker
	verb     string
	from     string // the dead-letter queue
	all, yes bool
	format   string
	ids      []string
}

// Do carries out the subcommand dead.
func Do(p *subcommand.Invocation) error {
	o := p.Options
	m := &morgue{Broker: p.Broker(), format: "text"}
	o.StringVar(&m.from, "dead-letter", "", "")
	o.BoolVar(&m.all, "all", false, "")
	o.BoolVar(&m.yes, "yes", false, "")
	o.ChoiceVar(&m.format, "format", "text", "json")
	o.CommandLineOnly("all", "yes")
	o.Verbs = []string{"list", "replay", "drop"}
	o.Only = map[string][]string{"all": {"replay", "drop"}, "yes": {"drop"}, "format": {"list"}}
	rest, err := o.Parse(p.Args, p.Getenv)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		m.verb, m.ids = rest[0], rest[1:]
	}
	if err := m.validate(); err != nil {
		return err
	}
	ctx, now, stop := p.Interrupts()
	defer stop()
	c, err := m.Connect(ctx, client.Config{Queue: m.from})
	if err != nil {
		return subcommand.CauseOr(ctx, err)
	}
	defer subcommand.Close(c)
	subcommand.CutAt(now, c)
	switch m.verb {
	case "list":
		err = m.list(ctx, c)
	case "replay":
		err = m.replay(ctx, now, c)
	case "drop":
		err = m.drop(ctx, c)
	}
	return m.missing(subcommand.CauseOr(ctx, err))
}

func (m *morgue) validate() error {
	verbs := m.Process.Options.Verbs
	switch {
	case !slices.Contains(verbs, m.verb):
		if m.verb == "" {
			return ui.UsageError("dead needs a verb: list, replay or drop", "docker-dispatch dead list -q QUEUE")
		}
		text := fmt.Sprintf("dead %s: not one of %s", m.verb, strings.Join(verbs, ", "))
		if near := flagval.Nearest(m.verb, verbs); near != "" {
			text += "; did you mean " + near + "?"
		}
		return ui.UsageError(text, "docker-dispatch dead list -q QUEUE")
	case m.verb == "list" && (len(m.ids) > 0 || m.all || m.yes):
		return ui.UsageError("dead list takes neither IDs nor --all nor --yes; it shows all", m.Process.Options.Hint())
	case m.verb != "list" && m.all == (len(m.ids) > 0):
		return ui.UsageError("dead "+m.verb+" wants either IDs or --all", "docker-dispatch dead list -q QUEUE shows the IDs")
	case m.Queue == "":
		return ui.UsageError("no queue given", "name it: docker-dispatch dead "+m.verb+" -q NAME ...")
	case m.from == "none":
		return ui.UsageError("--dead-letter none: such a daemon has no queue for dead letters", "name the queue behind the job queue's dead-letter exchange: --dead-letter NAME")
	}
	if err := m.Check(); err != nil {
		return err
	}
	m.from = cmp.Or(m.from, m.Queue+".dead")
	if m.from == m.Queue {
		return ui.UsageError("--dead-letter "+m.from+" is the queue itself", "leave it out for QUEUE.dead")
	}
	if m.verb == "drop" && !m.yes && !ui.IsTerminal(m.Process.Stdin) {
		return ui.UsageError("dead drop deletes messages for good, and there is no terminal to ask on", "give --yes if that is meant")
	}
	return nil
}

// missing adds a hint to err: its own if the dead-letter queue does not exist, else that of explain.
func (m *morgue) missing(err error) error {
	if _, ok := errors.AsType[*ui.Hinted](err); ok || !errors.Is(err, wire.ErrNoQueue) {
		return subcommand.Explain(err)
	}
	return ui.WithHint(err.Error(), "a daemon declares its dead-letter queue when it starts; --dead-letter NAME names one that is not called QUEUE.dead", ui.ExitFailed)
}

// idOf returns the ID of a dead letter: its message_id, else the daemon's mark of the copy, else "-".
func idOf(r client.Received) string { return cmp.Or(intake.JobID(r.ID), r.DeadLetter().Copy, "-") }

// namesOf returns the IDs that select a dead letter: its message_id, raw and as list shows it, and its mark.
func namesOf(r client.Received) (names []string) {
	for _, s := range []string{r.ID, intake.JobID(r.ID), ui.PlainLine(intake.JobID(r.ID)), r.DeadLetter().Copy} {
		if s != "" {
			names = append(names, s)
		}
	}
	return names
}

// count returns how many dead letters are ready. It warns if the queue has a consumer, whose letters it cannot count.
func (m *morgue) count(ctx context.Context, c *client.Client) (n int, err error) {
	more := 2 * asksASecond // the broker still counts a consumer for a moment after its end
	n, consumers, err := m.poll(ctx, c, func(_, consumers int) bool { more--; return consumers == 0 || more < 0 })
	if consumers > 0 {
		fmt.Fprintf(m.Process.Stderr, "docker-dispatch: warning: %s has %s, such as another docker-dispatch dead; what it holds is not seen here\n",
			ui.PlainLine(m.from), ui.Counted(consumers, "consumer"))
	}
	return n, err
}

// poll asks how many dead letters are ready, and how many consumers there are, until enough reports that it has seen enough.
func (m *morgue) poll(ctx context.Context, c *client.Client, enough func(ready, consumers int) bool) (ready, consumers int, err error) {
	tick := time.NewTicker(time.Second / asksASecond)
	defer tick.Stop()
	for {
		if ready, consumers, err = c.Ready(ctx, m.from); err != nil || enough(ready, consumers) {
			return ready, consumers, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		}
	}
}

// each calls do with the first n dead letters in order, until do fails or ctx ends. It returns nil if the queue is empty
// earlier. A *hinted error means that the queue has letters that the broker does not deliver.
func (m *morgue) each(ctx context.Context, c *client.Client, in <-chan client.Received, n int, do func(client.Received) error) error {
	timer := time.NewTimer(noneComes)
	defer timer.Stop()
	for got, none := 0, 0; got < n; {
		timer.Reset(noneComes)
		select {
		case r, ok := <-in:
			if !ok {
				if _, _, err := c.Ready(ctx, m.from); err != nil { // the queue is deleted, or the connection lost
					return err
				}
				return fmt.Errorf("the broker has ended the consumer of %s", ui.PlainLine(m.from))
			}
			got, none = got+1, 0
			if err := do(r); err != nil {
				return err
			}
		case <-timer.C:
			// Another consumer may have taken some, or they have expired.
			left, consumers, err := c.Ready(ctx, m.from)
			if err != nil || left == 0 {
				return err
			}
			most, hint := barrenAlone, "it may be busy: try again later"
			if consumers > 1 {
				most, hint = barren, "another consumer of the queue is served first: stop it"
			}
			if none++; none >= most {
				return ui.WithHint(fmt.Sprintf("the broker stopped delivering from %s: %s received, %d left", ui.PlainLine(m.from), ui.Counted(got, "message"), left), hint, ui.ExitFailed)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// take calls do with the letters that the command line names. The user must agree first if they are to be dropped.
func (m *morgue) take(ctx context.Context, c *client.Client, do func([]client.Received) error) error {
	n, err := m.count(ctx, c)
	switch {
	case err != nil:
		return err
	case !m.all:
		return m.pick(ctx, c, n, do)
	case n == 0:
		return nil
	}
	if err := m.ask(ctx, n); err != nil {
		return err
	}
	l := m.look(c)
	defer l.end()
	return l.over(ctx, n, do) // not of letters that a daemon makes anew of those replayed: n is the number at the start
}

// pick calls do with the chosen letters while it holds them all. If an ID matches no letter, pick fails first.
func (m *morgue) pick(ctx context.Context, c *client.Client, n int, do func([]client.Received) error) error {
	var chosen []client.Received
	for hold := false; ; hold = true {
		looked := 0
		chosen = nil
		found := make(map[string]bool)
		l := m.look(c)
		l.hold = hold
		err := l.over(ctx, n, func(lot []client.Received) error {
			looked += len(lot)
			for _, r := range lot {
				meant := false
				for _, name := range namesOf(r) {
					if slices.Contains(m.ids, name) {
						meant, found[name] = true, true
					}
				}
				if meant {
					chosen = append(chosen, r)
				}
			}
			return nil
		})
		for _, id := range m.ids {
			if err == nil && !found[id] {
				err = ui.WithHint(fmt.Sprintf("no dead letter in %s has the ID %s; nothing was done", ui.PlainLine(m.from), ui.PlainLine(id)),
					"docker-dispatch dead list -q "+m.Queue+" shows the IDs", ui.ExitFailed)
			}
		}
		renewed := slices.ContainsFunc(chosen, client.Received.Settled)
		n = looked
		if err == nil && !renewed {
			if err = m.ask(ctx, len(chosen)); err == nil {
				err = do(chosen)
			}
			for _, r := range chosen {
				if r.Settled() {
					n--
				}
			}
		}
		l.end()
		m.returned(ctx, l, n)
		if err != nil || !renewed {
			return err
		}
		// Copies of chosen letters are in the queue now, and can be returned once more. New letters may precede them.
		if n, _, err = c.Ready(ctx, m.from); err != nil {
			return err
		}
	}
}
