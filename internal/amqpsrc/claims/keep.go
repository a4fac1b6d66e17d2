package claims

import (
	"context"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// Keep implements [intake.Claims].
func (c *Claims) Keep(key intake.ClaimKey) {
	_ = c.held.alone(context.Background(), key, func(h *hold) error {
		c.held.set(h, max(0, h.holders-1), h.claim)
		return nil
	})
}

// Forget implements [intake.Claims].
func (c *Claims) Forget(ctx context.Context, key intake.ClaimKey) error {
	return c.held.alone(ctx, key, func(h *hold) error {
		if h.holders > 0 {
			return nil
		}
		return c.try(ctx, func(l *line, _ bool) error {
			claim, owner, err := c.registry.find(ctx, l, key, life{})
			if err != nil || owner != c.life {
				return err
			}
			return l.remove(ctx, claim)
		})
	})
}
