//go:build !race

package dockerapi

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// TestAllocs fails if a stream of the engine needs more allocations than today.
func TestAllocs(t *testing.T) {
	const many = 1000
	conn, _ := net.Pipe()
	for _, tt := range []struct {
		name string
		most float64 // of all frames or events together
		in   string
		read func(io.Reader)
	}{
		{"frames of 100 bytes", 2, strings.Repeat(frame(1, strings.Repeat("x", 100)), many), func(r io.Reader) { demux(r, io.Discard, io.Discard) }},
		{"frames of two streams", 2, strings.Repeat(frame(1, "out\n")+frame(2, "err\n"), many/2), func(r io.Reader) { demux(r, io.Discard, io.Discard) }},
		{"bytes without frames", 2, strings.Repeat("x", 100*many), func(r io.Reader) { copyRaw(r, io.Discard) }},
		{"exits", 2006, strings.Repeat(fmt.Sprintf(died, fullID, "137"), many), func(r io.Reader) {
			s := stream{client: new(Client), ctx: t.Context(), operation: newRequest(opEvents, "").operation, conn: &connection{Conn: conn}, unhook: func() bool { return true }, body: r}
			s.exits(func(string, ExitStatus) {})
		}},
	} {
		in, reader := []byte(tt.in), new(bytes.Reader)
		got := testing.AllocsPerRun(10, func() {
			reader.Reset(in)
			tt.read(reader)
		})
		if got > tt.most {
			t.Errorf("%d %s: %v allocations, at most %v before", many, tt.name, got, tt.most)
		}
	}
}
