package dockerapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The API versions that this client was written for. It uses the newest that
// the engine has too. 1.40 is Docker 19.03; 1.44 and up is all that engines
// 29.0 to 29.2 take.
const (
	MinAPIVersion = "1.40"
	MaxAPIVersion = "1.52"
)

// Version is what a ping tells about an engine.
type Version struct {
	API    string // the version that requests are made in: negotiated, or pinned by Options
	MaxAPI string // the newest that the engine has
	Server string // software and its version, such as "Docker/20.10.24 (linux)"
	OSType string // "linux" or "windows", of the containers; "" from Podman 4
	Podman bool   // Podman's service rather than a Docker Engine
}

// Ping asks whether the engine is up, within 5 seconds, and negotiates the API
// version anew. It need not be called: every other call negotiates when it
// has to.
//
// An engine too old for this client is [ErrVersion], a server that is no engine
// [ErrNotEngine] and [ErrUnreachable]. An engine that answers, but says that it is unwell, is an
// [*Error] beside a filled Version.
//
// API: HEAD /_ping, else GET /_ping, without version.
func (c *Client) Ping(ctx context.Context) (Version, error) {
	v, err := c.ping(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agreed = nil
	if v.API != "" {
		c.agreed = &v
	}
	return v, err
}

// flight is one negotiation that several calls wait for.
type flight struct {
	done    chan struct{} // closed when the fields below are set
	version *Version
	err     error
}

// version is the version to make a request in: the agreed one, else that of
// the negotiation under way, else that of one made here.
func (c *Client) version(ctx context.Context) (*Version, error) {
	for {
		c.mu.Lock()
		if v := c.agreed; v != nil {
			c.mu.Unlock()
			return v, nil
		}
		f := c.flight
		if f == nil {
			f = &flight{done: make(chan struct{})}
			c.flight = f
			c.mu.Unlock()
			return c.negotiate(ctx, f)
		}
		c.mu.Unlock()

		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// Whoever led may have gone for a reason of its own. Ours is to go on.
		if isContextError(f.err) {
			continue
		}
		return f.version, f.err
	}
}

// negotiate fills f, and wakes those who wait for it.
func (c *Client) negotiate(ctx context.Context, f *flight) (*Version, error) {
	v, err := c.ping(ctx)
	if v.API != "" { // also an unwell engine's, which may still serve the call
		f.version = &v
	} else {
		f.err = err
	}
	c.mu.Lock()
	c.agreed, c.flight = f.version, nil
	c.mu.Unlock()
	close(f.done)
	return f.version, f.err
}

// podman reports whether the engine is Podman, as far as is known: with a
// pinned version only a Ping has asked.
func (c *Client) podman(ctx context.Context) bool {
	if c.pinned != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.agreed != nil && c.agreed.Podman
	}
	v, err := c.version(ctx)
	return err == nil && v.Podman
}

// forget drops the agreed version if it still is v, so that the next call
// negotiates again.
func (c *Client) forget(v *Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agreed == v {
		c.agreed = nil
	}
}

// versioned makes a call by send, which gets the version's path prefix and
// returns the header of the answer, or nil where there is none. A call that
// needs a newer version is not made.
//
// It looks after the version: after a broken connection another engine may come
// back at this address, and one that says that it cannot take the version has
// been replaced already. That one did nothing but refuse, so the call can be
// repeated in its version.
func (c *Client) versioned(ctx context.Context, r *request, send func(prefix string) (http.Header, error)) error {
	if c.pinned != "" {
		if err := r.unmet(c.pinned, "the version is pinned to"); err != nil {
			return err
		}
		_, err := send("/v" + c.pinned)
		return err
	}
	for repeated := false; ; repeated = true {
		v, err := c.version(ctx)
		if err != nil {
			return r.wrap(err)
		}
		if err := r.unmet(v.API, "this engine has"); err != nil {
			return err
		}
		header, err := send("/v" + v.API)
		// Nearly every answer tells the engine's newest version. Another one
		// than at the ping: an engine was exchanged between two connections.
		if newest := header.Get("Api-Version"); newest != "" && newest != v.MaxAPI {
			c.forget(v)
		}
		var answer *Error
		switch {
		case errors.Is(err, ErrUnreachable):
			c.forget(v)
		case errors.Is(err, ErrVersion) && errors.As(err, &answer):
			c.forget(v)
			if !repeated {
				continue
			}
		}
		return err
	}
}

// need is something that an engine takes from an API version on. An older one
// ignores a field or key that it does not know, without a word.
type need struct {
	what string // "the option Signal"
	api  string // "1.42"
}

// unmet refuses r where the version api, which is there for that reason, is too
// old for it.
func (r *request) unmet(api, reason string) error {
	for _, n := range r.needs {
		theirs, _ := parseAPIVersion(api) // checked by New and by ping
		if least, _ := parseAPIVersion(n.api); theirs.less(least) {
			return r.refuse("%s needs API %s%s, and %s %s", n.what, n.api, firstEngine(n.api), reason, api)
		}
	}
	return nil
}

