package flagval

import (
	"strings"
	"testing"
	"time"
)

func TestParseBytes(t *testing.T) {
	const size = `expected a size such as "512m" or "1.5g", with b, k, m, g, t or p, got `
	testParse(t, ParseBytes, []taken[int64]{
		{"0", 0},
		{"-0", 0},
		{"512m", 512 << 20},
		{"1.5g", 3 << 29},
		{"64M", 64 << 20},
		{"1gib", 1 << 30},
		{"5kb", 5 << 10},
		{"5 mb", 5 << 20},
		{"5 ", 5},
		{"5.", 5},
		{".5k", 512},
		{"0.1", 0},
		{"5b", 5},
		{"+5", 5},
		{"1e3", 1000},
		{"1_000", 1000},
		{"0x1p4", 16},
		{"8191p", 8191 << 50},
	}, []refused{
		{"", size + `""`},
		{" ", size + `" "`},
		{" 5", size + `" 5"`},
		{"5  mb", size + `"5  mb"`},
		{"5%", size + `"5%"`},
		{"5kbb", size + `"5kbb"`},
		{"5bb", size + `"5bb"`},
		{"5ib", size + `"5ib"`},
		{"5ki", size + `"5ki"`},
		{"1eb", size + `"1eb"`},
		{"1e", size + `"1e"`},
		{"k", size + `"k"`},
		{"1,5g", size + `"1,5g"`},
		{"5K ", size + `"5K "`},
		{"0x10", size + `"0x10"`},
		{"1e400", size + `"1e400"`},
		{"٣", size + `"٣"`},
		{"-1", `expected a size of 0 or more, got "-1"`},
		{"-1g", `expected a size of 0 or more, got "-1g"`},
		// The docker CLI sends a negative number for these.
		{"8192p", `expected a size of less than 8192p, got "8192p"`},
		{"9999999999999999999g", `expected a size of less than 8192p, got "9999999999999999999g"`},
		{"inf ", `expected a size of less than 8192p, got "inf "`},
		{"nan ", `expected a size of less than 8192p, got "nan "`},
	})
}

func TestParseMemorySwap(t *testing.T) {
	testParse(t, ParseMemorySwap, []taken[int64]{
		{"-1", -1},
		{"0", 0},
		{"1g", 1 << 30},
	}, []refused{
		{"-2", `expected a size of 0 or more, got "-2"; or -1 for unlimited swap`},
		{"-1m", `expected a size of 0 or more, got "-1m"; or -1 for unlimited swap`},
	})
}

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

func TestParseDuration(t *testing.T) {
	const duration = `expected a duration such as "30s" or "1m30s", got `
	testParse(t, ParseDuration, []taken[time.Duration]{
		{"0", 0},
		{"30s", 30 * time.Second},
		{"1m30s", 90 * time.Second},
		{"1.5h", 90 * time.Minute},
		{"+1s", time.Second},
		{"1ns", 1}, // the engine refuses it
	}, []refused{
		{"", duration + `""`},
		{"30", duration + `"30"`},
		{"1d", duration + `"1d"`},
		{"-1s", duration + `"-1s"`},
		{" 1s", duration + `" 1s"`},
		{"99999999h", duration + `"99999999h"`},
	})
}
