// Package help is the manual: pages in Markdown, which a forge shows as they are, and which the program prints as
// plain text and as a man page.
//
// A page is a file NAME.md whose first line is "# NAME: what it is about". markdown.go reads the part of Markdown that
// the pages use; text.go and man.go print it. Begin at Text. What -h prints is not here.
package help

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed *.md
var files embed.FS

// A Topic is a page of the manual.
type Topic struct {
	Name  string // such as messages
	About string // one line
}

// names are the pages in the order in which a newcomer reads them.
var names = [...]string{"messages", "events", "run", "operate", "options", "policy", "failures", "promise", "develop"}

// Topics are all pages, in reading order.
func Topics() (topics []Topic) {
	for _, name := range names {
		first, _, _ := strings.Cut(source(name), "\n")
		_, about, _ := strings.Cut(first, ": ")
		topics = append(topics, Topic{name, about})
	}
	return topics
}

// Has reports whether there is a page of that name.
func Has(name string) bool { return slices.Contains(names[:], name) }

// Index is what help prints without a topic.
func Index() string {
	var b strings.Builder
	b.WriteString("The manual of docker-dispatch. A page is shown by: docker-dispatch help TOPIC\n\n")
	for _, t := range Topics() {
		fmt.Fprintf(&b, "  %-10s %s\n", t.Name, t.About)
	}
	b.WriteString(`
docker-dispatch -h lists the options of the daemon; each command has an -h of its own.
The whole manual as a man page:

  docker-dispatch help --man | man -l -
`)
	return b.String()
}

func source(name string) string {
	text, err := files.ReadFile(name + ".md")
	if err != nil {
		panic(err) // a page that Has does not know
	}
	return string(text)
}
