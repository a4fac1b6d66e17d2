package dockerapi

import (
	"cmp"
	"context"
	"strings"
)

// Created is the answer to a create.
type Created struct {
	ID       string   // 64 hex digits
	Warnings []string // what the engine could not do, such as a dropped limit; at most 20, each one line of bounded length
}

const (
	maxWarnings = 20
	maxWarning  = 1 << 10 // bytes
)

// maxArgument is the most bytes that Linux takes as one argument or variable,
// without the final NUL (MAX_ARG_STRLEN). With a longer value create and start
// succeed, and the container then exits with 1.
const maxArgument = 131071

// CreateContainer creates a container without starting it. If name is "", the
// engine makes up a name. A name is unique on the engine. Names have at least
// two characters: first a letter or digit, then letters, digits, _ . and -.
//
// An engine before API 1.44 connects only the network of NetworkMode. Connect
// the others with [Client.ConnectNetwork] before the start.
//
// After [ErrUnreachable] the container may exist, and can be found by its name:
// so always give a name. Other errors: [ErrNoSuchImage], [ErrNameInUse] with
// [Error.HolderID], [ErrInvalid].
func (c *Client) CreateContainer(ctx context.Context, name string, cfg ContainerConfig) (Created, error) {
	r := newRequest(opCreate, name)
	// Not replayable: a second create would conflict with the first.
	r.target = cmp.Or(name, cfg.Image)
	r.query.set("name", name)
	r.checkArguments(cfg)
	r.needs = cfg.needs()
	r.query.set("platform", cfg.Platform)
	if r.refused == nil && (len(cfg.endpoints()) > 1 || cfg.MacAddress != "") {
		v, err := c.version(ctx)
		if err != nil {
			return Created{}, r.wrap(err)
		}
		cfg = cfg.forVersion(v.API)
	}
	r.marshal(cfg)
	var answer struct {
		ID       string `json:"Id"`
		Warnings []string
	}
	if err := c.do(ctx, r, &answer); err != nil {
		return Created{}, err
	}
	if answer.ID == "" {
		return Created{}, c.withoutID(ctx, r)
	}
	warnings := answer.Warnings[:min(len(answer.Warnings), maxWarnings)]
	for i, w := range warnings {
		warnings[i] = shorten(oneLine(w), maxWarning)
	}
	return Created{ID: answer.ID, Warnings: warnings}, nil
}

// checkArguments refuses values that the kernel does not take, with a clearer error.
func (r *request) checkArguments(cfg ContainerConfig) {
	for _, list := range []struct {
		name   string
		values []string
	}{{"Entrypoint", cfg.Entrypoint}, {"Cmd", cfg.Cmd}, {"Env", cfg.Env}} {
		for i, value := range list.values {
			switch {
			case len(value) > maxArgument:
				r.refuse("%s[%d] is %d bytes long, and the system allows at most %d; pass the value on stdin or in a file", list.name, i, len(value), maxArgument)
			case strings.ContainsRune(value, 0):
				r.refuse("%s[%d] holds a NUL byte", list.name, i)
			}
		}
	}
}
