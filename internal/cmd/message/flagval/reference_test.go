package flagval

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestFullName: short names of one image are one image.
func TestFullName(t *testing.T) {
	for _, name := range []string{"busybox", "busybox:latest", "docker.io/library/busybox", "library/busybox:latest"} {
		if got := FullName(name); got != "busybox:latest" {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, want := range map[string]string{"host:5000/a/b": "host:5000/a/b:latest", "a/b@sha256:12": "a/b@sha256:12", "b:1": "b:1"} {
		if got := FullName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// imageGrammar is the grammar of an image's full name, as github.com/distribution/reference has it.
var imageGrammar = func() *regexp.Regexp {
	const (
		path   = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
		host   = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
		domain = `(?:` + host + `(?:\.` + host + `)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`
		tag    = `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
		digest = `[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}`
	)
	return regexp.MustCompile(`^` + domain + `/` + path + `(?:/` + path + `)*(?::` + tag + `)?(?:@` + digest + `)?$`)
}()

// TestImageGrammar compares the checks with the grammar: for all short texts in each part of a name, and for longer parts.
func TestImageGrammar(t *testing.T) {
	hex := strings.Repeat("0aF", 12)
	parts := []string{strings.Repeat("a", 127), strings.Repeat("a", 128), strings.Repeat("a", 129), hex[:31], hex[:32], "a:" + hex, "a+b:" + hex, "[::1]:5", "ä"}
	const alphabet = "aB0._-/:@[]"
	for n := range 4 {
		texts := []string{""}
		for range n {
			var longer []string
			for _, text := range texts {
				for _, c := range alphabet {
					longer = append(longer, text+string(c))
				}
			}
			texts = longer
		}
		parts = append(parts, texts...)
	}
	for _, part := range parts {
		for _, form := range []string{"%s/a", "%s:5/a", "[%s]/a", "a/%s", "a/b%sc", "a/b:%s", "a/b@%s:" + hex, "a/b:1@a:%s", "a/b@a.b:%s" + hex[:31]} {
			name := fmt.Sprintf(form, part)
			domain, rest, _ := strings.Cut(name, "/")
			if got, want := isDomain(domain) && isRepository(rest), imageGrammar.MatchString(name); got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	}
}

// BenchmarkCheckImage checks a name that has all parts.
func BenchmarkCheckImage(b *testing.B) {
	name := "registry.example.com:5000/team/app:1.2@sha256:" + strings.Repeat("0", 64)
	for b.Loop() {
		if err := CheckImage(name); err != nil {
			b.Fatal(err)
		}
	}
}

func TestParsePlatform(t *testing.T) {
	const (
		platform = `expected a platform such as "linux/arm64/v8", got `
		alone    = `expected an operating system, an architecture, or both, such as "linux/arm64", got `
	)
	testCheck(t, ParsePlatform, append(platformNames(),
		"", "linux/amd64", "linux/arm/v7", "LINUX/AMD64", "foo/bar", "linux/foo/bar", "linux/a.b", "windows(10.0.17763)/amd64", "windows(10.0)", "windows()/amd64",
	), []refused{
		{"foo", alone + `"foo"`},
		{"armv7", alone + `"armv7"`},
		{"foo(1.0)", alone + `"foo(1.0)"`},
		{"*", platform + `"*"`},
		{"linux/", platform + `"linux/"`},
		{"/amd64", platform + `"/amd64"`},
		{"linux//v7", platform + `"linux//v7"`},
		{"a/b/c/d", platform + `"a/b/c/d"`},
		{"linux/arm(1)", platform + `"linux/arm(1)"`},
		{"linux.x/amd64", platform + `"linux.x/amd64"`},
		{"windows(/amd64", platform + `"windows(/amd64"`},
		{"linux/amd64 ", platform + `"linux/amd64 "`},
	})
}
