package ps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

const (
	// lateAnswer is how long after the last answer another one may come: a daemon that takes no messages is no consumer, and
	// so it is not known how many there are.
	lateAnswer = 200 * time.Millisecond

	// laterAnswer is that if the broker does not say how many consumers there are.
	laterAnswer = 600 * time.Millisecond

	// mostAnswers bounds the answers of one question, and mostAnswered their bytes: anybody may send some.
	mostAnswers  = 1000
	mostAnswered = 64 << 20

	// brokerAnswers is how long the broker may take to say how many messages and consumers the queue has.
	brokerAnswers = 10 * time.Second
)

// unknown stands for a number that the broker has not told.
const unknown = -1

// ask returns what the daemons of the queue answer.
func (c *psClient) ask(ctx context.Context) (*view, error) {
	if c.client == nil {
		conn, err := c.Connect(ctx, client.Config{Asks: true, Blocked: func(string) {}})
		if err != nil {
			return nil, err
		}
		c.client = conn
	}
	looking, cancel := context.WithTimeout(ctx, brokerAnswers)
	defer cancel()
	v := &view{queue: c.Queue, queued: unknown, consumers: unknown}
	ready, consumers, err := c.client.Ready(looking, c.Queue)
	switch {
	case err == nil:
		v.queued, v.consumers = ready, consumers
	case looking.Err() != nil && ctx.Err() == nil:
		return nil, ui.WithHint(fmt.Sprintf("the broker has not said within %v how many messages %s has", brokerAnswers, ui.PlainLine(c.Queue)),
			"it may be busy, or a quorum queue without its majority", ui.ExitFailed)
	case !errors.Is(err, wire.ErrForbidden): // without the permission, the answers tell
		return nil, subcommand.Explain(err)
	}
	asking, stop := context.WithTimeout(ctx, c.wait)
	defer stop()
	answers, err := c.client.Ask(asking, c.Queue)
	if err == nil {
		v.gather(answers, asking)
	}
	if err == nil && len(v.daemons) == 0 {
		err = client.ErrNobody
	}
	return v, c.unanswered(v, err)
}

// gather takes answers until no more are expected. A message that is no answer is not counted.
func (v *view) gather(answers <-chan []byte, asking context.Context) {
	defer v.sort()
	bytes := 0
	var late <-chan time.Time
	for len(v.daemons) < mostAnswers && bytes < mostAnswered {
		select {
		case body, ok := <-answers:
			if !ok {
				return
			}
			bytes += len(body)
			s, err := status.Decode(body)
			if err != nil || s.Queue != v.queue {
				continue
			}
			v.daemons = append(v.daemons, s)
			switch {
			case v.consumers == unknown:
				late = time.After(laterAnswer)
			case len(v.daemons) >= v.consumers:
				late = time.After(lateAnswer)
			}
		case <-late:
			return
		case <-asking.Done():
			return
		}
	}
}

func (v *view) sort() {
	slices.SortFunc(v.daemons, func(a, b status.Status) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID)) })
}

// unanswered explains why no daemon has answered.
func (c *psClient) unanswered(v *view, err error) error {
	name := ui.PlainLine(c.Queue)
	switch {
	case errors.Is(err, wire.ErrForbidden):
		return ui.WithHint(err.Error(), "let the user's write pattern match ^amq[.]direct$ (rabbitmqctl set_permissions)", ui.ExitFailed)
	case err != nil && c.client.Blocked():
		return ui.WithHint(fmt.Sprintf("the daemons of %s cannot be asked: the broker takes no messages", name), "it is short of memory or disk: rabbitmq-diagnostics alarms", ui.ExitFailed)
	case errors.Is(err, context.DeadlineExceeded):
		return ui.WithHint(fmt.Sprintf("the broker has not taken the question within %v", c.wait), "it may be busy: --wait gives it more time", ui.ExitFailed)
	case !errors.Is(err, client.ErrNobody):
		return err
	case v.consumers == unknown:
		return ui.WithHint("no daemon answers for "+name, "does one run there? its log says if it cannot answer", ui.ExitFailed)
	case v.consumers == 0:
		return ui.WithHint(fmt.Sprintf("no daemon answers for %s: the queue has %s and no consumer", name, ui.Counted(v.queued, "message")),
			"start a daemon: docker-dispatch -q "+name, ui.ExitFailed)
	}
	return ui.WithHint(fmt.Sprintf("no daemon answers for %s: the queue has %s and %s", name, ui.Counted(v.queued, "message"), ui.Counted(v.consumers, "consumer")),
		"the daemon may be older than ps, or may lack a permission: its log says so; or another program consumes the queue", ui.ExitFailed)
}

// silent says that fewer daemons have answered than consume the queue; "": they have not.
func (v *view) silent() string {
	if v.consumers <= len(v.daemons) {
		return ""
	}
	return fmt.Sprintf("%s, %d answered: another one may be older than ps, may lack a permission, or may be no daemon", ui.Counted(v.consumers, "consumer"), len(v.daemons))
}
