package claims

import (
	"context"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// livingFor is how long the hosts that are alive are not asked for again.
const livingFor = 10 * time.Second

// living are the hosts that were alive lately.
type living struct {
	turn  chan struct{} // held by the goroutine that reads or writes the others
	hosts []intake.Host
	at    time.Time // when they were asked for last
}

// Living implements [intake.Claims]. If the hosts cannot be found out, it returns those of before.
func (c *Claims) Living(ctx context.Context) ([]intake.Host, error) {
	select {
	case c.living.turn <- struct{}{}:
		defer func() { <-c.living.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if time.Since(c.living.at) < livingFor {
		return c.living.hosts, nil
	}
	var hosts []intake.Host
	err := c.try(ctx, func(l *line, _ bool) error {
		return c.registry.reading(ctx, l, func() (err error) {
			hosts, err = c.ask(ctx, l)
			return err
		})
	})
	switch {
	case ctx.Err() != nil, errors.Is(err, errEnded):
		return nil, err
	case err != nil:
		c.config.Log.Debug("it is not known which hosts are alive", "error", err)
	default:
		c.living.hosts = hosts
	}
	c.living.at = time.Now()
	return c.living.hosts, nil
}

// ask returns the hosts that are alive. The caller has the turn, and is reading.
func (c *Claims) ask(ctx context.Context, l *line) ([]intake.Host, error) {
	known := make(map[string]map[string]string)
	for _, h := range c.living.hosts {
		known[h.Name] = h.Labels
	}
	hosts := []intake.Host{{Name: c.config.Host, Labels: c.config.Labels}}
	names, err := c.registry.hosts(ctx, l)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == c.config.Host {
			continue
		}
		alive, err := l.locked(ctx, lockQueue(c.config.Queue, name))
		if err != nil {
			return nil, err
		}
		if !alive {
			continue
		}
		last, err := l.sign(ctx, seenQueue(c.config.Queue, name))
		if err != nil {
			return nil, err
		}
		labels, ok := known[name]
		if !last.At.IsZero() {
			labels, ok = last.Labels, true
		} // else somebody else reads it just now, or the host has just come
		if ok {
			hosts = append(hosts, intake.Host{Name: name, Labels: labels})
		}
	}
	return hosts, nil
}
