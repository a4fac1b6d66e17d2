package dockerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const fullID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// endpoints is every call with the exact request that it makes, and what it
// makes of the answer.
var endpoints = []struct {
	name string
	call func(ctx context.Context, c *Client) (any, error)

	request string // METHOD PATH?QUERY, behind the version
	body    string // of the request; "" for none
	auth    string // X-Registry-Auth
	upgrade bool

	status int
	answer string
	want   any
}{
	{
		name: "create",
		call: func(ctx context.Context, c *Client) (any, error) {
			yes := true
			return c.CreateContainer(ctx, "job-1", ContainerConfig{
				Image: "busybox", Cmd: []string{"echo", "<&>"}, Entrypoint: []string{""}, Env: []string{"A=b"},
				Labels: map[string]string{"l": "v"}, OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true,
				AttachStderr: true, Tty: true,
				HostConfig: &HostConfig{NetworkMode: "none", Init: &yes, LogConfig: &LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}}},
			})
		},
		request: "POST /containers/create?name=job-1",
		body: `{"Image":"busybox","Entrypoint":[""],"Cmd":["echo","\u003c\u0026\u003e"],"Env":["A=b"],"Labels":{"l":"v"},` +
			`"OpenStdin":true,"StdinOnce":true,"AttachStdin":true,"AttachStdout":true,"AttachStderr":true,"Tty":true,` +
			`"HostConfig":{"NetworkMode":"none","Init":true,"LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}}}}`,
		status: 201, answer: `{"Id":"` + fullID + `","Warnings":["no swap limit"]}`,
		want: Created{ID: fullID, Warnings: []string{"no swap limit"}},
	}, {
		name: "create with more warnings than anybody reads",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.CreateContainer(ctx, "", ContainerConfig{Image: "i"})
		},
		request: "POST /containers/create", body: `{"Image":"i"}`,
		status: 201, answer: `{"Id":"x","Warnings":["a\n\u001b[2Jb"` + strings.Repeat(`,"`+strings.Repeat("x", 2000)+`"`, 100) + `]}`,
		want: Created{ID: "x", Warnings: append([]string{"a ?[2Jb"}, slices.Repeat([]string{strings.Repeat("x", maxWarning) + "..."}, maxWarnings-1)...)},
	}, {
		name: "create with nothing",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.CreateContainer(ctx, "", ContainerConfig{Image: "i"})
		},
		request: "POST /containers/create", body: `{"Image":"i"}`,
		status: 201, answer: `{"Id":"x","Warnings":null}`, want: Created{ID: "x"},
	}, {
		name: "create with an odd name",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.CreateContainer(ctx, "a b&c/d", ContainerConfig{Image: "i"})
		},
		request: "POST /containers/create?name=a+b%26c%2Fd", body: `{"Image":"i"}`,
		status: 201, answer: `{"Id":"x"}`, want: Created{ID: "x"},
	}, {
		name: "create with several networks, for an engine that takes one",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.CreateContainer(ctx, "web", ContainerConfig{Image: "i", Platform: "linux/arm64", MacAddress: "02:00:00:00:00:01",
				HostConfig:       &HostConfig{NetworkMode: "a"},
				NetworkingConfig: &NetworkingConfig{map[string]*EndpointSettings{"a": {MacAddress: "02:00:00:00:00:01"}, "b": {}}}})
		},
		request: "POST /containers/create?name=web&platform=linux%2Farm64",
		body:    `{"Image":"i","MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"a"},"NetworkingConfig":{"EndpointsConfig":{"a":{"MacAddress":"02:00:00:00:00:01"}}}}`,
		status:  201, answer: `{"Id":"x"}`, want: Created{ID: "x"},
	}, {
		name:    "engine started",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.EngineStarted(ctx) },
		request: "GET /networks/bridge",
		status:  200, answer: `{"Name":"bridge","Created":"2026-01-02T03:04:05.6Z"}`, want: time.Date(2026, 1, 2, 3, 4, 5, 6e8, time.UTC),
	}, {
		name: "inspect volume",
		call: func(ctx context.Context, c *Client) (any, error) {
			v, found, err := c.InspectVolume(ctx, "etc")
			return []any{v, found}, err
		},
		request: "GET /volumes/etc",
		status:  200, answer: `{"Name":"etc","Driver":"local","Options":{"o":"bind","device":"/etc"}}`,
		want: []any{Volume{Name: "etc", Driver: "local", Options: map[string]string{"o": "bind", "device": "/etc"}}, true},
	}, {
		name: "inspect a volume that is not there",
		call: func(ctx context.Context, c *Client) (any, error) {
			_, found, err := c.InspectVolume(ctx, "none")
			return found, err
		},
		request: "GET /volumes/none",
		status:  404, answer: `{"message":"get none: no such volume"}`, want: false,
	}, {
		name:    "info",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.Info(ctx) },
		request: "GET /info",
		status:  200, answer: `{"ID":"x","DockerRootDir":"/var/lib/docker"}`, want: Info{"x-8b485716436587de7166", "/var/lib/docker"},
	}, {
		name: "inspect network",
		call: func(ctx context.Context, c *Client) (any, error) {
			n, found, err := c.InspectNetwork(ctx, "0a")
			return []any{n, found}, err
		},
		request: "GET /networks/0a",
		status:  200, answer: `{"Name":"host","Id":"0a1b"}`, want: []any{Network{Name: "host", ID: "0a1b"}, true},
	}, {
		name: "events",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.RemembersCreation(ctx, Container{ID: "x", Created: time.Unix(5, 0)})
		},
		request: `GET /events?filters=%7B%22container%22%3A%5B%22x%22%5D%2C%22event%22%3A%5B%22create%22%5D%7D&since=4&until=15`,
		status:  200, answer: `{"Action":"create"}`, want: true,
	}, {
		name: "exits",
		call: func(ctx context.Context, c *Client) (any, error) {
			join, err := c.WatchExits(ctx, "a=b")
			if err != nil {
				return nil, err
			}
			var ids []string
			if err := join(func(id string, _ ExitStatus) { ids = append(ids, id) }); !errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, err
			}
			return ids, nil
		},
		request: `GET /events?filters=%7B%22event%22%3A%5B%22die%22%5D%2C%22label%22%3A%5B%22a%3Db%22%5D%2C%22type%22%3A%5B%22container%22%5D%7D&since=0`,
		status:  200, answer: `{"Action":"die","Actor":{"ID":"x"}}` + "\n", want: []string{"x"},
	}, {
		name: "connect",
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.ConnectNetwork(ctx, "my net", "web", EndpointSettings{Aliases: []string{"db"}, IPAMConfig: &EndpointIPAM{IPv4Address: "10.0.0.2"}})
		},
		request: "POST /networks/my%20net/connect",
		body:    `{"Container":"web","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.0.0.2"},"Aliases":["db"]}}`,
		status:  200,
	}, {
		name:    "start",
		call:    func(ctx context.Context, c *Client) (any, error) { return nil, c.StartContainer(ctx, fullID) },
		request: "POST /containers/" + fullID + "/start", status: 204,
	}, {
		name:    "start of a running one",
		call:    func(ctx context.Context, c *Client) (any, error) { return nil, c.StartContainer(ctx, "/web") },
		request: "POST /containers/web/start", status: 304,
	}, {
		name:    "an odd id",
		call:    func(ctx context.Context, c *Client) (any, error) { return nil, c.StartContainer(ctx, "a b?c%d") },
		request: "POST /containers/a%20b%3Fc%25d/start", status: 204,
	}, {
		name: "stop",
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.StopContainer(ctx, "web", StopOptions{})
		},
		request: "POST /containers/web/stop", status: 204,
	}, {
		name: "stop at once, and stopped already",
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.StopContainer(ctx, "web", StopOptions{Time: new(int)})
		},
		request: "POST /containers/web/stop?t=0", status: 304,
	}, {
		name:    "kill",
		call:    func(ctx context.Context, c *Client) (any, error) { return nil, c.KillContainer(ctx, "web", "") },
		request: "POST /containers/web/kill", status: 204,
	}, {
		name: "kill with a signal",
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.KillContainer(ctx, "web", "SIGRTMIN+3")
		},
		request: "POST /containers/web/kill?signal=SIGRTMIN%2B3", status: 204,
	}, {
		name:    "pause",
		call:    func(ctx context.Context, c *Client) (any, error) { return nil, c.PauseContainer(ctx, "web") },
		request: "POST /containers/web/pause", status: 204,
	}, {
		name:    "unpause",
		call:    func(ctx context.Context, c *Client) (any, error) { return nil, c.UnpauseContainer(ctx, "web") },
		request: "POST /containers/web/unpause", status: 204,
	}, {
		name: "restart",
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.RestartContainer(ctx, "web", StopOptions{})
		},
		request: "POST /containers/web/restart", status: 204,
	}, {
		name: "restart at once",
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.RestartContainer(ctx, "web", StopOptions{Time: new(int)})
		},
		request: "POST /containers/web/restart?t=0", status: 204,
	}, {
		name: "remove",
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.RemoveContainer(ctx, "web", RemoveOptions{})
		},
		request: "DELETE /containers/web", status: 204,
	}, {
		name: "remove all of it",
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.RemoveContainer(ctx, "web", RemoveOptions{Volumes: true, Force: true})
		},
		request: "DELETE /containers/web?force=1&v=1", status: 204,
	}, {
		name:    "rename",
		call:    func(ctx context.Context, c *Client) (any, error) { return nil, c.RenameContainer(ctx, "web", "other") },
		request: "POST /containers/web/rename?name=other", status: 204,
	}, {
		name:    "inspect",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.InspectContainer(ctx, "web") },
		request: "GET /containers/web/json", status: 200,
		answer: `{"Id":"` + fullID + `","Name":"/web","Image":"sha256:abc","Created":"2026-01-02T03:04:05.000000006Z",
			"State":{"Status":"exited","Running":true,"Paused":true,"Restarting":true,"OOMKilled":true,"Dead":true,"Pid":7,"ExitCode":137,"Error":"why",
				"StartedAt":"2026-01-02T03:04:06Z","FinishedAt":"0001-01-01T00:00:00Z","Health":null},
			"Config":{"Image":"busybox","Labels":{"a":"b"},"Tty":true},"HostConfig":{"LogConfig":{"Type":"local","Config":{"max-size":"1m"}}},"New":{}}`,
		want: Container{
			ID: fullID, Name: "web", Image: "busybox", Created: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
			Labels: map[string]string{"a": "b"}, Tty: true, LogDriver: "local", LogOpts: map[string]string{"max-size": "1m"},
			State: State{Status: "exited", Running: true, Paused: true, OOMKilled: true, ExitCode: new(137), Error: "why",
				StartedAt: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)},
		},
	}, {
		name:    "inspect raw",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.InspectContainerRaw(ctx, "web") },
		request: "GET /containers/web/json", status: 200,
		answer: ` {"Id":"x", "Size":12345678901234567890,"New":{"a":["<"]}}` + "\n", want: json.RawMessage(`{"Id":"x", "Size":12345678901234567890,"New":{"a":["<"]}}`),
	}, {
		name:    "list",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.ListContainers(ctx, ListOptions{}) },
		request: "GET /containers/json", status: 200, answer: `[]`, want: []ContainerSummary{},
	}, {
		name: "list some",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.ListContainers(ctx, ListOptions{Labels: []string{"a=b", "c"}, Name: "x.y", Statuses: []string{"exited", "dead"}})
		},
		// {"label":["a=b","c"],"name":["^/?x\\.y$"]}
		request: "GET /containers/json?all=1&filters=%7B%22label%22%3A%5B%22a%3Db%22%2C%22c%22%5D%2C%22name%22%3A%5B%22%5E%2F%3Fx%5C%5C.y%24%22%5D%7D",
		status:  200,
		answer: `[{"Id":"x","Names":["/other/alias","/x.y"],"Image":"busybox","ImageID":"sha256:abc","Created":1767323045,"Labels":{"a":"b"},"State":"exited","Status":"Exited (0) 2 days ago"},
			{"Id":"r","Names":["/x.y"],"State":"running"},
			{"Id":"z","Names":null,"State":"dead"}]`,
		want: []ContainerSummary{
			{ID: "x", Name: "x.y", Image: "busybox", Created: time.Unix(1767323045, 0).UTC(), Labels: map[string]string{"a": "b"}, Status: "exited"},
			{ID: "z", Created: time.Unix(0, 0).UTC(), Status: "dead"},
		},
	}, {
		name: "list of Podman",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.ListContainers(ctx, ListOptions{Statuses: []string{"created", "running", "exited"}})
		},
		request: "GET /containers/json?all=1", status: 200,
		answer: `[{"Id":"a","State":"configured"},{"Id":"b","State":"initialized"},{"Id":"c","State":"stopping"},{"Id":"d","State":"stopped"},{"Id":"e","State":"paused"}]`,
		want: []ContainerSummary{
			{ID: "a", Created: time.Unix(0, 0).UTC(), Status: "created"}, {ID: "b", Created: time.Unix(0, 0).UTC(), Status: "created"},
			{ID: "c", Created: time.Unix(0, 0).UTC(), Status: "running"}, {ID: "d", Created: time.Unix(0, 0).UTC(), Status: "exited"},
		},
	}, {
		name:    "inspect while Podman stops it",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.InspectContainer(ctx, "web") },
		request: "GET /containers/web/json", status: 200,
		answer: `{"Id":"x","State":{"Status":"stopping","Running":false,"ExitCode":0,"StartedAt":"2026-01-02T03:04:06Z","FinishedAt":"0001-01-01T00:00:00Z"}}`,
		want:   Container{ID: "x", State: State{Status: "running", Running: true, StartedAt: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)}},
	}, {
		name:    "inspect when Podman has stopped it",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.InspectContainer(ctx, "web") },
		request: "GET /containers/web/json", status: 200,
		answer: `{"Id":"x","State":{"Status":"stopped","Running":false,"ExitCode":4,"StartedAt":"2026-01-02T03:04:06Z","FinishedAt":"2026-01-02T03:04:07Z"}}`,
		want: Container{ID: "x", State: State{Status: "exited", ExitCode: new(4),
			StartedAt: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), FinishedAt: time.Date(2026, 1, 2, 3, 4, 7, 0, time.UTC)}},
	}, {
		name: "wait",
		call: func(ctx context.Context, c *Client) (any, error) {
			return joinWait(c.WaitContainer(ctx, "web", NextExit))
		},
		request: "POST /containers/web/wait?condition=next-exit", status: 200,
		answer: `{"StatusCode":137,"Error":null}`, want: ExitStatus{Code: new(137)},
	}, {
		name:    "wait for nothing in particular",
		call:    func(ctx context.Context, c *Client) (any, error) { return joinWait(c.WaitContainer(ctx, "web", "")) },
		request: "POST /containers/web/wait", status: 200,
		answer: ` {"StatusCode":0}`, want: ExitStatus{Code: new(0)},
	}, {
		name: "attach",
		call: func(ctx context.Context, c *Client) (any, error) {
			var o, e bytes.Buffer
			join, err := c.AttachContainer(ctx, "web", AttachOptions{Stdout: &o, Stderr: &e})
			return joined(&o, &e, join, err)
		},
		request: "POST /containers/web/attach?stderr=1&stdout=1&stream=1", upgrade: true, status: 101,
		answer: frame(1, "out") + frame(2, "err") + frame(0, "put"), want: "output|err",
	}, {
		name: "attach stdin only",
		call: func(ctx context.Context, c *Client) (any, error) {
			var o, e bytes.Buffer
			join, err := c.AttachContainer(ctx, "web", AttachOptions{Stdin: strings.NewReader("")})
			return joined(&o, &e, join, err)
		},
		request: "POST /containers/web/attach?stdin=1&stream=1", upgrade: true, status: 101,
		answer: frame(1, "out"), want: "|",
	}, {
		name: "attach with a tty",
		call: func(ctx context.Context, c *Client) (any, error) {
			var o, e bytes.Buffer
			join, err := c.AttachContainer(ctx, "web", AttachOptions{Stdout: &o, Stderr: &e, Tty: true})
			return joined(&o, &e, join, err)
		},
		request: "POST /containers/web/attach?stderr=1&stdout=1&stream=1", upgrade: true, status: 101,
		answer: "\x01raw\r\n", want: "\x01raw\r\n|",
	}, {
		name: "create exec",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.CreateExec(ctx, "web", ExecConfig{
				Cmd: []string{"echo", "<&>"}, Env: []string{"A=b"}, User: "1:2", WorkingDir: "/w", Privileged: true, Tty: true,
				AttachStdin: true, AttachStdout: true, AttachStderr: true,
			})
		},
		request: "POST /containers/web/exec",
		body: `{"Cmd":["echo","\u003c\u0026\u003e"],"Env":["A=b"],"User":"1:2","WorkingDir":"/w","Privileged":true,"Tty":true,` +
			`"AttachStdin":true,"AttachStdout":true,"AttachStderr":true}`,
		status: 201, answer: `{"Id":"` + fullID + `"}`, want: fullID,
	}, {
		name: "create exec with nothing",
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.CreateExec(ctx, "web", ExecConfig{Cmd: []string{"true"}})
		},
		request: "POST /containers/web/exec", body: `{"Cmd":["true"]}`,
		status: 201, answer: `{"Id":"x"}`, want: "x",
	}, {
		name: "start exec",
		call: func(ctx context.Context, c *Client) (any, error) {
			var o, e bytes.Buffer
			join, err := c.StartExec(ctx, fullID, AttachOptions{Stdin: strings.NewReader(""), Stdout: &o, Stderr: &e})
			return joined(&o, &e, join, err)
		},
		request: "POST /exec/" + fullID + "/start", body: `{"Detach":false,"Tty":false}`, upgrade: true, status: 101,
		answer: frame(1, "out") + frame(2, "err"), want: "out|err",
	}, {
		name: "start exec with a tty",
		call: func(ctx context.Context, c *Client) (any, error) {
			var o, e bytes.Buffer
			join, err := c.StartExec(ctx, "x", AttachOptions{Stdout: &o, Tty: true})
			return joined(&o, &e, join, err)
		},
		request: "POST /exec/x/start", body: `{"Detach":false,"Tty":true}`, upgrade: true, status: 101,
		answer: "\x01raw\r\n", want: "\x01raw\r\n|",
	}, {
		name:    "start exec detached",
		call:    func(ctx context.Context, c *Client) (any, error) { return nil, c.StartExecDetached(ctx, "x") },
		request: "POST /exec/x/start", body: `{"Detach":true,"Tty":false}`, status: 200,
	}, {
		name:    "inspect exec",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.InspectExec(ctx, "x") },
		request: "GET /exec/x/json", status: 200,
		answer: `{"ID":"x","Running":false,"ExitCode":7,"ContainerID":"` + fullID + `","Pid":5,"New":{}}`,
		want:   Exec{ExitCode: new(7), Pid: 5},
	}, {
		name:    "inspect exec that never ran",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.InspectExec(ctx, "x") },
		request: "GET /exec/x/json", status: 200,
		answer: `{"ID":"x","Running":false,"ExitCode":126,"ContainerID":"` + fullID + `","Pid":0}`,
		want:   Exec{ExitCode: new(126), NeverRan: true},
	}, {
		name:    "inspect running exec",
		call:    func(ctx context.Context, c *Client) (any, error) { return c.InspectExec(ctx, "x") },
		request: "GET /exec/x/json", status: 200,
		answer: `{"ID":"x","Running":true,"ExitCode":null,"ContainerID":"` + fullID + `","Pid":5}`,
		want:   Exec{Running: true, Pid: 5},
	}, {
		name: "logs",
		call: func(ctx context.Context, c *Client) (any, error) {
			var o, e bytes.Buffer
			join, err := c.ContainerLogs(ctx, "web", LogsOptions{Stdout: &o, Tail: "all"})
			return joined(&o, &e, join, err)
		},
		request: "GET /containers/web/logs?stdout=1", status: 200, answer: frame(1, "out"), want: "out|",
	}, {
		name: "logs of all kinds",
		call: func(ctx context.Context, c *Client) (any, error) {
			var o, e bytes.Buffer
			join, err := c.ContainerLogs(ctx, "web", LogsOptions{Follow: true, Stdout: &o, Stderr: &e, Since: time.Unix(5, 7), Until: time.Unix(9, 0), Details: true, Timestamps: true, Tail: "10"})
			return joined(&o, &e, join, err)
		},
		request: "GET /containers/web/logs?details=1&follow=1&since=5.000000007&stderr=1&stdout=1&tail=10&timestamps=1&until=9.000000000", status: 200,
		answer: frame(1, "out") + frame(2, "err"), want: "out|err",
	}, {
		name:    "pull",
		call:    func(ctx context.Context, c *Client) (any, error) { return pull(ctx, c, "busybox", PullOptions{}) },
		request: "POST /images/create?fromImage=busybox&tag=latest", status: 200,
		answer: `{"status":"Pulling from library/busybox","id":"latest"}` + "\r\n" +
			`{"status":"Downloading","progressDetail":{"current":5,"total":10},"progress":"[=> ]","id":"0123"}` + "\r\n" +
			`{"status":"Status: Downloaded newer image"}` + "\r\n",
		want: []PullProgress{{ID: "latest", Status: "Pulling from library/busybox"}, {ID: "0123", Status: "Downloading", Current: 5, Total: 10}, {Status: "Status: Downloaded newer image"}},
	}, {
		name: "pull by digest from a port for a platform",
		call: func(ctx context.Context, c *Client) (any, error) {
			return pull(ctx, c, "reg:5000/a/b:1.2@sha256:ff", PullOptions{Platform: "linux/arm64"})
		},
		request: "POST /images/create?fromImage=reg%3A5000%2Fa%2Fb&platform=linux%2Farm64&tag=sha256%3Aff", status: 200,
		answer: `{"status":"x"}`, want: []PullProgress{{Status: "x"}},
	}, {
		name:    "pull by tag from a port",
		call:    func(ctx context.Context, c *Client) (any, error) { return pull(ctx, c, "reg:5000/a", PullOptions{}) },
		request: "POST /images/create?fromImage=reg%3A5000%2Fa&tag=latest", status: 200,
		answer: `{"status":"x"}`, want: []PullProgress{{Status: "x"}},
	}, {
		name: "pull with credentials",
		call: func(ctx context.Context, c *Client) (any, error) {
			return pull(ctx, c, "reg/a", PullOptions{Auth: "eyJ1c2VybmFtZSI6Ij8_In0="})
		},
		request: "POST /images/create?fromImage=reg%2Fa&tag=latest", auth: "eyJ1c2VybmFtZSI6Ij8_In0=", status: 200,
		answer: `{"status":"x"}`, want: []PullProgress{{Status: "x"}},
	},
}

