package container

import (
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// Do carries the command out. It may set the task's Cleanup. An error means
// that there is no result: live.ErrNotBegun, or the context's.
func (t *Work) Do() (r *event.Result, err error) {
	switch c := t.Cmd.(type) {
	case *message.Run:
		return t.doRun(c)
	case *message.Create:
		return t.doCreate(c)
	case *message.Start:
		return t.doStart(c)
	case *message.Stop:
		return t.doStop(c)
	case *message.Restart:
		return t.doRestart(c)
	case *message.Kill:
		return t.doKill(c)
	case *message.Pause:
		return t.doPause(c)
	case *message.Unpause:
		return t.doUnpause(c)
	case *message.Rename:
		return t.doRename(c)
	case *message.Remove:
		return t.doRemove(c)
	case *message.Wait:
		return t.doWait(c)
	case *message.Logs:
		return t.doLogs(c)
	case *message.Inspect:
		return t.doInspect(c)
	case *message.Exec:
		return t.doExec(c)
	case *message.Pull:
		return t.doPull(c)
	}
	panic("no command: " + t.Traits.Verb)
}
