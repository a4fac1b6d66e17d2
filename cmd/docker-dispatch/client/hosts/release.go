package hosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
)

// giveUp releases the host: its messages go back to the queue, and its claims are void.
func (h *invocation) giveUp(ctx context.Context, c *client.Client) error {
	hosts, err := h.hosts(ctx, c)
	if err != nil {
		return err
	}
	name, queue := ui.PlainLine(h.release), ui.PlainLine(h.Queue)
	i := slices.IndexFunc(hosts, func(o host) bool { return o.Host == h.release })
	switch {
	case i < 0:
		return ui.WithHint(fmt.Sprintf("%s is no host of %s; nothing was released", name, queue), "docker-dispatch hosts -q "+queue+" lists the hosts", ui.ExitFailed)
	case hosts[i].State == alive:
		return errAlive(name)
	}
	if err := h.ask(ctx, hosts[i]); err != nil {
		return err
	}
	done, err := c.Release(ctx, h.Queue, h.release)
	switch {
	case errors.Is(err, claims.ErrAlive):
		return errAlive(name)
	case err == nil:
		fmt.Fprintf(h.Process.Stdout, "%s is released: %s put back onto %s\n", name, ui.Counted(done.Messages, "message"), queue)
	case done.Messages > 0:
		fmt.Fprintf(h.Process.Stdout, "%s is not released yet: %s put back onto %s\n", name, ui.Counted(done.Messages, "message"), queue)
	}
	return err
}

func errAlive(name string) error {
	return ui.WithHint(name+" is alive; nothing was released", "stop its daemon first: what it runs then waits for it, and can be released", ui.ExitFailed)
}

// ask asks the user whether to release a host. It returns nil for yes.
func (h *invocation) ask(ctx context.Context, o host) error {
	if h.yes {
		return nil
	}
	name := ui.PlainLine(o.Host)
	agreed, err := h.Process.Agreed(ctx, fmt.Sprintf(`%s: %s. %s for it in %s and %[4]s.control.
After the release, all its jobs run on other hosts, from the start. Output that only %[1]s has is lost.
A job whose container still runs on %[1]s then runs twice.
Is %[1]s off for good, or are its containers stopped? Release it?`, name, cmp.Or(o.lastSeen(time.Now()), o.State), waits(o.Waiting), ui.PlainLine(h.Queue+".host."+o.Host)))
	if err == nil && !agreed {
		err = ui.WithHint("nothing was released", "answer y to release, or give --yes", ui.ExitFailed)
	}
	return err
}

// waits says how many messages wait.
func waits(n int) string {
	if n == 1 {
		return "1 message waits"
	}
	return ui.Counted(n, "message") + " wait"
}
