package flagval

import (
	"strings"
	"testing"
)

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

func TestParseEnv(t *testing.T) {
	const env = `expected NAME=VALUE, or NAME to remove it; it has no name`
	const secret = `expected the name of a secret: letters, digits, and behind the first also _ . -, at most 128`
	long := "A=" + strings.Repeat("x", maxArg-2)
	testCheck(t, ParseEnv, []string{"A=b", "A=", "A", "A=b=c", " A=b", "A B=c", "A=b\nc", "é=x", "T=secret:a-B_1.x", long}, []refused{
		{"", env},
		{"=", env},
		{"=x", env},
		{"A\x00", `it holds a NUL byte, which no variable can`},
		{"T=secret:", secret},
		{"A\nB=secret:x", `the name of a variable with a secret has a control character`},
		{"\nB=secret:x", `the name of a variable with a secret has a control character`},
		{"T=secret:.x", secret},
		{"T=secret:a/b", secret},
		{"A=b\x00", `"A" holds a NUL byte, which no variable can`},
		{long + "x", `"A" has 131072 bytes; Linux gives a program at most 131071 in one variable`},
	})
}

func TestParseLabel(t *testing.T) {
	const label = `expected a label, a name without spaces, and =VALUE, got `
	testPairs(t, ParseLabel, []taken[pair]{
		{"a=b", pair{"a", "b"}},
		{"a", pair{"a", ""}},
		{"a=", pair{"a", ""}},
		{"a= b=c ", pair{"a", " b=c "}},
		{"com.example/x.y=z", pair{"com.example/x.y", "z"}},
		{"a\u00a0b=c", pair{"a\u00a0b", "c"}},
	}, []refused{
		{"", label + `""`},
		{"=b", label + `"=b"`},
		{" =b", label + `" =b"`},
		{"a b=c", label + `"a b=c"`},
		{"a =b", label + `"a =b"`},
		{"a\tb=c", label + `"a\tb=c"`},
		// The docker CLI makes labels of these.
		{" a=b", label + `" a=b"`},
		{"a\nb=c", label + `"a\nb=c"`},
	})
}
