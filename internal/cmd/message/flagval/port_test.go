package flagval

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func TestParsePublish(t *testing.T) {
	type bindings = map[string][]dockerapi.PortBinding
	at := func(port, ip, host string) bindings {
		return bindings{port: {{HostIP: ip, HostPort: host}}}
	}
	const (
		port     = `expected a port from 0 to 65535, or a range such as "8000-8010", got `
		protocol = `expected the protocol "tcp", "udp" or "sctp", got `
		address  = `expected an IP address of the host, got `
		missing  = `the container's port is missing`
	)
	// Several are separated by spaces here.
	parse := func(s string) (bindings, error) {
		return ParsePublish(strings.Split(s, " "))
	}
	testParse(t, parse, []taken[bindings]{
		{"80", at("80/tcp", "", "")},
		{"8080:80", at("80/tcp", "", "8080")},
		{":80", at("80/tcp", "", "")},
		{"::80", at("80/tcp", "", "")},
		{"80/", at("80/tcp", "", "")},
		{"80/SCTP", at("80/sctp", "", "")},
		{"127.0.0.1:8080:80/udp", at("80/udp", "127.0.0.1", "8080")},
		{"127.0.0.1::80", at("80/tcp", "127.0.0.1", "")},
		{"[::1]:80:80", at("80/tcp", "::1", "80")},
		{"[::1]::80", at("80/tcp", "::1", "")},
		{"::1:8080:80", at("80/tcp", "::1", "8080")},
		{"[127.0.0.1]:1:80", at("80/tcp", "127.0.0.1", "1")},
		{"[]:1:80", at("80/tcp", "", "1")},
		{"8000-9000:80", at("80/tcp", "", "8000-9000")},
		{"8000-8000:80", at("80/tcp", "", "8000")},
		{"80-81", bindings{"80/tcp": {{}}, "81/tcp": {{}}}},
		{"8000-8001:80-81/udp", bindings{"80/udp": {{HostPort: "8000"}}, "81/udp": {{HostPort: "8001"}}}},
		{"008:080", at("80/tcp", "", "8")},
		{"0:80", at("80/tcp", "", "0")},
		{"80:0", at("0/tcp", "", "80")},
		{"80 8080:80", bindings{"80/tcp": {{}, {HostPort: "8080"}}}},
		{"127.0.0.1:1:80 [::1]:1:80 53:53/udp", bindings{
			"80/tcp": {{HostIP: "127.0.0.1", HostPort: "1"}, {HostIP: "::1", HostPort: "1"}},
			"53/udp": {{HostPort: "53"}},
		}},
		{"published=8080,target=80,protocol=tcp,mode=host", at("80/tcp", "", "8080")},
		{"target=80,protocol=UDP", at("80/udp", "", "")},
		{"target=80,protocol=", at("80/tcp", "", "")},
		{"target=80/udp", at("80/udp", "", "")},
		{"published=127.0.0.1:80,target=80", at("80/tcp", "127.0.0.1", "80")},
		{"target=80,target=81,mode=foo", at("81/tcp", "", "")},
	}, []refused{
		{"", missing},
		{":", missing},
		{"8080:", missing},
		{"/tcp", missing},
		{"published=8080", missing},
		{"x", port + `"x"`},
		{"65536", port + `"65536"`},
		{"+80", port + `"+80"`},
		{"-1", port + `"-1"`},
		{"x:80", `the host's: ` + port + `"x"`},
		{"85-80", `expected a range whose last port is not below its first, got "85-80"`},
		{"8000:80-85", `expected as many ports of the host as of the container, got 1 in "8000" for 6 in "80-85"`},
		{"80/foo", protocol + `"foo"`},
		{"target=80/udp,protocol=tcp", protocol + `"udp/tcp"`}, // udp for the docker CLI
		{"127.0.0.1:80", `the host's: ` + port + `"127.0.0.1"`},
		{"localhost:1:80", address + `"localhost"`},
		{"1.2.3:1:80", address + `"1.2.3"`},
		{"[fe80::1%eth0]:1:80", address + `"[fe80::1%eth0]"`},
		{"::1]:1:80", address + `"::1]"`},
		{"[::1:8080:80", `expected a ] behind the address, got "[::1"`},
		{"[::1]8080:80", `expected a ] behind the address, got "[:"`},
		{"8080:80=x", `unknown field "8080:80" in "8080:80=x"; expected "published", "target", "protocol" or "mode"`},
		{"target=80,x", `expected name=value, got "x" in "target=80,x"`},
		// The docker CLI overlooks what is too much here.
		{"target=80,publish=80", `unknown field "publish" in "target=80,publish=80"; did you mean "published"?`},
		{"80/tcp/udp", protocol + `"tcp/udp"`},
		{"80-90-100", port + `"80-90-100"`},
		{"1-2-3:80", `the host's: ` + port + `"1-2-3"`},
		{"1-60000 1-60000/udp", `expected at most 65536 ports, "1-60000/udp" makes them more`},
	})
	if b, err := ParsePublish([]string{"0-65535:0-65535/udp"}); err != nil || len(b) != MaxPorts {
		t.Errorf("all ports: %d of them, %v", len(b), err)
	}
}

func TestParseExpose(t *testing.T) {
	parse := func(s string) ([]string, error) {
		exposed, err := ParseExposed([]string{s})
		return slices.Sorted(maps.Keys(exposed)), err
	}
	testParse(t, parse, []taken[[]string]{
		{"80", []string{"80/tcp"}},
		{"80/", []string{"80/tcp"}},
		{"80/udp", []string{"80/udp"}},
		{"80/UDP", []string{"80/udp"}}, // the docker CLI leaves "80/UDP"
		{"0", []string{"0/tcp"}},
		{"7000-7002/sctp", []string{"7000/sctp", "7001/sctp", "7002/sctp"}},
	}, []refused{
		{"", `the container's port is missing`},
		{"/tcp", `the container's port is missing`},
		{"80:80", `expected a port of the container only, got "80:80"; Publish gives one of the host`},
		{"80-", `expected a port from 0 to 65535, or a range such as "8000-8010", got "80-"`},
		{"90-80", `expected a range whose last port is not below its first, got "90-80"`},
		{"80/foo", `expected the protocol "tcp", "udp" or "sctp", got "foo"`}, // the docker CLI sends it
	})
}

func FuzzParsePublish(f *testing.F) {
	for _, s := range []string{"80", "127.0.0.1:8080:80/udp", "[::1]::80-85", "8000-9000:80", "published=8080,target=80,protocol=tcp"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bindings, err := ParsePublish([]string{s})
		if err != nil {
			return
		}
		// What was read can be written in the short form again, and says the same.
		var specs []string
		for port, list := range bindings {
			if len(list) != 1 {
				t.Fatalf("%s has %v", port, list)
			}
			spec := list[0].HostPort + ":" + port
			if list[0].HostIP != "" {
				spec = "[" + list[0].HostIP + "]:" + spec
			}
			specs = append(specs, spec)
		}
		again, err := ParsePublish(specs)
		if err != nil || !reflect.DeepEqual(again, bindings) {
			t.Fatalf("%q: %v, then %v, %v", s, bindings, again, err)
		}
	})
}
