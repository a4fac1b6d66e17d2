package cmd

// do carries the command out. cleanup, where it is not nil, is to be called when the result is settled. An error means
// that there is no result: errNotBegun, or the context's.
func (t *task) do() (r Result, cleanup func() error, err error) {
	switch c := t.cmd.(type) {
	case *Run:
		return t.doRun(c)
	case *Create:
		return t.doCreate(c)
	case *Start:
		return t.doStart(c)
	case *Stop:
		return t.doStop(c)
	case *Restart:
		return t.doRestart(c)
	case *Kill:
		return t.doKill(c)
	case *Pause:
		return t.doPause(c)
	case *Unpause:
		return t.doUnpause(c)
	case *Rename:
		return t.doRename(c)
	case *Remove:
		return t.doRemove(c)
	case *Wait:
		return t.doWait(c)
	case *Logs:
		return t.doLogs(c)
	case *Inspect:
		return t.doInspect(c)
	case *Exec:
		return t.doExec(c)
	case *Pull:
		return t.doPull(c)
	}
	panic("no command: " + t.cmd.Verb())
}
