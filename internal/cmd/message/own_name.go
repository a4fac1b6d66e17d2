package message

import (
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// checkOwnName is CheckName for a name that a message chooses.
func checkOwnName(name string) error {
	if strings.HasPrefix(name, DerivedName) {
		return fmt.Errorf("a name that begins with %s is one that the daemon gives; choose another, or leave it out", DerivedName)
	}
	return flagval.CheckName(name)
}

// DerivedName begins the names that containers get from us. A message may not choose such a one.
const DerivedName = "dispatch-"
