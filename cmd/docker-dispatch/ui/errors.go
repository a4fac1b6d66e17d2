package ui

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Errors and hints are single lines on stderr, without a capital and without a final period. A hint
// says what to do. Only this file prints lines with "error:" or "hint:".

// Hinted is an error with a hint and an exit code.
type Hinted struct {
	message, hint string
	code          int
}

func (e *Hinted) Error() string { return e.message }

// WithHint is an error with a hint. Fail returns the code.
func WithHint(message, hint string, code int) error { return &Hinted{message, hint, code} }

// UsageError is an error of the command line or of the configuration.
func UsageError(message, hint string) error { return WithHint(message, hint, ExitUsage) }

// ErrHelp: the command line asks for help.
var ErrHelp = errors.New("help")

// ErrSomeFailed means that a message of stdin, or of check, failed. The reason is already printed.
var ErrSomeFailed = errors.New("a message failed")

// hints has the hints for configuration errors, which end the program at its start.
var hints = []struct {
	err  error
	hint string
}{
	{wire.ErrMechanism, "the broker's auth_mechanisms must have one of those in the address; EXTERNAL needs its plugin rabbitmq_auth_mechanism_ssl, certfile and keyfile in the address, and a user with the name in that certificate; the broker's log has the reason"},
	{wire.ErrLogin, "check user and password: in the broker's address, amqp://user:password@host, or in the file of --amqp-password-file; the user guest may log in only from the broker's own machine"},
	{wire.ErrVhost, "check the virtual host behind the last / of the broker's address, and the user's permissions on it"},
	{wire.ErrChannels, "raise channel_max in the broker's configuration; it is 2047 unless set"},
	{wire.ErrNotAMQP, "check host and port of the broker's address; brokers take AMQP on port 5672, with TLS on 5671"},
	{wire.ErrTLS, "?cacertfile=FILE in the broker's address names the CA that signed the broker's certificate, which must be for the host in the address, or for server_name_indication=NAME; certfile= and keyfile= are what the broker is shown"},
	{wire.ErrStream, "name a quorum or a classic queue: a consumer's ack takes nothing out of a stream, and the broker deletes its messages by age or size"},
	{wire.ErrReserved, "name a queue that does not begin with amq."},
	{wire.ErrNoControl, "create that queue, or let the user configure and read it; --control NAME names another, --control none does without"},
	{wire.ErrNoResults, "create the queue that --results names, or let --declare quorum or --declare classic do it"},
	{wire.ErrNoQueue, "create the queue, or let --declare quorum or --declare classic do it"},
	{wire.ErrNoDeadLetter, "create that queue, or let the user configure it; --dead-letter NAME names another, --dead-letter none leaves it to the queue's own dead-letter exchange"},
	{wire.ErrForbidden, "give the user what it needs: read on the queue, write on amq.default, and configure on what is to be declared (rabbitmqctl set_permissions)"},
	{wire.ErrHostsShare, "start it with --host NAME, or name another queue; if all its hosts are gone for good: docker-dispatch hosts release each, then delete the queues QUEUE.host* (rabbitmqctl delete_queue)"},
	{wire.ErrHostTaken, "give each daemon of the queue a --host of its own, or end the other one; docker-dispatch hosts -q QUEUE lists the names"},
	{wire.ErrHostEngine, "give this daemon another --host; if its engine replaces that one for good: docker-dispatch hosts release -q QUEUE NAME"},
	{wire.ErrHostQueue, "delete that queue when it is empty (rabbitmqctl delete_queue), and start the daemon again"},
	{wire.ErrHostNames, "use a shorter queue or virtual host"},
	{wire.ErrHostForbidden, "let the user configure, write and read these names too (rabbitmqctl set_permissions); docker-dispatch help operate has the whole line"},
	{fs.ErrPermission, "run as root or as a user in the socket's group, which ls -l shows: usermod -aG docker USER, then log in again; for a service, SupplementaryGroups="},
	{dockerapi.ErrNotEngine, "the Docker Engine's address is the first, the broker's the second: docker-dispatch dockerHostAddr amqpAddr"},
	{dockerapi.ErrTLS, "TLS is on with --tlsverify, DOCKER_TLS_VERIFY, https:// or any of the files; --tlscacert names the CA that signed the engine's certificate, which must be for the host in the address; --tlscert and --tlskey are what the engine is shown"},
	{dockerapi.ErrPinned, "unset DOCKER_API_VERSION, and the version is negotiated; or set it to a version that the engine has"},
	{dockerapi.ErrVersion, "use Docker Engine 19.03 (API 1.40) or newer"},
}

// Permanent reports whether err, from the first request to the engine, cannot be fixed by waiting.
func Permanent(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, dockerapi.ErrVersion) || errors.Is(err, dockerapi.ErrNotEngine) || errors.Is(err, dockerapi.ErrTLS)
}

// Fail prints an error and its hint, and returns the exit code.
func Fail(stderr io.Writer, err error) int {
	if errors.Is(err, ErrSomeFailed) {
		return ExitFailed
	}
	fmt.Fprintf(stderr, "docker-dispatch: error: %s\n", PlainLine(err.Error()))
	if h, ok := errors.AsType[*Hinted](err); ok {
		fmt.Fprintf(stderr, "hint: %s\n", PlainLine(h.hint))
		return h.code
	}
	for _, h := range hints {
		if errors.Is(err, h.err) {
			fmt.Fprintf(stderr, "hint: %s\n", h.hint)
			return ExitUsage
		}
	}
	return ExitFailed
}
