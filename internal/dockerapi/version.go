package dockerapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// The API versions that this client supports. It uses the newest one that the engine also supports.
// Docker 19.03 has 1.40. Engines 29.0 to 29.2 accept only 1.44 and newer.
const (
	MinAPIVersion = "1.40"
	MaxAPIVersion = "1.52"
)

// Version is the result of a ping.
type Version struct {
	API    string // the version of requests: negotiated, or pinned by Options
	MaxAPI string // the engine's newest version
	Server string // server software and its version, such as "Docker/20.10.24 (linux)"
	Podman bool   // Podman's service, not a Docker Engine
}

// Ping checks that the engine answers within 5 seconds, and negotiates the API version again.
// Callers need not call Ping: every other call negotiates if necessary.
//
// The error is [ErrVersion] if the engine is too old for this client, or refuses the pinned version: then it is also
// [ErrPinned]. It is [ErrNotEngine] and [ErrUnreachable]
// if the server is not an engine. If the engine reports itself unhealthy, the error is an [*Error], and the Version
// is filled too.
func (c *Client) Ping(ctx context.Context) (Version, error) { return c.PingWithin(ctx, c.limits.ping) }

// PingWithin is Ping with another limit.
func (c *Client) PingWithin(ctx context.Context, limit time.Duration) (Version, error) {
	v, err := c.ping(ctx, limit)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case v.API != "":
		c.agreed = &v
	case !errors.Is(err, ErrUnreachable): // otherwise calls that get through need no new one
		c.agreed = nil
	}
	return v, err
}

// flight is one negotiation that several calls wait for.
type flight struct {
	done    chan struct{} // closed when the fields below are set
	version *Version
	err     error
}

// version returns the version for a request: the agreed version, or the result of the negotiation under way.
// If there is neither, it negotiates.
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
		// The negotiating call ended by its own context. This call tries again.
		if isContextError(f.err) {
			continue
		}
		return f.version, f.err
	}
}

