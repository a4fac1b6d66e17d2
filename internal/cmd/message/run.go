package message

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Run starts a container from an image, as `docker run` does.
type Run struct {
	Image       string
	Cmd         []string // nil: the image's own
	Name        string   // empty: derived from the job
	Entrypoint  []string // nil: the image's own; [""] clears it
	Pull        string   // "missing", "always" or "never"; empty: the pool's
	Interactive bool     // standard input is kept open
	Stdin       bool     // Attach names STDIN: the program gets Input, then EOF
	Stdout      bool     // Attach names STDOUT
	Stderr      bool     // Attach names STDERR
	Remove      bool     // the container is removed after it has exited
	Detach      bool     // the job is done when the container has started, even with Remove or a reply_to
	Stream      bool     // the output goes to the message's reply_to as it comes

	Secrets []string      // names of secrets that are files in the container
	Input   []byte        // for standard input; nil: none was given
	Timeout time.Duration // the longest it may run; 0: only the pool's limit
	Retry   *Retry        // nil: never

	Placement Placement       // among the hosts that share the queue
	Spec      containerConfig // from the other options
	endpoint  dockerapi.EndpointSettings
	Networks  []Network
	healthCmd string

	noHealthcheck bool
	replies       bool // the publisher asked for the result
}

// imageKeys are the keys for a container's image and command.
var imageKeys = []key[Run]{
	textKey("Image", "the image", func(r *Run) *string { return &r.Image }),
	commandLineKey("the command and its arguments; left out: the image's own", func(r *Run) *[]string { return &r.Cmd }),
}

var runKeys = append(imageKeys, streamKey(func(r *Run) *bool { return &r.Stream }))

// commandLineKey makes the key for a program and its arguments.
func commandLineKey[T any](help string, field func(*T) *[]string) key[T] {
	return key[T]{name: "Cmd", form: formArray, help: help, decode: func(c *T, v json.RawMessage) error {
		if kind(v) == "a string" {
			return errors.New(`expected an array of strings, got a string; write one item for each argument, ["echo", "hi"], or ["sh", "-c", "..."] for a shell`)
		}
		args, err := decodeStrings(v)
		if err != nil {
			return err
		}
		*field(c) = args
		return flagval.CheckArgs(args)
	}}
}

// runOptions are the options of run alone, and those that it shares with create.
var runOptions = append([]key[Run]{
	{name: "Attach", flags: []string{"attach", "a"}, form: formList, help: "`STDOUT`, `STDERR`: streams to show. `STDIN`: the program gets `Stdin`, else an empty standard input", set: setAttach},
	boolKey("Remove", "remove the container when it has ended", func(r *Run) *bool { return &r.Remove }).called("rm"),
	boolKey("Detach", "done when it has started; not together with `Attach`", func(r *Run) *bool { return &r.Detach }).called("detach", "d"),
	inputKey("Stdin", "what the program reads on standard input; needs `Attach` with `STDIN`", func(r *Run) *[]byte { return &r.Input }, decodeText),
	inputKey("StdinBase64", "the same in base64, for what is not text", func(r *Run) *[]byte { return &r.Input }, decodeBase64),
	valueKey(formText, "Timeout", "the longest it may run, such as `90s`: then it is stopped", func(r *Run) *time.Duration { return &r.Timeout }, parseSpan).called("run-timeout"),
	{name: "Retry", form: formOther, help: "run again what has failed, see [Retry](messages.md#retry-run-again-what-failed)", decode: decodeRetry},
}, containerOptions...)

func setAttach(r *Run, streams []string) error {
	for _, s := range streams {
		switch strings.ToUpper(s) {
		case "STDIN":
			r.Stdin = true
		case "STDOUT":
			r.Stdout = true
		case "STDERR":
			r.Stderr = true
		default:
			return flagval.Unknown("stream", s, []string{"STDIN", "STDOUT", "STDERR"})
		}
	}
	return nil
}

func finishRun(r *Run) (Command, error) {
	if r.Image == "" {
		return nil, errors.New(`key "Image" is missing or empty; run needs the image to run`)
	}
	if err := r.check(); err != nil {
		return nil, At("Options", err)
	}
	return r, nil
}

// check refuses options that do not go together, and completes the request.
func (r *Run) check() error {
	if r.Interactive && r.attached() {
		r.Stdin = true // as with the CLI; without Input it ends at once
	}
	switch {
	case r.Detach && r.attached():
		return errors.New("only one of Attach and Detach can be given; a detached run is done when its container has started")
	case r.Stdin && r.Spec.Tty:
		return errors.New("only one of Tty and Attach with STDIN can be given: nobody types, and a terminal has no end of input")
	case r.Input != nil && !r.Stdin:
		return errors.New(`the program gets Stdin only if Attach names "STDIN"`)
	}
	return r.finish()
}

// checkForeground refuses options that a detached run cannot have.
func (r *Run) checkForeground() error {
	switch {
	case r.Foreground():
	case r.Timeout > 0:
		return At("Options", errors.New("a Timeout needs Attach, Remove or a reply_to: a detached run is done when its container has started"))
	case r.Retry != nil:
		return At("Options", errors.New("a Retry needs Attach, Remove or a reply_to: how a detached run ends is not known"))
	}
	return nil
}

// Target implements Command.
func (r *Run) Target() string { return r.Name }

func (r *Run) attached() bool { return r.Stdin || r.Stdout || r.Stderr }

// Foreground reports whether the job lasts until the container has exited.
func (r *Run) Foreground() bool { return !r.Detach && (r.attached() || r.Remove || r.replies) }

// mostGrace bounds Grace, in seconds.
const mostGrace = 300

// Grace returns the seconds between signal and kill when a container has reached its time limit; nil is the engine's
// default. The bound keeps a message from putting the kill off for ever.
func (r *Run) Grace() *int {
	t := r.Spec.StopTimeout
	if t == nil || *t >= 0 && *t <= mostGrace {
		return t
	}
	return new(mostGrace)
}

// Restarts reports whether the engine may start the container more than once.
func (r *Run) Restarts() bool {
	h := r.Spec.HostConfig
	return h != nil && h.RestartPolicy != nil && h.RestartPolicy.Name != "" && h.RestartPolicy.Name != "no"
}

// TimeLimit returns the longest that the container may run, the lower of the pool's limit and its own; 0: no limit.
func (r *Run) TimeLimit(pool time.Duration) time.Duration {
	if pool > 0 && (r.Timeout == 0 || pool < r.Timeout) {
		return pool
	}
	return r.Timeout
}

// Create makes a container without starting it, as `docker create` does.
type Create struct{ Run }

func finishCreate(c *Run) (Command, error) {
	if c.Image == "" {
		return nil, errors.New(`key "Image" is missing or empty; create needs the image to make a container of`)
	}
	if err := c.check(); err != nil {
		return nil, At("Options", err)
	}
	// The CLI attaches both outputs, for a later docker start -a.
	c.Stdin, c.Stdout, c.Stderr = c.Interactive, true, true
	return &Create{*c}, nil
}
