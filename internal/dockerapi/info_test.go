package dockerapi

import (
	"context"
	"fmt"
	"net/http"
	"testing"
)

// TestPodmanInfo: Podman makes a new ID for each answer. Ours is the same as long as its host and its folder are.
func TestPodmanInfo(t *testing.T) {
	asked, root := 0, "/var/lib/containers/storage"
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Libpod-Api-Version", "5.4.2")
		if !answerPing(w, r) {
			asked++
			fmt.Fprintf(w, `{"ID": "random-%d", "Name": "alpha", "DockerRootDir": %q}`, asked, root)
		}
	})
	var ids []string
	for range 3 {
		info, err := c.Info(background(t))
		if err != nil || info.DataRoot != root {
			t.Fatal(info, err)
		}
		ids = append(ids, info.ID)
		if len(ids) == 2 {
			root = "/home/user/.local/share/containers/storage"
		}
	}
	if ids[0] != ids[1] || ids[1] == ids[2] {
		t.Errorf("%q", ids)
	}
}

// TestRealInfo: an engine has an ID, which stays the same.
func TestRealInfo(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		first, err := c.Info(ctx)
		if err != nil || first.ID == "" || first.DataRoot == "" {
			t.Fatal(first, err)
		}
		if again, err := c.Info(ctx); err != nil || again != first {
			t.Errorf("%+v, then %+v, %v", first, again, err)
		}
	})
}
