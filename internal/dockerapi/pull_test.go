package dockerapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Pulls by a real engine from registries of the tests: see registry_test.go.

// eachPuller runs a test by one of the ways to the engine: the pull is the
// engine's. It is skipped where the engine cannot reach a registry of ours.
func eachPuller(t *testing.T, test func(t *testing.T, ctx context.Context, c *Client)) {
	t.Parallel()
	engines := realEngines(t)
	for _, name := range []string{"DOCKER_HOST", "tcp", "tls"} {
		c := engines[name]
		if c == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		g := newRegistry(t)
		ref := g.image(t, "dockerapi-test/reach", 10)
		err := c.PullImage(ctx, ref, PullOptions{}, nil)
		if err != nil {
			v, pingErr := c.Ping(ctx)
			if pingErr != nil {
				t.Fatal(pingErr)
			}
			if v.Podman && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
				t.Skip("this Podman wants a registry with TLS: no registries.conf says that one on loopback is insecure")
			}
			if g.asked.Load() == 0 && !c.Host().IsUnix() && os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") != "1" {
				t.Skipf("the engine at %v does not reach a registry on this machine: %v", c.Host(), err)
			}
			t.Fatal(err)
		}
		removeImage(t, c, ref)
		test(t, ctx, c)
		return
	}
}

// removeImage removes an image that a test has pulled. The client needs no such
// call, so that it is made here.
func removeImage(t *testing.T, c *Client, ref string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r := &request{operation: operation{Call: &Call{op: "remove image", want: []int{200}}, target: ref, limit: time.Minute}, method: "DELETE", path: "/images/" + ref}
	if err := c.do(ctx, r, nil); err != nil {
		t.Error(err)
	}
}

