package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// An ask is one thing that a message asks for.
type ask struct {
	key, value string // as in a policy's file
	where      string // the message's key that asks for it
	why        string // why the built-in policy denies it, a clause whose subject is "it"; "": it is allowed
}

// named says what is asked for, as the message names it.
func (a ask) named() error {
	if a.value == "" || a.value == "true" {
		return errors.New(a.where)
	}
	return fmt.Errorf("%s: %s", a.where, flagval.Quote(a.value))
}

// An asking collects what a command asks for.
type asking []ask

// option asks for a value of the option of the key's name.
func (l *asking) option(key, value, why string) {
	*l = append(*l, ask{key, value, "Options." + key, why})
}

// options is option for each of the values.
func (l *asking) options(key string, values []string, why string) {
	for _, v := range values {
		l.option(key, v, why)
	}
}

// flag asks for an option that is on.
func (l *asking) flag(key string, on bool, why string) {
	if on {
		l.option(key, "true", why)
	}
}

// when returns why if denied, else "".
func when(denied bool, why string) string {
	if denied {
		return why
	}
	return ""
}

// asks returns all that a command asks for.
func asks(c message.Command, from Sender) []ask {
	verb := c.Traits().Verb
	l := asking{{"Command", verb, "Dockercmd", ""}}
	if from.ReplyTo != "" {
		l = append(l, ask{"ReplyTo", from.ReplyTo, "reply_to", when(daemonQueue(from.ReplyTo), "has the name of a queue of a daemon's")})
	}
	switch c := c.(type) {
	case *message.Run:
		l.run(c)
	case *message.Create:
		l.run(&c.Run)
	case *message.Pull:
		l.image(c.Image)
	case *message.Exec:
		l.flag("Privileged", c.Privileged, "gives all rights on the host")
		l.env(c.Env)
		if c.User != "" {
			l.option("User", c.User, "")
		}
	}
	return l
}

// daemonQueue reports whether a queue's name is one that daemons give to their queues.
func daemonQueue(name string) bool {
	if strings.HasSuffix(name, ".dead") || strings.HasSuffix(name, ".control") {
		return true
	}
	_, seconds, ok := strings.Cut(name, ".retry.")
	return ok && strings.Trim(seconds, "0123456789") == ""
}

func (l *asking) image(ref string) {
	*l = append(*l, ask{"Image", canonicalImage(ref), "Image", ""})
}

func (l *asking) env(env []string) {
	for _, e := range env {
		name, value, ok := strings.Cut(e, "=")
		if secret, ok := strings.CutPrefix(value, flagval.SecretPrefix); ok {
			*l = append(*l, ask{"Secret", secret, "Options.Env", secretDenied})
		}
		if !ok { // it may be a secret that was meant to be a value: no error shows it
			*l = append(*l, ask{"Env", "", "Options.Env: an item without =", "has no value, and Podman takes one from its own environment"})
			continue
		}
		l.option("Env", name, "")
	}
}

// secretDenied is why the built-in policy denies each secret.
const secretDenied = "is a secret of the daemon's"

func (l *asking) run(r *message.Run) {
	l.image(r.Image)
	l.options("Secret", r.Secrets, secretDenied)
	l.env(r.Spec.Env)
	l.option("User", r.Spec.User, "")
	for _, k := range slices.Sorted(maps.Keys(r.Spec.Labels)) {
		l.label("Options.Label", k)
	}
	if t := r.Spec.StopTimeout; t != nil {
		l.option("StopTimeout", strconv.Itoa(*t), when(*t < 0 || *t > mostStop, "lets a stop take for ever"))
	}
	if check := r.Spec.Healthcheck; check != nil {
		for _, i := range []struct {
			key      string
			interval time.Duration
		}{{"HealthInterval", check.Interval}, {"HealthStartInterval", check.StartInterval}} {
			if i.interval != 0 {
				l.option(i.key, i.interval.String(), when(i.interval < time.Second, "keeps the engine busy with checks"))
			}
		}
	}
	h := r.Spec.HostConfig
	if h == nil {
		h = new(dockerapi.HostConfig)
	}
	l.rights(h)
	l.resources(h)
	l.files(r, h)
	l.networks(r, h)
	l.logs(h)
}

