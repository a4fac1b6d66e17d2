package help

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPages(t *testing.T) {
	files, err := files.ReadDir(".")
	if err != nil || len(files) != len(names) {
		t.Errorf("%d files, %d topics, %v", len(files), len(names), err)
	}
	for _, topic := range Topics() {
		page := source(topic.Name)
		if topic.About == "" || !strings.HasPrefix(page, "# "+topic.Name+": ") {
			t.Errorf("%s: the first line is not \"# %s: what it is about\"", topic.Name, topic.Name)
		}
		if !strings.Contains(Index(), topic.Name) {
			t.Errorf("the index does not list %s", topic.Name)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(page, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			if target != "" && !Has(strings.TrimSuffix(target, ".md")) {
				t.Errorf("%s: a link to %q, which is no page", topic.Name, m[1])
				continue
			}
			if target == "" {
				target = topic.Name + ".md"
			}
			if anchor != "" && !anchors(source(strings.TrimSuffix(target, ".md")))[anchor] {
				t.Errorf("%s: a link to %q, which no heading has", topic.Name, m[1])
			}
		}
	}
}

// anchors are those that a forge gives to a page's headings.
func anchors(page string) map[string]bool {
	all := make(map[string]bool)
	for _, b := range parse(page) {
		if b.kind == heading {
			name := strings.ReplaceAll(strings.ToLower(textOf("x").inline(b.text)), " ", "-")
			all[regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(name, "")] = true
		}
	}
	return all
}

// TestText: a page has no mark of Markdown left, and fits a terminal; only code and a long word go beyond it.
func TestText(t *testing.T) {
	for _, name := range names {
		for line := range strings.Lines(Text(name)) {
			line = strings.TrimSuffix(line, "\n")
			isCode := strings.HasPrefix(line, "    ")
			if !isCode && regexp.MustCompile("`|\\*\\*|\\]\\(|^#|^\\||<!--").MatchString(line) {
				t.Errorf("%s: marks are left: %s", name, line)
			}
			if utf8.RuneCountInString(line) > Width && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(source(name), strings.TrimSpace(line)) {
				t.Errorf("%s: a line of %d columns: %s", name, utf8.RuneCountInString(line), line)
			}
		}
	}
}

func TestRender(t *testing.T) {
	const page = "# x: y\n\nA `**b**` and **bold**, see [keys](messages.md#keys)\nand [web](https://a.b).\n\n## Head\n\n- one\n  two\n- three\n\n1. first\n\n<!-- no -->\n```sh\n$ a `b`\n```\n\n| A | B | Test |\n|---|---|---|\n| `x` | y | TestZ |\n"
	b := parse(page)
	want := []block{
		{kind: heading, level: 1, text: "x: y"},
		{kind: paragraph, text: "A `**b**` and **bold**, see [keys](messages.md#keys) and [web](https://a.b)."},
		{kind: heading, level: 2, text: "Head"},
		{kind: item, text: "one two"}, {kind: item, text: "three"},
		{kind: numbered, text: "1. first"},
		{kind: code, text: "$ a `b`"},
		{kind: table},
	}
	if len(b) != len(want) {
		t.Fatalf("got %+v", b)
	}
	for i, w := range want {
		if b[i].kind != w.kind || b[i].text != w.text || b[i].level != w.level {
			t.Errorf("block %d: got %+v, want %+v", i, b[i], w)
		}
	}
	if got, want := textOf("x").inline(b[1].text), "A **b** and bold, see keys (help messages) and web (https://a.b)."; got != want {
		t.Errorf("text: %s", got)
	}
	if got, want := roffOf("x").inline(b[1].text), `A \fB**b**\fR and \fBbold\fR, see keys (see MESSAGES) and web (https://a.b).`; got != want {
		t.Errorf("roff: %s", got)
	}
	var text strings.Builder
	textOf("x").table(&text, shown(b[7].rows))
	if got, want := text.String(), "  A  B\n  x  y\n"; got != want {
		t.Errorf("table: %q", got)
	}
	if got, want := roffLine(roffText(`.a-b\`)), `\&.a\-b\e`; got != want {
		t.Errorf("roff: %s", got)
	}
}

// TestMan: each line that begins with a dot is a macro of man(7) that is meant.
func TestMan(t *testing.T) {
	page := Man("v1")
	for line := range strings.Lines(page) {
		if macro, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); strings.HasPrefix(macro, ".") || strings.HasPrefix(macro, "'") {
			if !strings.Contains(" .TH .SH .SS .B .PP .IP .TP .RS .RE .nf .fi .br ", " "+macro+" ") {
				t.Errorf("macro %s", line)
			}
		}
	}
	for _, name := range names {
		if !strings.Contains(page, ".SH "+strings.ToUpper(name)+"\n") {
			t.Errorf("no section %s", name)
		}
	}
}
