package dockerapi

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// unreachableError is an ErrUnreachable: no valid answer came.
type unreachableError struct {
	doing string // `start container "web"`; "" for a ping
	host  Host
	doubt string // the unknown effect of the call: "it may have been started"
	err   error
}

func (e *unreachableError) Is(target error) bool {
	return target == ErrUnreachable || target == ErrTLS && tlsFault(e.err)
}
func (e *unreachableError) Unwrap() error { return e.err }

// Error says what to do about failures that are common when an engine is set up. It shows other errors as they are.
func (e *unreachableError) Error() string {
	text, doubt := "", ""
	if e.doubt != "" {
		doubt = "; " + e.doubt
	}
	switch {
	case errors.As(e.err, new(*dialError)), tlsFault(e.err):
		text = fmt.Sprintf("cannot reach the docker engine at %v: %s", e.host, connectReason(e.host, e.err))
	case errors.As(e.err, new(*garbledError)):
		text = fmt.Sprintf("the server at %v is not a docker engine, or a proxy changed its answer: %v", e.host, e.err)
	case errors.Is(e.err, os.ErrDeadlineExceeded):
		text = fmt.Sprintf("the docker engine at %v: %v%s", e.host, e.err, doubt)
	default:
		text = fmt.Sprintf("lost the connection to the docker engine at %v: %v%s", e.host, e.err, doubt)
	}
	if e.doing != "" {
		return e.doing + ": " + text
	}
	return text
}

// tlsFault reports whether err is an [ErrTLS]. It may come after the handshake, see [tlsconf.Fault].
func tlsFault(err error) bool {
	return err == errWantsTLS || isMalformedByTLS(err) || errors.As(err, new(tls.RecordHeaderError)) || tlsconf.Fault(err) != ""
}

func connectReason(h Host, err error) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	switch {
	case h.IsUnix() && errors.Is(err, fs.ErrNotExist):
		return "there is no such socket; is the engine running, and is this its path?"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied; run as root or as a member of the socket's group, usually docker"
	case errors.Is(err, syscall.ECONNREFUSED) && h.IsUnix():
		return "nobody listens on the socket; is the engine running?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; is the engine running, and is this its port?"
	case errors.As(err, &dns):
		return fmt.Sprintf("the host name %q cannot be resolved (%s); check the address", dns.Name, dns.Err)
	case errors.As(err, &record):
		return "it does not speak TLS on this port; switch TLS off, or use its TLS port, usually " + tlsPort
	case err == errWantsTLS, isMalformedByTLS(err):
		return "it speaks TLS on this port; switch TLS on, or use its plain port, usually " + plainPort
	case tlsconf.Fault(err) != "":
		return tlsconf.Fault(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err.Error() + "; is this its address, and does a firewall let us through?"
	}
	return err.Error()
}

// wantsTLS is a Go server's answer to plain HTTP on its TLS port.
const wantsTLS = "Client sent an HTTP request to an HTTPS server"

var errWantsTLS = errors.New("the port speaks TLS")

// isMalformedByTLS reports whether another server answered plain HTTP with a TLS alert (record type 0x15).
// net/http quotes the alert in its error.
func isMalformedByTLS(err error) bool {
	return strings.Contains(err.Error(), `malformed HTTP`) && strings.Contains(err.Error(), `\x15\x03`)
}

// garbledError is the error of an answer that no engine sends.
type garbledError struct {
	start string // start of the answer; "" if it does not help
	err   error  // what is wrong with it
}

func (e *garbledError) Error() string {
	if e.start == "" {
		return e.err.Error()
	}
	return fmt.Sprintf("%v in %q", e.err, e.start)
}

func (e *garbledError) Unwrap() error { return e.err }
