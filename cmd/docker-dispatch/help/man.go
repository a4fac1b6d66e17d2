package help

import (
	"fmt"
	"strings"
)

// Man is the whole manual as a man page, in the macros of man(7).
func Man(version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH DOCKER-DISPATCH 1 \"\" \"docker-dispatch %s\"\n", roffText(version))
	b.WriteString(".SH NAME\ndocker-dispatch \\- run containers because a message arrived\n")
	b.WriteString(".SH SYNOPSIS\n.B docker-dispatch\n[options] [dockerHostAddr [amqpAddr]]\n.br\n.B docker-dispatch\nrun|send|check|dead|ps|hosts|help ...\n")
	for _, name := range names {
		for _, k := range parse(source(name)) {
			manBlock(&b, roffOf(name), k)
		}
	}
	return b.String()
}

func manBlock(b *strings.Builder, roff style, k block) {
	text := roffLine(roff.inline(k.text))
	switch k.kind {
	case heading:
		switch k.level {
		case 1:
			topic, about, _ := strings.Cut(text, ": ")
			fmt.Fprintf(b, ".SH %s\n%s%s.\n", strings.ToUpper(topic), strings.ToUpper(about[:1]), about[1:])
		case 2:
			fmt.Fprintf(b, ".SS \"%s\"\n", strings.ReplaceAll(text, `"`, `\(dq`))
		default:
			fmt.Fprintf(b, ".PP\n\\fB%s\\fR\n", text)
		}
	case paragraph:
		fmt.Fprintf(b, ".PP\n%s\n", text)
	case item:
		fmt.Fprintf(b, ".IP \\(bu 2\n%s\n", text)
	case numbered:
		number, words, _ := strings.Cut(text, " ")
		fmt.Fprintf(b, ".IP %s 4\n%s\n", number, words)
	case code:
		b.WriteString(".PP\n.RS 4\n.nf\n")
		for line := range strings.Lines(k.text) {
			b.WriteString(roffLine(roffText(strings.TrimSuffix(line, "\n"))) + "\n")
		}
		b.WriteString(".fi\n.RE\n")
	case table:
		rows := shown(k.rows)
		for _, row := range rows {
			for i := range row {
				row[i] = roffLine(roff.inline(row[i]))
			}
		}
		for _, e := range entries(rows) {
			term := strings.TrimSuffix(strings.TrimPrefix(e.group+": "+e.term, ": "), ": ")
			fmt.Fprintf(b, ".TP\n%s\n%s\n", term, strings.Join(e.details, "\n.br\n"))
		}
	}
}

// roffOf is how a page's inline marks read as roff.
func roffOf(name string) style {
	bold := func(s string) string { return `\fB` + roffText(s) + `\fR` }
	return style{page: name, plain: roffText, code: bold, bold: bold, refer: func(words, topic string) string {
		if words == topic {
			return strings.ToUpper(topic)
		}
		return words + " (see " + strings.ToUpper(topic) + ")"
	}}
}

// roffText escapes what roff would take for its own.
func roffText(s string) string { return strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s) }

// roffLine is a line that is no macro, whatever it begins with.
func roffLine(s string) string {
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}
