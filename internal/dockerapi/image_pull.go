package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// PullProgress is one step of a pull.
type PullProgress struct {
	ID     string // the layer, 12 hex digits, or the tag; "" for the pull as a whole
	Status string // "Downloading", "Pull complete", ...

	// Current and Total are bytes of the layer. Total 0: not known.
	Current, Total int64
}

// PullImage pulls an image, and returns when the engine has it. ref is a name
// with a tag or digest, or without, which means :latest; the engine alone would
// take that as every tag there is. platform is OS[/ARCH[/VARIANT]], or "" for
// that of the engine. progress, unless nil, is called with each step, by the
// goroutine that called PullImage.
//
// The registry is asked without credentials. The engine reports most failures
// after it has answered with success, and they come out like any other:
// [ErrNoSuchImage], [ErrUnauthorized], [ErrTemporary]. Cancelling ctx ends the
// pull on the engine too.
//
// API: POST /images/create.
func (c *Client) PullImage(ctx context.Context, ref string, platform string, progress func(PullProgress)) error {
	r := &request{
		op: opPull, target: ref,
		method: http.MethodPost, path: "/images/create",
		want: []int{http.StatusOK}, limit: c.limits.pull,
		doubt: "the image may be incomplete",
	}
	name, tag, err := r.splitReference(ref)
	if err != nil {
		return err
	}
	r.query = url.Values{"fromImage": {name}, "tag": {tag}}
	if platform != "" {
		r.query.Set("platform", platform)
	}
	s, err := c.open(ctx, r)
	if err != nil {
		return err
	}
	defer s.close()
	err = s.pulled(progress)
	if !errors.Is(err, ErrUnreachable) {
		return err
	}
	// The stream broke without having told of an error. The image itself tells
	// whether the pull had come to its end by then.
	if ok, existsErr := c.ImageExists(ctx, ref); isContextError(existsErr) {
		return existsErr
	} else if ok {
		return nil
	}
	return err
}

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

// pulled reads the progress of a pull to its end.
func (s *stream) pulled(progress func(PullProgress)) error {
	body := &budgetReader{r: s.body}
	decoder := json.NewDecoder(body)
	for lines := 0; ; lines++ {
		body.left = maxErrorBody
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
