package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"
	"unicode/utf8"
)

// runRecord is what docker run did with command lines: DISPATCH_TEST_RECORD=1 has the docker CLI that is on PATH do it anew.
const runRecord = "testdata/run.json"

// onRecord is what a command did, as runRecord has it.
type onRecord struct {
	Code           int
	Stdout, Stderr string
}

// record makes of what was said what another run says too.
func (w *twins) record(s said) onRecord {
	fold := func(text string) string {
		if len(text) > 1000 || !utf8.ValidString(text) {
			return fmt.Sprintf("%d bytes, SHA-256 %x", len(text), sha256.Sum256([]byte(text)))
		}
		return text
	}
	return onRecord{s.code, fold(s.stdout), fold(w.unfill.Replace(s.stderr))}
}

// recording guards the file while it is written.
var recording sync.Mutex

func readRecord(t *testing.T) map[string]onRecord {
	t.Helper()
	text, err := os.ReadFile(runRecord)
	var rows map[string]onRecord
	if err == nil {
		err = json.Unmarshal(text, &rows)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func writeRecord(t *testing.T, key string, row onRecord) {
	t.Helper()
	recording.Lock()
	defer recording.Unlock()
	rows := maps.Clone(readRecord(t))
	rows[key] = row
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	err := e.Encode(rows)
	if err == nil {
		err = os.WriteFile(runRecord, text.Bytes(), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}
