package flagval

import (
	"fmt"
	"path"
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

// IsCDI reports whether a --device is the name of a device in the Container Device Interface, VENDOR/CLASS=NAME. It becomes a
// DeviceRequest of the driver cdi. The standard allows a vendor or class of one letter. It is refused here, because the library
// in CLI and engine panics on it.
func IsCDI(s string) bool {
	long := func(s string) bool { return len(s) > 1 && framed(s, letters, word+".-", alnum) }
	kind, name, _ := strings.Cut(s, "=")
	vendor, class, _ := strings.Cut(kind, "/")
	return long(vendor) && long(class) && framed(name, alnum, word+".:-", alnum)
}
