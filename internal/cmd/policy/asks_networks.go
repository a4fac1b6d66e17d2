package policy

import (
	"cmp"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func (l *asking) networks(r *message.Run, h *dockerapi.HostConfig) {
	names := []string{defaultNetwork}
	if len(r.Networks) > 0 {
		names = nil
	}
	for _, n := range r.Networks {
		names = append(names, canonicalNetwork(n.Name))
		for _, o := range pairs(n.Endpoint.DriverOpts) {
			l.add("DriverOpt", o, "Options.Network", "can set a parameter of the kernel")
		}
	}
	for _, n := range names {
		why := when(foreign(n), "is the network of the host or of another container")
		if n == "slirp4netns" || n == "pasta" { // past a firewall that is for containers
			why = "has Podman connect as the host"
		}
		l.option("Network", n, why)
	}
	l.options("Link", h.Links, "shows the environment of another container")
	l.flag("PublishAll", h.PublishAllPorts, "opens ports of the host to the network")
	left := flagval.MaxPorts // of more the ceilings refuse the message
	for _, port := range sortedKeys(h.PortBindings) {
		for _, b := range h.PortBindings[port] {
			ip, err := netip.ParseAddr(cmp.Or(b.HostIP, "0.0.0.0"))
			why := when(err != nil || !ip.IsLoopback(), "opens a port of the host to the network (write 127.0.0.1:...)")
			n := min(portsIn(b), left)
			first, _, _ := strings.Cut(b.HostPort, "-")
			low, _ := strconv.Atoi(first) // it can be empty
			for i := range n {
				if i > 0 {
					first = strconv.Itoa(low + i)
				}
				l.option("Publish", net.JoinHostPort(ip.Unmap().String(), first), why)
			}
			left -= n
		}
	}
}

// portsIn returns how many ports of the host a binding can take. The engine chooses one of a range.
func portsIn(b dockerapi.PortBinding) int {
	first, last, _ := strings.Cut(b.HostPort, "-")
	low, _ := strconv.Atoi(first)
	high, _ := strconv.Atoi(last) // 0 if it is no range
	return max(1, 1+high-low)
}
