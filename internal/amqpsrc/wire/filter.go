package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A filter reads AMQP frames from the broker and passes them on unchanged, with four exceptions.
//
// The first is a content header whose header table the library cannot read. RabbitMQ accepts tables nested deeper
// than 32 levels or with more than 8192 entries. The library ends the connection over them. The message would be
// redelivered, and end the next connection too: one such message would block the queue. The filter replaces the
// table by one with the single entry UnreadableHeader. The body and all other properties stay unchanged.
//
// The second is a body that Account has no room for. The filter skips the body, and the message arrives with no body
// and no properties. Account.Unread recognizes it.
//
// The third is connection.blocked and connection.unblocked, which set Unblocked. The library would send them to a
// channel that it closes at the same time if the connection ends, and panic.
//
// The fourth is what no sound broker sends and what would make the library take all memory, or never come back: see method.
// The filter ends the connection over it.
type filter struct {
	in      *bufio.Reader
	amqp    bool   // a first frame has arrived, so the server is a broker
	out     []byte // data to pass on before anything else
	pass    int64  // bytes of in to pass on unchanged; -1: all, because in is not AMQP
	buf     []byte // reused memory for out
	Account *Account
	over    map[uint16]bool // the channels whose current body is skipped

	open        bool // the login is over
	redelivered bool // the message of the next content header is redelivered

	unblocked intake.Gate            // closed while the broker takes no messages
	shortage  atomic.Pointer[string] // why the broker took no messages the last time
	confirmed map[uint16]uint64      // the highest confirmed delivery tag of each channel

	Window atomic.Pointer[Window] // nil: any number of deliveries may be unsettled
}

// A Window counts the deliveries of a connection that are not settled.
type Window struct {
	Most int64
	n    atomic.Int64
}

// Settled counts a delivery as settled.
func (w *Window) Settled() { w.n.Add(-1) }

// Unsettled returns how many deliveries are not settled.
func (w *Window) Unsettled() int { return int(w.n.Load()) }

// UnreadableHeader is the name of the only header of a message whose headers could not be read.
const UnreadableHeader = "x-dispatch-unreadable-headers"

// Types of frames (AMQP 0-9-1, section 4.2.3).
const (
	FrameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8

	// The library's limits (read.go: maxFieldDepth, maxContainerElements).
	maxDepth   = 32
	MaxEntries = 8192

	// A content header is one frame, and no frame is larger than the negotiated 128 KiB. The filter passes
	// a larger one on to the library, which refuses it.
	maxHeaderFrame = 1 << 20

	maxBody  = 512 << 20 // the most that RabbitMQ can be told to take
	maxAhead = 1 << 16   // how far a confirm may be ahead of the last. No channel has so many messages unconfirmed
)

// Errors of a broker that breaks the protocol.
var (
	errMethod    = errors.New("the broker sent a method that no broker sends")
	errBody      = errors.New("the broker sent a message larger than any broker stores")
	errConfirm   = errors.New("the broker confirmed messages that were not sent")
	errUnsettled = errors.New("the broker delivers more messages than the prefetch allows")
)

func newFilter(r io.Reader) *filter {
	f := &filter{in: bufio.NewReaderSize(r, 32<<10), confirmed: make(map[uint16]uint64), over: make(map[uint16]bool)}
	f.unblocked.Set(true)
	return f
}

func (f *filter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(f.out) > 0 {
			n := copy(p, f.out)
			f.out = f.out[n:]
			return n, nil
		}
		if f.pass != 0 {
			if f.pass > 0 && int64(len(p)) > f.pass {
				p = p[:f.pass]
			}
			n, err := f.in.Read(p)
			if f.pass > 0 {
				f.pass -= int64(n)
			}
			return n, err
		}
		if err := f.frame(); err != nil {
			return 0, err
		}
	}
}

// frame peeks at the head of the next frame. If the frame is a content header, it reads all of it.
func (f *filter) frame() error {
	if !f.amqp {
		first, err := f.in.Peek(1)
		if err != nil {
			return err
		}
		if first[0] != FrameMethod && first[0] != 'A' {
			start, _ := f.in.Peek(f.in.Buffered())
			return &notAMQP{start: Clip(string(start), 80)}
		}
		if first[0] == 'A' { // a protocol header: the broker refuses the connection
			start, err := f.in.Peek(8)
			if err != nil {
				return err
			}
			return &notAMQP{start: string(start)}
		}
		f.amqp = true
	}
	head, err := f.in.Peek(7)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	kind, channel, size := head[0], binary.BigEndian.Uint16(head[1:]), int64(binary.BigEndian.Uint32(head[3:]))
	switch {
	case kind == frameBody && f.over[channel]:
		return f.skip(7 + size + 1)
	case kind != FrameMethod && kind != frameHeader && kind != frameBody && kind != frameHeartbeat:
		f.pass = -1
		return nil
	case kind == FrameMethod:
		f.pass = 7 + size + 1
		if f.pass > int64(f.in.Size()) {
			return errMethod
		}
		frame, err := f.in.Peek(int(f.pass))
		if err != nil {
			return nil // reading the frame returns the error
		}
		return f.method(channel, frame[7:len(frame)-1])
	case kind != frameHeader || size > maxHeaderFrame:
		f.pass = 7 + size + 1
		return nil
	}
	total := int(7 + size + 1)
	if cap(f.buf) < total {
		f.buf = make([]byte, total)
	}
	f.out = nil
	frame := f.buf[:total]
	if _, err := io.ReadFull(f.in, frame); err != nil {
		return err
	}
	delete(f.over, channel) // needed if a channel was closed amid a body
	if bodySize(frame) > maxBody {
		return errBody
	}
	if size := bodySize(frame); !f.Account.take(size, f.redelivered) {
		f.over[channel] = true
		f.out = withoutBody(frame, f.Account.mark, size)
		return nil
	}
	f.out = readable(frame)
	return nil
}

