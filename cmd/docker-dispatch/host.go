package main

import (
	"context"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// claims returns what says which host has a job, and the queue's virtual host; nil: no other host has the queue.
func (d *daemon) claims(src source) (claims intake.Claims, vhost string) {
	if s, ok := src.(interface{ Claims() intake.Claims }); ok && d.hostName != "" {
		broker, _ := wire.ParseURL(d.amqpURL) // it was checked at the start
		return s.Claims(), broker.VHost
	}
	return nil, ""
}

// engineID returns the id of the engine once gate is open, because the engine answers.
func (d *daemon) engineID(ctx context.Context, gate *intake.Gate) (string, error) {
	for open, changed := gate.State(); !open; open, changed = gate.State() {
		select {
		case <-changed:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	info, err := d.client.Info(ctx)
	return info.ID, err
}
