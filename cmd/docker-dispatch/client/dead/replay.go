package dead

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// tooMany is how many letters may fail before replay gives up.
const tooMany = 100

var errTooMany = errors.New("too many could not be put back")

// replay sends the chosen dead letters to the queues they came from, and acks each after the broker has stored it there.
func (m *morgue) replay(ctx, now context.Context, c *client.Client) error {
	replayed, failed := 0, 0
	revived := func(r client.Received) (to string, _ client.Message) {
		if to = cmp.Or(r.DeadLetter().Queue, m.Queue); to == m.from {
			to = m.Queue
		}
		return to, r.Revived()
	}
	outcome := func(r client.Received, to string, why error) {
		if why == nil {
			replayed++
			return
		}
		if errors.Is(why, intake.ErrDeliveryLost) {
			why = fmt.Errorf("stored in %s, but not acked, so it is still a dead letter too: %w", to, why)
		}
		failed++
		fmt.Fprintf(m.Process.Stderr, "%s: not put back onto %s: %s\n", ui.PlainLine(idOf(r)), ui.PlainLine(to), ui.PlainLine(why.Error()))
	}
	err := m.take(ctx, c, func(letters []client.Received) error {
		err := forward(ctx, now, c, letters, revived, outcome)
		if err == nil && failed >= tooMany {
			err = errTooMany
		}
		return err
	})
	if replayed > 0 || err == nil {
		fmt.Fprintf(m.Process.Stdout, "%s put back\n", ui.Counted(replayed, "message"))
	}
	if failed > 0 && (err == nil || err == errTooMany) {
		err = ui.WithHint(fmt.Sprintf("%s not put back; they are still in %s", ui.Counted(failed, "message"), ui.PlainLine(m.from)), "mend what is wrong, and replay again", ui.ExitFailed)
	}
	return err
}

// forward sends a message for each letter, and acks the letters whose messages the broker has stored. It calls outcome for
// each letter in order, until ctx or the connection ends: that is its error. now bounds the wait for the broker.
func forward(ctx, now context.Context, c *client.Client, letters []client.Received, of func(client.Received) (to string, m client.Message), outcome func(r client.Received, to string, why error)) (err error) {
	type sending struct {
		client.Received
		to        string
		confirmed func(context.Context) error
	}
	var sent []sending
	for _, r := range letters {
		to, m := of(r)
		confirmed, failed := c.Send(ctx, to, m)
		if err = subcommand.CauseOr(ctx, nil); err == nil && errors.Is(failed, client.ErrGone) {
			err = failed
		}
		if failed != nil {
			confirmed = func(context.Context) error { return failed }
		}
		if failed == nil || err == nil {
			sent = append(sent, sending{r, to, confirmed})
		}
		if err != nil {
			break
		}
	}
	for lot := range slices.Chunk(sent, lotSize) { // acked in lots: a channel sends only few acks ahead of the queue's log
		var stored []client.Received
		why := make([]error, len(lot))
		for i, s := range lot {
			if why[i] = s.confirmed(now); why[i] == nil {
				stored = append(stored, s.Received)
			} else if now.Err() != nil {
				why[i] = subcommand.ErrUnawaited
			}
		}
		lost := client.AckAll(stored)
		for i, s := range lot {
			if why[i] == nil && lost != nil && !s.Settled() {
				why[i] = lost
			}
			outcome(s.Received, s.to, why[i])
		}
	}
	return err
}
