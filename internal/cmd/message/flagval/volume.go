package flagval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errRelative refuses a relative path of the host. The docker CLI resolves it from its own working directory, and a shell
// resolves "~": a message has neither.
var errRelative = errors.New("expected an absolute path of the host or a volume's name; a message has no folder that a relative path could start from")

// isRelative reports whether the docker CLI or a shell would take source for a relative path. No volume's name begins so.
func isRelative(source string) bool {
	return strings.HasPrefix(source, ".") || strings.HasPrefix(source, "~")
}

// ParseVolume reads one --volume, and returns one of two. SOURCE:TARGET[:OPTIONS] is a bind, which the engine splits. A path
// alone is the place of an anonymous volume.
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
		// The docker CLI takes it for a drive of Windows.
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
