package flagval

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ParseRestart reads --restart, NAME[:MAXIMUM].
func ParseRestart(s string) (dockerapi.RestartPolicy, error) {
	name, limit, _ := strings.Cut(s, ":")
	names := []string{"no", "always", "unless-stopped", "on-failure"}
	if s != "" && !slices.Contains(names, name) {
		return dockerapi.RestartPolicy{}, fmt.Errorf("expected %s, got %s", List(names, "or"), Quote(s))
	}
	p := dockerapi.RestartPolicy{Name: name}
	if limit != "" {
		var err error
		if p.MaximumRetryCount, err = strconv.Atoi(limit); err != nil {
			return dockerapi.RestartPolicy{}, fmt.Errorf(`expected a number of restarts such as "on-failure:3", got %s`, Quote(s))
		}
	}
	return p, nil
}
