package dockerapi

import (
	"context"
	"errors"
	"testing"
)

// TestRealStartInMissing: a container whose network is that of a missing one cannot be started. It exists, whether it is
// named by its name or its id.
func TestRealStartInMissing(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		if v, err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		} else if v.Podman {
			t.Skip("Podman removes no container that another depends on")
		}
		other := createReal(t, ctx, c, testName(), ContainerConfig{})
		name := testName()
		id := createReal(t, ctx, c, name, ContainerConfig{HostConfig: &HostConfig{NetworkMode: "container:" + other}})
		if err := c.RemoveContainer(ctx, other, RemoveOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{name, "/" + name, id, id[:12]} {
			for what, err := range map[string]error{"start": c.StartContainer(ctx, ref), "restart": c.RestartContainer(ctx, ref, StopOptions{})} {
				if kindsOf(err) != "invalid" {
					t.Errorf("%s %s: kind %q: %v", what, ref, kindsOf(err), err)
				}
			}
		}
		if err := c.RemoveContainer(ctx, id, RemoveOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{name, "/" + name, id, id[:12]} {
			if err := c.StartContainer(ctx, ref); !errors.Is(err, ErrNoSuchContainer) {
				t.Errorf("%s, removed: %v", ref, err)
			}
			if err := c.RestartContainer(ctx, ref, StopOptions{}); !errors.Is(err, ErrNoSuchContainer) {
				t.Errorf("%s, removed: %v", ref, err)
			}
		}
	})
}
