package main

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestJournal: a line has its priority, and no time.
func TestJournal(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(newJournalHandler(&b, slog.LevelInfo)).With("job", "a")
	log.Debug("not")
	log.Info("one")
	log.WithGroup("g").Warn("two", "k", "v\n<0>")
	log.Error("three")
	want := "<6>level=INFO msg=one job=a\n<4>level=WARN msg=two job=a g.k=\"v\\n<0>\"\n<3>level=ERROR msg=three job=a\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

// TestToJournal: only the file that JOURNAL_STREAM names is the journal's.
func TestToJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	of, err := exec.Command("stat", "-c", "%d:%i", f.Name()).Output()
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]bool{string(bytes.TrimSpace(of)): true, "1:2": false, "": false} {
		if got := toJournal(f, func(string) string { return value }); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
