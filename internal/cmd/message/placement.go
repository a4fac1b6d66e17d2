package message

import (
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A Placement says which of the hosts that share a queue may carry out a command. The zero Placement is any of them.
type Placement struct {
	Host        string // "": any
	Constraints []flagval.Constraint
}

// placementKeys makes the options of a placement.
func placementKeys[T any](field func(*T) *Placement) []key[T] {
	const see = ", see [placement](messages.md#placement)"
	return []key[T]{
		textKey("Host", "the host to use, of several on the queue"+see, func(c *T) *string { return &field(c).Host }, flagval.CheckHost),
		{name: "Constraint", form: formList, help: "labels of the hosts to use, `KEY==VALUE` or `KEY!=VALUE`" + see, set: func(c *T, v []string) error {
			return field(c).setConstraints(v)
		}},
	}
}

// maxConstraints bounds the constraints of a message.
const maxConstraints = 16

func (p *Placement) setConstraints(v []string) error {
	if len(v) > maxConstraints {
		return fmt.Errorf("%d constraints; at most %d are taken", len(v), maxConstraints)
	}
	p.Constraints = nil
	return flagval.Each(v, func(s string) error {
		c, err := flagval.ParseConstraint(s)
		p.Constraints = append(p.Constraints, c)
		return err
	})
}

// Where returns the command's placement, which is the zero Placement if it can have none.
func (t Traits) Where() (p Placement) {
	if t.Placement != nil {
		p = *t.Placement
	}
	return p
}

// Any reports whether any host may carry out the command.
func (p Placement) Any() bool { return p.Host == "" && len(p.Constraints) == 0 }

// Allows reports whether the host with that name and these labels may carry out the command.
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

// String describes the hosts that may carry out the command, as "the host alpha with gpu==yes".
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
