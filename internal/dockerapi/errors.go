package dockerapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The kinds of error, for errors.Is. An [*Error] has at most one kind. Trying
// again does not repair a failure without a kind.
var (
	// ErrUnreachable: dialling failed, the connection broke, or no sensible
	// answer came in time. The engine may or may not have carried out a change.
	// errors.Is also finds fs.ErrPermission, fs.ErrNotExist,
	// syscall.ECONNREFUSED and the like.
	ErrUnreachable = errors.New("docker engine unreachable")

	// ErrTLS, an ErrUnreachable: one side refuses the other's certificate or
	// TLS version, or only one side speaks TLS.
	ErrTLS = errors.New("no TLS to the docker engine")

	// ErrNoSuchContainer: the engine knows no container of this name or id.
	ErrNoSuchContainer = errors.New("no such container")

	// ErrNoSuchExec: the engine knows no exec of this id. The engine forgets
	// the execs of an exited container; Podman keeps some.
	ErrNoSuchExec = errors.New("no such exec")

	// ErrNoSuchImage: create, and the engine does not have the image for this platform.
	// Or pull, and the registry does not have the image, or not for this user.
	ErrNoSuchImage = errors.New("no such image")

	// ErrNameInUse: create or rename, and another container has the name; see
	// [Error.HolderID].
	ErrNameInUse = errors.New("container name in use")

	// ErrConflict: not possible in the container's present state, such as
	// removing a running container without force.
	ErrConflict = errors.New("conflict with the container's state")

	// ErrRemovalInProgress: another request is removing the container, and soon completes.
	ErrRemovalInProgress = errors.New("removal already in progress")

	// ErrInvalid: the engine or this package refuses the request itself.
	ErrInvalid = errors.New("invalid request")

	// ErrUnauthorized: the engine, a proxy before the engine, or a registry
	// requires other credentials.
	ErrUnauthorized = errors.New("not authorized")

	// ErrTemporary: a failure that may pass; worth trying again later.
	ErrTemporary = errors.New("temporary failure")

	// ErrTooManyRequests: an ErrTemporary; a registry limits the request rate.
	ErrTooManyRequests = fmt.Errorf("%w: too many requests", ErrTemporary)

	// ErrVersion: the engine and this client have no API version in common.
	ErrVersion = errors.New("no common API version")

	// ErrPinned: an ErrVersion; the engine refuses Options.APIVersion.
	ErrPinned = fmt.Errorf("%w: the pinned version is refused", ErrVersion)

	// ErrNotEngine: the server is not an engine.
	ErrNotEngine = errors.New("not a docker engine")

	// ErrCommandNotFound: start, restart or exec, and the container has no such
	// command; "docker run" exits with 127. Podman also reports this for an
	// attach before the start.
	ErrCommandNotFound = errors.New("command not found")

	// ErrNotExecutable: start, restart or exec, and the command is not an
	// executable file; "docker run" exits with 126. Podman also reports this
	// for an attach before the start.
	ErrNotExecutable = errors.New("command not executable")

	// ErrLogsUnreadable: logs, and the container's log driver keeps no readable
	// log.
	ErrLogsUnreadable = errors.New("logs cannot be read")
)

// An Error is an unexpected answer of the engine, or a request that this
// package refused to send. The kind, for errors.Is, follows from the fields.
type Error struct {
	// Op is the operation, such as "start container", "list containers" or
	// "pull image"; "" for a ping.
	Op     string
	Target string // the container or image as the caller named it; "": none
	// Status is the HTTP status; 0 if nothing was sent. A status of success
	// means that the failure came later, inside the answer.
	Status  int
	Message string // the engine's text, on one line and of bounded length

	unlisted bool // no engine answered, but a proxy that does not allow this call
}

// Error says what failed, on what, and why, such as
// `start container "web": no such container: web`.
func (e *Error) Error() string {
	why := sentence(e.Message)
	switch e.kind() {
	case ErrNameInUse:
		why = "another container has this name; remove or rename it, or choose another name"
		if id := e.HolderID(); id != "" {
			why = fmt.Sprintf("container %s has this name; remove or rename it, or choose another name", shortID(id))
		}
	case ErrLogsUnreadable:
		why += "; choose a log driver that keeps logs, such as local"
	case ErrCommandNotFound:
		why = "the container has no such command: " + runtimeReason(why)
	case ErrNotExecutable:
		why = "the command cannot be executed: " + runtimeReason(why)
	}
	if doing := describe(e.Op, e.Target); doing != "" {
		return doing + ": " + why
	}
	return why
}

// Is reports whether target is the kind of this error, one of the sentinels of
// this package.
func (e *Error) Is(target error) bool {
	return errors.Is(e.kind(), target)
}

