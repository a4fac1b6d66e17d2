package cmd

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// parseIP refuses what is not an IP address of version 4 or 6; 0 is either.
func parseIP(s string, version int) error {
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" || version == 4 && !ip.Is4() || version == 6 && ip.Unmap().Is4() {
		switch version {
		case 4:
			return fmt.Errorf(`expected an IPv4 address such as "172.30.0.5", got %s`, quote(s))
		case 6:
			return fmt.Errorf(`expected an IPv6 address such as "2001:db8::5", got %s`, quote(s))
		}
		return fmt.Errorf("expected an IP address, got %s", quote(s))
	}
	return nil
}

// parseMAC refuses what is not a hardware address.
func parseMAC(s string) error {
	if _, err := net.ParseMAC(s); err != nil {
		return fmt.Errorf(`expected a MAC address such as "02:42:ac:11:00:02", got %s`, quote(s))
	}
	return nil
}

// parseDNS reads one --dns, the address of a name server. As from the docker CLI, the engine gets
// it in the shortest notation.
func parseDNS(s string) (string, error) {
	ip := strings.TrimSpace(s)
	if err := parseIP(ip, 0); err != nil {
		return "", err
	}
	return netip.MustParseAddr(ip).Unmap().String(), nil
}

// domain is a name of letters, digits and hyphens between dots. One dot at its end is dropped.
var domain = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*)\.?$`)

// parseDNSSearch reads one --dns-search, a domain; "." is for none.
func parseDNSSearch(s string) (string, error) {
	name := strings.Trim(s, " ")
	if name == "." {
		return name, nil
	}
	found := domain.FindStringSubmatch(name)
	if found == nil || len(found[1]) >= 255 || !strings.ContainsFunc(name, isLetter) {
		return "", fmt.Errorf(`expected a domain such as "example.com", or "." for none, got %s`, quote(s))
	}
	return found[1], nil
}

func isLetter(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// parseExtraHost reads one --add-host, HOST:IP or HOST=IP, and returns HOST:IP, which is all that
// the engine takes.
func parseExtraHost(s string) (string, error) {
	host, ip, ok := strings.Cut(s, "=")
	if !ok {
		host, ip, ok = strings.Cut(s, ":") // the first colon: the rest may be IPv6
	}
	if !ok || host == "" || strings.Contains(host, ":") {
		return "", fmt.Errorf(`expected a name and an address such as "db:10.0.0.9", got %s`, quote(s))
	}
	if ip == "host-gateway" {
		return host + ":" + ip, nil
	}
	ip = strings.TrimSpace(ip)
	if len(ip) > 2 && ip[0] == '[' && ip[len(ip)-1] == ']' {
		ip = ip[1 : len(ip)-1]
	}
	if err := parseIP(ip, 0); err != nil {
		return "", fmt.Errorf("%w, or host-gateway, for %s", err, quote(host))
	}
	return host + ":" + ip, nil
}

// parseLink refuses what is not a --link, CONTAINER[:ALIAS].
func parseLink(s string) error {
	if s == "" || strings.Count(s, ":") > 1 {
		return fmt.Errorf(`expected a container's name, or "name:alias", got %s`, quote(s))
	}
	return nil
}