func joinWait(join func() (ExitStatus, error), err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return join()
}

func joined(o, e *bytes.Buffer, join func() error, err error) (any, error) {
	if err == nil {
		err = join()
	}
	return o.String() + "|" + e.String(), err
}

func pull(ctx context.Context, c *Client, ref string, o PullOptions) (any, error) {
	var steps []PullProgress
	err := c.PullImage(ctx, ref, o, func(p PullProgress) { steps = append(steps, p) })
	return steps, err
}

// Every endpoint over each kind of connection, with a base path where there can
// be one.
func TestEndpoints(t *testing.T) {
	for _, network := range networks {
		for _, test := range endpoints {
			t.Run(network+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				var problems []string
				calls := 0
				base := ""
				c := serve(t, network, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Api-Version", "1.41")
					expect := func(what string, got, want any) {
						if !reflect.DeepEqual(got, want) {
							problems = append(problems, fmt.Sprintf("%s:\n got %q\nwant %q", what, got, want))
						}
					}
					if r.RequestURI == base+"/_ping" {
						expect("ping", r.Method, "HEAD")
						return
					}
					calls++
					method, path, _ := strings.Cut(test.request, " ")
					expect("request", r.Method+" "+r.RequestURI, method+" "+base+"/v1.41"+path)
					body, _ := io.ReadAll(r.Body)
					expect("body", string(body), test.body)
					expect("length", r.ContentLength, int64(len(test.body)))
					expect("coding", r.TransferEncoding, []string(nil))
					host := "docker"
					if network != "unix" {
						host = r.Context().Value(http.LocalAddrContextKey).(fmt.Stringer).String()
					}
					expect("host", r.Host, host)
					header := http.Header{"User-Agent": {"docker-dispatch"}}
					if r.Method == "POST" {
						header.Set("Content-Length", fmt.Sprint(len(test.body)))
					}
					if test.body != "" {
						header.Set("Content-Type", "application/json")
					}
					if test.auth != "" {
						header.Set("X-Registry-Auth", test.auth)
					}
					if test.upgrade {
						header.Set("Connection", "Upgrade")
						header.Set("Upgrade", "tcp")
					}
					expect("header", r.Header, header)
					if test.upgrade {
						conn, _ := hijack(w)
						io.WriteString(conn, upgraded+test.answer)
						conn.Close()
						return
					}
					w.WriteHeader(test.status)
					io.WriteString(w, test.answer)
				})
				if network != "unix" {
					base = "/base/x%20y%2Fz"
					c.host.base = base
				}
				got, err := test.call(background(t), c)
				if err != nil {
					t.Error(err)
				}
				if !reflect.DeepEqual(got, test.want) {
					t.Errorf("got %+v\nwant %+v", got, test.want)
				}
				if calls != 1 {
					t.Errorf("%d calls", calls)
				}
				for _, problem := range problems {
					t.Error(problem)
				}
			})
		}
	}
}

