package flagval

import (
	"slices"
	"strings"
)

// allCapabilities stands for every one of them.
const allCapabilities = "ALL"

// CapabilityNames makes of names, with or without CAP_ and in any case, what the docker CLI sends: sorted, each once.
func CapabilityNames(names []string) []string {
	if names == nil {
		return nil
	}
	out := make([]string, 0, len(names))
	for _, n := range names {
		n = strings.ToUpper(strings.TrimSpace(n))
		if n != allCapabilities && !strings.HasPrefix(n, "CAP_") {
			n = "CAP_" + n
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
