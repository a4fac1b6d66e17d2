package dockerapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestNegotiation(t *testing.T) {
	for _, test := range []struct {
		name    string
		ping    http.HandlerFunc // after HEAD and GET alike
		pinned  string
		version string // of the call that follows; "" for none
		kind    string // of its error
		text    string
	}{
		{name: "same", ping: offers("1.52"), version: "1.52"},
		{name: "newer", ping: offers("1.60"), version: "1.52"},
		{name: "much newer", ping: offers("2.0"), version: "1.52"},
		{name: "older", ping: offers("1.41"), version: "1.41"},
		{name: "oldest", ping: offers("1.40"), version: "1.40"},
		{name: "too old", ping: offers("1.39"), kind: "version", text: "too old: it has API version 1.39 at most, and 1.40 (Docker 19.03) is needed"},
		{name: "too old as numbers", ping: offers("1.9"), kind: "version", text: "too old"},
		{name: "no number", ping: offers("new"), kind: "version", text: "not two numbers"},
		{name: "none", ping: func(http.ResponseWriter, *http.Request) {}, kind: "no engine+unreachable", text: "sent no Api-Version header, which every engine sends"},
		{name: "a broker", ping: says("AMQP\x00\x00\t\x01"), kind: "no engine+unreachable", text: `does not speak HTTP: it answered "AMQP\x00\x00\t\x01", as a message broker does; check the address`},
		{name: "ssh", ping: says("SSH-2.0-OpenSSH_9.2\r\n"), kind: "no engine+unreachable", text: `does not speak HTTP: it answered "SSH-2.0-OpenSSH_9.2"; check`},
		{name: "pinned", ping: offers("1.41"), pinned: "1.30", version: "1.30"},
		{name: "GET only", version: "1.41", ping: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "HEAD" {
				w.WriteHeader(405)
				return
			}
			offers("1.41")(w, r)
		}},
		{name: "header with GET only", version: "1.41", ping: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				offers("1.41")(w, r)
			}
		}},
		{name: "unwell", version: "1.41", text: "cannot see the disk", ping: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			http.Error(w, `{"message":"cannot see the disk"}`, 500)
		}},
		{name: "no engine", kind: "", text: "page not found", ping: func(w http.ResponseWriter, r *http.Request) {
			http.NotFound(w, r)
		}},
		{name: "proxy", kind: "temporary", text: "status 503", ping: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var version string
			c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/_ping") {
					test.ping(w, r)
					return
				}
				version, _, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
				w.WriteHeader(204)
			})
			c.pinned = test.pinned
			ctx := background(t)
			err := c.StartContainer(ctx, "x")
			got, pingErr := c.Ping(ctx)
			if version != test.version || got.API != test.version {
				t.Errorf("called in version %q, ping said %q, want %q", version, got.API, test.version)
			}
			if test.version == "" || test.text != "" {
				if pingErr == nil || !strings.Contains(pingErr.Error(), test.text) {
					t.Errorf("ping: %v, want %q", pingErr, test.text)
				}
			}
			if (err == nil) != (test.version != "") || kindsOf(err) != test.kind {
				t.Errorf("start: %v, kind %q", err, kindsOf(err))
			}
		})
	}
}

// says answers with what is not HTTP.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, text)
		conn.Close()
	}
}

func offers(version string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Api-Version", version) }
}

func TestPing(t *testing.T) {
	header := http.Header{"Api-Version": {"1.41"}, "Server": {"Docker/20.10.24 (linux)"}, "Ostype": {"linux"}}
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		for key, values := range header {
			w.Header()[key] = values
		}
	})
	want := Version{API: "1.41", MaxAPI: "1.41", Server: "Docker/20.10.24 (linux)"}
	if got, err := c.Ping(background(t)); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	header.Set("Libpod-Api-Version", "5.4.2")
	if got, err := c.Ping(background(t)); !got.Podman || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	header.Del("Libpod-Api-Version")
	header.Set("Server", "Libpod/5.4.2 (linux)")
	if got, err := c.Ping(background(t)); !got.Podman || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// changing is an engine whose versions change, as by an up- or downgrade. It
// counts its pings and calls.
type changing struct {
	min, max     atomic.Int32 // minor versions
	pings, calls atomic.Int32
	quiet        atomic.Bool // answers carry no Api-Version
}

func (e *changing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	max := int(e.max.Load())
	ping := strings.HasSuffix(r.URL.Path, "/_ping")
	if ping {
		e.pings.Add(1)
	} else {
		e.calls.Add(1)
	}
	if ping || !e.quiet.Load() {
		w.Header().Set("Api-Version", fmt.Sprintf("1.%d", max))
	}
	var minor int
	fmt.Sscanf(r.URL.Path, "/v1.%d/", &minor)
	switch {
	case r.URL.Path == "/_ping":
	case minor > max:
		http.Error(w, fmt.Sprintf(`{"message":"client version 1.%d is too new. Maximum supported API version is 1.%d"}`, minor, max), 400)
	case minor < int(e.min.Load()):
		http.Error(w, fmt.Sprintf(`{"message":"client version 1.%d is too old. Minimum supported API version is 1.%d, please upgrade your client to a newer version"}`, minor, e.min.Load()), 400)
	case ping:
	case strings.HasSuffix(r.URL.Path, "/wait"):
		fmt.Fprintf(w, `{"StatusCode":0}`)
	default:
		w.WriteHeader(204)
	}
}

