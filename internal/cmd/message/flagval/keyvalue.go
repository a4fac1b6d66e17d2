package flagval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
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

// ParseEnv refuses a text that is not an --env, NAME=VALUE. NAME alone removes the image's variable. The docker CLI would
// take its value from its own environment, but the daemon's environment is not for publishers.
func ParseEnv(s string) error {
	name, value, ok := strings.Cut(s, "=")
	shown := Quote(name)
	if !ok { // it may be a value, and a secret
		shown = "it"
	}
	switch {
	case name == "":
		return errors.New("expected NAME=VALUE, or NAME to remove it; it has no name")
	case strings.ContainsRune(s, 0):
		return fmt.Errorf("%s holds a NUL byte, which no variable can", shown)
	case len(s) > maxArg:
		return fmt.Errorf("%s has %d bytes; Linux gives a program at most %d in one variable", shown, len(s), maxArg)
	}
	if secret, ok := strings.CutPrefix(value, SecretPrefix); ok {
		if strings.ContainsFunc(name, unicode.IsControl) {
			return errors.New("the name of a variable with a secret has a control character")
		}
		return CheckSecret(secret)
	}
	return nil
}

// SecretPrefix begins a variable's value that is the name of a secret.
const SecretPrefix = "secret:"

// CheckSecret refuses a text that cannot be the name of a secret. It does not quote the text: it may be the secret itself.
func CheckSecret(name string) error {
	if !isTag(name) {
		return errors.New("expected the name of a secret: letters, digits, and behind the first also _ . -, at most 128")
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
