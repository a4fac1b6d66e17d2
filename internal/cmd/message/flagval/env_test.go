package flagval

import (
	"strings"
	"testing"
)

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
