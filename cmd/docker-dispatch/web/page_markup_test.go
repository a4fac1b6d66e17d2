package web

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestMarkup: only constants become markup, only put writes HTML, and each hole is where no escaped text can leave it.
func TestMarkup(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	puts := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n, faults := faultsOfMarkup(t, f, string(source))
		for _, fault := range faults {
			t.Error(fault)
		}
		puts += n
	}
	if puts < 50 {
		t.Errorf("only %d calls of put were looked at", puts)
	}
}

// TestFaultsOfMarkup: the test above sees what it is to see.
func TestFaultsOfMarkup(t *testing.T) {
	for source, want := range map[string]int{
		"func f(h *htmlWriter, s string) { h.put(`<b>{}</b>`, s); h.put(`<b class=\"x {}\">{}</b>`, s, s) }": 0,
		"func f(h *htmlWriter, m markup) { h.put(m) }":                                                       0,
		"func f(h *htmlWriter, s string) { h.put(markup(s)) }":                                               2,
		"func f(h *htmlWriter, s string) { h.put((markup)(s)) }":                                             2,
		"type m = markup": 1,
		"func f[M markup](s string) M { return M(s) }":                         1,
		"func f(h *htmlWriter, s string) { h.out.WriteString(s) }":             1,
		"func f(h *htmlWriter, m markup, s string) { h.put(m, s) }":            1,
		"func f(h *htmlWriter, s []string) { h.put(`{}`, s...) }":              1,
		"func f(h *htmlWriter, s string) { h.put(`{}{}`, s) }":                 1,
		"func f(h *htmlWriter, s string) { h.put(`<b>`, s) }":                  1,
		"func f(h *htmlWriter, s string) { h.put(`<b class={}>`, s) }":         1,
		"func f(h *htmlWriter, s string) { h.put(`<b class='{}'>`, s) }":       1,
		"func f(h *htmlWriter, s string) { h.put(`<b {}>`, s) }":               1,
		"func f(h *htmlWriter, s string) { h.put(`<b class=\"{}`, s) }":        1,
		"func f(h *htmlWriter, s string) { h.put(`<a href=\"{}\">`, s) }":      1,
		"func f(h *htmlWriter, s string) { h.put(`<b onclick=\"x {}\">`, s) }": 1,
		"func f(h *htmlWriter, s string) { h.put(`<b style=\"x {}\">`, s) }":   1,
		"func f(h *htmlWriter, s string) { h.put(`<script>{}</script>`, s) }":  1,
		"func f(h *htmlWriter, s string) { h.put(`<b>` + `<!-- {} -->`, s) }":  1,
	} {
		if _, faults := faultsOfMarkup(t, "x.go", "package web\n"+source); len(faults) != want {
			t.Errorf("%s: %d faults, want %d: %v", source, len(faults), want, faults)
		}
	}
}

// faultsOfMarkup returns what is wrong in a file, and how many calls of put it has.
func faultsOfMarkup(t *testing.T, name, source string) (puts int, faults []string) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	fault := func(n ast.Node, what any) {
		faults = append(faults, fmt.Sprintf("%v: %v", files.Position(n.Pos()), what))
	}
	named := make(map[ast.Expr]bool) // where the type may be named: there it converts nothing
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSpec:
			named[n.Name] = true
		case *ast.ValueSpec:
			named[n.Type] = true
		case *ast.FuncType:
			for _, p := range n.Params.List {
				named[p.Type] = true
			}
		case *ast.Ident:
			if n.Name == "markup" && !named[n] {
				fault(n, "markup may be the type of a parameter, a variable or a constant only")
			}
		case *ast.SelectorExpr:
			if n.Sel.Name == "out" && name != "page_markup.go" {
				fault(n, "only put may write")
			}
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "put" {
				puts++
				if err := checkPut(n); err != nil {
					fault(n, err)
				}
			}
		}
		return true
	})
	return puts, faults
}

// checkPut checks the arguments of a call of put.
func checkPut(call *ast.CallExpr) error {
	texts := len(call.Args) - 1
	m, ok := literal(call.Args[0])
	if _, isName := call.Args[0].(*ast.Ident); isName && texts == 0 {
		return nil // the compiler knows that it is markup
	} else if !ok || call.Ellipsis.IsValid() {
		return errors.New("put takes a literal, and as many texts as it has holes")
	}
	holes, err := checkHoles(m)
	if err == nil && holes != texts {
		err = fmt.Errorf("%d holes and %d texts", holes, texts)
	}
	return err
}

// literal returns the value of literals that are added up.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.BinaryExpr:
		x, okX := literal(e.X)
		y, okY := literal(e.Y)
		return x + y, okX && okY
	}
	return "", false
}

// checkHoles counts the holes of a markup, which has to begin and to end between tags.
func checkHoles(m string) (holes int, err error) {
	between := regexp.MustCompile(`<[/!]?[a-z0-9]+(?: [a-z-]+(?:="[^"<>]*")?)*>`).ReplaceAllString(m, "")
	if strings.ContainsAny(between, "<>") {
		return 0, fmt.Errorf("not whole tags with attributes in double quotes: %q", between)
	}
	if regexp.MustCompile(`(?s)<(script|style)>.`).MatchString(m) {
		return 0, errors.New("scripts and styles are those of files only")
	}
	code, address := regexp.MustCompile(`^(on.*|style|srcdoc)$`), regexp.MustCompile(`(href|src|url|action)$`)
	for _, a := range regexp.MustCompile(` ([a-z-]+)="([^"]*)"`).FindAllStringSubmatch(m, -1) {
		name, value := a[1], a[2]
		if strings.Contains(value, "{}") && (code.MatchString(name) || address.MatchString(name) && strings.HasPrefix(value, "{}")) {
			return 0, fmt.Errorf("a text may not be a script, a style, or the beginning of an address: %s", a[0])
		}
	}
	return strings.Count(m, "{}"), nil
}
