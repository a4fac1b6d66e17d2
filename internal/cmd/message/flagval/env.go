package flagval

import (
	"fmt"
	"strings"
)

// ParseEnv refuses a text that is not an --env, NAME=VALUE. NAME alone removes the image's variable. The docker CLI would
// take its value from its own environment, but the daemon's environment is not for publishers.
func ParseEnv(s string) error {
	name, _, _ := strings.Cut(s, "=")
	switch {
	case name == "":
		return fmt.Errorf("expected NAME=VALUE, or NAME to remove it, got %s", Quote(s))
	case strings.ContainsRune(s, 0):
		return fmt.Errorf("%s holds a NUL byte, which no variable can", Quote(name))
	case len(s) > maxArg:
		return fmt.Errorf("%s has %d bytes; Linux gives a program at most %d in one variable", Quote(name), len(s), maxArg)
	}
	return nil
}

// LastOfEach removes repeated variables: the last value stays, in the first place, as with the docker CLI.
func LastOfEach(env []string) []string {
	kept := make([]string, 0, len(env))
	at := make(map[string]int, len(env))
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if i, ok := at[name]; ok {
			kept[i] = e
			continue
		}
		at[name] = len(kept)
		kept = append(kept, e)
	}
	return kept
}

// ParseLabel reads one --label, NAME[=VALUE].
func ParseLabel(s string) (name, value string, err error) {
	name, value, _ = strings.Cut(s, "=")
	if name == "" || strings.ContainsAny(name, " \t\r\n\v\f") {
		return "", "", fmt.Errorf("expected a label, a name without spaces, and =VALUE, got %s", Quote(s))
	}
	return name, value, nil
}
