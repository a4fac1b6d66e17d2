package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// A taking is the outcome of takeAll: the last result, or an error.
type taking struct {
	result *event.Result
	err    error
}

// takeAll takes answers until the last result, an error, or the end of the connection. While the broker may hold answers
// for an earlier connection, later answers wait.
func (c *runClient) takeAll(answers <-chan client.Received, noticed time.Time) taking {
	type waiting struct {
		client.Received
		event event.Event
	}
	var early []waiting // at most onTheWay, because they are not acked
	timer := time.NewTimer(time.Until(noticed))
	defer timer.Stop()
	for {
		select {
		case m, ok := <-answers:
			if !ok {
				return taking{nil, errLine}
			}
			c.heard.Store(true)
			e, _ := event.Decode(m.Body) // a body that is no event is not a daemon's: ignored
			early = append(early, waiting{m, e})
		case <-timer.C:
		}
		for {
			i := slices.IndexFunc(early, func(w waiting) bool { return !time.Now().Before(noticed) || !c.answer.tooEarly(w.event) })
			if i < 0 {
				break
			}
			w := early[i]
			early = slices.Delete(early, i, i+1)
			if result, err := c.take(w.Received, w.event); result != nil || err != nil {
				return taking{result, err}
			}
		}
		if len(early) > 0 {
			c.waits.Show("docker-dispatch: waiting for output that the broker holds for a lost connection")
		}
	}
}

// take prints and stores what an event says. It returns the last result, or why there cannot be one.
func (c *runClient) take(m client.Received, e event.Event) (result *event.Result, err error) {
	defer c.ack(m)
	switch {
	case e.Pull != nil && e.Pull.Job == c.job:
		c.pulling(e.Pull)
	case e.Started != nil && e.Started.Job == c.job:
		c.warn(e.Started.Warnings)
		c.waits.Show("docker-dispatch: started on %s", e.Started.Host)
		if e.Started.ContainerID != "" {
			err = c.identified(e.Started.ContainerID)
		}
	case e.Output != nil:
		if err = c.answer.output(e.Output); err != nil {
			err = &leftError{fmt.Sprintf("the output cannot be written: %v; %s", err, c.fate())}
		}
	case e.Result != nil && c.answer.result(e.Result):
		result = e.Result
	}
	return result, err
}

// ack acks handled events in batches: otherwise the broker sends no more. Unacked events are redelivered to the next connection,
// which recognizes them. The last events are never acked, because their queue is deleted.
func (c *runClient) ack(m client.Received) {
	if c.written = append(c.written, m); len(c.written) < onTheWay/2 {
		return
	}
	client.AckAll(c.written)
	c.written = nil
}

// hasTold records the outcome of sending the stop. An error means that another connection may help.
func (c *runClient) hasTold(err error) error {
	switch {
	case err == nil:
		c.sent.Store(stopSent)
		c.waits.Show("docker-dispatch: stopping the job")
		return nil
	case errors.Is(err, client.ErrGone), errors.Is(err, client.ErrUnknown), errors.Is(err, context.Canceled):
		return err
	}
	c.sent.Store(stopRefused)
	c.waits.End()
	c.say("the job cannot be stopped from here: queue %q: %v; a second signal leaves it", c.control, err)
	return nil
}
