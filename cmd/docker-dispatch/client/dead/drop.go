package dead

import (
	"context"
	"fmt"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
)

// drop deletes the chosen dead letters.
func (m *morgue) drop(ctx context.Context, c *client.Client) error {
	dropped := 0
	err := m.take(ctx, c, func(letters []client.Received) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := client.AckAll(letters)
		for _, r := range letters {
			if r.Settled() {
				dropped++
			}
		}
		return err
	})
	if dropped > 0 || err == nil {
		fmt.Fprintf(m.Process.Stdout, "%s dropped from %s\n", ui.Counted(dropped, "message"), ui.PlainLine(m.from))
	}
	return err
}

// ask asks the user whether to drop n messages, if the verb is drop. It returns nil for yes.
func (m *morgue) ask(ctx context.Context, n int) error {
	if m.yes || m.verb != "drop" {
		return nil
	}
	agreed, err := m.Process.Agreed(ctx, fmt.Sprintf("drop %s from %s for good?", ui.Counted(n, "message"), ui.PlainLine(m.from)))
	if err == nil && !agreed {
		err = ui.WithHint("nothing was dropped", "answer y to drop, or give --yes", ui.ExitFailed)
	}
	return err
}
