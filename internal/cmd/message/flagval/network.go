package flagval

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ParseNetwork reads one --network: a network's name, or the long form, name=mynet,alias=web.
func ParseNetwork(s string) (name string, e dockerapi.EndpointSettings, err error) {
	if !strings.Contains(s, "=") {
		if strings.TrimSpace(s) == "" {
			return "", e, fmt.Errorf("expected a network's name, got %s", Quote(s))
		}
		return s, e, nil
	}
	fields, err := csvFields(s)
	if err != nil {
		return "", e, err
	}
	var ipam dockerapi.EndpointIPAM
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return "", e, fmt.Errorf("expected name=value, got %s in %s", Quote(field), Quote(s))
		}
		// The docker CLI makes the values lower case too, and then cannot find a network named MyNet.
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch key {
		case "name":
			name = value
		case "alias":
			e.Aliases = append(e.Aliases, value)
		case "ip":
			ipam.IPv4Address, err = value, ParseIP(4)(value)
		case "ip6":
			ipam.IPv6Address, err = value, ParseIP(6)(value)
		case "link-local-ip":
			ipam.LinkLocalIPs, err = append(ipam.LinkLocalIPs, value), ParseIP(0)(value)
		case "mac-address":
			e.MacAddress, err = value, ParseMAC(value)
		case "driver-opt":
			err = setDriverOpt(&e.DriverOpts, value)
		case "gw-priority":
			if e.GwPriority, err = strconv.Atoi(value); err != nil {
				err = fmt.Errorf("expected a whole number, got %s", Quote(value))
			}
		default:
			return "", e, unknownField(key, s, []string{"name", "alias", "ip", "ip6", "link-local-ip", "mac-address", "driver-opt", "gw-priority"})
		}
		if err != nil {
			return "", e, fmt.Errorf("%s: %w", key, err)
		}
	}
	if ipam.IPv4Address != "" || ipam.IPv6Address != "" || ipam.LinkLocalIPs != nil {
		e.IPAMConfig = &ipam
	}
	switch {
	case name == "":
		return "", e, fmt.Errorf("expected a network's name, name=..., got %s", Quote(s))
	case len(e.Aliases) > 0 && !IsUserDefined(name):
		return "", e, fmt.Errorf("the network %s takes no aliases; only one that was created does", Quote(name))
	}
	return name, e, nil
}

func setDriverOpt(options *map[string]string, s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return fmt.Errorf("expected name=value, got %s", Quote(s))
	}
	if *options == nil {
		*options = make(map[string]string)
	}
	(*options)[strings.TrimSpace(name)] = strings.TrimSpace(value)
	return nil
}

// IsUserDefined reports whether the name is a created network's: neither built in nor container:NAME.
func IsUserDefined(network string) bool {
	switch network {
	case "default", "bridge", "host", "none":
		return false
	}
	return !strings.HasPrefix(network, "container:")
}
