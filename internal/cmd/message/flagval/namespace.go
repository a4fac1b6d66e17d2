package flagval

import (
	"fmt"
	"slices"
	"strings"
)

// otherContainer stands for the namespace of another container among the modes of ParseNamespace.
const otherContainer = "container:NAME"

// ParseNamespace returns a check that refuses a text which is none of the modes of a namespace. An empty text is the engine's
// default.
func ParseNamespace(modes ...string) func(string) error {
	return func(s string) error {
		name, other := strings.CutPrefix(s, "container:")
		if s == "" || slices.Contains(modes, s) || other && name != "" && slices.Contains(modes, otherContainer) {
			return nil
		}
		return fmt.Errorf("expected %s, got %s", List(modes, "or"), Quote(s))
	}
}
