package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Run starts a container from an image, as `docker run` does.
type Run struct {
	Image      string
	Cmd        []string // nil: the image's own
	Name       string   // empty: derived from the job
	Entrypoint []string // nil: the image's own; [""] clears it
	Stdin      bool     // Attach names STDIN: the program gets an open, empty standard input
	Stdout     bool     // Attach names STDOUT
	Stderr     bool     // Attach names STDERR
	Remove     bool     // the container is removed when it has ended
	Detach     bool     // done when the container has started, whatever else is said
}

func runKeys() []key[Run] {
	return []key[Run]{
		{"Image", func(r *Run, v json.RawMessage) error { return decodeString(&r.Image, v) }},
		{"Cmd", func(r *Run, v json.RawMessage) error {
			if kind(v) == "a string" {
				return errors.New(`expected an array of strings, got a string; write one item for each argument, ["echo", "hi"], or ["sh", "-c", "..."] for a shell`)
			}
			if err := decodeStrings(&r.Cmd, v); err != nil {
				return err
			}
			return checkArgs(r.Cmd)
		}},
	}
}

func runOptions() []key[Run] {
	return []key[Run]{
		{"Name", func(r *Run, v json.RawMessage) error {
			if err := decodeString(&r.Name, v); err != nil {
				return err
			}
			return checkName(r.Name)
		}},
		{"Entrypoint", func(r *Run, v json.RawMessage) error {
			if err := decodeList(&r.Entrypoint, v); err != nil {
				return err
			}
			if len(r.Entrypoint) == 0 {
				r.Entrypoint = []string{""} // an empty list clears the image's, as "" does
			}
			return checkArgs(r.Entrypoint)
		}},
		{"Attach", decodeAttach},
		{"Remove", func(r *Run, v json.RawMessage) error { return decodeBool(&r.Remove, v) }},
		{"Detach", func(r *Run, v json.RawMessage) error { return decodeBool(&r.Detach, v) }},
	}
}

func decodeAttach(r *Run, v json.RawMessage) error {
	var streams []string
	if err := decodeList(&streams, v); err != nil {
		return err
	}
	for _, s := range streams {
		switch strings.ToUpper(s) {
		case "STDIN":
			r.Stdin = true
		case "STDOUT":
			r.Stdout = true
		case "STDERR":
			r.Stderr = true
		default:
			names := []string{"STDIN", "STDOUT", "STDERR"}
			if near := nearest(s, names); near != "" {
				return fmt.Errorf("unknown stream %s; did you mean %q?", quote(s), near)
			}
			return fmt.Errorf("unknown stream %s; expected %s", quote(s), list(names, "or"))
		}
	}
	return nil
}

func decodeRun(members []member) (Command, error) {
	r := new(Run)
	if err := decodeKeys(r, "run", members, runKeys(), runOptions()); err != nil {
		return nil, err
	}
	switch {
	case r.Image == "":
		return nil, errors.New(`key "Image" is missing or empty; run needs the image to run`)
	case r.Detach && r.attached():
		return nil, at("Options", errors.New("only one of Attach and Detach can be given; a detached run is done when its container has started"))
	}
	return r, nil
}

// Verb implements Command.
func (r *Run) Verb() string { return "run" }

// Target implements Command.
func (r *Run) Target() string { return r.Name }

func (r *Run) attached() bool { return r.Stdin || r.Stdout || r.Stderr }

// foreground says whether the job lasts until the container has exited.
func (r *Run) foreground() bool { return !r.Detach && (r.attached() || r.Remove) }
