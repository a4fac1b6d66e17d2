package main

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
)

// fuzzed returns how many messages a test mangles: as many as DISPATCH_TEST_FUZZED says, else half a million. The race detector
// takes ten times as long for each.
func fuzzed(t *testing.T) int {
	t.Helper()
	many := "500000"
	if info, ok := debug.ReadBuildInfo(); !ok || slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		many = "20000"
	}
	n, err := strconv.Atoi(cmp.Or(os.Getenv("DISPATCH_TEST_FUZZED"), many))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFuzzedMessages decodes and judges mangled messages, the same at each run. None makes the daemon panic, and what it says
// of them is fit for a log.
func TestFuzzedMessages(t *testing.T) {
	t.Parallel()
	var valid [][]byte
	manual := pages(t)
	for _, name := range slices.Sorted(maps.Keys(manual)) { // in the same order each time
		for _, m := range messagesIn(manual[name]) {
			valid = append(valid, []byte(m))
		}
	}
	for _, p := range parities {
		valid = append(valid, []byte(`{"Dockercmd": "run", "Image": "busybox", "Options": {"`+p.option+`": `+p.value+`}}`))
	}
	r := rand.New(rand.NewPCG(1, 2))
	taken, many := 0, fuzzed(t)
	for n := range many {
		body := mangledBody(r, valid[r.IntN(len(valid))])
		_, err := policy.Check(body, 1<<20, policy.Sender{Replies: n%2 == 0}, new(policy.Rules))
		if err == nil {
			taken++
			continue
		}
		if s := err.Error(); s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("message %d, %.300q: the error is %q", n, body, s)
		}
	}
	if taken == 0 || taken == many {
		t.Errorf("%d of %d messages are taken", taken, many)
	}
	t.Logf("%d of %d messages are taken", taken, many)
}