// firstEngine names the Docker Engine that first had an API version, for people:
// " (Docker Engine 23.0)".
func firstEngine(api string) string {
	engine, ok := map[string]string{
		"1.41": "20.10", "1.42": "23.0", "1.43": "24.0", "1.44": "25.0", "1.45": "26.0", "1.46": "27.0",
		"1.47": "27.2", "1.48": "28.0", "1.49": "28.1", "1.50": "28.2", "1.51": "28.3", "1.52": "29.0",
	}[api]
	if !ok {
		return ""
	}
	return " (Docker Engine " + engine + ")"
}

// ping asks the engine for its version and picks ours. The version returned is
// usable where its API is not "", even beside an error.
func (c *Client) ping(ctx context.Context) (Version, error) {
	limited, cancel := context.WithTimeout(ctx, c.limits.ping)
	defer cancel()
	r := &request{method: http.MethodHead, path: "/_ping", limit: c.limits.ping}
	resp, err := c.roundTrip(ctx, limited, r, "")
	if err != nil {
		return Version{}, c.notHTTP(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Api-Version") == "" {
		// Some proxies know no HEAD, and a refusal's text comes with GET only.
		drain(resp)
		r.method = http.MethodGet
		if resp, err = c.roundTrip(ctx, limited, r, ""); err != nil {
			return Version{}, err
		}
	}
	defer drain(resp)

	var refusal error
	if resp.StatusCode != http.StatusOK {
		refusal = c.refusal(r, resp)
	}
	v := Version{
		MaxAPI: resp.Header.Get("Api-Version"),
		Server: resp.Header.Get("Server"),
		OSType: resp.Header.Get("Ostype"),
	}
	v.Podman = resp.Header.Get("Libpod-Api-Version") != "" || strings.HasPrefix(v.Server, "Libpod/")
	switch {
	case v.MaxAPI != "":
	case refusal != nil:
		return v, refusal
	default:
		return v, &notEngineError{fmt.Sprintf("the server at %v answers, but not as one does (no Api-Version)", c.host), nil}
	}
	if c.pinned != "" {
		v.API = c.pinned
		return v, refusal
	}
	theirs, err := parseAPIVersion(v.MaxAPI)
	if err != nil {
		return v, &versionError{fmt.Sprintf("the docker engine at %v offers API version %q: %v", c.host, shorten(v.MaxAPI, 40), err)}
	}
	ours, _ := parseAPIVersion(MaxAPIVersion)
	least, _ := parseAPIVersion(MinAPIVersion)
	if theirs.less(least) {
		return v, &versionError{fmt.Sprintf("the docker engine at %v is too old: it has API version %s at most, and %s (Docker 19.03) is needed", c.host, theirs, MinAPIVersion)}
	}
	if theirs.less(ours) {
		ours = theirs
	}
	v.API = ours.String()
	return v, refusal
}

// notHTTP makes an ErrNotEngine of the error of an answer that is none in HTTP.
func (c *Client) notHTTP(err error) error {
	_, says, ok := strings.Cut(err.Error(), "malformed HTTP response ")
	if !ok || isMalformedByTLS(err) {
		return err
	}
	who := ""
	if strings.HasPrefix(says, `"AMQP`) {
		who = ", as a message broker does"
	}
	return &notEngineError{fmt.Sprintf("what answers at %v does not speak HTTP, and says %s%s", c.host, shorten(says, maxExcerpt), who), err}
}

// notEngineError is an ErrNotEngine, and an ErrUnreachable: what stands before
// an engine may answer in its place for a moment.
type notEngineError struct {
	text string
	err  error
}

func (e *notEngineError) Error() string {
	return fmt.Sprintf("%v: %s; check the address", ErrNotEngine, e.text)
}
func (e *notEngineError) Is(target error) bool {
	return target == ErrNotEngine || target == ErrUnreachable
}
func (e *notEngineError) Unwrap() error { return e.err }

// versionError is an ErrVersion found by us, rather than answered by the
// engine.
type versionError struct{ text string }

func (e *versionError) Error() string        { return e.text }
func (e *versionError) Is(target error) bool { return target == ErrVersion }

// apiVersion is a version such as 1.41. As a string 1.9 would be above 1.10,
// and as a number 1.50 would be 1.5.
type apiVersion struct{ major, minor int }

func parseAPIVersion(s string) (apiVersion, error) {
	major, minor, ok := strings.Cut(s, ".")
	a, errA := strconv.ParseUint(major, 10, 16)
	b, errB := strconv.ParseUint(minor, 10, 16)
	if !ok || errA != nil || errB != nil {
		return apiVersion{}, errors.New("not two numbers with a dot between them, such as 1.41")
	}
	return apiVersion{int(a), int(b)}, nil
}

func (v apiVersion) less(w apiVersion) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v apiVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }
