package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/web"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// listen opens the address of --listen: host:port, or the path of a unix socket. nil: there is none.
func (s *settings) listen() (net.Listener, error) {
	network, address := "tcp", s.listenAddr
	if path, ok := strings.CutPrefix(address, "unix://"); ok || strings.ContainsRune(address, '/') {
		network, address = "unix", path
	}
	switch {
	case address == "":
		return nil, nil
	case network == "unix":
		if err := removeStale(address); err != nil {
			return nil, ui.UsageError(fmt.Sprintf("--listen %s: %v", s.listenAddr, err), "name the path of a new socket")
		}
	}
	l, err := net.Listen(network, address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, ui.UsageError(fmt.Sprintf("--listen %s: another process listens there", s.listenAddr), "name another port, or end that process: ss -ltnp shows it")
	case errors.Is(err, fs.ErrPermission):
		return nil, ui.UsageError(fmt.Sprintf("--listen %s: %v", s.listenAddr, err), "name a port of 1024 or more, or a socket in a folder that this user may write to, such as /run/docker-dispatch of the service")
	case err != nil:
		return nil, ui.UsageError(fmt.Sprintf("--listen %s: %v", s.listenAddr, err), "an address is host:port, such as 127.0.0.1:9323, or the path of a unix socket, such as /run/docker-dispatch/http.sock")
	}
	if network == "unix" && !strings.HasPrefix(address, "@") { // an abstract one has no mode
		// The folder decides who gets there; the umask does not.
		if err := os.Chmod(address, 0o660); err != nil {
			l.Close()
			return nil, ui.UsageError(fmt.Sprintf("--listen %s: %v", s.listenAddr, err), "name the path of a new socket")
		}
	}
	return l, nil
}

// removeStale removes the socket of a process that has ended.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is a file that is no socket")
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return errors.New("another process listens there")
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return err
}

// serve answers requests on l until the returned function is called. l may be nil.
func (d *daemon) serve(l net.Listener) (stop func()) {
	if l == nil {
		return func() {}
	}
	d.log.Info("listening", "address", l.Addr())
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		d.log.Warn("--listen is not on the loopback interface: everyone who reaches the address reads the output of the jobs", "address", l.Addr())
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		web.Serve(ctx, l, web.Config{
			Status:   d.status,
			Numbers:  d.numbers,
			Measured: func() status.Status { return d.measured(d.numbers()) },
			JobLog:   func(ctx context.Context, job string, w io.Writer) error { return d.pool.Output(ctx, job, w) },
			Log:      d.log,
		})
	})
	return func() {
		cancel()
		serving.Wait()
	}
}
