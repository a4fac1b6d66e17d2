package flagval

import "testing"

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
