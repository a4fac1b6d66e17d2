// Package systemd tells the service manager of systemd how the daemon is, by the protocol of sd_notify(3).
// FromEnvironment finds the manager's socket.
package systemd

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Notifier sends messages to the service manager. A nil Notifier does nothing, so a daemon that no manager started
// needs no special case. Its methods may be called from several goroutines. None of them fails or blocks for long: the
// manager's socket must not decide whether the daemon works.
type Notifier struct {
	socket   string
	watchdog time.Duration
	log      *slog.Logger
	failed   sync.Once // only the first failure is logged
}

const (
	sendTime   = 100 * time.Millisecond // bounds a send to a manager that does not read
	mostStatus = 1000                   // bytes; the manager ignores a message of 4096 bytes and more
)

// FromEnvironment returns the Notifier for the variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. It returns nil
// if the manager has set no socket, or one of another kind than a unix socket.
func FromEnvironment(getenv func(string) string, log *slog.Logger) *Notifier {
	socket := getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	if socket[0] != '/' && socket[0] != '@' {
		log.Warn("the service manager is not told how the daemon is: expected a path or @name in NOTIFY_SOCKET", "socket", socket)
		return nil
	}
	return &Notifier{socket: socket, watchdog: watchdog(getenv), log: log}
}

// watchdog returns how often this process must call Feed, or 0.
func watchdog(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0 // meant for another process, from which this one has its environment
	}
	limit, err := strconv.ParseUint(getenv("WATCHDOG_USEC"), 10, 63)
	if err != nil || limit > uint64(time.Duration(1<<63-1)/time.Microsecond) {
		return 0
	}
	return time.Duration(limit) * time.Microsecond / 2
}

// Ready says that the start, or a reload, is complete. The manager holds up `systemctl start`, and an upgrade of the
// package, until then. A daemon that waits for a broker or an engine that is down is ready after a while, too.
func (n *Notifier) Ready(status string) { n.send("READY=1", "STATUS="+oneLine(status)) }

// Status sets the text that `systemctl status` shows.
func (n *Notifier) Status(text string) { n.send("STATUS=" + oneLine(text)) }

// Reloading says that the daemon reads its configuration again. Ready must follow.
func (n *Notifier) Reloading() {
	n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
}

// Stopping says that the daemon has begun to end.
func (n *Notifier) Stopping(status string) { n.send("STOPPING=1", "STATUS="+oneLine(status)) }

// ExtendTimeout gives a start or a stop that much time, from now on, if it is more than the unit has left for it.
func (n *Notifier) ExtendTimeout(by time.Duration) {
	n.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", by.Microseconds()))
}

// Watchdog returns how often to call Feed, or 0 if the manager watches no process. It is half of the time after which
// the manager ends a daemon that was not fed.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Feed says that the daemon is alive.
func (n *Notifier) Feed() { n.send("WATCHDOG=1") }

// send sends assignments, one a line. The socket is opened for each message, because a manager that executes itself anew
// makes another one.
func (n *Notifier) send(assignments ...string) {
	if n == nil {
		return
	}
	err := func() error {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
			return err
		}
		_, err = conn.Write([]byte(strings.Join(assignments, "\n")))
		return err
	}()
	if err != nil {
		n.failed.Do(func() {
			n.log.Warn("the service manager does not take a message; later failures are not logged", "socket", n.socket, "message", assignments[0], "error", err)
		})
	}
}

// oneLine makes a status of any text: a line's end would begin another assignment, and the manager refuses text that is
// not UTF-8.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), mostStatus)], "\x00", ""), "")
}
