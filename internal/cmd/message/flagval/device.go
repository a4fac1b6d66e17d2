package flagval

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ParseDevice reads one --device of the host, HOST[:CONTAINER][:PERMISSIONS]. For other devices see IsCDI.
func ParseDevice(s string) (dockerapi.Device, error) {
	parts := strings.Split(s, ":")
	d := dockerapi.Device{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	switch {
	case len(parts) > 3 || parts[0] == "":
		return d, fmt.Errorf(`expected a device such as "/dev/sda:/dev/xvda:r", got %s`, Quote(s))
	case len(parts) == 3:
		d.PathInContainer, d.CgroupPermissions = parts[1], parts[2]
	case len(parts) == 2 && isDeviceMode(parts[1]):
		d.CgroupPermissions = parts[1]
	case len(parts) == 2:
		d.PathInContainer = parts[1]
	}
	if !isDeviceMode(d.CgroupPermissions) {
		return d, fmt.Errorf(`expected permissions of r, w and m, each once, got %s in %s`, Quote(d.CgroupPermissions), Quote(s))
	}
	// A relative path of the host would start from the engine's working directory.
	for _, p := range []*string{&d.PathOnHost, &d.PathInContainer} {
		if !path.IsAbs(*p) {
			return d, fmt.Errorf("expected an absolute path, got %s in %s", Quote(*p), Quote(s))
		}
		*p = path.Clean(*p)
	}
	return d, nil
}

// isDeviceMode reports whether s is some of r, w and m, each at most once.
func isDeviceMode(s string) bool {
	for i, c := range s {
		if !strings.ContainsRune("rwm", c) || strings.ContainsRune(s[:i], c) {
			return false
		}
	}
	return s != ""
}

// ParseDeviceCgroupRule refuses a text that is not a --device-cgroup-rule.
func ParseDeviceCgroupRule(s string) error {
	number := func(s string) bool { return s == "*" || only(s, digits) }
	kind, rest, _ := strings.Cut(s, " ")
	device, access, _ := strings.Cut(rest, " ")
	major, minor, _ := strings.Cut(device, ":")
	if len(kind) != 1 || !only(kind, "acb") || !number(major) || !number(minor) || len(access) > 3 || !only(access, "rwm") {
		return fmt.Errorf(`expected a rule such as "c 42:* rmw", got %s`, Quote(s))
	}
	return nil
}

// IsCDI reports whether a --device is the name of a device in the Container Device Interface, VENDOR/CLASS=NAME. Such a
// device becomes a DeviceRequest of the driver cdi. IsCDI returns false for a vendor or class of one letter: the standard
// allows these, but the library in CLI and engine panics on them.
func IsCDI(s string) bool {
	long := func(s string) bool { return len(s) > 1 && framed(s, letters, word+".-", alnum) }
	kind, name, _ := strings.Cut(s, "=")
	vendor, class, _ := strings.Cut(kind, "/")
	return long(vendor) && long(class) && framed(name, alnum, word+".:-", alnum)
}

// ParseGPUs reads one --gpus: a count, all, or fields such as driver=nvidia.
func ParseGPUs(s string) (dockerapi.DeviceRequest, error) {
	fields, err := csvFields(s)
	if err != nil {
		return dockerapi.DeviceRequest{}, err
	}
	r := dockerapi.DeviceRequest{Capabilities: [][]string{{"gpu"}}, Options: map[string]string{}}
	var seen []string
	for _, field := range fields {
		name, value, given := strings.Cut(field, "=")
		if !given {
			name, value = "count", field
		}
		if slices.Contains(seen, name) {
			return r, fmt.Errorf("the field %s is in %s twice", Quote(name), Quote(s))
		}
		seen = append(seen, name)
		switch name {
		case "driver":
			r.Driver = value
		case "count":
			r.Count, err = parseGPUCount(value)
		case "device":
			r.DeviceIDs = strings.Split(value, ",")
		case "capabilities":
			r.Capabilities = [][]string{append(strings.Split(value, ","), "gpu")}
		case "options":
			r.Options, err = parseGPUOptions(value)
		default:
			err = unknownField(name, s, []string{"driver", "count", "device", "capabilities", "options"})
		}
		if err != nil {
			return r, err
		}
	}
	switch {
	case r.DeviceIDs == nil && !slices.Contains(seen, "count"):
		r.Count = 1
	case r.DeviceIDs != nil && r.Count != 0:
		return r, errors.New(`expected a count or devices, got both in ` + Quote(s) + `; several devices need quotation marks of their own: "\"device=0,1\""`)
	}
	return r, nil
}

func parseGPUCount(s string) (int, error) {
	if s == "all" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf(`expected a number of GPUs, or "all", got %s`, Quote(s))
	}
	return n, nil
}

func parseGPUOptions(s string) (map[string]string, error) {
	fields, err := csvFields(s)
	if err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	options := make(map[string]string)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		options[name] = value
	}
	return options, nil
}