// What cannot be right is refused before anything is sent.
func TestRefusedLocally(t *testing.T) {
	c := newClient(t, mustHost(t, "/nowhere"), Options{})
	ctx := t.Context()
	var buffer bytes.Buffer
	for what, err := range map[string]error{
		"empty id":     c.StartContainer(ctx, ""),
		"slash":        c.StopContainer(ctx, "/", StopOptions{}),
		"kill":         c.KillContainer(ctx, "", "TERM"),
		"pause":        c.PauseContainer(ctx, ""),
		"connect":      c.ConnectNetwork(ctx, "", "x", EndpointSettings{}),
		"unpause":      c.UnpauseContainer(ctx, ""),
		"restart":      c.RestartContainer(ctx, "", StopOptions{}),
		"dots":         c.RemoveContainer(ctx, "..", RemoveOptions{}),
		"dot":          errOf(c.InspectContainer(ctx, ".")),
		"path":         errOf(c.InspectContainer(ctx, "a/../b")),
		"raw":          errOf(c.InspectContainerRaw(ctx, "..")),
		"wait":         errOf(c.WaitContainer(ctx, "", NextExit)),
		"attach":       errOf(c.AttachContainer(ctx, "", AttachOptions{Stdout: &buffer})),
		"no streams":   errOf(c.AttachContainer(ctx, "x", AttachOptions{})),
		"exec":         errOf(c.CreateExec(ctx, "", ExecConfig{Cmd: []string{"x"}})),
		"exec nothing": errOf(c.CreateExec(ctx, "x", ExecConfig{})),
		"long exec":    errOf(c.CreateExec(ctx, "x", ExecConfig{Cmd: []string{"a", strings.Repeat("x", 131072)}})),
		"exec env":     errOf(c.CreateExec(ctx, "x", ExecConfig{Cmd: []string{"a"}, Env: []string{"a=\x00"}})),
		"start exec":   errOf(c.StartExec(ctx, "", AttachOptions{Stdout: &buffer})),
		"exec streams": errOf(c.StartExec(ctx, "x", AttachOptions{})),
		"detached":     c.StartExecDetached(ctx, "../x"),
		"inspect exec": errOf(c.InspectExec(ctx, "a/b")),
		"logs":         errOf(c.ContainerLogs(ctx, "", LogsOptions{Stdout: &buffer})),
		"no logs":      errOf(c.ContainerLogs(ctx, "x", LogsOptions{})),
		"tail":         errOf(c.ContainerLogs(ctx, "x", LogsOptions{Stdout: &buffer, Tail: "-1"})),
		"no image":     c.PullImage(ctx, "", PullOptions{}, nil),
		"no tag":       c.PullImage(ctx, "busybox:", PullOptions{}, nil),
		"no base64":    c.PullImage(ctx, "busybox", PullOptions{Auth: "secret"}, nil),
		"std base64":   c.PullImage(ctx, "busybox", PullOptions{Auth: "eyJ1c2VybmFtZSI6Ij8/In0="}, nil),
		"line end":     c.PullImage(ctx, "busybox", PullOptions{Auth: "e30=\r\n\r\n"}, nil),
		"unpadded":     c.PullImage(ctx, "busybox", PullOptions{Auth: "eyJ1c2VybmFtZSI6Ij8_In0"}, nil),
		"no JSON":      c.PullImage(ctx, "busybox", PullOptions{Auth: "c2VjcmV0"}, nil),
		"no digest":    c.PullImage(ctx, "busybox@", PullOptions{}, nil),
		"long command": errOf(c.CreateContainer(ctx, "x", ContainerConfig{Cmd: []string{"a", strings.Repeat("x", 131072)}})),
		"long env":     errOf(c.CreateContainer(ctx, "x", ContainerConfig{Env: []string{strings.Repeat("x", 131072)}})),
		"nul":          errOf(c.CreateContainer(ctx, "x", ContainerConfig{Entrypoint: []string{"a\x00"}})),
	} {
		if !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, id := range []string{"sha256:" + fullID, fullID} {
		if err := c.PullImage(ctx, id, PullOptions{}, nil); !errors.Is(err, ErrNoSuchImage) {
			t.Errorf("pull of an image id: %v", err)
		}
	}
	// One byte less is the engine's to judge.
	if _, err := c.CreateContainer(ctx, "x", ContainerConfig{Cmd: []string{strings.Repeat("x", 131071)}}); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
}

// Podman's forced removal of a running container would wait for its stop
// timeout. An engine is not asked to stop it first.
func TestForcedRemoval(t *testing.T) {
	for _, test := range []struct {
		podman, force bool
		want          string
	}{
		{false, true, "DELETE /v1.41/containers/web?force=1"},
		{true, true, "POST /v1.41/containers/web/stop?t=0 DELETE /v1.41/containers/web?force=1"},
		{true, false, "DELETE /v1.41/containers/web"},
	} {
		var calls []string
		c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
			if test.podman {
				w.Header().Set("Libpod-Api-Version", "5.4.2")
			}
			if answerPing(w, r) {
				return
			}
			calls = append(calls, r.Method+" "+r.RequestURI)
			if r.Method == "POST" {
				http.Error(w, `{"cause":"container state improper","message":"it is paused: container state improper","response":500}`, 500)
				return
			}
			w.WriteHeader(204)
		})
		if err := c.RemoveContainer(background(t), "web", RemoveOptions{Force: test.force}); err != nil {
			t.Error(err)
		}
		if got := strings.Join(calls, " "); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestEnded(t *testing.T) {
	for status, want := range map[string]bool{"created": false, "running": false, "paused": false, "restarting": false, "removing": false, "exited": true, "dead": true} {
		if got := (State{Status: status}).Ended(); got != want {
			t.Errorf("%s: %v", status, got)
		}
	}
}

// Short calls keep their connections, however they end.
func TestConnectionsAreKept(t *testing.T) {
	remotes := map[string]bool{}
	c := serve(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
		if answerPing(w, r) {
			return
		}
		switch r.Method {
		case "GET":
			io.WriteString(w, `{"Id":"x"}`+strings.Repeat(" ", 10000))
		case "POST":
			http.Error(w, `{"message":"No such container: x"}`, 404)
		default:
			w.WriteHeader(204)
		}
	})
	for range 5 {
		c.InspectContainer(background(t), "x")
		c.StartContainer(background(t), "x")
		c.RemoveContainer(background(t), "x", RemoveOptions{})
	}
	if len(remotes) != 1 {
		t.Errorf("%d connections", len(remotes))
	}
}

