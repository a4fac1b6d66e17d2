package dockerapi

import (
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	for _, test := range []struct {
		addr, want string
		withTLS    string // want of WithTLS where it differs
	}{
		{addr: "", want: "unix:///var/run/docker.sock"},
		{addr: "unix://", want: "unix:///var/run/docker.sock"},
		{addr: "unix:///run/my.sock", want: "unix:///run/my.sock"},
		{addr: "UNIX:///run/my.sock", want: "unix:///run/my.sock"},
		{addr: "/run/my.sock", want: "unix:///run/my.sock"},
		{addr: "./my.sock", want: "unix://./my.sock"},
		{addr: "../my.sock", want: "unix://../my.sock"},
		{addr: "@docker", want: "unix://@docker"},
		{addr: "unix://rel/my.sock", want: "unix://rel/my.sock"},
		{addr: "172.17.0.1:2375", want: "tcp://172.17.0.1:2375"},
		{addr: "172.17.0.1:2376", want: "tcp://172.17.0.1:2376"},
		{addr: "172.17.0.1", want: "tcp://172.17.0.1:2375", withTLS: "tcp://172.17.0.1:2376"},
		{addr: "engine", want: "tcp://engine:2375", withTLS: "tcp://engine:2376"},
		{addr: "engine:", want: "tcp://engine:2375", withTLS: "tcp://engine:2376"},
		{addr: ":1234", want: "tcp://localhost:1234"},
		{addr: "tcp://", want: "tcp://localhost:2375", withTLS: "tcp://localhost:2376"},
		{addr: "tcp://engine:2375/", want: "tcp://engine:2375"},
		{addr: "tcp://engine/a/b/", want: "tcp://engine:2375/a/b", withTLS: "tcp://engine:2376/a/b"},
		{addr: "engine:80/base", want: "tcp://engine:80/base"},
		{addr: "[::1]", want: "tcp://[::1]:2375", withTLS: "tcp://[::1]:2376"},
		{addr: "[::1]:", want: "tcp://[::1]:2375", withTLS: "tcp://[::1]:2376"},
		{addr: "tcp://[fe80::1%eth0]:80", want: "tcp://[fe80::1%eth0]:80"},
		{addr: "http://engine", want: "tcp://engine:2375", withTLS: "tcp://engine:2376"},
		{addr: "https://engine", want: "tcp://engine:2376"},
		{addr: "https://engine:443/x", want: "tcp://engine:443/x"},
	} {
		h, err := ParseHost(test.addr)
		if err != nil {
			t.Errorf("ParseHost(%q): %v", test.addr, err)
			continue
		}
		if got := h.String(); got != test.want {
			t.Errorf("ParseHost(%q) = %s, want %s", test.addr, got, test.want)
		}
		if h.IsUnix() != strings.HasPrefix(test.want, "unix") {
			t.Errorf("ParseHost(%q).IsUnix() = %v", test.addr, h.IsUnix())
		}
		if h.TLS() != strings.HasPrefix(test.addr, "https") {
			t.Errorf("ParseHost(%q).TLS() = %v", test.addr, h.TLS())
		}
		withTLS := test.withTLS
		if withTLS == "" {
			withTLS = test.want
		}
		if got := h.WithTLS(); got.String() != withTLS || got.TLS() == h.IsUnix() {
			t.Errorf("ParseHost(%q).WithTLS() = %s, TLS %v; want %s", test.addr, got, got.TLS(), withTLS)
		}
	}
}