// mostStop is the longest StopTimeout, in seconds: an engine that is stopped waits for it.
const mostStop = 3600

// label asks for a label of that name.
func (l *asking) label(where, name string) {
	*l = append(*l, ask{"Label", name, where, when(foreignLabel(name), "belongs to another tool, which acts on it")})
}

// foreignLabel reports whether a label's name is reserved for a tool that acts on it.
func foreignLabel(name string) bool {
	for _, prefix := range []string{"com.docker.", "io.docker.", "org.dockerproject.", "io.podman.", "io.containers.", "io.kubernetes.", "PODMAN_SYSTEMD_UNIT"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// rights are those that a container gets on the host, and the namespaces that it shares.
func (l *asking) rights(h *dockerapi.HostConfig) {
	l.option("ReadOnly", strconv.FormatBool(h.ReadonlyRootfs), "")
	l.flag("Privileged", h.Privileged, "gives all rights on the host")
	l.options("CapAdd", h.CapAdd, "gives rights of the host's root")
	for _, o := range h.SecurityOpt {
		l.option("SecurityOpt", o, when(grants(o), "can turn off the container's confinement"))
	}
	if h.MaskedPaths != nil || h.ReadonlyPaths != nil {
		l.option("SecurityOpt", "systempaths=unconfined", "turns off the container's confinement")
	}
	for _, d := range h.Devices {
		l.option("Device", path.Clean(d.PathOnHost), "gives access to a device of the host")
	}
	for _, d := range h.DeviceRequests {
		key := "Gpus"
		if d.Driver == "cdi" {
			key = "Device"
		}
		ids := d.DeviceIDs
		if len(ids) == 0 {
			ids = []string{"all"}
		}
		l.options(key, ids, "gives access to a device of the host")
	}
	l.options("DeviceCgroupRule", h.DeviceCgroupRules, "gives access to devices of the host")
	l.options("Sysctl", pairs(h.Sysctls), "sets a parameter of the kernel")
	l.options("Annotation", pairs(h.Annotations), "is for the runtime, which acts on it")
	for _, g := range h.GroupAdd {
		l.option("GroupAdd", g, when(g == "keep-groups", "makes Podman give the groups of its own process"))
	}
	if h.Runtime != "" {
		l.option("Runtime", h.Runtime, "may not confine the container")
	}
	if h.CgroupParent != "" {
		l.option("CgroupParent", h.CgroupParent, "leaves the limits of the engine's own cgroup")
	}
	for _, n := range []struct{ key, mode string }{{"Ipc", h.IpcMode}, {"Pid", h.PidMode}, {"Uts", h.UTSMode}, {"Userns", h.UsernsMode}, {"Cgroupns", h.CgroupnsMode}} {
		if n.mode != "" {
			l.option(n.key, n.mode, when(foreign(n.mode), "is a namespace of the host or of another container"))
		}
	}
	if p := h.RestartPolicy; p != nil && p.Name != "" && p.Name != "no" {
		value := p.Name
		if p.MaximumRetryCount != 0 {
			value += fmt.Sprintf(":%d", p.MaximumRetryCount)
		}
		l.option("Restart", value, when(p.Name != "on-failure" || p.MaximumRetryCount < 1 || p.MaximumRetryCount > mostRestarts,
			fmt.Sprintf("starts the container again without end (write on-failure:N, N up to %d)", mostRestarts)))
	}
}

// mostRestarts is how often the engine may start a container again that has failed.
const mostRestarts = 100

// grants reports whether a security option may give rights. no-new-privileges only takes them.
func grants(option string) bool {
	return !slices.Contains([]string{"no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"}, option)
}

// foreign reports whether a namespace may be that of the host or of another container. All values except plain names count,
// because engines have further syntax for such namespaces, for example Podman's ns:PATH.
func foreign(mode string) bool {
	return mode == "host" || mode != "" && flagval.CheckRef(mode) != nil
}

func (l *asking) resources(h *dockerapi.HostConfig) {
	l.flag("OomKillDisable", h.OomKillDisable != nil && *h.OomKillDisable, "leaves the host without memory")
	if h.OomScoreAdj != 0 {
		l.option("OomScoreAdj", strconv.Itoa(h.OomScoreAdj), when(h.OomScoreAdj < 0, "has the host's own programs killed in its place"))
	}
	if h.MemorySwap != 0 {
		l.option("MemorySwap", strconv.FormatInt(h.MemorySwap, 10), when(h.MemorySwap < 0, "takes all of the host's swap"))
	}
	for _, u := range h.Ulimits {
		l.option("Ulimit", fmt.Sprintf("%s=%d", u.Name, u.Hard), when(u.Name == "rtprio" || u.Name == "nice", "lets its programs go before the host's own"))
	}
}

func (l *asking) files(r *message.Run, h *dockerapi.HostConfig) {
	l.options("VolumesFrom", h.VolumesFrom, "takes over the mounts of another container, and so paths of the host")
	if h.VolumeDriver != "" {
		l.option("VolumeDriver", h.VolumeDriver, when(h.VolumeDriver != "local", "mounts what it likes"))
	}
	for _, b := range h.Binds {
		parts := strings.SplitN(b, ":", 3)
		options := ""
		if len(parts) == 3 {
			options = parts[2]
		}
		where := "Options.Volume"
		if !plainOptions(options) {
			*l = append(*l, ask{"Mount", b, where, "has options that can name paths of the host"})
		}
		given := strings.Split(options, ",")
		switch {
		case !strings.HasPrefix(b, "/"):
			l.volume(where, parts[0])
			continue
		case slices.Contains(given, "z"), slices.Contains(given, "Z"):
			*l = append(*l, ask{"Mount", b, where, "gives the host's files another label of SELinux"})
		}
		l.bind(where, parts[0], slices.Contains(given, "ro"))
	}
	for range r.Spec.Volumes {
		l.volume("Options.Volume", "")
	}
	for _, p := range slices.Sorted(maps.Keys(h.Tmpfs)) {
		*l = append(*l, ask{"Tmpfs", p + ":" + h.Tmpfs[p], "Options.Tmpfs", when(!tmpfsOptions(h.Tmpfs[p]), "has an option that no file system in memory needs")})
	}
	for _, m := range h.Mounts {
		l.mount(m)
	}
}

// volume asks for a volume. An engine could take a name with other characters for a path.
func (l *asking) volume(where, name string) {
	if name == "" {
		where += ": a volume without a name"
	}
	*l = append(*l, ask{"Volume", name, where, when(name != "" && flagval.CheckRef(name) != nil, "is no name of a volume")})
}

// bind asks for a path of the host.
func (l *asking) bind(where, source string, readOnly bool) {
	if readOnly {
		source += readOnlyBind
	}
	*l = append(*l, ask{"Bind", source, where, "is a path of the host"})
}

// plainOptions reports whether a volume's options change only how it is mounted. Podman has options with paths of the host.
func plainOptions(options string) bool {
	return onlyOptions(options, "ro", "rw", "nocopy", "z", "Z")
}

// tmpfsOptions reports whether options are those of a file system in memory. Others, such as bind, reach the runtime too.
func tmpfsOptions(options string) bool {
	return onlyOptions(options, "ro", "rw", "exec", "noexec", "suid", "nosuid", "nodev", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime",
		"strictatime", "nostrictatime", "sync", "async", "dirsync", "mand", "nomand", "size=", "mode=", "uid=", "gid=", "nr_inodes=", "nr_blocks=")
}

// onlyOptions reports whether all options are known. A known one that ends in = has a value.
func onlyOptions(options string, known ...string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if i := strings.IndexByte(o, '='); i >= 0 {
			o = o[:i+1]
		}
		if o != "" && !slices.Contains(known, o) {
			return false
		}
	}
	return true
}

func (l *asking) mount(m dockerapi.Mount) {
	const where = "Options.Mount"
	deny := func(value, why string) { *l = append(*l, ask{"Mount", value, where, why}) }
	texts := []string{m.Source, m.Target, m.Consistency}
	if o := m.VolumeOptions; o != nil {
		texts = append(texts, o.Subpath)
		for _, k := range slices.Sorted(maps.Keys(o.Labels)) {
			texts = append(texts, k, o.Labels[k])
		}
	}
	if m.ImageOptions != nil {
		texts = append(texts, m.ImageOptions.Subpath)
	}
	for _, s := range texts {
		if strings.Contains(s, ",") {
			deny(s, "has a comma, after which Podman reads further options")
		}
	}
	switch m.Type {
	case "tmpfs":
	case "image":
		*l = append(*l, ask{"Image", canonicalImage(m.Source), where, ""})
	case "bind":
		l.bind(where, m.Source, m.ReadOnly)
		if strings.Contains(m.Source, ":") { // it could pass for readOnlyBind
			deny(m.Source, "has a colon")
		}
		o := m.BindOptions
		if o != nil && o.Propagation != "" && o.Propagation != "rprivate" && o.Propagation != "private" {
			deny("bind-propagation="+o.Propagation, "lets mounts of the container reach the host, or the host's the container")
		}
		if o != nil && o.ReadOnlyNonRecursive {
			deny("bind-recursive=writable", "lets the container write what is mounted below the path")
		}
	case "volume", "":
		l.volume(where, m.Source)
		if o := m.VolumeOptions; o != nil {
			for _, k := range slices.Sorted(maps.Keys(o.Labels)) {
				l.label(where, k)
			}
			if o.DriverConfig != nil {
				deny("volume-driver="+o.DriverConfig.Name, "mounts what the driver's options name, even a path of the host")
			}
		}
	default:
		deny("type="+m.Type, "is of a type that can mount paths of the host")
	}
}

func (l *asking) networks(r *message.Run, h *dockerapi.HostConfig) {
	names := []string{defaultNetwork}
	if len(r.Networks) > 0 {
		names = nil
	}
	for _, n := range r.Networks {
		names = append(names, canonicalNetwork(n.Name))
		for _, o := range pairs(n.Endpoint.DriverOpts) {
			*l = append(*l, ask{"DriverOpt", o, "Options.Network", "can set a parameter of the kernel"})
		}
	}
	for _, n := range names {
		why := when(foreign(n), "is the network of the host or of another container")
		if n == "slirp4netns" || n == "pasta" { // past a firewall that is for containers
			why = "has Podman connect as the host"
		}
		l.option("Network", n, why)
	}
	l.options("Link", h.Links, "shows the environment of another container")
	l.flag("PublishAll", h.PublishAllPorts, "opens ports of the host to the network")
	left := flagval.MaxPorts // of more the ceilings refuse the message
	for _, port := range slices.Sorted(maps.Keys(h.PortBindings)) {
		for _, b := range h.PortBindings[port] {
			ip, err := netip.ParseAddr(cmp.Or(b.HostIP, "0.0.0.0"))
			why := when(err != nil || !ip.IsLoopback(), "opens a port of the host to the network (write 127.0.0.1:...)")
			n := min(portsIn(b), left)
			first, _, _ := strings.Cut(b.HostPort, "-")
			low, _ := strconv.Atoi(first) // it can be empty
			for i := range n {
				if i > 0 {
					first = strconv.Itoa(low + i)
				}
				l.option("Publish", net.JoinHostPort(ip.Unmap().String(), first), why)
			}
			left -= n
		}
	}
}

// portsIn returns how many ports of the host a binding can take. The engine chooses one of a range.
func portsIn(b dockerapi.PortBinding) int {
	first, last, _ := strings.Cut(b.HostPort, "-")
	low, _ := strconv.Atoi(first)
	high, _ := strconv.Atoi(last) // 0 if it is no range
	return max(1, 1+high-low)
}

func (l *asking) logs(h *dockerapi.HostConfig) {
	c := h.LogConfig
	if c == nil {
		return
	}
	if c.Type != "" {
		l.option("LogDriver", c.Type, when(!keepsLocally(c.Type), "sends output elsewhere as the host, or reads the host's files"))
	}
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

// pairs returns NAME=VALUE of a map, in the order of the names.
func pairs(m map[string]string) (list []string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return list
}
