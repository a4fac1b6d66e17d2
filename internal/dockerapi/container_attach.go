package dockerapi

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
)

// AttachOptions are the streams to attach. At least one must be given.
type AttachOptions struct {
	// Stdin, where not nil, is sent to the container and ended with EOF. A
	// reader that is empty gives the container EOF at once. It needs OpenStdin
	// and StdinOnce in the container's config. It is read while join runs, by a
	// goroutine that join waits for; if it is an io.Closer, join closes it when
	// the output has ended, so that a pipe does not hold join up.
	Stdin io.Reader

	// Stdout and Stderr get the output as it comes. Nil: not attached. A write
	// that blocks blocks the container, after a megabyte or so; one that fails
	// ends the attach. The order between the two is not kept.
	Stdout, Stderr io.Writer

	// Tty is that of the container: all output is then one stream without
	// frames, and goes to Stdout.
	Tty bool
}

// AttachContainer attaches to the streams of a container. It returns when the
// engine has them connected, so that a start that follows is not missed; join
// then copies until they end.
//
// Join returns nil when the engine has ended the stream, which does not prove
// that the container has ended: see the package comment. It returns
// [ErrUnreachable] and io.ErrUnexpectedEOF for a stream that breaks off inside
// a frame, the error of the caller's reader or writer as it is, and an [*Error]
// for what the engine reports inside the stream. After any return nothing more
// is written to Stdout and Stderr. Join is to be called once; cancelling ctx
// ends it, and closes the connection also if it is never called.
//
// An attach to a container that is not running lasts until it is started and
// ends; removing it instead does not end the attach, only ctx does.
//
// Errors: [ErrNoSuchContainer]; [ErrConflict] for a paused container; from
// Podman, for one that was never started, also those of [Client.StartContainer].
//
// API: POST /containers/{id}/attach, upgraded to a raw connection.
func (c *Client) AttachContainer(ctx context.Context, id string, o AttachOptions) (join func() error, err error) {
	r, err := container(opAttach, http.MethodPost, id, "/attach")
	if err != nil {
		return nil, err
	}
	r.query = url.Values{"stream": {"1"}}
	flag(r.query, "stdin", o.Stdin != nil)
	flag(r.query, "stdout", o.Stdout != nil)
	flag(r.query, "stderr", o.Stderr != nil)
	return c.attach(ctx, r, o)
}

// attach makes a call whose connection becomes that of the streams.
func (c *Client) attach(ctx context.Context, r *request, o AttachOptions) (join func() error, err error) {
	if o.Stdin == nil && o.Stdout == nil && o.Stderr == nil {
		return nil, r.refuse("neither stdin, stdout nor stderr is asked for")
	}
	r.upgrade = true
	r.want = []int{http.StatusSwitchingProtocols, http.StatusOK}
	r.limit = c.limits.header
	r.doubt = "output may be missing"
	s, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	if o.Stdin == nil {
		return func() error {
			defer s.close()
			return s.copyOutput(o.Stdout, o.Stderr, o.Tty)
		}, nil
	}
	if _, ok := s.conn.(closeWriter); !ok || !s.raw {
		s.close()
		return nil, s.refused("stdin cannot be sent: something between us and the engine does not pass a raw connection on")
	}
	return func() error { return s.copyBoth(o) }, nil
}

// closeWriter is a connection whose sending half can be closed alone: unix, tcp
// and TLS ones. That is how a container gets EOF while its output goes on.
type closeWriter interface{ CloseWrite() error }

// copyBoth copies stdin beside the output.
func (s *stream) copyBoth(o AttachOptions) error {
	source := &stdinReader{r: o.Stdin}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.send(source)
	}()
	err := s.copyOutput(o.Stdout, o.Stderr, o.Tty)
	source.done.Store(true)
	s.close() // ends a blocked write
	if closer, ok := o.Stdin.(io.Closer); ok {
		closer.Close() // ends a blocked read
	}
	<-sent
	if err == nil {
		err = source.err
	}
	return err
}

// send sends all of stdin, then EOF. That the container reads no more is no
// error: it may well end before its input does.
func (s *stream) send(source *stdinReader) {
	// Without ReadFrom, for which io.Copy would hide whose error it returns.
	_, err := io.Copy(struct{ io.Writer }{s.conn}, source)
	if err == nil || source.err != nil {
		s.conn.(closeWriter).CloseWrite()
	}
}

// stdinReader tells the errors of the caller's reader from those of the
// connection.
type stdinReader struct {
	r    io.Reader
	done atomic.Bool // set by join: the output has ended, and join closes r
	err  error       // other than EOF, before done; written by send, read by join behind it
}

func (s *stdinReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF && !s.done.Load() {
		s.err = err
	}
	return n, err
}
