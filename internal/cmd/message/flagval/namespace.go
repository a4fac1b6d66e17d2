package flagval

import (
	"fmt"
	"slices"
	"strings"
)

// ParseNamespace refuses a text that is not a --pid, --ipc, --uts, --userns or --cgroupns. kind is the flag's name. An empty
// text is the engine's default.
func ParseNamespace(kind, s string) error {
	var modes []string
	container := false
	switch kind {
	case "pid":
		modes, container = []string{"host"}, true
	case "ipc":
		modes, container = []string{"none", "private", "shareable", "host"}, true
	case "cgroupns":
		modes = []string{"host", "private"}
	default: // uts, userns
		modes = []string{"host"}
	}
	if s == "" || slices.Contains(modes, s) {
		return nil
	}
	if container {
		if name, ok := strings.CutPrefix(s, "container:"); ok && name != "" {
			return nil
		}
		modes = append(modes, "container:NAME")
	}
	return fmt.Errorf("expected %s, got %s", List(modes, "or"), Quote(s))
}
