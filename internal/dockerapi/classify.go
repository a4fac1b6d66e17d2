package dockerapi

import (
	"net/http"
	"strings"
)

// kind returns the sentinel that e stands for, or nil. No other function
// decides it. The text decides if a status has several meanings. An unknown
// path also gets 404. Engines before 25.0 and Podman send 500 for a bad
// request. A pull fails inside a 200. The texts are those of dockerd 19.03 to
// 29, Podman 4 to 5, runc and crun.
func (e *Error) kind() error {
	if e.unlisted {
		return nil // the proxy's text is about no image and no container
	}
	text := strings.ToLower(e.Message)
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}

	if has("no space left on device", "disk quota exceeded") && (e.Status < 300 && e.Status > 0 || e.Status >= 500) {
		return nil // a full disk does not pass by itself, whatever else the text says
	}

	switch e.Op {
	case opCreate:
		switch {
		case e.Status == http.StatusNotFound && has(noSuchImage...):
			return ErrNoSuchImage
		case has("already in use by") && has("name"):
			return ErrNameInUse // Podman: 500 in older versions
		case e.Status == http.StatusInternalServerError && has(badRequest...):
			return ErrInvalid
		}
	case opRename:
		if has("already in use") {
			return ErrNameInUse
		}
	case opPull:
		switch {
		case has(tooManyRequests...): // first, because of "denied: ... toomanyrequests"
			return ErrTooManyRequests
		case has(noSuchImage...),
			has("not found") && has("manifest", "repository", "failed to resolve reference", "no match for platform"):
			return ErrNoSuchImage
		case has(unauthorized...):
			return ErrUnauthorized
		case has("invalid reference format", "invalid image reference", "repository name must"):
			return ErrInvalid
		case has(registryDown...):
			return ErrTemporary
		}
	case opStop, opKill:
		if has("invalid signal") { // status 500, except for a kill on Docker
			return ErrInvalid
		}
	case opUnpause:
		if has("is not paused") { // status 500
			return ErrConflict
		}
	case opInspectExec:
		if e.Status == http.StatusNotFound && has(noSuchExec...) {
			return ErrNoSuchExec
		}
	case opStart, opRestart, opStartExec, opAttach: // Podman's attach makes the OCI container; Podman 4 fails with 409
		_, missing, isMissing := strings.Cut(text, "no such container: ")
		switch {
		case e.Op == opRestart && has("invalid signal"):
			return ErrInvalid
		case isMissing && (e.Op == opStart || e.Op == opRestart) && missing != strings.ToLower(strings.TrimPrefix(e.Target, "/")):
			return ErrInvalid // the container whose network, PID or IPC namespace it joins, by its full id
		case e.Op == opStartExec && e.Status == http.StatusNotFound && has(noSuchExec...):
			return ErrNoSuchExec
		case e.Op == opStartExec && has("exec session state improper"): // Podman: the exec was started before
			return ErrConflict
		case e.Status == http.StatusNotFound, e.Status == http.StatusConflict && e.Op != opAttach:
		case has("executable file not found", "command that was not found", "system cannot find the file specified"),
			has("no such file or directory") && has("exec: ") && !has("error mounting"):
			return ErrCommandNotFound
		case has("exec format error"),
			// Not every denial: crun also uses these words for limits and mounts.
			has("oci permission denied") && has("exec", "is not a regular file"),
			has("permission denied", "is a directory") && has("exec: ") && !has("error mounting"):
			return ErrNotExecutable
		}
	case opLogs:
		if e.Status == http.StatusNotImplemented || has("cannot read logs", "does not support reading") {
			return ErrLogsUnreadable
		}
	}

	switch e.Status {
	case 0: // this package refused the request
		return ErrInvalid
	case http.StatusBadRequest:
		if has("client version ") && has("is too new", "is too old") {
			return ErrVersion
		}
		return ErrInvalid
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrUnauthorized
	case http.StatusNotFound:
		if has("no such container", "no container with name or id") {
			return ErrNoSuchContainer
		}
		return nil
	case http.StatusConflict:
		if has("removal of container") && has("already in progress") {
			return ErrRemovalInProgress
		}
		return ErrConflict
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ErrTemporary
	}
	if e.Status >= 300 && e.Status < 500 {
		return nil
	}
	switch {
	case has("no such container") && has("in database"): // Podman, while another request removes the container
		return ErrNoSuchContainer
	case has("container state improper"): // Podman's 409
		return ErrConflict
	case has(tooManyRequests...), has(mayPass...):
		return ErrTemporary
	}
	return nil
}

var (
	noSuchImage = []string{
		"no such image", "image not known",
		"image with reference", // "... was found but does not match the platform"
		"manifest unknown", "no matching manifest",
		"pull access denied", "repository does not exist", "name unknown", "repository name not known",
	}
	noSuchExec = []string{
		"no such exec", "no exec session",
		"no such container", // Docker 20.10 takes the exec id for a container id when it starts an exec
	}
	unauthorized = []string{
		"unauthorized", "no basic auth credentials", "authentication required",
		"access to the resource is denied", "denied: ", ": denied", "incorrect username or password",
		": 403 forbidden", "error parsing http 401", "error parsing http 403", "statuscode: 401", "statuscode: 403",
	}
	tooManyRequests = []string{"toomanyrequests", "too many requests", "error parsing http 429", "statuscode: 429"}

	// registryDown holds a registry's own statuses as the engine quotes them:
	// Docker for an answer in JSON, Docker for any other answer, and Podman.
	registryDown = []string{
		": 500 internal server error", ": 502 bad gateway", ": 503 service unavailable", ": 504 gateway timeout",
		"error parsing http 5", "statuscode: 5",
	}

	badRequest = []string{
		"json: cannot unmarshal", "invalid character", "invalid argument", "invalid reference format",
		"invalid container name", "no command ", "names must match",
		"repository name must", "invalid signal", "must be an absolute path",
	}

	// mayPass holds failures of what the engine depends on: a registry, a disk,
	// containerd, a busy kernel.
	mayPass = []string{
		"context deadline exceeded", "context canceled", "i/o timeout", "tls handshake timeout",
		"timeout exceeded while awaiting", "request canceled while waiting",
		"device or resource busy", "device is busy", "resource temporarily unavailable",
		"connection refused", "connection reset", "connection timed out", "broken pipe", "unexpected eof", ": eof",
		"use of closed network connection", "server closed idle connection", "goaway", "stream error: stream id",
		"network is unreachable", "no route to host",
		"no such host", "server misbehaving", "temporary failure in name resolution",
		"ttrpc: closed", "transport is closing", "code = unavailable",
		"unable to freeze", "waiting for the cgroup to freeze", // runc with cgroups v1 and v2, while processes start
	}
)
