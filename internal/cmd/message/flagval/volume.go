package flagval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errRelative is why a folder of the host needs its whole path: the docker CLI looks for another
// in its own working directory, and "~" is the shell's.
var errRelative = errors.New("expected an absolute path of the host or a volume's name; a message has no folder that a relative path could start from")

// isRelative says whether the docker CLI or a shell would take source for a path that is not whole.
// No volume's name begins so.
func isRelative(source string) bool {
	return strings.HasPrefix(source, ".") || strings.HasPrefix(source, "~")
}

// ParseVolume reads one --volume: SOURCE:TARGET[:OPTIONS] is a bind, for the engine to take
// apart, a path alone is where an anonymous volume goes. One of the two is returned.
func ParseVolume(s string) (bind, anonymous string, err error) {
	parts := strings.Split(s, ":")
	source := parts[0]
	switch {
	case isRelative(source):
		return "", "", fmt.Errorf("%w; got %s", errRelative, Quote(s))
	case len(parts) > 3 || slices.Contains(parts, ""):
		return "", "", fmt.Errorf(`expected "source:target", "source:target:options" or a path of the container, got %s`, Quote(s))
	case len(parts) == 1:
		return "", s, nil
	case len(source) == 1 && source != "/":
		// For the docker CLI it is a drive of Windows.
		return "", "", fmt.Errorf("%s is too short; a volume's name has at least two characters", Quote(source))
	}
	return s, "", nil
}

// ParseTmpfs reads one --tmpfs: PATH[:OPTIONS].
func ParseTmpfs(s string) (path, options string, err error) {
	path, options, _ = strings.Cut(s, ":")
	if path == "" {
		return "", "", fmt.Errorf("expected a path of the container, got %s", Quote(s))
	}
	return path, options, nil
}
