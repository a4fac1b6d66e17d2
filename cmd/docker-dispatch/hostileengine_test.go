package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// engineScenario is one way of an engine to be hostile.
type engineScenario struct {
	name string
	at   string              // the call that is answered so, see call; connect: none, as soon as the daemon connects
	play func(c *enginePipe) // answers in the engine's place, and may close the connection
	body string              // of the message; "": see echoes
	log  string              // a part of what the daemon writes; "": the trick is enough
	next string              // the call that the daemon makes after the trick; "": any, or none
	many int                 // jobs; 0: one
}

// echoes is a run that is followed. The daemon first looks for its container, because of its name.
const echoes = `{"Dockercmd": "run", "Image": "busybox", "Options": {"Attach": ["STDOUT", "STDERR"], "Remove": true, "Name": "echoNUMBER"}}`

// TestHostileEngine: whatever an engine answers, the daemon does not panic, stays small, and ends within seconds of a SIGTERM.
func TestHostileEngine(t *testing.T) {
	hostilities(t, engineScenarios(), func(s engineScenario) string { return s.name }, func(t *testing.T, s engineScenario, exe string, w *worst) {
		e := newRogue(t, s)
		b := newSpeaker(t, brokerScenario{body: cmp.Or(s.body, echoes), many: s.many})
		p := daemonAt(t, exe, e.address, "amqp://guest:guest@"+b.address, "--format", "json", "--policy", trusting(t))
		happens(t, p, "the trick", e.played)
		if s.next != "" {
			happens(t, p, "a call to "+s.next, e.went)
		}
		if s.log != "" {
			p.await("log "+s.log, func(stdout, stderr string) bool { return strings.Contains(stdout+stderr, s.log) })
		}
		endsWell(t, p, w)
		for _, r := range p.out() + p.log() {
			if r < ' ' && r != '\n' {
				t.Errorf("the daemon writes the control character %q", r)
				break
			}
		}
	})
}

// A rogue is an engine of the test. It answers each call as Docker does, except where its scenario plays a trick.
type rogue struct {
	scenario engineScenario
	address  string
	once     sync.Once
	played   chan struct{} // closed when the trick was played
	going    sync.Once
	went     chan struct{} // closed when the next call after it has come
	starting sync.Once
	started  chan struct{} // closed when the container was started
}

// enginePipe is a connection of the daemon to a rogue, with a request on it.
type enginePipe struct {
	net.Conn
	*rogue
	ctx context.Context
	req *http.Request
}

func newRogue(t *testing.T, s engineScenario) *rogue {
	e := &rogue{scenario: s, played: make(chan struct{}), went: make(chan struct{}), started: make(chan struct{})}
	e.address = acceptAll(t, "tcp", "127.0.0.1:0", func(ctx context.Context, conn net.Conn) {
		if s.at == "connect" {
			s.play(&enginePipe{conn, e, ctx, nil})
			e.once.Do(func() { close(e.played) })
			return
		}
		reader := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			c := &enginePipe{conn, e, ctx, req}
			call := c.call()
			select {
			case <-e.played:
				if call == s.next {
					e.going.Do(func() { close(e.went) })
				}
			default:
			}
			if s.at != call {
				c.sound(call)
				continue
			}
			s.play(c)
			e.once.Do(func() { close(e.played) })
		}
	}).Addr().String()
	return e
}

// call names the call of a request.
func (c *enginePipe) call() string {
	path := c.req.URL.Path
	switch last := path[strings.LastIndex(path, "/")+1:]; {
	case last == "_ping":
		return "ping"
	case path[min(len(path), 6):] == "/containers/json":
		return "list"
	case last == "json" && strings.Contains(path, "/exec/"):
		return "inspect exec"
	case last == "json":
		return "inspect"
	case last == "create" && strings.Contains(path, "/images/"):
		return "pull"
	case last == "exec":
		return "exec"
	case strings.Contains(path, "/exec/"):
		return "start exec"
	case c.req.Method == http.MethodDelete:
		return "remove"
	default:
		return last
	}
}

const madeUpID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

const hijacked = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

