package client

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// Hosts returns the hosts that share a queue, by name. Nothing else may use the Client meanwhile.
func (c *Client) Hosts(ctx context.Context, queue string) (all []claims.Record, err error) {
	err = c.asOperator(ctx, func() (err error) {
		all, err = claims.Hosts(ctx, c.link, queue)
		return err
	})
	return all, err
}

// Release gives up a host, see claims.Release. Nothing else may use the Client meanwhile.
func (c *Client) Release(ctx context.Context, queue, host string) (done claims.Released, err error) {
	err = c.asOperator(ctx, func() (err error) {
		done, err = claims.Release(ctx, c.link, queue, host)
		return err
	})
	return done, err
}

// asOperator makes calls about hosts, when the broker answers calls.
func (c *Client) asOperator(ctx context.Context, calls func() error) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	err := calls()
	if wire.Code(err) == amqp.AccessRefused {
		err = fmt.Errorf("%w: %s", wire.ErrForbidden, wire.Reason(err))
	}
	return c.why(ctx, err)
}
