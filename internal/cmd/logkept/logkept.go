// Package logkept knows whether the log of a container may have been cut by rotation.
package logkept

import (
	"io"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
)

// All means that a log driver drops nothing by rotation.
const All = -1

// Bytes returns how many bytes of a log the driver certainly still has, however much was written. These are all files
// except the newest, which rotation may just have begun. A log with more bytes may have lost some.
func Bytes(driver string, opts map[string]string) int64 {
	prefix, size, files := "", "", 1
	switch driver {
	case "json-file", "k8s-file":
	case "", "none", "journald", "passthrough":
		return All
	case "local":
		size, files = "20m", 5
	default: // the engine keeps a local copy of the data sent to such a driver
		prefix, size, files = "cache-", "20m", 5
	}
	if s := opts[prefix+"max-size"]; s != "" {
		size = s
	}
	if n, err := strconv.Atoi(opts[prefix+"max-file"]); err == nil {
		files = n
	}
	if size == "" || strings.HasPrefix(size, "-") {
		return All
	}
	return max(0, int64(files-1)) * flagval.LogSize(size)
}

// A Weight is a writer that adds up an upper bound of the log bytes that its data can occupy.
type Weight struct {
	io.Writer
	Total *int64
}

// Write counts a byte that drivers may escape at its escaped length. It adds the overhead of each record: stream, time,
// quotes, and attributes such as a tag. A record ends with a line, or after output.LogRecord bytes, and a write may hold many.
func (w Weight) Write(p []byte) (int, error) {
	const record = 200
	weight := int64(record * (1 + len(p)/output.LogRecord))
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
	*w.Total += weight
	return w.Writer.Write(p)
}
