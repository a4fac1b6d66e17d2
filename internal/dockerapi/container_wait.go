package dockerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// Condition is what [Client.WaitContainer] waits for.
type Condition string

const (
	// NotRunning is met at once by a container that does not run, also by one
	// that never has: its code is then 0 and means nothing.
	NotRunning Condition = "not-running"

	// NextExit is met by the next exit. It is the one to register before a
	// start. A failed start does not meet it: then cancel the wait.
	NextExit Condition = "next-exit"

	// Removed is met when the container is gone.
	Removed Condition = "removed"
)

// ExitStatus is how a container ended.
type ExitStatus struct {
	// Code is nil where the engine does not know it. It is that of the command, or 128 and the signal that ended it: 137 is
	// SIGKILL, by the kernel's OOM killer too. A container that is removed
	// without ever having run reports 0: only one whose start has succeeded
	// has an exit code.
	Code *int
}

// WaitContainer waits for a container. It returns when the engine has
// registered the wait, so that a start that follows cannot be missed; join then
// blocks until the condition is met.
//
// A join that fails with [ErrUnreachable] does not know how the container
// ended, or whether: the connection broke, or something between sent a text of
// its own. Inspect tells. An [*Error] of join is the engine's own failure to
// wait. Join is to be called once; cancelling ctx ends it, and closes the
// connection also if it is never called.
//
// Errors: [ErrNoSuchContainer].
//
// API: POST /containers/{id}/wait.
func (c *Client) WaitContainer(ctx context.Context, id string, cond Condition) (join func() (ExitStatus, error), err error) {
	r, err := container(opWait, http.MethodPost, id, "/wait")
	if err != nil {
		return nil, err
	}
	if cond != "" {
		r.query = url.Values{"condition": {string(cond)}}
	}
	r.want = []int{http.StatusOK}
	r.limit = c.limits.header
	r.doubt = "how the container ended, or whether, is unknown"
	s, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.exitStatus, nil
}

func (s *stream) exitStatus() (ExitStatus, error) {
	defer s.close()
	// A wait may last for weeks, and a decoder takes its buffer before it reads:
	// block on one byte.
	var first [1]byte
	if _, err := io.ReadFull(s.body, first[:]); err != nil {
		return ExitStatus{}, s.broken(err)
	}
	// The rest of what came with it, to quote where it is no exit code.
	start := append(make([]byte, 0, maxExcerpt), first[0])
	n, err := readSome(s.body, start[1:maxExcerpt])
	if err != nil && err != io.EOF {
		return ExitStatus{}, s.broken(err)
	}
	start = start[:1+n]
	body := io.MultiReader(bytes.NewReader(start), io.LimitReader(s.body, maxErrorBody))
	var answer struct {
		StatusCode *int
		Error      *struct{ Message string }
	}
	err = json.NewDecoder(body).Decode(&answer)
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax), errors.As(err, &wrongType):
		return ExitStatus{}, s.broken(&garbledError{start: excerpt(start), err: err})
	case err != nil:
		return ExitStatus{}, s.broken(err)
	case answer.Error != nil && answer.Error.Message != "":
		return ExitStatus{}, s.refused(answer.Error.Message)
	case answer.StatusCode == nil:
		return ExitStatus{}, s.broken(&garbledError{start: excerpt(start), err: errors.New("no exit code")})
	}
	return ExitStatus{Code: knownExit(answer.StatusCode)}, nil
}
