package flagval

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ParseDevice reads one --device, HOST[:CONTAINER][:PERMISSIONS], of the host's own devices;
// see IsCDI for the others.
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
	// A host's path that is not absolute would start from the engine's working directory.
	for _, p := range []*string{&d.PathOnHost, &d.PathInContainer} {
		if !path.IsAbs(*p) {
			return d, fmt.Errorf("expected an absolute path, got %s in %s", Quote(*p), Quote(s))
		}
		*p = path.Clean(*p)
	}
	return d, nil
}

// isDeviceMode says whether s is some of r, w and m, each at most once.
func isDeviceMode(s string) bool {
	for i, c := range s {
		if !strings.ContainsRune("rwm", c) || strings.ContainsRune(s[:i], c) {
			return false
		}
	}
	return s != ""
}

var deviceCgroupRule = regexp.MustCompile(`^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$`)

// ParseDeviceCgroupRule refuses what is not a --device-cgroup-rule.
func ParseDeviceCgroupRule(s string) error {
	if !deviceCgroupRule.MatchString(s) {
		return fmt.Errorf(`expected a rule such as "c 42:* rmw", got %s`, Quote(s))
	}
	return nil
}

// cdiDevice is VENDOR/CLASS=NAME, as the Container Device Interface has it. A vendor or class of one
// letter would be right too, but the library that CLI and engine read it with panics there.
var cdiDevice = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]/[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]=[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$`)

// IsCDI says whether a --device is the name of a CDI device, vendor.com/class=name. All of these
// become one DeviceRequest of the driver cdi.
func IsCDI(s string) bool { return cdiDevice.MatchString(s) }
