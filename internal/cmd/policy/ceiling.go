package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ceilings are the most that a message may ask for, by the keys of Max. A key that is missing sets no ceiling.
type ceilings map[string]ceiling

// A ceiling is one of them: bytes, billionths of a CPU, nanoseconds, or a number.
type ceiling struct {
	text string // as the file has it
	most int64
}

// A limit is one key of Max.
type limit struct {
	name, help string
	parse      func(text string) (int64, error)
	least      int64 // 0 or 1
}

// read reads the key's value.
func (l limit) read(text string) (int64, error) {
	n, err := l.parse(text)
	switch {
	case err != nil || n >= l.least:
		return n, err
	case l.least == 0:
		return 0, fmt.Errorf("expected 0 or more, got %s", flagval.Quote(text))
	}
	return 0, fmt.Errorf("expected more than 0, got %s", flagval.Quote(text))
}

func whole(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("expected a whole number, got %s", flagval.Quote(text))
	}
	return n, nil
}

func span(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("expected a time such as \"90s\" or \"1h30m\", got %s", flagval.Quote(text))
	}
	return int64(d), nil
}

var limits = []limit{
	{"Memory", "memory of a container, `512m`; a run without `Memory` gets so much", flagval.ParseBytes, 1},
	{"Cpus", "CPUs of a container, `1.5`; a run without `Cpus` and `CpuQuota` gets so many", flagval.ParseCPUs, 1},
	{"PidsLimit", "processes of a container; a run without `PidsLimit` gets so many", whole, 1},
	{"ShmSize", "size of /dev/shm; a run without `ShmSize` gets so much", flagval.ParseBytes, 1},
	{"Tmpfs", "file systems in memory of a container together; each must then have a size", flagval.ParseBytes, 1},
	{"LogSize", "what the engine keeps of a container's output; a run without `LogDriver` and `LogOpt` gets `json-file` with so much", flagval.ParseBytes, 1},
	{"Publish", "published ports of a container, each of a range; 100 if left out", whole, 1},
	{"Timeout", "time that a run may take; what has no end that is waited for is then refused: a detached run, `create`, `start`, `restart`", span, 1},
	{"Output", "bytes that a run with `Attach` may write: then it is killed, and has failed, reason `output`", flagval.ParseBytes, 1},
	{"Retry", "`Max` of `Retry`; 0: no message may have `Retry`", whole, 0},
	{"Jobs", "runs and execs of a user at a time; further ones wait", whole, 1},
	{"Message", "size of a message's body", flagval.ParseBytes, 1},
}

// presets are the options that a run gets if it leaves them out. With them it keeps below the ceilings.
func (c ceilings) presets() (list []message.Preset) {
	add := func(rule, option, value string, unless ...string) {
		if c[rule].most > 0 {
			list = append(list, message.Preset{Option: option, Value: json.RawMessage(value), Unless: unless})
		}
	}
	number := func(rule string) string { return strconv.FormatInt(c[rule].most, 10) }
	cpus := c["Cpus"].most
	add("Memory", "Memory", number("Memory"))
	add("Cpus", "Cpus", fmt.Sprintf("%d.%09d", cpus/1e9, cpus%1e9), "CpuQuota")
	add("PidsLimit", "PidsLimit", number("PidsLimit"))
	add("ShmSize", "ShmSize", number("ShmSize"))
	add("LogSize", "LogDriver", `"json-file"`, "LogOpt")
	add("LogSize", "LogOpt", fmt.Sprintf(`{"max-size": "%d"}`, c["LogSize"].most), "LogDriver")
	return list
}

// maxPublished is how many ports may be published, unless a policy says otherwise: the engine starts a process on the host for
// each.
const maxPublished = 100

// check returns a *DeniedError if a command asks for more than the ceilings.
func (c ceilings) check(command message.Command, r *Rules) error {
	over := func(rule, what string) error {
		return &DeniedError{Err: errors.New(what), Why: r.says("Max."+rule, c[rule].text)}
	}
	timeout := time.Duration(c["Timeout"].most)
	switch command := command.(type) {
	case *message.Run:
		retry, limited := c["Retry"]
		switch {
		case timeout > 0 && !command.Foreground():
			return over("Timeout", "a run without Attach, Remove and reply_to, which ends when it likes")
		case timeout > 0 && command.Timeout > timeout:
			return over("Timeout", "Options.Timeout: "+command.Timeout.String())
		case limited && command.Retry != nil && int64(command.Retry.Max) > retry.most:
			return over("Retry", fmt.Sprintf("Options.Retry: Max %d", command.Retry.Max))
		}
		return c.container(command, over)
	case *message.Create:
		if timeout > 0 {
			return over("Timeout", "create, whose container can run for any time")
		}
		return c.container(&command.Run, over)
	case *message.Start, *message.Restart:
		if timeout > 0 {
			return over("Timeout", command.Traits().Verb+", after which the container can run for any time")
		}
	}
	return nil
}

