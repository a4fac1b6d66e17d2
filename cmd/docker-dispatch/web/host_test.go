package web

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// TestHost: a site gets nothing of jobs or addresses by a name of its own that it points here, at whichever address the daemon
// listens.
func TestHost(t *testing.T) {
	self, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	cfg := idle().config(t)
	cfg.Numbers = func() status.Status { return status.Status{Ready: true} }
	cfg.Measured = cfg.Numbers
	h := Handler(cfg)
	ask := func(at net.Addr, host, path string) int {
		r := httptest.NewRequest("HEAD", path, http.NoBody)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, at)))
		return w.Code
	}
	socket := &net.UnixAddr{Name: "/run/http"}
	for host, refused := range map[string]bool{
		"127.0.0.1": false, "127.0.0.1:9323": false, "localhost": false, "LOCALHOST:80": false, "dispatch.localhost": false, "localhost.:1": false,
		"[::1]:9323": false, "[::1]": false, "10.1.2.3": false, self: false, self + ":9323": false, "dispatch": false, "dispatch:9323": false,
		"evil.example": true, "evil.example:9323": true, "evil.example.": true, "localhost.evil.example": true, "127.0.0.1.evil.example": true,
		"evil.localhost.example": true, self + ".evil.example": true, "[evil.example]:1": true, "": false,
	} {
		for _, ip := range []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(172, 17, 0, 2), net.IPv6loopback} {
			for path, shows := range map[string]bool{"/": true, "/job?id=x": true, "/events": true, "/log?id=x": true, "/readyz": true, "/healthz": false, "/metrics": false} {
				if got := ask(&net.TCPAddr{IP: ip, Port: 9323}, host, path); (got == http.StatusMisdirectedRequest) != (refused && shows) {
					t.Errorf("Host %q, %s at %v: %d", host, path, ip, got)
				}
				if got := ask(socket, host, path); got == http.StatusMisdirectedRequest {
					t.Errorf("Host %q, %s at a unix socket: %d", host, path, got)
				}
			}
		}
	}
	if !ownName("db1.example.com:80", "DB1.example.com") || ownName("db1.example.com", "db1") {
		t.Error("the name of this machine is its whole name")
	}
}