func TestParseHostRefuses(t *testing.T) {
	for addr, want := range map[string]string{
		"fd://":                        "not an address to connect to",
		"npipe:////./pipe/docker":      "Windows named pipe",
		"ssh://me@engine":              "ssh -L",
		"ftp://engine":                 `unknown scheme "ftp"`,
		"var/run/docker.sock":          "write ./var/run/docker.sock for a socket",
		"::1":                          "in brackets",
		"[::1":                         "bad IPv6 address",
		"[]:1":                         "bad IPv6 address",
		"[engine]:1":                   "bad IPv6 address",
		"[::1]x":                       "bad IPv6 address",
		"engine:0":                     "bad port",
		"engine:65536":                 "bad port",
		"engine:http":                  "bad port",
		"engine:-1":                    "bad port",
		"tcp://user:pw@engine:1":       "user name is not supported",
		"tcp://engine:1?x=1":           "query or fragment",
		"tcp://engine:1/%zz":           "bad path",
		"my engine:1":                  "bad host name",
		"bücher.example:1":             "write it in ASCII",
		" ":                            "bad host name",
		"/" + strings.Repeat("x", 107): "at most 107",
		"unix:///a\x00b":               "NUL",
	} {
		_, err := ParseHost(addr)
		if err == nil {
			t.Errorf("ParseHost(%q): no error", addr)
		} else if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "docker host ") {
			t.Errorf("ParseHost(%q): %v; want %q in it", addr, err, want)
		}
	}
	if _, err := ParseHost("/" + strings.Repeat("x", 106)); err != nil {
		t.Errorf("the longest path: %v", err)
	}
}

// TestParseHostHidesPassword: no error shows a password, whatever is in it.
func TestParseHostHidesPassword(t *testing.T) {
	for _, addr := range []string{
		"tcp://user:S3CRET@10.0.0.1:2375", "https://user:S3CRET@engine", "http://:S3CRET@engine/base", "user:S3CRET@10.0.0.1:2375",
		"tcp://user:S3/CRET@engine", "tcp://user:S3@CRET@engine", "tcp://user:S3?CRET@engine", "tcp://user:S3://CRET@engine", "ssh://user:S3CRET@engine", "AMQP://user:S3CRET@broker",
	} {
		_, err := ParseHost(addr)
		if err == nil || strings.Contains(err.Error(), "S3") || strings.Contains(err.Error(), "CRET") {
			t.Errorf("ParseHost(%q): %v", addr, err)
		}
	}
	if _, err := ParseHost("tcp://user:S3CRET@10.0.0.1:2375"); err == nil || !strings.Contains(err.Error(), `"tcp://user:xxxxx@10.0.0.1:2375": a user name`) {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Host{}, Options{}); err == nil {
		t.Error("empty host: no error")
	}
	for _, version := range []string{"1", "v1.41", "1.x", "1.41.0", "-1.2"} {
		if _, err := New(mustHost(t, ""), Options{APIVersion: version}); err == nil {
			t.Errorf("version %q: no error", version)
		}
	}
}

// TestHostHeader: an address's zone is not for the server.
func TestHostHeader(t *testing.T) {
	for addr, want := range map[string]string{
		"[fe80::1%eth0]:80": "[fe80::1]:80",
		"engine:2375":       "engine:2375",
		"/socket":           "docker",
	} {
		if got := mustHost(t, addr).header(); got != want {
			t.Errorf("%s: %q", addr, got)
		}
	}
}

// TestExposed: only a plain TCP address that is not this host's loopback may be in reach of containers.
func TestExposed(t *testing.T) {
	for address, want := range map[string]bool{
		"/var/run/docker.sock": false, "unix:///x": false, "172.17.0.1:2375": true, "tcp://engine.example:2375": true, "http://engine": true, "[::]:2375": true,
		"127.0.0.1:2375": false, "[::1]:2375": false, "tcp://localhost": false, ":2375": false, "https://engine.example": false, "tcp://engine.example:2376": true,
	} {
		h, err := ParseHost(address)
		if err != nil || h.Exposed() != want {
			t.Errorf("%s: %v, %v", address, h.Exposed(), err)
		}
	}
	h, _ := ParseHost("172.17.0.1:2375")
	if h.WithTLS().Exposed() {
		t.Error("an address with TLS is said to be plain")
	}
}
