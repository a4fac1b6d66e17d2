package dockerapi

import (
	"context"
	"testing"
	"time"
)

// TestEngineStartedReal: an engine was started before its containers, and not in the future.
func TestEngineStartedReal(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		started, err := c.EngineStarted(ctx)
		if err != nil {
			if v, ping := c.Ping(ctx); ping == nil && v.Podman {
				t.Skip("Podman's default bridge has another name: ", err)
			}
			t.Fatalf("%v: the engine is to have its default bridge", err)
		}
		ctr, err := c.InspectContainer(ctx, createReal(t, ctx, c, testName(), ContainerConfig{}))
		if err != nil {
			t.Fatal(err)
		}
		if started.After(ctr.Created) || time.Since(started) > 30*24*time.Hour {
			t.Errorf("started %v, and created a container %v", started, ctr.Created)
		}
	})
}
