package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func (l *asking) logs(h *dockerapi.HostConfig) {
	c := h.LogConfig
	if c == nil {
		return
	}
	l.given("LogDriver", c.Type, when(!keepsLocally(c.Type), "sends output elsewhere as the host, or reads the host's files"))
	for _, o := range pairs(c.Config) {
		name, value, _ := strings.Cut(o, "=")
		why := when(c.Type == "", `stands without a LogDriver, such as "json-file" or "local", for which most are allowed`) // the engine's own may be any
		l.option("LogOpt", o, cmp.Or(why, plainLogOption(name, value)))
	}
}

// keepsLocally reports whether a log driver writes to the engine's own files. Others connect, as the host, to the address in
// their options, and some read the host's files.
func keepsLocally(driver string) bool {
	return slices.Contains([]string{"json-file", "local", "none", "journald"}, driver)
}

// logOptions are the options of log drivers that name neither a file nor a host. Left out are labels-regex and env-regex,
// which the engine compiles and runs.
var logOptions = []string{"max-size", "max-file", "compress", "mode", "max-buffer-size", "labels", "env", "tag"}

// Ceilings of log options. The engine goes through all max-file files at each rotation, and holds max-buffer-size bytes in
// memory.
const (
	maxLogFiles  = 1000
	maxLogBuffer = 64 << 20
)

// plainLogOption says why a message may not have an option of a log driver; "": it may.
func plainLogOption(name, value string) string {
	switch n, err := strconv.Atoi(value); {
	case !slices.Contains(logOptions, name):
		return "can name a file or a host"
	case strings.Contains(value, "{{"):
		return "is a template, which the engine evaluates"
	case name == "max-file" && (err != nil || n > maxLogFiles):
		return fmt.Sprintf("is not a number up to %d", maxLogFiles)
	case name == "max-buffer-size":
		// A size that is too large to be read is one for an engine of another architecture.
		size, err := flagval.ParseBytes(value)
		return when(err != nil || size > maxLogBuffer, fmt.Sprintf("is not a size up to %d bytes", maxLogBuffer))
	}
	return ""
}
