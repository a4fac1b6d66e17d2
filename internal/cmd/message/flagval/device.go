package flagval

import (
	"fmt"
	"path"
	"regexp"
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

var deviceCgroupRule = regexp.MustCompile(`^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$`)

// ParseDeviceCgroupRule refuses a text that is not a --device-cgroup-rule.
func ParseDeviceCgroupRule(s string) error {
	if !deviceCgroupRule.MatchString(s) {
		return fmt.Errorf(`expected a rule such as "c 42:* rmw", got %s`, Quote(s))
	}
	return nil
}

// cdiDevice matches VENDOR/CLASS=NAME of the Container Device Interface. The standard allows a vendor or class of one letter.
// It is refused here, because the library in CLI and engine panics on it.
var cdiDevice = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]/[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]=[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$`)

// IsCDI reports whether a --device is the name of a CDI device, vendor.com/class=name. It becomes a DeviceRequest of the
// driver cdi.
func IsCDI(s string) bool { return cdiDevice.MatchString(s) }
