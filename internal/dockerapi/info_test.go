package dockerapi

import (
	"context"
	"fmt"
	"net/http"
	"testing"
)

// TestInfoID: an engine's ID stays the same as long as its machine and its folder do, although Podman makes a new one for each
// answer. Engines of one machine have different IDs, although Docker's own is the same for all.
func TestInfoID(t *testing.T) {
	for _, podman := range []bool{true, false} {
		t.Run(fmt.Sprintf("podman=%v", podman), func(t *testing.T) { infoID(t, podman) })
	}
}

func infoID(t *testing.T, podman bool) {
	asked, root := 0, "/var/lib/containers/storage"
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if podman {
			w.Header().Set("Libpod-Api-Version", "5.4.2")
			asked++
		}
		if !answerPing(w, r) {
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
