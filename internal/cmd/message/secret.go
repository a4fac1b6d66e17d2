package message

import (
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A SecretVariable is an environment variable whose value is one of the daemon's secrets: "NAME=secret:SECRET".
type SecretVariable struct {
	At     int // its place in the list of variables
	Name   string
	Secret string
}

// SecretVariables returns those of a list of variables.
func SecretVariables(env []string) (list []SecretVariable) {
	for i, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if secret, ok := strings.CutPrefix(value, flagval.SecretPrefix); ok {
			list = append(list, SecretVariable{i, name, secret})
		}
	}
	return list
}