// skip discards n bytes.
func (f *filter) skip(n int64) error {
	_, err := io.CopyN(io.Discard, f.in, n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// bodySize returns the size of the body after a content header.
func bodySize(frame []byte) int64 {
	if len(frame) < 7+12 {
		return 0
	}
	return int64(min(binary.BigEndian.Uint64(frame[7+4:]), math.MaxInt64))
}

// withoutBody returns a content header frame for the same channel, of a message without a body. Its only property is
// the header mark with the value size.
func withoutBody(frame []byte, mark string, size int64) []byte {
	head := binary.BigEndian.AppendUint64(slices.Clone(frame[:7+4]), 0) // frame head, class, weight; no body
	head = binary.BigEndian.AppendUint16(head, 0x2000)                  // headers
	return withHeader(head, mark, binary.BigEndian.AppendUint64([]byte{'l'}, uint64(size)), frame[len(frame)-1:])
}

// withHeader returns a content header frame of head, a table with one header, and tail.
func withHeader(head []byte, name string, value, tail []byte) []byte {
	out := binary.BigEndian.AppendUint32(slices.Clip(head), uint32(1+len(name)+len(value)))
	out = append(append(out, byte(len(name))), name...)
	out = append(append(out, value...), tail...)
	binary.BigEndian.PutUint32(out[3:], uint32(len(out)-8))
	return out
}

// readable returns the frame of a content header. If the library cannot read its header table, the table is replaced.
func readable(frame []byte) []byte {
	payload := frame[7 : len(frame)-1]
	at := 12 // class, weight, body size
	if len(payload) < at+2 {
		return frame
	}
	flags := binary.BigEndian.Uint16(payload[at:])
	at += 2
	for _, flag := range []uint16{0x8000, 0x4000} { // content type, content encoding
		if flags&flag != 0 {
			if at >= len(payload) {
				return frame
			}
			at += 1 + int(payload[at])
		}
	}
	if flags&0x2000 == 0 || at+4 > len(payload) {
		return frame
	}
	size := int64(binary.BigEndian.Uint32(payload[at:]))
	end := int64(at) + 4 + size
	if end > int64(len(payload)) || tableReadable(payload[at+4:end], true, 0) {
		return frame
	}
	return withHeader(frame[:7+at], UnreadableHeader, []byte{'t', 1}, frame[7+end:])
}

// tableReadable reports whether the library can read the entries of a field table, or of an array: those have no keys. The
// library counts distinct keys, but tableReadable counts entries: a key may occur twice.
func tableReadable(b []byte, keys bool, depth int) bool {
	if depth > maxDepth {
		return false
	}
	for n := 0; len(b) > 0; n++ {
		key := 0
		if keys {
			key = 1 + int(b[0])
		}
		if n >= MaxEntries || key > len(b) {
			return false
		}
		size, ok := fieldReadable(b[key:], depth)
		if !ok {
			return false
		}
		b = b[key+size:]
	}
	return true
}

// fieldReadable returns the length of the field at the start of b, including its type, and whether it is readable.
func fieldReadable(b []byte, depth int) (size int, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	switch b[0] {
	case 'V':
		size = 1
	case 't', 'b', 'B':
		size = 2
	case 's', 'u':
		size = 3
	case 'I', 'i', 'f':
		size = 5
	case 'D':
		size = 6
	case 'l', 'd', 'T':
		size = 9
	case 'S', 'x', 'A', 'F':
		if len(b) < 5 {
			return 0, false
		}
		n := int64(binary.BigEndian.Uint32(b[1:]))
		if 5+n > int64(len(b)) {
			return 0, false
		}
		size = int(5 + n)
		if b[0] == 'A' || b[0] == 'F' {
			return size, tableReadable(b[5:size], b[0] == 'F', depth+1)
		}
	default:
		return 0, false
	}
	return size, size <= len(b)
}