// sound answers a call as Docker does.
func (c *enginePipe) sound(call string) {
	switch call {
	case "ping":
		c.answer(200, "OK", "Api-Version: 1.41", "Server: Docker/20.10.24 (linux)", "Ostype: linux")
	case "create":
		c.answer(201, `{"Id":"`+madeUpID+`","Warnings":[]}`)
	case "list":
		c.answer(200, "[]")
	case "attach":
		c.say(hijacked)
		c.await()
		c.say(outputFrame(1, "hello\n"))
		c.Close()
	case "wait":
		c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		c.await()
		c.say(chunk(`{"StatusCode":0}`) + "0\r\n\r\n")
	case "start":
		c.answer(204, "")
		c.starting.Do(func() { close(c.started) })
	case "inspect":
		c.answer(200, inspected("exited", `"ExitCode":0`))
	case "logs":
		c.answer(200, outputFrame(1, "hello\n"))
	case "start exec":
		c.say(hijacked)
		c.Close()
	case "exec":
		c.answer(201, `{"Id":"`+madeUpID+`"}`)
	default:
		c.answer(204, "")
	}
}

// await waits for the start of the container.
func (c *enginePipe) await() {
	select {
	case <-c.started:
	case <-c.ctx.Done():
	}
}

func (c *enginePipe) say(text string) { io.WriteString(c, text) }

// answer is a whole answer with these lines in its header.
func (c *enginePipe) answer(status int, body string, header ...string) {
	c.say(whole(c.req.Method, status, body, header...))
}

func whole(method string, status int, body string, header ...string) string {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\n%s\r\n", status, http.StatusText(status), strings.Join(append(header, "Content-Type: application/json"), "\r\n"))
	if status == 204 {
		return head + "\r\n"
	}
	head += fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
	if method == http.MethodHead {
		return head
	}
	return head + body
}

func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

func outputFrame(stream byte, text string) string {
	return string(binary.BigEndian.AppendUint32([]byte{stream, 0, 0, 0}, uint32(len(text)))) + text
}

// inspected is the answer to an inspect of the container.
func inspected(status, more string) string {
	return `{"Id":"` + madeUpID + `","Name":"/echo","Created":"2026-11-23T11:00:00Z","Config":{"Image":"busybox","Labels":{}},"State":{"Status":"` + status +
		`","StartedAt":"2026-11-23T11:00:00Z","FinishedAt":"2026-11-23T11:00:01Z",` + more + `}}`
}

// engineScenarios are the ways of an engine to be hostile.
func engineScenarios() []engineScenario {
	const streaming = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	says := func(text string) func(*enginePipe) {
		return func(c *enginePipe) { c.say(text); c.Close() }
	}
	answers := func(status int, body string, header ...string) func(*enginePipe) {
		return func(c *enginePipe) { c.answer(status, body, header...) }
	}
	floods := func(start, piece string) func(*enginePipe) {
		return func(c *enginePipe) {
			c.say(start)
			tide(c, []byte(piece), ocean)
			c.Close()
		}
	}
	// The daemon follows a container's output for as long as it comes.
	streams := func(start, piece string, total int) func(*enginePipe) {
		return func(c *enginePipe) {
			c.say(start)
			tide(c, []byte(piece), total)
		}
	}
	const much, more = ocean / 16, ocean * 3 / 4
	silent := func(start string) func(*enginePipe) {
		return func(c *enginePipe) { c.say(start) }
	}
	const control = `\u001b]0;owned\u0007\u001b[2J\r\u0000\u009b`
	exec := `{"Dockercmd": "exec", "Container": "echo", "Cmd": ["ls"]}`
	pull := `{"Dockercmd": "pull", "Image": "busybox"}`
	wait := `{"Dockercmd": "wait", "Container": "echo"}`
	logs := `{"Dockercmd": "logs", "Container": "echo"}`
	inspect := `{"Dockercmd": "inspect", "Container": "echo"}`
	stop := `{"Dockercmd": "stop", "Container": "echo"}`
	ours := func(id, name string) string {
		return `{"Id":"` + id + `","Names":["/` + name + `"],"Image":"busybox","ImageID":"sha256:1","Created":1,"Labels":{},"State":"exited"}`
	}
	var all []engineScenario
	for _, call := range []string{"connect", "ping", "list", "create", "attach", "wait", "start", "inspect", "remove"} {
		body := ""
		if call == "inspect" {
			body = stop
		}
		all = append(all,
			engineScenario{name: "closes at " + call, at: call, body: body, play: func(c *enginePipe) { c.Close() }},
			engineScenario{name: "silent at " + call, at: call, body: body, play: silent("")})
		if call == "connect" {
			continue
		}
		all = append(all,
			engineScenario{name: "closes in its answer to " + call, at: call, body: body, play: says("HTTP/1.1 200 OK\r\nContent-Le")},
			engineScenario{name: "closes in the body of its answer to " + call, at: call, body: body, play: says("HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{\"Id\":\"01")})
	}
	return append(all, []engineScenario{
		{name: "TLS on the plain port", at: "connect", play: says("\x15\x03\x03\x00\x02\x02\x28")},
		{name: "an answer before the request", at: "connect", play: says(whole("GET", 200, "OK", "Api-Version: 1.41") + whole("GET", 200, "OK", "Api-Version: 1.41"))},
		{name: "HTTP/2", at: "ping", play: says("\x00\x00\x12\x04\x00\x00\x00\x00\x00PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), log: "malformed HTTP"},
		{name: "HTTP/0.9", at: "ping", play: says("<html>\x1b[2J</html>"), log: "does not speak HTTP"},
		{name: "a status line without end", at: "ping", play: floods("HTTP/1.1 200 ", "x")},
		{name: "a header without end", at: "ping", play: floods("HTTP/1.1 200 OK\r\n", "X-Header: value\r\n"), log: "endless"},
		{name: "one line of header without end", at: "create", play: floods("HTTP/1.1 200 OK\r\nX: ", "x"), log: "endless"},
		{name: "interim answers without end", at: "create", play: floods("", "HTTP/1.1 102 Processing\r\n\r\n"), log: "endless"},
		{name: "a header byte by byte", at: "ping", play: func(c *enginePipe) {
			for _, b := range []byte("HTTP/1.1 200 OK\r\n") {
				c.say(string(b))
			}
		}},
		{name: "a negative length", at: "create", play: says("HTTP/1.1 201 Created\r\nContent-Length: -1\r\n\r\n{}")},
		{name: "two lengths", at: "create", play: says("HTTP/1.1 201 Created\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")},
		{name: "a length beyond all numbers", at: "create", play: says("HTTP/1.1 201 Created\r\nContent-Length: 99999999999999999999\r\n\r\n{}")},
		{name: "a length and chunks", at: "create", play: says("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(`{"Id":"`+madeUpID+`"}`) + "0\r\n\r\n")},
		{name: "a chunk beyond all numbers", at: "create", play: says(streaming + "fffffffffffffffff\r\n{")},
		{name: "a chunk of 2^63 bytes", at: "create", play: floods("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n[\"", "x")},
		{name: "extensions of chunks without end", at: "create", play: floods("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", "1;x="+strings.Repeat("y", 1000)+"\r\n \r\n")},
		{name: "trailers without end", at: "create", play: floods("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(`{"Id":"`+madeUpID+`"}`)+"0\r\n", "X: y\r\n")},
		{name: "a gzipped answer", at: "create", play: answers(201, "\x1f\x8b\x08\x00\x00\x00\x00\x00", "Content-Encoding: gzip")},
		{name: "an unknown encoding", at: "create", play: says("HTTP/1.1 201 Created\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")},
		{name: "a redirect to elsewhere", at: "create", play: answers(307, "", "Location: http://example.invalid/\u009b2J"), log: "redirected to"},
		{name: "a redirect to itself", at: "ping", play: answers(301, "", "Location: /_ping"), log: "redirected to"},
		{name: "two answers for one request", at: "create", play: answers(201, `{"Id":"`+madeUpID+`"}`+"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "X-Length: wrong")},
		{name: "the answer to another request", at: "create", play: answers(200, "[]")},
		{name: "an upgrade without being asked", at: "create", play: says(hijacked + "xxxx")},
		{name: "an upgrade of the ping", at: "ping", play: says(hijacked)},
		{name: "statuses that are none", at: "create", play: says("HTTP/1.1 999 \x1b[2J\r\nContent-Length: 0\r\n\r\n")},
		{name: "no status", at: "create", play: says("HTTP/1.1 -12 x\r\n\r\n")},
		{name: "an error of a gigabyte", at: "create", play: floods("HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\n", "no space "), log: "status 500"},
		{name: "an error full of control characters", at: "create", play: answers(400, `{"message":"`+control+`"}`), log: `owned`},
		{name: "an error of a megabyte on one line", at: "create", play: answers(400, `{"message":"`+strings.Repeat("bad ", 1<<18)+`"}`), log: "bad bad"},
		{name: "nothing but errors that may pass", at: "create", play: answers(503, `{"message":"later"}`), log: "later"},
		{name: "JSON nested a million deep", at: "create", play: answers(201, strings.Repeat("[", 1<<20)), log: "is not a docker engine"},
		{name: "objects nested a million deep", at: "create", play: answers(201, strings.Repeat(`{"a":`, 1<<19))},
		{name: "JSON of wrong types", at: "create", play: answers(201, `{"Id":{"x":1},"Warnings":"none"}`), log: "is not a docker engine"},
		{name: "JSON without end", at: "create", play: floods("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n{\"Id\":\"", "0"), log: "more than"},
		{name: "an id with a path", at: "create", play: answers(201, `{"Id":"../../images/x"}`), log: "is not a container name or id"},
		{name: "an id with control characters", at: "create", play: answers(201, `{"Id":"`+control+`\r\nX: y"}`)},
		{name: "an id of a megabyte", at: "create", play: answers(201, `{"Id":"`+strings.Repeat("a", 1<<20)+`"}`)},
		{name: "a million warnings", at: "create", play: answers(201, `{"Id":"`+madeUpID+`","Warnings":["`+control+`"`+strings.Repeat(`,""`, 1<<20)+`]}`)},
		{name: "versions of huge numbers", at: "ping", play: answers(200, "OK", "Api-Version: 99999999999999999999.1"), log: "offers API version"},
		{name: "a version of one megabyte", at: "ping", play: answers(200, "OK", "Api-Version: 1."+strings.Repeat("4", 60000)), log: "offers API version"},
		{name: "a version of the future", at: "ping", play: answers(200, "OK", "Api-Version: 65535.65535")},
		{name: "another version with each answer", at: "create", play: func(c *enginePipe) {
			c.answer(400, `{"message":"client version 1.41 is too new. Maximum supported API version is 1.40"}`, fmt.Sprintf("Api-Version: 1.%d", 40+time.Now().UnixNano()%12))
		}, log: "too new"},
		{name: "a name of the server with control characters", at: "ping", play: answers(200, "OK", "Api-Version: 1.41", "Server: \x1b[2J\xff\x00")},
		{name: "attach: frames of 4 GiB", at: "attach", play: streams(hijacked+"\x01\x00\x00\x00\xff\xff\xff\xff", "x", more)},
		{name: "attach: unknown streams", at: "attach", play: streams(hijacked, "\x09\x00\x00\x00\x00\x00\x00\x01x", much)},
		{name: "attach: an error without end", at: "attach", play: streams(hijacked+"\x03\x00\x00\x00\xff\xff\xff\xff", "\x1b[2J", much)},
		{name: "attach: empty frames without end", at: "attach", play: func(c *enginePipe) {
			c.say(hijacked)
			tide(c, []byte(outputFrame(1, "")), much)
		}},
		{name: "attach: frames of one byte without end", at: "attach", play: func(c *enginePipe) {
			c.say(hijacked)
			tide(c, []byte(outputFrame(1, "x")+outputFrame(2, "y")), much)
		}},
		{name: "attach: a frame that does not end", at: "attach", play: silent(hijacked + "\x01\x00\x00\x00\x00\x00\x00\x09hel")},
		{name: "attach: half closed", at: "attach", play: func(c *enginePipe) {
			c.say(hijacked)
			c.Conn.(*net.TCPConn).CloseWrite()
		}},
		{name: "attach: a stream of chunks without end", at: "attach", play: streams(streaming, chunk(outputFrame(1, strings.Repeat("x", 30000))), much)},
		{name: "attach: no stream", at: "attach", play: answers(200, "{}"), log: "not a stream"},
		{name: "attach: output before the start", at: "attach", play: says(hijacked + outputFrame(1, "hello\n"))},
		{name: "wait: garbage", at: "wait", play: says(streaming + chunk("<html>\x1b[2J")), log: "is not a docker engine"},
		{name: "wait: a negative code", at: "wait", play: answers(200, `{"StatusCode":-1}`)},
		{name: "wait: a code beyond all numbers", at: "wait", play: answers(200, `{"StatusCode":99999999999999999999}`)},
		{name: "wait: a code that is none", at: "wait", play: answers(200, `{"StatusCode":4294967296}`)},
		{name: "wait: no code", at: "wait", play: answers(200, `{"StatusCode":null}`)},
		{name: "wait: text", at: "wait", play: answers(200, `{"StatusCode":"0"}`)},
		{name: "wait: an answer without end", at: "wait", play: floods("HTTP/1.1 200 OK\r\n\r\n{\"Error\":{\"Message\":\"", "x")},
		{name: "wait: spaces without end", at: "wait", play: floods("HTTP/1.1 200 OK\r\n\r\n", " ")},
		{name: "wait: over before the start", at: "wait", play: answers(200, `{"StatusCode":0}`)},
		{name: "wait: of no container", at: "wait", body: wait, play: answers(404, `{"message":"`+control+`"}`)},
		{name: "inspect: another container", at: "inspect", body: inspect, play: answers(200, strings.ReplaceAll(inspected("running", `"Pid":1`), "0123", "ffff"))},
		{name: "inspect: an unknown state", at: "inspect", body: stop, play: answers(200, inspected(control, `"ExitCode":-9223372036854775808`))},
		{name: "inspect: times that are none", at: "inspect", body: stop, play: answers(200, strings.ReplaceAll(inspected("exited", `"ExitCode":1`), "2026", "99999"))},
		{name: "inspect: an answer without end", at: "inspect", body: inspect, play: floods("HTTP/1.1 200 OK\r\n\r\n{\"Id\":\"", "0")},
		{name: "inspect: a megabyte of labels", at: "inspect", body: stop, play: answers(200, strings.Replace(inspected("running", `"Pid":1`), `"Labels":{}`, `"Labels":{"a":"`+control+`"`+strings.Repeat(`,"`+strings.Repeat("k", 100)+`":""`, 1<<14)+`}`, 1))},
		{name: "list: a million containers", at: "list", play: func(c *enginePipe) {
			c.say("HTTP/1.1 200 OK\r\n\r\n[" + ours(madeUpID, "x"))
			tide(c, []byte(","+ours(madeUpID, "x")), ocean)
			c.Close()
		}, log: "more than"},
		{name: "list: the most containers that are read", at: "list", play: func(c *enginePipe) {
			c.say("HTTP/1.1 200 OK\r\n\r\n[{}")
			tide(c, bytes.Repeat([]byte(",{}"), 1<<20), 60<<20)
			c.say("]")
			c.Close()
		}, log: "more than"},
		{name: "list: a million containers, for all jobs", at: "list", many: 20, play: func(c *enginePipe) {
			c.say("HTTP/1.1 200 OK\r\n\r\n[" + ours(madeUpID, "x"))
			tide(c, []byte(","+ours(madeUpID, "x")), ocean)
			c.Close()
		}, log: "more than"},
		{name: "create: three megabytes, for all jobs", at: "create", many: 20, play: answers(201, `{"Id":"`+madeUpID+`","Warnings":["`+strings.Repeat("w", 3<<20)+`"]}`), next: "attach"},
		{name: "list: ids with paths and names with control characters", at: "list", play: answers(200, "["+ours("../../../_ping", control)+","+ours("", "..")+","+ours(control, "echo")+"]")},
		{name: "list: no list", at: "list", play: answers(200, `{"message":"no"}`)},
		{name: "pull: progress without end", at: "pull", body: pull, play: streams(streaming, chunk(`{"status":"`+control+`","id":"x","progressDetail":{"current":-1,"total":9223372036854775807}}`), much)},
		{name: "pull: a line without end", at: "pull", body: pull, play: floods("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"", "x")},
		{name: "pull: an error full of control characters", at: "pull", body: pull, play: answers(200, `{"errorDetail":{"message":"`+control+`"}}`), log: "owned"},
		{name: "logs: lines without end", at: "logs", body: logs, play: streams("HTTP/1.1 200 OK\r\n\r\n", outputFrame(1, strings.Repeat("x", 30000)), much)},
		{name: "logs: no frames", at: "logs", body: logs, play: floods("HTTP/1.1 200 OK\r\n\r\n", "plain text\n")},
		{name: "exec: an id with a path", at: "exec", body: exec, play: answers(201, `{"Id":"../x"}`)},
		{name: "exec: output without end", at: "start exec", body: exec, play: streams(hijacked, outputFrame(1, strings.Repeat("x", 30000)), much)},
		{name: "exec: a code beyond all numbers", at: "inspect exec", body: exec, play: answers(200, `{"ID":"x","Running":false,"ExitCode":1e99}`)},
		{name: "remove: never removed", at: "remove", play: answers(409, `{"message":"removal of container is already in progress"}`)},
	}...)
}
