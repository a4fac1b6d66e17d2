package claims

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
)

const (
	// inUse is how long the host's name may be in use at first: so long the broker may take to notice that a former connection
	// has ended.
	inUse = time.Minute

	// soon is the longest delay to the next attempt while the name is in use.
	soon = 2 * time.Second
)

// Run connects, makes this host known at the broker, and keeps the connection up until ctx ends. Then it returns nil. It returns
// wire.ErrReleased if the operator released this host, at any time, and other errors only before the host has entered first, if
// waiting does not help.
func (c *Claims) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var signs sync.WaitGroup
	defer signs.Wait()
	defer cancel()
	defer close(c.ended)
	var used time.Time // since when the name is in use
	first := true
	for wait := new(wire.Backoff); ; {
		began := time.Now()
		l, err := c.open(ctx)
		if err == nil {
			c.report.Well()
			if first {
				first = false
				signs.Go(func() { c.signs(ctx) })
			}
			err = c.serve(ctx, l)
		}
		pause := wait.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, wire.ErrReleased):
			return err
		case errors.Is(err, wire.ErrHostTaken):
			if used.IsZero() {
				used = began
			}
			if first && time.Since(used) > c.patience {
				return err
			}
			pause = min(pause, soon)
		case errors.Is(err, wire.ErrLogin): // the other connections tell a wrong password from a network that breaks
		case first && wire.Fatal(err):
			return err
		}
		if time.Since(began) > wire.LongEnough {
			wait.Reset()
		}
		c.report.Fail(err)
		if delay.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// serve lets calls be made on a connection until it or ctx ends, and returns why it ended.
func (c *Claims) serve(ctx context.Context, l *line) error {
	c.set(l)
	err := l.link.Watch(ctx, func(bool, string) {}) // a broker that takes no messages takes calls
	err = cmp.Or(wire.NonBlocking(l.why), err)
	c.set(nil)
	close(l.over)
	c.dialer.Part(l.link, err == nil)
	return err
}

// set makes l the current connection; nil: there is none.
func (c *Claims) set(l *line) {
	c.mu.Lock()
	c.line = l
	c.mu.Unlock()
	c.entered.Set(l != nil)
}
