package dockerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
)

// A Condition is what [Client.WaitContainer] waits for.
type Condition string

const (
	// NotRunning is met at once by a container that does not run. For a
	// container that never ran, the code is 0 and means nothing.
	NotRunning Condition = "not-running"

	// NextExit is met by the next exit: register this wait before a start. A
	// failed start does not meet NextExit: then cancel the wait.
	NextExit Condition = "next-exit"
)

// An ExitStatus is how a container exited.
type ExitStatus struct {
	// Code is the exit code of the command, or 128 plus the signal that ended
	// the command. 137 is SIGKILL, also by the kernel's OOM killer. Code is nil
	// if the engine does not know it. A container that is removed before it ran
	// reports 0: only after a successful start is Code an exit code.
	Code *int
}

// WaitContainer waits for a container, and returns when the engine has
// registered the wait. A start after that cannot be missed. join then blocks
// until the condition is met.
//
// If join fails with [ErrUnreachable], it is unknown how the container exited,
// or whether it did. The connection broke, or a proxy sent a text instead.
// Inspect the container to learn the state. An [*Error] of join is the engine's
// own failure to wait. Call join once. Cancelling ctx ends join, and closes the
// connection even if join is never called.
//
// Errors: [ErrNoSuchContainer].
func (c *Client) WaitContainer(ctx context.Context, id string, cond Condition) (join func() (ExitStatus, error), err error) {
	r := container(opWait, id)
	r.query.set("condition", string(cond))
	s, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.exitStatus, nil
}

func (s *stream) exitStatus() (ExitStatus, error) {
	defer s.close()
	// Block on one byte: a wait may last for weeks, and a JSON decoder would
	// hold its buffer all that time.
	var first [1]byte
	if _, err := io.ReadFull(s.body, first[:]); err != nil {
		return ExitStatus{}, s.broken(err)
	}
	// The rest of the first packet, to quote if the answer is no exit code.
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
	switch {
	case err != nil:
		return ExitStatus{}, s.broken(garbled(start, err))
	case answer.Error != nil && answer.Error.Message != "":
		return ExitStatus{}, s.refused(answer.Error.Message)
	case answer.StatusCode == nil:
		return ExitStatus{}, s.broken(&garbledError{start: excerpt(start), err: errors.New("no exit code")})
	}
	return ExitStatus{Code: knownExit(answer.StatusCode)}, nil
}
