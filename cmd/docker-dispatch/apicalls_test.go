package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// listedCalls are the calls that --api-calls prints.
func listedCalls(t *testing.T) (routes []string) {
	t.Helper()
	stdout, stderr, code := call("", nil, "--api-calls")
	if stderr != "" || code != 0 {
		t.Fatalf("--api-calls: exit %d, stderr %q", code, stderr)
	}
	for line := range strings.Lines(stdout) {
		words := strings.Fields(line)
		if len(words) < 3 {
			t.Fatalf("line %q", line)
		}
		routes = append(routes, words[0]+" "+words[1])
	}
	return routes
}

// A gate is a proxy before the engine, which lets through only some calls, and refuses the others.
type gate struct {
	address string // as DOCKER_HOST

	mu      sync.Mutex
	used    map[string]int // by route
	refused []string
}

// gated starts a gate for these routes.
func (l *lab) gated(routes []string) *gate {
	l.t.Helper()
	socket, ok := strings.CutPrefix(l.dockerHost, "unix://")
	if !ok {
		l.t.Skipf("%s is no socket", l.dockerHost)
	}
	engine := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
		// A wait gets its header long before its answer.
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	g := &gate{used: map[string]int{}}
	calls := http.NewServeMux()
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		pass := func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			g.used[route]++
			n := g.used[route]
			g.mu.Unlock()
			switch {
			case route == "HEAD /_ping" && n == 1: // as by a proxy that does not know HEAD
				w.WriteHeader(http.StatusMethodNotAllowed)
			case route == "POST /images/create": // no registry is asked
				io.WriteString(w, `{"status":"Pulling"}`)
			default:
				engine.ServeHTTP(w, r)
			}
		}
		calls.HandleFunc(method+" /{version}"+path, pass)
		if path == "/_ping" { // without a version unless that is pinned
			calls.HandleFunc(route, pass)
		}
	}
	calls.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.refused = append(g.refused, r.Method+" "+r.URL.Path)
		http.Error(w, "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>", http.StatusForbidden) // as HAProxy does
	})
	server := httptest.NewUnstartedServer(calls)
	server.Config.ErrorLog = engine.ErrorLog
	server.Start()
	l.t.Cleanup(server.Close)
	g.address = "tcp://" + server.Listener.Addr().String()
	return g
}

// TestAPICalls: the daemon does all its work through a proxy that allows the calls of --api-calls only, and makes each of
// them.
func TestAPICalls(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	routes := listedCalls(t)
	g := l.gated(routes)
	p := l.start("--format", "json", "--min-free", "1m", "="+g.address)
	n := l.everyCommand(p)
	name := "ended-" + l.serial
	for _, m := range []struct {
		body string
		want event.Result
	}{
		{`{"Dockercmd":"pull","Image":"busybox"}`, event.Result{Status: event.Succeeded}},
		{`{"Dockercmd":"run","Image":"busybox","Cmd":["cat"],"Options":{"Attach":["STDIN","STDOUT"],"Remove":true,"Stdin":"in"}}`, event.Result{Status: event.Succeeded, Stdout: "in"}},
		{`{"Dockercmd":"run","Image":"busybox","Cmd":["sh","-c","exit 143"],"Options":{"Attach":["STDOUT"],"Name":"` + name + `"}}`, event.Result{Status: event.Failed, Reason: event.ReasonExit}},
		{`{"Dockercmd":"remove","Container":"` + name + `"}`, event.Result{Status: event.Succeeded}},
		{`{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{"Name":"` + name + `"}}`, event.Result{Status: event.Succeeded}},
		{`{"Dockercmd":"wait","Container":"` + name + `"}`, event.Result{Status: event.Succeeded}},
	} {
		l.publish(publication{"", m.body})
		n++
		p.done(n)
		results := p.results()
		if r := results[len(results)-1]; r.Status != m.want.Status || r.Reason != m.want.Reason || r.Stdout != m.want.Stdout {
			t.Errorf("%s: %+v", m.body, r)
		}
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}

	// An engine before API 1.44 takes one network in a create.
	networks := []string{"a-" + l.serial, "b-" + l.serial}
	for _, network := range networks {
		l.docker(t, "network", "create", network)
		t.Cleanup(func() { l.docker(t, "network", "rm", network) })
	}
	t.Cleanup(func() { l.docker(t, "volume", "rm", "v-"+l.serial) })
	c := program(t, g.address, "-")
	c.Env = append(c.Env, "DOCKER_API_VERSION=1.41")
	c.Stdin = strings.NewReader(`{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{"Remove":true,"Volume":"v-` + l.serial + `:/v","Network":["` + strings.Join(networks, `","`) + `"]}}`)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.refused) > 0 {
		t.Errorf("refused: %q", g.refused)
	}
	for _, route := range routes {
		if g.used[route] == 0 {
			t.Errorf("not used: %s", route)
		}
	}
}

