package dockerapi

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// The output of a container without a TTY comes in frames. The header is one
// byte for the stream, three zero bytes, and the payload's length in four
// bytes, big endian. The payload follows. A frame is not a line.
const (
	frameHeader = 8

	frameStdin  = 0 // never sent by an engine for output; treated as stdout, as docker does
	frameStdout = 1
	frameStderr = 2
	frameError  = 3 // the engine's own error, such as a missing log file

	// maxInBand is how many bytes of an engine's error are kept.
	maxInBand = maxMessage
)

// A sinkError is an error of the caller's writer.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }

// An inBandError is an error in the stream in place of output: the engine's
// own, or that of this package for a stream without frames.
type inBandError struct{ message string }

func (e *inBandError) Error() string { return e.message }

// buffers holds buffers for payloads. A silent stream holds none. Frames of
// attach are at most 32 KiB long.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// demux copies the frames of r to stdout and stderr until r ends. A nil writer
// discards its stream. An end between frames is a nil error, an end inside a
// frame io.ErrUnexpectedEOF. Other errors are those of r, *sinkError and
// *inBandError.
//
// demux copies payloads in pieces, and never allocates the length that a header
// claims.
func demux(r io.Reader, stdout, stderr io.Writer) error {
	var header [frameHeader]byte
	for {
		// A silent container blocks here.
		if _, err := io.ReadFull(r, header[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := demuxBurst(r, &header, stdout, stderr); err != nil {
			return err
		}
	}
}

// demuxBurst copies the payload of the frame with this header, and of the
// frames that were read along with it. Frames of one stream in a row are one
// write. demuxBurst returns at the first frame border with an empty buffer.
func demuxBurst(r io.Reader, header *[frameHeader]byte, stdout, stderr io.Writer) error {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	var unread []byte  // the part of buffer not yet looked at
	var pending []byte // payload before unread in buffer, not yet written to the writer of the frames of kind
	kind := header[0]
	flush := func() error {
		p := pending
		if pending = nil; len(p) == 0 {
			return nil
		}
		if kind == frameStderr {
			return writeAll(stderr, p)
		}
		return writeAll(stdout, p)
	}
	for {
		if header[0] != kind {
			if err := flush(); err != nil {
				return err
			}
			kind = header[0]
		}
		if err := checkFrame(header); err != nil {
			if err := flush(); err != nil {
				return err
			}
			return err
		}
		var inBand *prefixWriter
		if kind == frameError {
			inBand = &prefixWriter{max: maxInBand}
		}
		for left := int64(binary.BigEndian.Uint32(header[4:])); left > 0; {
			if len(unread) == 0 {
				if err := flush(); err != nil {
					return err
				}
				n, err := readSome(r, buffer[:])
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				if err != nil {
					return err
				}
				unread = buffer[:n]
			}
			piece := unread[:min(left, int64(len(unread)))]
			unread = unread[len(piece):]
			left -= int64(len(piece))
			switch {
			case inBand != nil:
				inBand.Write(piece)
			case len(pending) == 0:
				pending = piece
			default:
				pending = append(pending, piece...) // moves it over the header between, within buffer
			}
			if inBand != nil && len(inBand.bytes) == maxInBand {
				break // the rest of the error is dropped
			}
		}
		if inBand != nil {
			return &inBandError{string(inBand.bytes)}
		}
		if len(unread) == 0 {
			return flush()
		}
		n := copy(header[:], unread)
		if unread = unread[n:]; n < len(header) {
			if err := flush(); err != nil { // the read may wait
				return err
			}
		}
		if _, err := io.ReadFull(r, header[n:]); err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
	}
}

// checkFrame returns an error if header is none of a frame.
func checkFrame(header *[frameHeader]byte) error {
	if header[1] != 0 || header[2] != 0 || header[3] != 0 || header[0] > frameError {
		return &inBandError{fmt.Sprintf("the output has no stream frames, it begins with %q; the container probably has a TTY", header[:])}
	}
	return nil
}

// smallRead is the buffer size, in bytes, of a silent stream without frames.
const smallRead = 256

// copyRaw copies r to w until r ends. Like demux, copyRaw holds a large buffer
// only during a burst.
func copyRaw(r io.Reader, w io.Writer) error {
	small := make([]byte, smallRead)
	for {
		n, err := readSome(r, small)
		if err == nil {
			err = writeAll(w, small[:n])
		}
		if err == nil && n == len(small) {
			err = copyRawBurst(r, w)
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// copyRawBurst copies until a read does not fill the buffer.
func copyRawBurst(r io.Reader, w io.Writer) error {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	for {
		n, err := readSome(r, buffer[:])
		if err == nil {
			err = writeAll(w, buffer[:n])
		}
		if err != nil || n < len(buffer) {
			return err
		}
	}
}

// readSome reads at least one byte, or returns an error. An error together with
// bytes is dropped: the next read gets it again.
func readSome(r io.Reader, p []byte) (int, error) {
	for range 100 {
		if n, err := r.Read(p); n > 0 {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// writeAll writes p to w, or nowhere if w is nil. All errors are *sinkError.
func writeAll(w io.Writer, p []byte) error {
	if w == nil {
		return nil
	}
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return &sinkError{err}
	}
	return nil
}
