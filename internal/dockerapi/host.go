package dockerapi

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultSocket = "/var/run/docker.sock"
	plainPort     = "2375"
	tlsPort       = "2376"

	// maxSocketPath is the length limit of sockaddr_un on Linux, without the final NUL.
	// A longer path fails at dial with only "invalid argument".
	maxSocketPath = 107
)

// Host is the address of an engine. Make one with [ParseHost].
type Host struct {
	network  string // "unix" or "tcp"
	address  string // socket path, or host without brackets
	port     string // tcp only
	portless bool   // no port was given: port follows tls
	base     string // tcp only: prefix of every request path, such as "/base", or ""
	tls      bool
}

// ParseHost parses an engine's address. It accepts every form of DOCKER_HOST and some other common forms:
//
//	""                        unix:///var/run/docker.sock
//	unix:///run/docker.sock   a socket
//	/run/docker.sock          the same; also ./docker.sock, and @name (abstract)
//	tcp://10.0.0.5:2375       plain TCP; also 10.0.0.5:2375, 10.0.0.5, :2375
//	tcp://[fd00::5]:2375      IPv6 in brackets
//	tcp://proxy:80/engine     a prefix of every request path
//	http://..., https://...   TCP without TLS, TCP with TLS
//
// The host defaults to localhost. The port defaults to 2376 with TLS, else to 2375.
// The error for an unusable address says what to write instead.
func ParseHost(addr string) (Host, error) {
	scheme, rest, found := strings.Cut(addr, "://")
	if !found {
		scheme, rest = "", addr
		if addr == "" || strings.ContainsRune("/.@", rune(addr[0])) {
			scheme = "unix"
		}
	}
	var h Host
	var err error
	switch scheme = strings.ToLower(scheme); scheme { // RFC 3986: schemes are case-insensitive
	case "unix":
		h, err = parseSocket(rest)
	case "tcp", "http", "https", "":
		h, err = parseTCP(rest)
		if err == nil && scheme == "" && h.base != "" && h.portless {
			err = fmt.Errorf("this could be a path or a host; write ./%s for a socket, tcp://%s for a host", rest, rest)
		}
	case "fd":
		err = errors.New("fd:// is where an engine listens under systemd, not an address to connect to; use unix://" + defaultSocket)
	case "npipe":
		err = errors.New("npipe:// is a Windows named pipe; use unix:// or tcp://")
	case "ssh":
		err = errors.New("ssh:// is not supported; forward the socket with ssh -L ./docker.sock:" + defaultSocket + " and use ./docker.sock")
	default:
		err = fmt.Errorf("unknown scheme %q; use unix://, tcp://, http:// or https://", scheme)
	}
	switch {
	case err != nil:
		return Host{}, fmt.Errorf("docker host %q: %w", withoutPassword(addr), err)
	case scheme == "https":
		h = h.WithTLS()
	}
	return h, nil
}

// withoutPassword hides what may be a password before the last @ of an address.
func withoutPassword(addr string) string {
	at := strings.LastIndexByte(addr, '@')
	from := strings.Index(addr, "://") + 1 // 0: there is no scheme
	if from > 0 {
		from += len("//")
	}
	if at < from {
		return addr
	}
	user, _, found := strings.Cut(addr[from:at], ":")
	if !found {
		return addr
	}
	return addr[:from] + user + ":xxxxx" + addr[at:]
}

func parseSocket(path string) (Host, error) {
	if path == "" {
		path = defaultSocket
	}
	if strings.ContainsRune(path, 0) {
		return Host{}, errors.New("a socket path cannot hold a NUL byte")
	}
	if len(path) > maxSocketPath {
		return Host{}, fmt.Errorf("the socket path is %d bytes long, the system takes at most %d; use a shorter path or a symbolic link", len(path), maxSocketPath)
	}
	return Host{network: "unix", address: path}, nil
}

func parseTCP(s string) (Host, error) {
	h := Host{network: "tcp", port: plainPort}
	authority, path, _ := strings.Cut(s, "/")
	if strings.Contains(s, "@") { // also after a slash, which a password may have
		return Host{}, errors.New("a user name is not supported; remove what stands before the @")
	}
	if strings.ContainsAny(s, "?#") {
		return Host{}, errors.New("a query or fragment is not supported; remove the part after the ? or #")
	}
	if path = strings.Trim(path, "/"); path != "" {
		u, err := url.ParseRequestURI("/" + path)
		if err != nil {
			return Host{}, fmt.Errorf("bad path %q", path)
		}
		h.base = u.EscapedPath()
	}

	name, port, err := splitHostPort(authority)
	if err != nil {
		return Host{}, err
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`"<>\^{|}`+"`", r)
	}) {
		return Host{}, fmt.Errorf("bad host name %q", name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r > 0x7f }) {
		return Host{}, fmt.Errorf("bad host name %q; write it in ASCII, as in xn--bcher-kva.example", name)
	}
	if h.address = name; name == "" {
		h.address = "localhost"
	}
	if port == "" {
		h.portless = true
		return h, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Host{}, fmt.Errorf("bad port %q; a port is a number from 1 to 65535", port)
	}
	h.port = port
	return h, nil
}

// splitHostPort is net.SplitHostPort with an optional port.
func splitHostPort(authority string) (host, port string, err error) {
	if strings.HasPrefix(authority, "[") {
		host, rest, ok := strings.Cut(authority[1:], "]")
		if !ok || host == "" || (rest != "" && rest[0] != ':') || !strings.Contains(host, ":") {
			return "", "", errors.New("bad IPv6 address; write it as [ADDRESS]:PORT")
		}
		return host, strings.TrimPrefix(rest, ":"), nil
	}
	if strings.Count(authority, ":") > 1 {
		return "", "", errors.New("too many colons; write an IPv6 address in brackets, [ADDRESS]:PORT")
	}
	host, port, _ = strings.Cut(authority, ":")
	return host, port, nil
}

// String returns the address for logs: unix:///path, unix://@name or tcp://host:port/base.
func (h Host) String() string {
	if h.IsUnix() {
		return "unix://" + h.address
	}
	return "tcp://" + h.dialAddress() + h.base
}

// IsUnix reports whether the engine is reached through a unix socket.
func (h Host) IsUnix() bool { return h.network == "unix" }

// TLS reports whether the address asks for TLS: it began with https://, or [Host.WithTLS] was called.
func (h Host) TLS() bool { return h.tls }

// Exposed reports whether containers may reach the engine at this address: plain TCP, except to this host's loopback.
func (h Host) Exposed() bool {
	return !h.Local() && !h.tls
}

// Local reports whether the engine is reached by a socket or by this host's loopback, and so runs on this host.
func (h Host) Local() bool {
	if h.IsUnix() || h.address == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(h.address)
	return err == nil && ip.IsLoopback()
}

// WithTLS returns the address with TLS on. If no port was given, the port becomes 2376.
// A unix socket has no TLS and is returned unchanged.
func (h Host) WithTLS() Host {
	if h.IsUnix() {
		return h
	}
	h.tls = true
	if h.portless {
		h.port = tlsPort
	}
	return h
}

// dialAddress returns the address argument for net.Dial.
func (h Host) dialAddress() string {
	if h.IsUnix() {
		return h.address
	}
	return net.JoinHostPort(h.address, h.port)
}

// header returns the Host header. Go servers refuse a socket path or an empty value in it, so a socket gets a dummy.
func (h Host) header() string {
	if h.IsUnix() {
		return "docker"
	}
	address, _, _ := strings.Cut(h.address, "%") // a zone is of this host only
	return net.JoinHostPort(address, h.port)
}
