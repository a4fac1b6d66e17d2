package cmd

import (
	"slices"
	"strings"
)

// allCapabilities stands for every one of them.
const allCapabilities = "ALL"

// capabilities makes of names, with or without CAP_ and in any case, what the docker CLI sends: sorted,
// each once. What is both added and dropped is added.
func capabilities(add, drop []string) (effectiveAdd, effectiveDrop []string) {
	add, drop = capabilityNames(add), capabilityNames(drop)
	drop = slices.DeleteFunc(drop, func(c string) bool {
		_, added := slices.BinarySearch(add, c)
		return added
	})
	return add, drop
}

func capabilityNames(names []string) []string {
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
