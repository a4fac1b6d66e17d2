package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// wireTable encodes a table as RabbitMQ does.
func wireTable(pairs ...[]byte) []byte { return bytes.Join(pairs, nil) }

func wirePair(key string, field ...byte) []byte {
	return append(append([]byte{byte(len(key))}, key...), field...)
}

func wireField(kind byte, content []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content))), content...)
}

// wireFrame makes a content header frame with a content type, headers and an app_id.
func wireFrame(table []byte) []byte {
	b := []byte{0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5}
	b = binary.BigEndian.AppendUint16(b, 0x8000|0x2000|0x0008)
	b = append(b, 2, 'c', 't')
	b = binary.BigEndian.AppendUint32(b, uint32(len(table)))
	b = append(b, table...)
	b = append(b, 3, 'a', 'p', 'p')
	f := binary.BigEndian.AppendUint32([]byte{frameHeader, 0, 1}, uint32(len(b)))
	return append(append(f, b...), 0xCE)
}

func TestFilter(t *testing.T) {
	nest := func(n int, kind byte) []byte {
		b := []byte("\x01kV")
		if kind == 'A' {
			b = []byte("V")
		}
		for range n {
			b = wireField(kind, b)
			if kind == 'F' {
				b = wirePair("k", b...)
			}
		}
		if kind == 'A' {
			b = wirePair("k", b...)
		}
		return b
	}
	tests := []struct {
		name     string
		table    []byte
		readable bool
	}{
		{"empty", nil, true},
		{"all types", wireTable(wirePair("a", 't', 1), wirePair("b", 'b', 1), wirePair("c", 'B', 1), wirePair("d", 's', 1, 2), wirePair("e", 'u', 1, 2),
			wirePair("f", 'I', 1, 2, 3, 4), wirePair("g", 'i', 1, 2, 3, 4), wirePair("h", 'f', 1, 2, 3, 4), wirePair("i", 'D', 1, 1, 2, 3, 4),
			wirePair("j", 'l', 1, 2, 3, 4, 5, 6, 7, 8), wirePair("k", 'd', 1, 2, 3, 4, 5, 6, 7, 8), wirePair("l", 'T', 1, 2, 3, 4, 5, 6, 7, 8),
			wirePair("m", wireField('S', []byte("x"))...), wirePair("n", wireField('x', nil)...), wirePair("o", 'V'), wirePair("", 'V')), true},
		{"depth 32", nest(32, 'F'), true},
		{"depth 33", nest(33, 'F'), false},
		{"array depth 32", nest(32, 'A'), true},
		{"array depth 33", nest(33, 'A'), false},
		{"8192 entries", bytes.Repeat(wirePair("k", 'V'), 8192), true},
		{"8193 entries", bytes.Repeat(wirePair("k", 'V'), 8193), false},
		{"8193 elements", wirePair("k", wireField('A', bytes.Repeat([]byte{'V'}, 8193))...), false},
		{"unknown type", wirePair("k", '?'), false},
		{"cut key", []byte{9, 'k'}, false},
		{"cut field", wirePair("k", 'l', 1), false},
		{"cut length", wirePair("k", 'S', 0, 0), false},
		{"length too large", wirePair("k", 'S', 255, 255, 255, 255), false},
		{"no field", wirePair("k"), false},
	}
	before := []byte{FrameMethod, 0, 1, 0, 0, 0, 2, 0, 60, 0xCE}
	after := []byte{frameBody, 0, 1, 0, 0, 0, 3, frameHeader, 2, 3, 0xCE, frameHeartbeat, 0, 0, 0, 0, 0, 0, 0xCE}
	for _, tt := range tests {
		in := wireFrame(tt.table)
		want := in
		if !tt.readable {
			want = wireFrame(wirePair(UnreadableHeader, 't', 1))
		}
		stream := bytes.Join([][]byte{before, in, after, in}, nil)
		wanted := bytes.Join([][]byte{before, want, after, want}, nil)
		for name, r := range map[string]io.Reader{
			"whole":        newFilter(bytes.NewReader(stream)),
			"bytes in":     newFilter(iotest.OneByteReader(bytes.NewReader(stream))),
			"bytes out":    iotest.OneByteReader(newFilter(bytes.NewReader(stream))),
			"halves, data": newFilter(iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(stream)))),
		} {
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, wanted) {
				t.Errorf("%s, %s: %v, %d bytes, want %d", tt.name, name, err, len(got), len(wanted))
			}
		}
	}
	// What is no frame after one that is goes on as it is.
	for _, s := range []string{string(before) + "HTTP/1.1 400 Bad Request\r\n"} {
		if got, err := io.ReadAll(newFilter(strings.NewReader(s))); err != nil || string(got) != s {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
	for _, n := range []int{3, 20} {
		if _, err := io.ReadAll(newFilter(bytes.NewReader(append(bytes.Clone(before), wireFrame(nil)[:n]...)))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// FuzzFilter: a content header comes out with a table that is readable, or it was no table at all.
func FuzzFilter(f *testing.F) {
	f.Add([]byte{})
	f.Add(wirePair("k", 'V'))
	f.Add(wirePair("k", wireField('F', wirePair("k", wireField('A', []byte{'V'})...))...))
	f.Fuzz(func(t *testing.T, table []byte) {
		if len(table) > maxHeaderFrame/2 {
			return
		}
		got, err := io.ReadAll(&filter{in: bufio.NewReader(bytes.NewReader(wireFrame(table))), amqp: true})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, wireFrame(table)) && !bytes.Equal(got, wireFrame(wirePair(UnreadableHeader, 't', 1))) {
			t.Errorf("frame of %x became %x", table, got)
		}
		raw := append([]byte(nil), table...) // as a whole frame too
		io.Copy(io.Discard, newFilter(bytes.NewReader(append([]byte{FrameMethod, 0, 0, 0, 0, 0, 0, 0xCE, frameHeader, 0, 1, 0, 0, 0, byte(min(len(raw), 255))}, raw...))))
	})
}

// The filter reads over what has no room, on one channel beside others, and nothing else.
func TestFilterReadsOver(t *testing.T) {
	frame := func(kind, channel byte, payload []byte) []byte {
		return append(append([]byte{kind, 0, channel, 0, 0, byte(len(payload) >> 8), byte(len(payload))}, payload...), 0xCE)
	}
	header := func(channel byte, size int) []byte {
		return frame(frameHeader, channel, []byte{0, 60, 0, 0, 0, 0, 0, 0, 0, 0, byte(size >> 8), byte(size), 0x10, 0, 2})
	}
	method := frame(FrameMethod, 1, []byte{0, 60, 0, 60})
	large := bytes.Repeat([]byte{'x'}, 300)
	b := NewBudget(100, 100)
	a := b.account()
	if !a.take(101, false) {
		t.Fatal("no room for one")
	}
	instead := withoutBody(header(1, 600), a.mark, 600)
	in := bytes.Join([][]byte{
		method, header(1, 600), frame(frameBody, 1, large), frame(frameHeartbeat, 0, nil), header(2, 3), frame(frameBody, 2, []byte("two")),
		frame(frameBody, 1, large), header(1, 5), frame(frameBody, 1, []byte("small")),
	}, nil)
	want := bytes.Join([][]byte{
		method, instead, frame(frameHeartbeat, 0, nil), header(2, 3), frame(frameBody, 2, []byte("two")),
		header(1, 5), frame(frameBody, 1, []byte("small")),
	}, nil)
	f := newFilter(iotest.OneByteReader(bytes.NewReader(in)))
	f.Account = a
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\n%q, want\n%q", err, got, want)
	}
	f = newFilter(bytes.NewReader(in[:len(method)+len(header(1, 600))+9]))
	f.Account = a
	if _, err := io.ReadAll(f); err != io.ErrUnexpectedEOF {
		t.Errorf("cut amid a body: %v", err)
	}
}

func TestRedelivered(t *testing.T) {
	deliver := func(tag string, redelivered byte) []byte {
		return slices.Concat([]byte{0, 60, 0, 60, byte(len(tag))}, []byte(tag), []byte{0, 0, 0, 0, 0, 0, 0, 1, redelivered, 0, 1, 'q'})
	}
	long := strings.Repeat("t", 255)
	for _, tt := range []struct {
		method []byte
		want   bool
	}{
		{deliver("tag", 1), true},
		{deliver("tag", 0), false},
		{deliver(long, 1), true},
		{deliver(long, 1)[:4+256+8+1], true},
		{deliver(long, 1)[:4+256+8], false},
		{[]byte{0, 60, 0, 60}, false},
		{append([]byte{0, 60, 0, 31}, deliver("", 1)[4:]...), false},
		{nil, false},
	} {
		if got := redelivered(tt.method); got != tt.want {
			t.Errorf("%q: %v", tt.method, got)
		}
	}
}

// TestFilterRefuses: what a broker never sends ends the connection, before the library reads it.
func TestFilterRefuses(t *testing.T) {
	method := func(id [2]uint16, args ...byte) []byte {
		m := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, id[0]), id[1])
		return append(m, args...)
	}
	tag := func(n uint64) []byte { return append(binary.BigEndian.AppendUint64(nil, n), 1) }
	for _, tt := range []struct {
		name    string
		methods [][]byte
		want    error
	}{
		{"a table over the end of its frame", [][]byte{method([2]uint16{10, 10}, 0, 9, 0x7f, 0xff, 0xff, 0xff)}, errMethod},
		{"a table cut in its length", [][]byte{method([2]uint16{10, 10}, 0, 9, 0)}, errMethod},
		{"a second string over the end", [][]byte{method([2]uint16{10, 10}, 0, 9, 0, 0, 0, 0, 0, 0, 0, 9)}, errMethod},
		{"a sound start", [][]byte{method([2]uint16{10, 10}, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)}, nil},
		{"a start after the login", [][]byte{method([2]uint16{10, 41}, 0), method([2]uint16{10, 10}, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)}, errMethod},
		{"a second login", [][]byte{method([2]uint16{10, 41}, 0), method([2]uint16{10, 41}, 0)}, errMethod},
		{"a challenge over the end", [][]byte{method([2]uint16{10, 20}, 0, 0, 0, 1)}, errMethod},
		{"a method of a client", [][]byte{method([2]uint16{50, 10}, 0, 0, 0)}, errMethod},
		{"the last confirm of all", [][]byte{method([2]uint16{60, 80}, tag(1<<64-1)...)}, errConfirm},
		{"a negative one", [][]byte{method([2]uint16{60, 120}, tag(1<<20)...)}, errConfirm},
		{"a confirm cut in its tag", [][]byte{method([2]uint16{60, 80}, 1)}, errMethod},
		{"confirms one after another", [][]byte{method([2]uint16{60, 80}, tag(maxAhead)...), method([2]uint16{60, 80}, tag(2*maxAhead)...)}, nil},
		{"confirms of another channel of that number", [][]byte{method([2]uint16{60, 80}, tag(maxAhead)...), method([2]uint16{20, 11}, 0, 0, 0, 0), method([2]uint16{60, 80}, tag(maxAhead+1)...)}, errConfirm},
		{"a delivery too many", slices.Repeat([][]byte{method([2]uint16{60, 60})}, 4), errUnsettled},
		{"as many as agreed", slices.Repeat([][]byte{method([2]uint16{60, 60})}, 3), nil},
	} {
		var in []byte
		for _, m := range tt.methods {
			in = append(binary.BigEndian.AppendUint32(append(in, FrameMethod, 0, 1), uint32(len(m))), m...)
			in = append(in, 0xCE)
		}
		f := newFilter(bytes.NewReader(in))
		f.Window.Store(&Window{Most: 3})
		if got, err := io.ReadAll(f); err != tt.want || err == nil && !bytes.Equal(got, in) {
			t.Errorf("%s: %v, %d bytes of %d", tt.name, err, len(got), len(in))
		}
	}
	large := append([]byte{FrameMethod, 0, 1, 0, 0, 0, 0, 0xCE, frameHeader, 0, 1, 0, 0, 0, 14, 0, 60, 0, 0}, binary.BigEndian.AppendUint64(nil, maxBody+1)...)
	if _, err := io.ReadAll(newFilter(bytes.NewReader(append(large, 0, 0, 0xCE)))); err != errBody {
		t.Errorf("a body of %d bytes: %v", maxBody+1, err)
	}
}

// TestFilterTellsBlocking: what a broker says of blocking does not come to the library, and the last word counts.
func TestFilterTellsBlocking(t *testing.T) {
	blocked := []byte{FrameMethod, 0, 0, 0, 0, 0, 8, 0, 10, 0, 60, 3, 'l', 'o', 'w', 0xCE}
	unblocked := []byte{FrameMethod, 0, 0, 0, 0, 0, 4, 0, 10, 0, 61, 0xCE}
	beat := []byte{frameHeartbeat, 0, 0, 0, 0, 0, 0, 0xCE}
	for last, frames := range map[string][][]byte{
		"low": {beat, unblocked, blocked, beat},
		"":    {beat, blocked, blocked, blocked, unblocked, beat},
	} {
		frames[0] = append([]byte{FrameMethod, 0, 1, 0, 0, 0, 0, 0xCE}, beat...)
		f := newFilter(bytes.NewReader(bytes.Join(frames, nil)))
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, append(frames[0], beat...)) {
			t.Errorf("%q: %v, passed on %q", last, err, got)
		}
		if open, _ := f.unblocked.State(); open != (last == "") || *f.shortage.Load() != last {
			t.Errorf("open: %v, because of %q, want %q", open, *f.shortage.Load(), last)
		}
	}
}
