package flagval

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func mountFields() []string {
	return []string{"type", "source", "src", "target", "dst", "destination", "readonly", "ro", "consistency",
		"bind-propagation", "bind-nonrecursive", "bind-recursive",
		"volume-subpath", "volume-nocopy", "volume-label", "volume-driver", "volume-opt",
		"image-subpath", "tmpfs-size", "tmpfs-mode"}
}

// ParseMount reads one --mount: fields such as type=bind, separated by commas.
func ParseMount(s string) (dockerapi.Mount, error) {
	fields, err := csvFields(s)
	if err != nil {
		return dockerapi.Mount{}, err
	}
	m := dockerapi.Mount{Type: "volume"}
	for _, field := range fields {
		name, value, given := strings.Cut(field, "=")
		name = strings.ToLower(name)
		switch name {
		case "readonly", "ro", "volume-nocopy", "bind-nonrecursive":
			if !given {
				value = "true"
			}
		default:
			if !given {
				return dockerapi.Mount{}, fmt.Errorf("expected name=value, got %s in %s", Quote(field), Quote(s))
			}
			if !slices.Contains(mountFields(), name) {
				return dockerapi.Mount{}, unknownField(name, s, mountFields())
			}
		}
		if err := setMountField(&m, name, value); err != nil {
			return dockerapi.Mount{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := checkMount(m); err != nil {
		return dockerapi.Mount{}, fmt.Errorf("%w; got %s", err, Quote(s))
	}
	return m, nil
}

// setMountField sets one of mountFields.
func setMountField(m *dockerapi.Mount, name, value string) (err error) {
	switch name {
	case "type":
		m.Type = strings.ToLower(value)
	case "source", "src":
		m.Source = value
	case "target", "dst", "destination":
		m.Target = value
	case "readonly", "ro":
		m.ReadOnly, err = parseTruth(value)
	case "consistency":
		m.Consistency = strings.ToLower(value)
	case "bind-propagation":
		Made(&m.BindOptions).Propagation = strings.ToLower(value)
	case "bind-nonrecursive":
		Made(&m.BindOptions).NonRecursive, err = parseTruth(value)
	case "bind-recursive":
		err = setRecursive(m, value)
	case "volume-subpath":
		Made(&m.VolumeOptions).Subpath = value
	case "volume-nocopy":
		Made(&m.VolumeOptions).NoCopy, err = parseTruth(value)
	case "volume-label":
		setPair(&Made(&m.VolumeOptions).Labels, value)
	case "volume-driver":
		Made(&Made(&m.VolumeOptions).DriverConfig).Name = value
	case "volume-opt":
		setPair(&Made(&Made(&m.VolumeOptions).DriverConfig).Options, value)
	case "image-subpath":
		Made(&m.ImageOptions).Subpath = value
	case "tmpfs-size":
		Made(&m.TmpfsOptions).SizeBytes, err = ParseBytes(value)
	case "tmpfs-mode":
		Made(&m.TmpfsOptions).Mode, err = parseMode(value)
	}
	return err
}

func setRecursive(m *dockerapi.Mount, value string) error {
	switch value {
	case "enabled": // the default
	case "disabled":
		Made(&m.BindOptions).NonRecursive = true
	case "writable":
		Made(&m.BindOptions).ReadOnlyNonRecursive = true
	case "readonly":
		Made(&m.BindOptions).ReadOnlyForceRecursive = true
	default:
		return fmt.Errorf(`expected "enabled", "disabled", "writable" or "readonly", got %s`, Quote(value))
	}
	return nil
}

// checkMount refuses fields that do not go together.
func checkMount(m dockerapi.Mount) error {
	for _, o := range []struct {
		kind  string
		given bool
	}{
		{"bind", m.BindOptions != nil},
		{"volume", m.VolumeOptions != nil},
		{"image", m.ImageOptions != nil},
		{"tmpfs", m.TmpfsOptions != nil},
	} {
		if o.given && o.kind != m.Type {
			return fmt.Errorf("a field of type=%s is there, and the type is %s", o.kind, Quote(m.Type))
		}
	}
	switch {
	case m.Type == "":
		return errors.New("the type is empty")
	case m.Target == "":
		return errors.New("the target is missing")
	case isRelative(m.Source):
		return errRelative
	case m.BindOptions == nil:
		return nil
	case m.BindOptions.ReadOnlyNonRecursive && !m.ReadOnly:
		return errors.New("bind-recursive=writable needs readonly")
	case m.BindOptions.ReadOnlyForceRecursive && !m.ReadOnly:
		return errors.New("bind-recursive=readonly needs readonly")
	case m.BindOptions.ReadOnlyForceRecursive && m.BindOptions.Propagation != "rprivate":
		return errors.New("bind-recursive=readonly needs bind-propagation=rprivate")
	}
	return nil
}

func parseTruth(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("expected true or false, got %s", Quote(s))
	}
	return b, nil
}

func parseMode(s string) (uint32, error) {
	mode, err := strconv.ParseUint(s, 8, 32)
	if err != nil {
		return 0, fmt.Errorf(`expected an octal number such as "1777", got %s`, Quote(s))
	}
	return uint32(mode), nil
}

// setPair sets "name=value" in m; without = the value is empty.
func setPair(m *map[string]string, s string) {
	name, value, _ := strings.Cut(s, "=")
	if name == "" {
		return // as the docker CLI does
	}
	if *m == nil {
		*m = make(map[string]string)
	}
	(*m)[name] = value
}

// errRelative refuses a relative path of the host. The docker CLI resolves it from its own working directory, and a shell
// resolves "~": a message has neither.
var errRelative = errors.New("expected an absolute path of the host or a volume's name; a message has no folder that a relative path could start from")

// isRelative reports whether the docker CLI or a shell would take source for a relative path. No volume's name begins so.
func isRelative(source string) bool {
	return strings.HasPrefix(source, ".") || strings.HasPrefix(source, "~")
}

// ParseVolume reads one --volume, and returns one of two. SOURCE:TARGET[:OPTIONS] is a bind, which the engine splits. A path
// alone is the place of an anonymous volume.
func ParseVolume(s string) (bind, anonymous string, err error) {
	parts := strings.Split(s, ":")
	source := parts[0]
	switch {
	case isRelative(source):
		return "", "", fmt.Errorf("%w; got %s", errRelative, Quote(s))
	case len(parts) > 3 || slices.Contains(parts, ""):
		return "", "", fmt.Errorf(`expected "source:target", "source:target:options" or a path of the container, got %s`, Quote(s))
	case len(parts) == 1:
		return "", s, nil
	case len(source) == 1 && source != "/":
		// The docker CLI takes it for a drive of Windows.
		return "", "", fmt.Errorf("%s is too short; a volume's name has at least two characters", Quote(source))
	}
	return s, "", nil
}

// ParseTmpfs reads one --tmpfs: PATH[:OPTIONS].
func ParseTmpfs(s string) (path, options string, err error) {
	path, options, _ = strings.Cut(s, ":")
	if path == "" {
		return "", "", fmt.Errorf("expected a path of the container, got %s", Quote(s))
	}
	return path, options, nil
}
