package flagval

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// ParseIP returns a check that refuses a text which is not an IP address of version 4 or 6. Version 0 means either.
func ParseIP(version int) func(string) error {
	return func(s string) error {
		ip, err := netip.ParseAddr(s)
		switch {
		case version == 4 && !ip.Is4():
			return fmt.Errorf(`expected an IPv4 address such as "172.30.0.5", got %s`, Quote(s))
		case version == 6 && (ip.Zone() != "" || !ip.Is6() || ip.Is4In6()):
			return fmt.Errorf(`expected an IPv6 address such as "2001:db8::5", got %s`, Quote(s))
		case err != nil || ip.Zone() != "":
			return fmt.Errorf("expected an IP address, got %s", Quote(s))
		}
		return nil
	}
}

// ParseMAC refuses a text that is not a MAC address.
func ParseMAC(s string) error {
	if _, err := net.ParseMAC(s); err != nil {
		return fmt.Errorf(`expected a MAC address such as "02:42:ac:11:00:02", got %s`, Quote(s))
	}
	return nil
}

// ParseDNS reads one --dns, the address of a name server. It returns the shortest notation, as the docker CLI sends it.
func ParseDNS(s string) (string, error) {
	ip := strings.TrimSpace(s)
	if err := ParseIP(0)(ip); err != nil {
		return "", err
	}
	return netip.MustParseAddr(ip).Unmap().String(), nil
}

// ParseDNSSearch reads one --dns-search, a domain, and leaves out one dot at its end; "." means none.
func ParseDNSSearch(s string) (string, error) {
	name := strings.Trim(s, " ")
	if name == "." {
		return name, nil
	}
	name = strings.TrimSuffix(name, ".")
	if !isHost(name) || len(name) >= 255 || !strings.ContainsAny(name, letters) {
		return "", fmt.Errorf(`expected a domain such as "example.com", or "." for none, got %s`, Quote(s))
	}
	return name, nil
}

// ParseExtraHost reads one --add-host, HOST:IP or HOST=IP, and returns HOST:IP, the only form that the engine takes.
func ParseExtraHost(s string) (string, error) {
	host, ip, ok := strings.Cut(s, "=")
	if !ok {
		host, ip, ok = strings.Cut(s, ":") // the first colon: the rest may be IPv6
	}
	if !ok || host == "" || strings.Contains(host, ":") {
		return "", fmt.Errorf(`expected a name and an address such as "db:10.0.0.9", got %s`, Quote(s))
	}
	if ip == "host-gateway" {
		return host + ":" + ip, nil
	}
	ip = strings.TrimSpace(ip)
	if len(ip) > 2 && ip[0] == '[' && ip[len(ip)-1] == ']' {
		ip = ip[1 : len(ip)-1]
	}
	if err := ParseIP(0)(ip); err != nil {
		return "", fmt.Errorf("%w, or host-gateway, for %s", err, Quote(host))
	}
	return host + ":" + ip, nil
}

// ParseLink refuses a text that is not a --link, CONTAINER[:ALIAS].
func ParseLink(s string) error {
	if s == "" || strings.Count(s, ":") > 1 {
		return fmt.Errorf(`expected a container's name, or "name:alias", got %s`, Quote(s))
	}
	return nil
}
