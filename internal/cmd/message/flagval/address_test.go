package flagval

import (
	"strings"
	"testing"
)

func TestParseIP(t *testing.T) {
	const (
		four = `expected an IPv4 address such as "172.30.0.5", got `
		six  = `expected an IPv6 address such as "2001:db8::5", got `
		any  = `expected an IP address, got `
	)
	version := func(v int) func(string) error {
		return func(s string) error { return ParseIP(v)(s) }
	}
	testCheck(t, version(4), []string{"10.0.0.9"}, []refused{
		{"", four + `""`},
		{"::1", four + `"::1"`},
		{"1.2.3", four + `"1.2.3"`},
		{"010.0.0.1", four + `"010.0.0.1"`},
		{"::ffff:1.2.3.4", four + `"::ffff:1.2.3.4"`},
	})
	testCheck(t, version(6), []string{"::1", "2001:DB8::1"}, []refused{
		{"10.0.0.9", six + `"10.0.0.9"`},
		{"::ffff:1.2.3.4", six + `"::ffff:1.2.3.4"`}, // as the engine does
		{"[::1]", six + `"[::1]"`},
		{"fe80::1%eth0", six + `"fe80::1%eth0"`},
	})
	testCheck(t, version(0), []string{"::1", "10.0.0.9"}, []refused{{"x", any + `"x"`}, {"", any + `""`}})
}

func TestParseMAC(t *testing.T) {
	const mac = `expected a MAC address such as "02:42:ac:11:00:02", got `
	testCheck(t, ParseMAC, []string{"02:42:ac:11:00:02", "02-42-AC-11-00-02", "0242.ac11.0002", "02:42:ac:11:00:02:03:04"}, []refused{
		{"", mac + `""`},
		{"x", mac + `"x"`},
		{"02:42:ac:11:00", mac + `"02:42:ac:11:00"`},
	})
}

func TestParseDNS(t *testing.T) {
	const any = `expected an IP address, got `
	testParse(t, ParseDNS, []taken[string]{
		{"8.8.8.8", "8.8.8.8"},
		{" 8.8.8.8 ", "8.8.8.8"},
		{"2001:DB8:0:0::1", "2001:db8::1"},
		{"::ffff:8.8.8.8", "8.8.8.8"},
	}, []refused{
		{"", any + `""`},
		{"x", any + `"x"`},
		{"[::1]", any + `"[::1]"`},
		{"8.8.8.8:53", any + `"8.8.8.8:53"`},
		{"fe80::1%eth0", any + `"fe80::1%eth0"`},
	})
}

func TestParseDNSSearch(t *testing.T) {
	const domain = `expected a domain such as "example.com", or "." for none, got `
	a254 := strings.Repeat("a", 254)
	testParse(t, ParseDNSSearch, []taken[string]{
		{"example.com", "example.com"},
		{"example.com.", "example.com"},
		{" example.com ", "example.com"},
		{"A.b", "A.b"},
		{"1a", "1a"},
		{"a--b", "a--b"},
		{".", "."},
		{" . ", "."},
		{a254, a254},
		{a254 + ".", a254},
	}, []refused{
		{"", domain + `""`},
		{"..", domain + `".."`},
		{".a", domain + `".a"`},
		{"a..b", domain + `"a..b"`},
		{"-a.com", domain + `"-a.com"`},
		{"a-.com", domain + `"a-.com"`},
		{"a_b.com", domain + `"a_b.com"`},
		{"1.2.3.4", domain + `"1.2.3.4"`},
		{"é.com", domain + `"é.com"`},
		{a254 + "a", domain + Quote(a254)},
		// The docker CLI takes these.
		{":a", domain + `":a"`},
		{"example.com\n", domain + `"example.com\n"`},
	})
}

func TestParseExtraHost(t *testing.T) {
	const host = `expected a name and an address such as "db:10.0.0.9", got `
	address := func(ip string) string { return `expected an IP address, got ` + ip + `, or host-gateway, for "db"` }
	testParse(t, ParseExtraHost, []taken[string]{
		{"db:10.0.0.9", "db:10.0.0.9"},
		{"db=10.0.0.9", "db:10.0.0.9"},
		{"db:::1", "db:::1"},
		{"db=::1", "db:::1"},
		{"db:[::1]", "db:::1"},
		{"db=[1.2.3.4]", "db:1.2.3.4"},
		{"db:2001:DB8::0:5", "db:2001:DB8::0:5"},
		{"db:host-gateway", "db:host-gateway"},
		{"db=host-gateway", "db:host-gateway"},
		{"my host:1.2.3.4", "my host:1.2.3.4"},
		{"db: 1.2.3.4 ", "db:1.2.3.4"}, // the docker CLI sends the spaces too
	}, []refused{
		{"", host + `""`},
		{"db", host + `"db"`},
		{":1.2.3.4", host + `":1.2.3.4"`},
		{"a:b=1.2.3.4", host + `"a:b=1.2.3.4"`},
		{"db:", address(`""`)},
		{"db:1.2.3", address(`"1.2.3"`)},
		{"db:[]", address(`"[]"`)},
		{"db:[::1", address(`"[::1"`)},
		{"db:Host-Gateway", address(`"Host-Gateway"`)},
		{"db:fe80::1%eth0", address(`"fe80::1%eth0"`)},
	})
}

func TestParseLink(t *testing.T) {
	testCheck(t, ParseLink, []string{"a", "a:b", "/a:/c/b", ":b", "a:"}, []refused{
		{"", `expected a container's name, or "name:alias", got ""`},
		{"a:b:c", `expected a container's name, or "name:alias", got "a:b:c"`},
	})
}
