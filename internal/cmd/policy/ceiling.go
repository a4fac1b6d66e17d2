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

// ceilings are the most that a message may ask for; 0: no ceiling.
type ceilings struct {
	texts map[string]string // as the file has them, by their keys

	memory, shm, tmpfs, logs, output int64 // bytes
	cpus                             int64 // billionths of a CPU
	pids                             int64
	publish                          int // ports
	timeout                          time.Duration
	retry                            *int // attempts after the first; nil: no ceiling
	jobs                             int  // runs and execs at a time
	message                          int  // bytes
}

// A limit is one key of Max.
type limit struct {
	name, help string
	set        func(c *ceilings, text string) error
}

// lifted is the text of a limit that a user's part takes off.
const lifted = "null"

// number returns the set of a limit that parse reads.
func number[N int | int64 | time.Duration](field func(*ceilings) *N, parse func(string) (N, error)) func(*ceilings, string) error {
	return func(c *ceilings, text string) error {
		if text == lifted {
			*field(c) = 0
			return nil
		}
		n, err := parse(text)
		if err == nil && n <= 0 {
			err = fmt.Errorf("expected more than 0, got %s", flagval.Quote(text))
		}
		*field(c) = n
		return err
	}
}

func whole(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("expected a whole number, got %s", flagval.Quote(text))
	}
	return n, nil
}

func span(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("expected a time such as \"90s\" or \"1h30m\", got %s", flagval.Quote(text))
	}
	return d, nil
}

var limits = []limit{
	{"Memory", "memory of a container, `512m`; a run without `Memory` gets so much", number(func(c *ceilings) *int64 { return &c.memory }, flagval.ParseBytes)},
	{"Cpus", "CPUs of a container, `1.5`; a run without `Cpus` and `CpuQuota` gets so many", number(func(c *ceilings) *int64 { return &c.cpus }, flagval.ParseCPUs)},
	{"PidsLimit", "processes of a container; a run without `PidsLimit` gets so many", number(func(c *ceilings) *int64 { return &c.pids }, func(s string) (int64, error) { n, err := whole(s); return int64(n), err })},
	{"ShmSize", "size of /dev/shm; a run without `ShmSize` gets so much", number(func(c *ceilings) *int64 { return &c.shm }, flagval.ParseBytes)},
	{"Tmpfs", "file systems in memory of a container together; each must then have a size", number(func(c *ceilings) *int64 { return &c.tmpfs }, flagval.ParseBytes)},
	{"LogSize", "what the engine keeps of a container's output; a run without `LogDriver` and `LogOpt` gets `json-file` with so much", number(func(c *ceilings) *int64 { return &c.logs }, flagval.ParseBytes)},
	{"Publish", "published ports of a container, each of a range; 100 if left out", number(func(c *ceilings) *int { return &c.publish }, whole)},
	{"Timeout", "time that a run may take; what has no end that is waited for is then refused: a detached run, `create`, `start`, `restart`", number(func(c *ceilings) *time.Duration { return &c.timeout }, span)},
	{"Output", "bytes that a run with `Attach` may write: then it is killed, and has failed, reason `output`", number(func(c *ceilings) *int64 { return &c.output }, flagval.ParseBytes)},
	{"Retry", "`Max` of `Retry`; 0: no message may have `Retry`", func(c *ceilings, text string) error {
		if text == lifted {
			c.retry = nil
			return nil
		}
		n, err := whole(text)
		if err == nil && n < 0 {
			err = fmt.Errorf("expected 0 or more, got %s", flagval.Quote(text))
		}
		c.retry = &n
		return err
	}},
	{"Jobs", "runs and execs of a user at a time; further ones wait", number(func(c *ceilings) *int { return &c.jobs }, whole)},
	{"Message", "size of a message's body", number(func(c *ceilings) *int { return &c.message }, func(s string) (int, error) { n, err := flagval.ParseBytes(s); return int(n), err })},
}

// presets are the options that a run gets if it leaves them out. With them it keeps below the ceilings.
func (c *ceilings) presets() (list []message.Preset) {
	add := func(option, value string, unless ...string) {
		list = append(list, message.Preset{Option: option, Value: json.RawMessage(value), Unless: unless})
	}
	if c.memory > 0 {
		add("Memory", strconv.FormatInt(c.memory, 10))
	}
	if c.cpus > 0 {
		add("Cpus", fmt.Sprintf("%d.%09d", c.cpus/1e9, c.cpus%1e9), "CpuQuota")
	}
	if c.pids > 0 {
		add("PidsLimit", strconv.FormatInt(c.pids, 10))
	}
	if c.shm > 0 {
		add("ShmSize", strconv.FormatInt(c.shm, 10))
	}
	if c.logs > 0 {
		add("LogDriver", `"json-file"`, "LogOpt")
		add("LogOpt", fmt.Sprintf(`{"max-size": "%d"}`, c.logs), "LogDriver")
	}
	return list
}

