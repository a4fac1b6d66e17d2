package flagval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

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
