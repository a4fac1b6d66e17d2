package message

import (
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A Placement says which of the hosts that share a queue may have a container. The zero Placement is any of them.
type Placement struct {
	Host        string // "": any
	Constraints []flagval.Constraint
}

// placementKeys are the options of a container's placement.
var placementKeys = []key[Run]{
	textKey("Host", "the host that runs it, of several on the queue, see [placement](messages.md#placement)", func(r *Run) *string { return &r.Placement.Host }, flagval.CheckHost),
	{name: "Constraint", form: formList, help: "labels of the hosts that may run it, `KEY==VALUE` or `KEY!=VALUE`, see [placement](messages.md#placement)", set: setConstraints},
}

// maxConstraints bounds the constraints of a message.
const maxConstraints = 16

func setConstraints(r *Run, v []string) error {
	if len(v) > maxConstraints {
		return fmt.Errorf("%d constraints; at most %d are taken", len(v), maxConstraints)
	}
	r.Placement.Constraints = nil
	return flagval.Each(v, func(s string) error {
		c, err := flagval.ParseConstraint(s)
		r.Placement.Constraints = append(r.Placement.Constraints, c)
		return err
	})
}

// Any reports whether any host may have the container.
func (p Placement) Any() bool { return p.Host == "" && len(p.Constraints) == 0 }

// Allows reports whether the host with that name and these labels may have the container.
func (p Placement) Allows(host string, labels map[string]string) bool {
	for _, c := range p.Constraints {
		if !c.Holds(labels) {
			return false
		}
	}
	return p.Host == "" || p.Host == host
}

// Texts returns the constraints as the message has them.
func (p Placement) Texts() (texts []string) {
	for _, c := range p.Constraints {
		texts = append(texts, c.String())
	}
	return texts
}

// String describes the hosts that may have the container, as "the host alpha with gpu==yes".
func (p Placement) String() string {
	what := "a host"
	if p.Host != "" {
		what = "the host " + p.Host
	}
	if len(p.Constraints) > 0 {
		what += " with " + strings.Join(p.Texts(), " and ")
	}
	return what
}

// PlacementOf returns the placement of the container that a command makes, if it makes one.
func PlacementOf(c Command) Placement {
	switch c := c.(type) {
	case *Run:
		return c.Placement
	case *Create:
		return c.Placement
	}
	return Placement{}
}
