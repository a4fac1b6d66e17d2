package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A mark is what a job's program says of itself, besides what it writes.
type mark struct {
	kind      string // begin or end
	job       string
	container string // its hostname: the first 12 digits of the container's id
	program   string // random for each start of a program
	at        time.Time
}

// marks collects the marks of jobs, which reach it over a network of the engine: past the daemon
// and past the engine, so that neither's death loses any.
type marks struct {
	ln   net.Listener
	file *os.File
	work sync.WaitGroup

	mu   sync.Mutex
	seen map[[4]string]bool
	all  []mark // in the order in which they came
}

// chaosNetwork is the one that the jobs' programs reach this machine over.
const chaosNetwork = "dispatch-chaos"

// gateway is this machine as the containers on that network see it. It goes with the servers.
func (l *lab) gateway() string {
	l.t.Helper()
	if out, err := l.dockerCommand("network", "create", chaosNetwork).CombinedOutput(); err != nil && !strings.Contains(string(out), "already exists") {
		l.t.Fatalf("docker network create: %v\n%s", err, out)
	}
	return strings.TrimSpace(l.docker(l.t, "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", chaosNetwork))
}

func newMarks(host, folder string) (*marks, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(folder, "marks"))
	if err != nil {
		ln.Close()
		return nil, err
	}
	m := &marks{ln: ln, file: file, seen: map[[4]string]bool{}}
	m.work.Go(m.accept)
	return m, nil
}

func (m *marks) close() {
	m.ln.Close()
	m.work.Wait()
	m.file.Close()
}

func (m *marks) accept() {
	for {
		c, err := m.ln.Accept()
		if err != nil {
			return
		}
		m.work.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			line, err := bufio.NewReader(c).ReadString('\n')
			if f := strings.Fields(line); err == nil && len(f) == 5 {
				m.take(mark{f[0], f[1], f[2], f[3], time.Now()}, f[4])
				fmt.Fprintln(c, "ok")
			}
		})
	}
}

// take records a mark, once: a program that saw no answer says it again.
func (m *marks) take(k mark, tries string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [4]string{k.kind, k.job, k.container, k.program}
	if m.seen[key] {
		return
	}
	m.seen[key] = true
	m.all = append(m.all, k)
	fmt.Fprintln(m.file, stamp(k.at), k.kind, k.job, k.container, k.program, tries)
}

// of returns the marks of a kind and a job.
func (m *marks) of(kind, job string) (of []mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.all {
		if k.kind == kind && k.job == job {
			of = append(of, k)
		}
	}
	return of
}

// script is the beginning of a job's shell script: the function mark, and $n, $h and $u, which are
// the job, the container and the start of the program.
func (m *marks) script(job string) string {
	host, port, _ := net.SplitHostPort(m.ln.Addr().String())
	return `n=` + job + ` h=$(hostname) u=$(cat /proc/sys/kernel/random/uuid)
mark() { i=0; while [ $i -lt $2 ] && [ "$(echo "$1 $n $h $u $i" | timeout 2 nc ` + host + ` ` + port + `)" != ok ]; do i=$((i+1)); sleep 0.3; done; } 2>/dev/null
`
}

// stamp is a time as it stands in the files.
func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }
