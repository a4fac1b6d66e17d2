package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var kinds = map[string]error{
	"unreachable": ErrUnreachable, "no container": ErrNoSuchContainer, "no image": ErrNoSuchImage, "name": ErrNameInUse,
	"conflict": ErrConflict, "removal": ErrRemovalInProgress, "invalid": ErrInvalid, "unauthorized": ErrUnauthorized,
	"temporary": ErrTemporary, "version": ErrVersion, "no engine": ErrNotEngine, "not found": ErrCommandNotFound, "not executable": ErrNotExecutable,
	"logs": ErrLogsUnreadable, "no exec": ErrNoSuchExec,
}

// kindsOf is the kinds that err has, which should be one or none.
func kindsOf(err error) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if errors.Is(err, kinds[name]) {
			list = append(list, name)
		}
	}
	return strings.Join(list, "+")
}

// The texts are real ones: dockerd 20.10 to 29, Podman 4 and 5.
func TestKinds(t *testing.T) {
	const runc = `failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: `
	for _, test := range []struct {
		op      string
		status  int
		message string
		want    string
	}{
		{opStart, 404, "No such container: x", "no container"},
		{opStart, 404, "No such container: " + fullID, "invalid"}, // of the container whose network x joins
		{opStart, 500, "cannot join PID of a non running container: " + fullID + ": No such container: " + fullID, "invalid"},
		{opStart, 500, "can't join IPC of container " + fullID + ": No such container: " + fullID, "invalid"},
		{opStart, 404, "network nope not found", ""},
		{opStart, 404, "status 404 Not Found: page not found: the engine has no such call; is this the engine's address?", ""},
		{opStart, 409, "cannot start a paused container, try unpause instead", "conflict"},
		{opStart, 400, runc + `exec: "nope": executable file not found in $PATH: unknown`, "not found"},
		{opStart, 400, runc + `exec: "/nope": stat /nope: no such file or directory: unknown`, "not found"},
		{opStart, 400, runc + `exec: "/etc": permission denied: unknown`, "not executable"},
		{opStart, 400, runc + `exec: "/etc": is a directory: unknown`, "not executable"},
		{opStart, 500, "crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found", "not found"},
		{opStart, 500, "crun: open executable: Permission denied: OCI permission denied", "not executable"},
		{opStart, 400, runc + `error during container init: error mounting "/a" to rootfs at "/b": mount /a:/b: not a directory`, "invalid"},
		{opStart, 500, runc + `error mounting "/a" to rootfs: stat /a: no such file or directory: exec: x`, ""},
		{opStart, 500, "driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:80 failed: port is already allocated", ""},
		{opStart, 500, "ttrpc: closed: unknown", "temporary"},
		{opStart, 500, "context deadline exceeded", "temporary"},
		{opStart, 404, `no container with name or ID "web" found: no such container`, "no container"},
		{opStart, 500, "no container with ID " + fullID + " found in database: no such container", "no container"},
		{opStart, 500, "container " + fullID + " must be in Created or Stopped state to be started: container state improper", "conflict"},
		{opStart, 500, "crun: exec container process `/etc/passwd`: Permission denied: OCI permission denied", "not executable"},
		{opStart, 500, "crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied", ""},
		{opStart, 500, "crun: the path `/etc` is not a regular file: Operation not permitted: OCI permission denied", "not executable"},
		{opAttach, 500, "preparing container " + fullID + " for attach: crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found", "not found"},
		{opAttach, 500, "preparing container " + fullID + " for attach: crun: the path `/etc` is not a regular file: Operation not permitted: OCI permission denied", "not executable"},
		{opAttach, 409, "preparing container " + fullID + " for attach: crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found", "not found"},
		{opAttach, 409, "You cannot attach to a paused container, unpause it first", "conflict"},
		{opStop, 500, "cannot stop container: " + fullID + ": invalid signal: FOO", "invalid"},
		{opKill, 400, "Invalid signal: FOO", "invalid"},
		{opKill, 500, "invalid signal: FOO", "invalid"},
		{opKill, 404, "Cannot kill container: nope: No such container: nope", "no container"},
		{opKill, 409, "Cannot kill container: " + fullID + ": Container " + fullID + " is not running", "conflict"},
		{opKill, 409, "can only kill running containers. " + fullID + " is in state stopped: container state improper", "conflict"},
		{opPause, 409, "Container " + fullID + " is already paused", "conflict"},
		{opPause, 409, "Container " + fullID + " is not running", "conflict"},
		{opPause, 500, `"` + fullID + `" is already paused: container state improper`, "conflict"},
		{opPause, 500, `"stopped" is not running, can't pause: container state improper`, "conflict"},
		{opPause, 500, "Cannot pause container " + fullID + ": OCI runtime pause failed: unable to freeze: unknown", "temporary"},
		{opPause, 500, "Cannot pause container " + fullID + ": OCI runtime pause failed: timeout of 10s reached waiting for the cgroup to freeze: unknown", "temporary"},
		{opUnpause, 500, "Container " + fullID + " is not paused", "conflict"},
		{opUnpause, 500, `"` + fullID + `" is not paused, can't unpause: container state improper`, "conflict"},
		{opRestart, 404, "No such container: x", "no container"},
		{opRestart, 500, "Cannot restart container x: No such container: " + fullID, "invalid"},
		{opRestart, 500, "Cannot restart container " + fullID + ": invalid signal: FOO", "invalid"},
		{opRestart, 500, "Cannot restart container web: " + runc + `exec: "nope": executable file not found in $PATH: unknown`, "not found"},
		{opRestart, 409, "cannot restart a container that is being removed", "conflict"},
		{opCreateExec, 404, "No such container: nope", "no container"},
		{opCreateExec, 409, "Container " + fullID + " is not running", "conflict"},
		{opCreateExec, 409, "Container " + fullID + " is paused, unpause the container before exec", "conflict"},
		{opCreateExec, 500, "can only create exec sessions on running containers: container state improper", "conflict"},
		{opCreateExec, 400, "No exec command specified", "invalid"},
		{opStartExec, 404, "No such exec instance: abc", "no exec"},
		{opStartExec, 404, "No such container: " + fullID, "no exec"},
		{opStartExec, 404, "no exec session with ID abc found: no such exec session", "no exec"},
		{opStartExec, 404, "status 404 Not Found: page not found", ""},
		{opStartExec, 409, "Error: Exec command " + fullID + " has already run", "conflict"},
		{opStartExec, 500, "can only start created exec sessions, while container " + fullID + ` session ` + fullID + ` state is "stopped": exec session state improper`, "conflict"},
		{opStartExec, 400, `OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown`, "not found"},
		{opStartExec, 400, `OCI runtime exec failed: exec failed: unable to start container process: exec: "/no/such": stat /no/such: no such file or directory: unknown`, "not found"},
		{opStartExec, 400, `OCI runtime exec failed: exec failed: unable to start container process: exec: "/etc": is a directory: unknown: permission denied`, "not executable"},
		{opStartExec, 500, "crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found", "not found"},
		{opStartExec, 500, "crun: the path `/etc` is not a regular file: Operation not permitted: OCI permission denied", "not executable"},
		{opInspectExec, 404, "No such exec instance: abc", "no exec"},
		{opInspectExec, 404, "no exec session with ID abc found: no such exec session", "no exec"},
		{opCreate, 404, "No such image: busybox:latest", "no image"},
		{opCreate, 404, "image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)", "no image"},
		{opCreate, 404, "busybox: image not known", "no image"},
		{opCreate, 404, "status 404 Not Found: page not found", ""},
		{opCreate, 409, `Conflict. The container name "/web" is already in use by container "` + fullID + `". You have to remove (or rename) that container to be able to reuse that name.`, "name"},
		{opCreate, 500, `creating container storage: the container name "web" is already in use by ` + fullID + `. You have to remove that container to be able to reuse that name: that name is already in use`, "name"},
		{opCreate, 400, "No command specified", "invalid"},
		{opCreate, 500, "json: cannot unmarshal string into Go struct field HostConfig.Memory of type int64", "invalid"},
		{opCreate, 500, `normalizing image: normalizing name "UPPER/case" (orig: "UPPER/case") for compat API: invalid reference format: repository name must be lowercase`, "invalid"},
		{opCreate, 500, `normalizing image: normalizing name for compat API: parsing reference "": repository name must have at least one component`, "invalid"},
		{opCreate, 500, "container create: running container create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument", "invalid"},
		{opCreate, 500, "fill out specgen: invalid signal: FOO", "invalid"},
		{opCreate, 500, `container create: invalid container path "x", must be an absolute path`, "invalid"},
		{opCreate, 500, "error creating overlay mount: device or resource busy", "temporary"},
		{opCreate, 500, "no space left on device", ""},
		{opRemove, 409, "removal of container web is already in progress", "removal"},
		{opRemove, 409, "You cannot remove a running container " + fullID, "conflict"},
		{opRemove, 500, "cannot remove container web as it is running - running or paused containers cannot be removed without force: container state improper", "conflict"},
		{opRemove, 500, "driver \"overlay2\" failed to remove root filesystem: unlinkat /x: device or resource busy", "temporary"},
		{opInspect, 500, "something", ""},
		{opInspect, 500, "container " + fullID + " does not exist in database: no such container", "no container"},
		{opInspect, 500, "no container with ID " + fullID + " found in database: no such container", "no container"},
		{opInspect, 401, "status 401 Unauthorized", "unauthorized"},
		{opInspect, 403, "authorization denied by plugin x", "unauthorized"},
		{opInspect, 429, "x", "temporary"}, {opInspect, 502, "x", "temporary"}, {opInspect, 503, "x", "temporary"}, {opInspect, 504, "x", "temporary"},
		{opInspect, 301, "redirected", ""}, {opInspect, 418, "connection reset", ""},
		{opInspect, 400, "client version 1.52 is too new. Maximum supported API version is 1.41", "version"},
		{opInspect, 400, "client version 1.40 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version", "version"},
		{opLogs, 501, "configured logging driver does not support reading", "logs"},
		{opLogs, 500, "this container is using the 'none' log driver, cannot read logs: this container is not logging output", "logs"},
		{opWait, 501, "x", ""},
		{opPull, 200, "manifest for busybox:nope not found: manifest unknown: manifest unknown", "no image"},
		{opPull, 404, "pull access denied for nope, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", "no image"},
		{opPull, 500, "manifest unknown", "no image"},
		{opPull, 404, `failed to resolve reference "docker.io/library/nope:latest": docker.io/library/nope:latest: not found`, "no image"},
		{opPull, 200, "no matching manifest for linux/arm64 in the manifest list entries", "no image"},
		{opPull, 500, "unauthorized: authentication required", "unauthorized"},
		{opPull, 500, "Head https://reg/v2/x/manifests/latest: no basic auth credentials", "unauthorized"},
		{opPull, 200, "error from registry: denied", "unauthorized"},
		{opPull, 200, "toomanyrequests: You have reached your pull rate limit", "temporary"},
		{opPull, 403, "denied: toomanyrequests: slow down", "temporary"},
		{opPull, 200, "failed to register layer: write /x: no space left on device: unexpected EOF", ""},
		{opCreate, 500, "mkdir /var/lib/docker/x: no space left on device; connection reset", ""},
		{opPull, 500, `Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host`, "temporary"},
		{opPull, 500, `Get "https://registry-1.docker.io/v2/": net/http: TLS handshake timeout`, "temporary"},
		{opPull, 200, "received unexpected HTTP status: 503 Service Unavailable", "temporary"},
		{opPull, 500, "error parsing HTTP 502 response body: invalid character '<' looking for beginning of value: \"<html>\"", "temporary"},
		{opPull, 500, "error parsing HTTP 429 response body: invalid character '<' looking for beginning of value: \"<html>\"", "temporary"},
		{opPull, 500, "error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: \"<html>\"", "unauthorized"},
		{opPull, 500, "initializing source docker://reg/x:1: reading manifest 1 in reg/x: StatusCode: 504, <html>", "temporary"},
		{opPull, 500, "initializing source docker://reg/x:1: reading manifest 1 in reg/x: StatusCode: 403, <html>", "unauthorized"},
		{opPull, 200, `failed to resolve reference "reg/x:1": unexpected status from HEAD request to https://reg/v2/x/manifests/1: 503 Service Unavailable`, "temporary"},
		{opPull, 200, `failed to resolve reference "reg/x:1": unexpected status from HEAD request to https://reg/v2/x/manifests/1: 429 Too Many Requests`, "temporary"},
		{opPull, 500, `failed to resolve reference "reg/x:1": unexpected status from HEAD request to https://reg/v2/x/manifests/1: 403 Forbidden`, "unauthorized"},
		{opPull, 500, `failed to resolve reference "reg/x:1": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth/token: 401 Unauthorized`, "unauthorized"},
		{opPull, 404, `failed to resolve reference "reg/x:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`, "no image"},
		{opPull, 500, `failed to resolve reference "reg/x:1": failed to do request: Head "https://reg/v2/x/manifests/1": dial tcp 10.0.0.1:443: connect: connection timed out`, "temporary"},
		{opPull, 200, "error pulling image configuration: download failed after attempts=6: dial tcp 10.0.0.1:443: connect: connection refused", "temporary"},
		{opPull, 200, `httpReadSeeker: failed open: failed to do request: Get "https://reg/blob": http2: server sent GOAWAY and closed the connection; LastStreamID=1`, "temporary"},
		{opPull, 200, "stream error: stream ID 5; INTERNAL_ERROR; received from peer", "temporary"},
		{opPull, 500, `Get "https://reg/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)`, "temporary"},
		{opPull, 500, `Get "https://reg/v2/": EOF`, "temporary"},
		{opPull, 500, `Get "https://reg/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`, ""},
		{opPull, 400, "invalid reference format: repository name must be lowercase", "invalid"},
		{opPull, 500, `normalizing image: normalizing name for compat API: parsing reference "lower/CASE:latest": repository name must be lowercase`, "invalid"},
		{opPull, 500, "no space left on device", ""},
		{opStop, 0, "the container name or id is empty", "invalid"},
	} {
		err := fmt.Errorf("wrapped: %w", &Error{Op: test.op, Target: "x", Status: test.status, Message: test.message})
		if got := kindsOf(err); got != test.want {
			t.Errorf("%s: %d %s\n got %q\nwant %q", test.op, test.status, test.message, got, test.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, test := range []struct {
		op, target    string
		status        int
		message, want string
	}{
		{opStart, "web", 404, "No such container: web", `start container "web": no such container: web`},
		{opStart, fullID, 500, "OCI runtime error.", `start container "0123456789ab": OCI runtime error`},
		{opList, "", 500, "X", `list containers: x`},
		{"", "", 500, "Unwell.", `unwell`},
		{opCreate, "web", 409, `Conflict. The container name "/web" is already in use by container "` + fullID + `".`,
			`create container "web": container 0123456789ab has this name; remove or rename it, or choose another name`},
		{opCreate, "web", 409, `The name is already in use by someone`,
			`create container "web": another container has this name; remove or rename it, or choose another name`},
		{opStart, "web", 400, `OCI: runc: exec: "nope": executable file not found in $PATH: unknown`,
			`start container "web": the container has no such command: exec: "nope": executable file not found in $PATH`},
		{opAttach, "web", 500, "preparing container " + fullID + " for attach: crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
			"attach to container \"web\": the container has no such command: crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found"},
		{opStart, "web", 400, `OCI: runc: exec: "/etc": permission denied: unknown`,
			`start container "web": the command cannot be executed: exec: "/etc": permission denied`},
	} {
		err := Error{Op: test.op, Target: test.target, Status: test.status, Message: test.message}
		if got := err.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestHolderID(t *testing.T) {
	for message, want := range map[string]string{
		`The container name "/web" is already in use by container "` + fullID + `". You`: fullID,
		`the container name "web" is already in use by ` + fullID + `. You`:              fullID,
		`already in use by container "0123"`:                                             "",
		"":                                                                               "",
	} {
		if got := (&Error{Op: opCreate, Status: 409, Message: message}).HolderID(); got != want {
			t.Errorf("%s: %q", message, got)
		}
	}
}

// Answers that no engine should give. None may hang, fill the memory, or pass
// for success.
func TestHostileAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	endless := func(header, text string) func(net.Conn, *bufio.Reader) {
		return func(conn net.Conn, _ *bufio.Reader) {
			io.WriteString(conn, header)
			for {
				if _, err := io.WriteString(conn, text); err != nil {
					return
				}
			}
		}
	}
	body := func(status, contentType, text string) func(net.Conn, *bufio.Reader) {
		return say(fmt.Sprintf("HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, contentType, len(text), text))
	}
	for _, test := range []struct {
		name string
		talk func(net.Conn, *bufio.Reader)
		kind string // of every call's error
		text string // in every call's error
	}{
		{"nothing", say(""), "unreachable", "lost the connection"},
		{"no HTTP", say("SSH-2.0-OpenSSH_9.9\r\n"), "unreachable", "malformed HTTP"},
		{"half a header", say("HTTP/1.1 200 OK\r\nContent-"), "unreachable", "lost the connection"},
		{"endless header", endless(ok, "X-Y: "+strings.Repeat("z", 1000)+"\r\n"), "unreachable", ""},
		{"endless header line", endless(ok+"X: ", strings.Repeat("z", 1000)), "unreachable", ""},
		{"long header", say(ok + "X: " + strings.Repeat("z", 80<<10) + "\r\n\r\n"), "unreachable", ""},
		{"nothing but interim answers", endless("", "HTTP/1.1 100 Continue\r\n\r\n"), "unreachable", ""},
		{"error without body", body("500 Internal Server Error", "application/json", ""), "", "status 500 Internal Server Error, with an empty body"},
		{"error with null", body("500 x", "application/json", "null"), "", "status 500 Internal Server Error: null"},
		{"error with an array", body("500 x", "application/json", "[1]"), "", "[1]"},
		{"error with an empty message", body("500 x", "application/json", `{"message":""}`), "", `{"message":""}`},
		{"error in HTML", body("502 Bad Gateway", "text/html", "<html>\n<h1>Bad\tGateway</h1>"), "temporary", "status 502 Bad Gateway: <html> <h1>Bad Gateway</h1>"},
		{"error in binary", body("500 x", "", "a\x00\xff\x1b[31mb"), "", "a???[31mb"},
		{"error of an unknown status", body("599 x", "", "y"), "", "status 599: y"},
		{"long error", body("500 x", "text/plain", strings.Repeat("é", 10000)), "", "éé..."},
		{"long JSON error", body("500 x", "application/json", `{"message":"`+strings.Repeat("long ", 10000)+`"}`), "", "long long"},
		{"cut error", say("HTTP/1.1 500 x\r\nContent-Length: 100\r\n\r\n{\"mess"), "", `{"mess`},
		{"endless error", endless("HTTP/1.1 500 x\r\n\r\n", strings.Repeat("x", 32<<10)), "", "xxx..."},
		{"message behind a lot", body("404 x", "application/json", `{"x":"`+strings.Repeat("y", 200<<10)+`","message":"No such container: x"}`), "no container", "no such container: x"},
		{"page not found", body("404 Not Found", "application/json", `{"message":"page not found"}`), "", "page not found"},
		{"page not found in text", body("404 Not Found", "text/plain", "404 page not found\n"), "", "page not found"},
		{"page not found in bare text", body("404 Not Found", "text/plain", "page not found\n"), "", "is this the engine's address?"},
		{"redirect", say("HTTP/1.1 301 Moved\r\nConnection: close\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"), "", `redirected to "/elsewhere"`},
		{"call refused by a proxy", body("403 Forbidden", "text/html", "<html>denied: No such image"), "", " refuses the call "},
		{"method refused by a proxy", body("405 Method Not Allowed", "", ""), "", "(status 405 Method Not Allowed, with an empty body); if it is a proxy, let it allow the calls that docker-dispatch --api-calls prints"},
		{"call refused by the engine", body("403 Forbidden", "application/json", `{"message":"authorization denied by plugin x"}`), "unauthorized", ": authorization denied by plugin x"},
		{"wrong success", body("202 Accepted", "application/json", "{}"), "", "status 202 Accepted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := script(t, "unix", test.talk)
			ctx := background(t)
			for name, err := range everyCall(ctx, c) {
				if err == nil {
					t.Errorf("%s: no error", name)
					continue
				}
				want := test.kind
				if want == "no container" && strings.HasSuffix(name, "of exec") {
					want = "no exec"
				}
				if got := kindsOf(err); got != want || isContextError(err) {
					t.Errorf("%s: kind %q, want %q: %v", name, got, want, err)
				}
				if !strings.Contains(err.Error(), test.text) {
					t.Errorf("%s: %v; want %q in it", name, err, test.text)
				}
				if len(err.Error()) > maxMessage+200 || strings.ContainsAny(err.Error(), "\n\r\t\x00") {
					t.Errorf("%s: %d bytes: %.100q", name, len(err.Error()), err.Error())
				}
			}
		})
	}
}

// everyCall makes every call, and joins what it returns.
func everyCall(ctx context.Context, c *Client) map[string]error {
	var o, e bytes.Buffer
	_, wait := joinWait(c.WaitContainer(ctx, "x", NextExit))
	attach, err := c.AttachContainer(ctx, "x", AttachOptions{Stdout: &o})
	_, attachErr := joined(&o, &e, attach, err)
	exec, err := c.StartExec(ctx, "x", AttachOptions{Stdout: &o})
	_, execErr := joined(&o, &e, exec, err)
	logs, err := c.ContainerLogs(ctx, "x", LogsOptions{Stdout: &o})
	_, logsErr := joined(&o, &e, logs, err)
	return map[string]error{
		"create":  errOf(c.CreateContainer(ctx, "x", ContainerConfig{})),
		"start":   c.StartContainer(ctx, "x"),
		"stop":    c.StopContainer(ctx, "x", StopOptions{Time: new(int)}),
		"kill":    c.KillContainer(ctx, "x", "TERM"),
		"pause":   c.PauseContainer(ctx, "x"),
		"unpause": c.UnpauseContainer(ctx, "x"),
		"restart": c.RestartContainer(ctx, "x", StopOptions{Time: new(int)}),
		"remove":  c.RemoveContainer(ctx, "x", RemoveOptions{}),
		"inspect": errOf(c.InspectContainer(ctx, "x")),
		"raw":     errOf(c.InspectContainerRaw(ctx, "x")),
		"list":    errOf(c.ListContainers(ctx, ListOptions{})),
		"wait":    wait,
		"attach":  attachErr,
		"logs":    logsErr,

		"create exec":      errOf(c.CreateExec(ctx, "x", ExecConfig{Cmd: []string{"x"}})),
		"start of exec":    execErr,
		"detached of exec": c.StartExecDetached(ctx, "x"),
		"inspect of exec":  errOf(c.InspectExec(ctx, "x")),

		"pull": c.PullImage(ctx, "x", PullOptions{}, nil),
	}
}

// TestDetachedNotUpgraded: a detached start asks for no upgrade, so an answer that upgrades is no success.
func TestDetachedNotUpgraded(t *testing.T) {
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if !answerPing(w, r) {
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	})
	if err := c.StartExecDetached(background(t), "x"); err == nil {
		t.Error("101 counts as a start")
	}
}

// Success that is none, for the calls that read an answer.
func TestHostileSuccess(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":    "",
		"HTML":       "<html>Welcome</html>",
		"cut":        `{"Id":"x`,
		"wrong type": `{"Id":7,"StatusCode":"7"}`,
		"empty":      `{}`,
		"null":       `null`,
		"string":     `"x"`,
		"error":      `{"message":"proxy"}`,
		"endless":    `{"Id":"` + strings.Repeat("x", 2<<20), // cut, after more than is read of an exit
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
				if answerPing(w, r) {
					return
				}
				switch r.URL.Path {
				case "/v1.41/containers/create", "/v1.41/containers/x/exec":
					w.WriteHeader(201)
				}
				io.WriteString(w, text)
			})
			ctx := background(t)
			_, wait := joinWait(c.WaitContainer(ctx, "x", NextExit))
			for call, err := range map[string]error{
				"create":       errOf(c.CreateContainer(ctx, "x", ContainerConfig{})),
				"inspect":      errOf(c.InspectContainer(ctx, "x")),
				"wait":         wait,
				"create exec":  errOf(c.CreateExec(ctx, "x", ExecConfig{Cmd: []string{"x"}})),
				"inspect exec": errOf(c.InspectExec(ctx, "x")),
			} {
				if got := kindsOf(err); got != "unreachable" {
					t.Errorf("%s: kind %q: %v", call, got, err)
				}
				if name == "HTML" && !strings.Contains(err.Error(), `is not a docker engine, or a proxy changed its answer: invalid character '<' looking for beginning of value in "<html>Welcome`) {
					t.Errorf("%s: %v", call, err)
				}
				if name == "cut" && !strings.Contains(err.Error(), "lost the connection") || name == "cut" && call == "create" && !strings.Contains(err.Error(), "it may have been created") {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
}

// Failures to connect, as those who set an engine up meet them.
func TestUnreachable(t *testing.T) {
	dir, err := os.MkdirTemp("", "dd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	stale := filepath.Join(dir, "stale")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	fails := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	for _, test := range []struct {
		name, addr string
		dial       func(context.Context, string, string) (net.Conn, error)
		is         error
		text       string
	}{
		{"no socket", dir + "/none", nil, fs.ErrNotExist, "cannot reach the docker engine at unix://" + dir + "/none: there is no such socket; is the engine running, and is this its path?"},
		{"stale socket", stale, nil, syscall.ECONNREFUSED, "nobody listens on the socket; is the engine running?"},
		{"no permission", "/s", fails(&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}), fs.ErrPermission, "permission denied; run as root or as a member of the socket's group, usually docker"},
		{"refused", free.Addr().String(), nil, syscall.ECONNREFUSED, "connection refused; is the engine running, and is this its port?"},
		{"no such name", "engine:1", fails(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "engine", IsNotFound: true}}), ErrUnreachable, `the host name "engine" cannot be resolved (no such host); check the address`},
		{"own time limit", "engine:1", func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
		}, os.ErrDeadlineExceeded, "no answer within 20ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, mustHost(t, test.addr), Options{Dial: test.dial})
			if test.is == os.ErrDeadlineExceeded {
				c.limits.dial = 20 * time.Millisecond
			}
			ctx := background(t)
			_, pingErr := c.Ping(ctx)
			for name, err := range everyCall(ctx, c) {
				if kindsOf(err) != "unreachable" || !errors.Is(err, test.is) || isDeadline(err) {
					t.Errorf("%s: %v", name, err)
				}
				if !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), c.Host().String()) {
					t.Errorf("%s: %v; want %q", name, err, test.text)
				}
				if err.Error() == pingErr.Error() {
					t.Errorf("%s: does not say what it was about: %v", name, err)
				}
			}
		})
	}
}

