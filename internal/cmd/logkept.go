package cmd

import (
	"io"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// keepsAll says that a log driver rotates nothing away.
const keepsAll = -1

// logKeeps is how many bytes of a log the driver surely still has, whatever was written: all files but
// the one that rotation began last. What a log with more than that has lost nobody can tell.
func logKeeps(driver string, opts map[string]string) int64 {
	prefix, size, files := "", "", 1
	switch driver {
	case "json-file", "k8s-file":
	case "", "none", "journald", "passthrough":
		return keepsAll
	case "local":
		size, files = "20m", 5
	default: // the engine keeps a copy of what goes to such a driver
		prefix, size, files = "cache-", "20m", 5
	}
	if s := opts[prefix+"max-size"]; s != "" {
		size = s
	}
	if n, err := strconv.Atoi(opts[prefix+"max-file"]); err == nil {
		files = n
	}
	if size == "" || strings.HasPrefix(size, "-") {
		return keepsAll
	}
	return max(0, int64(files-1)) * flagval.LogSize(size)
}

// logWeight adds up how much room at most in a log has what is read from it.
type logWeight struct {
	io.Writer
	total *int64
}

// Write weighs each byte that drivers may escape as much as that takes, and for each record what stands
// around it: stream, time, quotes.
func (w logWeight) Write(p []byte) (int, error) {
	const record = 100
	weight := int64(record)
	for _, c := range p {
		switch {
		case c == '\n':
			weight += record
		case c < ' ', c == '"', c == '\\', c == '<', c == '>', c == '&', c >= 0x7f:
			weight += 6
		default:
			weight++
		}
	}
	*w.total += weight
	return w.Writer.Write(p)
}
