package flagval

import (
	"reflect"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

type namedEndpoint struct {
	name string
	dockerapi.EndpointSettings
}

func TestParseNetwork(t *testing.T) {
	const known = `expected "name", "alias", "ip", "ip6", "link-local-ip", "mac-address", "driver-opt" or "gw-priority"`
	my := func(e dockerapi.EndpointSettings) namedEndpoint { return namedEndpoint{"mynet", e} }
	ipam := func(i dockerapi.EndpointIPAM) namedEndpoint {
		return my(dockerapi.EndpointSettings{IPAMConfig: &i})
	}
	none := dockerapi.EndpointSettings{}
	parse := func(s string) (namedEndpoint, error) {
		name, e, err := ParseNetwork(s)
		return namedEndpoint{name, e}, err
	}
	testParse(t, parse, []taken[namedEndpoint]{
		{"mynet", my(none)},
		{"host", namedEndpoint{"host", none}},
		{"container:x", namedEndpoint{"container:x", none}},
		{"My Net", namedEndpoint{"My Net", none}}, // the engine says that there is none
		{"name=mynet", my(none)},
		{"NAME=mynet", my(none)},
		{"name=a,name=mynet", my(none)},
		{"name=bridge", namedEndpoint{"bridge", none}},
		{"name=mynet,alias=a", my(dockerapi.EndpointSettings{Aliases: []string{"a"}})},
		{"alias=a,name=mynet,alias=b", my(dockerapi.EndpointSettings{Aliases: []string{"a", "b"}})},
		{"name=mynet,ip=10.0.0.9,ip6=2001:db8::5", ipam(dockerapi.EndpointIPAM{IPv4Address: "10.0.0.9", IPv6Address: "2001:db8::5"})},
		{"name=mynet,link-local-ip=169.254.0.1,link-local-ip=fe80::1", ipam(dockerapi.EndpointIPAM{LinkLocalIPs: []string{"169.254.0.1", "fe80::1"}})},
		{"name=mynet,mac-address=02:42:ac:11:00:02", my(dockerapi.EndpointSettings{MacAddress: "02:42:ac:11:00:02"})},
		{"name=mynet,driver-opt=a=1,driver-opt=b=", my(dockerapi.EndpointSettings{DriverOpts: map[string]string{"a": "1", "b": ""}})},
		{`name=mynet,"driver-opt=a=1,2"`, my(dockerapi.EndpointSettings{DriverOpts: map[string]string{"a": "1,2"}})},
		{"name=mynet,gw-priority=-1", my(dockerapi.EndpointSettings{GwPriority: -1})},
		// The docker CLI makes these lower case, and so finds no network of the name MyNet,
		{"name=MyNet,alias=A", namedEndpoint{"MyNet", dockerapi.EndpointSettings{Aliases: []string{"A"}}}},
		{"name=mynet,driver-opt=K=V", my(dockerapi.EndpointSettings{DriverOpts: map[string]string{"K": "V"}})},
		// and takes this for a name.
		{"name = mynet , alias = a", my(dockerapi.EndpointSettings{Aliases: []string{"a"}})},
	}, []refused{
		{"", `expected a network's name, got ""`},
		{" ", `expected a network's name, got " "`},
		{"name=", `expected a network's name, name=..., got "name="`},
		{"alias=a", `expected a network's name, name=..., got "alias=a"`},
		{"name=mynet,alias", `expected name=value, got "alias" in "name=mynet,alias"`},
		{"name=mynet,", `expected name=value, got "" in "name=mynet,"`},
		{"mynet,alias=a", `expected name=value, got "mynet" in "mynet,alias=a"`},
		{"name=mynet,foo=bar", `unknown field "foo" in "name=mynet,foo=bar"; ` + known},
		{"name=mynet,aliases=a", `unknown field "aliases" in "name=mynet,aliases=a"; did you mean "alias"?`},
		{"name=bridge,alias=a", `the network "bridge" takes no aliases; only one that was created does`},
		{"name=mynet,mac-address=x", `mac-address: expected a MAC address such as "02:42:ac:11:00:02", got "x"`},
		{"name=mynet,driver-opt=k", `driver-opt: expected name=value, got "k"`},
		{"name=mynet,driver-opt==v", `driver-opt: expected name=value, got "=v"`},
		{"name=mynet,gw-priority=x", `gw-priority: expected a whole number, got "x"`},
		// The docker CLI leaves these to the engine,
		{"name=mynet,ip=x", `ip: expected an IPv4 address such as "172.30.0.5", got "x"`},
		{"name=mynet,ip=::1", `ip: expected an IPv4 address such as "172.30.0.5", got "::1"`},
		{"name=mynet,ip6=10.0.0.1", `ip6: expected an IPv6 address such as "2001:db8::5", got "10.0.0.1"`},
		{"name=mynet,link-local-ip=x", `link-local-ip: expected an IP address, got "x"`},
		// takes these for not given,
		{"name=mynet,ip=", `ip: expected an IPv4 address such as "172.30.0.5", got ""`},
		{"name=mynet,mac-address=", `mac-address: expected a MAC address such as "02:42:ac:11:00:02", got ""`},
		// and overlooks a second line.
		{"name=mynet\nalias=a", `expected fields separated by commas, got "name=mynet\nalias=a": it has more than one line`},
	})
}

func FuzzParseNetwork(f *testing.F) {
	for _, s := range []string{
		"mynet", "name=mynet,alias=a,ip=10.0.0.9,ip6=2001:db8::5", "name=x,mac-address=02:42:ac:11:00:02,link-local-ip=fe80::1",
		`name=x,"driver-opt=a=b,c",gw-priority=-1`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, e, err := ParseNetwork(s)
		if err != nil {
			return
		}
		if strings.TrimSpace(name) == "" {
			t.Fatalf("%q: the name is %q", s, name)
		}
		if !strings.Contains(s, "=") {
			if name != s || !reflect.DeepEqual(e, dockerapi.EndpointSettings{}) {
				t.Fatalf("%q: %q, %+v", s, name, e)
			}
			return
		}
		// Behind themselves the fields say the same again; those that are lists get longer.
		one := strings.Trim(s, "\r\n")
		again, twice, err := ParseNetwork(one + "," + one)
		if err != nil || again != name || len(twice.Aliases) != 2*len(e.Aliases) {
			t.Fatalf("%q: %q, %+v, twice %q, %+v, %v", s, name, e, again, twice, err)
		}
		twice.Aliases, twice.IPAMConfig, e.Aliases, e.IPAMConfig = nil, nil, nil, nil
		if !reflect.DeepEqual(twice, e) {
			t.Fatalf("%q: %+v, twice %+v", s, e, twice)
		}
	})
}