// isDeadline reports what callers must only see for a deadline of their own.
func isDeadline(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// An engine that accepts and says nothing: our own limits are ErrUnreachable,
// the caller's deadline and cancellation are its own.
func TestSilence(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			silent := func(l limits) *Client {
				c := script(t, network, func(conn net.Conn, r *bufio.Reader) { r.ReadByte() })
				c.limits = l
				return c
			}
			short := 30 * time.Millisecond
			c := silent(limits{dial: time.Minute, ping: short, read: short, change: short, stop: short, header: short, pull: short})
			calls := everyCall(background(t), c)
			_, calls["ping"] = c.Ping(background(t))
			for name, err := range calls {
				text := "no answer within 30ms"
				if name == "restart" { // a stop and a start
					text = "no answer within 60ms"
				}
				if kindsOf(err) != "unreachable" || isDeadline(err) || !strings.Contains(err.Error(), text) {
					t.Errorf("%s: %v", name, err)
				}
			}

			c = silent(defaultLimits)
			deadline, cancel := context.WithTimeout(background(t), short)
			defer cancel()
			for name, err := range everyCall(deadline, c) {
				if err != context.DeadlineExceeded {
					t.Errorf("%s past its deadline: %v", name, err)
				}
			}
			cancelled, cancel := context.WithCancel(background(t))
			time.AfterFunc(short, cancel)
			for name, err := range everyCall(cancelled, c) {
				if err != context.Canceled {
					t.Errorf("%s cancelled: %v", name, err)
				}
			}
		})
	}
}

