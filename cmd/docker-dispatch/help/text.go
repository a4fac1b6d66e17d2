package help

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Width is how many columns a page takes at most, except where code or a word is longer.
const Width = 80

// Text is a page as plain text, with none of Markdown's marks.
func Text(name string) string {
	var b strings.Builder
	var last kind = heading
	words := textOf(name)
	for i, k := range parse(source(name)) {
		tight := (k.kind == item || k.kind == numbered) && last == k.kind
		if i > 0 && !tight {
			b.WriteString("\n")
		}
		last = k.kind
		switch k.kind {
		case heading:
			text := words.inline(k.text)
			switch k.level {
			case 1:
				b.WriteString("docker-dispatch help " + text + "\n")
			case 2:
				b.WriteString(strings.ToUpper(text) + "\n")
			default:
				b.WriteString(text + "\n")
			}
		case paragraph:
			wrap(&b, words.inline(k.text), "  ", "  ")
		case item:
			wrap(&b, words.inline(k.text), "  - ", "    ")
		case numbered:
			wrap(&b, words.inline(k.text), "  ", "     ")
		case code:
			for line := range strings.Lines(k.text + "\n") {
				b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
			}
		case table:
			words.table(&b, shown(k.rows))
		}
	}
	return b.String()
}

// textOf is how a page's inline marks read as plain text. A link inside the page is its words alone.
func textOf(name string) style {
	same := func(s string) string { return s }
	return style{plain: same, code: same, bold: same, link: func(text, target string) string {
		switch p := page(target); {
		case p != "" && p != name && text != p && !strings.Contains(text, "help "+p):
			return text + " (help " + p + ")"
		case p != "" && p != name && text == p:
			return "help " + p
		case strings.Contains(target, "://") && text != target:
			return text + " (" + target + ")"
		}
		return text
	}}
}

// shown is a table without its column of tests, which is for those who read the sources.
func shown(rows [][]string) [][]string {
	last := len(rows[0]) - 1
	if rows[0][last] != "Test" {
		return rows
	}
	var without [][]string
	for _, row := range rows {
		without = append(without, row[:min(last, len(row))])
	}
	return without
}

// table prints a table in columns if they fit, and otherwise each row as an entry.
func (s style) table(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = s.inline(cell)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	total, before := 0, 0
	for i, w := range widths {
		total += w + 2
		if i < len(widths)-1 {
			before += w + 2
		}
	}
	const rest = 32 // the least room that a last column needs, in which its text is wrapped
	switch {
	case total <= Width || before+rest <= Width:
		for i, row := range rows {
			var line strings.Builder
			line.WriteString("  ")
			for i, cell := range row[:len(row)-1] {
				line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
			first := line.String()
			if i == 0 {
				first = strings.ToUpper(first)
				row[len(row)-1] = strings.ToUpper(row[len(row)-1])
			}
			wrap(b, row[len(row)-1], first, strings.Repeat(" ", before+2))
		}
	case grouped(rows):
		for _, row := range rows[1:] {
			if row[0] != "" {
				wrap(b, row[0], "  ", "  ")
			}
			term, details := entry(rows, row[1:])
			wrap(b, term, "    ", "      ")
			wrap(b, details[0], "        ", "        ")
		}
	default:
		for _, row := range rows[1:] {
			term, details := entry(rows, row)
			wrap(b, term, "  ", "    ")
			for _, d := range details {
				wrap(b, d, "      ", "      ")
			}
		}
	}
}

// grouped reports whether the first column has a name for a group of rows: it is empty in all but the group's first.
func grouped(rows [][]string) bool {
	return slices.ContainsFunc(rows, func(row []string) bool { return row[0] == "" })
}

// entry is a row of a table that is not printed in columns: a line, and the lines below it. They are the first cell, and
// each other cell with its column's name. In a grouped table they are the last cell, below all that are before it.
func entry(rows [][]string, row []string) (term string, details []string) {
	last := len(row) - 1
	if grouped(rows) {
		return strings.Join(slices.DeleteFunc(slices.Clone(row[:last]), func(s string) bool { return s == "" }), ": "), row[last:]
	}
	for i, cell := range row[1:] {
		if cell != "" {
			details = append(details, rows[0][i+1]+": "+cell)
		}
	}
	return row[0], details
}

// wrap prints words in lines of at most Width columns.
func wrap(b *strings.Builder, text, first, others string) {
	line, n, empty := first, utf8.RuneCountInString(first), true
	for _, word := range strings.Fields(text) {
		w := utf8.RuneCountInString(word)
		if !empty && n+1+w > Width {
			b.WriteString(line + "\n")
			line, n, empty = others, utf8.RuneCountInString(others), true
		}
		if !empty {
			line, n = line+" ", n+1
		}
		line, n, empty = line+word, n+w, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
