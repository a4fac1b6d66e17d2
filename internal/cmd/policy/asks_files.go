package policy

import (
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func (l *asking) files(r *message.Run, h *dockerapi.HostConfig) {
	l.options("VolumesFrom", h.VolumesFrom, "takes over the mounts of another container, and so paths of the host")
	l.given("VolumeDriver", h.VolumeDriver, when(h.VolumeDriver != "local", "mounts what it likes"))
	for _, b := range h.Binds {
		parts := strings.SplitN(b, ":", 3)
		options := ""
		if len(parts) == 3 {
			options = parts[2]
		}
		where := "Options.Volume"
		if !plainOptions(options) {
			l.add("Mount", b, where, "has options that can name paths of the host")
		}
		given := strings.Split(options, ",")
		switch {
		case !strings.HasPrefix(b, "/"):
			l.volume(where, parts[0])
			continue
		case slices.Contains(given, "z"), slices.Contains(given, "Z"):
			l.add("Mount", b, where, "gives the host's files another label of SELinux")
		}
		l.bind(where, parts[0], slices.Contains(given, "ro"))
	}
	for range r.Spec.Volumes {
		l.volume("Options.Volume", "")
	}
	for _, p := range sortedKeys(h.Tmpfs) {
		l.add("Tmpfs", p+":"+h.Tmpfs[p], "Options.Tmpfs", when(!tmpfsOptions(h.Tmpfs[p]), "has an option that no file system in memory needs"))
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
	l.add("Volume", name, where, when(name != "" && flagval.CheckRef(name) != nil, "is no name of a volume"))
}

// bind asks for a path of the host.
func (l *asking) bind(where, source string, readOnly bool) {
	if readOnly {
		source += readOnlyBind
	}
	l.add("Bind", source, where, "is a path of the host")
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
	deny := func(value, why string) { l.add("Mount", value, where, why) }
	texts := []string{m.Source, m.Target, m.Consistency}
	if o := m.VolumeOptions; o != nil {
		texts = append(texts, o.Subpath)
		for _, k := range sortedKeys(o.Labels) {
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
		l.add("Image", canonicalImage(m.Source), where, "")
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
			for _, k := range sortedKeys(o.Labels) {
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
