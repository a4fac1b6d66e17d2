// Command typecheck reports whether the program compiles for other systems. A compiler would first compile the standard
// library for each system, which takes minutes without a build cache.
//
//	go run ./scripts/typecheck GOOS/GOARCH... PACKAGE
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	last := len(os.Args) - 1
	if last < 2 {
		fmt.Fprintln(os.Stderr, "usage: typecheck GOOS/GOARCH... PACKAGE")
		os.Exit(2)
	}
	failed := false
	parsed := source{files: token.NewFileSet(), parsed: make(map[string]*ast.File)}
	for _, system := range os.Args[1:last] {
		if err := parsed.check(system, os.Args[last]); err != nil {
			fmt.Fprintf(os.Stderr, "typecheck: %s: %v\n", system, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// A listed is a package as go list describes it.
type listed struct {
	ImportPath, Dir string
	Standard        bool
	GoFiles         []string
	ImportMap       map[string]string
	Module          struct{ GoVersion string }
}

// source is what has been parsed so far. Most files belong to each system, and are parsed once.
type source struct {
	files  *token.FileSet
	parsed map[string]*ast.File // by path
}

func (s source) parse(path string) (*ast.File, error) {
	if file := s.parsed[path]; file != nil {
		return file, nil
	}
	file, err := parser.ParseFile(s.files, path, nil, parser.SkipObjectResolution)
	s.parsed[path] = file
	return file, err
}

// check type-checks a package, and before it all its imports. It skips the function bodies of the standard library.
func (s source) check(system, name string) error {
	goos, goarch, _ := strings.Cut(system, "/")
	list := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,Standard,GoFiles,ImportMap,Module", name)
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			return err
		}
		if p.ImportPath == "unsafe" {
			continue
		}
		var parsed []*ast.File
		for _, f := range p.GoFiles {
			file, err := s.parse(filepath.Join(p.Dir, f))
			if err != nil {
				return err
			}
			parsed = append(parsed, file)
		}
		config := types.Config{
			IgnoreFuncBodies: p.Standard,
			GoVersion:        strings.TrimSuffix("go"+p.Module.GoVersion, "go"),
			Sizes:            types.SizesFor("gc", goarch),
			Importer: importer(func(path string) (*types.Package, error) {
				if other := p.ImportMap[path]; other != "" {
					path = other
				}
				return done[path], nil
			}),
		}
		if done[p.ImportPath], err = config.Check(p.ImportPath, s.files, parsed, nil); err != nil {
			return err
		}
	}
	return nil
}

type importer func(string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }
