package flagval

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// MaxPorts is how many ports a message may publish or expose: each port of the container once. A range is a few bytes in
// the message, but each of its ports is an entry in the request.
const MaxPorts = 65536

// ParsePublish reads all values of --publish. The keys are ports of the container, such as "80/tcp".
func ParsePublish(specs []string) (map[string][]dockerapi.PortBinding, error) {
	bindings, count := make(map[string][]dockerapi.PortBinding), 0
	for _, spec := range specs {
		p, err := parsePublished(spec)
		if err != nil {
			return nil, err
		}
		count += p.container.size()
		if count > MaxPorts {
			return nil, fmt.Errorf("expected at most %d ports, %s makes them more", MaxPorts, Quote(spec))
		}
		for i := range p.container.size() {
			port := strconv.Itoa(p.container.first+i) + "/" + p.protocol
			bindings[port] = append(bindings[port], dockerapi.PortBinding{HostIP: p.ip, HostPort: p.hostPort(i)})
		}
	}
	return bindings, nil
}

// published is one --publish.
type published struct {
	ip        string     // "": all addresses
	host      *portRange // nil: the engine chooses
	container portRange
	protocol  string
}

// hostPort returns the host's port for the container's i-th port.
func (p published) hostPort(i int) string {
	switch {
	case p.host == nil:
		return ""
	case p.container.size() == 1 && p.host.size() > 1: // the engine chooses one of these
		return fmt.Sprintf("%d-%d", p.host.first, p.host.last)
	}
	return strconv.Itoa(p.host.first + i)
}

// parsePublished reads [[IP:][HOST]:]CONTAINER[/PROTOCOL], or the long form with name=value. HOST is 8080 or 8000-8010,
// CONTAINER 80 or 80-90.
func parsePublished(spec string) (p published, err error) {
	if strings.Contains(spec, "=") {
		if spec, err = shortPublished(spec); err != nil {
			return p, err
		}
	}
	rest, container := cutLast(spec)
	ip, host := cutLast(rest)
	if p.ip, err = hostIP(ip); err != nil {
		return p, err
	}
	if p.container, p.protocol, err = parseContainerPorts(container); err != nil || host == "" {
		return p, err
	}
	r, err := parsePortRange(host)
	switch {
	case err != nil:
		return p, fmt.Errorf("the host's: %w", err)
	case r.size() != p.container.size() && p.container.size() > 1:
		return p, fmt.Errorf("expected as many ports of the host as of the container, got %d in %s for %d in %s",
			r.size(), Quote(host), p.container.size(), Quote(container))
	}
	p.host = &r
	return p, nil
}

// cutLast cuts s at its last colon; without a colon, after is all of s.
func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, ':')
	return s[:max(i, 0)], s[i+1:]
}

// shortPublished turns published=8080,target=80,protocol=tcp,mode=host into 8080:80/tcp. The mode
// is for services; the docker CLI drops it too.
func shortPublished(spec string) (string, error) {
	var host, container, protocol string
	for _, field := range strings.Split(spec, ",") {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return "", fmt.Errorf("expected name=value, got %s in %s", Quote(field), Quote(spec))
		}
		switch name {
		case "published":
			host = value
		case "target":
			container = value
		case "protocol":
			protocol = "/" + value
		case "mode":
		default:
			return "", unknownField(name, spec, []string{"published", "target", "protocol", "mode"})
		}
	}
	return host + ":" + container + protocol, nil
}

// hostIP reads an address of the host, IPv6 with or without brackets.
func hostIP(s string) (string, error) {
	ip := s
	if inner, ok := strings.CutPrefix(ip, "["); ok {
		ip = strings.TrimSuffix(inner, "]")
		if ip == inner {
			return "", fmt.Errorf("expected a ] behind the address, got %s", Quote(s))
		}
	}
	if ip != "" && net.ParseIP(ip) == nil {
		return "", fmt.Errorf("expected an IP address of the host, got %s", Quote(s))
	}
	return ip, nil
}

// ParseExposed reads all values of --expose. The ports of a range are counted before the range is expanded.
func ParseExposed(specs []string) (map[string]struct{}, error) {
	exposed, count := make(map[string]struct{}), 0
	err := Each(specs, func(spec string) error {
		if strings.Contains(spec, ":") {
			return fmt.Errorf("expected a port of the container only, got %s; Publish gives one of the host", Quote(spec))
		}
		r, protocol, err := parseContainerPorts(spec)
		if err != nil {
			return err
		}
		if count += r.size(); count > MaxPorts {
			return fmt.Errorf("expected at most %d ports, %s makes them more", MaxPorts, Quote(spec))
		}
		for port := r.first; port <= r.last; port++ {
			exposed[strconv.Itoa(port)+"/"+protocol] = struct{}{}
		}
		return nil
	})
	return exposed, err
}

// parseContainerPorts reads 80, 80/udp or 80-90/sctp.
func parseContainerPorts(s string) (r portRange, protocol string, err error) {
	ports, protocol, _ := strings.Cut(s, "/")
	if ports == "" {
		return r, "", errors.New("the container's port is missing")
	}
	if r, err = parsePortRange(ports); err != nil {
		return r, "", err
	}
	switch protocol = strings.ToLower(protocol); protocol {
	case "":
		return r, "tcp", nil
	case "tcp", "udp", "sctp":
		return r, protocol, nil
	}
	return r, "", fmt.Errorf(`expected the protocol "tcp", "udp" or "sctp", got %s`, Quote(protocol))
}

// portRange is a range of ports, including first and last.
type portRange struct{ first, last int }

func (r portRange) size() int { return r.last - r.first + 1 }

func parsePortRange(s string) (portRange, error) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	first, err1 := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	switch {
	case err1 != nil || err2 != nil:
		return portRange{}, fmt.Errorf(`expected a port from 0 to 65535, or a range such as "8000-8010", got %s`, Quote(s))
	case last < first:
		return portRange{}, fmt.Errorf("expected a range whose last port is not below its first, got %s", Quote(s))
	}
	return portRange{int(first), int(last)}, nil
}
