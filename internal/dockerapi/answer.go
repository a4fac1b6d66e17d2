package dockerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// An answer is what the engine answered to a short call. Its body is to be read within the call's limit.
type answer struct {
	*response
	client *Client
	conn   *connection
	unhook func() bool // detaches conn from the caller's context; false: that has ended
}

// decode decodes the body's JSON into into. It reads r.most bytes at most, or maxAnswer.
func (a answer) decode(ctx context.Context, r *request, into any) error {
	limit := max(r.most, maxAnswer)
	most := &io.LimitedReader{R: a, N: limit}
	text, err := []byte(nil), error(nil)
	if list, ok := into.(*containerList); ok { // part by part: otherwise all of its text would be held
		start := &prefixWriter{max: maxExcerpt}
		err = list.decode(json.NewDecoder(io.TeeReader(most, start)))
		text = start.bytes
	} else {
		a.conn.text.Reset()
		_, err = a.conn.text.ReadFrom(most)
		if text = a.conn.text.Bytes(); err == nil && len(text) == 0 {
			err = io.EOF
		} else if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil && err.Error() == "unexpected end of JSON input" { // of a *json.SyntaxError: the text is cut off
			err = io.ErrUnexpectedEOF
		}
	}
	switch {
	case err == nil:
		return nil
	case most.N <= 0:
		err = &garbledError{err: fmt.Errorf("its answer has more than %d bytes", limit)}
	case err == io.EOF: // no body at all
		err = io.ErrUnexpectedEOF
	}
	// The effect of the call is now as unknown as without an answer.
	return a.client.broken(ctx, r.operation, garbled(text, err))
}

// garbled returns the error of a decoder, as a *garbledError if what begins with start is not the JSON of an engine.
func garbled(start []byte, err error) error {
	if errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) {
		return &garbledError{start: excerpt(start), err: err}
	}
	return err
}

// prefixWriter keeps the first max bytes written to it.
type prefixWriter struct {
	bytes []byte
	max   int
}

func (w *prefixWriter) Write(p []byte) (int, error) {
	w.bytes = append(w.bytes, p[:min(len(p), w.max-len(w.bytes))]...)
	return len(p), nil
}

// close keeps the connection for another call, if the rest of the body is short.
func (a answer) close() {
	if !a.ended() && !a.last {
		a.conn.SetReadDeadline(time.Now().Add(time.Second)) // all that counts was read
		io.CopyN(io.Discard, a, maxDrain)
	}
	if !a.unhook() || !a.ended() || a.last || !a.conn.drained() {
		a.conn.abort()
		return
	}
	if a.conn.text.Cap() > maxDrain {
		a.conn.text = bytes.Buffer{}
	}
	a.client.kept.put(a.conn)
}
