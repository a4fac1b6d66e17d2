package help

import "strings"

// A block is a piece of a page.
type block struct {
	kind  kind
	level int        // of a heading, 1 to 3
	text  string     // of a heading, a paragraph or an item, with its inline marks; of code, as it is
	rows  [][]string // of a table, the header first; cells with their inline marks
}

type kind int

const (
	paragraph kind = iota
	heading
	item     // of a list; an item of a numbered list has its number in the text
	numbered // see item
	code
	table
)

// parse reads a page. It knows headings, paragraphs, lists of one level, fenced code, tables and lines of comment.
func parse(page string) (blocks []block) {
	open := false // the last block may go on in the next line
	add := func(b block) { blocks = append(blocks, b) }
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		words := strings.TrimSpace(line)
		wasOpen := open
		open = false
		switch {
		case words == "" || strings.HasPrefix(line, "<!--"):
		case strings.HasPrefix(line, "```"):
			begin := i + 1
			for i++; i < len(lines) && !strings.HasPrefix(lines[i], "```"); i++ {
			}
			add(block{kind: code, text: strings.Join(lines[begin:i], "\n")})
		case strings.HasPrefix(line, "#"):
			level := len(line) - len(strings.TrimLeft(line, "#"))
			add(block{kind: heading, level: level, text: strings.TrimSpace(line[level:])})
		case strings.HasPrefix(line, "|"):
			b := block{kind: table}
			for ; i < len(lines) && strings.HasPrefix(lines[i], "|"); i++ {
				if !strings.HasPrefix(lines[i], "|--") {
					b.rows = append(b.rows, cells(lines[i]))
				}
			}
			i--
			add(b)
		case strings.HasPrefix(line, "- "):
			add(block{kind: item, text: words[2:]})
			open = true
		case isNumbered(line):
			add(block{kind: numbered, text: words})
			open = true
		case wasOpen:
			last := &blocks[len(blocks)-1]
			last.text += " " + words
			open = true
		default:
			add(block{kind: paragraph, text: words})
			open = true
		}
	}
	return blocks
}

func isNumbered(line string) bool {
	digits := strings.TrimLeft(line, "0123456789")
	return len(digits) < len(line) && strings.HasPrefix(digits, ". ")
}

// cells are those of a table's row. None holds a bar.
func cells(row string) []string {
	cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// A style says what becomes of a page's words with inline marks.
type style struct {
	page              string // the one that the words are on
	plain, code, bold func(string) string
	refer             func(words, topic string) string // a link to another page
}

// inline replaces the inline marks of a text: `code`, **bold**, [text](target).
func (s style) inline(text string) string {
	var b strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "`*[")
		if at < 0 {
			break
		}
		b.WriteString(s.plain(text[:at]))
		text = text[at:]
		if inner, rest, ok := between(text, "`", "`"); ok {
			b.WriteString(s.code(inner))
			text = rest
		} else if inner, rest, ok := between(text, "**", "**"); ok {
			b.WriteString(s.bold(inner))
			text = rest
		} else if words, target, rest, ok := link(text); ok {
			b.WriteString(s.follow(s.inline(words), target))
			text = rest
		} else {
			b.WriteString(s.plain(text[:1]))
			text = text[1:]
		}
	}
	b.WriteString(s.plain(text))
	return b.String()
}

// follow is a link. One inside the page is its words alone.
func (s style) follow(words, target string) string {
	switch topic := page(target); {
	case topic != "" && topic != s.page:
		return s.refer(words, topic)
	case strings.Contains(target, "://") && words != target:
		return words + " (" + s.plain(target) + ")"
	}
	return words
}

func between(text, open, end string) (inner, rest string, ok bool) {
	if text, ok = strings.CutPrefix(text, open); !ok {
		return "", "", false
	}
	return strings.Cut(text, end)
}

func link(text string) (words, target, rest string, ok bool) {
	if words, rest, ok = between(text, "[", "]("); !ok || strings.Contains(words, "]") {
		return "", "", "", false
	}
	target, rest, ok = strings.Cut(rest, ")")
	return words, target, rest, ok
}

// page is the topic that a link's target names, "" for one that leads elsewhere.
func page(target string) string {
	name, _, _ := strings.Cut(target, "#")
	if name, ok := strings.CutSuffix(name, ".md"); ok && Has(name) {
		return name
	}
	return ""
}
