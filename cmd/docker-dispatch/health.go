package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
)

//go:embed health.txt
var healthUsage string

// healthTime bounds a health check.
const healthTime = 10 * time.Second

// health runs the subcommand health and returns the exit code.
func health(args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
		fmt.Fprint(stdout, healthUsage)
		return ui.ExitClean
	}
	show := len(args) > 0 && args[0] == "--print-config"
	if show {
		args = args[1:]
	}
	pid, err := 1, error(nil)
	if len(args) > 0 {
		pid, err = strconv.Atoi(args[0])
	}
	if err != nil || pid < 1 || len(args) > 1 {
		return ui.Fail(stderr, ui.UsageError("expected: docker-dispatch health [--print-config] [PID]", "docker-dispatch health -h says more"))
	}
	if show {
		if err := printSettingsOf(pid, stdout); err != nil {
			return ui.Fail(stderr, err)
		}
		return ui.ExitClean
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	if err := checkHealth(ctx, pid); err != nil {
		return ui.Fail(stderr, ui.WithHint("not healthy: "+err.Error(), "the daemon's log says more", ui.ExitFailed))
	}
	fmt.Fprintln(stdout, "healthy")
	return ui.ExitClean
}

// settingsOf returns the settings of the daemon of that process, and its environment.
func settingsOf(pid int) (*settings, func(string) string, error) {
	line, err := procTexts(pid, "cmdline")
	if err != nil {
		return nil, nil, err
	}
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, nil, err
	}
	ours, err := os.Stat("/proc/self/exe")
	if err != nil {
		return nil, nil, err
	}
	if !os.SameFile(theirs, ours) && !strings.HasPrefix(filepath.Base(line[0]), "docker-dispatch") {
		return nil, nil, fmt.Errorf("process %d is no docker-dispatch; give the daemon's: docker-dispatch health PID", pid)
	}
	environ, err := procTexts(pid, "environ")
	if err != nil {
		return nil, nil, err
	}
	getenv := variablesOf(environ)
	s, err := parseSettings(line[1:], getenv)
	return s, getenv, err
}

// printSettingsOf writes the settings of the daemon of that process.
func printSettingsOf(pid int, w io.Writer) error {
	s, getenv, err := settingsOf(pid)
	if err == nil {
		err = s.load(getenv)
	}
	if err == nil {
		err = s.print(w)
	}
	if err != nil {
		return ui.WithHint(fmt.Sprintf("the settings of process %d cannot be read: %v", pid, err), "its own user and root may read them; relative paths are those of the daemon's folder", ui.ExitFailed)
	}
	return nil
}

// checkHealth returns why the daemon of that process cannot work, as far as can be seen from outside.
func checkHealth(ctx context.Context, pid int) error {
	s, _, err := settingsOf(pid)
	if err != nil {
		return err
	}
	engine, err := s.client(nil)
	if err != nil {
		return err
	}
	defer engine.Close()
	if _, err := engine.Ping(ctx); err != nil || s.amqpURL == "-" {
		return err
	}
	c, err := client.Connect(ctx, client.Config{URL: s.amqpURL, Queue: s.queue, Name: "docker-dispatch health " + s.queue, Version: ui.VersionString()})
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	queues := []string{s.queue}
	if s.hostName != "" { // those that no other daemon consumes
		queues = append(queues, claims.HostQueue(s.queue, s.hostName), claims.ControlQueue(s.queue, s.hostName))
	}
	for _, queue := range queues {
		if _, consumers, err := c.Ready(ctx, queue); err != nil {
			return err
		} else if consumers == 0 {
			return errors.New("nobody takes messages from the queue " + queue)
		}
	}
	return nil
}

// procTexts returns the texts of a process's file of that name, each of which ends in a NUL byte.
func procTexts(pid int, name string) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"), nil
}
