package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestStale: a host that was released says what its former lives have left, and removes only that, and only if asked to.
func TestStale(t *testing.T) {
	for _, remove := range []bool{false, true} {
		onHosts(t, func(c *fakeCluster) {
			c.change = func(cfg *Config) { cfg.RemoveStale = remove }
			c.hosts["a"].epoch = 2
			for name, labels := range map[string]string{
				"now": "a.2", "before": "a.1", "long before": "a.0", "none": "", "of another": "b.0", "of a longer name": "a.b.0", "elsewhere": "a.1",
			} {
				place := intake.Place{Broker: "here"}
				if name == "elsewhere" {
					place.VHost = "other"
				}
				id, err := c.hosts["a"].docker.CreateContainer(t.Context(), name, dockerapi.ContainerConfig{
					Image: "busybox", Labels: map[string]string{identity.LabelHost: labels, identity.LabelQueue: "q", identity.LabelBroker: place.String()},
				})
				if err == nil {
					err = c.hosts["a"].docker.StartContainer(t.Context(), id.ID)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			c.claims[intake.NameKey("before")] = "a.2" // of this life
		}, func(c *fakeCluster) {
			if len(c.claims) != 1 {
				t.Errorf("remove %v: a claim of this life went with a container of another", remove)
			}
			var left []string
			for _, f := range c.hosts["a"].docker.all() {
				left = append(left, f.Name)
			}
			slices.Sort(left)
			want := "before,elsewhere,long before,none,now,of a longer name,of another"
			if remove {
				want = "elsewhere,none,now,of a longer name,of another"
			}
			if got := strings.Join(left, ","); got != want {
				t.Errorf("remove %v: left are %s, want %s", remove, got, want)
			}
			hint := "label=docker-dispatch.host=a.1)"
			if said := strings.Contains(c.log.String(), hint); said == remove {
				t.Errorf("remove %v: %s", remove, c.log.String())
			}
		})
	}
}
