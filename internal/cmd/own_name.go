package cmd

import (
	"fmt"
	"strings"
)

// checkOwnName is checkName for a name that a message chooses.
func checkOwnName(name string) error {
	if strings.HasPrefix(name, derivedName) {
		return fmt.Errorf("a name that begins with %s is one that the daemon gives; choose another, or leave it out", derivedName)
	}
	return checkName(name)
}

// derivedName begins the names that containers get from us. A message may not choose such a one.
const derivedName = "dispatch-"
