package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
)

// replay sends the chosen dead letters to their queue, and acks each after the broker has stored it there.
func (m *morgue) replay(ctx, now context.Context, c *client.Client) error {
	n, err := m.count(ctx, c)
	if err != nil {
		return err
	}
	r := &replaying{morgue: m, client: c, now: now}
	send := func(letters []client.Received) error { return r.send(ctx, letters) }
	if m.all {
		l := m.look(c)
		// A replayed message may be dead-lettered again at once: n limits the number of letters to that of the start.
		err = l.over(ctx, n, send)
		l.end()
	} else {
		err = m.pick(ctx, c, n, send)
	}
	if r.replayed > 0 || err == nil {
		fmt.Fprintf(m.process.stdout, "%s put back\n", counted(r.replayed, "message"))
	}
	if n := r.failed; n > 0 && (err == nil || err == errTooMany) {
		err = ui.WithHint(fmt.Sprintf("%s not put back; they are still in %s", counted(n, "message"), ui.PlainLine(m.from)), "mend what is wrong, and replay again", ui.ExitFailed)
	}
	return err
}

// A replaying is a replay in progress.
type replaying struct {
	*morgue
	client           *client.Client
	now              context.Context
	replayed, failed int
}

// tooMany is how many letters may fail before replay gives up.
const tooMany = 100

var errTooMany = errors.New("too many could not be put back")

// send sends dead letters to the queues they came from, and acks the letters that the broker has stored there.
func (r *replaying) send(ctx context.Context, letters []client.Received) (err error) {
	type revived struct {
		client.Received
		to        string
		confirmed func(context.Context) error
	}
	var sent []revived
	for _, l := range letters {
		to := cmp.Or(l.DeadLetter().Queue, r.queue)
		if to == r.from {
			to = r.queue
		}
		confirmed, failed := r.client.Send(ctx, to, l.Revived())
		if err = causeOr(ctx, nil); failed != nil && err == nil && errors.Is(failed, client.ErrGone) {
			err = failed
		}
		if failed != nil {
			confirmed = func(context.Context) error { return failed }
		}
		if failed == nil || err == nil {
			sent = append(sent, revived{l, to, confirmed})
		}
		if err != nil {
			break
		}
	}
	for lot := range slices.Chunk(sent, lotSize) { // acked in lots: a channel sends only few acks ahead of the queue's log
		var stored []client.Received
		why := make([]error, len(lot))
		for i, v := range lot {
			if why[i] = v.confirmed(r.now); why[i] == nil {
				stored = append(stored, v.Received)
			} else if r.now.Err() != nil {
				why[i] = fmt.Errorf("%w: not waited for any longer", client.ErrUnknown)
			}
		}
		lost := client.AckAll(stored)
		for i, v := range lot {
			if why[i] == nil && (lost == nil || v.Settled()) {
				r.replayed++
				continue
			}
			if why[i] == nil {
				why[i] = fmt.Errorf("stored in %s, but not acked, so it is still a dead letter too: %w", v.to, lost)
			}
			r.failed++
			fmt.Fprintf(r.process.stderr, "%s: not put back onto %s: %s\n", ui.PlainLine(idOf(v.Received)), ui.PlainLine(v.to), ui.PlainLine(why[i].Error()))
		}
	}
	if err == nil && r.failed >= tooMany {
		err = errTooMany
	}
	return err
}
