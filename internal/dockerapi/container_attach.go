package dockerapi

import (
	"context"
	"io"
	"sync/atomic"
)

// AttachOptions are the streams to attach. At least one must be given.
type AttachOptions struct {
	// Stdin, if not nil, is sent to the container and ended with EOF. An empty
	// reader gives the container EOF at once. Stdin needs OpenStdin and
	// StdinOnce in the container's config. A goroutine reads Stdin while join
	// runs, and join waits for the goroutine. After the end of the output join
	// closes an io.Closer, so a pipe does not block join.
	Stdin io.Reader

	// Stdout and Stderr receive the output as it arrives. Nil: not attached. A
	// write that blocks also blocks the container, after about a megabyte. A write
	// that fails ends the attach. The order between the two streams is not kept.
	Stdout, Stderr io.Writer

	// Tty is the Tty of the container's config. All output is then one stream
	// without frames, and goes to Stdout.
	Tty bool
}

// AttachContainer attaches to the streams of a container, and returns when the
// engine has connected them. A start after that loses no output. join then
// copies until the streams end.
//
// join returns nil if the engine has ended the stream. A nil does not prove that
// the container has exited: see the package comment. join returns [ErrUnreachable]
// and io.ErrUnexpectedEOF if the stream breaks off inside a frame. An error of the
// caller's reader or writer is returned unchanged. An error that the engine
// reports inside the stream is an [*Error]. After join returns, nothing more is
// written to Stdout and Stderr. Call join once. Cancelling ctx ends join, and
// closes the connection even if join is never called.
//
// An attach to a container that is not running lasts until the container is started
// and exits. Removing the container does not end the attach; only ctx does.
//
// Errors: [ErrNoSuchContainer]; [ErrConflict] (paused). For a container that was
// never started, Podman also returns the errors of [Client.StartContainer].
func (c *Client) AttachContainer(ctx context.Context, id string, o AttachOptions) (join func() error, err error) {
	r := container(opAttach, id)
	r.query.flag("stderr", o.Stderr != nil)
	r.query.flag("stdin", o.Stdin != nil)
	r.query.flag("stdout", o.Stdout != nil)
	r.query.set("stream", "1")
	return c.attach(ctx, r, o)
}

// attach makes a call and turns its connection into the stream.
func (c *Client) attach(ctx context.Context, r *request, o AttachOptions) (join func() error, err error) {
	if o.Stdin == nil && o.Stdout == nil && o.Stderr == nil {
		r.refuse("neither stdin, stdout nor stderr is asked for")
	}
	r.upgrade = true
	s, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	if o.Stdin == nil {
		return func() error { return s.copyOutput(o.Stdout, o.Stderr, o.Tty) }, nil
	}
	if _, ok := s.conn.Conn.(closeWriter); !ok || !s.raw {
		s.close()
		return nil, s.refused("cannot send stdin: a proxy before the engine does not forward upgraded connections; connect to the engine directly")
	}
	return func() error { return s.copyBoth(o) }, nil
}

// A closeWriter is a connection whose sending half can be closed alone: unix,
// TCP and TLS. The container gets EOF that way while its output continues.
type closeWriter interface{ CloseWrite() error }

// copyBoth copies stdin and the output at the same time.
func (s *stream) copyBoth(o AttachOptions) error {
	source := &stdinReader{r: o.Stdin}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.send(source)
	}()
	err := s.copyOutput(o.Stdout, o.Stderr, o.Tty) // closes the stream, which unblocks a write of send
	source.done.Store(true)
	if closer, ok := o.Stdin.(io.Closer); ok {
		closer.Close() // unblocks a read of send
	}
	<-sent
	if err == nil {
		err = source.err
	}
	return err
}

// send sends all of stdin, then EOF. A container that stops reading is no
// error, because it may exit before its input ends.
func (s *stream) send(source *stdinReader) {
	// Hide ReadFrom: with it io.Copy would not tell whose error it returns.
	_, err := io.Copy(struct{ io.Writer }{s.conn}, source)
	if err == nil || source.err != nil {
		s.conn.Conn.(closeWriter).CloseWrite()
	}
}

// A stdinReader records the errors of the caller's reader, but not those of the
// connection.
type stdinReader struct {
	r    io.Reader
	done atomic.Bool // set by join after the end of the output, before join closes r
	err  error       // error of r before done, except EOF; written by send, read by join after send has returned
}

func (s *stdinReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF && !s.done.Load() {
		s.err = err
	}
	return n, err
}
