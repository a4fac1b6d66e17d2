package ui

import (
	"slices"
	"strings"
)

// A Table lays out rows in columns for a terminal. Its texts may come from publishers: Lines makes them safe to print.
type Table struct {
	Rows    [][]Cell // the first has the titles
	Width   int      // of a line, in columns
	Colours bool     // write the colours of cells
}

// A Cell is one field of a row.
type Cell struct {
	Text   string
	Colour Colour // "": none
}

// Cells returns a row without colours.
func Cells(texts ...string) (row []Cell) {
	for _, text := range texts {
		row = append(row, Cell{Text: text})
	}
	return row
}

const (
	gap       = 2 // columns between two cells
	narrowest = 5 // a cell is not cut below that
)

// Lines returns the rows as lines, each at most Width columns wide. While a line is too wide, the widest column is cut. A
// column in which no row has a text is left out.
func (t Table) Lines() (lines []string) {
	for _, row := range t.Rows {
		for i := range row {
			row[i].Text = PlainLine(row[i].Text)
		}
	}
	widths := t.widths()
	for _, row := range t.Rows {
		var b strings.Builder
		pad := 0
		for i, c := range row {
			if widths[i] == 0 {
				continue
			}
			text := Cut(c.Text, widths[i])
			b.WriteString(strings.Repeat(" ", pad))
			pad = widths[i] - columnsOf(text) + gap
			if t.Colours && text != "" && c.Colour != "" {
				text = c.Colour.of(text)
			}
			b.WriteString(text)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// widths returns the width of each column; 0: it is left out.
func (t Table) widths() (widths []int) {
	if len(t.Rows) == 0 {
		return nil
	}
	total := -gap
	for i := range t.Rows[0] {
		width := 0
		for _, row := range t.Rows[1:] {
			width = max(width, columnsOf(row[i].Text))
		}
		if width > 0 {
			width = max(width, columnsOf(t.Rows[0][i].Text))
			total += width + gap
		}
		widths = append(widths, width)
	}
	for total > t.Width {
		widest := slices.Max(widths)
		if widest <= narrowest {
			break
		}
		widths[slices.Index(widths, widest)]--
		total--
	}
	return widths
}

// Cut returns a text in at most width columns. A text that is cut ends with an ellipsis.
func Cut(text string, width int) string {
	if columnsOf(text) <= width {
		return text
	}
	at := 0
	for i, c := range text {
		if at += columnsOf(string(c)); at > width-1 {
			return text[:i] + "…"
		}
	}
	return text
}

// columnsOf returns how many columns a terminal takes for a text, or more: characters of scripts that may be wide count as 2.
func columnsOf(text string) (n int) {
	for _, c := range text {
		n++
		if c >= 0x1100 && c != '…' {
			n++
		}
	}
	return n
}
