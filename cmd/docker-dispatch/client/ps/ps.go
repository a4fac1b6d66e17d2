// Package ps is docker-dispatch ps, which asks the daemons of a queue what they do.
//
// Begin at Do. ask.go has questions and answers; view.go and failed.go what is shown; screen.go the screen of --watch.
package ps

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
)

// Usage is what -h prints.
//
//go:embed usage.txt
var Usage string

// psClient is one docker-dispatch ps.
type psClient struct {
	*subcommand.Broker
	failed bool
	every  time.Duration // 0: once
	wait   time.Duration
	format string

	client *client.Client // nil: not connected
}

// setEvery sets the time of --watch, whose value may be left out.
func (c *psClient) setEvery(text string) error {
	if text == "true" {
		text = "2s"
	}
	t, err := time.ParseDuration(text)
	if err != nil || t < 100*time.Millisecond {
		return errors.New("expected a time from 100ms on, such as 5s")
	}
	c.every = t
	return nil
}

// Do carries out the subcommand ps.
func Do(p *subcommand.Invocation) error {
	o := p.Options
	c := &psClient{Broker: p.Broker(), format: "text"}
	o.BoolVar(&c.failed, "failed", false, "")
	o.BoolFunc("watch", "", c.setEvery)
	o.DurationVar(&c.wait, "wait", 2*time.Second, "")
	o.ChoiceVar(&c.format, "format", "text", "json")
	o.CommandLineOnly("failed", "watch")
	rest, err := o.Parse(p.Args, p.Getenv)
	if err != nil {
		return err
	}
	if len(rest) == 1 && c.every != 0 { // --watch 5s
		if err := c.setEvery(rest[0]); err != nil {
			return ui.UsageError(fmt.Sprintf("--watch %s: %v", rest[0], err), p.Options.Hint())
		}
		rest = nil
	}
	if err := c.validate(rest); err != nil {
		return err
	}
	ctx, _, stop := p.Interrupts()
	defer stop()
	defer c.hangUp()
	if c.every != 0 {
		return c.watch(ctx)
	}
	v, err := c.ask(ctx)
	if err != nil {
		return subcommand.CauseOr(ctx, err)
	}
	return c.print(v)
}

func (c *psClient) validate(rest []string) error {
	switch {
	case len(rest) > 0:
		return ui.UsageError(fmt.Sprintf("ps takes no argument, and %q is one", rest[0]), c.Process.Options.Hint())
	case c.wait < 100*time.Millisecond || c.wait > time.Minute:
		return ui.UsageError(fmt.Sprintf("--wait %v: not from 100ms to 1m", c.wait), c.Process.Options.Hint())
	}
	return c.Check()
}

// hangUp closes the connection.
func (c *psClient) hangUp() {
	if c.client != nil {
		subcommand.Close(c.client)
		c.client = nil
	}
}

// print writes what the daemons have answered.
func (c *psClient) print(v *view) error {
	if c.format == "json" {
		if v.silent() != "" {
			fmt.Fprintf(c.Process.Stderr, "docker-dispatch: warning: %s\n", ui.PlainLine(v.silent()))
		}
		return ui.WriteJSON(c.Process.Stdout, v.daemons)
	}
	_, err := fmt.Fprint(c.Process.Stdout, c.text(v))
	return err
}

// text returns what the daemons have answered, for the width of stdout.
func (c *psClient) text(v *view) string {
	v.width, v.colours = 200, ui.Colours(c.Process.Stdout, c.Process.Getenv)
	if ui.IsTerminal(c.Process.Stdout) {
		v.width, _ = ui.Screen(c.Process.Stdout)
	}
	if c.failed {
		return v.failed()
	}
	return v.all()
}

// watch asks again and again, until ctx ends. An error after the first answer is shown in place of the answers.
func (c *psClient) watch(ctx context.Context) error {
	again := time.NewTicker(c.every)
	defer again.Stop()
	screen := c.format == "text" && ui.IsTerminal(c.Process.Stdout)
	for first := true; ; first = false {
		v, err := c.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			c.hangUp()
		}
		if screen {
			if first {
				defer enterScreen(c.Process.Stdout)()
			}
			text := ""
			if err != nil {
				text = "error: " + ui.PlainLine(err.Error()) + "\n"
			} else {
				text = c.text(v)
			}
			err = redraw(c.Process.Stdout, text)
		} else if err != nil {
			fmt.Fprintf(c.Process.Stderr, "docker-dispatch: error: %s\n", ui.PlainLine(err.Error()))
			err = nil
		} else {
			if c.format == "text" {
				fmt.Fprintf(c.Process.Stdout, "%s\n", time.Now().Format(time.RFC3339))
			}
			err = c.print(v)
			if c.format == "text" && err == nil {
				_, err = fmt.Fprintln(c.Process.Stdout)
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}
