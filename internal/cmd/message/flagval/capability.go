package flagval

import (
	"slices"
	"strings"
)

// AllCapabilities is the name for all capabilities.
const AllCapabilities = "ALL"

// CapabilityNames returns the names as the docker CLI sends them: in upper case, with CAP_, sorted, each once.
func CapabilityNames(names []string) []string {
	if names == nil {
		return nil
	}
	out := make([]string, 0, len(names))
	for _, n := range names {
		n = strings.ToUpper(strings.TrimSpace(n))
		if n != AllCapabilities && !strings.HasPrefix(n, "CAP_") {
			n = "CAP_" + n
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