func TestRenegotiation(t *testing.T) {
	for _, test := range []struct {
		name     string
		min, max int32 // after the change
		quiet    bool
		kind     string
		pings    int32 // in all
		calls    int32
	}{
		{"downgrade", 24, 41, true, "", 2, 3},
		{"downgrade below us", 12, 39, true, "version", 2, 2},
		{"upgrade", 24, 47, false, "", 1, 2},
		{"upgrade above us", 53, 60, true, "version", 2, 3},
		{"upgrade above the old version", 45, 47, true, "", 2, 3},
	} {
		for name, call := range map[string]func(ctx context.Context, c *Client) error{
			"short": func(ctx context.Context, c *Client) error { return c.StartContainer(ctx, "x") },
			"long": func(ctx context.Context, c *Client) error {
				_, err := joinWait(c.WaitContainer(ctx, "x", NextExit))
				return err
			},
		} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				var e changing
				e.min.Store(24)
				e.max.Store(44)
				e.quiet.Store(true)
				c := serve(t, "unix", e.ServeHTTP)
				if err := call(background(t), c); err != nil {
					t.Fatal(err)
				}
				e.min.Store(test.min)
				e.max.Store(test.max)
				e.quiet.Store(test.quiet)
				if err := call(background(t), c); kindsOf(err) != test.kind {
					t.Errorf("kind %q: %v", kindsOf(err), err)
				}
				if e.pings.Load() != test.pings || e.calls.Load() != test.calls {
					t.Errorf("%d pings, %d calls; want %d and %d", e.pings.Load(), e.calls.Load(), test.pings, test.calls)
				}
			})
		}
	}
}

// An answer that shows another version is noticed before it does harm.
func TestVersionFollowsAnswers(t *testing.T) {
	var e changing
	e.min.Store(24)
	e.max.Store(44)
	c := serve(t, "unix", e.ServeHTTP)
	for _, max := range []int32{44, 47, 47, 47} { // the first 47 is seen, the second follows
		e.max.Store(max)
		if err := c.StartContainer(background(t), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if v, _ := c.version(background(t)); v.API != "1.47" || e.pings.Load() != 2 {
		t.Errorf("version %s after %d pings", v.API, e.pings.Load())
	}
}

// After a broken connection the engine may be another.
func TestRenegotiationAfterBreak(t *testing.T) {
	var e changing
	e.min.Store(24)
	e.max.Store(44)
	e.quiet.Store(true)
	var cut atomic.Bool
	c := serve(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_ping" && cut.CompareAndSwap(true, false) {
			conn, _ := hijack(w)
			conn.Close()
			return
		}
		e.ServeHTTP(w, r)
	})
	for name, call := range map[string]func() error{
		"short": func() error {
			return errOf(c.CreateContainer(background(t), "x", ContainerConfig{}))
		},
		"long": func() error { return errOf(c.WaitContainer(background(t), "x", NextExit)) },
	} {
		before := e.pings.Load()
		cut.Store(true)
		if err := call(); !errors.Is(err, ErrUnreachable) {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.StartContainer(background(t), "x"); err != nil {
			t.Fatal(err)
		}
		if e.pings.Load() == before {
			t.Errorf("%s: not renegotiated", name)
		}
	}
}

func TestPinnedIsNotRenegotiated(t *testing.T) {
	var e changing
	e.min.Store(24)
	e.max.Store(41)
	c := serve(t, "unix", e.ServeHTTP)
	c.pinned = "1.45"
	if err := c.StartContainer(background(t), "x"); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if e.pings.Load() != 0 || e.calls.Load() != 1 {
		t.Errorf("%d pings, %d calls", e.pings.Load(), e.calls.Load())
	}
}

// TestPinnedPing: an engine that refuses the pinned version does not answer the ping, although it would answer one without
// a version. It does as soon as it takes that version.
func TestPinnedPing(t *testing.T) {
	var e changing
	e.min.Store(24)
	e.max.Store(41)
	c := serve(t, "unix", e.ServeHTTP)
	c.pinned = "1.45"
	v, err := c.Ping(background(t))
	want := fmt.Sprintf("the docker engine at %v refuses the pinned API version: client version 1.45 is too new. Maximum supported API version is 1.41", c.host)
	if v.API != "" || !errors.Is(err, ErrPinned) || !errors.Is(err, ErrVersion) || errors.Is(err, ErrUnreachable) || err.Error() != want {
		t.Errorf("%+v, %v", v, err)
	}
	e.max.Store(45)
	if v, err := c.Ping(background(t)); v.API != "1.45" || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	e.min.Store(46)
	e.max.Store(52)
	if _, err := c.Ping(background(t)); !errors.Is(err, ErrPinned) {
		t.Error(err)
	}
}

// Many first calls share one ping, and its failure; a leader that is cancelled
// takes nobody with it.
func TestSingleFlight(t *testing.T) {
	var e changing
	e.min.Store(24)
	e.max.Store(44)
	arrived, release := make(chan struct{}), make(chan struct{})
	c := serve(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_ping" && e.pings.Load() == 0 {
			e.pings.Add(1)
			close(arrived)
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		e.ServeHTTP(w, r)
	})
	leader, cancel := context.WithCancel(background(t))
	var all sync.WaitGroup
	all.Go(func() {
		if err := c.StartContainer(leader, "x"); err != context.Canceled {
			t.Errorf("leader: %v", err)
		}
	})
	<-arrived
	for range 20 {
		all.Go(func() {
			if err := c.StartContainer(background(t), "x"); err != nil {
				t.Error(err)
			}
		})
	}
	gone, cancelGone := context.WithCancel(background(t))
	cancelGone()
	if err := c.StartContainer(gone, "x"); err != context.Canceled {
		t.Errorf("cancelled follower: %v", err)
	}
	cancel()
	all.Wait()
	close(release)
	if got := e.pings.Load(); got != 2 {
		t.Errorf("%d pings", got)
	}
}

