package cmd

import (
	"fmt"
	"slices"
	"strings"
)

// parseKeyValue reads one --log-opt or --annotation, NAME[=VALUE].
func parseKeyValue(s string) (name, value string, err error) {
	name, value, _ = strings.Cut(s, "=")
	if name == "" {
		return "", "", fmt.Errorf("expected NAME=VALUE, got %s", quote(s))
	}
	return name, value, nil
}

// parseStorageOpt reads one --storage-opt, NAME=VALUE.
func parseStorageOpt(s string) (name, value string, err error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return "", "", fmt.Errorf("expected NAME=VALUE, got %s", quote(s))
	}
	return name, value, nil
}

// parseSysctl reads one --sysctl, NAME=VALUE, of those that a container has to itself.
func parseSysctl(s string) (name, value string, err error) {
	name, value, ok := strings.Cut(s, "=")
	known := []string{"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"}
	own := strings.HasPrefix(name, "net.") || strings.HasPrefix(name, "fs.mqueue.") || slices.Contains(known, name)
	switch {
	case !ok:
		return "", "", fmt.Errorf("expected NAME=VALUE, got %s", quote(s))
	case !own:
		return "", "", fmt.Errorf("%s is not one that a container has of its own; expected net.*, fs.mqueue.*, %s", quote(name), list(known, "or"))
	}
	return name, value, nil
}
