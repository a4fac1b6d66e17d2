package flagval

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func ulimitNames() []string {
	return []string{"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
		"rss", "rtprio", "rttime", "sigpending", "stack"}
}

// ParseUlimit reads one --ulimit, NAME=SOFT[:HARD]; -1 is unlimited.
func ParseUlimit(s string) (dockerapi.Ulimit, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return dockerapi.Ulimit{}, fmt.Errorf(`expected a limit such as "nofile=1024:2048", got %s`, Quote(s))
	}
	if names := ulimitNames(); !slices.Contains(names, name) {
		return dockerapi.Ulimit{}, Unknown("limit", name, names)
	}
	first, second, two := strings.Cut(value, ":")
	if !two {
		second = first
	}
	soft, err1 := strconv.ParseInt(first, 10, 64)
	hard, err2 := strconv.ParseInt(second, 10, 64)
	switch {
	case err1 != nil || err2 != nil:
		return dockerapi.Ulimit{}, fmt.Errorf(`%s: expected a number, or two with a colon, such as "1024:2048", got %s`, name, Quote(value))
	case hard != -1 && (soft == -1 || soft > hard):
		return dockerapi.Ulimit{}, fmt.Errorf("%s: expected a soft limit that is not above the hard one, got %s", name, Quote(value))
	}
	return dockerapi.Ulimit{Name: name, Soft: soft, Hard: hard}, nil
}

// ParseWeightDevice reads one --blkio-weight-device, DEVICE:WEIGHT.
func ParseWeightDevice(s string) (dockerapi.WeightDevice, error) {
	device, value, err := cutBlockDevice(s)
	if err != nil {
		return dockerapi.WeightDevice{}, err
	}
	weight, err := strconv.ParseUint(value, 10, 16)
	if err != nil || weight != 0 && (weight < 10 || weight > 1000) {
		return dockerapi.WeightDevice{}, fmt.Errorf("expected a weight from 10 to 1000, or 0 for none, got %s in %s", Quote(value), Quote(s))
	}
	return dockerapi.WeightDevice{Path: device, Weight: uint16(weight)}, nil
}

// ParseThrottleBps reads one --device-read-bps or --device-write-bps, DEVICE:SIZE.
func ParseThrottleBps(s string) (dockerapi.ThrottleDevice, error) {
	device, value, err := cutBlockDevice(s)
	if err != nil {
		return dockerapi.ThrottleDevice{}, err
	}
	rate, err := ParseBytes(value)
	if err != nil {
		return dockerapi.ThrottleDevice{}, err
	}
	return dockerapi.ThrottleDevice{Path: device, Rate: uint64(rate)}, nil
}

// ParseThrottleIOps reads one --device-read-iops or --device-write-iops, DEVICE:NUMBER.
func ParseThrottleIOps(s string) (dockerapi.ThrottleDevice, error) {
	device, value, err := cutBlockDevice(s)
	if err != nil {
		return dockerapi.ThrottleDevice{}, err
	}
	rate, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return dockerapi.ThrottleDevice{}, fmt.Errorf("expected a number of operations a second, got %s in %s", Quote(value), Quote(s))
	}
	return dockerapi.ThrottleDevice{Path: device, Rate: rate}, nil
}

func cutBlockDevice(s string) (device, value string, err error) {
	device, value, ok := strings.Cut(s, ":")
	if !ok || !strings.HasPrefix(device, "/dev/") || path.Clean(device) != device {
		return "", "", fmt.Errorf("expected a device below /dev, a colon and a number, got %s", Quote(s))
	}
	return device, value, nil
}