// What an engine is too old for is not asked of it: it would leave it out
// without a word.
func TestNeeds(t *testing.T) {
	signal := StopOptions{Signal: "SIGINT"}
	for _, test := range []struct{ offered, pinned, want string }{
		{"1.41", "", `stop container "x": the option Signal needs API 1.42 (Docker Engine 23.0), and this engine has 1.41`},
		{"1.44", "1.41", `stop container "x": the option Signal needs API 1.42 (Docker Engine 23.0), and the version is pinned to 1.41`},
		{"1.42", "", ""}, {"1.60", "", ""}, {"1.44", "1.44", ""},
	} {
		var got string
		c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", test.offered)
			if r.URL.Path != "/_ping" {
				got = r.URL.RequestURI()
				w.WriteHeader(204)
			}
		})
		c.pinned = test.pinned
		err := c.StopContainer(background(t), "x", signal)
		if test.want == "" {
			if err != nil || !strings.HasSuffix(got, "/containers/x/stop?signal=SIGINT") {
				t.Errorf("%+v: %v, %s", test, err, got)
			}
			continue
		}
		if err == nil || err.Error() != test.want || kindsOf(err) != "invalid" || got != "" {
			t.Errorf("%+v: %v, %s", test, err, got)
		}
	}
	// Of several, the first that is not met; and a version that no engine of
	// this list was the first to have.
	r := &request{operation: operation{Call: callOf(opCreate), target: "x"}, needs: []need{{"a", "1.40"}, {"b", "1.99"}, {"c", "1.44"}}}
	if err := r.unmet("1.100", "this engine has"); err != nil {
		t.Error(err)
	}
	if err := r.unmet("1.40", "this engine has"); err == nil || err.Error() != `create container "x": b needs API 1.99, and this engine has 1.40` {
		t.Error(err)
	}
}

// An engine was there; its connections break, and for a moment something else answers at its address (a forward, a
// balancer, a port taken by another). What is asked then is for an engine that is away: it comes back.
func TestMomentOfSomethingElse(t *testing.T) {
	var other atomic.Bool
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if other.Load() {
			conn, _ := hijack(w)
			defer conn.Close()
			if r.URL.Path == "/_ping" {
				io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n")
			}
			return
		}
		if !answerPing(w, r) {
			w.WriteHeader(204)
		}
	})
	ctx := background(t)
	if _, err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.StartContainer(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	other.Store(true)
	if err := c.StartContainer(ctx, "x"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("first: %v", err)
	}
	if err := c.StartContainer(ctx, "x"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("second, before anybody has closed the gate: not ErrUnreachable: %v", err)
	}
}

// With a pinned version an exec of Podman whose program ran, and exited with 127, is one that ran.
func TestPinnedPodmanExec(t *testing.T) {
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Libpod-Api-Version", "4.3.1")
		w.Header().Set("Server", "Libpod/4.3.1 (linux)")
		if strings.HasSuffix(r.URL.Path, "/json") {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"ContainerID":"`+strings.Repeat("a", 64)+`","Running":false,"ExitCode":127,"Pid":0}`)
		}
	})
	c.pinned = "1.41"
	ctx := background(t)
	if v, err := c.Ping(ctx); err != nil || !v.Podman {
		t.Fatal(v, err)
	}
	e, err := c.InspectExec(ctx, strings.Repeat("b", 64))
	if err != nil || e.NeverRan {
		t.Errorf("%+v, %v", e, err)
	}
}