// credentialsOf are those of a config.json that has one entry.
func credentialsOf(t *testing.T, registry, entry string) *Credentials {
	t.Helper()
	getenv, _ := writeConfig(t, `{"auths":{"`+registry+`":`+entry+`}}`)
	c, err := LoadCredentials(getenv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func userAndPassword(user, password string) string {
	return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + `"}`
}

func TestRealPullCredentials(t *testing.T) {
	eachPuller(t, func(t *testing.T, ctx context.Context, c *Client) {
		const password = `p:?>~ä"\` // of characters that base64 and JSON make something of
		for name, bearer := range map[string]bool{"basic": false, "token": true} {
			g := newRegistry(t)
			g.user, g.password, g.bearer, g.identity = "someone", password, bearer, "refresh-of-the-test"
			ref := g.image(t, "dockerapi-test/"+name, 20000)
			pull := func(c *Client, entry string) error {
				t.Helper()
				auth, err := credentialsOf(t, g.address, entry).For(ctx, ref)
				if err != nil {
					t.Fatal(err)
				}
				err = c.PullImage(ctx, ref, PullOptions{Auth: auth}, nil)
				if err != nil && (strings.Contains(err.Error(), password) || auth != "" && strings.Contains(err.Error(), auth)) {
					t.Errorf("%s: a secret in %v", name, err)
				}
				return err
			}
			for what, entry := range map[string]string{"none": `{}`, "wrong": userAndPassword("someone", "else")} {
				err := pull(c, entry)
				if !errors.Is(err, ErrUnauthorized) && !errors.Is(err, ErrNoSuchImage) {
					t.Errorf("%s, %s: kind %q: %v", name, what, kindsOf(err), err)
				}
				t.Logf("%s, %s: %s: %v", name, what, kindsOf(err), err)
			}
			if err := pull(c, userAndPassword("someone", password)); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			removeImage(t, c, ref)
			if bearer {
				if err := pull(c, `{"identitytoken":"`+g.identity+`"}`); err != nil {
					t.Errorf("identity token: %v", err)
					continue
				}
				removeImage(t, c, ref)
			}
		}
	})
}

func TestRealPullFailures(t *testing.T) {
	eachPuller(t, func(t *testing.T, ctx context.Context, c *Client) {
		if v, err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		} else if v.Podman {
			// It tries again for minutes by itself, without a word.
			c.limits.pull = 8 * time.Second
		}
		t.Run("no such image", func(t *testing.T) {
			g := newRegistry(t)
			err := c.PullImage(ctx, g.address+"/dockerapi-test/none:1", PullOptions{}, nil)
			t.Log(err)
			if !errors.Is(err, ErrNoSuchImage) {
				t.Errorf("kind %q: %v", kindsOf(err), err)
			}
		})
		for _, html := range []bool{false, true} {
			for status, want := range map[int]string{429: "temporary", 500: "temporary", 502: "temporary", 503: "temporary", 403: "unauthorized"} {
				t.Run(fmt.Sprintf("%d/%v", status, html), func(t *testing.T) {
					g := newRegistry(t)
					ref := g.image(t, fmt.Sprintf("dockerapi-test/status-%d-%v", status, html), 100)
					g.failure, g.html = status, html
					g.failures.Store(1000)
					err := c.PullImage(ctx, ref, PullOptions{}, nil)
					t.Log(err)
					if got := kindsOf(err); got != want && !(status == 403 && got == "no image") {
						t.Errorf("kind %q, want %q: %v", got, want, err)
					}
					g.failures.Store(0)
					if err := c.PullImage(ctx, ref, PullOptions{}, nil); err != nil {
						t.Error(err)
						return
					}
					removeImage(t, c, ref)
				})
			}
		}
		t.Run("no registry", func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			err = c.PullImage(ctx, l.Addr().String()+"/a:1", PullOptions{}, nil)
			t.Log(err)
			if !errors.Is(err, ErrTemporary) {
				t.Errorf("kind %q: %v", kindsOf(err), err)
			}
		})
		t.Run("resets", func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var accepting sync.WaitGroup
			accepting.Go(func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conn.(*net.TCPConn).SetLinger(0)
					conn.Close()
				}
			})
			defer accepting.Wait()
			defer l.Close()
			err = c.PullImage(ctx, l.Addr().String()+"/a:1", PullOptions{}, nil)
			t.Log(err)
			if !errors.Is(err, ErrTemporary) {
				t.Errorf("kind %q: %v", kindsOf(err), err)
			}
		})
	})
}

// A registry that stalls: the engine waits for it for ever. One that is slow is
// waited for.
func TestRealPullStalls(t *testing.T) {
	eachPuller(t, func(t *testing.T, ctx context.Context, c *Client) {
		c.limits.pull = 1500 * time.Millisecond
		for _, where := range []string{"blob", "manifest"} {
			t.Run(where, func(t *testing.T) {
				g := newRegistry(t)
				ref := g.image(t, "dockerapi-test/stall-"+where, 300000)
				on := make(chan struct{})
				if where == "blob" {
					g.hang = on
				} else {
					g.silent = on
				}
				var steps []PullProgress
				begin := time.Now()
				err := c.PullImage(ctx, ref, PullOptions{}, func(p PullProgress) { steps = append(steps, p) })
				t.Logf("after %v: %v; %+v", time.Since(begin), err, steps)
				if !errors.Is(err, ErrTemporary) || !strings.Contains(err.Error(), "no progress for 1.5s") {
					t.Errorf("kind %q: %v", kindsOf(err), err)
				}
				close(on)
			})
		}
		t.Run("slow", func(t *testing.T) {
			c.limits.pull = 3 * time.Second
			g := newRegistry(t)
			g.slow = true
			ref := g.image(t, "dockerapi-test/slow", 2000000)
			begin := time.Now()
			if err := c.PullImage(ctx, ref, PullOptions{}, nil); err != nil {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
			removeImage(t, c, ref)
			if d := time.Since(begin); d < c.limits.pull {
				t.Errorf("it took only %v", d)
			}
		})
	})
}