// TestRefusedCalls: an error names the call that a proxy refuses, the proxy, and the remedy. What the other calls can do
// goes on.
func TestRefusedCalls(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	refused := []string{"GET /events", "GET /networks/{id}", "POST /containers/{id}/exec", "POST /images/create"}
	g := l.gated(slices.DeleteFunc(listedCalls(t), func(route string) bool { return slices.Contains(refused, route) }))
	says := func(call string) string {
		return "the server at " + g.address + " refuses the call " + call + " (status 403 Forbidden: <html><body><h1>403 Forbidden</h1> Request forbidden by administrative rules. </body></html>); " +
			"if it is a proxy, let it allow the calls that docker-dispatch --api-calls prints"
	}
	p := l.start("--format", "json", "="+g.address)
	name := "refused-" + l.serial
	for i, m := range []struct {
		body string
		want event.Result
	}{
		{`{"Dockercmd":"run","Image":"busybox","Cmd":["sleep","600"],"Options":{"Name":"NAME"}}`, event.Result{Status: event.Succeeded}},
		{`{"Dockercmd":"exec","Container":"NAME","Cmd":["true"]}`, event.Result{Status: event.Errored, Reason: event.ReasonEngine, Error: says("POST /containers/{id}/exec")}},
		{`{"Dockercmd":"remove","Container":"NAME","Options":{"Force":true}}`, event.Result{Status: event.Succeeded}},
		{`{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{"Name":"NAME"}}`, event.Result{Status: event.Succeeded}},
		{`{"Dockercmd":"wait","Container":"NAME"}`, event.Result{Status: event.Succeeded}},
		{`{"Dockercmd":"pull","Image":"busybox"}`, event.Result{Status: event.Errored, Reason: event.ReasonEngine, Error: says("POST /images/create")}},
		{`{"Dockercmd":"run","Image":"busybox:none"}`, event.Result{Status: event.Errored, Reason: event.ReasonEngine, Error: says("POST /images/create")}},
	} {
		l.publish(publication{"", strings.ReplaceAll(m.body, "NAME", name)})
		p.done(i + 1)
		r := p.results()[i]
		if r.Status != m.want.Status || r.Reason != m.want.Reason || !strings.HasSuffix(r.Error, m.want.Error) {
			t.Errorf("%s: %+v", m.body, r)
		}
	}
	l.publish(publication{"", `{"Dockercmd":"run","Image":"busybox","Cmd":["sh","-c","echo began; sleep 600"],"Options":{"Name":"KILLED-` + name + `","Attach":["STDOUT"]}}`})
	p.awaitText("began")
	l.docker(t, "kill", "KILLED-"+name)
	p.done(8)
	if r := p.results()[7]; r.Reason != event.ReasonExit || *r.ExitCode != 137 { // and not killed
		t.Errorf("%+v", r)
	}
	p.stop()
	g.mu.Lock()
	for _, call := range []string{"GET /events", "GET /networks/bridge"} {
		if method, path, _ := strings.Cut(call, " "); !slices.ContainsFunc(g.refused, func(r string) bool { return strings.HasPrefix(r, method) && strings.HasSuffix(r, path) }) {
			t.Errorf("not asked for: %s", call)
		}
	}
	g.mu.Unlock()

	g = l.gated(slices.DeleteFunc(listedCalls(t), func(route string) bool { return route == "GET /info" }))
	p = l.start("--min-free", "1k", "="+g.address)
	p.awaitLog(`msg="the engine's disk cannot be looked at, see --min-free; no messages are taken until it can"`)
	p.awaitLog(says("GET /info"))
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}

	g = l.gated(nil)
	p = l.start("=" + g.address)
	p.awaitLog(`msg="engine does not answer; no messages are taken until it does" error="` + says("GET /_ping"))
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}