// Stop waits for its grace period on top of the limit, and restart for a start
// too.
func TestStopLimit(t *testing.T) {
	c := script(t, "unix", func(conn net.Conn, r *bufio.Reader) {
		time.Sleep(100 * time.Millisecond)
		io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	c.limits.stop = time.Millisecond
	grace, never := 1, -1
	for _, o := range []StopOptions{{}, {Time: &grace}, {Time: &never}, {Own: &never}, {Time: &never, Own: new(int)}} {
		if err := c.StopContainer(background(t), "x", o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []StopOptions{{Time: new(int)}, {Own: new(int)}, {Time: new(int), Own: &never}} {
		if err := c.StopContainer(background(t), "x", o); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	c.limits.stop = time.Second + time.Millisecond
	if err := c.StopContainer(background(t), "x", StopOptions{Time: &never}); err != nil {
		t.Errorf("time -1 took the limit: %v", err)
	}
	c.limits.stop, c.limits.change = time.Millisecond, time.Millisecond
	if err := c.RestartContainer(background(t), "x", StopOptions{Time: new(int)}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("restart with time 0: %v", err)
	}
	c.limits.change = time.Second
	for _, o := range []StopOptions{{}, {Time: new(int)}, {Time: &never}} {
		if err := c.RestartContainer(background(t), "x", o); err != nil {
			t.Errorf("restart %+v: %v", o, err)
		}
	}
}

// A kept connection that the engine closes as the next call takes it: what may
// be done twice is sent again. Create is not, nor is start: a container that has
// ended by then would run again. An attached exec has a connection of its own.
func TestReplay(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(ctx context.Context, c *Client) error
		want string
	}{
		{"start", func(ctx context.Context, c *Client) error { return c.StartContainer(ctx, "x") }, "unreachable"},
		{"stop", func(ctx context.Context, c *Client) error { return c.StopContainer(ctx, "x", StopOptions{}) }, ""},
		{"restart", func(ctx context.Context, c *Client) error { return c.RestartContainer(ctx, "x", StopOptions{}) }, "unreachable"},
		{"kill", func(ctx context.Context, c *Client) error { return c.KillContainer(ctx, "x", "HUP") }, "unreachable"},
		{"pause", func(ctx context.Context, c *Client) error { return c.PauseContainer(ctx, "x") }, "unreachable"},
		{"unpause", func(ctx context.Context, c *Client) error { return c.UnpauseContainer(ctx, "x") }, "unreachable"},
		{"remove", func(ctx context.Context, c *Client) error { return c.RemoveContainer(ctx, "x", RemoveOptions{}) }, ""},
		{"inspect", func(ctx context.Context, c *Client) error { return errOf(c.InspectContainer(ctx, "x")) }, ""},
		{"create exec", func(ctx context.Context, c *Client) error {
			return errOf(c.CreateExec(ctx, "x", ExecConfig{Cmd: []string{"x"}}))
		}, ""},
		{"start exec", func(ctx context.Context, c *Client) error { return c.StartExecDetached(ctx, "x") }, "unreachable"},
		{"create", func(ctx context.Context, c *Client) error {
			return errOf(c.CreateContainer(ctx, "x", ContainerConfig{}))
		}, "unreachable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var conns, requests atomic.Int32
			c := script(t, "tcp", func(conn net.Conn, r *bufio.Reader) {
				if conns.Add(1) > 1 {
					requests.Add(1)
					status, body := "204 No Content", ""
					if test.name == "inspect" {
						status, body = "200 OK\r\nContent-Length: 10", `{"Id":"x"}`
					} else if strings.HasPrefix(test.name, "create") {
						status, body = "201 Created\r\nContent-Length: 10", `{"Id":"x"}`
					}
					io.WriteString(conn, "HTTP/1.1 "+status+"\r\n\r\n"+body)
					return
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
				http.ReadRequest(r)
				requests.Add(1) // and close without an answer
			})
			if _, err := c.ListContainers(background(t), ListOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := kindsOf(test.call(background(t), c)); got != test.want {
				t.Errorf("kind %q, want %q", got, test.want)
			}
			want := int32(2)
			if test.want != "" {
				want = 1
			}
			if got := requests.Load(); got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
		})
	}
}

// A raw inspect passes on any object, but only that.
func TestHostileRawInspect(t *testing.T) {
	for text, want := range map[string]string{
		"": "unreachable", "<html>": "unreachable", `{"Id":"x`: "unreachable", "null": "unreachable", `"x"`: "unreachable",
		"[]": "unreachable", "7": "unreachable", `{}`: "", `{"message":"proxy"}`: "",
	} {
		c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
			if !answerPing(w, r) {
				io.WriteString(w, text)
			}
		})
		raw, err := c.InspectContainerRaw(background(t), "x")
		if kindsOf(err) != want || err == nil && string(raw) != text {
			t.Errorf("%s: %s, %v", text, raw, err)
		}
	}
}

// An answer without an end is read so far, and said to be too large; a list may be longer.
func TestLargeAnswer(t *testing.T) {
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_ping" {
			w.Header().Set("Api-Version", "1.41")
			return
		}
		if strings.HasSuffix(r.URL.Path, "/containers/json") {
			fmt.Fprintf(w, `[{"Id":"x","Image":"%s"}]`, strings.Repeat("a", maxAnswer))
			return
		}
		io.WriteString(w, `{"Id":"`)
		for range maxAnswer/1000 + 1 {
			io.WriteString(w, strings.Repeat("a", 1000))
		}
		io.WriteString(w, `"}`)
	})
	if _, err := c.InspectContainer(t.Context(), "x"); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "its answer has more than 4194304 bytes") {
		t.Errorf("inspect: %v", err)
	}
	if list, err := c.ListContainers(t.Context(), ListOptions{}); err != nil || len(list) != 1 {
		t.Errorf("list: %d, %v", len(list), err)
	}
}

