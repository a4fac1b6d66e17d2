package container

import (
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// look returns a [*policy.DeniedError] if a volume or a network that a run names is another thing on the engine than its name
// says. It asks the engine only about names that can be.
func (t *Work) look(r *message.Run) error {
	if t.Rules.Trust {
		return nil
	}
	for _, name := range r.Volumes() {
		if t.Rules.Lists("Volume", name) {
			continue
		}
		v, err := ask(t, func() (v dockerapi.Volume, err error) {
			v, _, err = t.Carrier.Docker.InspectVolume(t.Ctx, name)
			return v, err
		})
		if err != nil {
			return err
		}
		if len(v.Options) > 0 || v.Driver != "" && v.Driver != "local" {
			return &policy.DeniedError{
				Err: fmt.Errorf("the volume %s", flagval.Quote(name)),
				Why: policy.Because("it has a driver's options, which can name a path of the host", "Allow.Volume"),
			}
		}
	}
	for _, n := range r.Networks {
		if strings.Trim(n.Name, "0123456789abcdef") != "" {
			continue // it is no id
		}
		found, err := ask(t, func() (got dockerapi.Network, err error) {
			got, _, err = t.Carrier.Docker.InspectNetwork(t.Ctx, n.Name)
			return got, err
		})
		if err != nil {
			return err
		}
		if found.Name != "" && found.Name != n.Name && !t.Rules.ListsNetwork(n.Name, found.Name) {
			return &policy.DeniedError{
				Err: fmt.Errorf("Options.Network: %s", flagval.Quote(n.Name)),
				Why: "because it is the id of a network, not its name: give the name",
			}
		}
	}
	return nil
}
