package flagval

import (
	"fmt"
	"slices"
	"strings"
)

// ParseKeyValue reads one --log-opt or --annotation, NAME[=VALUE].
func ParseKeyValue(s string) (name, value string, err error) {
	name, value, _ = strings.Cut(s, "=")
	if name == "" {
		return "", "", fmt.Errorf("expected NAME=VALUE, got %s", Quote(s))
	}
	return name, value, nil
}

// ParseStorageOpt reads one --storage-opt, NAME=VALUE.
func ParseStorageOpt(s string) (name, value string, err error) {
	if !strings.Contains(s, "=") {
		return "", "", fmt.Errorf("expected NAME=VALUE, got %s", Quote(s))
	}
	return ParseKeyValue(s)
}

// ParseSysctl reads one --sysctl, NAME=VALUE. It refuses parameters that a container shares with the host.
func ParseSysctl(s string) (name, value string, err error) {
	name, value, ok := strings.Cut(s, "=")
	known := []string{"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"}
	own := strings.HasPrefix(name, "net.") || strings.HasPrefix(name, "fs.mqueue.") || slices.Contains(known, name)
	switch {
	case !ok:
		return "", "", fmt.Errorf("expected NAME=VALUE, got %s", Quote(s))
	case !own:
		return "", "", fmt.Errorf("%s is not one that a container has of its own; expected net.*, fs.mqueue.*, %s", Quote(name), List(known, "or"))
	}
	return name, value, nil
}