// TestLargestConfig: an answer that describes a container is read even if the engine repeats and escapes all the text of
// the largest configuration, as Podman does.
func TestLargestConfig(t *testing.T) {
	const text = 1 << 20
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if answerPing(w, r) {
			return
		}
		all := `"` + strings.Repeat(`\u003c`, text) + `"`
		describes := `"Path":` + all + `,"Args":[` + all + `],"Config":{"Cmd":[` + all + `]}}`
		switch {
		case strings.HasSuffix(r.URL.Path, "/events"):
			io.WriteString(w, `{"Action":"create","Actor":{"ID":"x","Attributes":{"x":`+all+`}}}`)
		case strings.Contains(r.URL.Path, "/exec/"):
			io.WriteString(w, `{"Running":true,`+describes)
		default:
			io.WriteString(w, `{"Id":"x",`+describes)
		}
	})
	c = newClient(t, c.host, Options{MaxText: text})
	ctx := background(t)
	remembered, remembersErr := c.RemembersCreation(ctx, Container{ID: "x"})
	for name, err := range map[string]error{
		"inspect": errOf(c.InspectContainer(ctx, "x")),
		"raw":     errOf(c.InspectContainerRaw(ctx, "x")),
		"exec":    errOf(c.InspectExec(ctx, "x")),
		"events":  remembersErr,
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !remembered {
		t.Error("the create event is not seen")
	}
}
