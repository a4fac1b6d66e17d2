package flagval

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// ParseSecurityOpts reads all values of --security-opt. masked and readonly are nil, or empty for systempaths=unconfined,
// which is not among opts: the engine does not know this option.
func ParseSecurityOpts(list []string) (opts []string, masked, readonly *[]string, err error) {
	for _, s := range list {
		if s == "systempaths=unconfined" {
			masked, readonly = &[]string{}, &[]string{}
			continue
		}
		if s, err = parseSecurityOpt(s); err != nil {
			return nil, nil, nil, err
		}
		opts = append(opts, s)
	}
	return NotNil(opts), masked, readonly, nil
}

// parseSecurityOpt reads NAME=VALUE, or NAME:VALUE, the older form.
func parseSecurityOpt(s string) (string, error) {
	i := strings.IndexAny(s, "=:")
	if s == "no-new-privileges" || i > 0 && s[:i] == "no-new-privileges" {
		return s, nil
	}
	if i <= 0 || i == len(s)-1 {
		return "", fmt.Errorf(`expected an option such as "label=disable", got %s`, Quote(s))
	}
	name, value := s[:i], s[i+1:]
	if name != "seccomp" || value == "unconfined" || value == "builtin" {
		return s, nil
	}
	// The docker CLI reads the file that the value names, and sends its contents.
	if !strings.HasPrefix(strings.TrimLeft(value, " \t\r\n"), "{") {
		return "", fmt.Errorf("seccomp takes the profile's JSON text, a message has no files; got %s", Quote(value))
	}
	var profile bytes.Buffer
	if err := json.Compact(&profile, []byte(value)); err != nil {
		return "", fmt.Errorf("the seccomp profile is not JSON: %w", err)
	}
	return "seccomp=" + profile.String(), nil
}

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
