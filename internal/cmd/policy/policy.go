package policy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A Policy says what messages may ask for. Publishers command the engine, and the engine is root on its host. So an option
// that hands over the host is denied unless the operator allows it. The nil Policy is the built-in one.
type Policy struct {
	Trust bool // everything is allowed: publishers own the host anyway

	// Containers are those that commands may reach: "" only those that messages of the same queue made, AnyContainers all.
	Containers string
}

// AnyContainers is the value of Policy.Containers for all containers of the engine.
const AnyContainers = "any"

// Load reads a policy's file, strictly: an unknown key is an error.
func Load(path string) (*Policy, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := new(Policy)
	if err := p.decode(bytes.TrimPrefix(text, []byte("\ufeff"))); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func (p *Policy) decode(text []byte) error {
	if err := message.CheckJSON(text); err != nil {
		return err
	}
	return message.DecodeObject(p, "a policy", text, []message.Key[Policy]{
		message.BoolKey("Trust", "everything is allowed", func(p *Policy) *bool { return &p.Trust }),
		message.TextKey("Containers", "commands reach all containers of the engine", func(p *Policy) *string { return &p.Containers }, func(v string) error {
			if v != AnyContainers {
				return fmt.Errorf("%s; the only value is %q", flagval.Quote(v), AnyContainers)
			}
			return nil
		}),
	})
}

// A DeniedError is why the policy forbids a message.
type DeniedError struct {
	Err error
	Why string // "": it can hand over the host
}

func (e *DeniedError) Error() string {
	why := cmp.Or(e.Why, "because it can hand over the host, or use up its memory or disk")
	return fmt.Sprintf("%v: denied, %s; the daemon's operator allows it with --policy", e.Err, why)
}

func (e *DeniedError) Unwrap() error { return e.Err }

// Trusts reports whether everything is allowed.
func (p *Policy) Trusts() bool { return p != nil && p.Trust }

// AnyContainer reports whether commands may reach containers that no message of their queue made.
func (p *Policy) AnyContainer() bool { return p.Trusts() || p != nil && p.Containers == AnyContainers }

// check returns an error that names the key of a command which the policy denies, or nil.
func (p *Policy) check(c message.Command) error {
	if p.Trusts() {
		return nil
	}
	switch c := c.(type) {
	case *message.Run:
		return handsOver(c)
	case *message.Create:
		return handsOver(&c.Run)
	case *message.Exec:
		if c.Privileged {
			return errors.New("Options.Privileged")
		}
	}
	return nil
}

// handsOver returns an error that names an option which gives a container rights on the host, or nil.
func handsOver(r *message.Run) error {
	for _, e := range r.Spec.Env {
		if !strings.Contains(e, "=") { // Podman takes the value from its service's environment
			return fmt.Errorf("Options.Env: %s without a value", flagval.Quote(e))
		}
	}
	h := r.Spec.HostConfig
	if h == nil {
		return nil
	}
	for _, o := range []struct {
		name   string
		denied bool
	}{
		{"Privileged", h.Privileged},
		{"Device", len(h.Devices) > 0},
		{"Device or Options.Gpus", len(h.DeviceRequests) > 0},
		{"DeviceCgroupRule", len(h.DeviceCgroupRules) > 0},
		{"CapAdd", len(h.CapAdd) > 0},
		{"SecurityOpt", slices.ContainsFunc(h.SecurityOpt, grants) || h.MaskedPaths != nil || h.ReadonlyPaths != nil},
		{"Sysctl", len(h.Sysctls) > 0},
		{"Runtime", h.Runtime != ""},
		{"Annotation", len(h.Annotations) > 0},                   // runtimes act on them
		{"GroupAdd", slices.Contains(h.GroupAdd, "keep-groups")}, // Podman gives the groups of its own process
		{"CgroupParent", h.CgroupParent != ""},
		{"VolumesFrom", len(h.VolumesFrom) > 0},
		{"VolumeDriver", h.VolumeDriver != "" && h.VolumeDriver != "local"},
		{"Network", foreign(h.NetworkMode)},
		{"Link", len(h.Links) > 0}, // shows the other container's environment
		{"Ipc", foreign(h.IpcMode)},
		{"Pid", foreign(h.PidMode)},
		{"Uts", foreign(h.UTSMode)},
		{"Userns", foreign(h.UsernsMode)},
		{"Cgroupns", foreign(h.CgroupnsMode)},
		{"PublishAll", h.PublishAllPorts},
		{"LogDriver", h.LogConfig != nil && h.LogConfig.Type != "" && !keepsLocally(h.LogConfig.Type)},
		{`LogOpt without a LogDriver, such as "json-file" or "local", for which most are allowed`, h.LogConfig != nil && h.LogConfig.Type == "" && len(h.LogConfig.Config) > 0}, // the engine's default driver may be any
	} {
		if o.denied {
			return errors.New("Options." + o.name)
		}
	}
	for _, n := range r.Networks {
		if foreign(n.Name) || len(n.Endpoint.DriverOpts) > 0 {
			return errors.New("Options.Network")
		}
	}
	for _, b := range h.Binds {
		if strings.HasPrefix(b, "/") {
			return fmt.Errorf("Options.Volume: the host's path %s", flagval.Quote(b))
		}
		if parts := strings.SplitN(b, ":", 3); len(parts) == 3 && !plainOptions(parts[2]) {
			return fmt.Errorf("Options.Volume: the options of %s", flagval.Quote(b))
		}
	}
	if h.LogConfig != nil {
		for k, v := range h.LogConfig.Config {
			if !slices.Contains(logOptions, k) {
				return fmt.Errorf("Options.LogOpt: %s", flagval.Quote(k))
			}
			if err := plainLogOption(k, v); err != nil {
				return fmt.Errorf("Options.LogOpt: %s: %w", k, err)
			}
		}
	}
	for _, m := range h.Mounts {
		if err := mountHandsOver(m); err != nil {
			return message.At("Options.Mount", err)
		}
	}
	published := 0
	for port, bindings := range h.PortBindings {
		if published += len(bindings); published > maxPublished {
			return fmt.Errorf("Options.Publish: more than %d ports, for each of which the engine starts a process on the host", maxPublished)
		}
		for _, b := range bindings {
			if ip, err := netip.ParseAddr(b.HostIP); err != nil || !ip.IsLoopback() {
				return fmt.Errorf("Options.Publish: port %s on other addresses of the host than loopback (write 127.0.0.1:...)", port)
			}
		}
	}
	return nil
}

// grants reports whether a security option may give rights. no-new-privileges only takes them.
func grants(option string) bool {
	return !slices.Contains([]string{"no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"}, option)
}

// foreign reports whether a namespace may be that of the host or of another container. All values except plain names count,
// because engines have further syntax for such namespaces, for example Podman's ns:PATH.
func foreign(mode string) bool {
	return mode == "host" || mode != "" && flagval.CheckRef(mode) != nil
}

// keepsLocally reports whether a log driver writes to the engine's own files. Others connect, as the host, to the address in
// their options, and some read the host's files.
func keepsLocally(driver string) bool {
	switch driver {
	case "json-file", "local", "none", "journald":
		return true
	}
	return false
}

// plainOptions reports whether a volume's options change only how it is mounted. Podman has options with paths of the host.
func plainOptions(options string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if !slices.Contains([]string{"ro", "rw", "nocopy", "z", "Z"}, o) {
			return false
		}
	}
	return true
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

// maxPublished is how many ports may be published: the engine starts a process on the host for each.
const maxPublished = 100

// plainLogOption refuses a value by which a message makes the engine compute or hold any amount.
func plainLogOption(name, value string) error {
	switch n, err := strconv.Atoi(value); {
	case strings.Contains(value, "{{"):
		return fmt.Errorf("%s is a template, which the engine evaluates", flagval.Quote(value))
	case name == "max-file" && (err != nil || n > maxLogFiles):
		return fmt.Errorf("%s is not a number up to %d", flagval.Quote(value), maxLogFiles)
	case name == "max-buffer-size" && flagval.LogSize(value) > maxLogBuffer:
		return fmt.Errorf("%s is more than %d bytes", flagval.Quote(value), maxLogBuffer)
	}
	return nil
}

func mountHandsOver(m dockerapi.Mount) error {
	texts := []string{m.Source, m.Target, m.Consistency}
	if m.VolumeOptions != nil {
		texts = append(texts, m.VolumeOptions.Subpath)
		for k, v := range m.VolumeOptions.Labels {
			texts = append(texts, k, v)
		}
	}
	if m.ImageOptions != nil {
		texts = append(texts, m.ImageOptions.Subpath)
	}
	for _, s := range texts {
		if strings.Contains(s, ",") { // Podman puts it into one text with further options, between commas
			return fmt.Errorf("the comma in %s", flagval.Quote(s))
		}
	}
	switch m.Type {
	case "tmpfs", "image":
		return nil
	case "volume", "":
		// The local driver mounts what its options name, even a path of the host.
		if o := m.VolumeOptions; o != nil && o.DriverConfig != nil {
			return errors.New("volume-driver and volume-opt")
		}
		return nil
	}
	return fmt.Errorf("a mount of type %s", flagval.Quote(m.Type))
}