// HolderID returns the full id of the container that has the name, for
// [ErrNameInUse]. "": the engine did not say.
func (e *Error) HolderID() string {
	// Docker: already in use by container "<id>"; Podman: already in use by <id>.
	_, holder, _ := strings.Cut(e.Message, "already in use by ")
	holder = strings.TrimPrefix(strings.TrimPrefix(holder, "container "), `"`)
	id := holder[:len(holder)-len(strings.TrimLeft(holder, "0123456789abcdef"))]
	if len(id) != 64 {
		return ""
	}
	return id
}

// A kindError is an error of this package with a text of its own, and its kinds.
type kindError struct {
	text  string
	kinds []error // may hold nil
}

func (e *kindError) Error() string   { return e.text }
func (e *kindError) Unwrap() []error { return e.kinds }

const (
	maxMessage = 4 << 10 // bytes of an engine's text: runtime errors are long
	maxExcerpt = 300     // bytes of any other text
)

// refusal returns the error for an answer with an unwanted status, and reads
// the body without closing it.
func (c *Client) refusal(r *request, resp *response) error {
	// A failed read loses part of the text, but the status says enough.
	text, _ := io.ReadAll(io.LimitReader(resp, maxErrorBody))
	if resp.status == http.StatusBadRequest && strings.Contains(string(text), wantsTLS) {
		return &unreachableError{doing: describe(r.op, r.target), host: c.host, err: errWantsTLS}
	}
	e := &Error{Op: r.op, Target: r.target, Status: resp.status}
	if e.Message, e.unlisted = errorMessage(resp, text); e.unlisted {
		e.Message = fmt.Sprintf("the server at %v refuses the call %s (%s); if it is a proxy, let it allow the calls that docker-dispatch --api-calls prints", c.host, r.Route, e.Message)
	}
	return e
}

// errorMessage returns the text of an error answer: the JSON of engines, the
// plain text of attach, or else an excerpt of the body with the status. unlisted:
// see Error. An engine refuses a call in JSON, and says 404 to one that it has not.
func errorMessage(resp *response, body []byte) (text string, unlisted bool) {
	var answer struct {
		Message string `json:"message"` // Podman also sends "cause", which message repeats
	}
	if json.Unmarshal(body, &answer) == nil && answer.Message != "" {
		return shorten(oneLine(answer.Message), maxMessage), false
	}
	status := fmt.Sprintf("status %d %s", resp.status, http.StatusText(resp.status))
	status = strings.TrimSpace(status)
	text = excerpt(body)
	contentType := resp.field("Content-Type")
	switch {
	case resp.status >= 300 && resp.status < 400:
		return fmt.Sprintf("%s: redirected to %q; is this the engine's address?", status, shorten(resp.field("Location"), 100)), false
	case resp.status == http.StatusNotFound && text == pageNotFound:
		return status + ": page not found: the engine has no such call; is this the engine's address?", false
	case strings.HasPrefix(contentType, "application/vnd.docker.") && resp.status >= 400 && text != "":
		return shorten(oneLine(string(body)), maxMessage), false
	case text == "":
		text = status + ", with an empty body"
	default:
		text = status + ": " + text
	}
	return text, resp.status == http.StatusForbidden || resp.status == http.StatusMethodNotAllowed
}

// pageNotFound is the engine's text for an unknown path or method, not for a
// missing container or image.
const pageNotFound = "page not found"

// describe returns operation and target: `start container "web"`.
func describe(op, target string) string {
	if target == "" {
		return op
	}
	return fmt.Sprintf("%s %q", op, shorten(shortID(target), 200))
}

// shortID shortens a full container id to the 12 digits that docker shows.
func shortID(s string) string {
	if len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" {
		return s[:12]
	}
	return s
}

// sentence fits an engine's sentence into one of ours: no capital, no period.
// Words such as OCI keep their capitals.
func sentence(s string) string {
	if !strings.HasSuffix(s, "...") {
		s = strings.TrimSuffix(s, ".")
	}
	first, size := utf8.DecodeRuneInString(s)
	second, _ := utf8.DecodeRuneInString(s[size:])
	if unicode.IsUpper(first) && !unicode.IsUpper(second) {
		return string(unicode.ToLower(first)) + s[size:]
	}
	return s
}

// runtimeReason returns the last link of a runtime's chain of errors, such as
// `exec: "nope": executable file not found in $PATH` out of 200 bytes of
// callers.
func runtimeReason(s string) string {
	if _, after, ok := strings.Cut(s, " for attach: "); ok { // Podman
		s = after
	}
	if i := strings.LastIndex(s, "exec: "); i >= 0 {
		s = s[i:]
	}
	return strings.TrimSuffix(s, ": unknown")
}

// excerpt returns the start of a body that is not from an engine, fit for an error.
func excerpt(body []byte) string {
	return shorten(oneLine(string(body[:min(len(body), 4*maxExcerpt)])), maxExcerpt)
}

// oneLine turns text from a server into one line of printable UTF-8.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.Join(strings.Fields(s), " ")
}

// shorten cuts s to at most max bytes, and marks a cut with "...".
func shorten(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max] + "..."
}
