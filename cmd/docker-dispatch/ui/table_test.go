package ui

import (
	"slices"
	"strings"
	"testing"
)

// TestTable: columns are aligned, the widest is cut, one without texts is left out, and no text commands the terminal.
func TestTable(t *testing.T) {
	for _, tt := range []struct {
		name    string
		width   int
		colours bool
		rows    [][]string
		want    []string
	}{
		{"aligned", 40, false, [][]string{{"A", "NOTHING", "B"}, {"aa", "", "b"}, {"a", "", "bbbb"}}, []string{"A   B", "aa  b", "a   bbbb"}},
		{"cut", 20, false, [][]string{{"A", "B"}, {"a", strings.Repeat("b", 40)}, {"aa", "b"}}, []string{"A   B", "a   bbbbbbbbbbbbbbb…", "aa  b"}},
		{"too narrow", 5, false, [][]string{{"A", "B"}, {"abcdefgh", "abcdefgh"}}, []string{"A      B", "abcd…  abcd…"}},
		{"wide characters", 40, false, [][]string{{"A", "B"}, {"日本", "b"}, {"a", "b"}}, []string{"A     B", "日本  b", "a     b"}},
		{"a stranger's", 40, false, [][]string{{"A", "B"}, {"\x1b[2J\n\u202e", "b"}}, []string{"A       B", "?[2J ?  b"}},
		{"colours", 40, true, [][]string{{"A", "B"}, {"red", "b"}}, []string{"A    B", "\x1b[31mred\x1b[39m  b"}},
		{"no rows", 40, false, nil, nil},
	} {
		table := Table{Width: tt.width, Colours: tt.colours}
		for _, row := range tt.rows {
			var cells []Cell
			for _, text := range row {
				c := Cell{Text: text}
				if text == "red" {
					c.Colour = Red
				}
				cells = append(cells, c)
			}
			table.Rows = append(table.Rows, cells)
		}
		if got := table.Lines(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// TestColours: a file and NO_COLOR have none.
func TestColours(t *testing.T) {
	if Colours(nil, func(string) string { return "" }) {
		t.Error("colours without a terminal")
	}
}
