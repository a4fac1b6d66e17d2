package message

import (
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// checkOwnName refuses a name that a message may not choose for a container.
func checkOwnName(name string) error {
	if strings.HasPrefix(name, DerivedName) {
		return fmt.Errorf("a name that begins with %s is reserved for the daemon; choose another, or leave it out", DerivedName)
	}
	return flagval.CheckName(name)
}

// DerivedName is the prefix of the names that the daemon chooses for containers. A message may not choose such a name.
const DerivedName = "dispatch-"
