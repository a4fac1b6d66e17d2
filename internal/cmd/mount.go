package cmd

import (
	"errors"
	"fmt"
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

// mount is a --mount as far as it is read. The options of each type are there from the start.
type mount struct {
	dockerapi.Mount
	bind   dockerapi.BindOptions
	volume dockerapi.VolumeOptions
	driver dockerapi.VolumeDriver
	image  dockerapi.ImageOptions
	tmpfs  dockerapi.TmpfsOptions

	options map[string]string // by type, the last field that is for this type only
}

// parseMount reads one --mount: fields such as type=bind, separated by commas.
func parseMount(s string) (dockerapi.Mount, error) {
	fields, err := csvFields(s)
	if err != nil {
		return dockerapi.Mount{}, err
	}
	m := mount{options: make(map[string]string)}
	m.Type = "volume"
	for _, field := range fields {
		if err := m.set(field, s); err != nil {
			return dockerapi.Mount{}, err
		}
	}
	if err := m.check(); err != nil {
		return dockerapi.Mount{}, fmt.Errorf("%w; got %s", err, quote(s))
	}
	return m.mount(), nil
}

// set reads one field of s.
func (m *mount) set(field, s string) error {
	name, value, given := strings.Cut(field, "=")
	name = strings.ToLower(name)
	kind, option, _ := strings.Cut(name, "-")
	var err error
	switch name {
	case "readonly", "ro":
		m.ReadOnly, err = mountBool(value, given)
	case "volume-nocopy":
		m.volume.NoCopy, err = mountBool(value, given)
	case "bind-nonrecursive":
		m.bind.NonRecursive, err = mountBool(value, given)
	default:
		if !given {
			return fmt.Errorf("expected name=value, got %s in %s", quote(field), quote(s))
		}
	}
	switch name {
	case "type":
		m.Type = strings.ToLower(value)
	case "source", "src":
		m.Source = value
	case "target", "dst", "destination":
		m.Target = value
	case "consistency":
		m.Consistency = strings.ToLower(value)
	case "bind-propagation":
		m.bind.Propagation = strings.ToLower(value)
	case "bind-recursive":
		err = m.setRecursive(value)
	case "volume-subpath":
		m.volume.Subpath = value
	case "volume-label":
		setPair(&m.volume.Labels, value)
	case "volume-driver":
		m.driver.Name = value
	case "volume-opt":
		setPair(&m.driver.Options, value)
	case "image-subpath":
		m.image.Subpath = value
	case "tmpfs-size":
		m.tmpfs.SizeBytes, err = parseBytes(value)
	case "tmpfs-mode":
		m.tmpfs.Mode, err = parseMode(value)
	case "readonly", "ro", "volume-nocopy", "bind-nonrecursive":
	default:
		return unknownField(name, s, mountFields())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if option != "" && !(name == "bind-recursive" && value == "enabled") {
		m.options[kind] = name
	}
	return nil
}

func (m *mount) setRecursive(value string) error {
	switch value {
	case "enabled": // as it is by default
	case "disabled":
		m.bind.NonRecursive = true
	case "writable":
		m.bind.ReadOnlyNonRecursive = true
	case "readonly":
		m.bind.ReadOnlyForceRecursive = true
	default:
		return fmt.Errorf(`expected "enabled", "disabled", "writable" or "readonly", got %s`, quote(value))
	}
	return nil
}

// check refuses fields that do not go together.
func (m *mount) check() error {
	if m.Type == "" {
		return errors.New("the type is empty")
	}
	if m.Target == "" {
		return errors.New("the target is missing")
	}
	for _, kind := range []string{"bind", "volume", "image", "tmpfs"} {
		if name := m.options[kind]; name != "" && kind != m.Type {
			return fmt.Errorf("%s is for type=%s, not for type=%s", name, kind, m.Type)
		}
	}
	switch {
	case m.bind.ReadOnlyNonRecursive && !m.ReadOnly:
		return errors.New("bind-recursive=writable needs readonly")
	case m.bind.ReadOnlyForceRecursive && !m.ReadOnly:
		return errors.New("bind-recursive=readonly needs readonly")
	case m.bind.ReadOnlyForceRecursive && m.bind.Propagation != "rprivate":
		return errors.New("bind-recursive=readonly needs bind-propagation=rprivate")
	case isRelative(m.Source):
		return errRelative
	}
	return nil
}

func (m *mount) mount() dockerapi.Mount {
	result := m.Mount
	if m.options["bind"] != "" {
		result.BindOptions = &m.bind
	}
	if m.driver.Name != "" || m.driver.Options != nil {
		m.volume.DriverConfig = &m.driver
	}
	if m.options["volume"] != "" {
		result.VolumeOptions = &m.volume
	}
	if m.options["image"] != "" {
		result.ImageOptions = &m.image
	}
	if m.options["tmpfs"] != "" {
		result.TmpfsOptions = &m.tmpfs
	}
	return result
}

// mountBool reads the value of a field that stands for true where it has none.
func mountBool(value string, given bool) (bool, error) {
	if !given {
		return true, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("expected true or false, got %s", quote(value))
	}
	return b, nil
}

func parseMode(s string) (uint32, error) {
	mode, err := strconv.ParseUint(s, 8, 32)
	if err != nil {
		return 0, fmt.Errorf(`expected an octal number such as "1777", got %s`, quote(s))
	}
	return uint32(mode), nil
}

// setPair sets what "name=value" says; without = the value is empty.
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
