package cmd

import (
	"io"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
)

// keepsAll means that a log driver drops nothing by rotation.
const keepsAll = -1

// logKeeps returns how many bytes of a log the driver certainly still has, however much was written. These are all files
// except the newest, which rotation may just have begun. A log with more bytes may have lost some.
func logKeeps(driver string, opts map[string]string) int64 {
	prefix, size, files := "", "", 1
	switch driver {
	case "json-file", "k8s-file":
	case "", "none", "journald", "passthrough":
		return keepsAll
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
		return keepsAll
	}
	return max(0, int64(files-1)) * flagval.LogSize(size)
}

// A logWeight is a writer that adds up an upper bound of the log bytes that its data can occupy.
type logWeight struct {
	io.Writer
	total *int64
}

// Write counts a byte that drivers may escape at its escaped length. It adds the overhead of each record: stream, time,
// quotes, and attributes such as a tag. A record ends with a line, or after output.LogRecord bytes, and a write may hold many.
func (w logWeight) Write(p []byte) (int, error) {
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
	*w.total += weight
	return w.Writer.Write(p)
}
