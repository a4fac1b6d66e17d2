package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// daemons is the program under test: one process after the other.
type daemons struct {
	folder string // takes what they print
	args   []string
	events *events
	broken func(format string, args ...any) // told of what no process may do

	mu      sync.Mutex
	current *incarnation
	count   int
	work    sync.WaitGroup
}

// An incarnation is one process of the program.
type incarnation struct {
	n      int
	cmd    *exec.Cmd
	began  time.Time
	exited chan struct{} // closed when it has exited and all that it printed is read

	mu    sync.Mutex
	asked bool // we end it
}

// start starts a process. With fullLog its log is on a disk that is full.
func (d *daemons) start(fullLog bool, args ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	d.count++
	i := &incarnation{n: d.count, cmd: exec.Command(exe, append(args, d.args...)...), began: time.Now(), exited: make(chan struct{})}
	i.cmd.Env = []string{asProgram + "=1", "HOME=" + d.folder, "GORACE=atexit_sleep_ms=0"}
	file := func(stream string) string {
		return filepath.Join(d.folder, fmt.Sprintf("daemon-%03d.%s", i.n, stream))
	}
	log := file("stderr")
	if fullLog {
		log = "/dev/full"
	}
	stderr, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer stderr.Close()
	i.cmd.Stderr = stderr
	kept, err := os.Create(file("stdout"))
	if err != nil {
		return err
	}
	stdout, err := i.cmd.StdoutPipe()
	if err == nil {
		err = i.cmd.Start()
	}
	if err != nil {
		kept.Close()
		return err
	}
	d.current = i
	d.work.Go(func() {
		d.events.read(io.TeeReader(stdout, kept), i.n)
		kept.Close()
		err := i.cmd.Wait()
		close(i.exited)
		i.mu.Lock()
		asked := i.asked
		i.mu.Unlock()
		if !asked {
			d.broken("daemon %d ended by itself: %v", i.n, err)
			if err := d.start(false); err != nil {
				d.broken("daemon not started: %v", err)
			}
		}
	})
	return nil
}

// End ends the process with a signal. SIGTERM must end it soon, with exit code 0.
func (d *daemons) end(signal syscall.Signal) {
	d.mu.Lock()
	i := d.current
	d.mu.Unlock()
	if i == nil {
		return
	}
	i.mu.Lock()
	i.asked = true
	i.mu.Unlock()
	i.cmd.Process.Signal(signal)
	if signal == syscall.SIGTERM {
		select {
		case <-i.exited:
			// A process so young has not asked for the signal yet.
			if code := i.cmd.ProcessState.ExitCode(); code != 0 && time.Since(i.began) > 5*time.Second {
				d.broken("daemon %d: exit code %d after SIGTERM", i.n, code)
			}
			return
		case <-time.After(patience):
			d.broken("daemon %d does not end within %v of SIGTERM", i.n, patience)
			i.cmd.Process.Signal(syscall.SIGQUIT) // where it hangs stands in its log
			select {
			case <-i.exited:
			case <-time.After(5 * time.Second):
			}
			i.cmd.Process.Kill()
		}
	}
	<-i.exited
}

// events is what the processes print, put together by job, as the job's id has it.
type events struct {
	mu      sync.Mutex
	jobs    map[string]*printed
	broken  func(format string, args ...any)
	partial int // last lines that a SIGKILL cut
}

// printed is what was printed of one job.
type printed struct {
	results    []printedResult
	containers map[string]bool // ids
	adopted    int
	first      time.Time // when it was first heard of
	out        map[string]*pieces
}

type printedResult struct {
	event.Result
	at     time.Time
	daemon int
}

func (e *events) read(r io.Reader, daemon int) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			if len(line) > 0 {
				e.mu.Lock()
				e.partial++
				e.mu.Unlock()
			}
			return
		}
		if err := e.take(line, daemon, time.Now()); err != nil {
			e.broken("daemon %d: stdout line is no event: %v: %.200q", daemon, err, line)
		}
	}
}

func (e *events) take(line []byte, daemon int, now time.Time) error {
	event, err := event.Decode(line)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	of := func(job string) *printed {
		j := e.jobs[job]
		if j == nil {
			j = &printed{containers: map[string]bool{}, first: now, out: map[string]*pieces{"stdout": {}, "stderr": {}}}
			e.jobs[job] = j
		}
		return j
	}
	if s := event.Started; s != nil {
		j := of(s.Job)
		j.containers[s.ContainerID] = true
		if s.Adopted {
			j.adopted++
		}
	}
	if o := event.Output; o != nil {
		out := of(o.Job).out[o.Stream]
		if out == nil {
			return fmt.Errorf("stream %q", o.Stream)
		}
		out.add(o.Offset, o.Data)
	}
	if r := event.Result; r != nil {
		j := of(r.Job)
		if r.ContainerID != "" {
			j.containers[r.ContainerID] = true
		}
		j.results = append(j.results, printedResult{*r, now, daemon})
	}
	return nil
}

// pieces puts a stream together from pieces, some of which come again.
type pieces struct {
	data    []byte
	ahead   map[int64][]byte // what came before that which stands in front of it
	differs bool             // a piece came again, and was another
}

func (p *pieces) add(offset int64, data []byte) {
	have := int64(len(p.data))
	if offset > have {
		if p.ahead == nil {
			p.ahead = map[int64][]byte{}
		}
		p.ahead[offset] = data
		return
	}
	known := min(have-offset, int64(len(data)))
	p.differs = p.differs || string(p.data[offset:offset+known]) != string(data[:known])
	p.data = append(p.data, data[known:]...)
	for at, d := range p.ahead {
		if at <= int64(len(p.data)) {
			delete(p.ahead, at)
			p.add(at, d)
			return
		}
	}
}
