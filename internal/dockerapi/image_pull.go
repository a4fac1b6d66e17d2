package dockerapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// PullProgress is one step of a pull.
type PullProgress struct {
	ID     string // the layer, 12 hex digits, or the tag; "" for the pull as a whole
	Status string // "Downloading", "Pull complete", ...

	// Current and Total are bytes of the layer. Total 0: not known.
	Current, Total int64
}

// PullOptions say how an image is pulled.
type PullOptions struct {
	// Platform is OS[/ARCH[/VARIANT]]; "" is that of the engine.
	Platform string

	// Auth is what the registry is asked with, in the form of the header
	// X-Registry-Auth: see [Credentials.For]. "" is anonymous. It stands in no
	// error.
	Auth string
}

// PullImage pulls an image, and returns when the engine has it. ref is a name
// with a tag or digest, or without, which means :latest; the engine alone would
// take that as every tag there is. progress, unless nil, is called with each
// step, by the goroutine that called PullImage.
//
// The engine reports most failures after it has answered with success, and they
// come out like any other: [ErrNoSuchImage], [ErrUnauthorized], [ErrTemporary].
// Some registries, and Docker's classic image store with most, say of an image
// that is not for these credentials that there is no such image. A pull of which
// nothing has come for 5 minutes, although the engine answers, is given up with
// ErrTemporary. Cancelling ctx ends the pull on the engine too.
//
// API: POST /images/create.
func (c *Client) PullImage(ctx context.Context, ref string, o PullOptions, progress func(PullProgress)) error {
	r := &request{
		op: opPull, target: ref,
		method: http.MethodPost, path: "/images/create",
		want: []int{http.StatusOK}, limit: c.limits.pull,
		doubt: "the image may be incomplete",
		auth:  o.Auth,
	}
	name, tag, err := r.splitReference(ref)
	if err != nil {
		return err
	}
	r.query = url.Values{"fromImage": {name}, "tag": {tag}}
	if o.Platform != "" {
		r.query.Set("platform", o.Platform)
	}
	// Docker takes anything else for no credentials, and does not say so.
	if auth, err := base64.URLEncoding.DecodeString(o.Auth); err != nil || o.Auth != "" && !json.Valid(auth) {
		return r.refuse("the registry credentials are not JSON in padded base64url")
	}
	s, err := c.open(ctx, r)
	opened := err == nil
	if opened {
		defer s.close()
		err = s.pulled(c.limits.pull, progress)
	}
	// Our limit on a step, not that on connecting.
	stalled := errors.Is(err, os.ErrDeadlineExceeded) && !errors.As(err, new(*dialError))
	if !errors.Is(err, ErrUnreachable) || !opened && !stalled {
		return err
	}
	if opened {
		s.close() // ends the pull
	}
	// The stream broke, or went silent, without having told of an error. The
	// image itself tells whether the pull had come to its end by then.
	switch ok, existsErr := c.ImageExists(ctx, ref); {
	case isContextError(existsErr):
		return existsErr
	case stalled && !errors.Is(existsErr, ErrUnreachable):
		return &stallError{describe(r.op, r.target), c.limits.pull}
	case ok && !stalled:
		return nil
	}
	return err
}

// stallError is an ErrTemporary: the engine is there, and nothing more came of
// what it was doing.
type stallError struct {
	doing string // `pull image "busybox"`
	limit time.Duration
}

func (e *stallError) Error() string {
	return fmt.Sprintf("%s: nothing has come for %v, so it was given up; does the registry answer the engine?", e.doing, e.limit)
}

func (e *stallError) Is(target error) bool { return target == ErrTemporary }

// splitReference takes a reference apart into what the engine calls fromImage
// and tag; a digest is a tag to it, and stands for one where both are given.
func (r *request) splitReference(ref string) (name, tag string, err error) {
	name, digest, hasDigest := strings.Cut(ref, "@")
	// A colon before the last slash is that of the registry's port.
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name, tag = name[:colon], name[colon+1:]
		if tag == "" {
			return "", "", r.refuse("the image reference %q has an empty tag", shorten(ref, 100))
		}
	} else {
		tag = "latest"
	}
	switch {
	case hasDigest && digest == "":
		return "", "", r.refuse("the image reference %q has an empty digest", shorten(ref, 100))
	case hasDigest:
		tag = digest
	case name == "sha256", len(name) == 64 && shortID(name) != name:
		return "", "", r.refuse("no such image on the engine, and a registry cannot be asked for an image id")
	}
	if name == "" {
		return "", "", r.refuse("the image reference is empty")
	}
	return name, tag, nil
}

// pulled reads the progress of a pull to its end, each step of it within limit.
func (s *stream) pulled(limit time.Duration, progress func(PullProgress)) error {
	s.r.limit = limit
	body := &budgetReader{r: s.body}
	decoder := json.NewDecoder(body)
	for lines := 0; ; lines++ {
		body.left = maxErrorBody
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
			Error string `json:"error"` // deprecated; all that some answers have
		}
		switch err := decoder.Decode(&line); {
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

// budgetReader fails when more than left bytes are read, so that a line without
// end does not fill the memory.
type budgetReader struct {
	r    io.Reader
	left int
}

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("a line of the answer is endless")
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
