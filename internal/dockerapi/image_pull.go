package dockerapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// PullProgress is one step of a pull.
type PullProgress struct {
	ID     string // the layer (12 hex digits) or the tag; "" for the whole pull
	Status string // "Downloading", "Pull complete", ...

	// Current and Total are bytes of the layer. Total is 0 if unknown.
	Current, Total int64
}

// PullOptions say how an image is pulled.
type PullOptions struct {
	// Platform is OS[/ARCH[/VARIANT]]; "" means the engine's own.
	Platform string

	// Auth holds the registry credentials as a value of the header X-Registry-Auth: see [Credentials.For].
	// "" is anonymous. Auth never appears in an error.
	Auth string
}

// PullImage pulls an image, and returns when the engine has it. ref is a name with a tag or a digest.
// Without either PullImage adds :latest, because the engine would pull every tag.
// progress, unless nil, is called with each step, in the goroutine that called PullImage.
//
// The engine reports most failures after a success status. PullImage returns these like any other:
// [ErrNoSuchImage], [ErrUnauthorized], [ErrTemporary]. Without access to the image, some registries report
// ErrNoSuchImage, and so does Docker's classic image store with most registries.
// An answer that is cut off is [ErrUnreachable], even if the engine has the image: that may be an older one of the tag.
// If the engine answers but a pull makes no progress for 5 minutes, PullImage gives up with ErrTemporary.
// Cancelling ctx ends the pull on the engine too.
func (c *Client) PullImage(ctx context.Context, ref string, o PullOptions, progress func(PullProgress)) error {
	r := newRequest(opPull, ref)
	r.limit = c.limits.pull
	r.auth = o.Auth
	name, tag := r.splitReference(ref)
	r.query.set("fromImage", name)
	r.query.set("platform", o.Platform)
	r.query.set("tag", tag)
	// Docker treats anything else as no credentials, without an error.
	if auth, err := base64.URLEncoding.DecodeString(o.Auth); err != nil || o.Auth != "" && !json.Valid(auth) || strings.ContainsAny(o.Auth, "\r\n") { // a decoder skips line ends
		r.refuse("the registry credentials are not JSON in padded base64url")
	}
	s, err := c.open(ctx, r)
	if err == nil {
		defer s.close()
		err = s.pulled(c.limits.pull, progress)
	}
	// The limit on a step has passed, not the limit on connecting.
	if !errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, new(*dialError)) {
		return err
	}
	if s != nil {
		s.close() // ends the pull
	}
	switch _, pingErr := c.Ping(ctx); {
	case isContextError(pingErr):
		return pingErr
	case errors.Is(pingErr, ErrUnreachable):
		return err
	}
	text := fmt.Sprintf("%s: no progress for %v, given up; check that the engine can reach the registry", describe(r.op, r.target), c.limits.pull)
	return &kindError{text, []error{ErrTemporary}}
}

// splitReference splits a reference into the engine's parameters fromImage and tag.
// The engine accepts a digest as tag. If ref has both, the digest is used.
func (r *request) splitReference(ref string) (name, tag string) {
	name, digest, hasDigest := strings.Cut(ref, "@")
	// A colon before the last slash belongs to the registry's port.
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name, tag = name[:colon], name[colon+1:]
		if tag == "" {
			r.refuse("the image reference %q has an empty tag", shorten(ref, 100))
		}
	} else {
		tag = "latest"
	}
	switch {
	case hasDigest && digest == "":
		r.refuse("the image reference %q has an empty digest", shorten(ref, 100))
	case hasDigest:
		tag = digest
	case name == "sha256", len(name) == 64 && shortID(name) != name:
		r.refuse("no such image on the engine, and a registry cannot be asked for an image id")
	}
	if name == "" {
		r.refuse("the image reference is empty")
	}
	return name, tag
}

// pulled reads the progress of a pull to its end. Each step must arrive within limit.
func (s *stream) pulled(limit time.Duration, progress func(PullProgress)) error {
	s.limit = limit
	body := &io.LimitedReader{R: s.body}
	decoder := json.NewDecoder(body)
	for lines := 0; ; lines++ {
		body.N = maxErrorBody // a line without an end would fill the memory
		s.conn.SetReadDeadline(time.Now().Add(limit))
		var line struct {
			ID             string `json:"id"`
			Status         string `json:"status"`
			ProgressDetail struct {
				Current int64 `json:"current"`
				Total   int64 `json:"total"`
			} `json:"progressDetail"`
			ErrorDetail *struct {
				Message string `json:"message"`
			} `json:"errorDetail"`
			Error string `json:"error"` // deprecated, but the only field in some answers
		}
		switch err := decoder.Decode(&line); {
		case err != nil && body.N <= 0:
			return s.broken(errors.New("a line of the answer is endless"))
		case err == io.EOF && lines > 0:
			return nil
		case err != nil:
			return s.broken(err)
		case line.ErrorDetail != nil && line.ErrorDetail.Message != "":
			return s.refused(line.ErrorDetail.Message)
		case line.Error != "":
			return s.refused(line.Error)
		case progress != nil:
			progress(PullProgress{line.ID, line.Status, line.ProgressDetail.Current, line.ProgressDetail.Total})
		}
	}
}
