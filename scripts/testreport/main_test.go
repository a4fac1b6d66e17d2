package main

import (
	"strings"
	"testing"
)

// What failed is shown with its output and how to run it alone; what a test below it made fail is not.
func TestReport(t *testing.T) {
	const in = `not JSON
{"Action":"build-output","ImportPath":"m/c","Output":"c.go:1: syntax error\n"}
{"Action":"run","Package":"m/a","Test":"TestA"}
{"Action":"run","Package":"m/a","Test":"TestA/one"}
{"Action":"output","Package":"m/a","Test":"TestA/one","Output":"    a_test.go:1: wrong\n"}
{"Action":"fail","Package":"m/a","Test":"TestA/one","Elapsed":1.5}
{"Action":"fail","Package":"m/a","Test":"TestA","Elapsed":1.5}
{"Action":"output","Package":"m/a","Test":"TestB","Output":"quiet\n"}
{"Action":"pass","Package":"m/a","Test":"TestB","Elapsed":20}
{"Action":"fail","Package":"m/a","Elapsed":22}
{"Action":"pass","Package":"m/b","Elapsed":0.5}
{"Action":"output","Package":"m/d","Output":"panic\n"}
{"Action":"fail","Package":"m/d","Elapsed":0.1}
{"Action":"output","Package":"m/e","Test":"TestE","Output":"a result that is no line\n"}
{"Action":"fail","Package":"m/e","Elapsed":0.2}
`
	const want = `not JSON
c.go:1: syntax error
fail m/a 22.0 s
pass m/b 0.5 s
fail m/d 0.1 s
fail m/e 0.2 s
slowest:
    20.0 s TestB
     1.5 s TestA/one

--- failed: m/a TestA/one (1.5 s)
    a_test.go:1: wrong
--- alone: scripts/services up && eval "$(scripts/services env)" && go test -race -count=1 -run '^TestA$/^one$' m/a

--- failed: m/d  (0.1 s)
panic
--- alone: scripts/services up && eval "$(scripts/services env)" && go test -race -count=1 m/d

--- failed: m/e TestE (0.0 s)
a result that is no line
--- alone: scripts/services up && eval "$(scripts/services env)" && go test -race -count=1 -run '^TestE$' m/e
`
	var out strings.Builder
	failed, err := report(strings.NewReader(in), &out)
	if out.String() != want || !failed || err != nil {
		t.Errorf("%v, %v:\n%s\nwant:\n%s", failed, err, out.String(), want)
	}
	if failed, err := report(strings.NewReader(`{"Action":"pass","Package":"m/b","Elapsed":0.5}`), &out); failed || err != nil {
		t.Errorf("all passed: %v, %v", failed, err)
	}
}

// A secret of the tests in their output fails them, although each has passed.
func TestReportSecret(t *testing.T) {
	const in = `{"Action":"output","Package":"m/a","Test":"TestA","Output":"password ` + secret + `\n"}
{"Action":"pass","Package":"m/a","Test":"TestA","Elapsed":1}
{"Action":"pass","Package":"m/a","Elapsed":1}
`
	var out strings.Builder
	if failed, err := report(strings.NewReader(in), &out); !failed || err != nil || !strings.Contains(out.String(), "m/a TestA prints a secret of the tests") {
		t.Errorf("failed %v, %v:\n%s", failed, err, out.String())
	}
}
