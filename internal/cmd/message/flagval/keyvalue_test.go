package flagval

import "testing"

type pair struct{ name, value string }

func testPairs(t *testing.T, parse func(string) (name, value string, err error), good []taken[pair], bad []refused) {
	t.Helper()
	testParse(t, func(s string) (pair, error) {
		name, value, err := parse(s)
		return pair{name, value}, err
	}, good, bad)
}

func TestParseKeyValue(t *testing.T) {
	testPairs(t, ParseKeyValue, []taken[pair]{
		{"a=b", pair{"a", "b"}},
		{"a=b=c", pair{"a", "b=c"}},
		{"a=", pair{"a", ""}},
		{"a", pair{"a", ""}},
	}, []refused{ // the docker CLI sends an empty name
		{"", `expected NAME=VALUE, got ""`},
		{"=b", `expected NAME=VALUE, got "=b"`},
	})
}

func TestParseStorageOpt(t *testing.T) {
	testPairs(t, ParseStorageOpt, []taken[pair]{
		{"size=1g", pair{"size", "1g"}},
		{"size=", pair{"size", ""}},
	}, []refused{
		{"", `expected NAME=VALUE, got ""`},
		{"size", `expected NAME=VALUE, got "size"`},
		{"=b", `expected NAME=VALUE, got "=b"`}, // the docker CLI sends it
	})
}

func TestParseSysctl(t *testing.T) {
	unknown := func(name string) string {
		return name + ` is not one that a container has of its own; expected net.*, fs.mqueue.*, "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni" or "kernel.shm_rmid_forced"`
	}
	testPairs(t, ParseSysctl, []taken[pair]{
		{"net.ipv4.ip_forward=1", pair{"net.ipv4.ip_forward", "1"}},
		{"net.x=", pair{"net.x", ""}},
		{"net.x=a=b", pair{"net.x", "a=b"}},
		{"fs.mqueue.msg_max=1", pair{"fs.mqueue.msg_max", "1"}},
		{"kernel.sem=1 2 3", pair{"kernel.sem", "1 2 3"}},
		{"kernel.shm_rmid_forced=1", pair{"kernel.shm_rmid_forced", "1"}},
	}, []refused{
		{"", `expected NAME=VALUE, got ""`},
		{"net.ipv4.ip_forward", `expected NAME=VALUE, got "net.ipv4.ip_forward"`},
		{"net=1", unknown(`"net"`)},
		{"vm.swappiness=1", unknown(`"vm.swappiness"`)},
		{"kernel.domainname=x", unknown(`"kernel.domainname"`)},
		{" net.x=1", unknown(`" net.x"`)},
	})
}