func (c ceilings) container(r *message.Run, over func(rule, what string) error) error {
	h := r.Spec.HostConfig
	if h == nil {
		return nil
	}
	cpus := h.NanoCPUs
	switch period := h.CPUPeriod; {
	case h.CPUQuota < 0:
		cpus = 0
	case h.CPUQuota > 0:
		if period <= 0 {
			period = 100_000
		}
		cpus = max(cpus, int64(min(float64(h.CPUQuota)/float64(period)*1e9, math.MaxInt64/2)))
	}
	var pids int64
	if h.PidsLimit != nil {
		pids = *h.PidsLimit
	}
	for _, n := range []struct {
		what, rule string
		asked      int64
	}{
		{"Memory", "Memory", h.Memory},
		{"Cpus or Options.CpuQuota", "Cpus", cpus},
		{"PidsLimit", "PidsLimit", pids},
		{"ShmSize", "ShmSize", h.ShmSize},
	} {
		if most := c[n.rule].most; most > 0 && (n.asked <= 0 || n.asked > most) {
			return over(n.rule, fmt.Sprintf("Options.%s: %d (0 and less are no limit)", n.what, n.asked))
		}
	}
	memory, ports, published := c["Memory"].most, c["Publish"].most, publishedPorts(h)
	switch {
	case memory > 0 && (h.MemorySwap < 0 || h.MemorySwap/2 > memory):
		return over("Memory", "Options.MemorySwap: more than twice the ceiling of memory")
	case c["Cpus"].most > 0 && h.CPURealtimeRuntime > 0:
		return over("Cpus", "Options.CpuRtRuntime")
	case ports == 0 && published > maxPublished:
		return &DeniedError{Err: fmt.Errorf("Options.Publish: %d ports", published), Why: fmt.Sprintf("because the engine starts a process on the host for each; up to %d are allowed, or Max.Publish of the file of --policy", maxPublished)}
	case ports > 0 && int64(published) > min(ports, flagval.MaxPorts):
		return over("Publish", fmt.Sprintf("Options.Publish: %d ports", published))
	}
	if err := c.checkTmpfs(h, over); err != nil {
		return err
	}
	return c.checkLogs(h.LogConfig, over)
}

func publishedPorts(h *dockerapi.HostConfig) (n int) {
	for _, bindings := range h.PortBindings {
		for _, b := range bindings {
			n += portsIn(b)
		}
	}
	return n
}

func (c ceilings) checkTmpfs(h *dockerapi.HostConfig, over func(rule, what string) error) error {
	most := c["Tmpfs"].most
	if most == 0 {
		return nil
	}
	var sum int64
	add := func(at string, size int64) error {
		if size <= 0 || size > most {
			return over("Tmpfs", fmt.Sprintf("a file system in memory at %s: more than the ceiling, or no size (size=64m, tmpfs-size=64m)", flagval.Quote(at)))
		}
		sum += size
		return nil
	}
	for at, options := range h.Tmpfs {
		var size int64
		for o := range strings.SplitSeq(options, ",") {
			switch name, text, _ := strings.Cut(o, "="); name {
			case "size":
				size = flagval.LogSize(text) // of several the last counts; 50% and the like are 0
			case "nr_blocks": // a size too, in pages
				size = 0
			}
		}
		if err := add(at, size); err != nil {
			return err
		}
	}
	for _, m := range h.Mounts {
		if m.Type != "tmpfs" {
			continue
		}
		var size int64
		if m.TmpfsOptions != nil {
			size = m.TmpfsOptions.SizeBytes
		}
		if err := add(m.Target, size); err != nil {
			return err
		}
	}
	if sum > most {
		return over("Tmpfs", fmt.Sprintf("file systems in memory of %d bytes together", sum))
	}
	return nil
}

// checkLogs bounds what the engine keeps of the output. What journald keeps is for the whole host.
func (c ceilings) checkLogs(l *dockerapi.LogConfig, over func(rule, what string) error) error {
	if l == nil {
		l = new(dockerapi.LogConfig)
	}
	most := c["LogSize"].most
	if most == 0 || l.Type == "none" {
		return nil
	}
	size, files := flagval.LogSize(l.Config["max-size"]), int64(1)
	if l.Type == "local" { // its own defaults
		files = 5
		if l.Config["max-size"] == "" {
			size = 20 << 20
		}
	}
	if text, ok := l.Config["max-file"]; ok {
		files, _ = strconv.ParseInt(text, 10, 32) // 0 if it cannot be read
	}
	if size <= 0 || files <= 0 || size > most/files {
		return over("LogSize", "Options.LogOpt: max-size times max-file is more than the ceiling, or not limited")
	}
	return nil
}
