package subcommand

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
)

// LastAcks bounds how long a stop waits for the broker to take the last acks.
const LastAcks = 10 * time.Second

// errInterrupted means that a signal ended a subcommand.
var errInterrupted = errors.New("interrupted")

// Interrupts returns two contexts. The first signal ends work. The second signal ends now, as does the
// time LastAcks after the first. stop releases both.
func (p *Invocation) Interrupts() (work, now context.Context, stop func()) {
	work, stopWork := context.WithCancelCause(context.Background())
	now, stopNow := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		var first time.Time
		var late, soon <-chan time.Time
		for {
			select {
			case <-p.Signals:
				if first.IsZero() {
					first, late, soon = time.Now(), time.After(LastAcks), time.After(time.Second)
					stopWork(errInterrupted)
				} else if time.Since(first) >= ui.SameSignal {
					stopNow(errInterrupted)
				}
			case <-soon:
				fmt.Fprintf(p.Stderr, "docker-dispatch: waiting up to %v for what the broker has been sent; another signal ends that\n", LastAcks)
			case <-late:
				stopNow(errInterrupted)
			case <-done:
				return
			}
		}
	}()
	return work, now, func() {
		close(done)
		stopWork(nil)
		stopNow(nil)
	}
}

// CauseOr returns the cause of ctx if it has ended, else err.
func CauseOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// ErrUnawaited means that a signal ended the wait for the broker's confirm.
var ErrUnawaited = fmt.Errorf("%w: not waited for any longer", client.ErrUnknown)
