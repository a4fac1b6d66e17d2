package wire

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// A kind of error, for errors.Is. Waiting does not help against any of them: a person must correct the configuration.
type kind string

func (k kind) Error() string { return string(k) }

// The kinds. See [Fatal].
const (
	ErrLogin        = kind("login refused")
	ErrVhost        = kind("virtual host refused")
	ErrNoQueue      = kind("no such queue")
	ErrForbidden    = kind("permission missing")
	ErrNoDeadLetter = kind("no dead-letter queue")
	ErrNoControl    = kind("no control queue")
	ErrNoResults    = kind("no results queue")
	ErrStream       = kind("is a stream, and jobs cannot be taken from a stream; use a classic or quorum queue")
	ErrChannels     = kind("too few channels")
	ErrNotAMQP      = kind("the server does not speak AMQP")
	ErrTLS          = kind("no TLS to the broker")
	ErrReserved     = kind("the name is one of the broker's own")

	// Those of several hosts on a queue. The host is lost after ErrReleased.
	ErrHostsShare    = kind("several hosts share the queue, and a daemon without --host would run their jobs again")
	ErrHostTaken     = kind("another daemon has the host's name")
	ErrHostEngine    = kind("another engine has the host's name")
	ErrHostQueue     = kind("the host's queue exists with other arguments")
	ErrHostNames     = kind("a name is too long for --host")
	ErrHostForbidden = kind("permission missing for --host: configure, write and read")
	ErrReleased      = kind("the host was released")
)

// ErrMechanism is an ErrLogin for which no password matters.
var ErrMechanism = fmt.Errorf("%w", ErrLogin)

// Fatal reports whether waiting does not help against an error.
func Fatal(err error) bool {
	_, ok := errors.AsType[kind](err)
	return ok
}

// Code returns the AMQP reply code of an error from the broker, else 0. It is also 0 for the library's own errors,
// although they use the same codes.
func Code(err error) int {
	if e, ok := errors.AsType[*amqp.Error](err); ok && e.Server {
		return e.Code
	}
	return 0
}

// Reason returns the text of an AMQP error without its code, or else the error's own text.
func Reason(err error) string {
	if e, ok := errors.AsType[*amqp.Error](err); ok {
		return e.Reason
	}
	return err.Error()
}

// LoginDelay is a little less than RabbitMQ's delay of 3 s before it drops a connection with a wrong password.
const LoginDelay = 2500 * time.Millisecond

// A SilentRefusal is a login that the broker seems to have refused without an answer. A network that stalls and then
// breaks looks the same, so a single SilentRefusal proves nothing.
type SilentRefusal struct {
	user string // "": the one that the client certificate names
}

func (e *SilentRefusal) Error() string {
	if e.user == "" {
		return fmt.Sprintf("%v: EXTERNAL, with the name in the client certificate", ErrLogin)
	}
	return fmt.Sprintf("%v: user %q: wrong user name or password", ErrLogin, e.user)
}

func (e *SilentRefusal) Unwrap() error {
	if e.user == "" {
		return ErrMechanism
	}
	return ErrLogin
}

// explainDial turns an error of a dial into an error that a person can act on. read is the error that ended reading
// from the socket. took is the time from the last write, the login, to that error. user is "" if the login was EXTERNAL.
func explainDial(err error, user, vhost string, read error, took time.Duration) error {
	if other, ok := errors.AsType[*notAMQP](read); ok {
		return other
	}
	if fault := cmp.Or(tlsconf.Fault(read), tlsconf.Fault(err)); fault != "" {
		return fmt.Errorf("%w: %s", ErrTLS, fault)
	}
	e, ok := errors.AsType[*amqp.Error](err)
	if !ok {
		if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
			return &notAMQP{string(e.RecordHeader[:]), true}
		}
		return err
	}
	switch {
	case e.Code == amqp.AccessRefused && e.Server:
		return fmt.Errorf("%w: user %q: %s", ErrLogin, user, e.Reason)
	case errors.Is(err, amqp.ErrSASL):
		return fmt.Errorf("%w: the broker offers none of the auth_mechanisms of the address", ErrMechanism)
	case errors.Is(err, amqp.ErrCredentials):
		// The library returns ErrCredentials whenever the connection ends at this point. A broker that refuses
		// waits three seconds, then closes or resets the connection. A broker that dies does not wait.
		if took >= LoginDelay && (errors.Is(read, io.EOF) || errors.Is(read, syscall.ECONNRESET)) {
			return &SilentRefusal{user}
		}
		if read != nil {
			return fmt.Errorf("the connection ended during the login: %w", read)
		}
		return errors.New("the connection ended during the login")
	case errors.Is(err, amqp.ErrVhost):
		return errors.New("the connection ended before the virtual host was opened")
	case e.Code == amqp.NotAllowed && e.Server && !strings.Contains(e.Reason, "limit"):
		return fmt.Errorf("%w: %q: %s", ErrVhost, vhost, e.Reason)
	case strings.Contains(e.Reason, "frame size exceeds") || strings.Contains(e.Reason, "frame could not be parsed"):
		return fmt.Errorf("%w: it sent data that is not a frame (%s)", ErrNotAMQP, e.Reason)
	case read != nil && !e.Server:
		return fmt.Errorf("the connection ended before a broker had answered: %w", read)
	}
	return Plain(err)
}

