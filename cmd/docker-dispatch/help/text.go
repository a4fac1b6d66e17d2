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

// textOf is how a page's inline marks read as plain text.
func textOf(name string) style {
	same := func(s string) string { return s }
	return style{page: name, plain: same, code: same, bold: same, refer: func(words, topic string) string {
		switch {
		case words == topic:
			return "help " + topic
		case strings.Contains(words, "help "+topic):
			return words
		}
		return words + " (help " + topic + ")"
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
	default:
		indent := "  "
		if grouped(rows) {
			indent = "    "
		}
		for _, e := range entries(rows) {
			if e.group != "" {
				wrap(b, e.group, "  ", "  ")
			}
			if e.term != "" {
				wrap(b, e.term, indent, indent+"  ")
			}
			for _, d := range e.details {
				wrap(b, d, indent+"    ", indent+"    ")
			}
		}
	}
}

// grouped reports whether the first column has a name for a group of rows: it is empty in all but the group's first.
func grouped(rows [][]string) bool {
	return slices.ContainsFunc(rows, func(row []string) bool { return row[0] == "" })
}

// An entry is a row of a table that is not printed in columns: a line, and the lines below it. They are the first cell,
// and each other cell with its column's name. In a grouped table they are the last cell, below all that are before it.
type entry struct {
	group   string // in its first row
	term    string
	details []string
}

func entries(rows [][]string) (all []entry) {
	groups := grouped(rows)
	for _, row := range rows[1:] {
		last := len(row) - 1
		if groups {
			named := slices.DeleteFunc(slices.Clone(row[1:last]), func(s string) bool { return s == "" })
			all = append(all, entry{row[0], strings.Join(named, ": "), row[last:]})
			continue
		}
		e := entry{term: row[0]}
		for i, cell := range row[1:] {
			if cell != "" {
				e.details = append(e.details, rows[0][i+1]+": "+cell)
			}
		}
		all = append(all, e)
	}
	return all
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
