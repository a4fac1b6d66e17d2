package flagval

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func ulimitNames() []string {
	return []string{"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
		"rss", "rtprio", "rttime", "sigpending", "stack"}
}

// ParseUlimit reads one --ulimit, NAME=SOFT[:HARD]; -1 is unlimited.
func ParseUlimit(s string) (dockerapi.Ulimit, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return dockerapi.Ulimit{}, fmt.Errorf(`expected a limit such as "nofile=1024:2048", got %s`, Quote(s))
	}
	if names := ulimitNames(); !slices.Contains(names, name) {
		return dockerapi.Ulimit{}, Unknown("limit", name, names)
	}
	first, second, two := strings.Cut(value, ":")
	if !two {
		second = first
	}
	soft, err1 := strconv.ParseInt(first, 10, 64)
	hard, err2 := strconv.ParseInt(second, 10, 64)
	switch {
	case err1 != nil || err2 != nil:
		return dockerapi.Ulimit{}, fmt.Errorf(`%s: expected a number, or two with a colon, such as "1024:2048", got %s`, name, Quote(value))
	case hard != -1 && (soft == -1 || soft > hard):
		return dockerapi.Ulimit{}, fmt.Errorf("%s: expected a soft limit that is not above the hard one, got %s", name, Quote(value))
	}
	return dockerapi.Ulimit{Name: name, Soft: soft, Hard: hard}, nil
}