// A notAMQP is the error of an answer that is not from a broker, or not in the expected protocol.
type notAMQP struct {
	start string // start of the answer
	tls   bool   // the answer came instead of a TLS handshake
}

func (e *notAMQP) Error() string {
	what := fmt.Sprintf("it says %q", e.start)
	switch {
	case strings.HasPrefix(e.start, "HTTP/"):
		what = "it is an HTTP server, as a Docker Engine's port is, or a broker's management port"
	case strings.HasPrefix(e.start, "\x15\x03"), strings.HasPrefix(e.start, "\x16\x03"):
		return fmt.Sprintf("%v in plain text: it speaks TLS; write amqps:// for a broker's port with TLS", ErrNotAMQP)
	case strings.HasPrefix(e.start, "AMQP") && e.tls:
		return "the server speaks AMQP without TLS on this port; write amqp://"
	case strings.HasPrefix(e.start, "AMQP"):
		what = fmt.Sprintf("it offers %q, and not AMQP 0-9-1; use the broker's AMQP 0-9-1 port, usually 5672", e.start)
	case e.tls:
		what = fmt.Sprintf("it does not speak TLS, and says %q", e.start)
	}
	return fmt.Sprintf("%v: %s", ErrNotAMQP, what)
}

func (e *notAMQP) Unwrap() error { return ErrNotAMQP }

// Refused reports whether the broker answered and refused. A broker that reports its own stop or its own internal error
// has not refused.
func Refused(err error) bool {
	c := Code(err)
	return c != 0 && c != amqp.ConnectionForced && c != amqp.InternalError
}

// ExplainQueue turns an error of a call about a queue, which may be nil, into an error that a person can act on. need is the permission
// that the call requires, such as "read permission on queue \"jobs\"".
func ExplainQueue(err error, queue, need string) error {
	if err == nil {
		return nil
	}
	text := Reason(err)
	switch {
	case IsNoQueue(err):
		return fmt.Errorf("%w: %q: %s", ErrNoQueue, queue, text)
	case Code(err) == amqp.AccessRefused && strings.Contains(text, "reserved prefix 'amq."):
		return fmt.Errorf("%w: %q: %s", ErrReserved, queue, text)
	case Code(err) == amqp.AccessRefused && !strings.Contains(text, "exclusive"):
		return fmt.Errorf("%w: %s: %s", ErrForbidden, need, text)
	}
	return Plain(err)
}

// IsNoQueue reports whether a queue does not exist. Other 404s are temporary, such as "home node of the queue is down".
func IsNoQueue(err error) bool {
	return Code(err) == amqp.NotFound && strings.Contains(Reason(err), "no queue")
}

// IsNoExchange reports whether a message was published to an exchange that does not exist.
func IsNoExchange(err error) bool {
	return Code(err) == amqp.NotFound && strings.Contains(Reason(err), "no exchange")
}

// Plain returns err, which may be nil, without the library's wrapping "Exception (320) Reason: ...".
func Plain(err error) error {
	if e, ok := errors.AsType[*amqp.Error](err); ok {
		return &brokerError{cause: e}
	}
	return err
}

// A brokerError is an error of the library in plain words.
type brokerError struct{ cause *amqp.Error }

func (e *brokerError) Error() string {
	if e.cause.Server {
		return fmt.Sprintf("the broker says: %d %s", e.cause.Code, e.cause.Reason)
	}
	return e.cause.Reason
}

func (e *brokerError) Unwrap() error { return e.cause }

// TooLarge reports whether the broker refused a published message for its size. Every retry would fail too.
func TooLarge(err error) bool {
	c := Code(err)
	return c == amqp.PreconditionFailed || c == amqp.ContentTooLarge
}

// ackTimedOut reports whether the broker closed a channel because a delivery was not acked in time.
// ms is the broker's timeout.
func ackTimedOut(err error) (ms int, ok bool) {
	if Code(err) != amqp.PreconditionFailed {
		return 0, false
	}
	_, after, _ := strings.Cut(Reason(err), "timed out") // ... Timeout value used: 1800000 ms. ...
	before, _, found := strings.Cut(after, " ms")
	ms, failed := strconv.Atoi(before[strings.LastIndexByte(before, ' ')+1:])
	return ms, found && failed == nil
}

// Reasons why a consumer or a connection ended although this process did not end it.
var (
	ErrCancelled = errors.New("the broker cancelled the consumer: the queue was deleted, or its node went away, or a delivery was not acked in time")
	ErrClosed    = errors.New("the connection was closed")
)

// AsError returns the AMQP error in err, from the broker or the library. It is nil for ErrClosed and all other errors.
func AsError(err error) *amqp.Error {
	if e, ok := errors.AsType[*amqp.Error](err); ok && e != amqp.ErrClosed {
		return e
	}
	return nil
}
