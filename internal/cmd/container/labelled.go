package container

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// labelled returns the containers that have the labels.
func (t *Work) labelled(labels ...string) (*list, error) {
	return ask(t, func() (*list, error) {
		return t.Carrier.lists.of(t.Ctx, strings.Join(labels, "\x00"), func() ([]dockerapi.ContainerSummary, error) {
			return t.Carrier.Docker.ListContainers(t.Ctx, dockerapi.ListOptions{All: true, Labels: labels})
		})
	})
}

// ContainerFor returns the newest container of a job, or nil.
func (t *Work) ContainerFor(job string) (*dockerapi.ContainerSummary, error) {
	list, err := t.labelled(identity.LabelQueue+"="+t.Queue, identity.LabelJob+"="+job)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list.containers, func(c dockerapi.ContainerSummary) bool { return t.OfQueue(c.Labels) })
	if i < 0 {
		return nil, nil
	}
	return &list.containers[i], nil
}

// lists has the lists of containers that tasks ask for. Tasks that ask for the same at the same time share one. Otherwise each of many
// equal messages that are redelivered to a new process would list the containers of all.
type lists struct {
	mu    sync.Mutex
	next  map[string]*list // not begun yet, by labels; guarded by mu
	begun map[string]*list // the last that was begun, and has not ended; guarded by mu
}

// A list is what one call has returned.
type list struct {
	done       chan struct{}                // closed when the call has ended
	containers []dockerapi.ContainerSummary // newest first; not changed after done is closed
	err        error                        // the same; context.Canceled if the call was not made, or has panicked
	readers    atomic.Int64                 // see apart
}

// apart returns all containers. Each reader begins with another container: otherwise all tasks that look for one would try the same.
func (l *list) apart() iter.Seq[dockerapi.ContainerSummary] {
	first := int(l.readers.Add(1) - 1)
	return func(yield func(dockerapi.ContainerSummary) bool) {
		for i := range l.containers {
			if !yield(l.containers[(first+i)%len(l.containers)]) {
				return
			}
		}
	}
}

// of returns a list of a call that begins after of does. The first task that asks makes the call, after the one under way has ended,
// for all tasks that ask until then.
func (l *lists) of(ctx context.Context, key string, call func() ([]dockerapi.ContainerSummary, error)) (*list, error) {
	for {
		l.mu.Lock()
		if l.next == nil {
			l.next, l.begun = make(map[string]*list), make(map[string]*list)
		}
		f, before := l.next[key], l.begun[key]
		lead := f == nil
		if lead {
			f = &list{done: make(chan struct{}), err: context.Canceled}
			l.next[key] = f
		}
		l.mu.Unlock()

		if lead {
			l.lead(ctx, key, f, before, call)
			return f, f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) { // else the leader has ended
			return f, f.err
		}
	}
}

// lead makes the call for f, after that of before, which may be nil.
func (l *lists) lead(ctx context.Context, key string, f, before *list, call func() ([]dockerapi.ContainerSummary, error)) {
	defer func() {
		l.mu.Lock()
		for _, lists := range []map[string]*list{l.next, l.begun} {
			if lists[key] == f {
				delete(lists, key)
			}
		}
		l.mu.Unlock()
		close(f.done)
	}()
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
			f.err = ctx.Err()
			return
		}
	}
	l.mu.Lock()
	delete(l.next, key)
	l.begun[key] = f
	l.mu.Unlock()
	f.containers, f.err = call()
}