// exitOf is an exit code, or -1 where it is not known.
func exitOf(code *int) int {
	if code == nil {
		return -1
	}
	return *code
}

// TestExitCodeNotKnown: what is missing, null or -1 is never read as 0.
func TestExitCodeNotKnown(t *testing.T) {
	for _, code := range []string{``, `,"ExitCode":null`, `,"ExitCode":-1`} {
		c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/_ping":
				w.Header().Set("Api-Version", "1.41")
			case strings.HasPrefix(r.URL.Path, "/v1.41/exec/"):
				fmt.Fprintf(w, `{"ID":"x","Running":false%s}`, code)
			case strings.HasSuffix(r.URL.Path, "/wait"):
				fmt.Fprintf(w, `{"Error":null%s}`, strings.Replace(code, "ExitCode", "StatusCode", 1))
			default:
				fmt.Fprintf(w, `{"Id":"x","State":{"Status":"exited"%s}}`, code)
			}
		})
		if e, err := c.InspectExec(t.Context(), "x"); err != nil || e.ExitCode != nil {
			t.Errorf("exec%s: %v, %v", code, exitOf(e.ExitCode), err)
		}
		if got, err := c.InspectContainer(t.Context(), "x"); err != nil || got.State.ExitCode != nil {
			t.Errorf("container%s: %v, %v", code, exitOf(got.State.ExitCode), err)
		}
		join, err := c.WaitContainer(t.Context(), "x", NotRunning)
		if err != nil {
			t.Fatal(err)
		}
		if status, err := join(); status.Code != nil || err == nil && !strings.Contains(code, "-1") {
			t.Errorf("wait%s: %v, %v", code, exitOf(status.Code), err)
		}
	}
}
