// Package hosts is docker-dispatch hosts, which lists the hosts that share a queue, and releases one that is lost.
//
// Begin at Do. list.go is the list; release.go is the release.
package hosts

import (
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Usage is what -h prints.
//
//go:embed usage.txt
var Usage string

// An invocation is one docker-dispatch hosts.
type invocation struct {
	*subcommand.Broker
	release string // the host to be released; "": the hosts are listed
	yes     bool
	wait    time.Duration
	format  string
}

// Do carries out the subcommand hosts.
func Do(p *subcommand.Invocation) error {
	o := p.Options
	h := &invocation{Broker: p.Broker(), format: "text"}
	o.BoolVar(&h.yes, "yes", false, "")
	o.DurationVar(&h.wait, "wait", 2*time.Second, "")
	o.ChoiceVar(&h.format, "format", "text", "json")
	o.CommandLineOnly("yes")
	o.Verbs = []string{"release"}
	o.Only = map[string][]string{"yes": {"release"}, "format": {}, "wait": {}}
	rest, err := o.Parse(p.Args, p.Getenv)
	if err != nil {
		return err
	}
	if err := h.validate(rest); err != nil {
		return err
	}
	ctx, now, stop := p.Interrupts()
	defer stop()
	c, err := h.Connect(ctx, client.Config{Queue: h.Queue})
	if err != nil {
		return subcommand.CauseOr(ctx, err)
	}
	defer subcommand.Close(c)
	subcommand.CutAt(now, c)
	if h.release == "" {
		err = h.list(ctx, c)
	} else {
		err = h.giveUp(ctx, c)
	}
	return h.explain(subcommand.CauseOr(ctx, err))
}

func (h *invocation) validate(rest []string) error {
	hint := h.Process.Options.Hint()
	switch {
	case len(rest) == 0 && h.yes:
		return ui.UsageError("--yes is for hosts release; the list asks nothing", hint)
	case len(rest) > 0 && rest[0] != "release":
		text := fmt.Sprintf("hosts %s: the only verb is release", rest[0])
		if near := flagval.Nearest(rest[0], h.Process.Options.Verbs); near != "" {
			text += "; did you mean that?"
		}
		return ui.UsageError(text, "docker-dispatch hosts -q QUEUE lists the hosts")
	case len(rest) > 0 && len(rest) != 2:
		return ui.UsageError("hosts release wants the name of one host", "docker-dispatch hosts -q QUEUE lists them")
	case h.wait < 100*time.Millisecond || h.wait > time.Minute:
		return ui.UsageError(fmt.Sprintf("--wait %v: not from 100ms to 1m", h.wait), hint)
	}
	if err := h.Check(); err != nil || len(rest) == 0 {
		return err
	}
	if h.release = rest[1]; !h.yes && !ui.IsTerminal(h.Process.Stdin) {
		return ui.UsageError("hosts release lets other hosts run the jobs of "+ui.PlainLine(h.release)+" again, and there is no terminal to ask on",
			"give --yes if the host is off for good")
	}
	return nil
}

// explain adds a hint to err.
func (h *invocation) explain(err error) error {
	if _, ok := errors.AsType[*ui.Hinted](err); ok || !errors.Is(err, wire.ErrForbidden) {
		return subcommand.Explain(err)
	}
	return ui.WithHint(err.Error(), "give the user the permissions for hosts: docker-dispatch help operate has the line", ui.ExitFailed)
}
