package dockerapi

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// The output of a container without a TTY comes in frames: one byte that names
// the stream, three that are zero, four with the length of the payload, big
// endian; then the payload. Frames are not lines.
const (
	frameHeader = 8

	frameStdin  = 0 // never sent by an engine for output; read as stdout, as docker does
	frameStdout = 1
	frameStderr = 2
	frameError  = 3 // the engine's own error, such as a log file gone

	// maxInBand is how much of an engine's error is kept, in bytes.
	maxInBand = maxMessage
)

// sinkError is an error of the caller's writer.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }

// inBandError is an error that came in the stream in place of output: the
// engine's own, or ours about a stream that is not framed.
type inBandError struct{ message string }

func (e *inBandError) Error() string { return e.message }

// buffers are for payloads. A silent stream holds none. Frames of attach are up
// to 32 KiB long.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// demux copies the frames of r to stdout and stderr until r ends. A nil writer
// discards its stream. The end on the border of a frame is a nil error, inside
// one io.ErrUnexpectedEOF. Other errors are those of r, *sinkError and
// *inBandError.
//
// Payloads go through in pieces: what a header claims as its length is never
// allocated.
func demux(r io.Reader, stdout, stderr io.Writer) error {
	var header [frameHeader]byte
	for {
		// This is where a silent container is waited for.
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

// demuxBurst copies the payload of the frame with this header, and the frames
// that were read along with it. It returns at the first border with nothing
// left over.
func demuxBurst(r io.Reader, header *[frameHeader]byte, stdout, stderr io.Writer) error {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	var unread []byte // the part of buffer that is still to be handled
	for {
		w, err := frameWriter(header, stdout, stderr)
		if err != nil {
			return err
		}
		var inBand *prefixWriter
		if header[0] == frameError {
			inBand = &prefixWriter{max: maxInBand}
			w = inBand
		}
		for left := int64(binary.BigEndian.Uint32(header[4:])); left > 0; {
			if len(unread) == 0 {
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
			if err := writeAll(w, piece); err != nil {
				return err
			}
			unread = unread[len(piece):]
			left -= int64(len(piece))
			if inBand != nil && len(inBand.bytes) == maxInBand {
				break // enough of it, however much more is promised
			}
		}
		if inBand != nil {
			return &inBandError{string(inBand.bytes)}
		}
		if len(unread) == 0 {
			return nil
		}
		n := copy(header[:], unread)
		unread = unread[n:]
		if _, err := io.ReadFull(r, header[n:]); err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
	}
}

// frameWriter is where the payload of a frame goes.
func frameWriter(header *[frameHeader]byte, stdout, stderr io.Writer) (io.Writer, error) {
	if header[1] != 0 || header[2] != 0 || header[3] != 0 || header[0] > frameError {
		return nil, &inBandError{fmt.Sprintf("the stream is not framed, it has %q where a frame should begin; does the container have a TTY?", header[:])}
	}
	if header[0] == frameStderr {
		return stderr, nil
	}
	return stdout, nil
}

// smallRead is the buffer of a silent stream that is not framed.
const smallRead = 256

// copyRaw copies r to w until it ends. Like demux it holds a large buffer only
// while a lot comes.
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

// copyRawBurst copies until less comes than the buffer takes.
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

// readSome reads at least one byte, or returns an error. An error that comes
// with bytes is left to the next read, which meets it again.
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

// writeAll writes p to w, or nowhere if w is nil. Its errors are *sinkError.
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