// negotiate fills f, and wakes the calls that wait for it.
func (c *Client) negotiate(ctx context.Context, f *flight) (*Version, error) {
	v, err := c.ping(ctx, c.limits.ping)
	if v.API != "" { // also from an unhealthy engine, which may still serve the call
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

// podman reports whether the engine is known to be Podman. With a pinned version only an earlier Ping can tell.
func (c *Client) podman(ctx context.Context) bool {
	if c.pinned != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.agreed != nil && c.agreed.Podman
	}
	v, err := c.version(ctx)
	return err == nil && v.Podman
}

// forget drops the agreed version if it is still v. The next call then negotiates again.
func (c *Client) forget(v *Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agreed == v {
		c.agreed = nil
	}
}

// versioned makes a call in the engine's version, unless r needs a newer one. If the status is a success, use gets the
// answer, and has to close it.
//
// versioned forgets the version if the engine may have been replaced: after a broken connection, and after an answer
// that refuses the version. An engine that refuses the version has done nothing else. So versioned repeats the call
// once, in the engine's version.
func (c *Client) versioned(ctx context.Context, r *request, use func(a answer) error) error {
	if r.refused != nil {
		return r.refused
	}
	send := func(version string) (newest string, err error) {
		a, err := c.call(ctx, r, "/v"+version)
		if err != nil {
			return "", err
		}
		newest = a.apiVersion
		if slices.Contains(r.want, a.status) && (r.upgrade || a.status != http.StatusSwitchingProtocols) {
			return newest, use(a)
		}
		defer a.close()
		if err = c.refusal(r, a.response); ctx.Err() != nil { // its text is cut off
			err = ctx.Err()
		}
		return newest, err
	}
	if c.pinned != "" {
		if err := r.unmet(c.pinned, "the version is pinned to"); err != nil {
			return err
		}
		_, err := send(c.pinned)
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
		newest, err := send(v.API)
		// Nearly every answer names the engine's newest version. If it differs from the ping's, the engine was
		// replaced between two connections.
		if newest != "" && newest != v.MaxAPI {
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

// need is a feature that requires an API version. An older engine silently ignores a field or key that it does not know.
type need struct {
	what string // "the option Signal"
	api  string // "1.42"
}

// unmet returns an error if the API version api is too old for r. reason is the part of its text that says where
// api comes from.
func (r *request) unmet(api, reason string) error {
	for _, n := range r.needs {
		if older(api, n.api) {
			r.refuse("%s needs API %s%s, and %s %s", n.what, n.api, firstEngine(n.api), reason, api)
		}
	}
	return r.refused
}

// firstEngine returns the first Docker Engine with an API version, as text for errors: " (Docker Engine 23.0)".
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

// ping asks the engine for its version, and picks the version of requests. If the returned Version's API is not "",
// the Version is usable even with an error.
func (c *Client) ping(ctx context.Context, limit time.Duration) (Version, error) {
	r := newRequest("", "")
	r.method, r.limit = http.MethodHead, limit
	prefix := ""
	if c.pinned != "" { // the engine answers a ping without a version even if it refuses that one
		prefix = "/v" + c.pinned
	}
	resp, err := c.call(ctx, r, prefix)
	if err != nil {
		if c.wantsTLS(ctx, err) {
			err = &unreachableError{host: c.host, err: errWantsTLS}
		}
		return Version{}, c.notHTTP(err)
	}
	if resp.status != http.StatusOK || resp.apiVersion == "" {
		// Some proxies do not support HEAD, and only GET returns the text of a refusal.
		resp.close()
		r.method = http.MethodGet
		if resp, err = c.call(ctx, r, prefix); err != nil {
			return Version{}, err
		}
	}
	defer resp.close()

	var refusal error
	if resp.status != http.StatusOK {
		refusal = c.refusal(r, resp.response)
	}
	v := Version{
		MaxAPI: resp.apiVersion,
		Server: resp.field("Server"),
	}
	v.Podman = resp.field("Libpod-Api-Version") != "" || strings.HasPrefix(v.Server, "Libpod/")
	switch {
	case c.pinned != "" && errors.Is(refusal, ErrVersion):
		return v, &kindError{fmt.Sprintf("the docker engine at %v refuses the pinned API version: %v", c.host, refusal), []error{ErrPinned}}
	case v.MaxAPI != "":
	case refusal != nil:
		return v, refusal
	default:
		return v, notEngine(nil, "the server at %v sent no Api-Version header, which every engine sends", c.host)
	}
	if c.pinned != "" {
		v.API = c.pinned
		return v, refusal
	}
	theirs, err := parseAPIVersion(v.MaxAPI)
	if err != nil {
		text := fmt.Sprintf("the docker engine at %v offers API version %q: %v", c.host, shorten(v.MaxAPI, 40), err)
		return v, &kindError{text, []error{ErrVersion}}
	}
	api := fmt.Sprintf("%d.%d", theirs[0], theirs[1]) // without zeros in front
	switch {
	case older(api, MinAPIVersion):
		text := fmt.Sprintf("the docker engine at %v is too old: it has API version %s at most, and %s (Docker 19.03) is needed", c.host, api, MinAPIVersion)
		return v, &kindError{text, []error{ErrVersion}}
	case older(api, MaxAPIVersion):
		v.API = api
	default:
		v.API = MaxAPIVersion
	}
	return v, refusal
}

// wantsTLS reports whether err, of a ping, comes from a server that closes the connection at anything but TLS. A TLS
// proxy does that.
func (c *Client) wantsTLS(ctx context.Context, err error) bool {
	if c.tls != nil || c.host.IsUnix() || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, c.limits.ping)
	defer cancel()
	conn, err := c.dialer(ctx, c.host.network, c.host.dialAddress())
	if err != nil {
		return false
	}
	defer conn.Close()
	return tlsconf.Speaks(ctx, conn)
}

// notHTTP turns the error of an answer that is not HTTP into an ErrNotEngine. Other errors stay unchanged.
func (c *Client) notHTTP(err error) error {
	_, says, ok := strings.Cut(err.Error(), "malformed HTTP response ")
	if !ok || isMalformedByTLS(err) {
		return err
	}
	who := ""
	if strings.HasPrefix(says, `"AMQP`) {
		who = ", as a message broker does"
	}
	return notEngine(err, "the server at %v does not speak HTTP: it answered %s%s", c.host, shorten(says, maxExcerpt), who)
}

// notEngine returns an error that is also an ErrUnreachable: a proxy may briefly answer in the engine's place.
func notEngine(err error, format string, args ...any) error {
	text := fmt.Sprintf("%v: %s; check the address", ErrNotEngine, fmt.Sprintf(format, args...))
	return &kindError{text, []error{ErrNotEngine, ErrUnreachable, err}}
}

// parseAPIVersion returns the parts of a version such as 1.41. As a string 1.9 would be above 1.10, and as a number 1.50
// would be 1.5.
func parseAPIVersion(s string) ([2]uint64, error) {
	major, minor, _ := strings.Cut(s, ".")
	a, errA := strconv.ParseUint(major, 10, 16)
	b, errB := strconv.ParseUint(minor, 10, 16)
	if errA != nil || errB != nil {
		return [2]uint64{}, errors.New("not two numbers with a dot between them, such as 1.41")
	}
	return [2]uint64{a, b}, nil
}

// older reports whether API version v is below w. New and ping have checked all versions.
func older(v, w string) bool {
	a, _ := parseAPIVersion(v)
	b, _ := parseAPIVersion(w)
	return slices.Compare(a[:], b[:]) < 0
}
