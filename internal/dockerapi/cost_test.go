package dockerapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// engineHeader is what dockerd 20.10 sends after the status line.
const engineHeader = "Api-Version: 1.41\r\nContent-Type: application/json\r\nDocker-Experimental: false\r\nOstype: linux\r\n" +
	"Server: Docker/20.10.24 (linux)\r\nDate: Mon, 30 Nov 2026 11:00:00 GMT\r\n"

// BenchmarkCall is the cost of a short call on a kept connection. The engine's side of it allocates nothing.
func BenchmarkCall(b *testing.B) {
	inspect, err := os.ReadFile("testdata/inspect.json") // of dockerd 20.10
	if err != nil {
		b.Fatal(err)
	}
	created := fmt.Sprintf(`{"Id":"%s","Warnings":[]}`+"\n", fullID)
	labels := map[string]string{}
	for _, label := range []string{"job", "queue", "broker", "digest", "remove", "attempt", "copy"} {
		labels["docker-dispatch."+label] = "x"
	}
	for _, test := range []struct {
		name, answer string
		call         func(c *Client) error
	}{
		{"create", fmt.Sprintf("HTTP/1.1 201 Created\r\n%sContent-Length: %d\r\n\r\n%s", engineHeader, len(created), created), func(c *Client) error {
			return errOf(c.CreateContainer(b.Context(), "dispatch-0123456789ab", ContainerConfig{Image: "busybox", Cmd: []string{"true"}, Labels: labels}))
		}},
		{"start", "HTTP/1.1 204 No Content\r\n" + engineHeader + "\r\n", func(c *Client) error {
			return c.StartContainer(b.Context(), fullID)
		}},
		{"inspect", fmt.Sprintf("HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n", engineHeader, chunk(string(inspect))), func(c *Client) error {
			return errOf(c.InspectContainer(b.Context(), fullID))
		}},
		{"remove", "HTTP/1.1 204 No Content\r\n" + engineHeader + "\r\n", func(c *Client) error {
			return c.RemoveContainer(b.Context(), fullID, RemoveOptions{Volumes: true})
		}},
	} {
		b.Run(test.name, func(b *testing.B) {
			answer := []byte(test.answer)
			c := script(b, "unix", func(conn net.Conn, r *bufio.Reader) {
				for err := error(nil); err == nil; err = skipRequest(r) {
					conn.Write(answer)
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				if err := test.call(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// skipRequest reads a request.
func skipRequest(r *bufio.Reader) error {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			_, err := r.Discard(length)
			return err
		}
		if digits, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			for _, d := range bytes.TrimSpace(digits) {
				length = 10*length + int(d-'0')
			}
		}
	}
}

// chunk is text as a chunk of an HTTP body.
func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// BenchmarkEvent is the cost of an event of the stream of exits.
func BenchmarkEvent(b *testing.B) {
	const batch = 16 // events a write
	events := []byte(strings.Repeat(chunk(fmt.Sprintf(realDeath, fullID, fullID)), batch))
	c := script(b, "unix", func(conn net.Conn, _ *bufio.Reader) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+engineHeader+"Transfer-Encoding: chunked\r\n\r\n")
		for n := 0; n < b.N; n += batch {
			conn.Write(events)
		}
	})
	join, err := c.WatchExits(b.Context(), "docker-dispatch.queue=jobs")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	join(func(string, ExitStatus) { n++ })
	if n < b.N {
		b.Errorf("%d events of %d", n, b.N)
	}
}

// realDeath is an event of dockerd 20.10.
const realDeath = `{"status":"die","id":"%s","from":"busybox","Type":"container","Action":"die","Actor":{"ID":"%s","Attributes":{` +
	`"docker-dispatch.attempt":"","docker-dispatch.broker":"dev","docker-dispatch.copy":"","docker-dispatch.digest":"0123456789abcdef0123456789abcdef",` +
	`"docker-dispatch.job":"0123456789abcdef","docker-dispatch.queue":"jobs","docker-dispatch.remove":"1","exitCode":"0","image":"busybox",` +
	`"name":"dispatch-0123456789ab"}},"scope":"local","time":1796052058,"timeNano":1796052058185014081}` + "\n"
