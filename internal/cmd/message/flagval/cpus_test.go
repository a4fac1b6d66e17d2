package flagval

import (
	"strings"
	"testing"
)

func TestParseCPUs(t *testing.T) {
	const number = `expected a number of CPUs such as "1.5", got `
	testParse(t, ParseCPUs, []taken[int64]{
		{"1.5", 1500000000},
		{"0.000000001", 1},
		{"0", 0},
		{"+1", 1e9},
		{".5", 5e8},
		{"1.", 1e9},
		{"01", 1e9},
		{"1_0", 1e10},
		{"1/2", 5e8},
		{"1e1", 1e10},
		{"1e-9", 1},
		{"0x1p2", 4e9},
		{"9223372036", 9223372036e9},
		{"-1", -1e9}, // the engine refuses it
	}, []refused{
		{"", number + `""`},
		{"x", number + `"x"`},
		{" 1", number + `" 1"`},
		{"1/0", number + `"1/0"`},
		{"0.0000000001", `"0.0000000001" is too precise; a CPU is divided into 1000000000 parts`},
		{"1e-10", `"1e-10" is too precise; a CPU is divided into 1000000000 parts`},
		{"1/3", `"1/3" is too precise; a CPU is divided into 1000000000 parts`},
		{"1e-1000000", `"1e-1000000" is too precise; a CPU is divided into 1000000000 parts`},
		{"1e999999999", `"1e999999999" is more CPUs than any machine has`},
		// The docker CLI sends another number for these,
		{"9223372037", `"9223372037" is more CPUs than any machine has`},
		{"1e30", `"1e30" is more CPUs than any machine has`},
		{"1e1000000", `"1e1000000" is more CPUs than any machine has`},
		// and takes this one.
		{"1." + strings.Repeat("0", 39), number + `"1.` + strings.Repeat("0", 39) + `"`},
	})
}