// maxPublished is how many ports may be published, unless a policy says otherwise: the engine starts a process on the host for
// each.
const maxPublished = 100

// check returns a *DeniedError if a command asks for more than the ceilings.
func (c *ceilings) check(command message.Command, r *Rules) error {
	over := func(rule, what string) error {
		return &DeniedError{Err: errors.New(what), Why: r.says("Max."+rule, c.texts[rule])}
	}
	switch command := command.(type) {
	case *message.Run:
		switch {
		case c.timeout > 0 && !command.Foreground():
			return over("Timeout", "a run without Attach, Remove and reply_to, which ends when it likes")
		case c.timeout > 0 && command.Timeout > c.timeout:
			return over("Timeout", "Options.Timeout: "+command.Timeout.String())
		case c.retry != nil && command.Retry != nil && command.Retry.Max > *c.retry:
			return over("Retry", fmt.Sprintf("Options.Retry: Max %d", command.Retry.Max))
		}
		return c.container(command, over)
	case *message.Create:
		if c.timeout > 0 {
			return over("Timeout", "create, whose container can run for any time")
		}
		return c.container(&command.Run, over)
	case *message.Start, *message.Restart:
		if c.timeout > 0 {
			return over("Timeout", command.Traits().Verb+", after which the container can run for any time")
		}
	}
	return nil
}

func (c *ceilings) container(r *message.Run, over func(rule, what string) error) error {
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
		most       int64
	}{
		{"Memory", "Memory", h.Memory, c.memory},
		{"Cpus or Options.CpuQuota", "Cpus", cpus, c.cpus},
		{"PidsLimit", "PidsLimit", pids, c.pids},
		{"ShmSize", "ShmSize", h.ShmSize, c.shm},
	} {
		if n.most > 0 && (n.asked <= 0 || n.asked > n.most) {
			return over(n.rule, fmt.Sprintf("Options.%s: %d (0 and less are no limit)", n.what, n.asked))
		}
	}
	switch published := publishedPorts(h); {
	case c.memory > 0 && (h.MemorySwap < 0 || h.MemorySwap/2 > c.memory):
		return over("Memory", "Options.MemorySwap: more than twice the ceiling of memory")
	case c.cpus > 0 && h.CPURealtimeRuntime > 0:
		return over("Cpus", "Options.CpuRtRuntime")
	case c.publish == 0 && published > maxPublished:
		return &DeniedError{Err: fmt.Errorf("Options.Publish: %d ports", published), Why: fmt.Sprintf("because the engine starts a process on the host for each; up to %d are allowed, or Max.Publish of the file of --policy", maxPublished)}
	case c.publish > 0 && published > min(c.publish, flagval.MaxPorts):
		return over("Publish", fmt.Sprintf("Options.Publish: %d ports", published))
	}
	if c.tmpfs > 0 {
		if err := c.checkTmpfs(h, over); err != nil {
			return err
		}
	}
	if c.logs > 0 {
		return c.checkLogs(h.LogConfig, over)
	}
	return nil
}

func publishedPorts(h *dockerapi.HostConfig) (n int) {
	for _, bindings := range h.PortBindings {
		for _, b := range bindings {
			n += portsIn(b)
		}
	}
	return n
}

func (c *ceilings) checkTmpfs(h *dockerapi.HostConfig, over func(rule, what string) error) error {
	var sum int64
	add := func(at string, size int64) error {
		if size <= 0 || size > c.tmpfs {
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
	if sum > c.tmpfs {
		return over("Tmpfs", fmt.Sprintf("file systems in memory of %d bytes together", sum))
	}
	return nil
}

// checkLogs bounds what the engine keeps of the output. What journald keeps is for the whole host.
func (c *ceilings) checkLogs(l *dockerapi.LogConfig, over func(rule, what string) error) error {
	if l == nil {
		l = new(dockerapi.LogConfig)
	}
	if l.Type == "none" {
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
	if size <= 0 || files <= 0 || size > c.logs/files {
		return over("LogSize", "Options.LogOpt: max-size times max-file is more than the ceiling, or not limited")
	}
	return nil
}
